//! Labels that lie on disk already are read, not computed. So that whoever fills drives can take a set over from elsewhere in
//! the same way as it makes one: checkpoints, the VRF search and checksums are written once.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use crate::backend::checked::spot_check;
use crate::backend::{Backend, Error, Info, LabelJob, Labels, Sink};
use crate::drive::{Drive, DriveError};
use crate::identity::Commitment;
use crate::label::{LABEL_BYTES, Label};
use crate::plan::Layout;
use crate::scan::{Hit, ScanJob};
use crate::sums::{BLOCK_LABELS, Sums};

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
    /// Hands on the labels of a file, block by block. Each is held against the checksum that the source has of it, if it has
    /// one: what a disk has changed is not to get new checksums that say it is right. And one label of each is recomputed:
    /// labels of another network, and files that were mixed up, are noticed at once.
    fn copy(
        &self,
        job: &LabelJob<'_>,
        file: u32,
        indices: Range<u64>,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let held = self.source.layout.file_labels(file);
        let drive = &*self.source.drives[self.source.place[&file]];
        let unreadable = |error: DriveError| Error::Source { reason: error.to_string() };
        let sums = Sums::of(drive, file).map_err(unreadable)?.unwrap_or_default();
        let mut buffer = vec![[0; LABEL_BYTES]; BLOCK_LABELS.min(held.end - held.start) as usize];
        let mut at = indices.start;
        while at < indices.end {
            // The whole block, also where only its end is still to be copied.
            let first = (at - held.start) / BLOCK_LABELS * BLOCK_LABELS;
            let block = held.start + first..held.end.min(held.start + first + BLOCK_LABELS);
            let labels: &mut [Label] = &mut buffer[..(block.end - block.start) as usize];
            drive.read_at(file, first * LABEL_BYTES as u64, labels.as_flattened_mut()).map_err(unreadable)?;
            let labels: &[Label] = labels;
            if sums.at(first, block.end - block.start).is_some_and(|sum| sum != Sums::sum(labels)) {
                return Err(self.changed(file, &block));
            }
            let part = at..block.end.min(indices.end);
            let labels = &labels[(part.start - block.start) as usize..(part.end - block.start) as usize];
            spot_check(job, &part, labels, "").map_err(|error| self.wrong(file, error))?;
            at = part.end;
            if sink(part, labels).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn changed(&self, file: u32, labels: &Range<u64>) -> Error {
        let (place, last) = (self.source.place_of(file), labels.end - 1);
        let reason = format!(
            "a label from {} to {last} in {place} has changed on disk since it was written; mend it with `post check --quick --repair` there",
            labels.start
        );
        Error::Source { reason }
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
