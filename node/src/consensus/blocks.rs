//! The block of a layer, made of the proposals that Hare agreed on.

use std::collections::{BTreeMap, BTreeSet};

use super::speak::some_from;
use super::{Consensus, Effect, Step};
use crate::archive::{ArchiveError, Write};
use crate::ballot::{Ballot, Content, Vote};
use crate::block::{Block, MAX_BLOCK_ATXS, MAX_BLOCK_TXS, MAX_REWARDS, Reward};
use crate::codec::decode;
use crate::eligibility::ballot_weight;
use crate::ids::{Address, AtxId, BallotId, Layer, NodeId, TxId};
use crate::transaction::Transaction;
use crate::wire::Thing;

impl Consensus {
    /// Makes the blocks for which everything is here.
    pub(super) fn build(&mut self, step: &mut Step<'_>) -> Result<(), ArchiveError> {
        // What is missing comes in its turn; and the block may be final already.
        if self.is_far_behind() {
            return Ok(());
        }
        let layers: Vec<Layer> = self.agreed.keys().copied().collect();
        for layer in layers {
            let Some(proposals) = self.agreed.get(&layer).cloned() else { continue };
            if let Some(block) = self.make(step, layer, &proposals)? {
                self.agreed.remove(&layer);
                let (id, height) = (block.id(), block.height);
                self.decided.insert(layer, Vote::Block { id, height });
                self.keep_block(step, id, block);
                step.out.push(Effect::Persist(vec![Write::Hare { layer, block: id }]));
            }
        }
        Ok(())
    }

    /// The block of these proposals; `None` while something is missing, which is asked for.
    fn make(&mut self, step: &Step<'_>, layer: Layer, proposals: &[BallotId]) -> Result<Option<Block>, ArchiveError> {
        let (mut maker, mut whole) = (Maker::new(proposals), true);
        for id in proposals {
            let ballot = self.ballot_of(step, *id)?;
            let content = self.ballots.content(layer, *id).cloned();
            let (Some(ballot), Some(content)) = (ballot, content) else {
                self.want(Thing::Proposal(*id), None);
                whole = false;
                continue;
            };
            // A ballot is counted when its ATX is known.
            let Some(record) = step.atxs.atx(ballot.atx) else { return Ok(None) };
            let Some(part) = record.part(ballot.smesher) else { continue };
            let weight = u64::from(part.effective_units).saturating_mul(record.ticks);
            let weight = ballot_weight(weight, ballot.total_weight, ballot.slots.len(), &self.params);
            maker.add(record.coinbase, weight, record.height(), &content);
        }
        let mut txs = Vec::new();
        for id in &maker.txs {
            match self.transaction(step, *id)? {
                Some(transaction) => txs.push((*id, transaction)),
                None => {
                    self.want(Thing::Transaction(*id), None);
                    whole = false;
                }
            }
        }
        Ok(whole.then(|| maker.finish(layer, txs)))
    }

    pub(super) fn ballot_of(&self, step: &Step<'_>, id: BallotId) -> Result<Option<Ballot>, ArchiveError> {
        match self.fresh.get(&id) {
            Some(ballot) => Ok(Some(ballot.clone())),
            None => Ok(step.archive.ballot(id)?.and_then(|bytes| decode(&bytes).ok())),
        }
    }

    pub(super) fn transaction(&self, step: &Step<'_>, id: TxId) -> Result<Option<Transaction>, ArchiveError> {
        match self.mempool.get(id).or_else(|| self.asked.get(&id)) {
            Some(transaction) => Ok(Some(transaction.clone())),
            None => Ok(step.archive.transaction(id)?.and_then(|bytes| decode(&bytes).ok())),
        }
    }
}

/// Adds proposals up.
struct Maker {
    /// Of the proposals' names, ascending.
    seed: [u8; 32],
    height: u64,
    rewards: BTreeMap<Address, u64>,
    atxs: BTreeSet<AtxId>,
    revoked: BTreeSet<AtxId>,
    txs: BTreeSet<TxId>,
}

impl Maker {
    fn new(proposals: &[BallotId]) -> Self {
        let mut seed = blake3::Hasher::new();
        proposals.iter().for_each(|id| {
            seed.update(&id.0);
        });
        let (rewards, atxs, revoked, txs) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { seed: seed.finalize().into(), height: 0, rewards, atxs, revoked, txs }
    }

    fn add(&mut self, coinbase: Address, weight: u64, height: u64, content: &Content) {
        self.height = self.height.max(height);
        let sum = self.rewards.entry(coinbase).or_default();
        *sum = sum.saturating_add(weight);
        self.atxs.extend(&content.atxs);
        self.revoked.extend(&content.revoked);
        self.txs.extend(&content.txs);
    }

    fn finish(self, layer: Layer, mut txs: Vec<(TxId, Transaction)>) -> Block {
        // Accounts in an order that nobody could know before, the transactions of each in theirs.
        let place = |account: &NodeId| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.seed).update(&account.0);
            *hasher.finalize().as_bytes()
        };
        txs.sort_by_cached_key(|(id, tx)| (place(&tx.from), tx.nonce, *id));
        let rewards = self.rewards.into_iter().map(|(coinbase, weight)| Reward { coinbase, weight });
        Block {
            layer,
            height: self.height,
            rewards: rewards.take(MAX_REWARDS).collect(),
            atxs: some_from(&self.atxs, AtxId(self.seed), MAX_BLOCK_ATXS),
            revoked: some_from(&self.revoked, AtxId(self.seed), MAX_BLOCK_ATXS),
            txs: txs.into_iter().map(|(id, _)| id).take(MAX_BLOCK_TXS).collect(),
        }
    }
}
