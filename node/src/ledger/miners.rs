//! What miners earn by their weight: an accumulator, from which a claim of any length costs one subtraction.
//!
//! Amounts are counted in 2^-64 smidge here, and no more is issued than 2^64 smidge, so all of them fit into 128 bits. So
//! much is paid for each unit of weight that counts, rounded down; the rest waits for the next layer. What an ATX earned is
//! its weight times what was paid for a unit meanwhile, without any further rounding, so nothing leaks. A claim pays whole
//! smidge and gives its fraction back to the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::entries::{self, Bucket};
use crate::archive::Write;
use crate::atx::MAX_MERGED;
use crate::codec::{DecodeError, Reader, Scale, put_list};
use crate::ids::{Address, AtxId, Epoch, NodeId};

/// What an ATX earned can be claimed by an ATX up to so many epochs later; then it is burned.
pub const UNCLAIMED_EPOCHS: u32 = 8;

/// What the ledger must know of an ATX. It must be the same on all nodes: nothing of it may depend on when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtxFacts {
    /// The epoch in which it has weight.
    pub target: Epoch,
    /// How much.
    pub weight: u64,
    /// Who is paid what it earns.
    pub coinbase: Address,
    /// The miners it speaks for.
    pub miners: Vec<NodeId>,
    /// The ATXs it succeeds.
    pub previous: Vec<AtxId>,
}

/// What became of an ATX that a block named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It counts, or did so until its epoch ended.
    Counted {
        target: Epoch,
        weight: u64,
        /// [`Accrued::sum`] when it began to count.
        since: u128,
        coinbase: Address,
        miners: Vec<NodeId>,
    },
    /// It will not count any more.
    Revoked { target: Epoch },
}

impl Standing {
    fn target(&self) -> Epoch {
        let (Self::Counted { target, .. } | Self::Revoked { target }) = self;
        *target
    }
}

impl Scale for Standing {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Counted { target, weight, since, coinbase, miners } => {
                out.push(0);
                target.encode_to(out);
                weight.encode_to(out);
                since.to_le_bytes().encode_to(out);
                coinbase.encode_to(out);
                put_list(out, miners);
            }
            Self::Revoked { target } => {
                out.push(1);
                target.encode_to(out);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (variant, target) = (input.variant(2)?, Epoch::decode_from(input)?);
        if variant == 1 {
            return Ok(Self::Revoked { target });
        }
        let (weight, since) = (u64::decode_from(input)?, u128::from_le_bytes(input.array()?));
        let (coinbase, miners) = (Address::decode_from(input)?, input.list(MAX_MERGED)?);
        Ok(Self::Counted { target, weight, since, coinbase, miners })
    }
}

/// What was paid for weight, in 2^-64 smidge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accrued {
    /// The running epoch.
    pub(super) epoch: Option<Epoch>,
    /// For one unit of weight that had counted all the time.
    pub(super) sum: u128,
    /// What could not be divided yet.
    pub(super) rest: u128,
    /// `sum` when earlier epochs ended, of which something may be unclaimed.
    pub(super) ends: BTreeMap<Epoch, u128>,
}

/// What miners earned.
#[derive(Clone, Debug, Default)]
pub(super) struct Miners {
    accrued: Accrued,
    atxs: BTreeMap<(Bucket, AtxId), Standing>,
    changed: BTreeSet<(Bucket, AtxId)>,
    /// The ATX by which a miner was counted last, while it is in `atxs`.
    latest: BTreeMap<NodeId, AtxId>,
    /// The weight that counts now.
    weight: u64,
    /// What is earned and not claimed.
    claimable: u128,
}

fn key(id: AtxId) -> (Bucket, AtxId) {
    (Bucket::of(&id.0), id)
}

/// Whole smidge.
fn whole(amount: u128) -> u64 {
    (amount >> 64) as u64
}

/// What is less than a smidge.
fn fraction(amount: u128) -> u128 {
    amount & u128::from(u64::MAX)
}

impl Miners {
    pub(super) fn accrued(&self) -> &Accrued {
        &self.accrued
    }

    /// Whether there is no need for any facts.
    pub(super) fn knows(&self, id: AtxId) -> bool {
        self.atxs.contains_key(&key(id))
    }

    pub(super) fn is_counted(&self, id: AtxId) -> bool {
        let standing = self.atxs.get(&key(id));
        standing.is_some_and(|standing| self.counts(standing))
    }

    fn counts(&self, standing: &Standing) -> bool {
        matches!(standing, Standing::Counted { target, .. } if Some(*target) == self.accrued.epoch)
    }

    /// In whole smidge; fractions of what is claimable are among what is carried.
    pub(super) fn claimable_and_carried(&self) -> (u64, u64) {
        let carried = self.accrued.rest.saturating_add(fraction(self.claimable));
        (whole(self.claimable), whole(carried))
    }

    /// A layer of `epoch` comes. If it is the first, no ATX counts yet, and what nobody claims is burned: how much.
    pub(super) fn begin(&mut self, epoch: Epoch) -> u64 {
        if self.accrued.epoch == Some(epoch) {
            return 0;
        }
        if let Some(ended) = self.accrued.epoch.replace(epoch) {
            self.accrued.ends.insert(ended, self.accrued.sum);
        }
        self.weight = 0;
        let oldest = Epoch(epoch.0.saturating_sub(UNCLAIMED_EPOCHS));
        let outdated = |standing: &Standing| match standing {
            Standing::Counted { target, .. } => *target < oldest,
            Standing::Revoked { target } => *target < epoch,
        };
        let gone: Vec<AtxId> = self.atxs.iter().filter(|(_, atx)| outdated(atx)).map(|((_, id), _)| *id).collect();
        let burned = gone.into_iter().fold(0u64, |burned, id| burned.saturating_add(self.take(id)));
        self.accrued.ends = self.accrued.ends.split_off(&oldest);
        burned
    }

