//! What goes into the machine, what comes out, and what it asks of the rest of the node.

use post_core::proof::Proof;

use super::warning::Warning;
use crate::archive::Write;
use crate::atx::Received;
use crate::ids::{AtxId, Challenge, Epoch, NodeId, PoetChallenge, Signature};
use crate::poet::PoetProof;

/// What a prover says it holds (POST.md section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProverMetadata {
    /// The miner.
    pub node_id: NodeId,
    /// The ATX the data is bound to.
    pub commitment_atx: AtxId,
    /// Space units.
    pub units: u32,
    /// Labels in a unit.
    pub labels_per_unit: u64,
    /// The VRF nonce; `None` while the prover does not know it.
    pub nonce: Option<u64>,
}

/// What comes from the provers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProverEvent {
    /// A prover is there, or says something new about itself.
    Registered(ProverMetadata),
    /// It is gone.
    Gone {
        /// Whose it was.
        node_id: NodeId,
    },
    /// A proof is made.
    Proof {
        /// Whose prover.
        node_id: NodeId,
        /// What it answers.
        challenge: Challenge,
        /// The proof.
        proof: Proof,
        /// What the prover held when it made the proof.
        metadata: ProverMetadata,
    },
    /// There is no proof, and nobody is working on it.
    Failed {
        /// Whose prover.
        node_id: NodeId,
        /// What it was asked for.
        challenge: Challenge,
        /// The reason, for the operator.
        why: String,
    },
}

impl ProverEvent {
    /// Whose prover it comes from.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        match self {
            Self::Registered(metadata) => metadata.node_id,
            Self::Gone { node_id } | Self::Proof { node_id, .. } | Self::Failed { node_id, .. } => *node_id,
        }
    }
}

/// What comes from the PoET. Each [`PoetCommand`] is answered by one of these; when it isn't, it is given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoetEvent {
    /// A challenge is among the members of a round.
    Registered {
        /// Whose.
        node_id: NodeId,
        /// The round the PoET took it into.
        round: Epoch,
        /// Which.
        challenge: PoetChallenge,
    },
    /// A challenge was not taken, or the PoET can't be reached.
    Refused {
        /// Whose.
        node_id: NodeId,
        /// The round.
        round: Epoch,
        /// Which.
        challenge: PoetChallenge,
        /// Whether it may go better soon; otherwise it is tried again, but seldom.
        retryable: bool,
        /// The reason, for the operator.
        why: String,
    },
    /// What came out of a round. The machine checks it.
    Result {
        /// The round.
        round: Epoch,
        /// The proof of elapsed time.
        proof: PoetProof,
        /// All challenges that registered, in the PoET's order.
        members: Vec<PoetChallenge>,
    },
    /// The round's output isn't there yet.
    NotYet {
        /// The round.
        round: Epoch,
    },
    /// The round's output can't be had: the PoET can't be reached, or answers garbage.
    NoResult {
        /// The round.
        round: Epoch,
        /// The reason, for the operator.
        why: String,
    },
}

/// What happens to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passes. The machine moves on at ticks, one step of the cycle each: give one every second or more often, and
    /// several in the shortest of the network's times.
    Tick,
    /// From the provers.
    Prover(ProverEvent),
    /// From the PoET.
    Poet(PoetEvent),
    /// This node has judged an ATX that one of its miners published; others are passed over. An ATX that was known
    /// already is `ok`.
    AtxJudged {
        /// Which.
        id: AtxId,
        /// Whether it is valid, kept and on its way to others.
        ok: bool,
        /// The rule it breaks, for the operator; empty when it is valid.
        why: String,
    },
}

/// What the PoET shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoetCommand {
    /// Take a challenge into a round. The same one may come again.
    Submit {
        /// Whose.
        node_id: NodeId,
        /// The round.
        round: Epoch,
        /// Which.
        challenge: PoetChallenge,
        /// The miner's, over the challenge ([`crate::signature::Domain::Poet`]).
        signature: Signature,
    },
    /// Say what came out of a round.
    Fetch {
        /// The round.
        round: Epoch,
    },
}

/// What the shell shall do, in this order, and nothing before what comes first is done.
// A step has a handful of them.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keep this. The first of a step's effects, and at most one; if it can't be done, nothing after it may be, and the
    /// machine must be restored from the archive.
    Persist(Vec<Write>),
    /// Ask a miner's prover for a proof, until it answers. A second demand for the same challenge changes nothing, one
    /// for another challenge takes the first one's place.
    AskProof {
        /// Whose.
        node_id: NodeId,
        /// What the proof answers; zeros for an initial post.
        challenge: Challenge,
    },
    /// Nobody waits for the miner's proof any longer.
    CancelProof {
        /// Whose.
        node_id: NodeId,
    },
    /// For the PoET.
    Poet(PoetCommand),
    /// Judge this ATX of ours like any other, keep it, then gossip it. [`Input::AtxJudged`] follows. The same bytes may
    /// come again.
    Publish {
        /// The ATX.
        atx: Received,
        /// The PoET proof it builds on, which is in the archive.
        poet: Challenge,
    },
    /// Tell the operator.
    Warn {
        /// Which miner.
        node_id: NodeId,
        /// What.
        warning: Warning,
    },
}

/// An ATX of one of this node's miners, as far as the next one depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAtx {
    /// Its name.
    pub id: AtxId,
    /// Where it was published.
    pub publish_epoch: Epoch,
    /// Space units.
    pub units: u32,
    /// The VRF nonce.
    pub vrf_nonce: u64,
    /// The ATX the miner's data is bound to, from its initial ATX.
    pub commitment_atx: AtxId,
}

/// What the rest of the node knows.
pub trait View {
    /// Whether all ATXs of the network are here that ought to be: only then is it certain which one is a miner's last.
    fn is_synced(&self) -> bool;

    /// A miner's newest valid ATX.
    fn latest(&self, node_id: NodeId) -> Option<OwnAtx>;

    /// The ATX that one published in `publish_epoch` should build on.
    fn positioning(&self, publish_epoch: Epoch) -> AtxId;

    /// Whether there is a fraud proof of a miner.
    fn is_fraud(&self, node_id: NodeId) -> bool;
}
