//! What is drawn for a beacon, and what comes of it.

use super::message::Candidate;
use crate::codec::{Scale, encode, put_bytes};
use crate::ids::{Beacon, Epoch, GenesisId};
use crate::vrf::VrfProof;

/// What stands before the message of each kind of draw.
const PROPOSAL: u8 = 1;
const COIN: u8 = 4;

/// What a miner draws from to propose.
pub(super) fn proposal_message(epoch: Epoch, vrf_nonce: u64) -> Vec<u8> {
    let mut out = Vec::new();
    PROPOSAL.encode_to(&mut out);
    put_bytes(&mut out, b"beacon proposal");
    epoch.encode_to(&mut out);
    vrf_nonce.encode_to(&mut out);
    out
}

/// What a voter draws the coin of a round from. The VRF nonce is dear to change; keys are not.
pub(super) fn coin_message(epoch: Epoch, round: u8, vrf_nonce: u64) -> Vec<u8> {
    let mut out = Vec::new();
    COIN.encode_to(&mut out);
    epoch.encode_to(&mut out);
    round.encode_to(&mut out);
    vrf_nonce.encode_to(&mut out);
    out
}

/// Who is drawn to propose.
#[derive(Clone, Copy, Debug)]
pub(super) enum Odds {
    /// Everyone.
    All,
    /// Whose draw is below this.
    Below(u64),
}

impl Odds {
    /// For `candidates` proposals among so many miners, as expected.
    pub(super) fn new(candidates: u32, miners: usize) -> Self {
        // Of 2^64; it does not fit when everyone is drawn.
        let share = (u128::from(candidates) << 64).checked_div(miners as u128);
        share.and_then(|share| u64::try_from(share).ok()).map_or(Self::All, Self::Below)
    }

    pub(super) fn draws(self, proof: &VrfProof) -> bool {
        match self {
            Self::All => true,
            Self::Below(end) => proof.number(0) < end,
        }
    }
}

/// What names a proposal.
pub(super) fn candidate(proof: &VrfProof) -> Candidate {
    let mut candidate = [0; 8];
    candidate.copy_from_slice(&proof.0[..8]);
    candidate
}

fn first_bytes(hash: blake3::Hash) -> Beacon {
    let [a, b, c, d, ..] = *hash.as_bytes();
    Beacon([a, b, c, d])
}

/// The beacon that candidates, given ascending, make.
pub(super) fn beacon_of(candidates: &[Candidate]) -> Beacon {
    first_bytes(blake3::hash(candidates.as_flattened()))
}

/// The beacon of the epochs up to the first in which miners have weight: nobody could vote on it.
#[must_use]
pub fn genesis_beacon(genesis: GenesisId) -> Beacon {
    first_bytes(blake3::hash(&genesis.0))
}

/// The beacon of an epoch for which none was agreed on: another than the last one, and the same for everyone.
#[must_use]
pub fn fallback(epoch: Epoch, last: Beacon) -> Beacon {
    first_bytes(blake3::hash(&[encode(&epoch), last.0.to_vec()].concat()))
}
