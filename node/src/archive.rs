//! What a node keeps: what machines write, and what they and other nodes may read back.
//!
//! Machines never write themselves: they ask for it by a [`Write`], and see it when they are called the next time. The
//! real archive is a database, that of a simulated node is [`Memory`].

mod memory;

pub use memory::Memory;

use crate::ids::{AtxId, Challenge, Epoch, NodeId};
use crate::time::Time;

/// Something to be kept. Those of one step are kept together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A valid ATX.
    Atx {
        /// Its name.
        id: AtxId,
        /// Where it was published.
        epoch: Epoch,
        /// When it came; grades depend on it.
        received: Time,
        /// Its encoding.
        bytes: Vec<u8>,
    },
    /// A valid PoET proof.
    Poet {
        /// Its name.
        id: Challenge,
        /// Its encoding.
        bytes: Vec<u8>,
    },
    /// A valid fraud proof. The first one of a miner is kept.
    Fraud {
        /// Whose.
        node_id: NodeId,
        /// When it came.
        received: Time,
        /// Its encoding.
        bytes: Vec<u8>,
    },
    /// How far a miner of this node is in its cycle; in place of what was there.
    Smeshing {
        /// Whose.
        node_id: NodeId,
        /// The smesher's own encoding.
        bytes: Vec<u8>,
    },
}

/// An ATX or a fraud proof, with the time it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When it came.
    pub received: Time,
    /// Its encoding.
    pub bytes: Vec<u8>,
}

/// The archive does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node's database: {0}")]
pub struct ArchiveError(pub String);

/// What was kept.
pub trait Archive {
    /// The ids of the ATXs published in `epoch` that lie in `from ..= to`, ascending, no more than `limit`.
    ///
    /// # Errors
    /// [`ArchiveError`], as for all of these.
    fn atx_ids(&self, epoch: Epoch, from: AtxId, to: AtxId, limit: usize) -> Result<Vec<AtxId>, ArchiveError>;

    /// An ATX.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn atx(&self, id: AtxId) -> Result<Option<Kept>, ArchiveError>;

    /// A PoET proof.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn poet(&self, id: Challenge) -> Result<Option<Vec<u8>>, ArchiveError>;

    /// The miners with a fraud proof that lie after `after`, ascending, no more than `limit`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn frauds(&self, after: Option<NodeId>, limit: usize) -> Result<Vec<NodeId>, ArchiveError>;

    /// A miner's fraud proof.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn fraud(&self, node_id: NodeId) -> Result<Option<Kept>, ArchiveError>;

    /// How far a miner of this node is in its cycle.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn smeshing(&self, node_id: NodeId) -> Result<Option<Vec<u8>>, ArchiveError>;
}
