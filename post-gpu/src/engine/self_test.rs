//! A device that computes wrong labels ruins days of work, so each shows first that it can.

use std::ops::Range;

use post_core::backend::{LabelJob, Labels};
use post_core::difficulty::Difficulty;
use post_core::identity::{Challenge, Commitment};
use post_core::label::Label;
use post_core::params::ScryptParams;
use post_core::scan::{NonceGroup, ScanJob, reference};

use super::labels::check;
use super::{Failure, GpuBackend, Trouble};

const COMMITMENT: Commitment = Commitment([0x7e; 32]);

/// Cheap labels over more than a workgroup and 2^32, and a few at the cost that counts.
const STRETCHES: [(u32, Range<u64>); 2] =
    [(16, u32::MAX as u64 - 40..u32::MAX as u64 + 40), (ScryptParams::MAINNET.n, 1 << 40..(1 << 40) + 3)];

impl GpuBackend {
    /// Labels and hits of the device against those of the reference.
    pub(super) fn self_test(&mut self) -> Result<(), Failure> {
        for (n, indices) in STRETCHES {
            let scrypt = ScryptParams { n, r: 1, p: 1 };
            let job = LabelJob { scrypt, labels: Labels::Range(COMMITMENT, indices.clone()) };
            let mut labels = Vec::new();
            self.run_labels(&job, &mut |_, batch| {
                labels.extend_from_slice(batch);
                std::ops::ControlFlow::Continue(())
            })?;
            for (index, label) in indices.zip(labels) {
                check(&job, &(index..index + 1), &[label])?;
            }
        }
        self.test_scan()
    }

    fn test_scan(&mut self) -> Result<(), Failure> {
        // So many that some leave several nonces of a group open, and that there is no room for all hits at once.
        let labels: Vec<Label> = (0..3000_u128).map(|i| (i * 0x0123_4567_89ab_cdef_fedc_ba98).to_le_bytes()).collect();
        let challenge = Challenge([0x3c; 32]);
        let groups = [0, 255].map(|group| NonceGroup::new(&challenge, group, 7));
        // A quarter of all bytes are hits, and the lazy ciphers decide half of those that are equal.
        let difficulty = Difficulty { msb: 64, lsb: 1 << 55 };
        let job = ScanJob { groups: &[&groups[0], &groups[1]], difficulty };
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        reference::scan(&job, 0, &labels, &mut expected);
        self.run_scan(&job, 0, &labels, &mut found)?;
        if found == expected {
            return Ok(());
        }
        let reason = "its hits of the self-test differ from the CPU's; update its driver, or don't use it";
        Err(Trouble::Unavailable { reason: reason.into() }.into())
    }
}
