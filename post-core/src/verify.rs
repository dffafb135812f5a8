//! Is a proof valid? The rules of POST.md section 6, in its order; the first one broken is the one reported.

mod claim;
mod hits;

use std::collections::HashMap;

use serde::Serialize;

use self::claim::Claim;
use crate::backend::{self, Backend};
use crate::cipher::MAX_GROUPS;
use crate::label::Label;
use crate::params::{NetworkParams, ParamsError};
use crate::pow::{PowClaim, PowError, PowVerifier};
use crate::proof::{Proof, ProofMetadata};

/// Which labels of a proof are recomputed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// All K2.
    All,
    /// The one at this position in the proof, from 0.
    One(u32),
    /// Some, chosen by a seed of any length that the prover could not know.
    Subset {
        /// How many, 1 … K2.
        k3: u32,
        /// The verifier's own.
        seed: Vec<u8>,
    },
}

/// The rule that a proof breaks. As JSON: `{"kind": …, fields …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind")]
#[allow(missing_docs)]
pub enum Invalid {
    /// Rule 1.
    #[error("{got} units are fewer than the network's {min}")]
    NumUnitsTooSmall { got: u32, min: u32 },
    /// Rule 1.
    #[error("{got} units are more than the network's {max}")]
    NumUnitsTooLarge { got: u32, max: u32 },
    /// Rule 2.
    #[error("nonce group {nonce_group} does not exist, the last one is {}", MAX_GROUPS - 1)]
    NonceGroupOutOfBounds { nonce_group: u32 },
    /// Rule 2: only 7 bytes of a pow are hashed, so an eighth would be free to choose.
    #[error("pow {pow} is not below 2^56")]
    PowOutOfRange { pow: u64 },
    /// Rule 3.
    #[error("position {position} is not in the proof, which has {k2}")]
    PositionOutOfRange { position: u32, k2: u32 },
    /// Rule 3.
    #[error("{k3} of {k2} indices can't be checked, 1 to {k2} can")]
    K3OutOfRange { k3: u32, k2: u32 },
    /// Rule 4.
    #[error("the number of labels is too large to count, or not above k1")]
    InvalidNumLabels {},
    /// Rule 5.
    #[error("the packed indices have {got} bytes instead of {expected}")]
    InvalidIndicesLen { expected: usize, got: usize },
    /// Rule 5.
    #[error("the bits after the last index are not all zero")]
    NonZeroPadding {},
    /// Rule 5.
    #[error("index {index} at position {index_id} is not below the number of labels, {num_labels}")]
    IndexOutOfRange { index: u64, index_id: u32, num_labels: u64 },
    /// Rule 5.
    #[error("index {index} occurs more than once")]
    DuplicateIndex { index: u64 },
    /// Rule 6.
    #[error("the k2pow does not meet its target")]
    InvalidPoW {},
    /// Rule 7.
    #[error("label {index} (position {index_id}) misses: its byte is {msb}, above {difficulty_msb}")]
    InvalidMsb {
        index: u64,
        index_id: u32,
        #[serde(serialize_with = "hex::serialize")]
        label: Label,
        msb: u8,
        difficulty_msb: u8,
    },
    /// Rule 7.
    #[error("label {index} (position {index_id}) misses: its low bits are {lsb}, not below {difficulty_lsb}")]
    InvalidLsb {
        index: u64,
        index_id: u32,
        #[serde(serialize_with = "hex::serialize")]
        label: Label,
        lsb: u64,
        difficulty_lsb: u64,
    },
}

/// Why a proof could not be judged; nothing is said about the proof.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Rule 0: the configuration.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// RandomX can't be set up.
    #[error(transparent)]
    Pow(#[from] PowError),
    /// The labels can't be computed.
    #[error(transparent)]
    Backend(#[from] backend::Error),
}

/// `Ok(())` for a valid proof, else the first rule it breaks.
pub type Verdict = Result<(), Invalid>;

/// A proof to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Job<'a> {
    /// The proof.
    pub proof: &'a Proof,
    /// What it is about.
    pub metadata: &'a ProofMetadata,
    /// Which of its labels are recomputed.
    pub mode: &'a Mode,
}

