//! Moments, layers, epochs, PoET rounds: arithmetic on what a network's parameters say (NODE.md section 1).
//!
//! Nothing here asks a clock. Moments that lie beyond what 64 bits hold stick to the end.

use crate::ids::{Epoch, Layer};
use crate::params::Timing;

/// A moment: milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// So many milliseconds later.
    #[must_use]
    pub fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// So many milliseconds earlier.
    #[must_use]
    pub fn before(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds from `earlier` to here; 0 when it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Timing {
    /// The layer of a moment; `None` before genesis.
    #[must_use]
    pub fn layer_at(&self, now: Time) -> Option<Layer> {
        let since = now.0.checked_sub(self.genesis.0)?;
        Some(Layer(u32::try_from(since / self.layer_ms.max(1)).unwrap_or(u32::MAX)))
    }

    /// The epoch of a moment; `None` before genesis.
    #[must_use]
    pub fn epoch_at(&self, now: Time) -> Option<Epoch> {
        self.layer_at(now).map(|layer| self.epoch_of(layer))
    }

    /// The epoch a layer lies in.
    #[must_use]
    pub fn epoch_of(&self, layer: Layer) -> Epoch {
        Epoch(layer.0 / self.layers_per_epoch.max(1))
    }

    /// The first layer of an epoch.
    #[must_use]
    pub fn first_layer(&self, epoch: Epoch) -> Layer {
        Layer(epoch.0.saturating_mul(self.layers_per_epoch))
    }

    /// The first moment of a layer.
    #[must_use]
    pub fn layer_starts(&self, layer: Layer) -> Time {
        self.genesis.after(u64::from(layer.0).saturating_mul(self.layer_ms))
    }

    /// How long an epoch lasts, in milliseconds.
    #[must_use]
    pub fn epoch_ms(&self) -> u64 {
        self.layer_ms.saturating_mul(self.layers_per_epoch.into())
    }

    /// The first moment of an epoch.
    #[must_use]
    pub fn epoch_starts(&self, epoch: Epoch) -> Time {
        self.genesis.after(self.epoch_ms().saturating_mul(epoch.0.into()))
    }

    /// When the PoET round of an epoch begins: registrations come before.
    #[must_use]
    pub fn round_opens(&self, round: Epoch) -> Time {
        self.epoch_starts(round).after(self.poet_phase_shift_ms)
    }

    /// When a round's output is there: a cycle gap before the next round begins. What follows from it is published in
    /// epoch `round + 1`, in which this moment lies.
    #[must_use]
    pub fn round_ends(&self, round: Epoch) -> Time {
        self.round_opens(round.next()).before(self.poet_cycle_gap_ms)
    }

    /// How an ATX published in `epoch` and received at `received` counts in the next epoch, and what a fraud proof of its
    /// smesher received at `fraud` makes of it.
    #[must_use]
    pub fn grade(&self, epoch: Epoch, received: Time, fraud: Option<Time>) -> Grade {
        let start = self.epoch_starts(epoch.next());
        let before = |deltas: u64| start.before(self.delta_ms.saturating_mul(deltas));
        let innocent_at = |moment: Time| fraud.is_none_or(|fraud| fraud >= moment);
        if received < before(4) && innocent_at(start) {
            Grade::Good
        } else if received < before(3) && innocent_at(before(1)) {
            Grade::Acceptable
        } else {
            Grade::Evil
        }
    }
}

/// How an ATX counts (NODE.md section 1). The order is the order of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Too late, or its smesher a fraud.
    Evil,
    /// Others may count it.
    Acceptable,
    /// In the active set.
    Good,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::NodeParams;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn mainnet_calendar() {
        let timing = NodeParams::mainnet().timing;
        let start = |epoch| timing.epoch_starts(Epoch(epoch));
        assert_eq!(start(1).since(start(0)), 14 * 24 * HOUR);
        assert_eq!(timing.round_opens(Epoch(3)).since(start(3)), 240 * HOUR);
        assert_eq!(timing.round_ends(Epoch(3)).since(start(4)), 228 * HOUR);
        assert_eq!(timing.epoch_at(timing.round_ends(Epoch(3))), Some(Epoch(4)));
        assert_eq!(timing.layer_at(start(2)), Some(Layer(2 * 4032)));
        assert_eq!(timing.epoch_of(Layer(2 * 4032 - 1)), Epoch(1));
        assert_eq!(timing.layer_at(timing.genesis.before(1)), None);
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        for timing in [NodeParams::mainnet().timing, NodeParams::devnet(Time(0)).timing] {
            assert!(timing.round_ends(Epoch(u32::MAX)) >= timing.round_ends(Epoch(1)));
            assert!(timing.layer_starts(Layer(u32::MAX)) >= timing.genesis);
            assert!(timing.layer_at(Time(u64::MAX)).is_some());
        }
    }

    #[test]
    fn grades_by_time_and_fraud() {
        let timing = NodeParams::mainnet().timing;
        let start = timing.epoch_starts(Epoch(8));
        let at = |deltas: u64| start.before(deltas * timing.delta_ms);
        let grade = |received, fraud| timing.grade(Epoch(7), received, fraud);
        assert_eq!(grade(at(4).before(1), None), Grade::Good);
        assert_eq!(grade(at(4), None), Grade::Acceptable);
        assert_eq!(grade(at(3), None), Grade::Evil);
        assert_eq!(grade(at(5), Some(start)), Grade::Good);
        assert_eq!(grade(at(5), Some(at(1))), Grade::Acceptable);
        assert_eq!(grade(at(5), Some(at(1).before(1))), Grade::Evil);
    }
}
