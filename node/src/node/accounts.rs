//! What the node says of accounts, and of transactions that it is given.

use super::Node;
use crate::ids::{Address, TxId};
use crate::status::AccountStatus;

impl Node {
    /// An account after the last final layer.
    #[must_use]
    pub fn account(&self, address: Address) -> AccountStatus {
        let (ledger, mempool) = (self.consensus.ledger(), self.consensus.mempool());
        let (balance, nonce) = (ledger.account(address).balance, mempool.next_nonce(address, ledger));
        AccountStatus { address: address.to_string(), balance, nonce }
    }

    /// Whether a transaction would be taken, and its name.
    ///
    /// # Errors
    /// Why not, for whoever sent it.
    pub fn check_transaction(&self, bytes: &[u8]) -> Result<TxId, String> {
        self.consensus.check_transaction(bytes).map_err(|why| why.to_string())
    }
}
