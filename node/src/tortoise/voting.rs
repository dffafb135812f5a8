//! What an own ballot says.

use super::{Counted, START, Tortoise};
use crate::ballot::{LayerVote, MAX_DIFFERENCES, Vote};
use crate::ids::{BallotId, Layer, Opinion};

/// What a node knows of its own Hare.
pub trait Hares {
    /// What it decided on a layer.
    fn decided(&self, layer: Layer) -> Option<Vote>;

    /// Whether the node took part, or at least listened, from the layer's start on.
    fn was_there(&self, layer: Layer) -> bool;

    /// The common coin of a layer.
    fn coin(&self, layer: Layer) -> Option<bool>;

    /// What all ballots of a layer are expected to weigh, in 1/65536.
    fn expected(&self, layer: Layer) -> u128;
}

/// The votes of an own ballot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnVotes {
    /// On which ballot it builds.
    pub base: Option<BallotId>,
    /// Where it differs.
    pub differences: Vec<LayerVote>,
    /// What it comes to.
    pub opinion: Opinion,
}

impl Tortoise {
    /// The votes of an own ballot of `layer`; `None` when they can't be told from anybody's, which honest nodes never see.
    pub fn own_votes(&mut self, layer: Layer, hdist: u32, zdist: u32, hares: &dyn Hares) -> Option<OwnVotes> {
        let mut opinion = self.settled;
        let mut at = self.frontier;
        while at < layer {
            let vote = self.vote(layer, at, hdist, zdist, hares);
            opinion = self.opinions.grow(opinion, at, vote);
            at = at.next();
        }
        let (base, differences) = self.best_base(layer, opinion)?;
        Some(OwnVotes { base, differences, opinion })
    }

    /// What a ballot of `layer` says of `of`, which isn't final.
    fn vote(&self, layer: Layer, of: Layer, hdist: u32, zdist: u32, hares: &dyn Hares) -> Vote {
        let age = layer.since(of);
        let (first, second) = self.tally.leaders(of);
        let lead = first.map_or(0, |(_, first)| first - second.map_or(0, |(_, second)| second));
        let clear = first.filter(|_| lead > hares.expected(of) / 3).map(|(vote, _)| vote);
        if age <= hdist {
            if let Some(vote) = hares.decided(of) {
                return vote;
            }
            if hares.was_there(of) {
                return if age > zdist { Vote::Empty } else { Vote::Abstain };
            }
            return clear.unwrap_or(Vote::Abstain);
        }
        match (clear, first, second) {
            (Some(vote), ..) => vote,
            (None, Some((first, _)), second) => {
                let second = second.map_or(Vote::Empty, |(vote, _)| vote);
                // The common coin chooses between the two, whichever is ahead here.
                match hares.coin(layer.before(1)) {
                    None => first,
                    Some(true) => first.max(second),
                    Some(false) => first.min(second),
                }
            }
            (None, None, _) => Vote::Empty,
        }
    }

    /// The ballot before `layer` that says almost the same as `opinion`, and what it doesn't say.
    fn best_base(&self, layer: Layer, opinion: Opinion) -> Option<(Option<BallotId>, Vec<LayerVote>)> {
        let from_start = || self.opinions.differences(START, self.first, opinion, MAX_DIFFERENCES).map(|it| (None, it));
        let mut best: Option<(BallotId, Vec<LayerVote>)> = None;
        let mut last: Option<(Layer, Opinion)> = None;
        for (at, id) in self.by_layer.range(..(layer, BallotId([0; 20]))).rev() {
            let Some(Counted { opinion: said, smesher, .. }) = self.ballots.get(id) else { continue };
            // Others may not have what a fraud said.
            if self.frauds.contains(smesher) || last == Some((*at, *said)) {
                continue;
            }
            last = Some((*at, *said));
            let enough = best.as_ref().map_or(MAX_DIFFERENCES, |(_, differences)| differences.len().saturating_sub(1));
            if let Some(differences) = self.opinions.differences(*said, *at, opinion, enough) {
                let none = differences.is_empty();
                best = Some((*id, differences));
                if none {
                    break;
                }
            }
            // What is far back is no better.
            if best.is_some() && layer.since(*at) > 3 {
                break;
            }
        }
        best.map(|(id, differences)| (Some(id), differences)).or_else(from_start)
    }
}
