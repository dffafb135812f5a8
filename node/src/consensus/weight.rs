//! What ballots weigh.

use super::{Consensus, Step};
use crate::archive::ArchiveError;
use crate::atxs::Atxs;
use crate::ballot::Ballot;
use crate::eligibility::vote_weight;
use crate::ids::{Beacon, Epoch, Layer};

impl Consensus {
    /// What a valid ballot weighs in Tortoise, by what is known now.
    ///
    /// A smesher says itself how heavy all miners are, from which its slots follow, and by which beacon they are drawn: it
    /// may know more or less than this node, or have been cut off. So that it gains nothing by that, a vote weighs no more
    /// than one does by what this node knows; whoever names another total than in its first ballot of the epoch weighs
    /// nothing, nor does who names a beacon that no third of the weight names.
    pub(super) fn weigh(&self, atxs: &Atxs, ballot: &Ballot) -> u64 {
        let epoch = self.params.timing.epoch_of(ballot.layer);
        if self.electorate.is_likely(epoch, ballot.beacon) { self.weigh_by_any(atxs, ballot) } else { 0 }
    }

    /// The same, whichever beacon it names.
    pub(super) fn weigh_by_any(&self, atxs: &Atxs, ballot: &Ballot) -> u64 {
        let epoch = self.params.timing.epoch_of(ballot.layer);
        let part = atxs.atx(ballot.atx).and_then(|record| Some((record.part(ballot.smesher)?, record.ticks)));
        let (Some((part, ticks)), Some(roster)) = (part, self.electorate.roster(epoch)) else { return 0 };
        let first = self.ballots.total(ballot.atx, ballot.smesher);
        if first.is_some_and(|first| first != ballot.total_weight) {
            return 0;
        }
        let weight = u64::from(part.effective_units).saturating_mul(ticks);
        let by = |total| vote_weight(weight, total, &self.params);
        by(ballot.total_weight).min(by(roster.total_weight))
    }

    /// Ballots with a beacon count from now on.
    pub(super) fn reweigh(&mut self, step: &Step<'_>, epoch: Epoch, beacon: Beacon) -> Result<(), ArchiveError> {
        let layers = self.params.timing.layers_per_epoch;
        let first = epoch.0.saturating_mul(layers);
        for layer in first..first.saturating_add(layers) {
            let counted = self.tortoise.of_layer(Layer(layer)).filter(|(_, counted)| counted.beacon == beacon);
            let ids: Vec<_> = counted.map(|(id, _)| id).collect();
            for id in ids {
                if let Some(ballot) = self.ballot_of(step, id)? {
                    self.tortoise.reweigh(id, self.weigh(step.atxs, &ballot));
                }
            }
        }
        Ok(())
    }
}
