//! Is a proof valid? The rules of POST.md section 6, in its order; the first one broken is the one reported.

use serde::Serialize;

use crate::backend::{self, Backend, label_list};
use crate::choice::Choice;
use crate::cipher::{MAX_GROUPS, NONCES_PER_GROUP};
use crate::difficulty::{Difficulty, pow_target};
use crate::identity::Commitment;
use crate::index_packing::{packed_len, padding_is_zero, required_bits, unpack};
use crate::label::Label;
use crate::params::{NetworkParams, ParamsError};
use crate::pow::{POW_LIMIT, PowError, PowInput, PowVerifier};
use crate::proof::{Proof, ProofMetadata};
use crate::scan::NonceGroup;

/// Which labels of a proof are recomputed.
#[derive(Clone, Debug)]
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

/// Judges proofs of one network.
pub struct Verifier<'a> {
    params: &'a NetworkParams,
    pow: &'a dyn PowVerifier,
}

/// What rules 1 to 5 leave to be checked.
struct Claim {
    indices: Vec<u64>,
    difficulty: Difficulty,
    group: u8,
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
        let claim = match self.cheap_rules(proof, metadata, mode) {
            Ok(claim) => claim,
            Err(invalid) => return Ok(Err(invalid)),
        };
        let target = pow_target(&self.params.pow_difficulty, metadata.num_units);
        let input = PowInput::new(claim.group, &metadata.challenge, metadata.node_id);
        if !self.pow.verify(&input, proof.pow, &target)? {
            return Ok(Err(Invalid::InvalidPoW {}));
        }
        let positions = self.positions(metadata, mode);
        let commitment = Commitment::new(&metadata.node_id, &metadata.commitment_atx_id);
        let list: Vec<_> = positions.iter().map(|id| (commitment, claim.indices[*id as usize])).collect();
        let labels = label_list(backend, self.params.scrypt, &list)?;

        let group = NonceGroup::new(&metadata.challenge, u32::from(claim.group), proof.pow);
        let lane = (proof.nonce % NONCES_PER_GROUP) as usize;
        let mut checks = positions.iter().zip(&list).zip(&labels);
        Ok(checks
            .try_for_each(|((id, (_, index)), label)| check_hit(&group, lane, *id, *index, label, claim.difficulty)))
    }

    /// Rules 1 to 5: no hash, no label.
    fn cheap_rules(&self, proof: &Proof, metadata: &ProofMetadata, mode: &Mode) -> Result<Claim, Invalid> {
        let NetworkParams { min_units, max_units, labels_per_unit, k1, k2, .. } = *self.params;
        let got = metadata.num_units;
        if got < min_units.max(1) {
            return Err(Invalid::NumUnitsTooSmall { got, min: min_units.max(1) });
        }
        if got > max_units {
            return Err(Invalid::NumUnitsTooLarge { got, max: max_units });
        }
        let nonce_group = proof.nonce / NONCES_PER_GROUP;
        let group = u8::try_from(nonce_group).map_err(|_| Invalid::NonceGroupOutOfBounds { nonce_group })?;
        if proof.pow >= POW_LIMIT {
            return Err(Invalid::PowOutOfRange { pow: proof.pow });
        }
        match *mode {
            Mode::One(position) if position >= k2 => {
                return Err(Invalid::PositionOutOfRange { position, k2 });
            }
            Mode::Subset { k3, .. } if !(1..=k2).contains(&k3) => {
                return Err(Invalid::K3OutOfRange { k3, k2 });
            }
            _ => {}
        }
        let num_labels = u64::from(got).checked_mul(labels_per_unit).ok_or(Invalid::InvalidNumLabels {})?;
        let difficulty = Difficulty::new(k1, num_labels).ok_or(Invalid::InvalidNumLabels {})?;
        let indices = unpack_checked(&proof.indices, num_labels, k2)?;
        Ok(Claim { indices, difficulty, group })
    }

    /// The positions to look at, in the order they are looked at.
    fn positions(&self, metadata: &ProofMetadata, mode: &Mode) -> Vec<u32> {
        let k2 = self.params.k2;
        match mode {
            Mode::One(position) => vec![*position],
            Mode::Subset { k3, seed } if *k3 < k2 => {
                let n = u16::try_from(k2).unwrap_or(u16::MAX);
                let choice = Choice::new(n, &[seed, &metadata.node_id.0, &metadata.challenge.0]);
                choice.take(*k3 as usize).map(u32::from).collect()
            }
            Mode::All | Mode::Subset { .. } => (0..k2).collect(),
        }
    }
}

/// Rule 5.
fn unpack_checked(bytes: &[u8], num_labels: u64, k2: u32) -> Result<Vec<u64>, Invalid> {
    let bits = required_bits(num_labels);
    let expected = packed_len(k2, bits);
    if bytes.len() != expected {
        return Err(Invalid::InvalidIndicesLen { expected, got: bytes.len() });
    }
    if !padding_is_zero(bytes, k2, bits) {
        return Err(Invalid::NonZeroPadding {});
    }
    let indices: Vec<u64> = unpack(bytes, bits).take(k2 as usize).collect();
    for (index_id, &index) in (0..).zip(&indices) {
        if index >= num_labels {
            return Err(Invalid::IndexOutOfRange { index, index_id, num_labels });
        }
    }
    let mut sorted = indices.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Invalid::DuplicateIndex { index: pair[0] }),
        None => Ok(indices),
    }
}

/// Rule 7 for one label.
fn check_hit(
    group: &NonceGroup,
    lane: usize,
    index_id: u32,
    index: u64,
    label: &Label,
    difficulty: Difficulty,
) -> Verdict {
    let msb = group.cipher.encrypt(label)[lane];
    if msb > difficulty.msb {
        return Err(Invalid::InvalidMsb { index, index_id, label: *label, msb, difficulty_msb: difficulty.msb });
    }
    if msb == difficulty.msb {
        let lsb = crate::cipher::lazy_value(&group.lazy[lane].encrypt(label));
        if lsb >= difficulty.lsb {
            return Err(Invalid::InvalidLsb { index, index_id, label: *label, lsb, difficulty_lsb: difficulty.lsb });
        }
    }
    Ok(())
}
