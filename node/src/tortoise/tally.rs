//! What ballots say of the layers that are not final, by weight.

use std::collections::BTreeMap;

use super::Counted;
use super::opinions::Opinions;
use crate::ballot::Vote;
use crate::ids::Layer;

/// Sums by layer and vote.
#[derive(Debug, Default)]
pub(super) struct Tally {
    layers: BTreeMap<Layer, BTreeMap<Vote, u128>>,
}

impl Tally {
    pub(super) fn add(&mut self, opinions: &Opinions, ballot: &Counted, frontier: Layer) {
        for link in opinions.back(ballot.opinion).take_while(|link| link.layer >= frontier) {
            let sum = self.layers.entry(link.layer).or_default().entry(link.vote).or_default();
            *sum = sum.saturating_add(ballot.weight.into());
        }
    }

    pub(super) fn remove(&mut self, opinions: &Opinions, ballot: &Counted, frontier: Layer) {
        for link in opinions.back(ballot.opinion).take_while(|link| link.layer >= frontier) {
            if let Some(sum) = self.layers.get_mut(&link.layer).and_then(|votes| votes.get_mut(&link.vote)) {
                *sum = sum.saturating_sub(ballot.weight.into());
            }
        }
    }

    /// The heaviest vote on a layer, abstentions left out; of several the smallest.
    pub(super) fn leader(&self, layer: Layer) -> Option<(Vote, u128)> {
        self.leaders(layer).0
    }

    /// The two heaviest votes.
    pub(super) fn leaders(&self, layer: Layer) -> (Option<(Vote, u128)>, Option<(Vote, u128)>) {
        let (mut first, mut second): (Option<(Vote, u128)>, Option<(Vote, u128)>) = (None, None);
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
