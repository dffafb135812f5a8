//! What peers sent and the node has not taken yet: bounded queues of each, emptied in turn.
//!
//! What nodes agree by is of use for seconds only, and ATXs come in floods. So it has queues and allowances of its own, and
//! goes first; but not always, so that a flood of it stops nothing either.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Instant;

use crate::source::{Peer, Topic};

/// Each of a peer's queues holds so many messages, and no more once they have so many bytes.
const MAX_MESSAGES: usize = 256;
const MAX_BYTES: usize = 4 << 20;
/// At a round's start all that take part speak at once.
const MAX_URGENT: usize = 1024;
/// After so many urgent messages there is one thing that isn't.
const MAX_IN_A_ROW: u32 = 4;
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

/// Messages of one kind from one peer.
struct Messages<M> {
    waiting: VecDeque<(M, usize)>,
    bytes: usize,
}

impl<M> Messages<M> {
    fn new() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0 }
    }

    /// Gives it back when there is no room.
    fn push(&mut self, message: M, bytes: usize, most: usize) -> Result<(), M> {
        if self.waiting.len() >= most || self.bytes >= MAX_BYTES {
            return Err(message);
        }
        self.waiting.push_back((message, bytes));
        self.bytes += bytes;
        Ok(())
    }

    fn pop(&mut self) -> Option<M> {
        let (message, bytes) = self.waiting.pop_front()?;
        self.bytes -= bytes;
        Some(message)
    }
}

struct Queue<M, R> {
    urgent: Messages<M>,
    messages: Messages<M>,
    requests: VecDeque<R>,
}

struct Allowances {
    urgent: Allowance,
    messages: Allowance,
    answers: Allowance,
}

impl Allowances {
    fn are_full(&mut self, now: Instant) -> bool {
        [&mut self.urgent, &mut self.messages, &mut self.answers].into_iter().all(|allowance| {
            allowance.refill(now);
            allowance.left >= allowance.burst
        })
    }
}

/// Whether it is of use for seconds only.
pub(super) fn is_urgent(topic: Topic) -> bool {
    match topic {
        Topic::Proposal | Topic::Hare | Topic::Beacon => true,
        Topic::Atx | Topic::Fraud | Topic::Transaction => false,
    }
}

/// The queues.
pub(super) struct Inbox<M, R> {
    messages_per_second: u32,
    messages_burst: u32,
    queues: BTreeMap<Peer, Queue<M, R>>,
    allowances: BTreeMap<Peer, Allowances>,
    /// Whose turn it was, with urgent messages and with all else.
    urgent_turn: Option<Peer>,
    turn: Option<Peer>,
    /// So many urgent messages were taken one after the other.
    in_a_row: u32,
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
        Self {
            messages_per_second,
            messages_burst,
            queues: BTreeMap::new(),
            allowances: BTreeMap::new(),
            urgent_turn: None,
            turn: None,
            in_a_row: 0,
        }
    }

    fn allowances(&mut self, now: Instant, peer: Peer) -> &mut Allowances {
        let (rate, burst) = (self.messages_per_second.into(), self.messages_burst.into());
        self.allowances.entry(peer).or_insert_with(|| Allowances {
            urgent: Allowance::new(now, rate, burst),
            messages: Allowance::new(now, rate, burst),
            answers: Allowance::new(now, ANSWER_RATE, ANSWER_BURST),
        })
    }

    fn queue(&mut self, peer: Peer) -> &mut Queue<M, R> {
        let new = || Queue { urgent: Messages::new(), messages: Messages::new(), requests: VecDeque::new() };
        self.queues.entry(peer).or_insert_with(new)
    }

    /// Queues a message, or gives it back.
    pub(super) fn message(
        &mut self,
        now: Instant,
        peer: Peer,
        topic: Topic,
        (message, bytes): (M, usize),
    ) -> Result<(), Refused<M>> {
        let urgent = is_urgent(topic);
        let allowances = self.allowances(now, peer);
        let allowance = if urgent { &mut allowances.urgent } else { &mut allowances.messages };
        if !allowance.is_open(now) {
            return Err(Refused::TooFast(message));
        }
        allowance.spend(1);
        let queue = self.queue(peer);
        let (queue, most) = if urgent { (&mut queue.urgent, MAX_URGENT) } else { (&mut queue.messages, MAX_MESSAGES) };
        queue.push(message, bytes, most).map_err(Refused::NoRoom)
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
            self.allowances.retain(|peer, allowances| queues.contains_key(peer) || !allowances.are_full(now));
            // Too many at once: those that are gone start anew.
            if self.allowances.len() > 2 * MAX_ALLOWANCES {
                self.allowances.retain(|peer, _| queues.contains_key(peer));
            }
        }
        let queue = self.queues.remove(&peer);
        let both = queue.into_iter().flat_map(|queue| [queue.urgent, queue.messages]);
        both.flat_map(|messages| messages.waiting).map(|(message, _)| message)
    }

    /// Whether [`Inbox::next`] has something.
    pub(super) fn has_next(&mut self, now: Instant) -> bool {
        let Self { queues, allowances, .. } = self;
        queues.iter().any(|(peer, queue)| {
            let may_ask = allowances.get_mut(peer).is_some_and(|allowances| allowances.answers.is_open(now));
            let messages = !queue.urgent.waiting.is_empty() || !queue.messages.waiting.is_empty();
            messages || (may_ask && !queue.requests.is_empty())
        })
    }

    /// The next peer's next message or request, urgent ones first.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Peer, Next<M, R>)> {
        if self.in_a_row < MAX_IN_A_ROW
            && let Some(urgent) = self.next_urgent()
        {
            self.in_a_row += 1;
            return Some(urgent);
        }
        self.in_a_row = 0;
        self.next_other(now).or_else(|| self.next_urgent())
    }

    /// Those with something, beginning after whose turn it was.
    fn in_turn(&self, turn: Option<Peer>) -> Vec<Peer> {
        let later = self.queues.range((turn.map_or(Unbounded, Excluded), Unbounded)).map(|(peer, _)| *peer);
        later.chain(self.queues.keys().copied()).collect()
    }

    fn next_urgent(&mut self) -> Option<(Peer, Next<M, R>)> {
        let mut in_turn = self.in_turn(self.urgent_turn).into_iter();
        let (peer, message) = in_turn.find_map(|peer| Some((peer, self.queues.get_mut(&peer)?.urgent.pop()?)))?;
        self.urgent_turn = Some(peer);
        Some((peer, Next::Message(message)))
    }

    /// Requests wait until earlier answers to the peer are paid for.
    fn next_other(&mut self, now: Instant) -> Option<(Peer, Next<M, R>)> {
        for peer in self.in_turn(self.turn) {
            let may_ask = self.allowances(now, peer).answers.is_open(now);
            let Some(queue) = self.queues.get_mut(&peer) else { continue };
            let next = match queue.requests.pop_front_if(|_| may_ask) {
                Some(request) => Next::Request(request),
                None => match queue.messages.pop() {
                    Some(message) => Next::Message(message),
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
