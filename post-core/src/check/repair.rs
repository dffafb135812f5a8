//! What follows from bad labels: why they are bad, what is written, and which records have to know.

use std::collections::BTreeSet;
use std::ops::Range;

use super::compare::Oracle;
use super::walk::stretch;
use super::{Cause, CheckError, Depth, Found, Run};
use crate::backend;
use crate::difficulty::vrf_threshold;
use crate::drive::DriveError;
use crate::journal::{FileProgress, Journal};
use crate::label::{LABEL_BYTES, Label};
use crate::plan::Layout;
use crate::ranges::Ranges;
use crate::set::SetError;
use crate::sums::{BLOCK_LABELS, Sum, Sums};
use crate::vrf::{VrfError, VrfNonce, VrfSearch};

/// Bad labels that follow each other, for one cause.
struct Stretch {
    labels: Range<u64>,
    cause: Cause,
    /// What they should be; only known where they are to be written.
    truth: Vec<Label>,
    repaired: bool,
}

impl Run<'_> {
    /// Says why labels of a file are bad, writes them anew if that is asked for, and tells. Returns which are still bad.
    pub(super) fn conclude(
        &mut self,
        file: u32,
        wrong: &[(u64, Label)],
        lost: &Ranges,
        oracle: &mut Oracle<'_>,
    ) -> Result<Ranges, CheckError> {
        if wrong.is_empty() && lost.is_empty() {
            return Ok(Ranges::default());
        }
        let mut stretches = self.stretches(file, wrong);
        let writes = self.request.writes() && self.is_ours(file, oracle)?;
        for labels in lost.iter() {
            let truth = if writes { oracle.made(&labels)? } else { Vec::new() };
            stretches.push(Stretch { labels, cause: Cause::Unreadable, truth, repaired: false });
        }
        stretches.sort_by_key(|stretch| stretch.labels.start);
        if writes {
            self.repair(file, &mut stretches);
            self.correct_sums(file, &stretches);
            let replaced = stretches.iter().filter(|stretch| stretch.repaired && stretch.cause == Cause::Unreadable);
            replaced.for_each(|stretch| self.made.insert(stretch.labels.clone()));
            self.correct_records(file, &stretches, oracle)?;
        }
        let left = stretches.iter().filter(|stretch| !stretch.repaired).map(|stretch| stretch.labels.clone()).collect();
        for Stretch { labels, cause, repaired, .. } in stretches {
            self.note_bad(file, labels, cause, repaired);
        }
        Ok(left)
    }

    /// Wrong labels, joined where they follow each other.
    fn stretches(&mut self, file: u32, wrong: &[(u64, Label)]) -> Vec<Stretch> {
        let first = self.layout.file_labels(file).start;
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut known: Option<(u64, Cause)> = None;
        for (index, truth) in wrong {
            // One look at a block tells for all of its labels.
            let block = (index - first) / BLOCK_LABELS;
            let cause = match known {
                Some((of, cause)) if of == block => cause,
                _ => self.cause(file, index - first),
            };
            known = Some((block, cause));
            match stretches.last_mut().filter(|last| last.labels.end == *index && last.cause == cause) {
                Some(last) => {
                    last.labels.end += 1;
                    last.truth.push(*truth);
                }
                None => {
                    let labels = *index..index + 1;
                    stretches.push(Stretch { labels, cause, truth: vec![*truth], repaired: false });
                }
            }
        }
        stretches
    }

    /// Why the label at an offset of a file is wrong, as far as its block's checksum tells.
    fn cause(&mut self, file: u32, offset: u64) -> Cause {
        let Some((block, sum)) = self.sums(file).sums.block_of(offset) else { return Cause::Unknown };
        match self.sum_on_disk(file, &block) {
            Ok(now) if now == sum => Cause::WrongWhenWritten,
            Ok(_) => Cause::ChangedOnDisk,
            Err(_) => Cause::Unknown,
        }
    }

    /// The sum of what lies on disk now, of a stretch counted from the file's beginning.
    fn sum_on_disk(&self, file: u32, block: &Range<u64>) -> Result<Sum, DriveError> {
        let mut labels = vec![[0; LABEL_BYTES]; (block.end - block.start) as usize];
        self.drive_of(file).read_at(file, block.start * LABEL_BYTES as u64, labels.as_flattened_mut())?;
        Ok(Sums::sum(&labels))
    }

    /// Writes the labels of these stretches, nothing else, and makes them durable. What fails is told and left as it is.
    fn repair(&mut self, file: u32, stretches: &mut [Stretch]) {
        let first = self.layout.file_labels(file).start;
        let drive = self.drive_of(file);
        let stamp = || drive.stamp(file).ok().flatten();
        let is_as_known = stamp() == self.stamps.get(&file).copied();
        let mut failure = None;
        for stretch in stretches.iter_mut() {
            let offset = (stretch.labels.start - first) * LABEL_BYTES as u64;
            match drive.write_at(file, offset, stretch.truth.as_flattened()) {
                Ok(()) => stretch.repaired = true,
                Err(error) => failure = Some(error),
            }
        }
        if let Err(error) = drive.sync(file) {
            stretches.iter_mut().for_each(|stretch| stretch.repaired = false);
            failure = Some(error);
        }
        // Ours is not a change that makes anybody look again. One that came before it is.
        if let Some(stamp) = stamp().filter(|_| is_as_known) {
            self.stamps.insert(file, stamp);
            self.kept.meet_again(file, Some(stamp));
        }
        if let Some(error) = failure {
            let (file, drive) = (Layout::file_name(file), drive.name());
            (self.found)(Found::Note(format!("labels of {file} in {drive} could not be repaired: {error}")));
        }
    }

    /// After a look at some labels only: the sums of blocks that were written wrong once were those of the wrong labels.
    /// Where a disk forgot, the old sum still says how the block should be.
    fn correct_sums(&mut self, file: u32, stretches: &[Stretch]) {
        if !matches!(self.request.depth, Depth::Fraction(_)) {
            return;
        }
        let first = self.layout.file_labels(file).start;
        let written = stretches.iter().filter(|s| s.repaired && s.cause == Cause::WrongWhenWritten);
        let blocks: BTreeSet<u64> = written.map(|stretch| (stretch.labels.start - first) / BLOCK_LABELS).collect();
        for block in blocks {
            let Some((block, _)) = self.sums(file).sums.block_of(block * BLOCK_LABELS) else { continue };
            if let Ok(sum) = self.sum_on_disk(file, &block) {
                self.put_sum(file, &block, sum);
            }
        }
    }

    /// Notes the sums of all blocks of a stretch of which every label was looked at and is right now; `left` are those that
    /// are not. What was read is in `parts`, and was wrong at `wrong`.
    pub(super) fn vouch(
        &mut self,
        file: u32,
        labels: &Range<u64>,
        parts: &[(u64, &[Label])],
        wrong: &[(u64, Label)],
        left: &Ranges,
    ) {
        if !self.claimed[self.files[&file].drive] {
            return;
        }
        let first = self.layout.file_labels(file).start;
        let mut at = labels.start;
        while at < labels.end {
            let block = at..(at + BLOCK_LABELS).min(labels.end);
            at = block.end;
            if left.within(&block).next().is_some() {
                continue;
            }
            let was_right = wrong.binary_search_by(|(index, _)| index.cmp(&block.start)).unwrap_or_else(|at| at);
            let was_right = wrong.get(was_right).is_none_or(|(index, _)| *index >= block.end);
            let offsets = block.start - first..block.end - first;
            let sum = match stretch(parts, &block).filter(|_| was_right) {
                Some(labels) => Ok(Sums::sum(labels)),
                None => self.sum_on_disk(file, &offsets),
            };
            if let Ok(sum) = sum {
                self.put_sum(file, &offsets, sum);
            }
        }
    }

    fn put_sum(&mut self, file: u32, block: &Range<u64>, sum: Sum) {
        let sums = self.sums(file);
        sums.is_new |= sums.sums.put(block.start, block.end - block.start, sum);
    }

    /// What was repaired is no suspect any more, and may be the smallest label of the set.
    fn correct_records(&mut self, file: u32, stretches: &[Stretch], oracle: &mut Oracle<'_>) -> Result<(), CheckError> {
        let repaired: Vec<&Stretch> = stretches.iter().filter(|stretch| stretch.repaired).collect();
        let noted = self.correct_journal(file, &repaired).and_then(|()| self.correct_nonce(&repaired));
        // A proof under way sees by the file's stamp that it has to scan again.
        match noted {
            Ok(()) => {}
            // Only a device makes labels that nobody has looked at.
            Err(SetError::Backend(backend::Error::Wrong { index, .. })) => return Err(oracle.accuse(index).into()),
            Err(error) => (self.found)(Found::Note(format!(
                "labels of {} were repaired, but the records beside them are as before: {error}",
                Layout::file_name(file)
            ))),
        }
        Ok(())
    }

    fn correct_journal(&self, file: u32, repaired: &[&Stretch]) -> Result<(), SetError> {
        let first = self.layout.file_labels(file).start;
        let correct = |progress: &mut FileProgress| {
            let mut suspects: Ranges = progress.suspect.iter().map(|(from, to)| *from..*to).collect();
            repaired.iter().for_each(|s| suspects.remove(s.labels.start - first..s.labels.end - first));
            progress.suspect = suspects.iter().map(|range| (range.start, range.end)).collect();
            progress.vrf = self.smallest(progress.vrf, repaired)?;
            Ok(())
        };
        self.edit_journal(file, correct).map(|_| ())
    }

    /// Corrects what the journal says of a file. Returns whether it says anything.
    fn edit_journal(
        &self,
        file: u32,
        edit: impl FnOnce(&mut FileProgress) -> Result<(), SetError>,
    ) -> Result<bool, SetError> {
        let drive = self.drive_of(file);
        let ours = |journal: &Journal| journal.is_of(&self.metadata.commitment(), &self.layout);
        let Some(mut journal) = Journal::of(drive)?.filter(ours) else { return Ok(false) };
        let Some(progress) = journal.files.get_mut(&file) else { return Ok(false) };
        let before = progress.clone();
        edit(progress)?;
        if *progress != before {
            journal.store(drive)?;
        }
        Ok(true)
    }

    /// After a device lied: what it put in the place of unreadable labels may be wrong as well. Where there is a journal,
    /// `init` makes it again.
    pub(super) fn distrust(&mut self, oracle: &mut Oracle<'_>) {
        let liars = oracle.device.suspects(&self.metadata.commitment());
        let made = std::mem::take(&mut self.made);
        let suspects: Ranges = match liars {
            Some(liars) => liars.iter().flat_map(|range| made.within(range)).collect(),
            None => made,
        };
        for file in self.files.keys().copied().collect::<Vec<_>>() {
            let first = self.layout.file_labels(file).start;
            let here: Ranges = suspects.within(&self.indices(file)).collect();
            if here.is_empty() {
                continue;
            }
            let noted = self.edit_journal(file, |progress| {
                let offsets = here.iter().map(|range| range.start - first..range.end - first);
                let all: Ranges = progress.suspects().iter().chain(offsets).collect();
                progress.suspect = all.iter().map(|range| (range.start, range.end)).collect();
                Ok(())
            });
            let cure = match noted {
                Ok(true) => "init with another device makes them again".into(),
                Ok(false) => "check all labels with another device".into(),
                Err(error) => format!("that could not be noted ({error}), so check all labels with another device"),
            };
            let (count, place, drive) = (here.len(), Layout::file_name(file), self.drive_of(file).name());
            (self.found)(Found::Note(format!(
                "{count} labels of {place} in {drive} were written anew by this device and may be wrong too; {cure}"
            )));
        }
    }

    /// A nonce that nobody has looked for is left to who looks at all labels.
    fn correct_nonce(&self, repaired: &[&Stretch]) -> Result<(), SetError> {
        let mut named = BTreeSet::new();
        for drive in self.drives {
            named.extend(drive.metadata()?.and_then(|metadata| metadata.nonce));
        }
        if named.is_empty() {
            return Ok(());
        }
        let mut search = self.search(None);
        // One past the end only stands in for one that is missing.
        for index in named.range(..self.layout.num_labels()) {
            search.candidate(*index).map_err(backend_error)?;
        }
        let before = search.best();
        let now = self.smallest(before, repaired)?;
        let Some(nonce) = now.filter(|_| now != before) else { return Ok(()) };
        for drive in self.drives {
            if let Some(mut metadata) = drive.metadata()? {
                metadata.set_nonce(&nonce);
                drive.replace_metadata(&metadata)?;
            }
        }
        Ok(())
    }

    fn search(&self, best: Option<VrfNonce>) -> VrfSearch {
        let threshold = vrf_threshold(self.layout.num_labels());
        VrfSearch::new(self.metadata.commitment(), self.request.params.scrypt, threshold, best)
    }

    /// The smallest of a label and what was repaired.
    fn smallest(&self, best: Option<VrfNonce>, repaired: &[&Stretch]) -> Result<Option<VrfNonce>, SetError> {
        let mut search = self.search(best);
        for stretch in repaired {
            search.observe(stretch.labels.start, &stretch.truth).map_err(|error| match error {
                VrfError::Params(error) => backend_error(error),
                // Whose it is, the device is asked.
                VrfError::Wrong { index } => backend::Error::Wrong { device: String::new(), index }.into(),
            })?;
        }
        Ok(search.best())
    }
}

fn backend_error(error: crate::params::ParamsError) -> SetError {
    backend::Error::from(error).into()
}
