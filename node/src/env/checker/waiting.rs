//! Messages that wait for their cheap checks: a queue for each peer, served in turns, and none grows without limit.
//!
//! A peer that sends much waits for itself only. When all together are too many, the one with the most gives way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

use crate::source::{Peer, Source};

/// Memory a message takes besides its bytes. It counts as well: a limit on bytes is so one on the number of messages.
const OVERHEAD: usize = 256;

/// Bytes that should be an ATX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where they came from.
    pub source: Source,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Message {
    /// The memory it takes.
    fn weight(&self) -> usize {
        self.bytes.capacity().saturating_add(OVERHEAD)
    }
}

/// How much may wait, in bytes of memory; a message takes 256 B besides its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one peer.
    pub peer: usize,
    /// Of all.
    pub all: usize,
}

impl Default for Limits {
    /// 4 MiB, some three thousand ATXs, or ten of the largest; and 64 MiB.
    fn default() -> Self {
        Self { peer: 4 << 20, all: 64 << 20 }
    }
}

/// A peer, or this node itself.
type Sender = Option<Peer>;

/// The messages that wait.
#[derive(Debug)]
pub struct Waiting {
    limits: Limits,
    /// None is empty.
    queues: BTreeMap<Sender, Queue>,
    /// The same senders, by the memory they take.
    by_bytes: BTreeSet<(usize, Sender)>,
    /// Whose turn was the last.
    last: Option<Sender>,
    messages: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Waiting {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (queues, by_bytes) = (BTreeMap::new(), BTreeSet::new());
        Self { limits, queues, by_bytes, last: None, messages: 0, bytes: 0 }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// The memory they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets a message wait. Returns the messages that had to give way: the oldest of its own sender while that one has too
    /// much, then the oldest of whoever has the most while all together have too much.
    pub fn push(&mut self, message: Message) -> Vec<Message> {
        let (sender, weight) = (message.source.peer(), message.weight());
        if weight > self.limits.peer.min(self.limits.all) {
            return vec![message];
        }
        let mut gave_way = Vec::new();
        while self.queues.get(&sender).is_some_and(|queue| queue.bytes + weight > self.limits.peer) {
            gave_way.extend(self.pop(sender));
        }
        self.change(sender, |queue| {
            queue.bytes += weight;
            queue.messages.push_back(message);
        });
        while self.bytes > self.limits.all
            && let Some((_, greediest)) = self.by_bytes.last().copied()
        {
            gave_way.extend(self.pop(greediest));
        }
        gave_way
    }

    /// Takes up to `messages`, one of each sender in turn, and no more once they have `bytes` together.
    pub fn take(&mut self, messages: usize, bytes: usize) -> Vec<Message> {
        let (mut taken, mut weight) = (Vec::new(), 0);
        while taken.len() < messages
            && weight < bytes
            && let Some(message) = self.next_sender().and_then(|sender| self.pop(sender))
        {
            weight += message.weight();
            taken.push(message);
        }
        taken
    }

    /// Whose turn it is.
    fn next_sender(&mut self) -> Option<Sender> {
        let after = self.last.and_then(|last| self.queues.range((Excluded(last), Unbounded)).next());
        let sender = after.or_else(|| self.queues.iter().next()).map(|(sender, _)| *sender);
        self.last = sender;
        sender
    }

    /// Takes the oldest message of a sender.
    fn pop(&mut self, sender: Sender) -> Option<Message> {
        self.change(sender, |queue| {
            let message = queue.messages.pop_front();
            queue.bytes -= message.as_ref().map_or(0, Message::weight);
            message
        })
    }

    /// The only place where a queue changes: keeps the sums right, and no empty queues.
    fn change<T>(&mut self, sender: Sender, change: impl FnOnce(&mut Queue) -> T) -> T {
        let queue = self.queues.entry(sender).or_default();
        let (messages, bytes) = (queue.messages.len(), queue.bytes);
        let result = change(queue);
        self.by_bytes.remove(&(bytes, sender));
        self.messages = self.messages - messages + queue.messages.len();
        self.bytes = self.bytes - bytes + queue.bytes;
        if queue.messages.is_empty() {
            self.queues.remove(&sender);
        } else {
            self.by_bytes.insert((queue.bytes, sender));
        }
        result
    }
}

#[cfg(test)]
mod tests;
