//! When a node believes that it has what there is.

use crate::atxs::{archive, atx};
use crate::machine::{full, ids, run_to_synced};
use crate::world::{Manner, World, peer};

/// The first guide says what a fresh node would say, or hands out what is new only.
#[test]
fn no_single_peer_decides() {
    let (all, _) = full(100);
    for poor in [archive([]), archive([&atx(5, 7777)])] {
        let mut world = World::new(5, |config| config.seed = peer(1).0);
        world.serve(1, poor.clone(), Manner::Honest);
        world.serve(2, all.clone(), Manner::Honest);
        world.run(60_000, |world| world.sync.is_synced());
        assert!(!world.sync.is_synced() || ids(&world.archive).len() >= 600);
        assert!(ids(&world.archive).is_superset(&ids(&all)));
        // When it has learnt what the others have, nothing is open.
        world.servers.get_mut(&peer(1)).unwrap().archive = all.clone();
        run_to_synced(&mut world, 20_000);
    }
}

#[test]
fn a_peer_that_does_not_answer_is_not_outvoted_by_one_without_atxs() {
    let mut world = World::new(5, |_| {});
    world.serve(1, archive([]), Manner::Honest);
    world.serve(2, full(10).0, Manner::Refusing);
    assert!(!world.run(600_000, |world| world.sync.is_synced()));
}

/// A network that has no ATXs, and one in its first epochs.
#[test]
fn where_nobody_has_anything_nothing_is_missing() {
    for epoch in [0, 1, 2, 9] {
        let mut world = World::new(epoch, |_| {});
        for i in 1..5 {
            world.serve(i, archive([]), Manner::Honest);
        }
        run_to_synced(&mut world, 500);
        let mut world = World::new(epoch, |_| {});
        world.serve(1, archive([]), Manner::Honest);
        run_to_synced(&mut world, 2500);
    }
}

#[test]
fn a_node_that_has_all_is_soon_synced() {
    let (all, _) = full(100);
    let mut world = World::new(5, |_| {});
    world.archive = all.clone();
    for i in 1..5 {
        world.serve(i, all.clone(), Manner::Honest);
    }
    run_to_synced(&mut world, 500);
    // Three peers, and one request for each.
    assert!(world.servers.values().map(|server| server.asked).sum::<usize>() <= 4);
}
