//! Trust, but verify: one label of every batch is computed once more by the readable reference.
//!
//! A device that lies all the time is caught at its first batch. One that lies in a label of 1000 is caught after about
//! 1000 batches, so what it handed on before is not to be trusted either.

use std::hash::{BuildHasher, RandomState};
use std::ops::{ControlFlow, Range};

use super::{Backend, Error, Info, LabelJob, Sink};
use crate::identity::Commitment;
use crate::label::{Label, reference, stored};
use crate::scan::{Hit, ScanJob};

/// Recomputes one of `labels`, picked by chance; they are those of `job` at `positions`. Takes the time of one label on
/// one core.
///
/// # Errors
/// [`Error::Wrong`] of `device`, its id, when it differs; [`Error::Params`].
pub fn spot_check(job: &LabelJob<'_>, positions: &Range<u64>, labels: &[Label], device: &str) -> Result<(), Error> {
    let count = (positions.end.saturating_sub(positions.start)).min(labels.len() as u64);
    if count == 0 {
        return Ok(());
    }
    let offset = any_of(count as usize);
    let (commitment, index) = job.labels.at(positions.start + offset as u64);
    let expected = stored(&reference::full_label(&commitment, index, job.scrypt)?);
    if labels[offset] != expected {
        return Err(Error::Wrong { device: device.into(), index });
    }
    Ok(())
}

/// One of 0 … `count` − 1, by chance; 0 if there are none. For picking what to look at.
#[must_use]
pub fn any_of(count: usize) -> usize {
    // The keys of a hasher are chance enough: a device doesn't lie with intent.
    (RandomState::new().hash_one(count) % count.max(1) as u64) as usize
}

/// A backend that is watched: a batch is handed on only after a look at one of its labels.
pub struct Checked(Box<dyn Backend>);

impl Checked {
    /// Watches `inner` from now on.
    #[must_use]
    pub fn new(inner: Box<dyn Backend>) -> Self {
        Self(inner)
    }
}

impl Backend for Checked {
    fn info(&self) -> &Info {
        self.0.info()
    }

    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let device = self.0.info().id.clone();
        let mut checked = Ok(());
        self.0.label(job, &mut |positions, labels| {
            checked = spot_check(job, &positions, labels, &device);
            if checked.is_err() { ControlFlow::Break(()) } else { sink(positions, labels) }
        })?;
        checked
    }

    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.0.scan(job, first, labels, hits)
    }

    fn accuse(&mut self, commitment: &Commitment, index: u64) -> Error {
        self.0.accuse(commitment, index)
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.0.settle()
    }

    fn others_left(&self) -> bool {
        self.0.others_left()
    }

    fn suspects(&mut self, commitment: &Commitment) -> Option<Vec<Range<u64>>> {
        self.0.suspects(commitment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Cpu, Labels, suite};
    use crate::params::ScryptParams;

    #[test]
    fn a_watched_backend_passes_the_suite() {
        suite::run(&mut || Box::new(Checked::new(Box::new(Cpu::new(2).unwrap()))));
    }

    #[test]
    fn a_wrong_label_is_named() {
        let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
        let list = [(Commitment([1; 32]), 70), (Commitment([2; 32]), 80)];
        let labels: Vec<Label> =
            list.iter().map(|(c, index)| stored(&reference::full_label(c, *index, scrypt).unwrap())).collect();
        let job = LabelJob { scrypt, labels: Labels::List(&list) };
        assert!(spot_check(&job, &(0..2), &labels, "x").is_ok());
        assert!(spot_check(&job, &(0..0), &[], "x").is_ok());
        let wrong = spot_check(&job, &(1..2), &labels[..1], "x").unwrap_err();
        assert!(matches!(&wrong, Error::Wrong { device, index: 80 } if device == "x"), "{wrong}");
        assert!(wrong.is_fatal());
    }

    #[test]
    fn every_label_of_a_batch_may_be_the_one_that_is_checked() {
        let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
        let job = LabelJob { scrypt, labels: Labels::Range(Commitment([1; 32]), 0..8) };
        // Eight labels, all wrong: the one that is named is the one that was looked at. 300 looks miss one of eight with a
        // chance of 8 · (7/8)^300 < 1e-16.
        let mut seen = [false; 8];
        for _ in 0..300 {
            match spot_check(&job, &(0..8), &[[0; 16]; 8], "x") {
                Err(Error::Wrong { index, .. }) => seen[index as usize] = true,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, [true; 8]);
    }
}
