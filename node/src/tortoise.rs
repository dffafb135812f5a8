//! Tortoise: ballots of all miners make layers final, and bring a network together again that was cut in two
//! (NODE.md section 6).
//!
//! **Final** is what more than two thirds of the weight say of a layer: the ballots after it that vote for the same block, or
//! all for none, weigh more than 2/3 of what all miners' ballots of those layers are expected to weigh, and a third of a
//! layer's weight more. So it is also if the same holds of ballots more than `hdist` layers after it: miners that Hare, or a
//! network that was cut, left divided vote alike by then, and what they said before must not count for ever. What is final stays final. So what can be said of it does not depend on how
//! the network behaves: two nodes that hold different things for final have seen ballots of more than 2/3 each, so more
//! than a third of the weight voted both ways, in ballots that contradict each other or by changing its mind. Honest miners
//! change their mind only when all ballots they know say so by majority. With a third of expected margin, as NODE.md has it,
//! both sides of a network that is cut 4 : 3 would make their own layers final; with two thirds neither or one does.
//!
//! **Votes.** Of the last `hdist` layers a ballot says what its Hare decided: nothing while it runs, and after `zdist` layers
//! that the layer is empty. A node that was not there asks the ballots. Of older layers, which should be final, a ballot
//! says what most ballots say, and if that is a draw, what the coin says: so honest miners that Hare left divided come
//! together.
//!
//! There is one mode only: each ballot is counted for each layer that is not final. While all is well those are two or
//! three; and there is no other state that could be wrong.

mod opinions;
mod tally;
mod voting;

use std::collections::{BTreeMap, BTreeSet};

pub use opinions::{Chain, Link, OpinionError, START, extend};
pub use voting::{Hares, OwnVotes};

use opinions::Opinions;
use tally::Tally;

use crate::ballot::{Ballot, Vote};
use crate::ids::{BallotId, Beacon, BlockId, Layer, NodeId, Opinion};

/// A ballot as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Its layer.
    pub layer: Layer,
    /// What it says.
    pub opinion: Opinion,
    /// Who.
    pub smesher: NodeId,
    /// The beacon it names.
    pub beacon: Beacon,
    /// What it weighs, in 1/65536.
    pub weight: u64,
}

/// Why a ballot can't be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncountable {
    /// Its base is not here.
    #[error("its base ballot {0} is not known")]
    Base(BallotId),
    /// Its base is of its own layer or a later one.
    #[error("its base ballot is not older")]
    BaseLayer,
    /// Its votes.
    #[error(transparent)]
    Opinion(#[from] OpinionError),
}

/// All ballots, and what they come to.
#[derive(Debug)]
pub struct Tortoise {
    /// The first layer in which anybody has weight.
    first: Layer,
    /// Layers before the first that isn't final are remembered for so long, so that ballots can build on them.
    keep: u32,
    opinions: Opinions,
    ballots: BTreeMap<BallotId, Counted>,
    by_layer: BTreeSet<(Layer, BallotId)>,
    frauds: BTreeSet<NodeId>,
    /// By all ballots.
    tally: Tally,
    /// By ballots of layers more than hdist later, when honest miners vote alike.
    late: Tally,
    /// The first layer that isn't final.
    frontier: Layer,
    /// The opinion of all final layers.
    settled: Opinion,
    /// The last layer of a ballot.
    last: Option<Layer>,
}

impl Tortoise {
    /// Knows no ballot. `first`: the first layer in which anybody has weight.
    #[must_use]
    pub fn new(first: Layer, hdist: u32, keep: u32) -> Self {
        Self {
            first,
            keep,
            opinions: Opinions::default(),
            ballots: BTreeMap::new(),
            by_layer: BTreeSet::new(),
            frauds: BTreeSet::new(),
            tally: Tally::new(0),
            late: Tally::new(hdist),
            frontier: first,
            settled: START,
            last: None,
        }
    }

    /// Goes on where `settled` is the opinion of all layers before `frontier`, with the votes and ballots that were kept.
    pub fn restore(&mut self, frontier: Layer, settled: Opinion, links: Vec<Link>) {
        (self.frontier, self.settled) = (frontier, settled);
        links.into_iter().for_each(|link| self.opinions.restore(link));
    }

    /// The opinion of all final layers.
    #[must_use]
    pub fn settled(&self) -> Opinion {
        self.settled
    }

    /// Whether a chain of votes is known.
    #[must_use]
    pub fn knows(&self, opinion: Opinion) -> bool {
        opinion == START || self.opinions.link(opinion).is_some()
    }

    /// The last layer with a ballot.
    #[must_use]
    pub fn last(&self) -> Option<Layer> {
        self.last
    }

    /// Votes to be kept that came since the last call.
    pub fn take_fresh(&mut self) -> Vec<Link> {
        self.opinions.take_fresh()
    }

    /// Layers before this one are forgotten.
    #[must_use]
    pub fn remembered(&self) -> Layer {
        self.frontier.before(self.keep).max(self.first)
    }

    /// The first layer that isn't final.
    #[must_use]
    pub fn frontier(&self) -> Layer {
        self.frontier
    }

