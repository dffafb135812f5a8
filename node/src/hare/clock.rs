//! When rounds are: all of a layer numbered from 0, the preround; iteration 0 has no hardlock.

use super::message::{IterRound, Round};
use crate::ids::{Epoch, Layer};
use crate::params::{NodeParams, Timing};
use crate::time::Time;

/// Rounds of an iteration.
const IN_ITERATION: u32 = 7;

impl IterRound {
    /// How many rounds after its layer's preround it is; that of iteration 0's hardlock is the preround's.
    #[must_use]
    pub fn number(self) -> u32 {
        let in_iteration = u32::from(self.round as u8).saturating_sub(1);
        u32::from(self.iteration) * IN_ITERATION + in_iteration
    }

    /// The round with a number.
    pub(super) fn numbered(number: u32) -> Self {
        if number == 0 {
            return Self { iteration: 0, round: Round::Preround };
        }
        let iteration = u8::try_from(number / IN_ITERATION).unwrap_or(u8::MAX);
        Self { iteration, round: Round::ALL[(number % IN_ITERATION) as usize + 1] }
    }
}

/// The times of a network.
#[derive(Debug)]
pub(super) struct Clock {
    timing: Timing,
    preround_ms: u64,
    round_ms: u64,
    iterations: u8,
    hdist: u32,
}

impl Clock {
    pub(super) fn new(params: &NodeParams) -> Self {
        let consensus = &params.consensus;
        Self {
            timing: params.timing.clone(),
            preround_ms: consensus.preround_ms,
            round_ms: consensus.round_ms,
            iterations: consensus.iterations,
            hdist: consensus.hdist,
        }
    }

    pub(super) fn epoch_of(&self, layer: Layer) -> Epoch {
        self.timing.epoch_of(layer)
    }

    /// The rounds in which somebody speaks, and the number of the one after them: there it is seen what came of the last.
    pub(super) fn rounds(&self) -> u32 {
        u32::from(self.iterations) * IN_ITERATION
    }

    pub(super) fn starts(&self, layer: Layer, round: u32) -> Time {
        let rounds_ms = self.round_ms.saturating_mul(round.into());
        self.timing.layer_starts(layer).after(self.preround_ms).after(rounds_ms)
    }

    /// Whether a round isn't over.
    pub(super) fn is_in_time(&self, layer: Layer, round: u32, now: Time) -> bool {
        now < self.starts(layer, round).after(self.round_ms)
    }

    /// The last layer of which messages are taken: clocks may differ by a round.
    pub(super) fn last_open(&self, now: Time) -> Option<Layer> {
        self.timing.layer_at(now.after(self.round_ms))
    }

    /// The first layer that isn't over, of the `hdist` until `last`.
    pub(super) fn first_running(&self, last: Layer, now: Time) -> Layer {
        let mut first = last.before(self.hdist.saturating_sub(1));
        while first < last && self.starts(first, self.rounds()) <= now {
            first = first.next();
        }
        first
    }
}
