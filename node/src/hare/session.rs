//! The Hare of one layer: what each round looks at, and what it says.

use std::collections::BTreeMap;

use super::heard::{BEST, Before, Heard, Messages, News};
use super::message::{IterRound, MAX_VALUES, Round, Value};
use crate::ids::{BallotId, Layer, NodeId};

type Hash = [u8; 32];

/// What must not be given up.
#[derive(Clone, Copy, Debug)]
struct Lock {
    value: Hash,
    /// It is committed to even if nobody proposes it.
    hard: bool,
}

/// What comes of a round.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What a member should say.
    pub(super) say: Option<Value>,
    /// What the layer has; at most once.
    pub(super) decided: Option<Vec<BallotId>>,
    pub(super) coin: Option<bool>,
    /// Others have what they need: no further round.
    pub(super) is_over: bool,
}

/// A layer's Hare.
#[derive(Debug)]
pub(super) struct Session {
    layer: Layer,
    /// The round to be executed next.
    next: u32,
    messages: Messages,
    /// What the preround's seats are for, with the best grade at which they are.
    supported: BTreeMap<BallotId, u32>,
    lock: Option<Lock>,
    has_decided: bool,
}

impl Session {
    pub(super) fn new(layer: Layer) -> Self {
        let (messages, supported) = (Messages::default(), BTreeMap::new());
        Self { layer, next: 0, messages, supported, lock: None, has_decided: false }
    }

    pub(super) fn layer(&self) -> Layer {
        self.layer
    }

    pub(super) fn next_round(&self) -> u32 {
        self.next
    }

    pub(super) fn at(&self) -> IterRound {
        IterRound::numbered(self.next)
    }

    pub(super) fn has_decided(&self) -> bool {
        self.has_decided
    }

    pub(super) fn news(&self, at: IterRound, sender: NodeId, value: Hash) -> News {
        self.messages.news(at, sender, value)
    }

    pub(super) fn has_heard(&self, at: IterRound, sender: NodeId) -> bool {
        // No set hashes to zeros.
        self.messages.news(at, sender, [0; 32]) != News::First
    }

    /// Whether a message of a round would have no grade now.
    pub(super) fn is_late(&self, at: IterRound) -> bool {
        self.next.saturating_sub(at.number()) > BEST
    }

    pub(super) fn hear(&mut self, at: IterRound, sender: NodeId, heard: Heard, value: Value) -> Option<Before> {
        self.messages.hear(self.next, at, sender, heard, value)
    }

    pub(super) fn convict(&mut self, node_id: NodeId) {
        self.messages.convict(self.next, node_id);
    }

    /// Executes the next round, with the proposals that are known if it is the first.
    pub(super) fn execute(&mut self, threshold: u32, proposals: impl FnOnce() -> Vec<BallotId>) -> Outcome {
        let at = self.at();
        self.grade_preround(threshold);
        let mut outcome = Outcome::default();
        match at.round {
            Round::Preround => outcome.say = Self::preround(proposals()),
            Round::Hardlock => {
                outcome.is_over = self.has_decided;
                outcome.decided = self.decide(threshold);
                // A hard lock on what was committed to at grade 4.
                self.lock = self.commits_at(4, threshold).map(|value| Lock { value, hard: true });
            }
            Round::Softlock if at.iteration == 0 => outcome.coin = self.messages.coin(0),
            // A soft lock at grade 3.
            Round::Softlock if self.lock.is_none() => {
                self.lock = self.commits_at(3, threshold).map(|value| Lock { value, hard: false });
            }
            Round::Softlock | Round::Wait1 | Round::Wait2 => {}
            Round::Propose => outcome.say = self.propose(threshold),
            Round::Commit => outcome.say = self.commit(threshold).map(Value::Reference),
            // What was committed to in this iteration at grade 5.
            Round::Notify => {
                let committed = self.messages.threshold(self.next.saturating_sub(1), 5, threshold);
                outcome.say = committed.map(Value::Reference);
            }
        }
        self.next = self.next.saturating_add(1);
        outcome
    }

    /// The preround's values at grade 5 before the first round after it, at 4 before the second, and so on. What was found
    /// stays: who is caught later must not change what has been handed down a grade a round.
    fn grade_preround(&mut self, threshold: u32) {
        let grade = (BEST + 1).saturating_sub(self.next);
        if (1..=BEST).contains(&grade) {
            for id in self.messages.supported(grade, threshold) {
                self.supported.entry(id).or_insert(grade);
            }
        }
    }

    /// The preround's values at a grade or better, ascending.
    fn supported_at(&self, grade: u32) -> impl Iterator<Item = &BallotId> {
        self.supported.iter().filter(move |(_, best)| **best >= grade).map(|(id, _)| id)
    }

    /// What had a threshold of commits in the iteration before.
    fn commits_at(&self, grade: u32, threshold: u32) -> Option<Hash> {
        let iteration = self.at().iteration.checked_sub(1)?;
        let commit = IterRound { iteration, round: Round::Commit };
        self.messages.threshold(commit.number(), grade, threshold)
    }

    /// All that is known.
    fn preround(mut proposals: Vec<BallotId>) -> Option<Value> {
        proposals.truncate(MAX_VALUES);
        (!proposals.is_empty()).then_some(Value::Proposals(proposals))
    }

    /// What was notified in the iteration before at grade 5, if it is known what that is.
    fn decide(&mut self, threshold: u32) -> Option<Vec<BallotId>> {
        if self.has_decided {
            return None;
        }
        let value = self.messages.threshold(self.next.saturating_sub(1), 5, threshold)?;
        let set = self.messages.set(value)?.to_vec();
        self.has_decided = true;
        Some(set)
    }

    /// What was committed to before at grade 2, or else the preround's values at grade 4.
    fn propose(&self, threshold: u32) -> Option<Value> {
        let committed = self.commits_at(2, threshold).and_then(|value| self.messages.set(value));
        let mut set = match committed {
            Some(set) => set.to_vec(),
            None => self.supported_at(4).copied().collect(),
        };
        set.truncate(MAX_VALUES);
        (!set.is_empty()).then_some(Value::Proposals(set))
    }

    /// The lock, if it is hard; or else the set with the smallest draw among those that others may commit to, if it
    /// is good enough and no other than the soft lock.
    fn commit(&self, threshold: u32) -> Option<Hash> {
        if let Some(Lock { value, hard: true }) = self.lock {
            return Some(value);
        }
        let candidates = self.messages.candidates(self.next.saturating_sub(3));
        let leader = candidates.iter().find(|candidate| self.is_within(candidate.value, 1))?;
        let fits_lock = self.lock.is_none_or(|lock| lock.value == leader.value);
        // An honest member committed to it before, so it has been found good.
        let committed = || self.commits_at(1, threshold) == Some(leader.value);
        let good = || self.is_within(leader.value, 2) && self.has_all(leader.value, 5);
        (leader.grade == 2 && fits_lock && (committed() || good())).then_some(leader.value)
    }

    /// Whether a set is known, not empty, and of the preround's values at a grade.
    fn is_within(&self, value: Hash, grade: u32) -> bool {
        let good = |id| self.supported.get(id).is_some_and(|best| *best >= grade);
        self.messages.set(value).is_some_and(|set| !set.is_empty() && set.iter().all(good))
    }

    /// Whether a set has all of the preround's values at a grade.
    fn has_all(&self, value: Hash, grade: u32) -> bool {
        let Some(set) = self.messages.set(value) else { return false };
        self.supported_at(grade).all(|id| set.binary_search(id).is_ok())
    }
}
