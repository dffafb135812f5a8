//! What ballots say of the layers that are not final, by weight.

use std::collections::BTreeMap;

use super::Counted;
use super::opinions::{Link, Opinions};
use crate::ballot::Vote;
use crate::ids::Layer;

/// A vote, and what says so weighs.
pub(super) type Weighed = (Vote, u128);

/// Sums by layer and vote.
#[derive(Debug)]
pub(super) struct Tally {
    /// A ballot counts for layers more than so many before its own.
    after: u32,
    layers: BTreeMap<Layer, BTreeMap<Vote, u128>>,
}

impl Tally {
    pub(super) fn new(after: u32) -> Self {
        Self { after, layers: BTreeMap::new() }
    }

    pub(super) fn after(&self) -> u32 {
        self.after
    }

    pub(super) fn add(&mut self, opinions: &Opinions, ballot: &Counted, frontier: Layer) {
        let old = |link: &&Link| ballot.layer > link.layer.after(self.after);
        let undecided = opinions.back(ballot.opinion).take_while(|link| link.layer >= frontier);
        for link in undecided.filter(old) {
            let sum = self.layers.entry(link.layer).or_default().entry(link.vote).or_default();
            *sum = sum.saturating_add(ballot.weight.into());
        }
    }

    pub(super) fn remove(&mut self, opinions: &Opinions, ballot: &Counted, frontier: Layer) {
        let old = |link: &&Link| ballot.layer > link.layer.after(self.after);
        let undecided = opinions.back(ballot.opinion).take_while(|link| link.layer >= frontier);
        for link in undecided.filter(old) {
            if let Some(sum) = self.layers.get_mut(&link.layer).and_then(|votes| votes.get_mut(&link.vote)) {
                *sum = sum.saturating_sub(ballot.weight.into());
            }
        }
    }

    /// The heaviest vote on a layer, abstentions left out; of several the smallest.
    pub(super) fn leader(&self, layer: Layer) -> Option<Weighed> {
        self.leaders(layer).0
    }

    /// The two heaviest votes.
    pub(super) fn leaders(&self, layer: Layer) -> (Option<Weighed>, Option<Weighed>) {
        let (mut first, mut second): (Option<Weighed>, Option<Weighed>) = (None, None);
        let votes = self.layers.get(&layer).into_iter().flatten();
        for (vote, weight) in votes.filter(|(vote, _)| **vote != Vote::Abstain).map(|(vote, weight)| (*vote, *weight)) {
            if first.is_none_or(|(_, most)| weight > most) {
                (first, second) = (Some((vote, weight)), first);
            } else if second.is_none_or(|(_, most)| weight > most) {
                second = Some((vote, weight));
            }
        }
        (first, second)
    }

    pub(super) fn forget(&mut self, layer: Layer) {
        self.layers.remove(&layer);
    }
}
