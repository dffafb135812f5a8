//! Transactions that wait for a block: bounded, the better-paying ones stay.
//!
//! A transaction that leaves the pool is forgotten, unless a block or a proposal names it: whoever has those must be able
//! to apply them, and to give their transactions to others.

mod reason;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

pub use self::reason::Reason;

use crate::archive::{Archive, ArchiveError, Write};
use crate::codec::decode;
use crate::ids::{Address, TxId};
use crate::ledger::Ledger;
use crate::signature::Verifier;
use crate::source::{Source, Verdict};
use crate::transaction::{MAX_TX_BYTES, Transaction, address_of, is_account};

/// At most so many wait.
pub const MAX_POOLED: usize = 4096;
/// An account's transactions wait for no more than so many before them; so no more than that are there.
pub const MAX_OF_ACCOUNT: u64 = 64;
/// So many are read at once.
const PAGE: usize = 1024;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keep this.
    Persist(Vec<Write>),
    /// What becomes of a message.
    Verdict {
        /// Where it came from.
        source: Source,
        /// What becomes of it.
        verdict: Verdict,
        /// Why.
        why: Reason,
    },
    /// Tell everyone of a transaction that this node was given.
    Gossip {
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// Transactions that wait.
#[derive(Clone, Debug, Default)]
pub struct Mempool {
    all: BTreeMap<TxId, Transaction>,
    /// Who pays, and the nonce.
    by_account: BTreeMap<(Address, u64), TxId>,
    by_fee: BTreeSet<(u64, TxId)>,
}

/// What a transaction takes from its account.
fn cost(tx: &Transaction) -> u128 {
    u128::from(tx.amount) + u128::from(tx.fee)
}

/// Whether a fee is enough to take another one's place: an eighth more, so that nobody does so for nothing again and again.
fn outbids(fee: u64, other: u64) -> bool {
    fee > other.saturating_add(other / 8)
}

impl Mempool {
    /// Takes those back that were kept and may still be applied. Their signatures were checked.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn restore(&mut self, archive: &dyn Archive, ledger: &Ledger) -> Result<(), ArchiveError> {
        let mut after = None;
        loop {
            let page = archive.transactions(after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            for id in page {
                let tx = archive.transaction(id)?.and_then(|bytes| decode::<Transaction>(&bytes).ok());
                if let Some(tx) = tx
                    && let Ok(replaced) = self.room(&tx, ledger)
                {
                    if let Some(id) = replaced {
                        self.remove(id);
                    }
                    self.insert(id, tx);
                }
            }
        }
    }

    /// What [`Mempool::take`] would say, and the transaction's name.
    ///
    /// # Errors
    /// Why it would not take it.
    pub fn check(&self, bytes: &[u8], ledger: &Ledger, verifier: &Verifier) -> Result<TxId, Reason> {
        self.judge(bytes, ledger, verifier).map(|(tx, _)| tx.id())
    }

    /// The transaction, and who has to make room for it. The dearest check comes last.
    fn judge(&self, bytes: &[u8], ledger: &Ledger, verifier: &Verifier) -> Result<(Transaction, Option<TxId>), Reason> {
        if bytes.len() > MAX_TX_BYTES {
            return Err(Reason::TooLong);
        }
        let tx: Transaction = decode(bytes).map_err(Reason::Encoding)?;
        let replaced = self.room(&tx, ledger)?;
        if tx.signature_holds(verifier) { Ok((tx, replaced)) } else { Err(Reason::Signature) }
    }

    /// Who has to make room.
    fn room(&self, tx: &Transaction, ledger: &Ledger) -> Result<Option<TxId>, Reason> {
        if self.all.contains_key(&tx.id()) {
            return Err(Reason::Known);
        }
        if !is_account(&tx.to) {
            return Err(Reason::Recipient);
        }
        let from = address_of(&tx.from);
        let account = ledger.account(from);
        match tx.nonce.checked_sub(account.nonce) {
            None => return Err(Reason::Spent { next: account.nonce }),
            Some(ahead) if ahead >= MAX_OF_ACCOUNT => return Err(Reason::Ahead { next: account.nonce }),
            Some(_) => {}
        }
        let others = self.of_account(from).filter(|other| other.nonce != tx.nonce);
        if others.map(cost).sum::<u128>() + cost(tx) > account.balance.into() {
            return Err(Reason::Balance { balance: account.balance });
        }
        let lowest = self.by_fee.first().filter(|_| self.all.len() >= MAX_POOLED);
        let same = self.by_account.get(&(from, tx.nonce)).and_then(|id| Some((self.all.get(id)?.fee, *id)));
        match (same, lowest) {
            (Some((fee, _)), _) if !outbids(tx.fee, fee) => Err(Reason::Outbid { fee }),
            (None, Some((fee, _))) if !outbids(tx.fee, *fee) => Err(Reason::Full { fee: *fee }),
            (same, lowest) => Ok(same.or(lowest.copied()).map(|(_, id)| id)),
        }
    }

    fn of_account(&self, from: Address) -> impl Iterator<Item = &Transaction> {
        self.by_account.range((from, 0)..=(from, u64::MAX)).filter_map(|(_, id)| self.all.get(id))
    }

    /// Takes a transaction that somebody sent. `named` says whether a block or a proposal that is kept names one.
    pub fn take(
        &mut self,
        bytes: &[u8],
        source: Source,
        ledger: &Ledger,
        verifier: &Verifier,
        named: &dyn Fn(TxId) -> bool,
        out: &mut Vec<Effect>,
    ) {
        let why = match self.judge(bytes, ledger, verifier) {
            Ok((tx, replaced)) => {
                let id = tx.id();
                let mut writes: Vec<Write> = replaced.and_then(|id| self.forget(id, named)).into_iter().collect();
                self.insert(id, tx);
                writes.push(Write::Transaction { id, bytes: bytes.to_vec() });
                out.push(Effect::Persist(writes));
                if source == Source::Own {
                    out.push(Effect::Gossip { bytes: bytes.to_vec() });
                }
                Reason::Taken
            }
            Err(why) => why,
        };
        out.push(Effect::Verdict { source, verdict: why.verdict(), why });
    }

    /// A block was applied: its transactions wait no longer, and others may not be possible any more.
    pub fn applied(&mut self, txs: &[TxId], ledger: &Ledger, named: &dyn Fn(TxId) -> bool, out: &mut Vec<Effect>) {
        // What had no effect may have one later.
        for id in txs {
            if self.all.get(id).is_some_and(|tx| tx.nonce < ledger.account(address_of(&tx.from)).nonce) {
                self.remove(*id);
            }
        }
        let outdated = |tx: &Transaction| {
            let account = ledger.account(address_of(&tx.from));
            tx.nonce < account.nonce || cost(tx) > account.balance.into()
        };
        let gone: Vec<TxId> = self.all.iter().filter(|(_, tx)| outdated(tx)).map(|(id, _)| *id).collect();
        let writes: Vec<Write> = gone.into_iter().filter_map(|id| self.forget(id, named)).collect();
        if !writes.is_empty() {
            out.push(Effect::Persist(writes));
        }
    }

    /// The best-paying ones that can be applied one after the other, no more than `limit`.
    #[must_use]
    pub fn pick(&self, ledger: &Ledger, limit: usize) -> Vec<TxId> {
        let mut picked = Vec::new();
        // Of each account the next one; what it has left is known when its turn comes.
        let mut left: BTreeMap<Address, u128> = BTreeMap::new();
        let mut next: BTreeSet<(Reverse<u64>, TxId)> = BTreeSet::new();
        for (&(from, nonce), id) in &self.by_account {
            let account = ledger.account(from);
            if nonce == account.nonce
                && let Some(tx) = self.all.get(id)
            {
                left.insert(from, account.balance.into());
                next.insert((Reverse(tx.fee), *id));
            }
        }
        while picked.len() < limit
            && let Some((_, id)) = next.pop_first()
            && let Some(tx) = self.all.get(&id)
        {
            let from = address_of(&tx.from);
            // Without the means for this one, those after it can't be applied either.
            let Some(rest) = left.get(&from).and_then(|left| left.checked_sub(cost(tx))) else { continue };
            left.insert(from, rest);
            picked.push(id);
            if let Some(id) = tx.nonce.checked_add(1).and_then(|nonce| self.by_account.get(&(from, nonce)))
                && let Some(tx) = self.all.get(id)
            {
                next.insert((Reverse(tx.fee), *id));
            }
        }
        picked
    }

    /// One that waits.
    #[must_use]
    pub fn get(&self, id: TxId) -> Option<&Transaction> {
        self.all.get(&id)
    }

    /// The nonce of an account's next transaction, when those that wait are applied.
    #[must_use]
    pub fn next_nonce(&self, from: Address, ledger: &Ledger) -> u64 {
        let mut nonce = ledger.account(from).nonce;
        while self.by_account.contains_key(&(from, nonce)) {
            nonce = nonce.saturating_add(1);
        }
        nonce
    }

    /// Those that wait.
    pub fn ids(&self) -> impl Iterator<Item = TxId> + '_ {
        self.all.keys().copied()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn insert(&mut self, id: TxId, tx: Transaction) {
        self.by_account.insert((address_of(&tx.from), tx.nonce), id);
        self.by_fee.insert((tx.fee, id));
        self.all.insert(id, tx);
    }

    fn remove(&mut self, id: TxId) -> Option<Transaction> {
        let tx = self.all.remove(&id)?;
        self.by_account.remove(&(address_of(&tx.from), tx.nonce));
        self.by_fee.remove(&(tx.fee, id));
        Some(tx)
    }

    fn forget(&mut self, id: TxId, named: &dyn Fn(TxId) -> bool) -> Option<Write> {
        self.remove(id)?;
        (!named(id)).then_some(Write::ForgetTransaction { id })
    }
}

#[cfg(test)]
mod tests;
