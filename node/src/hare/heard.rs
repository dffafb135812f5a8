//! What was heard in a layer: one message a round and miner, and how much it counts.

use std::collections::BTreeMap;

use super::message::{HareMessage, IterRound, Value};
use crate::ids::{BallotId, NodeId, Signature};

/// The best grade.
pub(super) const BEST: u32 = 5;

type Hash = [u8; 32];

/// A miner's message in a round; the first that came.
#[derive(Debug)]
pub(super) struct Heard {
    /// The hash of what it says.
    pub(super) value: Hash,
    pub(super) signature: Signature,
    seats: u16,
    /// The smallest of its seats' draws.
    draw: Hash,
    /// The round that was to be executed next when it came.
    came: u32,
    /// The same, of when its sender was found to say something else as well, or to be a fraud.
    caught: Option<u32>,
    fraud: bool,
    /// Whether a second message of the sender was heard.
    contradicted: bool,
}

impl Heard {
    pub(super) fn of(message: &HareMessage, value: Hash, seats: u16, fraud: bool) -> Self {
        // The part of the proof that the sender had no choice in.
        let unforced = &message.proof.0[..32];
        let drawn = |seat: u16| *blake3::hash(&[unforced, &seat.to_le_bytes()].concat()).as_bytes();
        let draw = (0..seats.max(1)).map(drawn).min().unwrap_or_default();
        let signature = message.signature;
        Self { value, signature, seats, draw, came: 0, caught: None, fraud, contradicted: false }
    }

    fn delay(&self, round: u32) -> u32 {
        self.came.saturating_sub(round)
    }

    /// How far a message of `round` counts; it takes a delay of 1 to come before the next round.
    fn grade(&self, round: u32) -> u32 {
        (BEST + 1).saturating_sub(self.delay(round))
    }

    /// How far a proposal of `round` was received as the only one of its sender, and so by all: 2, 1 or not.
    fn gradecast(&self, round: u32) -> u32 {
        let caught = self.caught.map_or(u32::MAX, |caught| caught.saturating_sub(round));
        match self.delay(round) {
            ..=1 if caught > 3 => 2,
            ..=2 if caught > 2 => 1,
            _ => 0,
        }
    }
}

/// What a message adds to what was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The first of its sender and round.
    First,
    /// It contradicts the first, and nothing else did.
    Second,
    /// Nothing.
    Nothing,
}

/// What was heard before, if it is contradicted.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) value: Hash,
    pub(super) signature: Signature,
}

/// A proposed set that nobody may overlook.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Which.
    pub(super) value: Hash,
    /// See [`Heard::gradecast`]; at least 1.
    pub(super) grade: u32,
}

/// All that was heard.
#[derive(Debug, Default)]
pub(super) struct Messages {
    by_round: BTreeMap<u32, BTreeMap<NodeId, Heard>>,
    /// The sets by their hashes.
    sets: BTreeMap<Hash, Vec<BallotId>>,
}

impl Messages {
    pub(super) fn news(&self, at: IterRound, sender: NodeId, value: Hash) -> News {
        match self.by_round.get(&at.number()).and_then(|heard| heard.get(&sender)) {
            None => News::First,
            Some(heard) if heard.contradicted || heard.value == value => News::Nothing,
            Some(_) => News::Second,
        }
    }

    /// Keeps a message that came before round `now`; what the sender said before, if it is a second one.
    pub(super) fn hear(
        &mut self,
        now: u32,
        at: IterRound,
        sender: NodeId,
        mut heard: Heard,
        value: Value,
    ) -> Option<Before> {
        if let Value::Proposals(set) = value {
            self.sets.entry(heard.value).or_insert(set);
        }
        let round = self.by_round.entry(at.number()).or_default();
        if let Some(first) = round.get_mut(&sender) {
            first.caught = first.caught.or(Some(now));
            first.contradicted = true;
            return Some(Before { value: first.value, signature: first.signature });
        }
        heard.came = now;
        heard.caught = heard.fraud.then_some(now);
        round.insert(sender, heard);
        None
    }

    /// From round `now` on all that a miner said counts as contradicted.
    pub(super) fn convict(&mut self, now: u32, sender: NodeId) {
        for heard in self.by_round.values_mut().filter_map(|round| round.get_mut(&sender)) {
            heard.caught = heard.caught.or(Some(now));
        }
    }

    pub(super) fn set(&self, value: Hash) -> Option<&[BallotId]> {
        self.sets.get(&value).map(Vec::as_slice)
    }

    fn of(&self, round: u32) -> impl Iterator<Item = &Heard> {
        self.by_round.get(&round).into_iter().flat_map(BTreeMap::values)
    }

    /// The seats of a round at a grade or better: for each value, and of those who said more than one thing.
    fn seats(&self, round: u32, grade: u32) -> (BTreeMap<Hash, u32>, u32) {
        let (mut honest, mut caught) = (BTreeMap::new(), 0u32);
        for heard in self.of(round).filter(|heard| heard.grade(round) >= grade) {
            let sum = if heard.caught.is_some() { &mut caught } else { honest.entry(heard.value).or_default() };
            *sum = sum.saturating_add(heard.seats.into());
        }
        (honest, caught)
    }

    /// The value that a threshold of a round's seats is for, at a grade or better.
    pub(super) fn threshold(&self, round: u32, grade: u32, threshold: u32) -> Option<Hash> {
        let (honest, caught) = self.seats(round, grade);
        honest.into_iter().find(|(_, seats)| seats.saturating_add(caught) >= threshold).map(|(value, _)| value)
    }

    /// The proposals that a threshold of the preround's seats is for, at a grade or better.
    pub(super) fn supported(&self, grade: u32, threshold: u32) -> Vec<BallotId> {
        let (honest, caught) = self.seats(0, grade);
        // Most say the same, so the sums are made a set, not a message.
        let mut sums: BTreeMap<BallotId, u32> = BTreeMap::new();
        for (value, seats) in honest {
            for id in self.set(value).unwrap_or_default() {
                let sum = sums.entry(*id).or_default();
                *sum = sum.saturating_add(seats);
            }
        }
        sums.retain(|_, seats| seats.saturating_add(caught) >= threshold);
        sums.into_keys().collect()
    }

    /// The sets proposed in a round that all know of, the smallest draw first.
    pub(super) fn candidates(&self, round: u32) -> Vec<Candidate> {
        let mut known: Vec<_> = self.of(round).filter(|heard| heard.gradecast(round) > 0).collect();
        known.sort_by_key(|heard| heard.draw);
        known.iter().map(|heard| Candidate { value: heard.value, grade: heard.gradecast(round) }).collect()
    }

    /// A bit of the smallest draw of a round's messages with the best grade: nobody chose it, and each seat had one.
    pub(super) fn coin(&self, round: u32) -> Option<bool> {
        let draws = self.of(round).filter(|heard| heard.grade(round) >= BEST).map(|heard| heard.draw);
        draws.min().map(|draw| draw[31] & 1 == 1)
    }
}
