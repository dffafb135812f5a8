//! Ten thousand layers of whatever may come: all that was issued is somewhere, after each of them.

use std::collections::BTreeMap;

use node::block::Block;
use node::ids::AtxId;
use node::params::RewardRule;
use node::transaction::Transaction;

use crate::world::{ALL_TO_MINERS, HALF, Random, World, account, key, rewards, transfer};

const MINERS: u8 = 12;

struct Life {
    world: World,
    random: Random,
    /// ATXs of the running epoch, in the order in which blocks will name them, and some of others.
    pending: Vec<AtxId>,
    /// The miners' last ATXs.
    latest: BTreeMap<u8, u64>,
    made: u64,
    revocations: u64,
}

impl Life {
    fn new(rule: RewardRule, seed: u64) -> Self {
        let (world, random) = (World::new(rule), Random(seed << 32));
        Self { world, random, pending: vec![], latest: BTreeMap::new(), made: 0, revocations: 0 }
    }

    /// Miners make ATXs alone or together, in other company each epoch; some make none, some two.
    fn epoch(&mut self) {
        self.pending.truncate(3);
        let mut miners: Vec<u8> = (0..MINERS).filter(|_| self.random.percent(80)).collect();
        while !miners.is_empty() {
            let many = 1 + if self.random.percent(30) { self.random.below(4) as usize } else { 0 };
            let group: Vec<u8> = miners.drain(..many.min(miners.len())).collect();
            let times = 1 + u64::from(self.random.percent(5));
            (0..times).for_each(|_| self.make(&group));
        }
    }

    fn make(&mut self, group: &[u8]) {
        let n = self.made;
        self.made += 1;
        let weight = match self.random.below(20) {
            0 => 0,
            1 => u64::MAX / 3,
            _ => self.random.below(1 << 40),
        };
        let previous: Vec<u64> = group.iter().filter_map(|miner| self.latest.insert(*miner, n)).collect();
        let id = self.world.atx(n, weight, group[0], group, &previous);
        if self.random.percent(90) {
            self.pending.push(id);
        }
    }

    fn block(&mut self) -> Block {
        let count = self.random.below(6) as usize;
        let mut proposers: Vec<(u8, u64)> = (0..MINERS).map(|i| (i, self.random.below(1 << 20))).collect();
        proposers.rotate_left(self.random.below(12) as usize);
        proposers.truncate(count);
        if self.random.percent(5) {
            proposers.iter_mut().for_each(|proposer| proposer.1 = 0);
        }
        let mut block = rewards(&proposers);
        let named = self.random.below(4) as usize;
        block.atxs = self.pending.drain(..named.min(self.pending.len())).collect();
        if self.random.percent(5) {
            let any = self.random.below(self.world.facts.len() as u64) as usize;
            block.atxs.extend(self.world.facts.keys().nth(any));
        }
        if self.random.percent(3) {
            let recent = self.made.saturating_sub(1 + self.random.below(40));
            block.revoked.push(crate::world::atx_id(recent));
            self.revocations += 1;
        }
        block.atxs.dedup();
        block
    }

    fn txs(&mut self) -> Vec<Transaction> {
        (0..self.random.below(4))
            .map(|_| {
                let [from, to] = [0; 2].map(|_| self.random.below(MINERS.into()) as u8);
                let state = self.world.ledger.account(account(from));
                let amount = if self.random.percent(10) { self.random.next() } else { state.balance / 3 };
                transfer(from, to, amount, self.random.below(1 << 30), state.nonce + self.random.below(2))
            })
            .collect()
    }

    fn live(&mut self, layers: u32) {
        let mut epoch = None;
        for layer in 0..layers {
            if epoch.replace(self.world.epoch()) != Some(self.world.epoch()) {
                self.epoch();
            }
            if self.random.percent(25) {
                self.world.apply(None, &[]);
            } else {
                let (block, txs) = (self.block(), self.txs());
                self.world.apply(Some(block), &txs);
            }
            let balances: u64 = (0..MINERS).map(|i| self.world.balance(i)).sum();
            assert_eq!(self.world.ledger.totals().held, balances);
            if layer % 500 == 499 {
                let restored = self.world.restored();
                assert_eq!(restored.root(), self.world.ledger.root());
                assert_eq!(restored.totals(), self.world.ledger.totals());
                // What comes later is the same too.
                self.world.ledger = restored;
            }
        }
    }
}

#[test]
fn nothing_is_lost_by_either_rule() {
    for (seed, rule) in [(1, RewardRule::Classical), (2, HALF), (3, ALL_TO_MINERS)] {
        let mut life = Life::new(rule, seed);
        life.live(10_000);
        let totals = life.world.ledger.totals();
        assert!(life.revocations > 50 && totals.held > totals.issued / 4 && totals.burned > 0, "{totals:?}");
        assert_eq!(totals.claimable > 0, rule != RewardRule::Classical);
        // What has been forgotten is not in memory any more: the miners' last ATXs, and what was revoked just now.
        let entries = node::archive::Archive::ledger(&life.world.archive, Some(&[1]), usize::MAX).unwrap();
        assert!(entries.len() < 40, "{} entries", entries.len());
        assert!((0..MINERS).all(|i| life.world.ledger.account(account(i)).nonce > 0), "{:?}", key(0));
    }
}

#[test]
fn the_same_layers_make_the_same_ledger() {
    let root = || {
        let mut life = Life::new(HALF, 9);
        life.live(300);
        life.world.ledger.root()
    };
    assert_eq!(root(), root());
}
