//! Who hears what, and when.
//!
//! Gossip is what it comes to: a message reaches every node that its sender has a way to, once, each after a time of its
//! own; what was told to some only is handed on by them. Requests go between neighbours. Nothing crosses a partition, or
//! reaches a node that is down.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::rng::Rng;
use crate::source::{MessageHash, Peer, Topic};
use crate::time::Time;

/// A node asks so many others, as they ask it; more in a small network, where everybody knows everybody.
const NEIGHBOURS: usize = 8;
/// So long a message is known for a message that was there already; as in the real network.
const REMEMBERED_MS: u64 = 120_000;
/// Nothing takes longer.
const MAX_LATENCY_MS: u64 = 3_000;

/// How long messages take.
#[derive(Clone, Debug)]
pub(super) enum Latency {
    /// Anything between two times.
    Uniform { min: u64, max: u64 },
    /// Half of them as long as `half` and no longer, with an exponential tail.
    Tailed { min: u64, half: u64 },
    /// Two continents: near on one, far between them.
    Clusters { near: u64, far: u64 },
}

/// The network in two parts.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) from: Time,
    pub(super) to: Time,
    /// On which side each node is.
    pub(super) sides: Vec<bool>,
}

/// Something gossiped.
pub(super) struct Message {
    pub(super) topic: Topic,
    pub(super) bytes: Vec<u8>,
    pub(super) hash: MessageHash,
    /// Who said it first.
    pub(super) origin: usize,
    /// Who has heard of it, or soon will.
    heard: RefCell<Vec<bool>>,
    /// Whether it was told to some only, so that whoever takes it for good hands it on.
    partial: Cell<bool>,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everybody.
    All,
    /// Nodes with an even number, or those with an odd one.
    Half { odd: bool },
    /// One node in so many.
    OneIn(usize),
}

impl Audience {
    fn has(self, node: usize) -> bool {
        match self {
            Self::All => true,
            Self::Half { odd } => (node % 2 == 1) == odd,
            Self::OneIn(nodes) => node.is_multiple_of(nodes.max(1)),
        }
    }
}

/// The network.
pub(super) struct Network {
    latency: Latency,
    loss_permille: u32,
    rng: Rng,
    peers: Vec<Peer>,
    by_peer: BTreeMap<Peer, usize>,
    neighbours: Vec<Vec<usize>>,
    up: Vec<bool>,
    /// On which side each node is, while the network is in two parts.
    sides: Option<Vec<bool>>,
    messages: BTreeMap<MessageHash, Rc<Message>>,
    /// When which message may be forgotten.
    old: BTreeSet<(Time, MessageHash)>,
}

/// What a message is named by.
pub(super) fn hash(topic: Topic, bytes: &[u8]) -> MessageHash {
    MessageHash(blake3::Hasher::new().update(topic.name().as_bytes()).update(bytes).finalize().into())
}

impl Network {
    pub(super) fn new(seed: u64, nodes: usize, latency: Latency, loss_permille: u32) -> Self {
        let mut rng = Rng::new(seed, "network", 0);
        let peers: Vec<Peer> = (0..nodes).map(|_| Peer(rng.bytes())).collect();
        Self {
            latency,
            loss_permille,
            by_peer: peers.iter().enumerate().map(|(i, peer)| (*peer, i)).collect(),
            neighbours: neighbours(nodes, &mut rng),
            peers,
            rng,
            up: vec![false; nodes],
            sides: None,
            messages: BTreeMap::new(),
            old: BTreeSet::new(),
        }
    }

    /// A node's name.
    pub(super) fn peer(&self, node: usize) -> Peer {
        self.peers[node]
    }

    /// The node of a name.
    pub(super) fn node(&self, peer: Peer) -> Option<usize> {
        self.by_peer.get(&peer).copied()
    }

    /// A node starts, or ends.
    pub(super) fn set_up(&mut self, node: usize, up: bool) {
        self.up[node] = up;
    }

    /// The network falls apart, or is one again.
    pub(super) fn set_sides(&mut self, sides: Option<Vec<bool>>) {
        self.sides = sides;
    }

    /// Whether the network is in parts.
    pub(super) fn is_parted(&self) -> bool {
        self.sides.is_some()
    }

