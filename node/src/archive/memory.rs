//! The archive of a simulated node.

use std::collections::{BTreeMap, BTreeSet};

use super::{Applied, Archive, ArchiveError, Kept, LedgerEntry, Reload, Write};
use crate::ids::{AtxId, BallotId, Beacon, BlockId, Challenge, Epoch, Layer, NodeId, Opinion, TxId};
use crate::time::Time;

/// Keeps everything in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    atxs: BTreeMap<AtxId, Kept>,
    by_epoch: BTreeSet<(Epoch, AtxId)>,
    poets: BTreeMap<Challenge, Vec<u8>>,
    frauds: BTreeMap<NodeId, Kept>,
    smeshing: BTreeMap<NodeId, Vec<u8>>,
    ballots: BTreeMap<BallotId, Vec<u8>>,
    ballots_by_layer: BTreeSet<(Layer, BallotId)>,
    contents: BTreeMap<BallotId, Vec<u8>>,
    contents_by_layer: BTreeSet<(Layer, BallotId)>,
    blocks: BTreeMap<BlockId, Vec<u8>>,
    blocks_by_layer: BTreeSet<(Layer, BlockId)>,
    transactions: BTreeMap<TxId, Vec<u8>>,
    beacons: BTreeMap<Epoch, Beacon>,
    spoke: Option<Layer>,
    hares: BTreeMap<Layer, BlockId>,
    opinions: BTreeMap<(Layer, Opinion), Vec<u8>>,
    applied: BTreeMap<Layer, Applied>,
    ledger: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Memory {
    /// How many things of each kind there are, and the bytes of their encodings.
    #[must_use]
    pub fn sizes(&self) -> Vec<(&'static str, usize, usize)> {
        fn sum<'a>(of: impl Iterator<Item = &'a Vec<u8>>) -> (usize, usize) {
            of.fold((0, 0), |(things, bytes), encoding| (things + 1, bytes + encoding.len()))
        }
        let kept = [("ATXs", sum(self.atxs.values().map(|kept| &kept.bytes)))];
        let frauds = [("frauds", sum(self.frauds.values().map(|kept| &kept.bytes)))];
        let others = [
            ("PoETs", sum(self.poets.values())),
            ("ballots", sum(self.ballots.values())),
            ("contents", sum(self.contents.values())),
            ("blocks", sum(self.blocks.values())),
            ("transactions", sum(self.transactions.values())),
            ("votes", sum(self.opinions.values())),
            ("ledger", sum(self.ledger.values())),
        ];
        let all = kept.into_iter().chain(frauds).chain(others);
        all.map(|(kind, (things, bytes))| (kind, things, bytes)).collect()
    }

    /// Keeps something.
    pub fn write(&mut self, write: Write) {
        match write {
            Write::Atx { id, epoch, received, bytes } => {
                self.by_epoch.insert((epoch, id));
                self.atxs.entry(id).or_insert(Kept { received, bytes });
            }
            Write::Poet { id, bytes } => {
                self.poets.insert(id, bytes);
            }
            Write::Fraud { node_id, received, bytes } => {
                self.frauds.entry(node_id).or_insert(Kept { received, bytes });
            }
            Write::Smeshing { node_id, bytes } => {
                self.smeshing.insert(node_id, bytes);
            }
            Write::Ballot { id, layer, bytes } => {
                self.ballots_by_layer.insert((layer, id));
                self.ballots.insert(id, bytes);
            }
            Write::Content { id, layer, bytes } => {
                self.contents_by_layer.insert((layer, id));
                self.contents.insert(id, bytes);
            }
            Write::Block { id, layer, bytes } => {
                self.blocks_by_layer.insert((layer, id));
                self.blocks.insert(id, bytes);
            }
            Write::Transaction { id, bytes } => {
                self.transactions.insert(id, bytes);
            }
            Write::ForgetTransaction { id } => {
                self.transactions.remove(&id);
            }
            Write::Beacon { epoch, beacon } => {
                self.beacons.insert(epoch, beacon);
            }
            Write::Speaks { layer } => self.spoke = Some(layer),
            Write::Hare { layer, block } => {
                self.hares.insert(layer, block);
            }
            Write::Opinion { opinion, layer, bytes } => {
                self.opinions.insert((layer, opinion), bytes);
            }
            Write::Applied { layer, applied } => {
                self.applied.insert(layer, applied);
            }
            Write::Ledger { key, value: Some(value) } => {
                self.ledger.insert(key, value);
            }
            Write::Ledger { key, value: None } => {
                self.ledger.remove(&key);
            }
            Write::Forget { before } => {
                let kept = self.contents_by_layer.split_off(&(before, BallotId([0; 20])));
                for (_, id) in std::mem::replace(&mut self.contents_by_layer, kept) {
                    self.contents.remove(&id);
                }
                self.hares = self.hares.split_off(&before);
                self.opinions = self.opinions.split_off(&(before, Opinion([0; 32])));
            }
        }
    }
}

