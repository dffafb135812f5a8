//! The archive of a simulated node.

use std::collections::{BTreeMap, BTreeSet};

use super::{Archive, ArchiveError, Kept, Write};
use crate::ids::{AtxId, Challenge, Epoch, NodeId};

/// Keeps everything in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    atxs: BTreeMap<AtxId, Kept>,
    by_epoch: BTreeSet<(Epoch, AtxId)>,
    poets: BTreeMap<Challenge, Vec<u8>>,
    frauds: BTreeMap<NodeId, Kept>,
    smeshing: BTreeMap<NodeId, Vec<u8>>,
}

impl Memory {
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
        }
    }
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
}
