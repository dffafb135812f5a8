//! What is needed by name comes, or is reported, whatever peers do.

use node::archive::{Memory, Write};
use node::codec::encode;
use node::ids::{BallotId, BlockId, Layer, TxId};
use node::layers::{Input, Lie, MAX_WANTED, MAX_WANTED_OF_PEER};
use node::wire::{Item, Request, Response, Thing};

use crate::things::{block, has, keep, keep_block, proposal, transaction};
use crate::world::{World, honest, liar, peer, silent};

fn want(thing: Thing, from: Option<u8>) -> Input {
    Input::Want { thing, from: from.map(peer) }
}

/// One of each kind, and where they are.
fn all_kinds() -> (Memory, Vec<Thing>) {
    let mut archive = Memory::default();
    let id = keep(&mut archive, 3, 1, None);
    keep_block(&mut archive, 3, 1);
    let tx = transaction(1);
    archive.write(Write::Transaction { id: tx.id(), bytes: encode(&tx) });
    (archive, vec![Thing::Ballot(id), Thing::Proposal(id), Thing::Block(block(3, 1).id()), Thing::Transaction(tx.id())])
}

/// A world whose layers are final, so that nothing comes by comparing.
fn world() -> World {
    let mut world = World::new(10);
    world.frontier = Layer(u32::MAX);
    world
}

#[test]
fn every_kind_comes() {
    let (archive, things) = all_kinds();
    let mut world = world();
    world.serve(1, Memory::default(), honest());
    world.serve(2, archive, honest());
    for thing in &things {
        world.after(0, want(*thing, Some(1)));
    }
    assert!(world.run(5_000, |world| things.iter().all(|thing| has(&world.archive, thing))));
    assert!(world.delivered.iter().all(|(from, _)| *from == peer(2)));
    assert_eq!(world.delivered.len(), things.len());
    // Asked for as few times as there can be: the first peer once or twice, then the other.
    assert!(world.servers.values().map(|server| server.asked).sum::<usize>() <= 5);
    assert!(world.not_found.is_empty());
}

#[test]
fn who_should_have_it_is_asked_first() {
    let (archive, things) = all_kinds();
    for i in 1..6 {
        let mut world = world();
        for server in 1..6 {
            world.serve(server, archive.clone(), honest());
        }
        for thing in &things {
            world.after(0, want(*thing, Some(i)));
        }
        assert!(world.run(5_000, |world| world.delivered.len() == things.len()));
        assert!(world.delivered.iter().all(|(from, _)| *from == peer(i)));
    }
}

#[test]
fn what_nobody_has_is_reported_once() {
    let missing = [Thing::Ballot(BallotId([1; 20])), Thing::Block(BlockId([1; 20])), Thing::Transaction(TxId([1; 32]))];
    let mut world = world();
    for i in 1..10 {
        world.serve(i, Memory::default(), honest());
    }
    world.run(100, |_| false);
    for thing in missing {
        world.after(0, want(thing, Some(3)));
        world.after(1, want(thing, Some(4)));
    }
    world.run(10_000, |_| false);
    let mut reported = world.not_found.clone();
    reported.sort_unstable();
    assert_eq!(reported, missing);
    // Four peers each.
    let asked: usize = world.servers.values().map(|server| server.asked).sum();
    assert!((4..=12).contains(&asked), "{asked}");
    // Without anybody as well.
    let mut world = self::world();
    world.after(0, want(missing[0], None));
    assert!(world.run(5_000, |world| world.not_found == [missing[0]]));
    // Or with silent ones, or ones that go.
    let mut world = self::world();
    for i in 1..4 {
        world.serve(i, Memory::default(), silent());
    }
    world.after(0, want(missing[0], Some(1)));
    world.after(5_000, Input::PeerDown(peer(2)));
    assert!(world.run(200_000, |world| world.not_found == [missing[0]]));
}

