//! Proposers, transactions, and calls that are wrong.

use node::ids::{Address, AtxId, Layer};
use node::ledger::{Ledger, LedgerError};
use node::params::{NodeParams, RewardRule};
use node::transaction::Transaction;

use crate::world::{HALF, World, account, params, rewards, transfer};

#[test]
fn proposers_share_by_weight_and_the_remainder_waits() {
    let mut world = World::new(RewardRule::Classical);
    world.apply(Some(rewards(&[(1, 1), (2, 2), (3, 4)])), &[]);
    let first = world.ledger.totals().issued;
    let shares = [1, 2, 4].map(|weight| first * weight / 7);
    assert_eq!([1, 2, 3].map(|i| world.balance(i)), shares);
    let carried = world.ledger.totals().carried;
    assert_eq!(carried, first - shares.iter().sum::<u64>());
    world.apply(Some(rewards(&[(4, 9)])), &[]);
    assert_eq!(world.balance(4), world.ledger.totals().issued - first + carried);
    assert_eq!(world.ledger.totals().carried, 0);
}

#[test]
fn without_proposers_their_part_is_burned() {
    for (rule, permille) in [(RewardRule::Classical, 1000), (HALF, 500)] {
        let mut world = World::new(rule);
        world.apply(None, &[]);
        let first = world.ledger.totals();
        assert_eq!(first.burned, first.issued * permille / 1000);
        world.apply(Some(rewards(&[(1, 0)])), &[]);
        assert!(world.ledger.totals().burned.abs_diff(world.ledger.totals().issued * permille / 1000) <= 1);
        assert_eq!(world.balance(1), 0);
        // The miners' part waits for somebody.
        assert_eq!(world.ledger.totals().carried, world.ledger.totals().issued - world.ledger.totals().burned);
    }
}

#[test]
fn the_live_network_pays_what_it_paid() {
    let params = NodeParams::mainnet();
    let mut ledger = Ledger::new(&params);
    let genesis = params.effective_genesis();
    assert_eq!(genesis, Layer(8063));
    for n in 1..=20 {
        ledger.apply(genesis.after(n), None, &|_| None).unwrap();
    }
    // acc(20) - acc(0), by exp.
    assert_eq!(ledger.totals().issued, node::issuance::Issuance::new(&params.rewards).issued(20));
    assert_eq!(ledger.totals().burned, ledger.totals().issued);
}

#[test]
fn transactions_move_and_fees_go_to_the_proposers() {
    let mut world = World::new(RewardRule::Classical);
    world.apply(Some(rewards(&[(1, 1)])), &[]);
    let had = world.balance(1);
    let issued = world.ledger.totals().issued;
    world.apply(Some(rewards(&[(9, 1)])), &[transfer(1, 2, 1000, 10, 0), transfer(2, 1, 990, 10, 0)]);
    assert_eq!(world.ledger.skipped(), 0);
    assert_eq!([world.balance(1), world.balance(2)], [had - 1010 + 990, 0]);
    assert_eq!(world.balance(9), world.ledger.totals().issued - issued + 20);
    assert_eq!(world.ledger.account(account(1)).nonce, 1);
    // To oneself only the fee is lost; without proposers it waits.
    world.apply(Some(rewards(&[])), &[transfer(1, 1, 500, 7, 1)]);
    assert_eq!(world.balance(1), had - 27);
    assert_eq!(world.ledger.totals().carried, 7);
}

#[test]
fn impossible_transactions_have_no_effect() {
    let mut world = World::new(RewardRule::Classical);
    world.apply(Some(rewards(&[(1, 1)])), &[]);
    let had = world.balance(1);
    let lost = Transaction { to: Address([1; 24]), ..transfer(1, 2, 1, 1, 0) };
    let bad = [
        transfer(1, 2, 1, 1, 1),
        transfer(1, 2, had, 1, 0),
        transfer(1, 2, u64::MAX, 1, 0),
        transfer(1, 2, 0, u64::MAX, 0),
        transfer(3, 2, 1, 0, 0),
        lost,
    ];
    world.apply(Some(rewards(&[(9, 1)])), &bad);
    assert_eq!(world.ledger.skipped(), bad.len());
    assert_eq!([world.balance(1), world.balance(2)], [had, 0]);
    assert_eq!(world.ledger.account(account(1)).nonce, 0);
    // The same twice: the nonce is used.
    world.apply(Some(rewards(&[(9, 1)])), &[transfer(1, 2, 1, 1, 0), transfer(1, 2, 1, 1, 0)]);
    assert_eq!((world.ledger.skipped(), world.balance(2)), (1, 1));
    // All of it.
    world.apply(Some(rewards(&[(9, 1)])), &[transfer(1, 2, had - 3, 1, 1)]);
    assert_eq!((world.ledger.skipped(), world.balance(1), world.balance(2)), (0, 0, had - 2));
}

#[test]
fn a_wrong_call_changes_nothing() {
    let params = params(HALF);
    let mut ledger = Ledger::new(&params);
    let first = params.effective_genesis().next();
    let untouched = ledger.root();
    let mut block = rewards(&[(1, 1)]);
    block.layer = first.next();
    let tx = transfer(1, 2, 1, 1, 0);
    let order = Err(LedgerError::Order { expected: first, got: first.next() });
    assert_eq!(ledger.apply(first.next(), None, &|_| None), order);
    assert_eq!(ledger.apply(first, Some((&block, &[])), &|_| None), order);
    block.layer = first;
    block.txs = vec![transfer(1, 2, 2, 1, 0).id()];
    assert_eq!(ledger.apply(first, Some((&block, &[tx])), &|_| None), Err(LedgerError::Transactions));
    block.txs = vec![];
    for (atxs, revoked) in [(vec![AtxId([1; 32])], vec![]), (vec![], vec![AtxId([1; 32])])] {
        (block.atxs, block.revoked) = (atxs, revoked);
        let unknown = Err(LedgerError::UnknownAtx(AtxId([1; 32])));
        assert_eq!(ledger.apply(first, Some((&block, &[])), &|_| None), unknown);
    }
    assert_eq!((ledger.root(), ledger.last()), (untouched, None));
    assert_eq!(ledger.totals(), node::ledger::Totals::default());
}
