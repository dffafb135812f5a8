//! What goes into the machine and what comes out.

use crate::codec::DecodeError;
use crate::ids::{BlockId, Layer};
use crate::source::Peer;
use crate::wire::{Request, Response, Thing};

/// What the node knows at the moment.
pub trait View {
    /// Whether nothing is to be done about the thing: the node has it, or has it waiting for something else, or knows that
    /// there can be no right one of this name.
    fn has(&self, thing: &Thing) -> bool;

    /// Whether a block is of use: anybody can make one, and few ballots or none may be for it, by now.
    fn wants_block(&self, layer: Layer, id: BlockId) -> bool;

    /// The first layer that isn't final; on a fresh node the first in which there is weight.
    fn frontier(&self) -> Layer;

    /// The layer that is running; `None` before the first, and as long as nothing of layers can be judged.
    fn running(&self) -> Option<Layer>;
}

/// What happens to it.
#[derive(Clone, Debug)]
pub enum Input {
    /// There is a connection.
    PeerUp(Peer),
    /// There is none any more.
    PeerDown(Peer),
    /// Time has passed; wanted about once a second.
    Timer,
    /// What became of a request.
    Response {
        /// Who was asked.
        peer: Peer,
        /// Which request.
        id: u64,
        /// `None` when there was no answer.
        response: Option<Response>,
    },
    /// Something is needed. Asking twice is no harm. It comes, or is not found, whatever peers do.
    Want {
        /// What.
        thing: Thing,
        /// Who should have it.
        from: Option<Peer>,
    },
    /// The node has it now; whether it was delivered or came otherwise.
    Have(Thing),
    /// There is a verdict on a delivery: it is of no use, at least for now. Who gave it isn't asked for it again for a
    /// while; if it was wanted and [`View::has`] doesn't say that it is there after all, others are.
    Settled(Thing),
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
    /// Judge what a peer gave: [`Input::Have`] or [`Input::Settled`] is due.
    Deliver {
        /// Who.
        peer: Peer,
        /// What; the bytes are its encoding. A signature isn't covered by a ballot's name, and was not looked at.
        thing: Thing,
        /// Its encoding.
        bytes: Vec<u8>,
    },
    /// Nobody here has it, or more is wanted than can be remembered.
    NotFound {
        /// What.
        thing: Thing,
    },
    /// A peer lied.
    Punish {
        /// Who.
        peer: Peer,
        /// How.
        why: Lie,
    },
}

/// What is wrong with an answer, so that whoever gave it could know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// An answer to something else.
    #[error("that is no answer to what was asked")]
    Kind,
    /// Bytes that are nothing.
    #[error("an item does not decode: {0}")]
    Junk(#[from] DecodeError),
    /// Something that was not asked for, or not in the order asked.
    #[error("an item is not what was asked for")]
    Outside,
    /// Another number of layers.
    #[error("{asked} layers were asked about, {got} answered")]
    Layers {
        /// How many were asked about.
        asked: usize,
        /// How many were answered.
        got: usize,
    },
    /// A last layer with ballots that has nothing.
    #[error("layer {0} is said to have ballots, and to be empty")]
    Empty(Layer),
    /// Names that don't ascend.
    #[error("the names of a layer do not ascend")]
    Order,
    /// Named and not given.
    #[error("{missing} things were named and not given")]
    Withheld {
        /// How many.
        missing: usize,
    },
}
