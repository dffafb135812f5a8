//! One machine, several servers, a queue of what will happen.

use std::collections::{BTreeMap, BTreeSet};

use node::archive::{Memory, Write};
use node::atx::Received;
use node::ids::{AtxId, Challenge, NodeId};
use node::params::{NodeParams, Timing};
use node::reconcile::{Lie, answer};
use node::source::Peer;
use node::sync::{Config, Delivery, Effect, Input, MAX_UNJUDGED, Sync};
use node::time::Time;
use node::wire::{Item, Request, Response};

use crate::atxs::keep;

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Honest,
    /// Of a hundred answers so many are lost.
    Lossy(u32),
    /// Answers nothing.
    Silent,
    /// Hands out junk.
    Liar,
    /// Says no at once.
    Refusing,
    /// Has all, hands out one item at a time, each after 15 s.
    Dripping,
    /// Whatever PoET proof it is asked for, this is it.
    Forging(&'static [u8]),
}

pub(crate) struct Server {
    pub(crate) archive: Memory,
    pub(crate) manner: Manner,
    pub(crate) asked: usize,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) sync: Sync,
    pub(crate) archive: Memory,
    pub(crate) servers: BTreeMap<Peer, Server>,
    queue: BTreeMap<(Time, u64), Vec<Input>>,
    count: u64,
    random: u64,
    /// Milliseconds for a verdict.
    pub(crate) judging: u64,
    /// These are never accepted.
    pub(crate) refused: BTreeSet<AtxId>,
    /// For these there is no room, so many times.
    pub(crate) crowded: BTreeMap<AtxId, u32>,
    pub(crate) unjudged: usize,
    unjudged_bytes: usize,
    pub(crate) most_unjudged_bytes: usize,
    pub(crate) most_unjudged: usize,
    pub(crate) delivered: Vec<AtxId>,
    pub(crate) poets: Vec<Peer>,
    pub(crate) punished: Vec<(Peer, Lie)>,
    pub(crate) not_found: Vec<(Vec<AtxId>, Vec<Challenge>)>,
    pub(crate) total_seen: u64,
    /// Of all effects, in order.
    pub(crate) digest: blake3::Hasher,
}

pub(crate) fn peer(i: u8) -> Peer {
    Peer([i; 32])
}

/// A layer is a second, an epoch half a minute.
pub(crate) fn timing() -> Timing {
    NodeParams::devnet(Time(0)).timing
}

impl World {
    /// It is the middle of an epoch.
    pub(crate) fn new(epoch: u32, change: impl FnOnce(&mut Config)) -> Self {
        let timing = timing();
        let now = timing.epoch_starts(node::ids::Epoch(epoch)).after(timing.epoch_ms() / 2);
        let mut config = Config::new(timing, [9; 32]);
        change(&mut config);
        Self {
            now,
            sync: Sync::new(config),
            archive: Memory::default(),
            servers: BTreeMap::new(),
            queue: BTreeMap::new(),
            count: 0,
            random: 1,
            judging: 5,
            refused: BTreeSet::new(),
            crowded: BTreeMap::new(),
            unjudged: 0,
            unjudged_bytes: 0,
            most_unjudged_bytes: 0,
            most_unjudged: 0,
            delivered: Vec::new(),
            poets: Vec::new(),
            punished: Vec::new(),
            not_found: Vec::new(),
            total_seen: 0,
            digest: blake3::Hasher::new(),
        }
    }

    pub(crate) fn serve(&mut self, i: u8, archive: Memory, manner: Manner) {
        self.servers.insert(peer(i), Server { archive, manner, asked: 0 });
        self.after(0, Input::PeerUp(peer(i)));
    }

    pub(crate) fn after(&mut self, ms: u64, input: Input) {
        self.count += 1;
        self.queue.insert((self.now.after(ms), self.count), vec![input]);
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % 100 < u64::from(percent)
    }

