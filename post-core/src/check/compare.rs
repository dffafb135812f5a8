//! Labels from disk against labels computed now. A device is believed when it says that a label is right; before it is
//! called wrong the CPU is asked, because a device that lies would have right labels written over. Where nothing can be read
//! there is nothing to compare: what the device makes in its place is looked at by sample, as `init` does.

use std::ops::{ControlFlow, Range};

use super::CheckError;
use crate::backend::checked::spot_check;
use crate::backend::{self, Backend, LabelJob, Labels};
use crate::identity::Commitment;
use crate::label::{Label, reference, stored};
use crate::params::ScryptParams;
use crate::watch::Watch;

/// So few labels the readable reference computes itself.
const FEW: usize = 32;

/// Up to so many labels that follow each other the CPU makes alone: a device that has to be begun anew is no faster.
const CPU_ALONE: u64 = 1024;

/// Who says how labels should be.
pub(super) struct Oracle<'a> {
    pub(super) commitment: Commitment,
    pub(super) scrypt: ScryptParams,
    /// Computes every label that is looked at.
    pub(super) device: &'a mut dyn Backend,
    /// The CPU, which has the last word.
    pub(super) judge: &'a mut dyn Backend,
    pub(super) watch: &'a dyn Watch,
}

impl Oracle<'_> {
    /// Which of some labels, the first of which has index `first`, are wrong: index and what it should be, ascending.
    pub(super) fn wrong_in_range(&mut self, first: u64, found: &[Label]) -> Result<Vec<(u64, Label)>, CheckError> {
        let labels = Labels::Range(self.commitment, first..first + found.len() as u64);
        let differing = self.differing(labels, &|position| (position, found[(position - first) as usize]))?;
        self.judged(differing)
    }

    /// Which of some labels, with their indices, are wrong.
    pub(super) fn wrong_in_list(&mut self, found: &[(u64, Label)]) -> Result<Vec<(u64, Label)>, CheckError> {
        let list: Vec<_> = found.iter().map(|(index, _)| (self.commitment, *index)).collect();
        let differing = self.differing(Labels::List(&list), &|position| found[position as usize])?;
        self.judged(differing)
    }

    /// The right labels, from the CPU.
    pub(super) fn truth(&mut self, indices: &[u64]) -> Result<Vec<Label>, CheckError> {
        if indices.len() <= FEW {
            let full = |index: &u64| Ok(stored(&reference::full_label(&self.commitment, *index, self.scrypt)?));
            return indices.iter().map(full).collect();
        }
        let list: Vec<_> = indices.iter().map(|index| (self.commitment, *index)).collect();
        let mut truth = Vec::with_capacity(list.len());
        let job = LabelJob { scrypt: self.scrypt, labels: Labels::List(&list) };
        let watch = self.watch;
        self.judge.label(&job, &mut |_, labels| {
            truth.extend_from_slice(labels);
            if watch.stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if truth.len() < list.len() { Err(CheckError::stopped()) } else { Ok(truth) }
    }

    /// Labels in place of those that can't be read. Of a long stretch the device makes them, and the CPU looks at one of each
    /// batch.
    pub(super) fn made(&mut self, indices: &Range<u64>) -> Result<Vec<Label>, CheckError> {
        let count = indices.end - indices.start;
        if count <= CPU_ALONE {
            return self.truth(&indices.clone().collect::<Vec<_>>());
        }
        let job = LabelJob { scrypt: self.scrypt, labels: Labels::Range(self.commitment, indices.clone()) };
        let (watch, id) = (self.watch, self.device.info().id.clone());
        let (mut made, mut checked) = (Vec::with_capacity(count as usize), Ok(()));
        self.device.label(&job, &mut |positions, labels| {
            checked = spot_check(&job, &positions, labels, &id);
            made.extend_from_slice(labels);
            if checked.is_err() || watch.stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        match checked {
            Err(backend::Error::Wrong { index, .. }) => return Err(self.accuse(index).into()),
            checked => checked?,
        }
        if (made.len() as u64) < count {
            return Err(CheckError::stopped());
        }
        // Nothing is written that a batch still under way speaks against.
        self.device.settle()?;
        Ok(made)
    }

    /// Where the device says something else than the disk: index, and what the device says. `at` is what lies on disk, and
    /// its index, for a position of the job.
    fn differing(
        &mut self,
        labels: Labels<'_>,
        at: &dyn Fn(u64) -> (u64, Label),
    ) -> Result<Vec<(u64, Label)>, CheckError> {
        let end = labels.positions().end;
        let (mut differing, mut reached) = (Vec::new(), labels.positions().start);
        let job = LabelJob { scrypt: self.scrypt, labels };
        let watch = self.watch;
        self.device.label(&job, &mut |positions, labels| {
            reached = positions.end;
            for (position, computed) in positions.zip(labels) {
                let (index, found) = at(position);
                if found != *computed {
                    differing.push((index, *computed));
                }
            }
            if watch.stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if reached < end { Err(CheckError::stopped()) } else { Ok(differing) }
    }

    /// What the CPU says of labels that the device says are wrong. Should it not agree, the device is the one to mend.
    fn judged(&mut self, differing: Vec<(u64, Label)>) -> Result<Vec<(u64, Label)>, CheckError> {
        let indices: Vec<u64> = differing.iter().map(|(index, _)| *index).collect();
        let truth = self.truth(&indices)?;
        let lie = differing.iter().zip(&truth).find(|((_, computed), truth)| computed != *truth);
        match lie {
            Some(((index, _), _)) => Err(self.accuse(*index).into()),
            None => Ok(differing),
        }
    }

    /// A label that the device made turned out to be wrong.
    pub(super) fn accuse(&mut self, index: u64) -> backend::Error {
        self.device.accuse(&self.commitment, index)
    }
}
