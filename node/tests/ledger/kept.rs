//! The root is of the state, however it was reached; a database that was tampered with is noticed.

use std::collections::BTreeSet;

use node::archive::{Archive, Memory, Write};
use node::ledger::{Ledger, LedgerError};

use crate::world::{HALF, World, atx_id, params, rewards, transfer};

fn world() -> World {
    let mut world = World::new(HALF);
    world.atx(0, 5, 100, &[0], &[]);
    world.atx(1, 7, 101, &[1], &[]);
    world.atx(2, 7, 101, &[2], &[]);
    let mut block = rewards(&[(1, 3), (2, 4)]);
    (block.atxs, block.revoked) = (vec![atx_id(0), atx_id(1)], vec![atx_id(2)]);
    world.apply(Some(block), &[]);
    world.finish_epoch();
    world.apply(Some(rewards(&[(1, 3), (2, 4)])), &[transfer(1, 3, 1000, 1, 0)]);
    world
}

#[test]
fn nothing_kept_is_a_new_ledger() {
    let mut ledger = Ledger::new(&params(HALF));
    let root = ledger.root();
    ledger.restore(&Memory::default()).unwrap();
    assert_eq!((ledger.root(), ledger.last()), (root, None));
}

#[test]
fn restored_it_goes_on_as_before() {
    let mut world = world();
    let restored = world.restored();
    assert_eq!(
        (restored.root(), restored.totals(), restored.last()),
        (world.ledger.root(), world.ledger.totals(), world.ledger.last())
    );
    assert_eq!(restored.account(crate::world::account(3)).balance, 1000);
    world.apply(Some(rewards(&[(7, 1)])), &[]);
    let going_on = world.ledger.root();
    let (layer, mut block) = (world.ledger.last().unwrap(), rewards(&[(7, 1)]));
    block.layer = layer;
    let mut restored = restored;
    assert_eq!(restored.apply(layer, Some((&block, &[])), &|_| None).unwrap().0, going_on);
}

/// Every bit of every entry is in the root, or the entry is refused.
#[test]
fn every_change_shows() {
    let world = world();
    let entries = world.archive.ledger(None, usize::MAX).unwrap();
    assert!(entries.len() > 5);
    let (mut refused, mut noticed) = (0, 0);
    for (key, value) in entries {
        for bit in 0..8 * value.len() {
            let mut changed = value.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut archive = world.archive.clone();
            archive.write(Write::Ledger { key: key.clone(), value: Some(changed) });
            match Ledger::new(&world.params).restore(&archive) {
                Err(LedgerError::Entry(_)) => refused += 1,
                Err(LedgerError::Inconsistent(_)) => noticed += 1,
                other => panic!("{other:?}: bit {bit} of {}", hex::encode(&key)),
            }
        }
        let mut archive = world.archive.clone();
        archive.write(Write::Ledger { key: key.clone(), value: None });
        assert!(matches!(Ledger::new(&world.params).restore(&archive), Err(LedgerError::Inconsistent(_))));
        let mut archive = world.archive.clone();
        archive.write(Write::Ledger { key: [&key[..], &[0]].concat(), value: Some(value) });
        assert!(matches!(Ledger::new(&world.params).restore(&archive), Err(LedgerError::Entry(_))));
    }
    assert!(refused > 10 && noticed > 100, "{refused} refused, {noticed} noticed");
}

#[test]
fn two_ways_to_one_state() {
    // The same accounts, filled in another order: the roots differ only by what else differs.
    let mut roots = BTreeSet::new();
    for order in [[(1, 1), (2, 1)], [(2, 1), (1, 1)]] {
        let mut world = World::new(HALF);
        world.apply(Some(rewards(&order)), &[]);
        let amount = 17;
        let txs = order.map(|(from, _)| transfer(from, 9, amount, 0, 0));
        world.apply(Some(rewards(&[(3, 1)])), &txs);
        roots.insert(world.ledger.root());
    }
    assert_eq!(roots.len(), 1);
}
