//! The VRF nonce: the index of the smallest full label below the threshold (POST.md section 4).
//!
//! Backends give the leading 16 B only. They order labels as the full 32 B do, but for ties, so a label that might be
//! the smallest so far is computed once more in full, here. That happens about ln(labels) times in a whole set.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::backend::{self, Backend, LabelJob, Labels};
use crate::identity::Commitment;
use crate::label::{FullLabel, Label, reference, stored};
use crate::params::{ParamsError, ScryptParams};

/// Why a search can't go on.
#[derive(Debug, thiserror::Error)]
pub enum VrfError {
    /// The label function is not defined for the parameters.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A label that might have been the smallest is not the one the CPU computes at its index.
    #[error("the label at index {index} is wrong")]
    Wrong {
        /// Its index.
        index: u64,
    },
}

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
    /// [`VrfError`]. Wrong labels are noticed among candidates only, so most go unseen; all zeros never do.
    pub fn observe(&mut self, first: u64, labels: &[Label]) -> Result<(), VrfError> {
        for (offset, label) in labels.iter().enumerate() {
            // `<=`: with equal leading halves only the full labels decide.
            if label[..] <= self.bound()[..label.len()] {
                let index = first + offset as u64;
                if stored(&self.candidate(index)?) != *label {
                    return Err(VrfError::Wrong { index });
                }
            }
        }
        Ok(())
    }

    /// Looks at one index by computing its full label, which is returned.
    ///
    /// # Errors
    /// [`ParamsError`] when the label function is not defined for the parameters this was made with.
    pub fn candidate(&mut self, index: u64) -> Result<FullLabel, ParamsError> {
        let label = reference::full_label(&self.commitment, index, self.scrypt)?;
        let smaller = match &self.best {
            Some(best) => (label, index) < (best.label, best.index),
            None => label < self.threshold,
        };
        if smaller {
            self.best = Some(VrfNonce { index, label });
        }
        Ok(label)
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

/// The first label from index `from` on that is below the threshold: the nonce of a set that has none, searched past its end.
/// `each` hears after every batch up to which index there is none, and may end the search, which then finds nothing.
///
/// # Errors
/// Every [`backend::Error`]; after [`backend::Error::Wrong`] what was passed by may have been the nonce.
pub fn search_past_end(
    mut search: VrfSearch,
    from: u64,
    backend: &mut dyn Backend,
    each: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<VrfNonce>, backend::Error> {
    let (commitment, scrypt) = (search.commitment, search.scrypt);
    let job = LabelJob { scrypt, labels: Labels::Range(commitment, from..u64::MAX) };
    let mut seen = Ok(());
    let labelled = backend.label(&job, &mut |indices, labels| {
        for (index, label) in indices.clone().zip(labels) {
            seen = search.observe(index, std::slice::from_ref(label));
            if seen.is_err() || search.best().is_some() {
                return ControlFlow::Break(());
            }
        }
        each(indices.end)
    });
    match (seen, labelled) {
        // A lie counts most; what ended the search counts more than a device that failed while it ended.
        (_, Err(error @ backend::Error::Wrong { .. })) => Err(error),
        (Err(VrfError::Wrong { index }), _) => Err(backend.accuse(&commitment, index)),
        (Err(VrfError::Params(error)), _) => Err(error.into()),
        (Ok(()), labelled) if search.best().is_none() => labelled.map(|()| None),
        (Ok(()), _) => Ok(search.best()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(v: &fixtures::VrfVector, threshold: FullLabel) -> VrfSearch {
        VrfSearch::new(Commitment(v.commitment.array()), ScryptParams { n: v.n, r: 1, p: 1 }, threshold, None)
    }

    fn labels(v: &fixtures::VrfVector) -> Vec<Label> {
        let scrypt = ScryptParams { n: v.n, r: 1, p: 1 };
        let full = |index| reference::full_label(&Commitment(v.commitment.array()), index, scrypt).unwrap();
        (v.start..v.end_exclusive).map(|index| stored(&full(index))).collect()
    }

    #[test]
    fn vectors() {
        let vectors = fixtures::vrf_nonces();
        assert_eq!(vectors.len(), 10);
        for v in &vectors {
            let labels = labels(v);
            assert_eq!(blake3::hash(labels.as_flattened()).as_bytes(), &v.labels_blake3.array());
            // No threshold means that nobody searched.
            let Some(threshold) = &v.vrf_difficulty else { continue };
            for batch in [1, 7, labels.len()] {
                let mut search = search(v, threshold.array());
                for (i, labels) in labels.chunks(batch).enumerate() {
                    search.observe(v.start + (i * batch) as u64, labels).unwrap();
                }
                assert_eq!(search.best().map(|best| best.index), v.nonce);
                assert_eq!(search.best().map(|best| best.label), v.nonce_label.as_ref().map(|label| label.array()));
            }
        }
    }

    #[test]
    fn a_wrong_label_among_the_candidates_is_noticed() {
        let v = &fixtures::vrf_nonces()[0];
        let mut labels = labels(v);
        labels[17] = [0; 16];
        let wrong = search(v, [0xff; 32]).observe(v.start, &labels);
        assert!(matches!(wrong, Err(VrfError::Wrong { index }) if index == v.start + 17));
    }

    #[test]
    fn of_equal_labels_the_lower_index_stays() {
        let v = &fixtures::vrf_nonces()[0];
        let nonce = v.nonce.unwrap();
        let same = VrfNonce { index: nonce + 1, label: v.nonce_label.as_ref().unwrap().array() };
        let mut search = VrfSearch { best: Some(same), ..search(v, [0xff; 32]) };
        search.candidate(nonce).unwrap();
        assert_eq!(search.best().unwrap().index, nonce);
    }
}
