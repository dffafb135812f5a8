//! Liars: whole nodes like any other, whose words are changed on the way out. They sign what they say, for they have
//! their miner's key, and they know no more than others.
//!
//! A liar has one habit a topic, drawn at its beginning, and now and then tells the truth, so that it is heard at all.

mod atx;
mod ballot;
mod beacon;
mod hare;

use super::network::Audience;
use super::rng::Rng;
use crate::signature::Signer;
use crate::source::Topic;

/// What contradicts an own message, so that both together prove it; `None` where that is not of this signer, or can't be.
/// For liars among real nodes.
pub(crate) fn contradiction(signer: &Signer, topic: Topic, bytes: &[u8]) -> Option<Vec<u8>> {
    // Some draws make what nobody would take.
    (0..16).find_map(|seed| {
        let (other, guilt) = other(signer, &mut Rng::new(seed, "contradiction", bytes.len() as u64), topic, bytes)?;
        guilt.map(|_| other)
    })
}

/// Another message that contradicts the first, and what it proves if both are good by themselves.
fn other(signer: &Signer, rng: &mut Rng, topic: Topic, bytes: &[u8]) -> Option<(Vec<u8>, Option<Guilt>)> {
    match topic {
        Topic::Atx => atx::other(signer, bytes).map(|other| (other, Some(Guilt::Atx))),
        Topic::Proposal => {
            ballot::other(signer, rng, bytes).map(|(other, sound)| (other, sound.then_some(Guilt::Ballot)))
        }
        Topic::Hare => hare::other(signer, rng, bytes).map(|other| (other, Some(Guilt::Hare))),
        Topic::Beacon => beacon::other(signer, rng, bytes).map(|other| (other, Some(Guilt::Beacon))),
        Topic::Fraud | Topic::Transaction => None,
    }
}

/// Something a liar says in place of what its node would have.
#[derive(Clone, Debug)]
pub(super) struct Saying {
    pub(super) topic: Topic,
    pub(super) bytes: Vec<u8>,
    pub(super) to: Audience,
    /// How long it is held back.
    pub(super) after_ms: u64,
}

/// What a liar did by saying two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Guilt {
    /// Two ATXs in one epoch.
    Atx,
    /// Two ballots in one layer.
    Ballot,
    /// Two messages in one round of Hare.
    Hare,
    /// Two votes in one round for a beacon.
    Beacon,
}

/// In place of one message.
pub(super) struct Lie {
    pub(super) sayings: Vec<Saying>,
    /// What the sayings show together.
    pub(super) guilt: Option<Guilt>,
}

impl Lie {
    /// The truth, or something else, to some.
    fn only(topic: Topic, bytes: Vec<u8>, to: Audience, after_ms: u64) -> Self {
        Self { sayings: vec![Saying { topic, bytes, to, after_ms }], guilt: None }
    }

    fn truth(topic: Topic, bytes: Vec<u8>) -> Self {
        Self::only(topic, bytes, Audience::All, 0)
    }

    /// One thing to one half of the nodes, another to the other.
    fn split(topic: Topic, [even, odd]: [Vec<u8>; 2], guilt: Option<Guilt>) -> Self {
        let say = |bytes, odd| Saying { topic, bytes, to: Audience::Half { odd }, after_ms: 0 };
        Self { sayings: vec![say(even, false), say(odd, true)], guilt }
    }

    fn silence() -> Self {
        Self { sayings: Vec::new(), guilt: None }
    }
}

/// What a liar does with messages of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Nothing.
    Honest,
    /// Says two things, each to half of the nodes.
    Equivocate,
    /// Says it too late.
    Late,
    /// Tells a few only.
    Few,
    /// Says nothing.
    Silent,
    /// Claims what it has no right to.
    Boast,
}

const HABITS: [Habit; 6] = [Habit::Honest, Habit::Equivocate, Habit::Late, Habit::Few, Habit::Silent, Habit::Boast];

/// Somebody who lies.
pub(super) struct Liar {
    signer: Signer,
    rng: Rng,
    atx: Habit,
    ballot: Habit,
    hare: Habit,
    beacon: Habit,
}

impl Liar {
    pub(super) fn new(seed: u64, signer: Signer) -> Self {
        let mut index = [0; 8];
        index.copy_from_slice(&signer.node_id().0[..8]);
        let mut rng = Rng::new(seed, "liar", u64::from_le_bytes(index));
        let mut habit = || HABITS[rng.below(HABITS.len() as u64) as usize];
        let (ballot, hare, beacon) = (habit(), habit(), habit());
        // Who is a fraud by its ATX has no weight to lie with.
        let atx = if rng.chance(150) { Habit::Equivocate } else { Habit::Honest };
        Self { signer, rng, atx, ballot, hare, beacon }
    }

    /// What it says in place of a message of its node's.
    pub(super) fn lie(&mut self, topic: Topic, bytes: Vec<u8>) -> Lie {
        let habit = match topic {
            Topic::Atx => self.atx,
            Topic::Proposal => self.ballot,
            Topic::Hare => self.hare,
            Topic::Beacon => self.beacon,
            Topic::Fraud | Topic::Transaction => Habit::Honest,
        };
        match habit {
            Habit::Honest => Lie::truth(topic, bytes),
            // Later than a Hare round, and than several.
            Habit::Late => {
                let after_ms = self.rng.between(1_000, 12_000);
                Lie::only(topic, bytes, Audience::All, after_ms)
            }
            Habit::Few => Lie::only(topic, bytes, Audience::OneIn(self.rng.between(2, 8) as usize), 0),
            Habit::Silent => Lie::silence(),
            Habit::Equivocate => match other(&self.signer, &mut self.rng, topic, &bytes) {
                Some((other, guilt)) => Lie::split(topic, [bytes, other], guilt),
                None => Lie::truth(topic, bytes),
            },
            Habit::Boast => Lie::truth(topic, self.boast(topic, &bytes).unwrap_or(bytes)),
        }
    }

    /// A message that claims too much.
    fn boast(&mut self, topic: Topic, bytes: &[u8]) -> Option<Vec<u8>> {
        match topic {
            Topic::Proposal => ballot::boast(&self.signer, &mut self.rng, bytes),
            Topic::Hare => hare::boast(&self.signer, &mut self.rng, bytes),
            Topic::Beacon => beacon::boast(&self.signer, &mut self.rng, bytes),
            Topic::Atx | Topic::Fraud | Topic::Transaction => None,
        }
    }
}
