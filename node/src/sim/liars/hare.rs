//! Lies in Hare.

use crate::codec::{decode, encode};
use crate::hare::{HareMessage, Value};
use crate::ids::BallotId;
use crate::signature::Signer;
use crate::sim::rng::Rng;

fn own(signer: &Signer, bytes: &[u8]) -> Option<HareMessage> {
    decode::<HareMessage>(bytes).ok().filter(|message| message.sender == signer.node_id())
}

/// Another value for the same round: some of the proposals, one that nobody made, a set that nobody proposed.
pub(super) fn other(signer: &Signer, rng: &mut Rng, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut message = own(signer, bytes)?;
    match &mut message.value {
        Value::Proposals(proposals) if !proposals.is_empty() && rng.chance(700) => {
            proposals.remove(rng.below(proposals.len() as u64) as usize);
        }
        Value::Proposals(proposals) => {
            let mut id = BallotId([0; 20]);
            id.0.copy_from_slice(&rng.bytes()[..20]);
            proposals.push(id);
            proposals.sort_unstable();
        }
        Value::Reference(hash) => *hash = rng.bytes(),
    }
    message.sign(signer);
    Some(encode(&message))
}

/// More seats than were drawn, or a draw of another round.
pub(super) fn boast(signer: &Signer, rng: &mut Rng, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut message = own(signer, bytes)?;
    match rng.below(3) {
        0 => message.seats = message.seats.saturating_add(1 + rng.below(200) as u16),
        1 => message.proof.0[0] ^= 1,
        _ => message.at.iteration = message.at.iteration.saturating_add(1),
    }
    message.sign(signer);
    Some(encode(&message))
}
