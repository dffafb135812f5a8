//! One machine, several servers, a queue of what will happen.

use std::collections::{BTreeMap, BTreeSet};

use node::archive::{Archive, Memory, Write};
use node::ballot::{Ballot, Proposal};
use node::block::Block;
use node::codec::{decode, encode};
use node::ids::Layer;
use node::layers::{Config, Effect, Input, Layers, Lie, MAX_UNJUDGED, REQUESTS, View};
use node::reconcile::answer;
use node::source::Peer;
use node::time::Time;
use node::transaction::Transaction;
use node::wire::{Request, Response, Thing};

use crate::things::has;

/// A layer is a second.
pub(crate) const LAYER_MS: u64 = 1000;

/// What a server makes of its honest answer; `None`: nothing comes. And after how many milliseconds.
pub(crate) type Manner = Box<dyn FnMut(&Request, Response) -> Option<(u64, Option<Response>)>>;

pub(crate) fn honest() -> Manner {
    Box::new(|_, response| Some((20, Some(response))))
}

pub(crate) fn silent() -> Manner {
    Box::new(|_, _| None)
}

/// Of a hundred answers so many are lost.
pub(crate) fn lossy(percent: u64) -> Manner {
    let mut random = 1u64;
    Box::new(move |_, response| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((random >> 33) % 100 >= percent).then_some((20, Some(response)))
    })
}

/// Gives falsified answers.
pub(crate) fn liar(mut falsify: impl FnMut(&Request, Response) -> Response + 'static) -> Manner {
    Box::new(move |request, response| Some((20, Some(falsify(request, response)))))
}

pub(crate) struct Server {
    pub(crate) archive: Memory,
    pub(crate) manner: Manner,
    pub(crate) asked: usize,
    out: usize,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) layers: Layers,
    pub(crate) archive: Memory,
    pub(crate) frontier: Layer,
    /// The running layer when the world began; it goes on with time.
    first: u32,
    pub(crate) servers: BTreeMap<Peer, Server>,
    queue: BTreeMap<(Time, u64), Input>,
    count: u64,
    /// These are never accepted.
    pub(crate) refused: BTreeSet<Thing>,
    /// Nothing is said about these.
    pub(crate) waiting: BTreeSet<Thing>,
    /// Whether a ballot is accepted only when its base is there.
    pub(crate) strict: bool,
    unjudged: usize,
    pub(crate) delivered: Vec<(Peer, Thing)>,
    pub(crate) punished: Vec<(Peer, Lie)>,
    pub(crate) not_found: Vec<Thing>,
    /// Of requests and answers.
    pub(crate) bytes: usize,
    pub(crate) digest: blake3::Hasher,
}

struct Eyes<'a> {
    archive: &'a Memory,
    frontier: Layer,
    running: Layer,
}

impl View for Eyes<'_> {
    fn has(&self, thing: &Thing) -> bool {
        has(self.archive, thing)
    }

    fn wants_block(&self, _: Layer, _: node::ids::BlockId) -> bool {
        true
    }

    fn frontier(&self) -> Layer {
        self.frontier
    }

    fn running(&self) -> Option<Layer> {
        Some(self.running)
    }
}

pub(crate) fn peer(i: u8) -> Peer {
    Peer([i; 32])
}

impl World {
    /// Layer `running` begins.
    pub(crate) fn new(running: u32) -> Self {
        let config = Config { every_ms: LAYER_MS, alone_ms: None, seed: [9; 32] };
        Self {
            now: Time(1_000_000),
            layers: Layers::new(config),
            archive: Memory::default(),
            frontier: Layer(0),
            first: running,
            servers: BTreeMap::new(),
            queue: BTreeMap::new(),
            count: 0,
            refused: BTreeSet::new(),
            waiting: BTreeSet::new(),
            strict: true,
            unjudged: 0,
            delivered: Vec::new(),
            punished: Vec::new(),
            not_found: Vec::new(),
            bytes: 0,
            digest: blake3::Hasher::new(),
        }
    }

    pub(crate) fn running(&self) -> Layer {
        Layer(self.first).after((self.now.since(Time(1_000_000)) / LAYER_MS) as u32)
    }

    pub(crate) fn serve(&mut self, i: u8, archive: Memory, manner: Manner) {
        self.servers.insert(peer(i), Server { archive, manner, asked: 0, out: 0 });
        self.after(0, Input::PeerUp(peer(i)));
    }

    pub(crate) fn after(&mut self, ms: u64, input: Input) {
        self.count += 1;
        self.queue.insert((self.now.after(ms), self.count), input);
    }

