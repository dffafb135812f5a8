//! Lies in ballots and proposals.

use crate::ballot::{Proposal, Slot, Vote};
use crate::codec::{decode, encode};
use crate::ids::{AtxId, TxId};
use crate::signature::Signer;
use crate::sim::rng::Rng;
use crate::vrf::VrfProof;

fn own(signer: &Signer, bytes: &[u8]) -> Option<Proposal> {
    decode::<Proposal>(bytes).ok().filter(|proposal| proposal.ballot.smesher == signer.node_id())
}

fn signed(signer: &Signer, mut proposal: Proposal) -> Vec<u8> {
    proposal.ballot.content = proposal.content.hash();
    proposal.ballot.sign(signer);
    encode(&proposal)
}

/// A second ballot for the same slots, and whether it is sound by itself: with another content it is, with votes that
/// don't fit its opinion it isn't.
pub(super) fn other(signer: &Signer, rng: &mut Rng, bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut proposal = own(signer, bytes)?;
    let flipped = match proposal.ballot.differences.last_mut() {
        Some(last) if rng.chance(500) => {
            last.vote = if last.vote == Vote::Empty { Vote::Abstain } else { Vote::Empty };
            true
        }
        _ => false,
    };
    if !flipped && proposal.content.atxs.pop().is_none() && proposal.content.txs.pop().is_none() {
        proposal.content.txs.push(TxId(rng.bytes()));
    }
    Some((signed(signer, proposal), !flipped))
}

/// A ballot that claims a right it doesn't have, or names what isn't there.
pub(super) fn boast(signer: &Signer, rng: &mut Rng, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut proposal = own(signer, bytes)?;
    let ballot = &mut proposal.ballot;
    match rng.below(7) {
        // A slot that was never drawn.
        0 => {
            let counter = ballot.slots.last().map_or(0, |last| last.counter.saturating_add(1));
            ballot.slots.push(Slot { counter, proof: VrfProof([rng.below(256) as u8; 80]) });
        }
        // The slot of this layer in the next one.
        1 => ballot.layer = ballot.layer.next(),
        // More slots than there are, had the network so little weight.
        2 => ballot.total_weight = (ballot.total_weight / 2).max(1),
        3 => ballot.total_weight = ballot.total_weight.saturating_mul(2),
        4 => ballot.beacon.0[0] ^= 1,
        // Opinion and votes don't fit together.
        5 => ballot.opinion.0[0] ^= 1,
        _ => {
            proposal.content.atxs.push(AtxId(rng.bytes()));
            proposal.content.atxs.sort_unstable();
        }
    }
    Some(signed(signer, proposal))
}
