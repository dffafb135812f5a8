//! Lies about the beacon.

use crate::beacon::BeaconMessage;
use crate::codec::{decode, encode};
use crate::signature::Signer;
use crate::sim::rng::Rng;

/// A vote for other proposals in the same round: one less, or one more.
pub(super) fn other(signer: &Signer, rng: &mut Rng, bytes: &[u8]) -> Option<Vec<u8>> {
    let Ok(BeaconMessage::Vote(mut vote)) = decode(bytes) else { return None };
    if vote.sender != signer.node_id() {
        return None;
    }
    if vote.support.is_empty() || rng.chance(200) {
        vote.support.push(rng.number().to_le_bytes());
        vote.support.sort_unstable();
    } else {
        vote.support.remove(rng.below(vote.support.len() as u64) as usize);
    }
    vote.sign(signer);
    Some(encode(&BeaconMessage::Vote(vote)))
}

/// A draw that is none, a vote of a round that is not there yet.
pub(super) fn boast(signer: &Signer, rng: &mut Rng, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut message = decode(bytes).ok()?;
    match &mut message {
        BeaconMessage::Proposal { proof, .. } => proof.0[rng.below(8) as usize] = 0,
        BeaconMessage::Vote(vote) => {
            if rng.chance(500) {
                vote.round = vote.round.saturating_add(1);
            } else {
                vote.coin.0[0] = 0;
            }
            vote.sign(signer);
        }
    }
    Some(encode(&message))
}
