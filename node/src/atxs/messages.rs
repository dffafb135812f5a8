//! What goes into the machine and what comes out.

use post_core::verify::Invalid;

use super::context::{Need, Wrong};
use super::judge::{Dear, Judgement};
use crate::archive::Write;
use crate::atx::{Received, SyntaxError};
use crate::codec::DecodeError;
use crate::fraud::NotProven;
use crate::ids::{AtxId, Challenge, Epoch, NodeId};
use crate::poet::{PoetProof, ProofError};
use crate::source::{Peer, Source, Topic, Verdict};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// An ATX came; its size was checked and its signature holds.
    Atx {
        /// The ATX.
        received: Received,
        /// From whom.
        source: Source,
    },
    /// A PoET proof came; it is checked here, in about 1 ms.
    Poet {
        /// The proof.
        proof: PoetProof,
        /// From whom.
        source: Source,
    },
    /// The bytes of a fraud proof came.
    Fraud {
        /// Its encoding.
        bytes: Vec<u8>,
        /// From whom.
        source: Source,
    },
    /// The answer to [`Effect::Judge`].
    Judged {
        /// What was judged: [`Dear::id`].
        id: AtxId,
        /// What was found.
        judgement: Judgement,
    },
    /// A peer did not give what [`Effect::Fetch`] asked for, or something else. Every thing asked for comes or is missing.
    Missing {
        /// What.
        what: Need,
        /// Who was asked.
        from: Peer,
    },
    /// A connection ended: what only this peer sent, and nobody has begun to judge, goes.
    PeerGone {
        /// Whose.
        peer: Peer,
    },
    /// Time has passed; wanted a few times a minute. What was asked for long ago is asked of others, or given up.
    Tick,
    /// From now on the node hears what is published. What it fetched before may well have been published in time, and so
    /// counts as if it had come in time.
    Listening,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keep this, before anything else is done.
    Persist(Vec<Write>),
    /// What becomes of a message.
    Verdict {
        /// Whose.
        source: Source,
        /// What.
        verdict: Verdict,
        /// Why.
        why: Reason,
    },
    /// Check this, and say [`Input::Judged`].
    Judge(Dear),
    /// Ask a peer for these, and say what comes, or [`Input::Missing`].
    Fetch {
        /// ATXs.
        atxs: Vec<AtxId>,
        /// PoET proofs.
        poets: Vec<Challenge>,
        /// Whom to ask.
        from: Peer,
    },
    /// Tell everyone.
    Gossip {
        /// What it is.
        topic: Topic,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// For those who watch: an ATX is valid and known from now on.
    Accepted {
        /// Which.
        id: AtxId,
    },
    /// An ATX that this node made breaks a rule.
    Refused {
        /// Which.
        id: AtxId,
        /// Why.
        why: Reason,
    },
    /// For those who watch: a miner, and everyone married with it, has no weight any more.
    Accused {
        /// Who.
        node_id: NodeId,
    },
}

/// Why a message has its verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is good.
    #[error("good")]
    Good,
    /// It is here already.
    #[error("known already")]
    Known,
    /// Nobody asked for it.
    #[error("nobody asked for it")]
    Unasked,
    /// Its epoch has not begun.
    #[error("it is of epoch {epoch}, which has not begun; if many come, check this machine's clock")]
    Early {
        /// Its epoch.
        epoch: Epoch,
    },
    /// Something it names did not come.
    #[error("nobody had {0:?}, which it names")]
    Missing(Need),
    /// There is more than can be kept.
    #[error("too much is waiting")]
    Crowded,
    /// A rule of a single ATX.
    #[error("syntax: {0}")]
    Syntax(#[from] SyntaxError),
    /// A rule of an ATX among others.
    #[error("context: {0}")]
    Context(#[from] Wrong),
    /// A proof of space.
    #[error("post {post:?}: {invalid}")]
    Post {
        /// Its position among those of all NiPoSTs; `None` for the initial one.
        post: Option<usize>,
        /// The rule it breaks.
        invalid: Invalid,
    },
    /// The VRF nonce.
    #[error("the label at the VRF nonce is not below the threshold")]
    Vrf,
    /// A miner in it is a fraud: it is of no use to anybody.
    #[error("one of its miners, or somebody married with one, is a fraud")]
    Fraud,
    /// A PoET proof.
    #[error("PoET: {0}")]
    Poet(#[from] ProofError),
    /// A PoET proof of less than one tick.
    #[error("PoET: less than one tick")]
    NoTicks,
    /// Bytes that are no fraud proof.
    #[error("no fraud proof: {0}")]
    Encoding(#[from] DecodeError),
    /// Bytes that are longer than any fraud proof.
    #[error("{len} bytes are more than a fraud proof can have")]
    TooLarge {
        /// How many there are.
        len: usize,
    },
    /// A fraud proof of somebody nobody has to care about yet.
    #[error("a fraud proof of a miner of whom no ATX is known")]
    Stranger,
    /// The only peer that sent it is gone.
    #[error("who sent it is gone")]
    Gone,
    /// A fraud proof.
    #[error("the fraud proof proves nothing: {0}")]
    NotProven(#[from] NotProven),
}
