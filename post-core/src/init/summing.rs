//! The checksums of the files that a run writes, made as the labels go by (see `sums`).
//!
//! They are kept when a block of a file is full, not at each checkpoint: after a crash less than a block has to be read once
//! more. What is written in another order (labels of a liar that are made again) is read back once it is durable.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Run;
use crate::drive::{Drive, DriveError};
use crate::label::{LABEL_BYTES, Label};
use crate::sums::{BLOCK_LABELS, Summing, Sums};

/// What is known of a file's checksums.
#[derive(Default)]
pub(super) struct FileSums {
    /// `None` for a file that has none: then `check` makes them.
    summing: Option<Summing>,
    /// First labels of blocks that were written once more.
    stale: BTreeSet<u64>,
    /// Whole blocks that the record covers.
    stored: u64,
}

impl FileSums {
    /// Of a file that is empty so far.
    pub(super) fn fresh() -> Self {
        Self { summing: Some(Summing::after(Sums::default(), 0)), ..Self::default() }
    }

    /// Of a file whose first `done` labels count. A record that ends long before that is no use: reading whole files back
    /// is `check`'s task.
    pub(super) fn load(drive: &dyn Drive, file: u32, done: u64) -> Result<Self, DriveError> {
        if done == 0 {
            return Ok(Self::fresh());
        }
        let sums = Sums::of(drive, file)?.unwrap_or_default();
        let mut summing = Summing::after(sums, done);
        if done - summing.next() >= 2 * BLOCK_LABELS {
            return Ok(Self::default());
        }
        let stored = summing.whole();
        add_from(drive, file, &mut summing, done)?;
        Ok(Self { summing: Some(summing), stored, ..Self::default() })
    }

    /// Labels of the file were written, the first of which is number `first` in it.
    pub(super) fn written(&mut self, first: u64, labels: &[Label]) {
        let Some(summing) = &mut self.summing else { return };
        let next = summing.next();
        let again = first..next.min(first + labels.len() as u64);
        if !again.is_empty() {
            self.stale.extend((again.start / BLOCK_LABELS..=(again.end - 1) / BLOCK_LABELS).map(|i| i * BLOCK_LABELS));
        }
        match next.checked_sub(first) {
            Some(known) => summing.add(labels.get(known as usize..).unwrap_or_default()),
            // A gap: nothing is known of what lies in it.
            None => self.summing = None,
        }
    }

    /// The first block that is not what a drive's checksums say, as labels of the file: after the journal was lost, say.
    pub(super) fn changed_since(&self, drive: &dyn Drive, file: u32) -> Result<Option<Range<u64>>, DriveError> {
        let (Some(summing), Some(kept)) = (&self.summing, Sums::of(drive, file)?) else { return Ok(None) };
        let seen = summing.sums();
        let differs = |(labels, sum): &(Range<u64>, _)| {
            kept.at(labels.start, labels.end - labels.start).is_some_and(|kept| kept != *sum)
        };
        Ok(seen.blocks().find(differs).map(|(labels, _)| labels))
    }

    /// What was written is durable: what is stale is read back, and the record replaced if there is something new.
    pub(super) fn keep(&mut self, drive: &dyn Drive, file: u32, full: u64) -> Result<(), DriveError> {
        let Some(summing) = &mut self.summing else { return Ok(()) };
        let changed = !self.stale.is_empty();
        let next = summing.next();
        for first in std::mem::take(&mut self.stale) {
            if first / BLOCK_LABELS < summing.whole() {
                summing.replace(first, Sums::sum(&read(drive, file, first..first + BLOCK_LABELS)?));
            } else {
                // The block that is not full: its labels are added anew.
                let mut anew = Summing::after(summing.sums(), next);
                add_from(drive, file, &mut anew, next)?;
                *summing = anew;
            }
        }
        if changed || summing.whole() > self.stored || next == full {
            summing.sums().store(drive, file)?;
            self.stored = summing.whole();
        }
        Ok(())
    }
}

/// Adds the labels that are on disk up to `end`.
fn add_from(drive: &dyn Drive, file: u32, summing: &mut Summing, end: u64) -> Result<(), DriveError> {
    while summing.next() < end {
        let first = summing.next();
        summing.add(&read(drive, file, first..end.min(first + BLOCK_LABELS))?);
    }
    Ok(())
}

fn read(drive: &dyn Drive, file: u32, labels: Range<u64>) -> Result<Vec<Label>, DriveError> {
    let mut buffer = vec![[0; LABEL_BYTES]; (labels.end - labels.start) as usize];
    drive.read_at(file, labels.start * LABEL_BYTES as u64, buffer.as_flattened_mut())?;
    Ok(buffer)
}

impl Run<'_> {
    /// The checksums of this run's unfinished files, as far as an earlier run came.
    pub(super) fn load_sums(&mut self, drive: usize) -> Result<(), DriveError> {
        let (first, last) = (self.plan.files.start, self.plan.files.end);
        let unfinished: Vec<u32> = (first..last).filter(|file| !self.is_done(*file)).collect();
        for file in unfinished {
            if let Some(state) = self.files.get_mut(&file).filter(|state| state.drive == drive) {
                state.sums = FileSums::load(&*self.drives[drive], file, state.done)?;
            }
        }
        Ok(())
    }
}
