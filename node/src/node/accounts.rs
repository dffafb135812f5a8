//! What the node says of accounts, and of transactions that it is given.

use super::Node;
use crate::ids::{Address, TxId};
use crate::status::AccountStatus;

// TO CONNECT: both ask the node's ledger and mempool, once it has them:
//   account:            `ledger.account(address)`, with `mempool.next_nonce(address, &ledger)`
//   check_transaction:  `mempool.check(bytes, &ledger, &verifier)`
impl Node {
    /// An account after the last final layer.
    #[must_use]
    pub fn account(&self, address: Address) -> AccountStatus {
        AccountStatus { address: address.to_string(), balance: 0, nonce: 0 }
    }

    /// Whether a transaction would be taken, and its name.
    ///
    /// # Errors
    /// Why not, for whoever sent it.
    pub fn check_transaction(&self, _bytes: &[u8]) -> Result<TxId, String> {
        Err("this node keeps no accounts yet".into())
    }
}
