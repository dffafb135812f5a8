//! The ATX that comes out of a cycle.

use super::io::OwnAtx;
use super::record::{Plan, SpaceProof, Ticket};
use crate::atx::{Atx, Initial, NiPost, Received, SubPost, SyntaxError};
use crate::ids::{Address, NodeId, Signature};
use crate::signature::Signer;

/// What an ATX is made of.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) ticket: &'a Ticket,
    pub(super) proof: &'a SpaceProof,
    /// Of a miner without an ATX.
    pub(super) initial: Option<&'a SpaceProof>,
    pub(super) coinbase: Address,
}

/// Builds and signs the ATX.
///
/// # Errors
/// The parts don't make an ATX that others would take.
pub(super) fn build(parts: &Parts<'_>, signer: &Signer) -> Result<Received, SyntaxError> {
    let Parts { plan, ticket, proof, initial, coinbase } = *parts;
    let post = SubPost {
        marriage_index: 0,
        previous_index: 0,
        leaf_index: ticket.leaf_index,
        post: proof.post.clone(),
        num_units: proof.units,
    };
    let nipost = NiPost { membership: ticket.membership.clone(), challenge: ticket.poet, posts: vec![post] };
    let initial = initial.filter(|_| plan.is_initial());
    let mut atx = Atx {
        publish_epoch: plan.publish_epoch(),
        positioning_atx: plan.positioning,
        coinbase,
        initial: initial.map(|initial| Initial { commitment_atx: initial.commitment_atx, post: initial.post.clone() }),
        previous_atxs: if plan.is_initial() { vec![] } else { vec![plan.previous] },
        niposts: vec![nipost],
        vrf_nonce: proof.vrf_nonce,
        marriages: vec![],
        marriage_atx: None,
        smesher: NodeId([0; 32]),
        signature: Signature([0; 64]),
    };
    atx.check()?;
    atx.sign(signer);
    Ok(atx.into())
}

/// What the next ATX has to know of one of ours; `last` is the one before it.
pub(super) fn own(atx: &Received, last: Option<&OwnAtx>) -> Option<OwnAtx> {
    let Received { atx, id, .. } = atx;
    let commitment_atx = match (&atx.initial, last) {
        (Some(initial), _) => initial.commitment_atx,
        (None, Some(last)) => last.commitment_atx,
        (None, None) => return None,
    };
    let units = atx.niposts.iter().flat_map(|nipost| &nipost.posts).map(|post| post.num_units).next()?;
    Some(OwnAtx { id: *id, publish_epoch: atx.publish_epoch, units, vrf_nonce: atx.vrf_nonce, commitment_atx })
}
