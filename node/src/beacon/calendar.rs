//! When what is said about an epoch's beacon.
//!
//! ```text
//! start      closes     + 1 round   + 1 …                    ends
//!   │ proposals │ they arrive │ round 0 │ round 1 │ … │ the last │
//! ```

use crate::ids::Epoch;
use crate::params::{ConsensusParams, Timing};
use crate::time::Time;

/// The moments of one run.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    start: Time,
    closes: Time,
    round_ms: u64,
    rounds: u8,
}

impl Calendar {
    pub(super) fn new(timing: &Timing, consensus: &ConsensusParams, epoch: Epoch) -> Self {
        let start = timing.epoch_starts(epoch);
        let closes = start.after(consensus.beacon_proposals_ms);
        Self { start, closes, round_ms: consensus.beacon_round_ms.max(1), rounds: consensus.beacon_rounds }
    }

    pub(super) fn start(&self) -> Time {
        self.start
    }

    /// Whether proposals are made.
    pub(super) fn is_open(&self, now: Time) -> bool {
        self.start <= now && now < self.closes
    }

    /// Whether a proposal that comes now is in time, as far as this node can tell; `None` when it is too late for anybody.
    pub(super) fn in_time(&self, now: Time) -> Option<bool> {
        (now < self.round_starts(0)).then_some(now < self.closes)
    }

    fn round_starts(&self, round: u8) -> Time {
        self.closes.after(self.round_ms.saturating_mul(u64::from(round) + 1))
    }

    /// The voting round that runs.
    pub(super) fn round_at(&self, now: Time) -> Option<u8> {
        let since = now.0.checked_sub(self.round_starts(0).0)?;
        u8::try_from(since / self.round_ms).ok().filter(|round| *round < self.rounds)
    }

    pub(super) fn has(&self, round: u8) -> bool {
        round < self.rounds
    }

    /// Whether votes of a round are taken: from one round before it, for clocks differ, to one round after it.
    pub(super) fn takes(&self, round: u8, now: Time) -> bool {
        let starts = self.round_starts(round);
        starts.before(self.round_ms) <= now && now < starts.after(self.round_ms.saturating_mul(2))
    }

    /// The last round, once all are over.
    pub(super) fn last(&self, now: Time) -> Option<u8> {
        (now >= self.round_starts(self.rounds)).then_some(self.rounds.saturating_sub(1))
    }
}
