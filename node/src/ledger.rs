//! The ledger: who has how much, layer by layer (NODE.md section 8).
//!
//! ```text
//! subsidy of a layer ─┬─ proposers' part ─► pot (with fees) ─► by weight in the block      remainder: next layer's pot
//!                     └─ the miners' part ─► an accumulator: so much for each unit of weight that counts
//!                                              └─► claimed whole by a miner's next ATX     remainder: next layer's part
//! ```
//! Whoever applies the same layers has the same ledger, and all of it is in the state root. Nothing gets lost: what was
//! issued is held by accounts, claimable, burned, or carried into the next layer, to the smallest unit ([`Totals`]).

mod accounts;
mod entries;
mod miners;
mod restore;
mod tree;

use std::collections::BTreeSet;

pub use self::accounts::Account;
pub use self::miners::{AtxFacts, UNCLAIMED_EPOCHS};
pub use self::restore::LedgerError;

use self::accounts::Accounts;
use self::entries::{Bucket, Meta};
use self::miners::Miners;
use self::tree::Tree;
use crate::archive::Write;
use crate::block::Block;
use crate::ids::{Address, AtxId, Layer, StateRoot};
use crate::issuance::Issuance;
use crate::params::{NodeParams, RewardRule, Timing};
use crate::transaction::Transaction;

/// Where all that was issued is, in smidge: `issued == held + claimable + burned + carried`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// By the curve, up to the last layer.
    pub issued: u64,
    /// The sum of all balances. What was paid as a reward and since then as a fee is in it once.
    pub held: u64,
    /// What miners have earned and not claimed yet.
    pub claimable: u64,
    /// Lost for good.
    pub burned: u64,
    /// Remainders and fees that the next layers pay out, and the fractions of a smidge of all claims.
    pub carried: u64,
}

impl Totals {
    /// Whether nothing is lost and nothing too much.
    #[must_use]
    pub fn add_up(&self) -> bool {
        let parts = [self.held, self.claimable, self.burned, self.carried];
        parts.into_iter().map(u128::from).sum::<u128>() == u128::from(self.issued)
    }
}

/// The state of all accounts, and of what miners have earned.
#[derive(Clone, Debug)]
pub struct Ledger {
    timing: Timing,
    /// The layer before the first.
    genesis: Layer,
    curve: Issuance,
    proposers_permille: u64,
    accounts: Accounts,
    miners: Miners,
    /// What proposers could not be paid, for want of any or because it could not be divided.
    pot: u64,
    burned: u64,
    last: Option<Layer>,
    tree: Tree,
    root: StateRoot,
    skipped: usize,
}

impl Ledger {
    /// The ledger before the first layer.
    #[must_use]
    pub fn new(params: &NodeParams) -> Self {
        let mut ledger = Self {
            timing: params.timing.clone(),
            genesis: params.effective_genesis(),
            curve: Issuance::new(&params.rewards),
            proposers_permille: match params.rewards.rule {
                RewardRule::Classical => 1000,
                RewardRule::Linear { proposers_permille } => u64::from(proposers_permille).min(1000),
            },
            accounts: Accounts::default(),
            miners: Miners::default(),
            pot: 0,
            burned: 0,
            last: None,
            tree: Tree::default(),
            root: StateRoot([0; 32]),
            skipped: 0,
        };
        ledger.root = ledger.meta().root(ledger.tree.root());
        ledger
    }

    /// Applies a layer: each once and in order, from the one after the effective genesis on; `None` is an empty layer.
    /// What is to be kept comes with the new root. Signatures of transactions must have been checked; `facts` must know
    /// every ATX that the block names. After an error the ledger is as it was.
    ///
    /// # Errors
    /// [`LedgerError`], when the call is wrong.
    pub fn apply(
        &mut self,
        layer: Layer,
        block: Option<(&Block, &[Transaction])>,
        facts: &dyn Fn(AtxId) -> Option<AtxFacts>,
    ) -> Result<(StateRoot, Vec<Write>), LedgerError> {
        self.check(layer, block)?;
        let revoked = self.facts_of(block.map_or(&[], |(block, _)| &block.revoked), facts)?;
        let named = self.facts_of(block.map_or(&[], |(block, _)| &block.atxs), facts)?;

        let epoch = self.timing.epoch_of(layer);
        self.burn(|miners| miners.begin(epoch));
        for (id, facts) in revoked {
            self.burn(|miners| miners.revoke(id, facts.as_ref()));
        }
        for (id, facts) in named {
            for (coinbase, amount) in facts.map_or_else(Vec::new, |facts| self.miners.count(id, &facts)) {
                self.accounts.credit(coinbase, amount);
            }
        }
        self.pay(layer, block);
        self.last = Some(layer);
        Ok(self.commit())
    }

