//! Transactions that are in no final block yet.

use std::collections::BTreeMap;

use crate::archive::Write;
use crate::codec::decode;
use crate::ids::TxId;
use crate::ledger::Ledger;
use crate::signature::Verifier;
use crate::source::Verdict;
use crate::transaction::Transaction;

/// The pool.
#[derive(Debug, Default)]
pub struct Mempool {
    txs: BTreeMap<TxId, Transaction>,
}

impl Mempool {
    /// One of them.
    #[must_use]
    pub fn get(&self, id: TxId) -> Option<&Transaction> {
        self.txs.get(&id)
    }

    /// Some of them.
    #[must_use]
    pub fn pick(&self, limit: usize) -> Vec<TxId> {
        self.txs.keys().take(limit).copied().collect()
    }

    /// Takes one.
    pub fn take(&mut self, bytes: &[u8], _: &Ledger, verifier: &Verifier) -> (Verdict, Vec<Write>) {
        match decode::<Transaction>(bytes) {
            Ok(tx) if tx.signature_holds(verifier) => {
                let id = tx.id();
                self.txs.insert(id, tx);
                (Verdict::Accept, vec![Write::Transaction { id, bytes: bytes.to_vec() }])
            }
            _ => (Verdict::Reject, vec![]),
        }
    }

    /// These are in a final block.
    pub fn applied(&mut self, txs: &[TxId], _: &Ledger) -> Vec<TxId> {
        txs.iter().for_each(|id| {
            self.txs.remove(id);
        });
        vec![]
    }
}
