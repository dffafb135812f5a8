//! Own proposals: at the start of a layer, for each miner that drew a slot in it.

use std::collections::{BTreeMap, BTreeSet};

use super::view::Outcomes;
use super::{Consensus, Effect, Inner, Step};
use crate::archive::ArchiveError;
use crate::ballot::{Ballot, Content, MAX_CONTENT_ATXS, MAX_CONTENT_TXS, MAX_SLOTS, Proposal, Slot};
use crate::codec::encode;
use crate::eligibility::{slot_layer, slot_message, slots};
use crate::ids::{AtxId, Beacon, Epoch, Layer, NodeId, Signature};
use crate::params::{NodeParams, RewardRule};
use crate::roster::Member;
use crate::signature::Signer;
use crate::source::{Source, Topic};
use crate::time::Grade;

/// No more than `limit` of these, ascending; if there are more, those from `start` on, and then the first ones.
pub(super) fn some_from(ids: &BTreeSet<AtxId>, start: AtxId, limit: usize) -> Vec<AtxId> {
    let mut some: Vec<AtxId> = ids.range(start..).chain(ids.range(..start)).take(limit).copied().collect();
    some.sort_unstable();
    some
}

/// The slots of a miner in an epoch, by layer.
#[derive(Debug)]
pub(super) struct Schedule {
    beacon: Beacon,
    atx: AtxId,
    total_weight: u64,
    layers: BTreeMap<Layer, Vec<Slot>>,
}

impl Schedule {
    fn new(
        params: &NodeParams,
        signer: &Signer,
        member: &Member,
        beacon: Beacon,
        (epoch, total_weight): (Epoch, u64),
    ) -> Self {
        let slots = slots(member.weight, total_weight, params);
        let mut layers: BTreeMap<Layer, Vec<Slot>> = BTreeMap::new();
        for counter in 0..slots.most() {
            let message = slot_message(beacon, epoch, member.vrf_nonce, counter);
            let Ok(proof) = signer.draw(&message) else { continue };
            if slots.has(counter, &proof) {
                let layer = slot_layer(&proof, epoch, &params.timing);
                layers.entry(layer).or_default().push(Slot { counter, proof });
            }
        }
        Self { beacon, atx: member.atx, total_weight, layers }
    }
}

impl Consensus {
    /// Makes the proposals of a layer that has just begun, if this node may.
    pub(super) fn speak(&mut self, step: &mut Step<'_>, layer: Layer) -> Result<(), ArchiveError> {
        let there = self.there_since.is_some_and(|since| since <= layer);
        if !there || self.silent.is_some_and(|silent| layer <= silent) || self.signers.is_empty() {
            return Ok(());
        }
        let epoch = self.params.timing.epoch_of(layer);
        let Some(beacon) = self.electorate.beacon(epoch) else { return Ok(()) };
        let mut drawn = Vec::new();
        for signer in self.signers.clone() {
            if let Some((atx, total_weight, slots)) = self.slots_of(&signer, epoch, beacon, layer) {
                drawn.push((signer, atx, total_weight, slots));
            }
        }
        if drawn.is_empty() {
            return Ok(());
        }
        self.electorate.prepare_layers(step.atxs, self.tortoise.frontier(), layer);
        let Self { tortoise, electorate, decided, agreed, coins, there_since, params, .. } = self;
        let outcomes = Outcomes { electorate, decided, agreed, coins, there_since: *there_since };
        let (hdist, zdist) = (params.consensus.hdist, params.consensus.zdist);
        let Some(votes) = tortoise.own_votes(layer, hdist, zdist, &outcomes) else {
            let what = format!("no proposal in layer {layer}: no known ballot has votes to build on");
            step.out.push(Effect::Tell { warning: true, what });
            return Ok(());
        };
        // Where its list of ATXs begins nobody chose.
        let start = drawn
            .first()
            .and_then(|(.., slots)| slots.first())
            .map_or([0; 32], |slot| *blake3::hash(&slot.proof.0[..32]).as_bytes());
        let content = self.content(step, layer, AtxId(start));
        for (signer, atx, total_weight, slots) in drawn {
            let mut ballot = Ballot {
                layer,
                atx,
                beacon,
                total_weight,
                slots,
                base: votes.base,
                differences: votes.differences.clone(),
                opinion: votes.opinion,
                content: content.hash(),
                smesher: NodeId([0; 32]),
                signature: Signature([0; 64]),
            };
            ballot.sign(&signer);
            let proposal = Proposal { ballot, content: content.clone() };
            self.say(step, Topic::Proposal, encode(&proposal));
            let Proposal { ballot, content } = proposal;
            let id = ballot.id();
            let (ballot, content) = (Box::new(ballot), Some(content));
            self.queue.push_back(Inner::Ballot { id, ballot, content, source: Source::Own });
        }
        Ok(())
    }

