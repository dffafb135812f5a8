//! What a node tells about accounts, and how it is given transactions.

use serde::{Deserialize, Serialize};

/// `GET /accounts/{address}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// As hex.
    pub address: String,
    /// In smidge, after the last final layer.
    pub balance: u64,
    /// What the next transaction's is, counting those that wait.
    pub nonce: u64,
}

/// The body of `POST /transactions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The transaction's encoding, as hex.
    pub bytes: String,
}

/// Its answer, when the node has taken the transaction and tells others of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The transaction's name, as hex.
    pub id: String,
}
