//! What an epoch's draws give a miner: slots for proposals, and seats in Hare's committees (NODE.md section 5).
//!
//! All in integers, since nodes that round differently disagree on who may speak.

mod binomial;

use std::collections::BTreeMap;

pub use binomial::SeatTable;

use crate::codec::Scale;
use crate::ids::{Beacon, Epoch, Layer};
use crate::params::{NodeParams, RewardRule, Timing};
use crate::vrf::VrfProof;

/// Ballots' weights are counted in so many parts (a power of two) of a miner's unit.
pub const WEIGHT_BITS: u32 = 16;

/// The slots of a miner in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// It has those with counters below this.
    pub sure: u32,
    /// By the linear rule it also has the one with counter `sure` if its draw's second number is below this.
    pub fraction: Option<u64>,
}

impl Slots {
    /// Whether a slot with a good proof counts.
    #[must_use]
    pub fn has(&self, counter: u32, proof: &VrfProof) -> bool {
        let lucky = || self.fraction.is_some_and(|fraction| proof.number(1) < fraction);
        counter < self.sure || (counter == self.sure && lucky())
    }

    /// How many counters, from 0, may have a slot.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.sure.saturating_add(self.fraction.is_some().into())
    }
}

/// All slots of an epoch.
fn slots_of_all(params: &NodeParams) -> u128 {
    u128::from(params.consensus.proposals_per_layer) * u128::from(params.timing.layers_per_epoch)
}

/// What all slots are dealt out by.
fn dealt_by(total_weight: u64, params: &NodeParams) -> u128 {
    total_weight.max(params.consensus.min_weight).max(1).into()
}

/// The slots of a miner: its part x of all there are. Classical: ⌊x⌋, but at least one. Linear: x, as an expectation.
#[must_use]
pub fn slots(weight: u64, total_weight: u64, params: &NodeParams) -> Slots {
    if weight == 0 {
        return Slots { sure: 0, fraction: None };
    }
    // A weight has 64 bits, all slots have 42 (params.rs bounds the proposals of a layer).
    let (all, by) = (u128::from(weight).saturating_mul(slots_of_all(params)), dealt_by(total_weight, params));
    let Ok(sure) = u32::try_from(all / by) else { return Slots { sure: u32::MAX, fraction: None } };
    match params.rewards.rule {
        RewardRule::Classical => Slots { sure: sure.max(1), fraction: None },
        RewardRule::Linear { .. } => {
            // Below 2^64, since the rest is smaller than what it is divided by.
            let fraction = (((all % by) << 64) / by) as u64;
            Slots { sure, fraction: (fraction > 0).then_some(fraction) }
        }
    }
}

/// What a slot is drawn for.
#[must_use]
pub fn slot_message(beacon: Beacon, epoch: Epoch, vrf_nonce: u64, counter: u32) -> Vec<u8> {
    let mut out = Vec::new();
    3u8.encode_to(&mut out);
    beacon.encode_to(&mut out);
    epoch.encode_to(&mut out);
    vrf_nonce.encode_to(&mut out);
    counter.encode_to(&mut out);
    out
}

/// The layer of a slot.
#[must_use]
pub fn slot_layer(proof: &VrfProof, epoch: Epoch, timing: &Timing) -> Layer {
    let layers = timing.layers_per_epoch.max(1);
    // Below 2^32, as the remainder of a u32 is.
    let drawn = (proof.number(0) % u64::from(layers)) as u32;
    Layer(epoch.0.saturating_mul(layers)).after(drawn)
}

/// What `count` slots of a miner weigh, in 2^-[`WEIGHT_BITS`]: so much that all its slots, as expected, weigh what it does.
///
/// By the linear rule all slots of an epoch weigh the same.
#[must_use]
pub fn ballot_weight(weight: u64, total_weight: u64, count: usize, params: &NodeParams) -> u64 {
    if weight == 0 {
        return 0;
    }
    let (of, slots) = match params.rewards.rule {
        RewardRule::Classical => (weight.into(), slots(weight, total_weight, params).sure.into()),
        RewardRule::Linear { .. } => (dealt_by(total_weight, params), slots_of_all(params)),
    };
    let weighed = (of << WEIGHT_BITS).saturating_mul(count as u128) / slots.max(1);
    u64::try_from(weighed).unwrap_or(u64::MAX)
}

/// What a seat in a committee is drawn for; `round` counts from the layer's first.
#[must_use]
pub fn seat_message(beacon: Beacon, layer: Layer, round: u32) -> Vec<u8> {
    let mut out = Vec::new();
    2u8.encode_to(&mut out);
    beacon.encode_to(&mut out);
    round.encode_to(&mut out);
    layer.encode_to(&mut out);
    out
}

/// A miner's seats in a committee: the binomial quantile of its draw.
#[must_use]
pub fn seats(weight: u64, total_weight: u64, committee: u32, proof: &VrfProof) -> u16 {
    table(weight, total_weight, committee).seats(proof.number(0))
}

/// A unit is less than a seat: where all together weigh no more than some committees, units are cut into smaller ones.
const UNITS_A_SEAT: u64 = 64;

fn table(weight: u64, total_weight: u64, committee: u32) -> SeatTable {
    let wanted = u64::from(committee) * UNITS_A_SEAT;
    let parts = if total_weight < wanted { wanted.div_ceil(total_weight.max(1)) } else { 1 };
    SeatTable::new(weight.saturating_mul(parts), total_weight.saturating_mul(parts), committee)
}

/// [`seats`] of one total weight, with the tables kept: one a different weight.
#[derive(Clone, Debug)]
pub struct Seats {
    total_weight: u64,
    committee: u32,
    tables: BTreeMap<u64, SeatTable>,
}

impl Seats {
    /// No table yet.
    #[must_use]
    pub fn new(total_weight: u64, committee: u32) -> Self {
        Self { total_weight, committee, tables: BTreeMap::new() }
    }

    /// What seats are a part of.
    #[must_use]
    pub fn total_weight(&self) -> u64 {
        self.total_weight
    }

    /// The same as [`seats`]. Only weights that somebody has should be asked for, as their tables stay.
    pub fn of(&mut self, weight: u64, proof: &VrfProof) -> u16 {
        let (total, committee) = (self.total_weight, self.committee);
        self.tables.entry(weight).or_insert_with(|| table(weight, total, committee)).seats(proof.number(0))
    }
}
