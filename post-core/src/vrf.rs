//! The VRF nonce: the index of the smallest full label below the threshold (POST.md section 4).
//!
//! Backends give the leading 16 B only. They order labels as the full 32 B do, but for ties, so a label that might be
//! the smallest so far is computed once more in full, here. That happens about ln(labels) times in a whole set.

use serde::{Deserialize, Serialize};

use crate::identity::Commitment;
use crate::label::{FullLabel, Label, reference};
use crate::params::{ParamsError, ScryptParams};

/// A label below the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VrfNonce {
    /// Its index.
    pub index: u64,
    /// All 32 B of it.
    #[serde(with = "hex::serde")]
    pub label: FullLabel,
}

/// The smallest label seen so far. Feed it labels in any order; ties go to the lower index.
#[derive(Clone, Debug)]
pub struct VrfSearch {
    commitment: Commitment,
    scrypt: ScryptParams,
    threshold: FullLabel,
    best: Option<VrfNonce>,
}

impl VrfSearch {
    /// Searches for a label below `threshold` (big endian), starting from what an earlier search found.
    #[must_use]
    pub fn new(commitment: Commitment, scrypt: ScryptParams, threshold: FullLabel, best: Option<VrfNonce>) -> Self {
        Self { commitment, scrypt, threshold, best: best.filter(|best| best.label < threshold) }
    }

    /// Looks at `labels`, the first of which has index `first`.
    ///
    /// # Errors
    /// [`ParamsError`] when the label function is not defined for the parameters this was made with.
    pub fn observe(&mut self, first: u64, labels: &[Label]) -> Result<(), ParamsError> {
        for (offset, label) in labels.iter().enumerate() {
            // `<=`: with equal leading halves only the full labels decide.
            if label[..] <= self.bound()[..label.len()] {
                self.candidate(first + offset as u64)?;
            }
        }
        Ok(())
    }

    /// Looks at one index by computing its full label.
    ///
    /// # Errors
    /// As [`VrfSearch::observe`].
    pub fn candidate(&mut self, index: u64) -> Result<(), ParamsError> {
        let label = reference::full_label(&self.commitment, index, self.scrypt)?;
        let smaller = match &self.best {
            Some(best) => (label, index) < (best.label, best.index),
            None => label < self.threshold,
        };
        if smaller {
            self.best = Some(VrfNonce { index, label });
        }
        Ok(())
    }

    /// What has been found.
    #[must_use]
    pub fn best(&self) -> Option<VrfNonce> {
        self.best
    }

    fn bound(&self) -> &FullLabel {
        self.best.as_ref().map_or(&self.threshold, |best| &best.label)
    }
}
