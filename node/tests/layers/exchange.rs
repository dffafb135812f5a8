//! Comparing layers: everything comes, in order, and at little cost.

use node::archive::{Archive, Memory};
use node::ids::Layer;
use node::layers::Input;
use node::wire::Thing;

use crate::things::chain;
use crate::world::{World, honest, lossy, peer, silent};

fn network(layers: std::ops::Range<u32>) -> Memory {
    let mut archive = Memory::default();
    chain(&mut archive, layers, 0..20);
    archive
}

/// A node that has what its three peers have, and knows it.
fn synced() -> World {
    let all = network(0..20);
    let mut world = World::new(20);
    world.archive = all.clone();
    for i in 1..4 {
        world.serve(i, all.clone(), honest());
    }
    assert!(world.run(20_000, |world| world.layers.is_synced()));
    world
}

#[test]
fn a_fresh_node_gets_everything_in_order() {
    let all = network(10..600);
    let mut world = World::new(600);
    for i in 1..5 {
        world.serve(i, all.clone(), honest());
    }
    assert!(world.run(300_000, |world| world.layers.is_synced()));
    assert!(world.has_all_of(&all));
    // Once each, since each base was there in time.
    assert_eq!(world.delivered.len(), 590 * 21);
    assert!(world.punished.is_empty() && world.not_found.is_empty());
    let asked: usize = world.servers.values().map(|server| server.asked).sum();
    eprintln!("590 layers of 21 things: {asked} requests, {} B", world.bytes);
    // A list a layer, and a page of things for each twelve.
    assert!(asked < 700, "{asked}");
}

/// A node that is behind asks only for what isn't final.
#[test]
fn final_layers_are_not_asked_about() {
    let all = network(10..100);
    let mut world = World::new(100);
    world.frontier = Layer(95);
    world.strict = false;
    world.serve(1, all.clone(), honest());
    assert!(world.run(20_000, |world| world.layers.is_synced()));
    assert_eq!(world.delivered.len(), 5 * 21);
    assert!(world.archive.ballots(Layer(94)).unwrap().is_empty());
}

/// Two halves of a network have gone on by themselves for twelve layers; each gets what the other has.
#[test]
fn halves_exchange_everything() {
    let mut all = network(0..20);
    let (mut ours, mut theirs) = (all.clone(), all.clone());
    chain(&mut ours, 20..32, 20..25);
    chain(&mut theirs, 20..32, 30..45);
    for (mine, other) in [(&ours, &theirs), (&theirs, &ours)] {
        let mut world = World::new(32);
        world.archive = mine.clone();
        for i in 1..4 {
            world.serve(i, mine.clone(), honest());
        }
        assert!(world.run(20_000, |world| world.layers.is_synced()));
        assert!(world.delivered.is_empty());
        // Being synced is no end of it.
        world.serve(4, other.clone(), honest());
        assert!(world.run(20_000, |world| world.has_all_of(other)));
        assert!(world.delivered.iter().all(|(from, _)| *from == peer(4)));
        assert!(world.punished.is_empty());
    }
    chain(&mut all, 20..32, 20..25);
    assert_eq!(all.ballots(Layer(31)), ours.ballots(Layer(31)));
}

#[test]
fn lossy_peers_are_enough() {
    let all = network(0..100);
    let mut world = World::new(100);
    for i in 1..5 {
        world.serve(i, all.clone(), lossy(10));
    }
    assert!(world.run(1_800_000, |world| world.has_all_of(&all)));
    assert!(world.punished.is_empty());
}

#[test]
fn who_stalls_is_passed_over() {
    let all = network(0..100);
    let mut world = World::new(100);
    for i in 1..10 {
        world.serve(i, all.clone(), silent());
    }
    world.serve(10, all.clone(), honest());
    assert!(world.run(300_000, |world| world.has_all_of(&all)));
}

