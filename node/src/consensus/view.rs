//! What the parts of agreement may ask about the others.

use std::collections::BTreeMap;

use super::Step;
use super::ballots::Ballots;
use super::electorate::Electorate;
use super::parked::Parked;
use crate::archive::Archive;
use crate::ballot::{Content, Vote};
use crate::beacon;
use crate::block::Block;
use crate::eligibility::slots;
use crate::hare;
use crate::ids::{BallotId, Beacon, BlockId, Epoch, Layer, NodeId};
use crate::layers;
use crate::mempool::Mempool;
use crate::params::NodeParams;
use crate::roster::Roster;
use crate::time::Grade;
use crate::tortoise::{Hares, Tortoise};
use crate::wire::Thing;

/// For beacon and Hare.
pub(super) struct Seen<'a> {
    pub(super) step: &'a Step<'a>,
    pub(super) electorate: &'a Electorate,
    pub(super) ballots: &'a Ballots,
    pub(super) tortoise: &'a Tortoise,
    pub(super) mempool: &'a Mempool,
    pub(super) params: &'a NodeParams,
    pub(super) there_since: Option<Layer>,
    pub(super) silent: Option<Layer>,
}

impl Seen<'_> {
    fn may_speak_in(&self, layer: Layer) -> bool {
        let there = self.there_since.is_some_and(|since| layer >= since);
        there && self.silent.is_none_or(|silent| layer > silent)
    }

    /// Whether the proposal is one that an honest miner can have made and everything it names is here.
    fn is_good(&self, layer: Layer, id: BallotId, content: &Content) -> bool {
        let Some(ballot) = self.tortoise.ballot(id) else { return false };
        let Some(member) = self.electorate.member(layer, ballot.smesher) else { return false };
        let alone = self.ballots.of(layer, ballot.smesher).count() == 1;
        let is_due = self.is_due(layer, id, ballot.smesher, member.weight);
        let same_beacon = Some(ballot.beacon) == self.electorate.beacon_at(layer);
        let honest = member.grade == Grade::Good && !member.fraud && ballot.weight > 0;
        honest && alone && is_due && same_beacon && self.is_here(layer, content)
    }

    /// Whether its slots are about as many as its smesher has by the weights that this node knows. Which weight of all its
    /// slots follow from a smesher says itself; one that named a tiny one would have some in every layer.
    fn is_due(&self, layer: Layer, id: BallotId, smesher: NodeId, weight: u64) -> bool {
        let roster = self.electorate.roster_at(layer);
        let Some((roster, claim)) = roster.zip(self.ballots.claim(layer, smesher, id)) else { return false };
        let slots = slots(weight, roster.total_weight, self.params).most();
        claim.counter < slots.saturating_mul(2) && claim.total_weight >= roster.total_weight / 2
    }

    fn is_here(&self, layer: Layer, content: &Content) -> bool {
        let (atxs, archive) = (self.step.atxs, self.step.archive);
        let epoch = self.params.timing.epoch_of(layer);
        let counts = |id| {
            atxs.atx(id).is_some_and(|record| {
                record.epoch.next() == epoch && atxs.grade(record) > Grade::Evil && !atxs.is_of_fraud(record)
            })
        };
        let has_lost = |id| atxs.atx(id).is_some_and(|record| atxs.is_of_fraud(record));
        let has = |id| self.mempool.get(id).is_some() || matches!(archive.transaction(id), Ok(Some(_)));
        content.atxs.iter().all(|id| counts(*id))
            && content.revoked.iter().all(|id| has_lost(*id))
            && content.txs.iter().all(|id| has(*id))
    }
}

impl hare::View for Seen<'_> {
    fn roster(&self, epoch: Epoch) -> Option<&Roster> {
        self.electorate.roster(epoch)
    }

    fn beacon(&self, epoch: Epoch) -> Option<Beacon> {
        self.electorate.beacon(epoch)
    }

    fn proposals(&self, layer: Layer) -> Vec<BallotId> {
        let good = self.ballots.proposals(layer).filter(|(id, content)| self.is_good(layer, *id, content));
        good.map(|(id, _)| id).take(hare::MAX_VALUES).collect()
    }

    fn may_speak(&self, layer: Layer) -> bool {
        self.may_speak_in(layer)
    }

    fn is_fraud(&self, node_id: NodeId) -> bool {
        self.step.atxs.fraud_of(node_id).is_some()
    }
}

impl beacon::View for Seen<'_> {
    fn roster(&self, epoch: Epoch) -> Option<&Roster> {
        self.electorate.roster(epoch)
    }

    fn may_speak(&self, epoch: Epoch) -> bool {
        self.may_speak_in(self.params.timing.first_layer(epoch))
    }

    fn is_fraud(&self, node_id: NodeId) -> bool {
        self.step.atxs.fraud_of(node_id).is_some()
    }
}

/// For the sync of layers.
pub(super) struct Has<'a> {
    pub(super) archive: &'a dyn Archive,
    pub(super) tortoise: &'a Tortoise,
    pub(super) parked: &'a Parked,
    pub(super) blocks: &'a BTreeMap<BlockId, Block>,
    pub(super) mempool: &'a Mempool,
    pub(super) running: Option<Layer>,
}

impl layers::View for Has<'_> {
    fn has(&self, thing: &Thing) -> bool {
        let kept = |bytes: Result<Option<Vec<u8>>, _>| matches!(bytes, Ok(Some(_)));
        match *thing {
            Thing::Ballot(id) => {
                self.tortoise.ballot(id).is_some() || self.parked.has(id) || kept(self.archive.ballot(id))
            }
            Thing::Proposal(id) => kept(self.archive.content(id)),
            Thing::Block(id) => self.blocks.contains_key(&id) || kept(self.archive.block(id)),
            Thing::Transaction(id) => self.mempool.get(id).is_some() || kept(self.archive.transaction(id)),
        }
    }

    fn wants_block(&self, layer: Layer, id: BlockId) -> bool {
        self.tortoise.leading_block(layer) == Some(id)
    }

    fn frontier(&self) -> Layer {
        self.tortoise.frontier()
    }

    fn running(&self) -> Option<Layer> {
        self.running
    }
}

/// For Tortoise.
pub(super) struct Outcomes<'a> {
    pub(super) electorate: &'a Electorate,
    pub(super) decided: &'a BTreeMap<Layer, Vote>,
    pub(super) agreed: &'a BTreeMap<Layer, Vec<BallotId>>,
    pub(super) coins: &'a BTreeMap<Layer, bool>,
    pub(super) there_since: Option<Layer>,
}

impl Hares for Outcomes<'_> {
    fn decided(&self, layer: Layer) -> Option<Vote> {
        // What Hare decided on is there, its block will be.
        let decided = self.agreed.contains_key(&layer).then_some(Vote::Abstain);
        self.decided.get(&layer).copied().or(decided)
    }

    fn was_there(&self, layer: Layer) -> bool {
        self.there_since.is_some_and(|since| layer >= since)
    }

    fn coin(&self, layer: Layer) -> Option<bool> {
        self.coins.get(&layer).copied()
    }

    fn expected(&self, layer: Layer) -> u128 {
        self.electorate.expected(layer)
    }
}
