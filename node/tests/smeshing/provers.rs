//! Provers that make proofs nobody but the world's judge would take.

use node::ids::{AtxId, Challenge, NodeId};
use node::params::NodeParams;
use node::smeshing::ProverMetadata;
use post_core::index_packing::{packed_len, required_bits};
use post_core::proof::Proof;

/// A miner's prover, and what the shell keeps for it.
#[derive(Clone, Debug)]
pub(crate) struct FakeProver {
    pub(crate) metadata: ProverMetadata,
    pub(crate) there: bool,
    /// What the node wants; forgotten when the node dies.
    pub(crate) wanted: Option<Challenge>,
    /// What it is at or has last made. It goes on when it was away.
    pub(crate) job: Option<Challenge>,
    /// So many times it fails before it proves.
    pub(crate) failures: u32,
    pub(crate) proving_ms: u64,
}

impl FakeProver {
    pub(crate) fn new(node_id: NodeId, commitment_atx: AtxId, units: u32, params: &NodeParams) -> Self {
        let labels_per_unit = params.post.labels_per_unit;
        let metadata = ProverMetadata { node_id, commitment_atx, units, labels_per_unit, nonce: Some(7) };
        Self { metadata, there: true, wanted: None, job: None, failures: 0, proving_ms: 1000 }
    }
}

/// The one proof that holds for a challenge.
pub(crate) fn proof(challenge: Challenge, node_id: NodeId, units: u32, params: &NodeParams) -> Proof {
    let len = packed_len(params.post.k2, required_bits(u64::from(units) * params.post.labels_per_unit));
    let mut hasher = blake3::Hasher::new();
    hasher.update(&challenge.0).update(&node_id.0).update(&units.to_le_bytes());
    let mut indices = vec![0; len];
    hasher.finalize_xof().fill(&mut indices);
    Proof { nonce: 3, indices, pow: 5 }
}
