//! Pay by weight: exactly linear, claimed by the next ATX, lost by fraud.

use node::ledger::UNCLAIMED_EPOCHS;

use crate::world::{ALL_TO_MINERS, HALF, PER_EPOCH, World, account, atx_id, key, rewards};

/// A block that names ATXs.
fn naming(ids: &[u64]) -> Option<node::block::Block> {
    let mut block = rewards(&[]);
    block.atxs = ids.iter().map(|n| atx_id(*n)).collect();
    Some(block)
}

fn revoking(ids: &[u64]) -> Option<node::block::Block> {
    let mut block = rewards(&[]);
    block.revoked = ids.iter().map(|n| atx_id(*n)).collect();
    Some(block)
}

#[test]
fn the_next_atx_claims_by_weight_and_time() {
    let mut world = World::new(ALL_TO_MINERS);
    world.atx(0, 300, 100, &[0], &[]);
    world.atx(1, 700, 101, &[1], &[]);
    world.apply(naming(&[0, 1]), &[]);
    world.finish_epoch();
    let issued = world.ledger.totals().issued;
    assert!(world.ledger.totals().claimable >= issued - 1);
    assert_eq!(world.balance(100), 0);
    // The old coinbase is paid, not the new one.
    world.atx(2, 10, 102, &[0], &[0]);
    world.atx(3, 10, 103, &[1], &[1]);
    world.apply(naming(&[2, 3]), &[]);
    assert!(world.balance(100).abs_diff(issued * 3 / 10) <= 1, "{} of {issued}", world.balance(100));
    assert!(world.balance(101).abs_diff(issued * 7 / 10) <= 1);
    assert_eq!([world.balance(102), world.balance(103)], [0, 0]);
}

#[test]
fn an_atx_counts_from_the_layer_that_names_it_until_its_epoch_ends() {
    let mut world = World::new(ALL_TO_MINERS);
    world.atx(0, 5, 100, &[0], &[]);
    world.atx(1, 5, 101, &[1], &[]);
    world.apply(naming(&[0]), &[]);
    world.empty(PER_EPOCH / 2 - 1);
    let half = world.ledger.totals().issued;
    assert!(!world.ledger.is_counted(atx_id(1)));
    world.apply(naming(&[1]), &[]);
    assert!(world.ledger.is_counted(atx_id(0)) && world.ledger.is_counted(atx_id(1)));
    world.finish_epoch();
    let all = world.ledger.totals().issued;
    // Two epochs without weight: what comes then waits for the first that has some.
    world.empty(PER_EPOCH);
    assert!(!world.ledger.is_counted(atx_id(0)));
    let carried = world.ledger.totals().carried;
    assert!(carried.abs_diff(world.ledger.totals().issued - all) <= 1);
    world.atx(2, 1, 102, &[0], &[0]);
    world.atx(3, 1, 103, &[1], &[1]);
    world.apply(naming(&[2, 3]), &[]);
    assert!(world.balance(100).abs_diff(half + (all - half) / 2) <= 2);
    assert!(world.balance(101).abs_diff((all - half) / 2) <= 2);
    assert!(world.ledger.totals().carried <= 1);
}

#[test]
fn what_does_not_count() {
    let mut world = World::new(ALL_TO_MINERS);
    // Of another epoch.
    world.atx(0, 5, 100, &[0], &[]);
    world.finish_epoch();
    world.apply(naming(&[0]), &[]);
    assert!(!world.ledger.is_counted(atx_id(0)));
    // A miner that counts already, here or in company.
    world.atx(1, 5, 100, &[0], &[]);
    world.atx(2, 5, 100, &[0], &[]);
    world.atx(3, 5, 100, &[7, 0], &[]);
    world.apply(naming(&[1]), &[]);
    world.apply(naming(&[2, 3]), &[]);
    assert_eq!([1, 2, 3].map(|n| world.ledger.is_counted(atx_id(n))), [true, false, false]);
    // Named twice, it claims nothing and counts once.
    let before = world.ledger.totals();
    world.apply(naming(&[1]), &[]);
    assert_eq!(world.ledger.totals().held, before.held);
    // Weight that no one has.
    world.atx(4, u64::MAX - 1, 100, &[8], &[]);
    world.apply(naming(&[4]), &[]);
    assert!(!world.ledger.is_counted(atx_id(4)));
    // Revoked, before or at the same time.
    world.atx(5, 5, 100, &[9], &[]);
    world.atx(6, 5, 100, &[10], &[]);
    world.apply(revoking(&[5]), &[]);
    let mut both = naming(&[5, 6]).unwrap();
    both.revoked = vec![atx_id(6)];
    world.apply(Some(both), &[]);
    assert_eq!([5, 6].map(|n| world.ledger.is_counted(atx_id(n))), [false, false]);
}

