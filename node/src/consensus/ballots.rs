//! Which ballots there are, by miner and by slot, so that contradictions are seen.

use std::collections::BTreeMap;

use crate::ballot::{Ballot, Content};
use crate::ids::{AtxId, BallotId, Beacon, Layer, NodeId, TxId};

/// Of one miner and layer no more ballots are taken than show that it is a fraud, unless another ballot needs them.
pub(super) const ENOUGH: usize = 2;

/// A slot that was used: of which ATX, by which of its miners, by which beacon, and its counter.
type Used = (AtxId, NodeId, Beacon, u32);

/// What a ballot says of its slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// The highest counter of its slots.
    pub(super) counter: u32,
    /// The weight of all that they follow from.
    pub(super) total_weight: u64,
}

#[derive(Debug, Default)]
pub(super) struct Ballots {
    by_smesher: BTreeMap<(Layer, NodeId, BallotId), Claim>,
    slots: BTreeMap<Used, (Layer, BallotId)>,
    /// The weight of all that a miner's first ballot by an ATX names.
    totals: BTreeMap<(AtxId, NodeId), (Layer, u64)>,
    /// What the proposals of the last layers want in the block.
    contents: BTreeMap<Layer, BTreeMap<BallotId, Content>>,
}

impl Ballots {
    pub(super) fn insert(&mut self, id: BallotId, ballot: &Ballot) {
        let counter = ballot.slots.last().map_or(0, |slot| slot.counter);
        let claim = Claim { counter, total_weight: ballot.total_weight };
        self.by_smesher.insert((ballot.layer, ballot.smesher, id), claim);
        self.insert_draws(id, ballot);
    }

    /// What must be known of a ballot as long as its epoch lasts.
    pub(super) fn insert_draws(&mut self, id: BallotId, ballot: &Ballot) {
        self.totals.entry((ballot.atx, ballot.smesher)).or_insert((ballot.layer, ballot.total_weight));
        for slot in &ballot.slots {
            let used = (ballot.atx, ballot.smesher, ballot.beacon, slot.counter);
            self.slots.entry(used).or_insert((ballot.layer, id));
        }
    }

