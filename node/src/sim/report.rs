//! What is told of a world when it has ended.

use std::collections::BTreeMap;

use super::invariants::Broken;
use crate::source::Topic;

/// What a node is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A tick.
    Tick,
    /// Something gossiped.
    Gossip(Topic),
    /// What peers answer.
    Sync,
    /// Answering peers.
    Answer,
    /// All else: provers, the PoET, judgements, peers that come and go.
    Other,
}

impl Work {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Gossip(topic) => topic.name(),
            Self::Sync => "sync",
            Self::Answer => "answer",
            Self::Other => "other",
        }
    }
}

/// Is told what the world is at. Time is not measured in the world itself, where it would be an input.
pub trait Meter {
    /// A piece of work begins.
    fn begin(&mut self) {}

    /// It has ended.
    fn end(&mut self, _: Work) {}
}

/// Measures nothing.
impl Meter for () {}

/// What was gossiped on a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Different messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// So often one reached a node.
    pub received: u64,
    /// The bytes that reached nodes.
    pub received_bytes: u64,
}

impl Traffic {
    /// A message, told by who made it or handed on by others.
    pub(super) fn add(&mut self, bytes: usize, received: usize, own: bool) {
        if own && received > 0 {
            self.messages += 1;
            self.bytes += bytes as u64;
        }
        self.received += received as u64;
        self.received_bytes += (received * bytes) as u64;
    }
}

/// What became of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed it came from.
    pub seed: u64,
    /// Over all that nodes did.
    pub digest: [u8; 32],
    /// Over all final layers, their blocks and accounts.
    pub decisions: [u8; 32],
    /// The most that a node remembers of agreement at the end: ballots, votes, ballots that wait.
    pub remembered: (usize, usize, usize),
    /// What a node keeps on disk at the end, the one that keeps the most: kinds, how many of each, and their bytes.
    pub kept: Vec<(&'static str, usize, usize)>,
    /// In how many milliseconds after a layer's beginning honest nodes had the block that Hare agreed on, and how often.
    pub agreed: BTreeMap<u64, u64>,
    /// How many nodes there were.
    pub nodes: usize,
    /// How many of them lied.
    pub liars: usize,
    /// Layers that are final on any honest node.
    pub final_layers: u32,
    /// Those of them that are empty.
    pub empty_layers: u32,
    /// The most layers by which an honest node that should have kept up was behind.
    pub worst_lag: u32,
    /// How often it was judged whether an honest node kept up: once a layer for each that should have.
    pub judged: u64,
    /// Honest miners that had been there for so long that they must have spoken.
    pub voices: usize,
    /// Transfers that had an effect, on the honest node that knows of the most.
    pub transfers: u64,
    /// Miners that honest nodes know for frauds.
    pub convicted: usize,
    /// Steps that nodes took.
    pub steps: u64,
    /// By layer and topic.
    pub traffic: BTreeMap<(u32, Topic), Traffic>,
    /// Invariants that broke, in the order in which it was seen.
    pub broken: Vec<Broken>,
}

impl Report {
    /// Messages of all topics that reached a node.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.traffic.values().map(|traffic| traffic.received).sum()
    }
}