    /// A miner's slots of a layer that it has not used, with its ATX and the weight that they follow from.
    fn slots_of(
        &mut self,
        signer: &Signer,
        epoch: Epoch,
        beacon: Beacon,
        layer: Layer,
    ) -> Option<(AtxId, u64, Vec<Slot>)> {
        let node_id = signer.node_id();
        let roster = self.electorate.roster(epoch)?;
        let member = roster.member(node_id).filter(|member| member.grade == Grade::Good && !member.fraud)?;
        // Whatever becomes known later: who names two totals in an epoch weighs nothing.
        let total_weight = self.ballots.total(member.atx, node_id).unwrap_or(roster.total_weight);
        let fits = |schedule: &Schedule| {
            (schedule.beacon, schedule.atx, schedule.total_weight) == (beacon, member.atx, total_weight)
        };
        if !self.schedules.get(&(epoch, node_id)).is_some_and(fits) {
            let schedule = Schedule::new(&self.params, signer, member, beacon, (epoch, total_weight));
            self.schedules.insert((epoch, node_id), schedule);
        }
        let schedule = self.schedules.get(&(epoch, node_id))?;
        let slots = schedule.layers.get(&layer).into_iter().flatten();
        let unused = slots.filter(|slot| !self.ballots.is_used(member.atx, node_id, beacon, slot.counter));
        let unused: Vec<Slot> = unused.take(MAX_SLOTS).copied().collect();
        (!unused.is_empty()).then_some((member.atx, total_weight, unused))
    }

    /// What this node wants in a block. If there are too many ATXs, those from `start` on: no id is better than another.
    fn content(&self, step: &Step<'_>, layer: Layer, start: AtxId) -> Content {
        let txs = self.mempool.pick(&self.ledger, MAX_CONTENT_TXS);
        // By the classical rule nobody is paid for weight alone.
        let Some(roster) =
            self.electorate.roster_at(layer).filter(|_| matches!(self.params.rewards.rule, RewardRule::Linear { .. }))
        else {
            return Content { txs, ..Content::default() };
        };
        let pending: BTreeSet<AtxId> = self.blocks.values().flat_map(|block| block.atxs.iter().copied()).collect();
        let (mut atxs, mut revoked) = (BTreeSet::new(), BTreeSet::new());
        for (_, member) in roster.active() {
            if !member.fraud && !self.ledger.is_counted(member.atx) && !pending.contains(&member.atx) {
                atxs.insert(member.atx);
            }
        }
        // A miner may have more than one, of which the roster has one.
        for id in roster.epoch.previous().into_iter().flat_map(|published| step.atxs.ids(published)) {
            let lost = || step.atxs.atx(id).is_some_and(|record| step.atxs.is_of_fraud(record));
            if self.ledger.is_counted(id) && lost() {
                revoked.insert(id);
            }
        }
        let limited = |ids: BTreeSet<AtxId>| some_from(&ids, start, MAX_CONTENT_ATXS);
        Content { atxs: limited(atxs), revoked: limited(revoked), txs }
    }
}