    pub(super) fn of(&self, layer: Layer, smesher: NodeId) -> impl Iterator<Item = BallotId> + '_ {
        let range = (layer, smesher, BallotId([0; 20]))..=(layer, smesher, BallotId([0xff; 20]));
        self.by_smesher.range(range).map(|((.., id), _)| *id)
    }

    pub(super) fn claim(&self, layer: Layer, smesher: NodeId, id: BallotId) -> Option<Claim> {
        self.by_smesher.get(&(layer, smesher, id)).copied()
    }

    /// A ballot that this one contradicts.
    pub(super) fn contradicted_by(&self, id: BallotId, ballot: &Ballot) -> Option<BallotId> {
        let same_layer = self.of(ballot.layer, ballot.smesher).find(|other| *other != id);
        let used = |counter| self.slots.get(&(ballot.atx, ballot.smesher, ballot.beacon, counter));
        let other = |counter| used(counter).map(|(_, other)| *other).filter(|other| *other != id);
        same_layer.or_else(|| ballot.slots.iter().find_map(|slot| other(slot.counter)))
    }

    /// The weight of all that a miner named first; slots follow from it, so it must name the same always.
    pub(super) fn total(&self, atx: AtxId, smesher: NodeId) -> Option<u64> {
        self.totals.get(&(atx, smesher)).map(|(_, total)| *total)
    }

    /// Whether a slot was used before.
    pub(super) fn is_used(&self, atx: AtxId, smesher: NodeId, beacon: Beacon, counter: u32) -> bool {
        self.slots.contains_key(&(atx, smesher, beacon, counter))
    }

    pub(super) fn insert_content(&mut self, layer: Layer, id: BallotId, content: Content) {
        self.contents.entry(layer).or_default().insert(id, content);
    }

    pub(super) fn content(&self, layer: Layer, id: BallotId) -> Option<&Content> {
        self.contents.get(&layer)?.get(&id)
    }

    pub(super) fn proposals(&self, layer: Layer) -> impl Iterator<Item = (BallotId, &Content)> {
        self.contents.get(&layer).into_iter().flatten().map(|(id, content)| (*id, content))
    }

    /// Whether a proposal names a transaction.
    pub(super) fn names(&self, id: TxId) -> bool {
        self.contents.values().flat_map(BTreeMap::values).any(|content| content.txs.contains(&id))
    }

    /// Forgets contents of layers before `contents`, ballots before `before`, and of those all before `epoch`.
    pub(super) fn forget(&mut self, before: Layer, contents: Layer, epoch: Layer) {
        self.contents = self.contents.split_off(&contents);
        self.by_smesher = self.by_smesher.split_off(&(before, NodeId([0; 32]), BallotId([0; 20])));
        let draws = before.min(epoch);
        self.slots.retain(|_, (layer, _)| *layer >= draws);
        self.totals.retain(|_, (layer, _)| *layer >= draws);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ballot::Slot;
    use crate::ids::{Opinion, Signature};
    use crate::vrf::VrfProof;

    fn ballot(layer: u32, smesher: u8, beacon: u8, counters: &[u32]) -> (BallotId, Ballot) {
        let ballot = Ballot {
            layer: Layer(layer),
            atx: AtxId([1; 32]),
            beacon: Beacon([beacon; 4]),
            total_weight: 7,
            slots: counters.iter().map(|counter| Slot { counter: *counter, proof: VrfProof([0; 80]) }).collect(),
            base: None,
            differences: Vec::new(),
            opinion: Opinion([0; 32]),
            content: [0; 32],
            smesher: NodeId([smesher; 32]),
            signature: Signature([0; 64]),
        };
        (ballot.id(), ballot)
    }

    fn contradicted(known: &Ballots, (id, ballot): &(BallotId, Ballot)) -> Option<BallotId> {
        known.contradicted_by(*id, ballot)
    }

    #[test]
    fn a_slot_is_one_miners_by_one_beacon() {
        let mut known = Ballots::default();
        let (first, other) = (ballot(100, 1, 0, &[2, 5]), ballot(101, 1, 0, &[5, 6]));
        known.insert(first.0, &first.1);
        assert_eq!(contradicted(&known, &first), None);
        assert_eq!(contradicted(&known, &other), Some(first.0));
        assert_eq!(contradicted(&known, &ballot(101, 1, 0, &[6])), None);
        assert_eq!(contradicted(&known, &ballot(101, 1, 9, &[2, 5])), None, "by another beacon");
        assert_eq!(contradicted(&known, &ballot(101, 2, 0, &[2, 5])), None, "another one's of the same ATX");
        assert_eq!(contradicted(&known, &ballot(100, 1, 9, &[7])), Some(first.0), "two in a layer");
        let used = |smesher, beacon, counter| {
            known.is_used(AtxId([1; 32]), NodeId([smesher; 32]), Beacon([beacon; 4]), counter)
        };
        assert!(used(1, 0, 5) && !used(1, 0, 6) && !used(1, 9, 5) && !used(2, 0, 5));
        let claim = known.claim(Layer(100), NodeId([1; 32]), first.0).map(|it| (it.counter, it.total_weight));
        assert_eq!(claim, Some((5, 7)));
    }

    /// As long as an epoch lasts nobody may use a slot twice in it, or name another weight.
    #[test]
    fn slots_and_totals_last_as_long_as_their_epoch() {
        let mut known = Ballots::default();
        let (old, first) = (ballot(39, 1, 0, &[1]), ballot(41, 3, 0, &[5]));
        known.insert(old.0, &old.1);
        known.insert(first.0, &first.1);
        // Layers before 60 are long final; the epoch began with 40.
        known.forget(Layer(60), Layer(60), Layer(40));
        assert_eq!(known.of(Layer(41), NodeId([3; 32])).count(), 0);
        assert_eq!(contradicted(&known, &ballot(70, 3, 0, &[5])), Some(first.0));
        assert_eq!(known.total(AtxId([1; 32]), NodeId([3; 32])), Some(7));
        assert_eq!(known.total(AtxId([1; 32]), NodeId([1; 32])), None);
    }
}
