//! What a node keeps: what machines write, and what they and other nodes may read back.
//!
//! Machines never write themselves: they ask for it by a [`Write`], and see it when they are called the next time. The
//! real archive is a database, that of a simulated node is [`Memory`].

mod memory;

pub use memory::Memory;

use crate::ids::{AtxId, BallotId, Beacon, BlockId, Challenge, Epoch, Layer, NodeId, Opinion, StateRoot, TxId};
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
    /// A valid ballot.
    Ballot {
        /// Its name.
        id: BallotId,
        /// Its layer.
        layer: Layer,
        /// Its encoding.
        bytes: Vec<u8>,
    },
    /// What a proposal wants in the block, kept until [`Write::Forget`].
    Content {
        /// The proposal's name.
        id: BallotId,
        /// Its layer.
        layer: Layer,
        /// The content's encoding.
        bytes: Vec<u8>,
    },
    /// A block that somebody votes for.
    Block {
        /// Its name.
        id: BlockId,
        /// Its layer.
        layer: Layer,
        /// Its encoding.
        bytes: Vec<u8>,
    },
    /// A transaction with a right signature.
    Transaction {
        /// Its name.
        id: TxId,
        /// Its encoding.
        bytes: Vec<u8>,
    },
    /// A transaction that is of no use any more and in no block.
    ForgetTransaction {
        /// Its name.
        id: TxId,
    },
    /// An epoch's beacon, in place of what was there.
    Beacon {
        /// Of which epoch.
        epoch: Epoch,
        /// The beacon.
        beacon: Beacon,
    },
    /// From now on the node speaks in this layer, in place of an earlier one. After a crash it keeps quiet in it, since it
    /// may have said anything.
    Speaks {
        /// Which.
        layer: Layer,
    },
    /// What this node's Hare decided, kept until [`Write::Forget`].
    Hare {
        /// The layer.
        layer: Layer,
        /// The block that its proposals come to.
        block: BlockId,
    },
    /// A chain of votes that ballots build on, kept until [`Write::Forget`].
    Opinion {
        /// Its name.
        opinion: Opinion,
        /// The layer of its last vote.
        layer: Layer,
        /// The encoding of its last vote, with what was before it.
        bytes: Vec<u8>,
    },
    /// A layer is final, and its block applied.
    Applied {
        /// The layer.
        layer: Layer,
        /// What became of it.
        applied: Applied,
    },
    /// A part of the ledger, in place of what was there; `None`: there is none any more.
    Ledger {
        /// The ledger's own name for it.
        key: Vec<u8>,
        /// The ledger's own encoding.
        value: Option<Vec<u8>>,
    },
    /// Contents, decisions and opinions of layers before this one are needed no more.
    Forget {
        /// The first that is kept.
        before: Layer,
    },
}

/// What became of a final layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its block; none in an empty layer.
    pub block: Option<BlockId>,
    /// All accounts after it.
    pub root: StateRoot,
    /// What a ballot says that agrees with all layers up to it.
    pub opinion: Opinion,
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

/// A part of the ledger: its name and what it is.
pub type LedgerEntry = (Vec<u8>, Vec<u8>);

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

    /// The ballots of a layer, ascending.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn ballots(&self, layer: Layer) -> Result<Vec<BallotId>, ArchiveError>;

    /// A ballot.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn ballot(&self, id: BallotId) -> Result<Option<Vec<u8>>, ArchiveError>;

    /// What a proposal wants in the block.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn content(&self, id: BallotId) -> Result<Option<Vec<u8>>, ArchiveError>;

    /// The blocks of a layer that somebody votes for, ascending.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn blocks(&self, layer: Layer) -> Result<Vec<BlockId>, ArchiveError>;

    /// A block.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn block(&self, id: BlockId) -> Result<Option<Vec<u8>>, ArchiveError>;

    /// A transaction.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn transaction(&self, id: TxId) -> Result<Option<Vec<u8>>, ArchiveError>;

    /// An epoch's beacon.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn beacon(&self, epoch: Epoch) -> Result<Option<Beacon>, ArchiveError>;

    /// The last layer in which the node spoke.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn spoke(&self) -> Result<Option<Layer>, ArchiveError>;

    /// What this node's Hare decided on a layer.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn hare(&self, layer: Layer) -> Result<Option<BlockId>, ArchiveError>;

    /// The last votes of all chains, as they were kept, of layers from `from` on.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn opinions(&self, from: Layer) -> Result<Vec<Vec<u8>>, ArchiveError>;

    /// What became of a layer; `None` while it isn't final.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn applied(&self, layer: Layer) -> Result<Option<Applied>, ArchiveError>;

    /// The last final layer.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn last_applied(&self) -> Result<Option<Layer>, ArchiveError>;

    /// The last layer with a ballot.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn last_ballots(&self) -> Result<Option<Layer>, ArchiveError>;

    /// The parts of the ledger whose keys lie after `after`, ascending, no more than `limit`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn ledger(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<LedgerEntry>, ArchiveError>;

    /// The transactions whose names lie after `after`, ascending, no more than `limit`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn transactions(&self, after: Option<TxId>, limit: usize) -> Result<Vec<TxId>, ArchiveError>;
}

/// An archive that a node can begin with.
pub trait Reload: Archive {
    /// Calls `each` with the encoding of every PoET proof.
    ///
    /// # Errors
    /// [`ArchiveError`], as for the next two.
    fn each_poet(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), ArchiveError>;

    /// Calls `each` with every ATX, epoch by epoch: when it came and its encoding.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn each_atx(&self, each: &mut dyn FnMut(Time, &[u8])) -> Result<(), ArchiveError>;

    /// Calls `each` with every fraud proof: when it came and its encoding.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn each_fraud(&self, each: &mut dyn FnMut(Time, &[u8])) -> Result<(), ArchiveError>;
}