/// Judges proofs of one network.
pub struct Verifier<'a> {
    params: &'a NetworkParams,
    pow: &'a dyn PowVerifier,
}

impl<'a> Verifier<'a> {
    /// Rule 0 is checked here. `pow` is asked only for proofs that pass the cheap rules.
    ///
    /// # Errors
    /// [`ParamsError`].
    pub fn new(params: &'a NetworkParams, pow: &'a dyn PowVerifier) -> Result<Self, ParamsError> {
        params.check()?;
        Ok(Self { params, pow })
    }

    /// Judges one proof; labels are recomputed on `backend`.
    ///
    /// # Errors
    /// [`VerifyError`] when no verdict is possible.
    pub fn verify(
        &self,
        proof: &Proof,
        metadata: &ProofMetadata,
        mode: &Mode,
        backend: &mut dyn Backend,
    ) -> Result<Verdict, VerifyError> {
        let verdicts = self.verify_batch(&[Job { proof, metadata, mode }], backend)?;
        // One job has one verdict.
        Ok(verdicts.into_iter().collect())
    }

    /// Judges many proofs, of any miners, for any challenges, in any modes: each gets the verdict that it gets alone, in the
    /// order of `jobs`. Memory is a small multiple of theirs.
    ///
    /// The cheap rules go first, for all. Then the k2pows: a proof that has come so far costs one hash in any case, because
    /// whether rule 6 holds must be known before rule 7 may be named. So labels are computed only where the pow holds, and
    /// junk without a pow costs no label. Equal proofs, and equal pows of different proofs, are computed once.
    ///
    /// A label that misses and that a device other than the CPU computed is computed once more: wrong labels of a device
    /// whose place others can take change no verdict.
    ///
    /// # Errors
    /// [`VerifyError`] when no verdict is possible, of any.
    pub fn verify_batch(&self, jobs: &[Job<'_>], backend: &mut dyn Backend) -> Result<Vec<Verdict>, VerifyError> {
        let (distinct, places) = distinct(jobs);
        let mut verdicts = vec![Ok(()); distinct.len()];
        let mut claims = Vec::new();
        for (number, job) in distinct.iter().enumerate() {
            match Claim::new(self.params, job) {
                Ok(claim) => claims.push((number, claim)),
                Err(invalid) => verdicts[number] = Err(invalid),
            }
        }
        let pows = self.judge_pows(claims.iter().map(|(_, claim)| claim.pow).collect())?;
        claims.retain(|(number, claim)| {
            let holds = pows.get(&claim.pow).copied().unwrap_or(false);
            if !holds {
                verdicts[*number] = Err(Invalid::InvalidPoW {});
            }
            holds
        });
        let by_labels = hits::judge(claims.iter().map(|(_, claim)| claim), self.params.scrypt, backend)?;
        for ((number, _), verdict) in claims.iter().zip(by_labels) {
            verdicts[*number] = verdict;
        }
        Ok(places.into_iter().map(|number| verdicts[number].clone()).collect())
    }

    /// Rule 6 for each of `pows`; equal ones are hashed once.
    fn judge_pows(&self, mut pows: Vec<PowClaim>) -> Result<HashMap<PowClaim, bool>, PowError> {
        pows.sort_unstable();
        pows.dedup();
        let hold = self.pow.verify_all(&pows)?;
        Ok(pows.into_iter().zip(hold).collect())
    }
}

/// The jobs that differ, and for each of `jobs` its place among them.
fn distinct<'a>(jobs: &[Job<'a>]) -> (Vec<Job<'a>>, Vec<usize>) {
    let mut known = HashMap::new();
    let mut distinct = Vec::new();
    let place = |job: &Job<'a>| {
        *known.entry(*job).or_insert_with(|| {
            distinct.push(*job);
            distinct.len() - 1
        })
    };
    let places = jobs.iter().map(place).collect();
    (distinct, places)
}