    /// A ballot that is counted, or was.
    #[must_use]
    pub fn ballot(&self, id: BallotId) -> Option<&Counted> {
        self.ballots.get(&id)
    }

    /// The ballots of a layer.
    pub fn of_layer(&self, layer: Layer) -> impl Iterator<Item = (BallotId, &Counted)> {
        let range = self.by_layer.range((layer, BallotId([0; 20]))..=(layer, BallotId([0xff; 20])));
        range.filter_map(|(_, id)| Some((*id, self.ballots.get(id)?)))
    }

    /// How many ballots and votes are remembered.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.ballots.len(), self.opinions.len())
    }

    /// The votes of a ballot that can be counted: its base is known and they come to what it says.
    ///
    /// # Errors
    /// [`Uncountable`].
    pub fn understand(&self, ballot: &Ballot) -> Result<Chain, Uncountable> {
        let (base, base_layer) = match ballot.base {
            None => (START, self.first),
            Some(id) => {
                let base = self.ballots.get(&id).ok_or(Uncountable::Base(id))?;
                (base.opinion, base.layer)
            }
        };
        if base_layer > ballot.layer || (ballot.base.is_some() && base_layer == ballot.layer) {
            return Err(Uncountable::BaseLayer);
        }
        Ok(self.opinions.derive(base, base_layer, ballot.layer, &ballot.differences, ballot.opinion)?)
    }

    /// How many layers before a ballot's own its base is.
    #[must_use]
    pub fn reach(&self, ballot: &Ballot) -> u32 {
        let base = ballot.base.and_then(|id| self.ballots.get(&id)).map_or(self.first, |base| base.layer);
        ballot.layer.since(base)
    }

    /// Counts a ballot that was understood.
    pub fn count(&mut self, id: BallotId, ballot: Counted, votes: Chain) {
        if self.ballots.contains_key(&id) {
            return;
        }
        self.opinions.keep(votes);
        if !self.frauds.contains(&ballot.smesher) {
            self.tally.add(&self.opinions, &ballot, self.frontier);
            self.late.add(&self.opinions, &ballot, self.frontier);
        }
        self.last = self.last.max(Some(ballot.layer));
        self.by_layer.insert((ballot.layer, id));
        self.ballots.insert(id, ballot);
    }

    /// A ballot weighs something else from now on.
    pub fn reweigh(&mut self, id: BallotId, weight: u64) {
        let Some(ballot) = self.ballots.get_mut(&id) else { return };
        let old = ballot.clone();
        ballot.weight = weight;
        if !self.frauds.contains(&old.smesher) {
            for tally in [&mut self.tally, &mut self.late] {
                tally.remove(&self.opinions, &old, self.frontier);
                tally.add(&self.opinions, ballot, self.frontier);
            }
        }
    }

    /// The block that most ballots vote for in a layer that isn't final, if they are for one.
    #[must_use]
    pub fn leading_block(&self, layer: Layer) -> Option<BlockId> {
        match self.tally.leader(layer)? {
            (Vote::Block { id, .. }, 1..) => Some(id),
            _ => None,
        }
    }

    /// A miner's ballots count no more.
    pub fn convict(&mut self, smesher: NodeId) {
        if !self.frauds.insert(smesher) {
            return;
        }
        for (_, id) in self.by_layer.range((self.frontier, BallotId([0; 20]))..) {
            if let Some(ballot) = self.ballots.get(id).filter(|ballot| ballot.smesher == smesher) {
                self.tally.remove(&self.opinions, ballot, self.frontier);
                self.late.remove(&self.opinions, ballot, self.frontier);
            }
        }
    }

    /// What is to be said of the first layer that isn't final, if it can be made so. `expected` is what all ballots of a
    /// layer are expected to weigh, in 1/65536.
    #[must_use]
    pub fn final_vote(&self, expected: impl Fn(Layer) -> u128) -> Option<Vote> {
        let last = self.last?;
        [&self.tally, &self.late].into_iter().find_map(|tally| {
            let layers = self.frontier.after(tally.after()).next().0..=last.0;
            let all = layers.fold(0u128, |sum, layer| sum.saturating_add(expected(Layer(layer))));
            let local = expected(last) / 3;
            let (vote, weight) = tally.leader(self.frontier)?;
            // Without any expected weight there is nothing to be more than two thirds of.
            (all > 0 && weight > all / 3 * 2 + local).then_some(vote)
        })
    }

    /// Makes the first layer that isn't final so.
    pub fn settle(&mut self, vote: Vote) {
        self.settled = self.opinions.grow(self.settled, self.frontier, vote);
        self.tally.forget(self.frontier);
        self.late.forget(self.frontier);
        self.frontier = self.frontier.next();
        let before = self.frontier.before(self.keep);
        if before > self.first {
            self.opinions.forget(before);
            let kept = self.by_layer.split_off(&(before, BallotId([0; 20])));
            for (_, id) in std::mem::replace(&mut self.by_layer, kept) {
                self.ballots.remove(&id);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
mod tests;