#[test]
fn frauds_lose_what_they_did_not_claim() {
    let mut world = World::new(ALL_TO_MINERS);
    world.atx(0, 1, 100, &[0], &[]);
    world.atx(1, 3, 101, &[1], &[]);
    world.apply(naming(&[0, 1]), &[]);
    world.empty(4);
    let earned = world.ledger.totals().issued;
    world.apply(revoking(&[1]), &[]);
    assert!(world.ledger.totals().burned.abs_diff(earned * 3 / 4) <= 1);
    assert!(!world.ledger.is_counted(atx_id(1)));
    // The others have all from then on.
    world.finish_epoch();
    let issued = world.ledger.totals().issued;
    world.atx(2, 1, 102, &[0], &[0]);
    // A fraud's next one claims nothing.
    world.atx(3, 1, 103, &[1], &[1]);
    world.apply(naming(&[2, 3]), &[]);
    assert!(world.balance(100).abs_diff(issued - earned * 3 / 4) <= 2);
    assert_eq!(world.balance(101), 0);
    // Found out an epoch later, before it claims.
    world.finish_epoch();
    let (claimable, burned) = (world.ledger.totals().claimable, world.ledger.totals().burned);
    world.apply(revoking(&[2]), &[]);
    assert!((world.ledger.totals().burned - burned).abs_diff(claimable / 2) <= 1);
}

#[test]
fn who_stays_away_for_long_loses_it() {
    for (epochs, lost) in [(UNCLAIMED_EPOCHS, false), (UNCLAIMED_EPOCHS + 1, true)] {
        let mut world = World::new(ALL_TO_MINERS);
        world.atx(0, 1, 100, &[0], &[]);
        world.apply(naming(&[0]), &[]);
        world.finish_epoch();
        let earned = world.ledger.totals().issued;
        // Others go on.
        for epoch in 1..epochs {
            world.atx(
                epoch.into(),
                1,
                101,
                &[1],
                &[u64::from(epoch) - 1].into_iter().filter(|n| *n > 0).collect::<Vec<_>>(),
            );
            world.apply(naming(&[epoch.into()]), &[]);
            world.finish_epoch();
        }
        world.atx(99, 1, 102, &[0], &[0]);
        world.apply(naming(&[99]), &[]);
        assert_eq!(world.balance(100), if lost { 0 } else { earned }, "{epochs} epochs later");
        assert_eq!(world.ledger.totals().burned, if lost { earned } else { 0 });
    }
}

/// The last ATX that counted may be further back than the predecessor: that one was in no block.
#[test]
fn an_atx_that_no_block_named_costs_nothing_but_its_epoch() {
    let mut world = World::new(ALL_TO_MINERS);
    world.atx(0, 1, 100, &[0], &[]);
    world.apply(naming(&[0]), &[]);
    world.finish_epoch();
    let earned = world.ledger.totals().issued;
    world.atx(1, 1, 100, &[0], &[0]);
    world.finish_epoch();
    world.atx(2, 1, 100, &[0], &[1]);
    world.apply(naming(&[2]), &[]);
    assert_eq!(world.balance(100), earned);
}

/// One of weight 2w, two of w, and two that merge and part again, earn the same but for a smidge a claim.
#[test]
fn splitting_and_merging_changes_nothing() {
    let mut world = World::new(HALF);
    let weight = 123_456_789;
    let mut n = 0;
    let epochs = 60u32;
    let (mut whole, mut left, mut right) = (vec![], vec![], vec![]);
    for epoch in 0..epochs {
        // With others, so that nothing divides evenly.
        let mut named = vec![n, n + 1, n + 2, n + 5];
        world.atx(n, 2 * weight, 100, &[0], &whole);
        world.atx(n + 1, weight, 101, &[1], &[]);
        world.atx(n + 2, weight, 102, &[2], &[]);
        world.atx(n + 5, 1_000_003 * (u64::from(epoch) + 1), 105, &[5], &[]);
        if epoch % 3 == 0 {
            world.atx(n + 3, 2 * weight, 103, &[3, 4], &[&left[..], &right[..]].concat());
            named.push(n + 3);
            (left, right) = (vec![n + 3], vec![n + 3]);
        } else {
            world.atx(n + 3, weight, 103, &[3], &left);
            world.atx(n + 4, weight, 103, &[4], &right);
            named.extend([n + 3, n + 4]);
            (left, right) = (vec![n + 3], vec![n + 4]);
        }
        whole = vec![n];
        world.apply(naming(&named), &[]);
        world.finish_epoch();
        n += 6;
        let one = world.balance(100);
        let claims = u64::from(epoch);
        let two = world.balance(101) + world.balance(102);
        assert!(two <= one && one - two <= claims, "{one} and {two} after {claims} claims");
        assert!(world.balance(103).abs_diff(one) <= claims, "{one} and {}", world.balance(103));
    }
    assert!(world.balance(100) > u64::from(epochs) * 1_000_000_000, "{}", world.balance(100));
    assert_eq!(world.ledger.account(account(100)).nonce, 0, "{:?}", key(0));
}
