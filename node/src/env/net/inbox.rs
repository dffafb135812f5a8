//! What peers sent and the node has not taken yet: a bounded queue each, emptied in turn.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::source::Peer;

/// A peer's queue holds so many messages, and no more once they have so many bytes.
const MAX_MESSAGES: usize = 256;
const MAX_BYTES: usize = 4 << 20;
/// And so many requests.
const MAX_REQUESTS: usize = 8;
/// What answers to a peer may cost, in bytes: a second, and at once. Each costs its length, and something for the work.
const ANSWER_RATE: u64 = 8 << 20;
const ANSWER_BURST: u64 = 64 << 20;
const ANSWER_LEAST: u64 = 16 << 10;
/// Of peers that are gone, these allowances are remembered for so many; so reconnecting brings none.
const MAX_ALLOWANCES: usize = 1024;

/// Fills with time, empties with use; may be overdrawn.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: f64,
    rate: f64,
    burst: f64,
    at: Instant,
}

impl Allowance {
    fn new(now: Instant, rate: u64, burst: u64) -> Self {
        // Rates are far below 2^53.
        Self { left: burst as f64, rate: rate as f64, burst: burst as f64, at: now }
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + seconds * self.rate).min(self.burst);
        self.at = now;
    }

    fn is_open(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.left > 0.0
    }

    fn spend(&mut self, amount: u64) {
        self.left -= amount as f64;
    }
}

struct Queue<M, R> {
    messages: VecDeque<(M, usize)>,
    bytes: usize,
    requests: VecDeque<R>,
}

struct Allowances {
    messages: Allowance,
    answers: Allowance,
}

/// The queues.
pub(super) struct Inbox<M, R> {
    messages_per_second: u32,
    messages_burst: u32,
    queues: BTreeMap<Peer, Queue<M, R>>,
    allowances: BTreeMap<Peer, Allowances>,
    /// Whose turn it is.
    turn: Option<Peer>,
}

/// A message that got no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused<M> {
    /// Its sender sends too many.
    TooFast(M),
    /// The node takes too few: nobody's fault.
    NoRoom(M),
}

/// The next thing for the node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<M, R> {
    Message(M),
    Request(R),
}

impl<M, R> Inbox<M, R> {
    pub(super) fn new(messages_per_second: u32, messages_burst: u32) -> Self {
        Self { messages_per_second, messages_burst, queues: BTreeMap::new(), allowances: BTreeMap::new(), turn: None }
    }

    fn allowances(&mut self, now: Instant, peer: Peer) -> &mut Allowances {
        let (rate, burst) = (self.messages_per_second.into(), self.messages_burst.into());
        self.allowances.entry(peer).or_insert_with(|| Allowances {
            messages: Allowance::new(now, rate, burst),
            answers: Allowance::new(now, ANSWER_RATE, ANSWER_BURST),
        })
    }

    fn queue(&mut self, peer: Peer) -> &mut Queue<M, R> {
        let new = || Queue { messages: VecDeque::new(), bytes: 0, requests: VecDeque::new() };
        self.queues.entry(peer).or_insert_with(new)
    }

    /// Queues a message, or gives it back.
    pub(super) fn message(&mut self, now: Instant, peer: Peer, message: M, bytes: usize) -> Result<(), Refused<M>> {
        let allowance = &mut self.allowances(now, peer).messages;
        if !allowance.is_open(now) {
            return Err(Refused::TooFast(message));
        }
        allowance.spend(1);
        let queue = self.queue(peer);
        if queue.messages.len() >= MAX_MESSAGES || queue.bytes >= MAX_BYTES {
            return Err(Refused::NoRoom(message));
        }
        queue.messages.push_back((message, bytes));
        queue.bytes += bytes;
        Ok(())
    }

    /// Queues a request; gives it back when it is one too many.
    pub(super) fn request(&mut self, now: Instant, peer: Peer, request: R) -> Result<(), R> {
        self.allowances(now, peer);
        let queue = self.queue(peer);
        if queue.requests.len() >= MAX_REQUESTS {
            return Err(request);
        }
        queue.requests.push_back(request);
        Ok(())
    }

    /// An answer to a peer has so many bytes.
    pub(super) fn answered(&mut self, now: Instant, peer: Peer, bytes: usize) {
        self.allowances(now, peer).answers.spend(bytes as u64);
    }

    /// Drops a peer's queue, and gives the messages back.
    pub(super) fn gone(&mut self, now: Instant, peer: Peer) -> impl Iterator<Item = M> + use<M, R> {
        if self.allowances.len() > MAX_ALLOWANCES {
            let queues = &self.queues;
            let full = |allowances: &mut Allowances| {
                allowances.messages.refill(now);
                allowances.answers.refill(now);
                allowances.messages.left >= allowances.messages.burst
                    && allowances.answers.left >= allowances.answers.burst
            };
            self.allowances.retain(|peer, allowances| queues.contains_key(peer) || !full(allowances));
            // Too many at once: those that are gone start anew.
            if self.allowances.len() > 2 * MAX_ALLOWANCES {
                self.allowances.retain(|peer, _| queues.contains_key(peer));
            }
        }
        let queue = self.queues.remove(&peer);
        queue.into_iter().flat_map(|queue| queue.messages).map(|(message, _)| message)
    }

    /// Whether [`Inbox::next`] has something.
    pub(super) fn has_next(&mut self, now: Instant) -> bool {
        let Self { queues, allowances, .. } = self;
        queues.iter().any(|(peer, queue)| {
            let may_ask = allowances.get_mut(peer).is_some_and(|allowances| allowances.answers.is_open(now));
            !queue.messages.is_empty() || (may_ask && !queue.requests.is_empty())
        })
    }

    /// The next peer's next message or request. Requests wait until earlier answers to the peer are paid for.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Peer, Next<M, R>)> {
        let after = self.turn.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let later = self.queues.range((after, std::ops::Bound::Unbounded)).map(|(peer, _)| *peer);
        let in_turn: Vec<Peer> = later.chain(self.queues.keys().copied()).collect();
        for peer in in_turn {
            let may_ask = self.allowances(now, peer).answers.is_open(now);
            let Some(queue) = self.queues.get_mut(&peer) else { continue };
            let next = match queue.requests.pop_front_if(|_| may_ask) {
                Some(request) => Next::Request(request),
                None => match queue.messages.pop_front() {
                    Some((message, bytes)) => {
                        queue.bytes -= bytes;
                        Next::Message(message)
                    }
                    None => continue,
                },
            };
            if matches!(next, Next::Request(_)) {
                self.allowances(now, peer).answers.spend(ANSWER_LEAST);
            }
            self.turn = Some(peer);
            return Some((peer, next));
        }
        None
    }
}

#[cfg(test)]
mod tests;
