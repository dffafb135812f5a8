//! What goes into the machine and what comes out.

use crate::archive::Write;
use crate::fraud::FraudProof;
use crate::ids::{AtxId, NodeId};
use crate::source::{Peer, Source, Topic, Verdict};
use crate::wire::{Request, Response};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; wanted several times in a round of Hare's.
    Tick,
    /// From now on all ATXs of earlier epochs are here.
    Synced,
    /// Somebody gossiped something.
    Gossip {
        /// What it should be.
        topic: Topic,
        /// Its bytes.
        bytes: Vec<u8>,
        /// From whom.
        source: Source,
    },
    /// There is a connection.
    PeerUp(Peer),
    /// There is none any more.
    PeerDown(Peer),
    /// What became of a request.
    Response {
        /// Who was asked.
        peer: Peer,
        /// Which request.
        id: u64,
        /// `None` when there was no answer.
        response: Option<Response>,
    },
    /// An ATX is valid and known from now on.
    Accepted(AtxId),
    /// A miner, and everyone married with it, has no weight any more.
    Convicted(NodeId),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keep this, before anything else is done.
    Persist(Vec<Write>),
    /// What becomes of a gossiped message.
    Verdict {
        /// Whose.
        source: Source,
        /// What.
        verdict: Verdict,
        /// Why.
        why: String,
    },
    /// Tell everyone.
    Gossip {
        /// What it is.
        topic: Topic,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Ask a peer, and say [`Input::Response`].
    Request {
        /// Whom.
        peer: Peer,
        /// Which request.
        id: u64,
        /// What.
        request: Request,
    },
    /// A peer lied.
    Punish {
        /// Who.
        peer: Peer,
        /// How.
        why: String,
    },
    /// These ATXs are needed.
    FetchAtxs {
        /// Which.
        atxs: Vec<AtxId>,
        /// Who should have them.
        from: Option<Peer>,
    },
    /// Somebody contradicted itself.
    Fraud(Box<FraudProof>),
    /// For the log.
    Tell {
        /// Whether the operator should do something.
        warning: bool,
        /// What.
        what: String,
    },
}