    /// Until `done`, or so many milliseconds; whether it was done.
    pub(crate) fn run(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.after(ms);
        let mut tick = self.now;
        while !done(self) {
            let next = self.queue.keys().next().map_or(tick, |(at, _)| (*at).min(tick));
            if next > end {
                return false;
            }
            self.now = self.now.max(next);
            let inputs = match self.queue.first_entry() {
                Some(first) if first.key().0 <= self.now => first.remove(),
                _ => {
                    tick = self.now.after(1000);
                    vec![Input::Timer]
                }
            };
            for input in inputs {
                self.step(input);
            }
        }
        true
    }

    pub(crate) fn step(&mut self, input: Input) {
        if let Input::PeerDown(peer) = input {
            self.servers.remove(&peer);
        }
        match input {
            Input::Judged(count) => self.unjudged -= count,
            Input::Crowded(_) => self.unjudged -= 1,
            _ => {}
        }
        // All takes equally long: when nothing is out, no bytes are.
        if self.unjudged == 0 {
            self.unjudged_bytes = 0;
        }
        let mut out = Vec::new();
        self.sync.step(self.now, &self.archive, input, &mut out).unwrap();
        for effect in out {
            self.digest.update(format!("{} {effect:?}", self.now.0).as_bytes());
            self.execute(effect);
        }
    }

    fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::Request { peer, id, request } => self.request(peer, id, &request),
            Effect::Deliver { item, peer } => {
                self.unjudged += 1;
                self.most_unjudged = self.most_unjudged.max(self.unjudged);
                assert!(self.unjudged <= MAX_UNJUDGED + 64);
                let verdict = self.judge(peer, item);
                self.after(self.judging, verdict);
            }
            Effect::NotFound { atxs, poets } => self.not_found.push((atxs, poets)),
            Effect::Punish { peer, why } => self.punished.push((peer, why)),
            Effect::Progress(progress) => self.total_seen = self.total_seen.max(progress.total),
        }
    }

    fn judge(&mut self, peer: Peer, item: Delivery) -> Input {
        match item {
            Delivery::Atx(bytes) => {
                self.unjudged_bytes += bytes.len();
                self.most_unjudged_bytes = self.most_unjudged_bytes.max(self.unjudged_bytes);
                let atx = Received::decode(&bytes).unwrap();
                self.delivered.push(atx.id);
                if let Some(times) = self.crowded.get_mut(&atx.id).filter(|times| **times > 0) {
                    *times -= 1;
                    return Input::Crowded(peer);
                }
                if !self.refused.contains(&atx.id) {
                    keep(&mut self.archive, &atx);
                }
            }
            Delivery::Fraud(bytes) => {
                if let Ok(name) = bytes[..].try_into() {
                    let node_id = NodeId(name);
                    self.archive.write(Write::Fraud { node_id, received: self.now, bytes });
                }
            }
            Delivery::Poet(_) => self.poets.push(peer),
        }
        Input::Judged(1)
    }

    fn request(&mut self, peer: Peer, id: u64, request: &Request) {
        let Some(server) = self.servers.get_mut(&peer) else { return };
        server.asked += 1;
        let response = answer(&server.archive, request).unwrap();
        let (ms, response) = match server.manner {
            Manner::Honest => (20, Some(response)),
            Manner::Silent => return,
            Manner::Refusing => (20, None),
            Manner::Lossy(percent) => {
                if self.chance(percent) {
                    return;
                }
                (20, Some(response))
            }
            Manner::Liar => (20, Some(junk(response))),
            Manner::Forging(bytes) => match request {
                Request::Poet(_) => (20, Some(Response::Items { items: vec![Item(bytes.to_vec())], last: None })),
                _ => (20, Some(response)),
            },
            Manner::Dripping => match response {
                // Of fraud proofs there are few: all at once.
                Response::Items { items, last } if items.len() > 1 => {
                    let response = match Received::decode(&items[0].0) {
                        Ok(first) => Response::Items { items: vec![items[0].clone()], last: Some(first.id.0) },
                        Err(_) => Response::Items { items, last },
                    };
                    (15_000, Some(response))
                }
                other => (15_000, Some(other)),
            },
        };
        self.after(ms, Input::Response { peer, id, response });
    }
}

fn junk(response: Response) -> Response {
    match response {
        Response::Items { items, last } => {
            Response::Items { items: items.iter().map(|_| Item(vec![7; 50])).collect(), last }
        }
        other => other,
    }
}