/// A forged answer ends no hunt.
#[test]
fn liars_are_passed_over() {
    let (archive, things) = all_kinds();
    let mut other = proposal(3, 1);
    other.content.atxs.clear();
    let items = [vec![7; 40], encode(&block(3, 9)), encode(&transaction(9)), encode(&proposal(3, 9)), encode(&other)];
    for bytes in items {
        for thing in &things {
            let mut world = world();
            let item = Item(bytes.clone());
            let forging = liar(move |request, response| match request {
                Request::Things(_) => Response::Items { items: vec![item.clone()], last: None },
                _ => response,
            });
            world.serve(1, archive.clone(), forging);
            world.serve(2, archive.clone(), honest());
            world.after(0, want(*thing, Some(1)));
            assert!(world.run(5_000, |world| has(&world.archive, thing)));
            assert!(matches!(world.punished[..], [(who, Lie::Outside | Lie::Junk(_))] if who == peer(1)));
        }
    }
}

/// The right name under a wrong signature ends no hunt either.
#[test]
fn forgers_are_passed_over() {
    let (archive, things) = all_kinds();
    let mut world = world();
    let forging = || {
        liar(|_, _| {
            let mut ballot = crate::things::ballot(3, 1, None);
            ballot.signature.0.fill(0);
            Response::Items { items: vec![Item(encode(&ballot))], last: None }
        })
    };
    world.serve(1, Memory::default(), forging());
    world.serve(2, archive, honest());
    world.after(0, want(things[0], Some(1)));
    assert!(world.run(5_000, |world| has(&world.archive, &things[0])));
    assert_eq!(world.delivered, [(peer(1), things[0]), (peer(2), things[0])]);
    // With forgers only it is reported.
    let mut world = self::world();
    for i in 1..9 {
        world.serve(i, Memory::default(), forging());
    }
    world.after(0, want(things[0], Some(1)));
    assert!(world.run(5_000, |world| world.not_found == [things[0]]));
    assert_eq!(world.delivered.len(), 4);
}

fn fakes(count: u32, tag: u8) -> Vec<Thing> {
    let fake = |i: u32| {
        let mut name = [tag; 32];
        name[..4].copy_from_slice(&i.to_be_bytes());
        Thing::Transaction(TxId(name))
    };
    (0..count).map(fake).collect()
}

/// Many wishes of one peer don't keep those of others waiting.
#[test]
fn wishes_are_served_in_turn() {
    let (archive, things) = all_kinds();
    let mut world = world();
    world.serve(1, Memory::default(), honest());
    world.serve(2, Memory::default(), silent());
    world.serve(3, archive, honest());
    for thing in fakes(1000, 1) {
        world.after(0, want(thing, Some(1)));
    }
    world.after(10, Input::PeerDown(peer(2)));
    world.after(20, want(things[2], Some(2)));
    assert!(world.run(1_500, |world| has(&world.archive, &things[2])));
    assert!(world.run(60_000, |world| world.not_found.len() == 1000));
}

#[test]
fn what_is_too_much_is_reported_at_once() {
    let mut world = world();
    for i in 1..12 {
        world.serve(i, Memory::default(), silent());
    }
    world.run(100, |_| false);
    let mut reported = Vec::new();
    for i in 1..12 {
        for thing in fakes(1500, i) {
            world.step(want(thing, Some(i)));
        }
        reported.push(1500 - std::mem::take(&mut world.not_found).len());
    }
    assert_eq!(reported, [[MAX_WANTED_OF_PEER; 8].as_slice(), &[0; 3]].concat());
    assert_eq!(reported.iter().sum::<usize>(), MAX_WANTED);
    for i in 1..12 {
        world.after(100, Input::PeerDown(peer(i)));
    }
    assert!(world.run(10_000, |world| world.not_found.len() == MAX_WANTED));
}

/// What comes by gossip is neither reported nor delivered.
#[test]
fn what_came_otherwise_is_forgotten() {
    let (archive, things) = all_kinds();
    let mut world = world();
    world.serve(1, archive, honest());
    world.run(100, |_| false);
    for thing in &things {
        world.step(want(*thing, Some(1)));
        world.step(Input::Have(*thing));
    }
    world.run(5_000, |_| false);
    assert!(world.delivered.is_empty() && world.not_found.is_empty());
}
