//! Labels that lie on disk already are read, not computed. So that whoever fills drives can take a set over from elsewhere in
//! the same way as it makes one: checkpoints, the VRF search and checksums are written once.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use crate::backend::checked::spot_check;
use crate::backend::{Backend, Error, Info, LabelJob, Labels, Sink};
use crate::drive::Drive;
use crate::identity::Commitment;
use crate::label::{LABEL_BYTES, Label};
use crate::plan::Layout;
use crate::scan::{Hit, ScanJob};

/// Labels read at a time, 1 MiB. Of each such part one label is computed once more.
const READ_LABELS: u64 = 1 << 16;

/// Where labels of a set lie.
pub(crate) struct Source<'a> {
    pub(crate) commitment: Commitment,
    pub(crate) layout: Layout,
    pub(crate) drives: &'a [Box<dyn Drive>],
    /// File → index of its drive. All of these files are whole.
    pub(crate) place: BTreeMap<u32, usize>,
}

impl Source<'_> {
    /// What comes first in a stretch: labels that are there (the end of their file at most), or those up to the next that
    /// are.
    fn first_of(&self, indices: &Range<u64>) -> (Range<u64>, Option<u32>) {
        let file_at = |index: u64| self.layout.pieces(index..index + 1).next().map(|piece| piece.file);
        match file_at(indices.start).filter(|file| self.place.contains_key(file)) {
            Some(file) => (indices.start..self.layout.file_labels(file).end.min(indices.end), Some(file)),
            None => {
                let from = file_at(indices.start).unwrap_or(u32::MAX);
                let next =
                    self.place.range(from..).next().map_or(u64::MAX, |(file, _)| self.layout.file_labels(*file).start);
                (indices.start..next.min(indices.end), None)
            }
        }
    }

    fn place_of(&self, file: u32) -> String {
        format!("{} in {}", Layout::file_name(file), self.drives[self.place[&file]].name())
    }
}

/// A backend that copies what there is of one set and has the rest computed.
pub(crate) struct Copying<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) inner: &'a mut dyn Backend,
}

impl Copying<'_> {
    /// Hands on the labels of a file. One of each part is recomputed: labels of another network, and files that were mixed
    /// up, are noticed at once.
    fn copy(
        &self,
        job: &LabelJob<'_>,
        file: u32,
        indices: Range<u64>,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let mut buffer = vec![[0; LABEL_BYTES]; READ_LABELS.min(indices.end - indices.start) as usize];
        let first = self.source.layout.file_labels(file).start;
        let mut at = indices.start;
        while at < indices.end {
            let part = at..indices.end.min(at + READ_LABELS);
            let labels: &mut [Label] = &mut buffer[..(part.end - part.start) as usize];
            let drive = &self.source.drives[self.source.place[&file]];
            drive
                .read_at(file, (at - first) * LABEL_BYTES as u64, labels.as_flattened_mut())
                .map_err(|error| Error::Source { reason: error.to_string() })?;
            let checked = spot_check(job, &part, labels, "");
            checked.map_err(|error| self.wrong(file, error))?;
            at = part.end;
            if sink(part, labels).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn wrong(&self, file: u32, error: Error) -> Error {
        match error {
            Error::Wrong { index, .. } => {
                let place = self.source.place_of(file);
                let reason = format!(
                    "the label at index {index} in {place} is wrong; if --network is right, mend it with `post check --repair` there"
                );
                Error::Source { reason }
            }
            error => error,
        }
    }
}

impl Backend for Copying<'_> {
    fn info(&self) -> &Info {
        self.inner.info()
    }

    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let Labels::Range(commitment, indices) = &job.labels else {
            // The few labels that judge others are always computed.
            return self.inner.label(job, sink);
        };
        if *commitment != self.source.commitment {
            return self.inner.label(job, sink);
        }
        let mut left = indices.clone();
        let mut ended = ControlFlow::Continue(());
        while !left.is_empty() && ended.is_continue() {
            let (part, file) = self.source.first_of(&left);
            left.start = part.end;
            match file {
                Some(file) => ended = self.copy(job, file, part, sink)?,
                None => {
                    let job = LabelJob { scrypt: job.scrypt, labels: Labels::Range(*commitment, part) };
                    self.inner.label(&job, &mut |positions, labels| {
                        ended = sink(positions, labels);
                        ended
                    })?;
                }
            }
        }
        Ok(())
    }

    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.inner.scan(job, first, labels, hits)
    }

    fn accuse(&mut self, commitment: &Commitment, index: u64) -> Error {
        match self.source.first_of(&(index..index.saturating_add(1))) {
            (_, Some(file)) => self.wrong(file, Error::Wrong { device: String::new(), index }),
            (_, None) => self.inner.accuse(commitment, index),
        }
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.inner.settle()
    }

    fn others_left(&self) -> bool {
        self.inner.others_left()
    }

    fn suspects(&mut self, commitment: &Commitment) -> Option<Vec<Range<u64>>> {
        self.inner.suspects(commitment)
    }
}
