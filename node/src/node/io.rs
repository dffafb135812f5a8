//! What goes into a node and what comes out.

use crate::archive::Write;
use crate::atx::Received;
use crate::atxs::{Dear, Judgement};
use crate::ids::{AtxId, Challenge, NodeId};
use crate::smeshing::{PoetCommand, PoetEvent, ProverEvent};
use crate::source::{Peer, Source, Topic, Verdict};
use crate::wire::{Request, Response};

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time passes; wanted several times a second, or in the shortest of the network's times.
    Tick,
    /// An ATX that bears its smesher's signature.
    Atx {
        /// The ATX.
        received: Received,
        /// Where it came from.
        source: Source,
    },
    /// What should have been an ATX.
    Junk {
        /// Where it came from.
        source: Source,
        /// The ATX it is named after, where it was answered and decodes.
        id: Option<AtxId>,
        /// What is wrong.
        why: String,
    },
    /// Nobody looked at a message for want of room.
    Crowded {
        /// Where it came from.
        source: Source,
        /// As in [`Input::Junk`].
        id: Option<AtxId>,
    },
    /// The answer to [`Effect::Judge`].
    Judged {
        /// What was judged.
        id: AtxId,
        /// What was found.
        judgement: Judgement,
    },
    /// The bytes of a fraud proof.
    Fraud {
        /// They.
        bytes: Vec<u8>,
        /// Where they came from.
        source: Source,
    },
    /// Somebody gossiped what is no ATX and no fraud proof.
    Gossip {
        /// What it should be.
        topic: Topic,
        /// Its bytes.
        bytes: Vec<u8>,
        /// Where it came from.
        source: Source,
    },
    /// There is a connection.
    PeerUp(Peer),
    /// There is none any more.
    PeerDown(Peer),
    /// What became of [`Effect::Request`].
    Response {
        /// Who was asked.
        peer: Peer,
        /// Which request.
        id: u64,
        /// `None` when there was no answer.
        response: Option<Response>,
    },
    /// From a prover.
    Prover(ProverEvent),
    /// From the PoET.
    Poet(PoetEvent),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keep this; nothing that comes later may be done before it survives a crash.
    Persist(Vec<Write>),
    /// What becomes of a gossiped message.
    Verdict {
        /// Where it came from.
        source: Source,
        /// What becomes of it.
        verdict: Verdict,
        /// Why.
        why: String,
    },
    /// Look at what should be an ATX, and say [`Input::Atx`], [`Input::Junk`] or [`Input::Crowded`].
    Check {
        /// Where it came from.
        source: Source,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Check this, and say [`Input::Judged`].
    Judge(Dear),
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
    /// A peer lied: its score sinks.
    Punish {
        /// Who.
        peer: Peer,
        /// How.
        why: String,
    },
    /// Ask a miner's prover for a proof, until it answers.
    AskProof {
        /// Whose.
        node_id: NodeId,
        /// What the proof answers.
        challenge: Challenge,
    },
    /// Nobody waits for the miner's proof any longer.
    CancelProof {
        /// Whose.
        node_id: NodeId,
    },
    /// For the PoET.
    Poet(PoetCommand),
    /// For the log.
    Tell {
        /// Whether the operator should do something.
        warning: bool,
        /// What.
        what: String,
    },
}
