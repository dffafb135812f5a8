//! What goes into the machine and what comes out.

use crate::ids::{AtxId, Challenge};
use crate::poet::PoetProof;
use crate::reconcile::Lie;
use crate::source::Peer;
use crate::time::Time;
use crate::wire::{Request, Response};

/// What happens to it.
#[derive(Clone, Debug)]
pub enum Input {
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
    /// Things that are needed by name. Asking twice is no harm. Each of them comes, or is not found, whatever peers do.
    Fetch {
        /// ATXs.
        atxs: Vec<AtxId>,
        /// PoET proofs.
        poets: Vec<Challenge>,
        /// Who should have them.
        from: Option<Peer>,
    },
    /// So many deliveries have got their verdict, whatever it was.
    Judged(usize),
    /// For want of room there is no verdict on something that this peer gave: as if it had not come.
    Crowded(Peer),
    /// Time has passed; wanted about once a second.
    Timer,
}

/// What it wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask a peer; the answer comes back with the same `id`.
    Request {
        /// Whom.
        peer: Peer,
        /// Which request.
        id: u64,
        /// What.
        request: Request,
    },
    /// Judge what a peer answered.
    Deliver {
        /// Who.
        peer: Peer,
        /// What.
        item: Delivery,
    },
    /// Nobody here has these, or more is asked for than can be remembered.
    NotFound {
        /// ATXs.
        atxs: Vec<AtxId>,
        /// PoET proofs.
        poets: Vec<Challenge>,
    },
    /// A peer lied.
    Punish {
        /// Who.
        peer: Peer,
        /// How.
        why: Lie,
    },
    /// How far it is.
    Progress(Progress),
}

/// Something from a peer, not judged: an encoding, if no more is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Of an ATX; it decodes.
    Atx(Vec<u8>),
    /// A PoET proof, the one that was asked for.
    Poet(PoetProof),
    /// Of a fraud proof.
    Fraud(Vec<u8>),
}

impl Delivery {
    /// Its bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Atx(bytes) | Self::Fraud(bytes) => bytes.len(),
            Self::Poet(proof) => 32 * (proof.proven.len() + proof.nodes.len()),
        }
    }
}

/// How far a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When the pass began.
    pub since: Time,
    /// What was there when it began.
    pub before: u64,
    /// What was delivered in it.
    pub delivered: u64,
    /// What the guide has; 0 as long as it has not said.
    pub total: u64,
    /// Whether the node is synced.
    pub synced: bool,
}
