//! What a round's votes come to.
//!
//! A candidate's margin is the weight for it less the weight against it. It decides what an honest miner votes next if it
//! is more than θ, a quarter of all weight; else the coin does, so that nobody can keep the honest apart by keeping margins
//! near zero. Why a quarter: let the dishonest have the part f of the weight, and the honest who vote h.
//!
//! - Once the honest agree, they stay so if `h − f > θ`: with all of them there, f < 3/8; with a twelfth of all weight away,
//!   f < 1/3; with a quarter away, f < 1/4.
//! - No two honest ones are sure of opposites as long as their margins differ by no more than 2 θ. Showing votes to some and
//!   keeping them from others makes a difference of f, so f ≤ 1/2 is good enough. Two different votes of one miner make
//!   twice that, but can be made once, for they prove a fraud.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::message::{BeaconVote, Candidate, MAX_CANDIDATES};

/// The votes of a round.
#[derive(Debug)]
pub(super) struct Tally {
    supported: BTreeMap<Candidate, u128>,
    /// The weight of who voted.
    heard: u128,
    /// The weight of all.
    total: u128,
    coin: bool,
}

impl Tally {
    /// Of votes with their weights, of `total` that there is.
    pub(super) fn new<'a>(votes: impl Iterator<Item = (&'a BeaconVote, u64)>, total: u64) -> Self {
        let mut tally = Self { supported: BTreeMap::new(), heard: 0, total: total.into(), coin: false };
        // Most vote alike.
        let mut alike: BTreeMap<&[Candidate], u128> = BTreeMap::new();
        let mut luckiest = None;
        for (vote, weight) in votes.filter(|(_, weight)| *weight > 0) {
            let so_far = alike.entry(&vote.support).or_default();
            *so_far = so_far.saturating_add(weight.into());
            tally.heard = tally.heard.saturating_add(weight.into());
            let draw = (vote.coin.number(0), weight);
            luckiest = luckiest.filter(|best| order(*best, draw).is_le()).or(Some(draw));
        }
        for (support, weight) in alike {
            for candidate in support {
                let so_far = tally.supported.entry(*candidate).or_default();
                *so_far = so_far.saturating_add(weight);
            }
        }
        tally.coin = luckiest.is_some_and(|(draw, _)| draw & 1 == 1);
        tally
    }

    /// Whether the margin of a candidate with so much weight for it is above zero, and what it is without a sign.
    fn margin(&self, supporting: u128) -> (bool, u128) {
        let against = self.heard.saturating_sub(supporting);
        (supporting > against, supporting.abs_diff(against))
    }

    /// Whom an honest miner votes for next, which knows the proposals of `known`.
    ///
    /// The coin says nothing of candidates that it does not know: no proposal may stand behind them.
    pub(super) fn support(&self, known: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
        let mut candidates: BTreeMap<Candidate, bool> = self.supported.keys().map(|name| (*name, false)).collect();
        candidates.extend(known.map(|name| (name, true)));
        let next = |(name, is_known): (Candidate, bool)| {
            let (above, margin) = self.margin(self.supported.get(&name).copied().unwrap_or(0));
            let sure = margin.saturating_mul(4) > self.total;
            let supported = if sure { above } else { is_known && self.coin };
            supported.then_some(name)
        };
        candidates.into_iter().filter_map(next).take(MAX_CANDIDATES).collect()
    }

    /// The candidates that are left after the last round; `None` when there are none, or too few voted to tell.
    pub(super) fn agreed(&self) -> Option<Vec<Candidate>> {
        let left = self.supported.iter().filter(|(_, supporting)| self.margin(**supporting).0);
        let left: Vec<_> = left.map(|(name, _)| *name).collect();
        (self.heard.saturating_mul(2) > self.total && !left.is_empty()).then_some(left)
    }
}

/// Whose draw is the smallest for its weight: then many small miners don't toss the coin more often than a large one.
fn order((one, one_weight): (u64, u64), (other, other_weight): (u64, u64)) -> Ordering {
    let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
    product(one, other_weight).cmp(&product(other, one_weight))
}

#[cfg(test)]
mod tests;
