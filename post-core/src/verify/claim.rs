//! Rules 1 to 5: what can be said of a proof without a hash or a label, and what is left to be checked.

use super::{Invalid, Job, Mode};
use crate::choice::Choice;
use crate::cipher::NONCES_PER_GROUP;
use crate::difficulty::{Difficulty, pow_target};
use crate::identity::{Challenge, Commitment};
use crate::index_packing::{packed_len, padding_is_zero, required_bits, unpack};
use crate::params::NetworkParams;
use crate::pow::{POW_LIMIT, PowClaim, PowInput};
use crate::proof::ProofMetadata;

/// What rules 1 to 5 leave to be checked.
pub(super) struct Claim {
    /// Rule 6.
    pub(super) pow: PowClaim,
    /// Rule 7: whose labels.
    pub(super) commitment: Commitment,
    /// Positions in the proof and the label indices there, in the order they are looked at.
    pub(super) picks: Vec<(u32, u64)>,
    /// What they must hit.
    pub(super) challenge: Challenge,
    pub(super) nonce: u32,
    pub(super) difficulty: Difficulty,
}

impl Claim {
    /// Rules 1 to 5, in their order.
    ///
    /// # Errors
    /// The first rule broken.
    pub(super) fn new(params: &NetworkParams, job: &Job<'_>) -> Result<Self, Invalid> {
        let Job { proof, metadata, mode } = *job;
        let NetworkParams { min_units, max_units, labels_per_unit, k1, k2, .. } = *params;
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
        Ok(Self {
            pow: PowClaim {
                input: PowInput::new(group, &metadata.challenge, metadata.node_id),
                pow: proof.pow,
                target: pow_target(&params.pow_difficulty, got),
            },
            commitment: Commitment::new(&metadata.node_id, &metadata.commitment_atx_id),
            picks: positions(k2, metadata, mode).map(|position| (position, indices[position as usize])).collect(),
            challenge: metadata.challenge,
            nonce: proof.nonce,
            difficulty,
        })
    }
}

/// The positions to look at, in the order they are looked at.
fn positions(k2: u32, metadata: &ProofMetadata, mode: &Mode) -> Box<dyn Iterator<Item = u32>> {
    match mode {
        Mode::One(position) => Box::new(std::iter::once(*position)),
        Mode::Subset { k3, seed } if *k3 < k2 => {
            let n = u16::try_from(k2).unwrap_or(u16::MAX);
            let choice = Choice::new(n, &[seed, &metadata.node_id.0, &metadata.challenge.0]);
            Box::new(choice.take(*k3 as usize).map(u32::from))
        }
        Mode::All | Mode::Subset { .. } => Box::new(0..k2),
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