    /// An ATX lost its weight. What it earned and did not claim is burned: how much.
    pub(super) fn revoke(&mut self, id: AtxId, facts: Option<&AtxFacts>) -> u64 {
        let target = match (self.atxs.get(&key(id)), facts) {
            (Some(standing), _) => standing.target(),
            (None, Some(facts)) => facts.target,
            (None, None) => return 0,
        };
        let burned = self.take(id);
        // No block can make it count then.
        if Some(target) >= self.accrued.epoch {
            self.put(id, Standing::Revoked { target });
        }
        burned
    }

    /// An ATX counts from now on, if this is its epoch and its miners don't count yet. By it their earlier ATXs claim what
    /// they earned: who is paid how much.
    pub(super) fn count(&mut self, id: AtxId, facts: &AtxFacts) -> Vec<(Address, u64)> {
        let AtxFacts { target, weight, coinbase, miners, previous } = facts;
        let counted = |miner| self.latest.get(miner).is_some_and(|id| self.is_counted(*id));
        if Some(*target) != self.accrued.epoch || self.knows(id) || miners.iter().any(counted) {
            return Vec::new();
        }
        let Some(sum) = self.weight.checked_add(*weight) else { return Vec::new() };
        self.weight = sum;
        // The last one that counted may be further back than the ATX's predecessors.
        let last = miners.iter().filter_map(|miner| self.latest.get(miner));
        let earlier: BTreeSet<AtxId> = last.chain(previous).copied().collect();
        let claims = earlier.into_iter().filter_map(|id| self.claim(id)).collect();
        let (weight, coinbase, miners) = (*weight, *coinbase, miners.clone());
        self.put(id, Standing::Counted { target: *target, weight, since: self.accrued.sum, coinbase, miners });
        claims
    }

    /// Takes an ATX of an earlier epoch out: who is paid how much.
    fn claim(&mut self, id: AtxId) -> Option<(Address, u64)> {
        match self.atxs.get(&key(id))? {
            Standing::Counted { target, coinbase, .. } if Some(*target) < self.accrued.epoch => {
                let coinbase = *coinbase;
                Some((coinbase, self.take(id)))
            }
            _ => None,
        }
    }

    /// Divides what a layer has for miners among the weight that counts.
    pub(super) fn accrue(&mut self, amount: u64) {
        let all = self.accrued.rest.saturating_add(u128::from(amount) << 64);
        let Some(each) = all.checked_div(self.weight.into()) else {
            self.accrued.rest = all;
            return;
        };
        let divided = each.saturating_mul(self.weight.into());
        self.accrued.sum = self.accrued.sum.saturating_add(each);
        self.accrued.rest = all.saturating_sub(divided);
        self.claimable = self.claimable.saturating_add(divided);
    }

    /// What a counted ATX earned until now, or until its epoch ended.
    fn earned(&self, standing: &Standing) -> u128 {
        let Standing::Counted { target, weight, since, .. } = standing else { return 0 };
        let until = self.accrued.ends.get(target).copied().unwrap_or(self.accrued.sum);
        until.saturating_sub(*since).saturating_mul((*weight).into())
    }

    pub(super) fn put(&mut self, id: AtxId, standing: Standing) -> Bucket {
        if let Standing::Counted { miners, .. } = &standing {
            self.latest.extend(miners.iter().map(|miner| (*miner, id)));
        }
        let key = key(id);
        self.atxs.insert(key, standing);
        self.changed.insert(key);
        key.0
    }

    /// Takes an ATX out, with what it earned: whole smidge; the fraction is left to others.
    fn take(&mut self, id: AtxId) -> u64 {
        let key = key(id);
        let Some(standing) = self.atxs.remove(&key) else { return 0 };
        self.changed.insert(key);
        let earned = self.earned(&standing);
        self.claimable = self.claimable.saturating_sub(earned);
        self.accrued.rest = self.accrued.rest.saturating_add(fraction(earned));
        if self.counts(&standing)
            && let Standing::Counted { weight, .. } = standing
        {
            self.weight = self.weight.saturating_sub(weight);
        }
        if let Standing::Counted { miners, .. } = &standing {
            for miner in miners {
                if self.latest.get(miner) == Some(&id) {
                    self.latest.remove(miner);
                }
            }
        }
        whole(earned)
    }

    /// With all ATXs back, what is made of them.
    pub(super) fn restore(&mut self, accrued: Accrued) {
        self.accrued = accrued;
        let counted = self.atxs.values().filter(|standing| self.counts(standing));
        self.weight = counted.fold(0, |sum, standing| match standing {
            Standing::Counted { weight, .. } => sum.saturating_add(*weight),
            Standing::Revoked { .. } => sum,
        });
        self.claimable = self.atxs.values().fold(0, |sum, standing| sum.saturating_add(self.earned(standing)));
        self.changed.clear();
    }

    /// What has changed since the last call.
    pub(super) fn changes(&mut self, buckets: &mut BTreeSet<Bucket>, writes: &mut Vec<Write>) {
        for key in std::mem::take(&mut self.changed) {
            buckets.insert(key.0);
            writes.push(entries::write_atx(key.1, self.atxs.get(&key)));
        }
    }

    pub(super) fn hash_bucket(&self, bucket: Bucket, leaf: &mut blake3::Hasher) {
        let mut bytes = Vec::new();
        for ((_, id), standing) in self.atxs.range((bucket, AtxId([0; 32]))..=(bucket, AtxId([0xff; 32]))) {
            bytes.clear();
            entries::atx(*id, standing, &mut bytes);
            leaf.update(&bytes);
        }
    }
}
