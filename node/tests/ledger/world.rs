//! A ledger with its archive, and the blocks it is fed.

use std::collections::BTreeMap;

use node::archive::{Applied, Memory, Write};
use node::block::{Block, Reward};
use node::ids::{Address, AtxId, Epoch, Layer, NodeId, Opinion, Signature};
use node::ledger::{AtxFacts, Ledger};
use node::params::{NodeParams, RewardRule};
use node::time::Time;
use node::transaction::{Transaction, address_of};

pub(crate) const PER_EPOCH: u32 = 20;
pub(crate) const HALF: RewardRule = RewardRule::Linear { proposers_permille: 500 };
pub(crate) const ALL_TO_MINERS: RewardRule = RewardRule::Linear { proposers_permille: 0 };

pub(crate) fn params(rule: RewardRule) -> NodeParams {
    let mut params = NodeParams::devnet(Time(0));
    params.timing.layers_per_epoch = PER_EPOCH;
    params.rewards.rule = rule;
    params
}

pub(crate) fn key(i: u8) -> NodeId {
    NodeId([i; 32])
}

pub(crate) fn account(i: u8) -> Address {
    address_of(&key(i))
}

pub(crate) fn atx_id(n: u64) -> AtxId {
    AtxId(blake3::hash(&n.to_le_bytes()).into())
}

pub(crate) fn transfer(from: u8, to: u8, amount: u64, fee: u64, nonce: u64) -> Transaction {
    Transaction { from: key(from), to: account(to), amount, fee, nonce, signature: Signature([0; 64]) }
}

/// A block without anything in it but rewards.
pub(crate) fn rewards(weights: &[(u8, u64)]) -> Block {
    let mut rewards: Vec<Reward> =
        weights.iter().map(|(i, weight)| Reward { coinbase: account(*i), weight: *weight }).collect();
    rewards.sort_by_key(|reward| reward.coinbase);
    Block { layer: Layer(0), height: 0, rewards, atxs: vec![], revoked: vec![], txs: vec![] }
}

pub(crate) struct World {
    pub(crate) params: NodeParams,
    pub(crate) ledger: Ledger,
    pub(crate) archive: Memory,
    pub(crate) facts: BTreeMap<AtxId, AtxFacts>,
}

impl World {
    pub(crate) fn new(rule: RewardRule) -> Self {
        let params = params(rule);
        let ledger = Ledger::new(&params);
        Self { params, ledger, archive: Memory::default(), facts: BTreeMap::new() }
    }

    pub(crate) fn next(&self) -> Layer {
        self.ledger.last().unwrap_or(self.params.effective_genesis()).next()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.params.timing.epoch_of(self.next())
    }

    pub(crate) fn atx(&mut self, n: u64, weight: u64, coinbase: u8, miners: &[u8], previous: &[u64]) -> AtxId {
        let facts = AtxFacts {
            target: self.epoch(),
            weight,
            coinbase: account(coinbase),
            miners: miners.iter().map(|i| key(*i)).collect(),
            previous: previous.iter().map(|n| atx_id(*n)).collect(),
        };
        self.facts.insert(atx_id(n), facts);
        atx_id(n)
    }

    /// Applies the next layer and keeps what is to be kept; all must add up.
    pub(crate) fn apply(&mut self, block: Option<Block>, txs: &[Transaction]) {
        let layer = self.next();
        let block = block.map(|mut block| {
            (block.layer, block.txs) = (layer, txs.iter().map(Transaction::id).collect());
            block.atxs.sort();
            block.revoked.sort();
            block
        });
        let before = self.ledger.totals();
        let facts = |id| self.facts.get(&id).cloned();
        let (root, writes) = self.ledger.apply(layer, block.as_ref().map(|block| (block, txs)), &facts).unwrap();
        assert_eq!(root, self.ledger.root());
        writes.into_iter().for_each(|write| self.archive.write(write));
        self.archive.write(Write::Applied { layer, applied: Applied { block: None, root, opinion: Opinion([0; 32]) } });
        let totals = self.ledger.totals();
        assert!(totals.add_up(), "layer {layer}: {totals:?}");
        assert!(totals.burned >= before.burned && totals.issued > before.issued, "{before:?}, then {totals:?}");
    }

    pub(crate) fn empty(&mut self, layers: u32) {
        (0..layers).for_each(|_| self.apply(None, &[]));
    }

    /// Empty layers until an epoch begins.
    pub(crate) fn finish_epoch(&mut self) {
        let epoch = self.epoch();
        while self.epoch() == epoch {
            self.apply(None, &[]);
        }
    }

    pub(crate) fn balance(&self, i: u8) -> u64 {
        self.ledger.account(account(i)).balance
    }

    /// What a ledger made of the archive is.
    pub(crate) fn restored(&self) -> Ledger {
        let mut ledger = Ledger::new(&self.params);
        ledger.restore(&self.archive).unwrap();
        ledger
    }
}

/// Numbers that a seed makes.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        let hash = blake3::hash(&self.0.to_le_bytes());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