/// Who gives one thing at a time, each just in time, keeps nobody busy for long.
#[test]
fn who_drips_is_passed_over() {
    use node::wire::{Item, Request, Response};
    let all = network(0..100);
    let mut world = World::new(100);
    let drip = || -> crate::world::Manner {
        Box::new(|request, response| match (request, response) {
            (Request::Things(things), Response::Items { mut items, .. }) if items.len() > 1 => {
                items.truncate(1);
                let items: Vec<Item> = items;
                Some((19_000, Some(Response::Items { items, last: Some(things[0].key()) })))
            }
            (_, response) => Some((19_000, Some(response))),
        })
    };
    for i in 1..4 {
        world.serve(i, all.clone(), drip());
    }
    world.serve(200, all.clone(), honest());
    assert!(world.run(600_000, |world| world.has_all_of(&all)));
    assert!(world.punished.is_empty());
}

/// A synced node pays little for knowing that it lacks nothing, and finds what gossip lost.
#[test]
fn passes_are_cheap_and_find_what_was_lost() {
    let mut world = synced();
    let (bytes, asked): (usize, usize) = (world.bytes, world.servers.values().map(|server| server.asked).sum());
    world.run(60_000, |_| false);
    let passes = world.servers.values().map(|server| server.asked).sum::<usize>() - asked;
    assert!((50..=61).contains(&passes), "{passes}");
    let layers: u32 = (0..60).map(|i| 21 + i).sum();
    let per_layer = (world.bytes - bytes) as f64 / f64::from(layers);
    eprintln!("{passes} passes: {per_layer:.1} B a layer compared");
    assert!(per_layer < 17.5, "{per_layer}");
    // One peer hears of a ballot that gossip brings to nobody else.
    let server = world.servers.get_mut(&peer(2)).unwrap();
    let id = crate::things::keep(&mut server.archive, 19, 99, None);
    assert!(world.run(5_000, |world| world.archive.ballot(id).unwrap().is_some()));
}

/// What comes by gossip meanwhile is not fetched.
#[test]
fn what_came_otherwise_is_not_fetched() {
    let all = network(0..50);
    let mut world = World::new(50);
    world.serve(1, all.clone(), honest());
    world.run(30, |world| world.servers[&peer(1)].asked == 2);
    world.archive = all.clone();
    assert!(world.run(20_000, |world| world.layers.is_synced()));
    assert!(world.delivered.is_empty());
}

#[test]
fn nothing_is_known_too_early() {
    let all = network(0..50);
    let mut world = World::new(50);
    // A peer that has nothing itself says nothing, as long as another one has something.
    world.serve(1, Memory::default(), honest());
    world.serve(2, all.clone(), honest());
    world.serve(3, all.clone(), silent());
    assert!(!world.run(25_000, |world| world.layers.is_synced()));
    assert!(world.has_all_of(&all));
    world.servers.get_mut(&peer(1)).unwrap().archive = all.clone();
    assert!(world.run(90_000, |world| world.layers.is_synced()));
    // Nobody has anything: the network is young.
    let mut world = World::new(5);
    world.serve(1, Memory::default(), honest());
    assert!(world.run(5_000, |world| world.layers.is_synced()));
    // Nobody is there.
    let mut world = World::new(5);
    assert!(!world.run(60_000, |world| world.layers.is_synced()));
}

#[test]
fn a_run_is_repeatable() {
    let run = || {
        let all = network(0..60);
        let mut world = World::new(60);
        for i in 1..5 {
            world.serve(i, all.clone(), lossy(20));
        }
        world.after(50, Input::Want { thing: Thing::Ballot(node::ids::BallotId([9; 20])), from: Some(peer(2)) });
        world.run(600_000, |_| false);
        assert!(world.delivered.len() > 100);
        *world.digest.finalize().as_bytes()
    };
    assert_eq!(run(), run());
}

/// A ballot waits for something, maybe for ever; the node goes on comparing, and may find what that is.
#[test]
fn what_waits_does_not_end_comparing() {
    let mut world = synced();
    let waits = crate::things::keep(&mut world.servers.get_mut(&peer(2)).unwrap().archive, 19, 99, None);
    world.waiting.insert(Thing::Ballot(waits));
    assert!(world.run(5_000, |world| world.delivered.contains(&(peer(2), Thing::Ballot(waits)))));
    let other = crate::things::keep(&mut world.servers.get_mut(&peer(3)).unwrap().archive, 19, 98, None);
    assert!(world.run(5_000, |world| world.archive.ballot(other).unwrap().is_some()));
    // It is not fetched again meanwhile.
    world.run(20_000, |_| false);
    assert_eq!(world.delivered.len(), 2);
}