    /// Until `done`, or so many milliseconds; whether it was done.
    pub(crate) fn run(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.after(ms);
        let mut tick = self.now.after(200);
        while !done(self) {
            let next = self.queue.keys().next().map_or(tick, |(at, _)| (*at).min(tick));
            if next > end {
                return false;
            }
            self.now = self.now.max(next);
            let input = match self.queue.first_entry() {
                Some(first) if first.key().0 <= self.now => first.remove(),
                _ => {
                    tick = self.now.after(200);
                    Input::Timer
                }
            };
            self.step(input);
        }
        true
    }

    pub(crate) fn step(&mut self, input: Input) {
        match &input {
            Input::PeerDown(peer) => {
                self.servers.remove(peer);
            }
            Input::Have(_) | Input::Settled(_) => self.unjudged = self.unjudged.saturating_sub(1),
            Input::Response { peer, .. } => {
                if let Some(server) = self.servers.get_mut(peer) {
                    server.out -= 1;
                }
            }
            _ => {}
        }
        let eyes = Eyes { archive: &self.archive, frontier: self.frontier, running: self.running() };
        let mut out = Vec::new();
        self.layers.step(self.now, &self.archive, &eyes, input, &mut out).unwrap();
        for effect in out {
            self.digest.update(format!("{} {effect:?}", self.now.0).as_bytes());
            self.execute(effect);
        }
    }

    fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::Request { peer, id, request } => self.request(peer, id, &request),
            Effect::Deliver { thing, peer, bytes } => {
                self.unjudged += 1;
                assert!(self.unjudged <= MAX_UNJUDGED + 512);
                self.delivered.push((peer, thing));
                if self.waiting.contains(&thing) {
                    return;
                }
                let good = !self.refused.contains(&thing) && self.keep(&thing, bytes);
                self.after(5, if good { Input::Have(thing) } else { Input::Settled(thing) });
            }
            Effect::NotFound { thing } => self.not_found.push(thing),
            Effect::Punish { peer, why } => self.punished.push((peer, why)),
        }
    }

    /// Keeps it if it is in order. What a test calls useless, it signs with zeros.
    fn keep(&mut self, thing: &Thing, bytes: Vec<u8>) -> bool {
        let write = match *thing {
            Thing::Ballot(id) => {
                let ballot: Ballot = decode(&bytes).unwrap();
                let base = ballot.base.is_none_or(|base| self.archive.ballot(base).unwrap().is_some());
                if ballot.id() != id || ballot.signature.0 == [0; 64] || (self.strict && !base) {
                    return false;
                }
                Write::Ballot { id, layer: ballot.layer, bytes }
            }
            Thing::Proposal(id) => {
                let Proposal { ballot, content } = decode(&bytes).unwrap();
                assert_eq!((ballot.id(), ballot.content), (id, content.hash()));
                Write::Content { id, layer: ballot.layer, bytes: encode(&content) }
            }
            Thing::Block(id) => {
                let block: Block = decode(&bytes).unwrap();
                assert_eq!(block.id(), id);
                Write::Block { id, layer: block.layer, bytes }
            }
            Thing::Transaction(id) => {
                assert_eq!(decode::<Transaction>(&bytes).unwrap().id(), id);
                Write::Transaction { id, bytes }
            }
        };
        self.archive.write(write);
        true
    }

    fn request(&mut self, peer: Peer, id: u64, request: &Request) {
        assert_eq!(id & REQUESTS, REQUESTS);
        let Some(server) = self.servers.get_mut(&peer) else { return };
        server.asked += 1;
        self.bytes += encode(request).len();
        let response = answer(&server.archive, request).unwrap();
        if let Some((ms, response)) = (server.manner)(request, response) {
            server.out += 1;
            assert!(server.out <= 2);
            self.bytes += response.as_ref().map_or(0, |response| encode(response).len());
            self.after(ms, Input::Response { peer, id, response });
        }
    }

    /// Whether it has nothing that this node hasn't, of layers before the running one.
    pub(crate) fn has_all_of(&self, other: &Memory) -> bool {
        // Later layers come later.
        (self.frontier.0..self.first).rev().map(Layer).all(|layer| {
            let ballots = other.ballots(layer).unwrap().into_iter().map(Thing::Ballot);
            let blocks = other.blocks(layer).unwrap().into_iter().map(Thing::Block);
            ballots.chain(blocks).all(|thing| has(&self.archive, &thing))
        })
    }
}
