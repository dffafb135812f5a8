//! Whose labels a file holds. What is wrong under these parameters may be right under others, those of another miner or of
//! another network, and nobody wants it written over.

use std::collections::BTreeSet;

use super::compare::Oracle;
use super::{CheckError, Found, Run};
use crate::label::{LABEL_BYTES, Label};
use crate::plan::Layout;

/// Labels that are looked at of a file that no journal vouches for.
const SPOT_CHECKS: u64 = 64;

/// Labels that are looked at of every other file, when that file alone does not tell.
const SPOT_CHECKS_ELSEWHERE: u64 = 8;

/// What some labels of a file are.
#[derive(Default)]
struct Sample {
    right: usize,
    /// Neither right nor zeros, which are a hole or a device's failure: nobody's labels.
    other: usize,
}

impl Run<'_> {
    /// Whether a file may be repaired: a journal vouches for it, or some of its labels are right. Where it only has holes,
    /// a label of another file has to be right: else the parameters may be wrong, and not the labels.
    pub(super) fn is_ours(&mut self, file: u32, oracle: &mut Oracle<'_>) -> Result<bool, CheckError> {
        if self.files[&file].is_ours {
            return Ok(true);
        }
        if let Some(known) = self.ours.get(&file) {
            return Ok(*known);
        }
        let sample = self.sample(file, SPOT_CHECKS, oracle)?;
        let ours = sample.right > 0 || (sample.other == 0 && self.set_checks_out(oracle)?);
        if !ours {
            let place = format!("{} in {}", Layout::file_name(file), self.drive_of(file).name());
            let reason = match sample.other {
                0 => "no label of the whole set that was looked at is right",
                _ => "none of its labels that were looked at is one of this set",
            };
            (self.found)(Found::Note(format!(
                "{place} is not repaired: {reason}, and no journal says that it was made here; check --network, and if it is not another set's, move it away and run init"
            )));
        }
        self.ours.insert(file, ours);
        Ok(ours)
    }

    /// Whether any label of the set is right, as far as a few of each file tell.
    fn set_checks_out(&mut self, oracle: &mut Oracle<'_>) -> Result<bool, CheckError> {
        if let Some(known) = self.checks_out {
            return Ok(known);
        }
        let files: Vec<u32> = self.files.keys().copied().collect();
        let mut checks_out = false;
        for file in files {
            checks_out |= self.sample(file, SPOT_CHECKS_ELSEWHERE, oracle)?.right > 0;
            if checks_out {
                break;
            }
        }
        self.checks_out = Some(checks_out);
        Ok(checks_out)
    }

    /// Looks at some labels of a file, its first and last ones and others evenly between; at those that can be read.
    fn sample(&self, file: u32, count: u64, oracle: &mut Oracle<'_>) -> Result<Sample, CheckError> {
        let labels = self.indices(file);
        let last = u128::from(labels.end - 1 - labels.start);
        let at = |i: u64| labels.start + (last * u128::from(i) / u128::from(count - 1)) as u64;
        let indices: BTreeSet<u64> = (0..count).map(at).collect();
        let read = |index: u64| {
            let mut found: Label = [0; LABEL_BYTES];
            let offset = (index - labels.start) * LABEL_BYTES as u64;
            self.drive_of(file).read_at(file, offset, &mut found).ok().map(|()| (index, found))
        };
        let (indices, found): (Vec<u64>, Vec<Label>) = indices.into_iter().filter_map(read).unzip();
        let truth = oracle.truth(&indices)?;
        let mut sample = Sample::default();
        for (found, truth) in found.iter().zip(&truth) {
            sample.right += usize::from(found == truth);
            sample.other += usize::from(found != truth && *found != [0; LABEL_BYTES]);
        }
        Ok(sample)
    }
}
