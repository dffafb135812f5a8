#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::archive::Memory;
use crate::block::{Block, Reward};
use crate::codec::encode;
use crate::ids::{Layer, Signature};
use crate::params::NodeParams;
use crate::signature::Signer;
use crate::time::Time;
use proptest::prelude::*;
use std::sync::Arc;

use crate::crypto::KeyedHash;

const OTHER: Address = Address([0; 24]);

fn never(_: TxId) -> bool {
    false
}

struct World {
    ledger: Ledger,
    verifier: Verifier,
    signers: Vec<Signer>,
    pool: Mempool,
}

impl World {
    /// Accounts with about 119 SMH each at four.
    fn new(accounts: u8) -> Self {
        let params = NodeParams::devnet(Time(0));
        let signer = |i| Signer::with(&KeyedHash::default(), params.genesis_id, &[i; 32]);
        let signers: Vec<Signer> = (0..accounts).map(signer).collect();
        let mut world = Self {
            ledger: Ledger::new(&params),
            verifier: Verifier::with(Arc::new(KeyedHash::default()), params.genesis_id),
            signers,
            pool: Mempool::default(),
        };
        world.block(&[]);
        world
    }

    fn address(&self, i: usize) -> Address {
        address_of(&self.signers[i].node_id())
    }

    fn block(&mut self, txs: &[Transaction]) {
        let layer = self.ledger.last().map_or(Layer(20), Layer::next);
        let rewards = (0..self.signers.len()).map(|i| Reward { coinbase: self.address(i), weight: 1 }).collect();
        let ids = txs.iter().map(Transaction::id).collect();
        let block = Block { layer, height: 0, rewards, atxs: vec![], revoked: vec![], txs: ids };
        self.ledger.apply(layer, Some((&block, txs)), &|_| None).unwrap();
    }

    fn tx(&self, i: usize, nonce: u64, fee: u64) -> Transaction {
        let from = self.signers[i].node_id();
        let mut tx = Transaction { from, to: OTHER, amount: 1, fee, nonce, signature: Signature([0; 64]) };
        tx.sign(&self.signers[i]);
        tx
    }

    fn take(&mut self, bytes: &[u8], source: Source) -> (Reason, Vec<Effect>) {
        let mut out = Vec::new();
        let checked = self.pool.check(bytes, &self.ledger, &self.verifier);
        self.pool.take(bytes, source, &self.ledger, &self.verifier, &never, &mut out);
        let Some(Effect::Verdict { why, verdict, .. }) = out.pop() else { panic!("no verdict") };
        assert_eq!(verdict, why.verdict());
        assert_eq!(checked.err().unwrap_or(Reason::Taken), why);
        (why, out)
    }

    fn give(&mut self, tx: &Transaction) -> Reason {
        self.take(&encode(tx), Source::Own).0
    }
}

#[test]
fn good_ones_are_kept_told_and_picked() {
    let mut world = World::new(2);
    let tx = world.tx(0, 0, 5);
    let (why, out) = world.take(&encode(&tx), Source::Own);
    assert_eq!(why, Reason::Taken);
    let kept = Write::Transaction { id: tx.id(), bytes: encode(&tx) };
    assert_eq!(out, [Effect::Persist(vec![kept]), Effect::Gossip { bytes: encode(&tx) }]);
    assert_eq!(world.give(&tx), Reason::Known);
    // A later one that pays more comes after it; the other account's is between them or before.
    let (later, other) = (world.tx(0, 1, 50), world.tx(1, 0, 20));
    assert_eq!([world.give(&later), world.give(&other)], [Reason::Taken, Reason::Taken]);
    assert_eq!(world.pool.pick(&world.ledger, 9), [other.id(), tx.id(), later.id()]);
    assert_eq!(world.pool.pick(&world.ledger, 2), [other.id(), tx.id()]);
    assert_eq!(world.pool.next_nonce(world.address(0), &world.ledger), 2);
    // What comes by gossip is handed on by the verdict.
    let answer = world.tx(0, 2, 5);
    assert_eq!(world.take(&encode(&answer), Source::Answer { peer: crate::source::Peer([1; 32]) }).1.len(), 1);
}

#[test]
fn bad_ones_are_not() {
    let mut world = World::new(2);
    let good = world.tx(0, 0, 5);
    assert_eq!(world.take(&[0; MAX_TX_BYTES + 1], Source::Own).0, Reason::TooLong);
    assert!(matches!(world.take(&encode(&good)[1..], Source::Own).0, Reason::Encoding(_)));
    assert_eq!(world.give(&Transaction { amount: 2, ..good.clone() }), Reason::Signature);
    assert_eq!(world.give(&Transaction { to: Address([1; 24]), ..good.clone() }), Reason::Recipient);
    assert_eq!(world.give(&world.tx(0, MAX_OF_ACCOUNT, 5)), Reason::Ahead { next: 0 });
    let balance = world.ledger.account(world.address(0)).balance;
    assert_eq!(world.give(&world.tx(0, 0, balance)), Reason::Balance { balance });
    assert_eq!(world.give(&world.tx(0, 0, u64::MAX)), Reason::Balance { balance });
    assert!(world.pool.is_empty());
    // Two that the account can pay only one of.
    assert_eq!(world.give(&world.tx(0, 1, balance / 2)), Reason::Taken);
    assert_eq!(world.give(&world.tx(0, 0, balance / 2)), Reason::Balance { balance });
    world.block(std::slice::from_ref(&good));
    assert_eq!(world.give(&world.tx(0, 0, 6)), Reason::Spent { next: 1 });
}

