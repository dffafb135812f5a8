//! The ledger again from what was kept.

use std::collections::BTreeSet;

use super::Ledger;
use super::entries::{self, Entry};
use crate::archive::{Archive, ArchiveError};
use crate::codec::DecodeError;
use crate::ids::{AtxId, Layer};

/// So many entries are read at once.
const PAGE: usize = 4096;

/// Why the ledger can't do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Layers come in order, each once.
    #[error("layer {got} was to be applied where layer {expected} is next")]
    Order {
        /// The next one.
        expected: Layer,
        /// The one that came.
        got: Layer,
    },
    /// The transactions given are not those that the block names.
    #[error("the transactions are not those of the block")]
    Transactions,
    /// An ATX that a block names is not known: it must be fetched first.
    #[error("ATX {0} is in a block and not known")]
    UnknownAtx(AtxId),
    /// The database failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// What was kept is no part of a ledger.
    #[error("an entry of the ledger in the node's database: {0}; start with an empty one and sync")]
    Entry(#[from] DecodeError),
    /// What was kept contradicts itself.
    #[error("the ledger in the node's database {0}; start with an empty one and sync")]
    Inconsistent(&'static str),
}

impl Ledger {
    /// Goes on where the ledger was; it must be a new one.
    ///
    /// # Errors
    /// [`LedgerError`]: the ledger is of no use then.
    pub fn restore(&mut self, archive: &dyn Archive) -> Result<(), LedgerError> {
        let (mut meta, mut buckets) = (None, BTreeSet::new());
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = archive.ledger(after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in &page {
                match entries::read(key, value)? {
                    Entry::Account(address, account) => drop(buckets.insert(self.accounts.restore(address, account))),
                    Entry::Atx(id, standing) => drop(buckets.insert(self.miners.put(id, standing))),
                    Entry::Meta(kept) => meta = Some(kept),
                }
            }
        }
        let Some(meta) = meta else {
            return if buckets.is_empty() { Ok(()) } else { Err(LedgerError::Inconsistent("has no end")) };
        };
        self.miners.restore(meta.accrued);
        (self.last, self.pot, self.burned) = (meta.last, meta.pot, meta.burned);
        self.hash(&buckets);
        self.check_kept(archive)
    }

    /// What a disk or a hand has changed shows.
    fn check_kept(&self, archive: &dyn Archive) -> Result<(), LedgerError> {
        if !self.totals().add_up() {
            return Err(LedgerError::Inconsistent("does not add up to what was issued"));
        }
        let applied = self.last.map(|last| archive.applied(last)).transpose()?.flatten();
        if applied.is_some_and(|applied| applied.root != self.root) {
            return Err(LedgerError::Inconsistent("is not the one that the last layer led to"));
        }
        Ok(())
    }
}
