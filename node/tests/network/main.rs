//! Whole nodes, as machines: what one learns the others learn, by gossip or later by sync; frauds lose their weight on all.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../atxs/world.rs"]
#[allow(dead_code)]
mod world;

mod nodes;

use node::archive::{Archive, Memory};
use node::atx::Received;
use node::codec::encode;
use node::ids::{Address, Epoch, NodeId};
use node::node::{Config, Effect, Input, Node};
use node::signature::Verifier;
use node::source::{MessageHash, Peer, Source, Topic, Verdict};
use node::sync;

use nodes::Nodes;
use world::{Made, Miner, World};

/// The epoch of the ATXs, which weigh in the next.
const PUBLISHED: u32 = 3;

fn weights(nodes: &Nodes) -> Vec<(u64, usize)> {
    nodes
        .all()
        .map(|node| {
            (node.status(nodes.now).epochs.first().map_or(0, |epoch| epoch.weight), node.status(nodes.now).frauds)
        })
        .collect()
}

fn one_atx(world: &World, name: &str) -> (Miner, Made) {
    let miner = world.miner(name);
    let made = world.initial(&miner, PUBLISHED);
    (miner, made)
}

#[test]
fn an_atx_reaches_everyone_with_what_it_names() {
    let world = World::new();
    let (_, made) = one_atx(&world, "alice");
    let mut nodes = Nodes::new(&world, 4, PUBLISHED);
    nodes.outsider_publishes(0, &made);
    nodes.run(30_000);
    let expected = weights(&nodes)[0];
    assert!(expected.0 > 0, "{expected:?}");
    assert_eq!(weights(&nodes), vec![expected; 4]);
    for (i, archive) in nodes.archives().enumerate() {
        assert_eq!(archive.atx(made.id()).unwrap().unwrap().bytes, encode(&made.atx), "node {i}");
        assert!(archive.poet(made.poets[0].id()).unwrap().is_some(), "node {i}");
    }
}

#[test]
fn frauds_are_known_to_all_and_to_those_who_come_later() {
    let world = World::new();
    let (honest, good) = one_atx(&world, "honest");
    let (liar, one) = one_atx(&world, "liar");
    let other = one.but(&liar, |atx| atx.coinbase.0[0] ^= 1);
    let mut nodes = Nodes::new(&world, 4, PUBLISHED);
    nodes.leave(3);
    // Two ATXs of one epoch, told to different nodes at the same time.
    nodes.outsider_publishes(0, &good);
    nodes.outsider_publishes(1, &one);
    nodes.outsider_publishes(2, &other);
    nodes.run(30_000);
    nodes.join(3);
    nodes.run(60_000);
    let weight = u64::from(honest.units) * (world::LEAVES / world.params.tick_size);
    assert_eq!(weights(&nodes), vec![(weight, 1); 4]);
    for archive in nodes.archives() {
        let proof = archive.fraud(liar.id()).unwrap().expect("a fraud proof");
        assert!(!proof.bytes.is_empty());
        assert_eq!(archive.frauds(None, 10).unwrap(), [liar.id()] as [NodeId; 1]);
    }
}

#[test]
fn a_late_node_has_all_earlier_epochs() {
    let world = World::new();
    let mut nodes = Nodes::new(&world, 3, 6);
    nodes.leave(2);
    let miners: Vec<Miner> = (0..4).map(|i| world.miner(&format!("miner {i}"))).collect();
    // The outsider has no ATXs, and nobody is synced by its word.
    nodes.run(30_000);
    for miner in &miners {
        let mut made = world.initial(miner, 2);
        nodes.outsider_publishes(0, &made);
        nodes.run(2_000);
        for epoch in 3..=6 {
            made = world.next(miner, epoch, made.id());
            nodes.outsider_publishes(epoch as usize % 2, &made);
            nodes.run(2_000);
        }
    }
    nodes.join(2);
    nodes.run(300_000);
    for epoch in 2..=6 {
        let counts: Vec<usize> = nodes.all().map(|node| node.atx_statuses(Epoch(epoch), None, 100).len()).collect();
        assert_eq!(counts, [4; 3], "epoch {epoch}");
    }
    let synced: Vec<bool> = nodes.all().map(|node| node.status(nodes.now).synced).collect();
    assert_eq!(synced, [true; 3]);
}

#[test]
fn the_same_twice() {
    let digest = || {
        let world = World::new();
        let (liar, one) = one_atx(&world, "liar");
        let mut nodes = Nodes::new(&world, 4, PUBLISHED);
        nodes.outsider_publishes(0, &one);
        nodes.outsider_publishes(2, &one.but(&liar, |atx| atx.coinbase.0[0] ^= 1));
        nodes.run(20_000);
        nodes.digest()
    };
    assert_eq!(digest(), digest());
}

/// What a peer answers is no ATX, or nobody looked at it: whoever waits for it is told.
#[test]
fn a_wrongly_signed_answer_is_not_waited_for() {
    let world = World::new();
    let miner = world.miner("alice");
    let first = world.initial(&miner, 2);
    let second = Received::from(world.next(&miner, PUBLISHED, first.id()).atx);
    let from = Peer([7; 32]);
    let (gossiped, source) = (gossip(from, Topic::Atx, &second.bytes), Source::Answer { peer: from });
    let id = Some(first.id());
    for answer in [Input::Junk { source, id, why: "the signature".into() }, Input::Crowded { source, id }] {
        let mut node = Node::new(Config {
            params: world.params.clone(),
            verifier: Verifier::new(world.params.genesis_id),
            peer: Peer([1; 32]),
            coinbase: Address([0; 24]),
            signers: vec![],
            sync: sync::Config::new(world.params.timing.clone(), [0; 32]),
        });
        let mut out = Vec::new();
        let comes = Input::Atx { received: second.clone(), source: gossiped };
        for input in [Input::PeerUp(from), comes, answer] {
            assert!(!out.iter().any(|effect| matches!(effect, Effect::Verdict { .. })));
            node.step(world.start(PUBLISHED), &Memory::default(), input, &mut out).unwrap();
        }
        let ignored = |effect: &Effect| matches!(effect, Effect::Verdict { source, verdict: Verdict::Ignore, .. } if *source == gossiped);
        assert!(out.iter().any(ignored), "{out:?}");
    }
}

fn gossip(from: node::source::Peer, topic: Topic, bytes: &[u8]) -> Source {
    let hash = blake3::Hasher::new().update(topic.name().as_bytes()).update(bytes).finalize();
    Source::Gossip { peer: from, message: MessageHash(hash.into()) }
}