#[test]
fn a_better_fee_wins() {
    let mut world = World::new(1);
    let (low, high) = (world.tx(0, 0, 80), world.tx(0, 0, 91));
    assert_eq!(world.give(&low), Reason::Taken);
    assert_eq!(world.give(&world.tx(0, 0, 90)), Reason::Outbid { fee: 80 });
    let (_, out) = world.take(&encode(&high), Source::Own);
    let Effect::Persist(writes) = &out[0] else { panic!("{out:?}") };
    assert_eq!(writes[0], Write::ForgetTransaction { id: low.id() });
    assert_eq!(world.pool.pick(&world.ledger, 9), [high.id()]);
}

#[test]
fn a_full_pool_keeps_the_best() {
    let mut world = World::new(65);
    for i in 0..64 {
        for nonce in 0..64 {
            assert_eq!(world.give(&world.tx(i, nonce, 100 + nonce)), Reason::Taken);
        }
    }
    assert_eq!(world.pool.len(), MAX_POOLED);
    assert_eq!(world.give(&world.tx(64, 0, 112)), Reason::Full { fee: 100 });
    let better = world.tx(64, 0, 113);
    assert_eq!(world.give(&better), Reason::Taken);
    assert_eq!(world.pool.len(), MAX_POOLED);
    assert_eq!(world.pool.pick(&world.ledger, 1), [better.id()]);
    // All but those behind the one that gave way.
    assert_eq!(world.pool.pick(&world.ledger, usize::MAX).len(), MAX_POOLED - 63);
}

#[test]
fn what_was_applied_or_can_not_be_any_more_leaves() {
    let mut world = World::new(2);
    let [a, b, c] = [world.tx(0, 0, 5), world.tx(0, 1, 5), world.tx(1, 0, 5)];
    for tx in [&a, &b, &c] {
        assert_eq!(world.give(tx), Reason::Taken);
    }
    // A block has one of them, and one with the nonce of another.
    let rival = world.tx(1, 0, 7);
    world.block(&[a.clone(), rival.clone()]);
    for (named, writes) in
        [(true, vec![]), (false, vec![Effect::Persist(vec![Write::ForgetTransaction { id: c.id() }])])]
    {
        let (mut pool, mut out) = (world.pool.clone(), Vec::new());
        pool.applied(&[a.id(), rival.id()], &world.ledger, &|_| named, &mut out);
        assert_eq!(out, writes);
        assert_eq!(pool.pick(&world.ledger, 9), [b.id()]);
        assert_eq!(pool.len(), 1);
    }
}

#[test]
fn what_was_kept_is_there_again() {
    let mut world = World::new(2);
    let mut archive = Memory::default();
    let txs = [world.tx(0, 0, 5), world.tx(0, 1, 5), world.tx(1, 0, 5)];
    for tx in &txs {
        for effect in world.take(&encode(tx), Source::Own).1 {
            if let Effect::Persist(writes) = effect {
                writes.into_iter().for_each(|write| archive.write(write));
            }
        }
    }
    world.block(&txs[2..]);
    let mut again = Mempool::default();
    again.restore(&archive, &world.ledger).unwrap();
    assert_eq!(again.pick(&world.ledger, 9), [txs[0].id(), txs[1].id()]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever comes in: what is picked can all be applied in this order, and no more is there than may be.
    #[test]
    fn all_that_is_picked_applies(given in prop::collection::vec((0..3usize, 0..6u64, 0..80_000_000_000u64), 0..60)) {
        let mut world = World::new(3);
        let mut known = BTreeMap::new();
        for (i, nonce, fee) in given {
            let tx = world.tx(i, nonce, fee);
            known.insert(tx.id(), tx.clone());
            world.give(&tx);
        }
        prop_assert_eq!(world.pool.len(), world.pool.by_fee.len());
        prop_assert_eq!(world.pool.len(), world.pool.by_account.len());
        let picked = world.pool.pick(&world.ledger, usize::MAX);
        let txs: Vec<Transaction> = picked.iter().map(|id| known[id].clone()).collect();
        world.block(&txs);
        prop_assert_eq!(world.ledger.skipped(), 0);
        let mut pool = world.pool.clone();
        pool.applied(&picked, &world.ledger, &never, &mut Vec::new());
        prop_assert!(picked.iter().all(|id| !pool.all.contains_key(id)));
    }
}
