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

/// What a vote of a miner weighs, in 2^-[`WEIGHT_BITS`]: so much that the votes of an epoch, as expected, weigh what it does.
///
/// A miner votes once in each layer in which it has a slot, however many it has there: so whoever has some in nearly every
/// layer always votes with the same weight, and how the slots fell matters less. With n slots it has a vote in each of L
/// layers with a chance of 1 - (1 - 1/L)^n.
#[must_use]
pub fn vote_weight(weight: u64, total_weight: u64, params: &NodeParams) -> u64 {
    const ONE: u128 = 1 << 32;
    let layers = u128::from(params.timing.layers_per_epoch.max(1));
    let Slots { sure, fraction } = slots(weight, total_weight, params);
    // In 2^-32: of a layer without a slot.
    let (mut none, mut power, mut left) = (ONE, ONE - ONE / layers, sure);
    while left > 0 {
        if left & 1 == 1 {
            none = (none * power) >> 32;
        }
        (power, left) = ((power * power) >> 32, left >> 1);
    }
    let unlucky = ONE - u128::from(fraction.unwrap_or(0) >> 32) / layers;
    let votes = layers * (ONE - ((none * unlucky) >> 32));
    // Whoever has less than one slot in 2^32 epochs has none.
    let Some(each) = ((u128::from(weight) << WEIGHT_BITS) * ONE).checked_div(votes) else { return 0 };
    u64::try_from(each).unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    /// All votes of an epoch weigh what their miner does, as expected: n slots fall into ten layers.
    #[test]
    fn votes_of_an_epoch_weigh_what_the_miner_does() {
        let params = NodeParams::devnet(Time(0));
        assert_eq!(params.timing.layers_per_epoch, 10);
        let (total, draws) = (1_000_000u64, 3000u64);
        for weight in [1, 2000, 5000, 20_000, 200_000, 1_000_000] {
            let mut voted = 0u64;
            for draw in 0..draws {
                let hash = |slot: u32| blake3::hash(&[&draw.to_le_bytes()[..], &slot.to_le_bytes()].concat());
                let slots = 0..slots(weight, total, &params).sure;
                let layers: std::collections::BTreeSet<u8> = slots.map(|slot| hash(slot).as_bytes()[0] % 10).collect();
                voted += layers.len() as u64;
            }
            let all = u128::from(vote_weight(weight, total, &params)) * u128::from(voted) / u128::from(draws);
            let sum = (all >> WEIGHT_BITS).max(1);
            assert!(sum.abs_diff(weight.into()) * 100 <= u128::from(weight) * 3, "{weight}: {sum}");
        }
    }
}
