//! One label after the other, as the rule reads. What faster scans are judged by.

use super::{Hit, ScanJob};
use crate::label::Label;

/// Appends the hits of `labels`, the first of which has index `first`.
pub fn scan(job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) {
    for (index, label) in (first..).zip(labels) {
        for group in job.groups {
            let encrypted = group.cipher.encrypt(label);
            for lane in 0..encrypted.len() {
                if group.is_hit(lane, label, &encrypted, job.difficulty) {
                    hits.push(group.hit(lane, index));
                }
            }
        }
    }
}
