//! What a node tells about itself, as JSON: the answers of its HTTP interface.

mod account;

pub use account::{AccountStatus, Submission, Submitted};

use serde::{Deserialize, Serialize};

/// `GET /status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Of the program.
    pub version: String,
    /// The network, as hex.
    pub genesis_id: String,
    /// This node's name among its peers, as hex.
    pub peer: String,
    /// The node's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// The running epoch; none before genesis.
    pub epoch: Option<u32>,
    /// The running layer; none before genesis.
    pub layer: Option<u32>,
    /// Whether it knows what its peers know.
    pub synced: bool,
    /// How far synchronization is.
    pub sync: Sync,
    /// Connected nodes.
    pub peers: usize,
    /// Miners found to be frauds.
    pub frauds: usize,
    /// ATXs that wait for others.
    pub parked: usize,
    /// The last epochs with ATXs.
    pub epochs: Vec<EpochStatus>,
    /// What it agrees on with the others.
    pub agreement: AgreementStatus,
    /// This node's own miners.
    pub smeshing: Vec<SmesherStatus>,
}

/// How far agreement is, and what was paid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementStatus {
    /// Whether it has the layers that its peers have.
    pub synced: bool,
    /// The first layer that isn't final.
    pub frontier: u32,
    /// The last final layer; none before the first.
    pub last: Option<LayerStatus>,
    /// The beacon of the running epoch, as hex; none while it isn't known.
    pub beacon: Option<String>,
    /// All that was issued up to the last final layer, in smidge: the sum of the next four.
    pub issued: u64,
    /// In accounts.
    pub held: u64,
    /// Earned by miners and not claimed yet.
    pub claimable: u64,
    /// Lost for good.
    pub burned: u64,
    /// Left over for the next layers.
    pub carried: u64,
}

/// A final layer; `GET /layers?from=L&limit=N` answers several, ascending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerStatus {
    /// The layer.
    pub layer: u32,
    /// Its block, as hex; none in an empty layer.
    pub block: Option<String>,
    /// All accounts after it, as hex.
    pub root: String,
    /// How many accounts its block pays.
    pub paid: usize,
    /// How many transactions are in its block.
    pub transactions: usize,
}

/// How far synchronization is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// ATXs here.
    pub have: u64,
    /// ATXs here and seen at peers.
    pub of: u64,
}

/// One epoch's ATXs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochStatus {
    /// Where they were published; they have weight in the next.
    pub epoch: u32,
    /// How many are valid.
    pub atxs: u64,
    /// The weight of the good ones.
    pub weight: u64,
}

/// One of the node's own miners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmesherStatus {
    /// Who, as hex.
    pub node_id: String,
    /// Where in its cycle.
    pub phase: String,
    /// The epoch of the ATX at hand.
    pub publish_epoch: Option<u32>,
    /// Whether a prover with its data is connected.
    pub prover: bool,
    /// The last thing that went wrong.
    pub warning: Option<String>,
}

/// `GET /epochs/{epoch}/atxs`: the valid ATXs of an epoch, ascending by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtxStatus {
    /// As hex.
    pub id: String,
    /// Who signed, as hex.
    pub smesher: String,
    /// The miners it speaks for, as hex.
    pub miners: Vec<String>,
    /// Space units that count.
    pub units: u64,
    /// What it weighs in the next epoch: 0 when it is not good.
    pub weight: u64,
    /// `good`, `acceptable` or `evil`.
    pub grade: String,
}
