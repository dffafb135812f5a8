//! What a miner of this network has to keep to: the calendar (NODE.md section 1), limits, intervals.

use super::io::ProverMetadata;
use super::warning::Warning;
use crate::ids::{Address, Epoch};
use crate::params::NodeParams;
use crate::time::{Grade, Time};

/// A network's parameters and the node's coinbase.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) params: NodeParams,
    pub(super) coinbase: Address,
}

impl Rules {
    /// The first round that can still be registered with and whose ATX is published after `last`.
    pub(super) fn next_round(&self, now: Time, last: Option<Epoch>) -> Epoch {
        let timing = &self.params.timing;
        let epoch = timing.epoch_at(now).unwrap_or(Epoch(0));
        let open = if now < timing.round_opens(epoch) { epoch } else { epoch.next() };
        last.map_or(open, |last| open.max(last))
    }

    /// Whether an ATX published in `epoch` counts for nothing any more.
    pub(super) fn too_late(&self, epoch: Epoch, now: Time) -> bool {
        self.params.timing.grade(epoch, now, None) == Grade::Evil
    }

    /// Until when an ATX published in `epoch` should be out.
    pub(super) fn publish_by(&self, epoch: Epoch) -> Time {
        let timing = &self.params.timing;
        timing.epoch_starts(epoch.next()).before(timing.delta_ms.saturating_mul(4))
    }

    /// Whoever does not know by now whether it is a member of `round` registers with the next one.
    pub(super) fn give_up(&self, round: Epoch) -> Time {
        let timing = &self.params.timing;
        timing.round_opens(round.next()).before(timing.poet_cycle_gap_ms / 2)
    }

    /// Until something that failed is tried again: a minute of a gap of 12 h, half a second at least.
    pub(super) fn retry_ms(&self) -> u64 {
        (self.params.timing.poet_cycle_gap_ms / 720).clamp(500, 60_000)
    }

    /// Until something is asked once more that was never answered, or failed for a reason that won't pass by itself.
    pub(super) fn patience_ms(&self) -> u64 {
        5 * self.retry_ms()
    }

    /// Whether a prover's data is of this network and of a size that may be.
    pub(super) fn check(&self, prover: &ProverMetadata) -> Result<(), Warning> {
        let post = &self.params.post;
        if prover.labels_per_unit != post.labels_per_unit {
            return Err(Warning::WrongLabelsPerUnit { wanted: post.labels_per_unit, got: prover.labels_per_unit });
        }
        if !(post.min_units..=post.max_units).contains(&prover.units) {
            return Err(Warning::WrongUnits { got: prover.units, min: post.min_units, max: post.max_units });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn rules() -> Rules {
        Rules { params: NodeParams::mainnet(), coinbase: Address([0; 24]) }
    }

    #[test]
    fn the_next_round_is_open_and_new() {
        let rules = rules();
        let timing = &rules.params.timing;
        let opens = timing.round_opens(Epoch(7));
        assert_eq!(rules.next_round(timing.genesis.before(1), None), Epoch(0));
        assert_eq!(rules.next_round(opens.before(1), None), Epoch(7));
        assert_eq!(rules.next_round(opens, None), Epoch(8));
        // Its own ATX of epoch 7 is out: round 7 leads to epoch 8.
        assert_eq!(rules.next_round(opens.before(1), Some(Epoch(7))), Epoch(7));
        assert_eq!(rules.next_round(opens.before(1), Some(Epoch(8))), Epoch(8));
    }

    #[test]
    fn what_is_late_on_mainnet() {
        let rules = rules();
        let start = rules.params.timing.epoch_starts(Epoch(8));
        assert_eq!(start.since(rules.publish_by(Epoch(7))), 2 * HOUR);
        assert!(!rules.too_late(Epoch(7), start.before(3 * HOUR / 2 + 1)));
        assert!(rules.too_late(Epoch(7), start.before(3 * HOUR / 2)));
        assert_eq!(rules.params.timing.round_opens(Epoch(8)).since(rules.give_up(Epoch(7))), 6 * HOUR);
        assert_eq!(rules.retry_ms(), 60_000);
    }
}
