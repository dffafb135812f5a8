//! Which ballots there are, by miner and by slot, so that contradictions are seen.

use std::collections::{BTreeMap, BTreeSet};

use crate::ballot::{Ballot, Content};
use crate::ids::{AtxId, BallotId, Layer, NodeId, TxId};

/// Of one miner and layer no more ballots are taken than show that it is a fraud, unless another ballot needs them.
pub(super) const ENOUGH: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Ballots {
    by_smesher: BTreeSet<(Layer, NodeId, BallotId)>,
    slots: BTreeMap<(AtxId, u32), (Layer, BallotId)>,
    /// The weight of all that a miner's first ballot by an ATX names.
    totals: BTreeMap<(AtxId, NodeId), (Layer, u64)>,
    /// What the proposals of the last layers want in the block.
    contents: BTreeMap<Layer, BTreeMap<BallotId, Content>>,
}

impl Ballots {
    pub(super) fn insert(&mut self, id: BallotId, ballot: &Ballot) {
        self.by_smesher.insert((ballot.layer, ballot.smesher, id));
        self.totals.entry((ballot.atx, ballot.smesher)).or_insert((ballot.layer, ballot.total_weight));
        for slot in &ballot.slots {
            self.slots.entry((ballot.atx, slot.counter)).or_insert((ballot.layer, id));
        }
    }

    pub(super) fn of(&self, layer: Layer, smesher: NodeId) -> impl Iterator<Item = BallotId> + '_ {
        let range = (layer, smesher, BallotId([0; 20]))..=(layer, smesher, BallotId([0xff; 20]));
        self.by_smesher.range(range).map(|(.., id)| *id)
    }

    /// A ballot that this one contradicts.
    pub(super) fn contradicted_by(&self, id: BallotId, ballot: &Ballot) -> Option<BallotId> {
        let same_layer = self.of(ballot.layer, ballot.smesher).find(|other| *other != id);
        let used =
            |counter| self.slots.get(&(ballot.atx, counter)).map(|(_, other)| *other).filter(|other| *other != id);
        same_layer.or_else(|| ballot.slots.iter().find_map(|slot| used(slot.counter)))
    }

    /// The weight of all that a miner named first; slots follow from it, so it must name the same always.
    pub(super) fn total(&self, atx: AtxId, smesher: NodeId) -> Option<u64> {
        self.totals.get(&(atx, smesher)).map(|(_, total)| *total)
    }

    /// Whether a slot was used before.
    pub(super) fn is_used(&self, atx: AtxId, counter: u32) -> bool {
        self.slots.contains_key(&(atx, counter))
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

    /// Forgets contents of layers before `contents`, and ballots before `before`.
    pub(super) fn forget(&mut self, before: Layer, contents: Layer) {
        self.contents = self.contents.split_off(&contents);
        self.by_smesher = self.by_smesher.split_off(&(before, NodeId([0; 32]), BallotId([0; 20])));
        self.slots.retain(|_, (layer, _)| *layer >= before);
        self.totals.retain(|_, (layer, _)| *layer >= before);
    }
}
