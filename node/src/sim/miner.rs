//! What a miner needs around its node: a prover and a PoET. Their work costs nothing here, and the world's judge takes
//! every proof of space for good.

use std::collections::BTreeMap;

use post_core::index_packing::{packed_len, required_bits};
use post_core::proof::Proof;

use crate::ids::{Challenge, Epoch, NodeId, PoetChallenge};
use crate::params::NodeParams;
use crate::poet::{Members, PoetProof, Prover};
use crate::smeshing::{PoetCommand, PoetEvent, ProverMetadata};
use crate::time::Time;

/// Leaves of a round; enough for the ticks of one.
const LEAVES: u64 = 4;

/// What a prover with so many units says of itself.
pub(super) fn metadata(params: &NodeParams, node_id: NodeId, units: u32) -> ProverMetadata {
    let labels_per_unit = params.post.labels_per_unit;
    ProverMetadata { node_id, commitment_atx: params.golden_atx(), units, labels_per_unit, nonce: Some(7) }
}

/// A proof of the right shape.
pub(super) fn proof(params: &NodeParams, node_id: NodeId, units: u32, challenge: Challenge) -> Proof {
    let labels = u64::from(units).saturating_mul(params.post.labels_per_unit);
    let mut indices = vec![0; packed_len(params.post.k2, required_bits(labels))];
    let mut hasher = blake3::Hasher::new_keyed(&challenge.0);
    hasher.update(&node_id.0).update(&units.to_le_bytes()).finalize_xof().fill(&mut indices);
    Proof { nonce: 3, indices, pow: 5 }
}

/// The only PoET there is.
#[derive(Default)]
pub(super) struct Poet {
    rounds: BTreeMap<Epoch, BTreeMap<NodeId, PoetChallenge>>,
    results: BTreeMap<Epoch, (PoetProof, Vec<PoetChallenge>)>,
}

impl Poet {
    /// Answers at once.
    pub(super) fn ask(&mut self, now: Time, params: &NodeParams, command: PoetCommand) -> PoetEvent {
        match command {
            PoetCommand::Submit { node_id, round, challenge, .. } => {
                let members = self.rounds.entry(round).or_default();
                if members.get(&node_id) == Some(&challenge) {
                    return PoetEvent::Registered { node_id, round, challenge };
                }
                if now >= params.timing.round_opens(round) || members.contains_key(&node_id) {
                    let why = "closed, or another one is registered".into();
                    return PoetEvent::Refused { node_id, round, challenge, retryable: false, why };
                }
                members.insert(node_id, challenge);
                PoetEvent::Registered { node_id, round, challenge }
            }
            PoetCommand::Fetch { round } => {
                if now < params.timing.round_ends(round) {
                    return PoetEvent::NotYet { round };
                }
                match self.result(round) {
                    Some((proof, members)) => PoetEvent::Result { round, proof, members },
                    None => PoetEvent::NoResult { round, why: "nobody registered".into() },
                }
            }
        }
    }

    fn result(&mut self, round: Epoch) -> Option<(PoetProof, Vec<PoetChallenge>)> {
        if let Some(result) = self.results.get(&round) {
            return Some(result.clone());
        }
        let members: Vec<_> = self.rounds.get(&round)?.values().copied().collect();
        let mut prover = Prover::new(Members::new(&members).ok()?.root());
        prover.work(LEAVES);
        let result = (prover.prove()?, members);
        self.results.insert(round, result.clone());
        Some(result)
    }
}