    /// Whether a message can go from one to the other.
    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        self.up[from] && self.up[to] && self.sides.as_ref().is_none_or(|sides| sides[from] == sides[to])
    }

    /// All pairs of neighbours that can reach each other.
    pub(super) fn links(&self) -> BTreeSet<(usize, usize)> {
        let pairs = self.neighbours.iter().enumerate().flat_map(|(a, all)| all.iter().map(move |b| (a, *b)));
        pairs.filter(|(a, b)| self.reaches(*a, *b)).collect()
    }

    /// The neighbours that a node can reach.
    pub(super) fn linked(&self, node: usize) -> Vec<usize> {
        self.neighbours[node].iter().copied().filter(|other| self.reaches(node, *other)).collect()
    }

    /// How long something takes from one to the other.
    pub(super) fn latency(&mut self, from: usize, to: usize) -> u64 {
        let rng = &mut self.rng;
        let ms = match self.latency {
            Latency::Uniform { min, max } => rng.between(min, max),
            Latency::Tailed { min, half } => min + rng.tailed(half),
            Latency::Clusters { near, far } => {
                let most = if from % 2 == to % 2 { near } else { far };
                rng.between(most / 2, most)
            }
        };
        ms.min(MAX_LATENCY_MS)
    }

    /// A message that a node says. The same bytes are the same message.
    pub(super) fn message(&mut self, now: Time, origin: usize, topic: Topic, bytes: Vec<u8>) -> Rc<Message> {
        while let Some((at, hash)) = self.old.first().copied()
            && at <= now
        {
            self.old.remove(&(at, hash));
            self.messages.remove(&hash);
        }
        let hash = hash(topic, &bytes);
        if let Some(message) = self.messages.get(&hash) {
            return Rc::clone(message);
        }
        let mut heard = vec![false; self.peers.len()];
        heard[origin] = true;
        let message =
            Rc::new(Message { topic, bytes, hash, origin, heard: RefCell::new(heard), partial: Cell::new(false) });
        self.messages.insert(hash, Rc::clone(&message));
        self.old.insert((now.after(REMEMBERED_MS), hash));
        message
    }

    /// Who said a message first, if it is remembered.
    pub(super) fn origin(&self, hash: &MessageHash) -> Option<usize> {
        self.messages.get(hash).map(|message| message.origin)
    }

    /// A message that is to be handed on by somebody who takes it for good; whoever does so first tells everyone.
    pub(super) fn handed_on(&self, hash: &MessageHash) -> Option<Rc<Message>> {
        self.messages.get(hash).filter(|message| message.partial.replace(false)).map(Rc::clone)
    }

    /// Whom a message reaches that `from` says now, after how long, and which neighbour hands it over.
    pub(super) fn spread(&mut self, from: usize, message: &Message, audience: Audience) -> Vec<(usize, usize, u64)> {
        message.partial.set(audience != Audience::All);
        let mut heard = message.heard.borrow_mut();
        let mut reached = Vec::new();
        for to in 0..self.peers.len() {
            if heard[to] || !audience.has(to) || !self.reaches(from, to) || self.rng.chance(self.loss_permille) {
                continue;
            }
            // By the message's bytes it would depend on its signature.
            let first = self.rng.below(self.neighbours[to].len().max(1) as u64) as usize;
            let near = &self.neighbours[to];
            let by = if near.contains(&from) {
                Some(from)
            } else {
                (0..near.len()).map(|i| near[(first + i) % near.len()]).find(|by| self.reaches(*by, to))
            };
            let Some(by) = by else { continue };
            heard[to] = true;
            let ms = self.latency(from, to);
            reached.push((to, by, ms));
        }
        reached
    }
}

/// A ring, and others at random.
fn neighbours(nodes: usize, rng: &mut Rng) -> Vec<Vec<usize>> {
    let mut pairs = BTreeSet::new();
    let mut join = |a: usize, b: usize| {
        if a != b {
            pairs.insert((a, b));
            pairs.insert((b, a));
        }
    };
    for a in 0..nodes {
        join(a, (a + 1) % nodes);
        for _ in 0..NEIGHBOURS / 2 {
            join(a, rng.below(nodes as u64) as usize);
        }
    }
    let of = |a: usize| pairs.range((a, 0)..(a + 1, 0)).map(|(_, b)| *b).collect();
    (0..nodes).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(loss_permille: u32) -> Network {
        let mut network = Network::new(3, 40, Latency::Uniform { min: 10, max: 20 }, loss_permille);
        (0..40).for_each(|node| network.set_up(node, true));
        network
    }

    fn say(network: &mut Network, bytes: &[u8], audience: Audience) -> Vec<usize> {
        let message = network.message(Time(0), 0, Topic::Hare, bytes.to_vec());
        network.spread(0, &message, audience).into_iter().map(|(to, ..)| to).collect()
    }

    #[test]
    fn everybody_hears_a_message_once() {
        let mut network = network(0);
        assert_eq!(say(&mut network, b"a", Audience::All), (1..40).collect::<Vec<_>>());
        assert!(say(&mut network, b"a", Audience::All).is_empty());
        assert_eq!(say(&mut network, b"b", Audience::Half { odd: true }).len(), 20);
        assert_eq!(say(&mut network, b"b", Audience::All).len(), 19);
    }

    #[test]
    fn nothing_crosses_a_partition_or_reaches_who_is_down() {
        let mut network = network(0);
        network.set_sides(Some((0..40).map(|node| node >= 30).collect()));
        network.set_up(7, false);
        let heard = say(&mut network, b"a", Audience::All);
        assert!(heard.iter().all(|node| *node < 30 && *node != 7) && heard.len() > 25, "{heard:?}");
        assert!(network.links().iter().all(|(a, b)| (*a < 30) == (*b < 30)));
        network.set_sides(None);
        assert_eq!(say(&mut network, b"a", Audience::All).len(), 38 - heard.len());
    }

    #[test]
    fn some_are_lost() {
        let mut network = network(500);
        let heard = say(&mut network, b"a", Audience::All).len();
        assert!((5..35).contains(&heard), "{heard}");
    }

    #[test]
    fn neighbours_are_neighbours_of_each_other() {
        let network = network(0);
        for (a, b) in network.links() {
            assert!(network.linked(b).contains(&a) && a != b);
        }
        assert!((0..40).all(|node| (2..20).contains(&network.linked(node).len())));
    }
}
