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
    /// What the proposals of the last layers want in the block.
    contents: BTreeMap<Layer, BTreeMap<BallotId, Content>>,
}

impl Ballots {
    pub(super) fn insert(&mut self, id: BallotId, ballot: &Ballot) {
        self.by_smesher.insert((ballot.layer, ballot.smesher, id));
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
    }
}
