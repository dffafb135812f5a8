//! The machine among peers that are slow, lossy, liars or gone.

use std::collections::BTreeSet;

use node::archive::{Archive, Memory, Write};
use node::atx::Received;
use node::codec::encode;
use node::ids::AtxId;
use node::reconcile::Lie;
use node::sync::{Input, MAX_UNJUDGED};

use crate::atxs::{archive, atx, keep};
use crate::many::{accuse, poet};
use crate::world::{Manner, World, peer};

/// Six epochs with `each` ATXs, and some frauds.
pub(crate) fn full(each: u32) -> (Memory, Vec<Received>) {
    let atxs: Vec<Received> = (0..6).flat_map(|epoch| (0..each).map(move |i| atx(epoch, i))).collect();
    let mut archive = archive(&atxs);
    for i in 0..30 {
        accuse(&mut archive, i);
    }
    (archive, atxs)
}

pub(crate) fn run_to_synced(world: &mut World, ms: u64) {
    assert!(world.run(ms, |world| world.sync.is_synced()), "not synced");
}

#[test]
fn a_late_node_gets_everything_in_the_order_of_epochs() {
    let (all, atxs) = full(500);
    let mut world = World::new(5, |_| {});
    for i in 1..4 {
        world.serve(i, all.clone(), Manner::Honest);
    }
    run_to_synced(&mut world, 60_000);
    assert!(ids(&world.archive) == ids(&all));
    assert_eq!(world.archive.frauds(None, 100).unwrap().len(), 30);
    // Each once, the older epochs first.
    let epochs: Vec<u32> = world.delivered.iter().map(|id| epoch_of(&all, *id)).collect();
    assert_eq!(epochs.len(), atxs.len());
    assert!(epochs.is_sorted());
    assert_eq!(world.total_seen, 3030);
    assert!(world.punished.is_empty());
}

pub(crate) fn ids(archive: &Memory) -> BTreeSet<AtxId> {
    let of = |epoch| archive.atx_ids(node::ids::Epoch(epoch), AtxId([0; 32]), AtxId([0xff; 32]), 100_000).unwrap();
    (0..10).flat_map(of).collect()
}

fn epoch_of(archive: &Memory, id: AtxId) -> u32 {
    Received::decode(&archive.atx(id).unwrap().unwrap().bytes).unwrap().atx.publish_epoch.0
}

#[test]
fn a_node_is_not_synced_before_it_has_what_there_is() {
    let (all, _) = full(300);
    let mut world = World::new(5, |_| {});
    assert!(!world.run(60_000, |world| world.sync.is_synced()));
    world.serve(1, all.clone(), Manner::Honest);
    world.run(60_000, |world| world.sync.is_synced() || ids(&world.archive).len() == 1800);
    assert!(!world.sync.is_synced());
    run_to_synced(&mut world, 10_000);
}

#[test]
fn the_first_node_of_a_network_need_not_wait() {
    let mut world = World::new(5, |config| config.alone_ms = Some(5000));
    assert!(!world.run(4000, |world| world.sync.is_synced()));
    run_to_synced(&mut world, 2500);
}

#[test]
fn loss_only_delays() {
    for seed in 0..5 {
        let (all, _) = full(300);
        let mut world = World::new(5, |config| config.seed = [seed; 32]);
        for i in 1..5 {
            world.serve(i, all.clone(), Manner::Lossy(20));
        }
        run_to_synced(&mut world, 3_600_000);
        assert!(ids(&world.archive) == ids(&all));
        assert!(world.punished.is_empty());
    }
}

#[test]
fn liars_and_the_silent_are_left_alone() {
    for manner in [Manner::Liar, Manner::Silent, Manner::Refusing, Manner::Dripping] {
        let (all, _) = full(200);
        // Whoever is asked first.
        let mut world = World::new(5, |config| config.seed = peer(1).0);
        world.serve(1, all.clone(), manner);
        world.serve(2, all.clone(), Manner::Honest);
        run_to_synced(&mut world, 300_000);
        assert!(ids(&world.archive) == ids(&all), "{manner:?}");
        match manner {
            Manner::Liar => assert!(matches!(world.punished[..], [(who, Lie::Junk(_))] if who == peer(1))),
            _ => assert!(world.punished.is_empty()),
        }
        assert!(world.servers[&peer(1)].asked > 0);
        assert!(world.servers[&peer(1)].asked < 40, "{manner:?}: {}", world.servers[&peer(1)].asked);
    }
}