/// The things of one layer in an index.
fn of_layer<T: Copy + Ord>(index: &BTreeSet<(Layer, T)>, layer: Layer, first: T, last: T) -> Vec<T> {
    index.range((layer, first)..=(layer, last)).map(|(_, id)| *id).collect()
}

impl Archive for Memory {
    fn atx_ids(&self, epoch: Epoch, from: AtxId, to: AtxId, limit: usize) -> Result<Vec<AtxId>, ArchiveError> {
        if from > to {
            return Ok(Vec::new());
        }
        Ok(self.by_epoch.range((epoch, from)..=(epoch, to)).map(|(_, id)| *id).take(limit).collect())
    }

    fn atx(&self, id: AtxId) -> Result<Option<Kept>, ArchiveError> {
        Ok(self.atxs.get(&id).cloned())
    }

    fn poet(&self, id: Challenge) -> Result<Option<Vec<u8>>, ArchiveError> {
        Ok(self.poets.get(&id).cloned())
    }

    fn frauds(&self, after: Option<NodeId>, limit: usize) -> Result<Vec<NodeId>, ArchiveError> {
        let later = self.frauds.keys().filter(|node_id| after.is_none_or(|after| **node_id > after));
        Ok(later.take(limit).copied().collect())
    }

    fn fraud(&self, node_id: NodeId) -> Result<Option<Kept>, ArchiveError> {
        Ok(self.frauds.get(&node_id).cloned())
    }

    fn smeshing(&self, node_id: NodeId) -> Result<Option<Vec<u8>>, ArchiveError> {
        Ok(self.smeshing.get(&node_id).cloned())
    }

    fn ballots(&self, layer: Layer) -> Result<Vec<BallotId>, ArchiveError> {
        Ok(of_layer(&self.ballots_by_layer, layer, BallotId([0; 20]), BallotId([0xff; 20])))
    }

    fn ballot(&self, id: BallotId) -> Result<Option<Vec<u8>>, ArchiveError> {
        Ok(self.ballots.get(&id).cloned())
    }

    fn content(&self, id: BallotId) -> Result<Option<Vec<u8>>, ArchiveError> {
        Ok(self.contents.get(&id).cloned())
    }

    fn blocks(&self, layer: Layer) -> Result<Vec<BlockId>, ArchiveError> {
        Ok(of_layer(&self.blocks_by_layer, layer, BlockId([0; 20]), BlockId([0xff; 20])))
    }

    fn block(&self, id: BlockId) -> Result<Option<Vec<u8>>, ArchiveError> {
        Ok(self.blocks.get(&id).cloned())
    }

    fn transaction(&self, id: TxId) -> Result<Option<Vec<u8>>, ArchiveError> {
        Ok(self.transactions.get(&id).cloned())
    }

    fn beacon(&self, epoch: Epoch) -> Result<Option<Beacon>, ArchiveError> {
        Ok(self.beacons.get(&epoch).copied())
    }

    fn spoke(&self) -> Result<Option<Layer>, ArchiveError> {
        Ok(self.spoke)
    }

    fn hare(&self, layer: Layer) -> Result<Option<BlockId>, ArchiveError> {
        Ok(self.hares.get(&layer).copied())
    }

    fn opinions(&self, from: Layer) -> Result<Vec<Vec<u8>>, ArchiveError> {
        Ok(self.opinions.range((from, Opinion([0; 32]))..).map(|(_, bytes)| bytes.clone()).collect())
    }

    fn applied(&self, layer: Layer) -> Result<Option<Applied>, ArchiveError> {
        Ok(self.applied.get(&layer).copied())
    }

    fn last_applied(&self) -> Result<Option<Layer>, ArchiveError> {
        Ok(self.applied.last_key_value().map(|(layer, _)| *layer))
    }

    fn last_ballots(&self) -> Result<Option<Layer>, ArchiveError> {
        Ok(self.ballots_by_layer.last().map(|(layer, _)| *layer))
    }

    fn ledger(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<LedgerEntry>, ArchiveError> {
        let later = self.ledger.iter().filter(|(key, _)| after.is_none_or(|after| key[..] > *after));
        Ok(later.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn transactions(&self, after: Option<TxId>, limit: usize) -> Result<Vec<TxId>, ArchiveError> {
        let later = self.transactions.keys().filter(|id| after.is_none_or(|after| **id > after));
        Ok(later.take(limit).copied().collect())
    }
}

impl Reload for Memory {
    fn each_poet(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), ArchiveError> {
        self.poets.values().for_each(|bytes| each(bytes));
        Ok(())
    }

    fn each_atx(&self, each: &mut dyn FnMut(Time, &[u8])) -> Result<(), ArchiveError> {
        let kept = self.by_epoch.iter().filter_map(|(_, id)| self.atxs.get(id));
        kept.for_each(|kept| each(kept.received, &kept.bytes));
        Ok(())
    }

    fn each_fraud(&self, each: &mut dyn FnMut(Time, &[u8])) -> Result<(), ArchiveError> {
        self.frauds.values().for_each(|kept| each(kept.received, &kept.bytes));
        Ok(())
    }
}