    fn check(&self, layer: Layer, block: Option<(&Block, &[Transaction])>) -> Result<(), LedgerError> {
        let expected = self.last.unwrap_or(self.genesis).next();
        if layer != expected || block.is_some_and(|(block, _)| block.layer != layer) {
            return Err(LedgerError::Order { expected, got: block.map_or(layer, |(block, _)| block.layer) });
        }
        match block {
            Some((block, txs)) if !block.txs.iter().copied().eq(txs.iter().map(Transaction::id)) => {
                Err(LedgerError::Transactions)
            }
            _ => Ok(()),
        }
    }

    /// Of those that are not known here yet.
    fn facts_of(
        &self,
        ids: &[AtxId],
        facts: &dyn Fn(AtxId) -> Option<AtxFacts>,
    ) -> Result<Vec<(AtxId, Option<AtxFacts>)>, LedgerError> {
        let of = |id: &AtxId| match self.miners.knows(*id) {
            true => Ok((*id, None)),
            false => Ok((*id, Some(facts(*id).ok_or(LedgerError::UnknownAtx(*id))?))),
        };
        ids.iter().map(of).collect()
    }

    fn burn(&mut self, lost: impl FnOnce(&mut Miners) -> u64) {
        self.burned = self.burned.saturating_add(lost(&mut self.miners));
    }

    /// The subsidy and the fees.
    fn pay(&mut self, layer: Layer, block: Option<(&Block, &[Transaction])>) {
        let subsidy = self.curve.subsidy(layer.since(self.genesis).into());
        let for_proposers = part(subsidy, self.proposers_permille, 1000u64);
        self.miners.accrue(subsidy.saturating_sub(for_proposers));

        self.skipped = 0;
        for tx in block.map_or(&[][..], |(_, txs)| txs) {
            match self.accounts.transfer(tx) {
                Some(fee) => self.pot = self.pot.saturating_add(fee),
                None => self.skipped += 1,
            }
        }
        let rewards = block.map_or(&[][..], |(block, _)| &block.rewards);
        let weight: u128 = rewards.iter().map(|reward| u128::from(reward.weight)).sum();
        if weight == 0 {
            self.burned = self.burned.saturating_add(for_proposers);
            return;
        }
        let pot = self.pot.saturating_add(for_proposers);
        self.pot = pot;
        for reward in rewards {
            let amount = part(pot, reward.weight, weight);
            self.pot = self.pot.saturating_sub(amount);
            self.accounts.credit(reward.coinbase, amount);
        }
    }

    /// Brings the root up to date; what has changed is to be kept.
    fn commit(&mut self) -> (StateRoot, Vec<Write>) {
        let (mut writes, mut buckets) = (Vec::new(), BTreeSet::new());
        self.accounts.changes(&mut buckets, &mut writes);
        self.miners.changes(&mut buckets, &mut writes);
        self.hash(&buckets);
        writes.push(self.meta().write());
        (self.root, writes)
    }

    /// The root, where these buckets have changed.
    fn hash(&mut self, buckets: &BTreeSet<Bucket>) {
        self.tree.update(buckets, |bucket, leaf| {
            self.accounts.hash_bucket(bucket, leaf);
            self.miners.hash_bucket(bucket, leaf);
        });
        self.root = self.meta().root(self.tree.root());
    }

    fn meta(&self) -> Meta {
        Meta { last: self.last, pot: self.pot, burned: self.burned, accrued: self.miners.accrued().clone() }
    }

    /// An account; empty if nobody ever sent it anything.
    #[must_use]
    pub fn account(&self, address: Address) -> Account {
        self.accounts.get(address)
    }

    /// Where all that was issued is.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let issued = self.last.map_or(0, |last| self.curve.issued(last.since(self.genesis).into()));
        let (claimable, carried) = self.miners.claimable_and_carried();
        let carried = carried.saturating_add(self.pot);
        Totals { issued, held: self.accounts.held(), claimable, burned: self.burned, carried }
    }

    /// All accounts, and what is earned, in one hash.
    #[must_use]
    pub fn root(&self) -> StateRoot {
        self.root
    }

    /// The last layer that was applied.
    #[must_use]
    pub fn last(&self) -> Option<Layer> {
        self.last
    }

    /// How many transactions of the last layer had no effect.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether a block has named this ATX in the epoch of the last layer, for which it counts, and none has revoked it.
    #[must_use]
    pub fn is_counted(&self, id: AtxId) -> bool {
        self.miners.is_counted(id)
    }
}

/// `amount · weight / all`, rounded down; no more than `amount`, since no weight is more than all.
fn part(amount: u64, weight: u64, all: impl Into<u128>) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(weight) / all.into().max(1)).unwrap_or(amount)
}