#[test]
fn a_peer_that_goes_is_no_loss() {
    let (all, atxs) = full(1500);
    let mut world = World::new(5, |config| config.seed = peer(1).0);
    world.judging = 1000;
    world.serve(1, all.clone(), Manner::Honest);
    assert!(world.run(60_000, |world| world.delivered.len() > 3000));
    world.step(Input::PeerDown(peer(1)));
    assert!(!world.run(10_000, |world| world.delivered.len() == atxs.len()));
    let before = world.delivered.len();
    world.serve(2, all.clone(), Manner::Honest);
    run_to_synced(&mut world, 120_000);
    assert!(ids(&world.archive) == ids(&all));
    // What was there is not fetched again.
    assert!(before > 3000 && world.delivered.len() == atxs.len());
}

#[test]
fn no_more_comes_than_is_judged() {
    let (all, _) = full(1500);
    let mut world = World::new(5, |_| {});
    world.judging = 10_000;
    world.serve(1, all.clone(), Manner::Honest);
    run_to_synced(&mut world, 600_000);
    assert!(world.most_unjudged > MAX_UNJUDGED / 2 && world.most_unjudged <= MAX_UNJUDGED, "{}", world.most_unjudged);
}

#[test]
fn lost_gossip_is_made_up_for() {
    let (all, _) = full(100);
    let mut world = World::new(5, |_| {});
    world.serve(1, all.clone(), Manner::Honest);
    world.serve(2, all, Manner::Honest);
    run_to_synced(&mut world, 60_000);
    let late = atx(5, 7777);
    keep(&mut world.servers.get_mut(&peer(2)).unwrap().archive, &late);
    assert!(world.run(20_000, |world| world.archive.atx(late.id).unwrap().is_some()));
}

#[test]
fn what_is_never_accepted_does_not_hold_it_up() {
    let (all, atxs) = full(200);
    let mut world = World::new(5, |_| {});
    world.refused = [3, 250, 999].map(|i| atxs[i].id).into();
    world.serve(1, all, Manner::Honest);
    run_to_synced(&mut world, 60_000);
    assert_eq!(ids(&world.archive).len(), 1197);
    world.run(100_000, |_| false);
    // Twice each, then no more.
    assert_eq!(world.delivered.len(), 1200 + 3);
}

#[test]
fn dependencies_are_asked_of_who_should_have_them_then_of_others() {
    let (all, _) = full(50);
    let mut with_poet = all.clone();
    let (proof, poet) = (poet(5), poet(5).id());
    with_poet.write(Write::Poet { id: poet, bytes: encode(&proof) });
    let mut world = World::new(5, |config| config.every_ms = 1_000_000);
    world.archive = all.clone();
    world.serve(1, all.clone(), Manner::Honest);
    world.serve(2, with_poet, Manner::Honest);
    world.serve(3, all, Manner::Honest);
    run_to_synced(&mut world, 60_000);
    // Of an epoch that no pass is about yet. One is known to others only; a peer that should have it, but hasn't; a name that nobody knows.
    let new = atx(8, 9999);
    keep(&mut world.servers.get_mut(&peer(3)).unwrap().archive, &new);
    let unknown = AtxId([1; 32]);
    world.after(0, Input::Fetch { atxs: vec![new.id, unknown], poets: vec![poet], from: Some(peer(1)) });
    assert!(world.run(10_000, |world| !world.not_found.is_empty() && world.delivered.len() == 1));
    assert_eq!(world.delivered, [new.id]);
    assert_eq!(world.poets, [peer(2)]);
    assert_eq!(world.not_found, [(vec![unknown], vec![])]);
    assert!(world.punished.is_empty());
    // Without anybody to ask, at once.
    for i in 1..4 {
        world.step(Input::PeerDown(peer(i)));
    }
    world.step(Input::Fetch { atxs: vec![], poets: vec![poet], from: None });
    assert_eq!(world.not_found.last(), Some(&(vec![], vec![poet])));
}

/// Who should have it is not waited for when it is silent.
#[test]
fn dependencies_do_not_hang_on_one_peer() {
    // No pass is about its epoch.
    let wanted = atx(8, 9);
    let mut world = World::new(5, |_| {});
    world.serve(1, archive([&wanted]), Manner::Silent);
    world.serve(2, archive([&wanted]), Manner::Refusing);
    world.serve(3, archive([&wanted]), Manner::Honest);
    world.after(0, Input::Fetch { atxs: vec![wanted.id], poets: vec![], from: Some(peer(1)) });
    assert!(world.run(60_000, |world| world.delivered == [wanted.id]));
}

#[test]
fn it_runs_twice_alike() {
    let digest = || {
        let (all, _) = full(100);
        let mut world = World::new(5, |_| {});
        world.serve(1, all.clone(), Manner::Lossy(30));
        world.serve(2, all.clone(), Manner::Lossy(30));
        world.serve(3, all, Manner::Liar);
        run_to_synced(&mut world, 3_600_000);
        world.digest.finalize()
    };
    assert_eq!(digest(), digest());
}
