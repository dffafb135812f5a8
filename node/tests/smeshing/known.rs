//! What the rest of the node knows.

use std::collections::{BTreeMap, BTreeSet};

use node::atx::Atx;
use node::ids::{AtxId, Epoch, NO_ATX, NodeId};
use node::smeshing::{OwnAtx, View};

/// What the node knows of the network, apart from its own archive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) synced: bool,
    latest: BTreeMap<NodeId, OwnAtx>,
    positioning: Option<(Epoch, AtxId)>,
    pub(crate) golden: Option<AtxId>,
    pub(crate) frauds: BTreeSet<NodeId>,
}

impl Known {
    pub(crate) fn learn(&mut self, atx: &Atx, id: AtxId, commitment_atx: AtxId) {
        let (publish_epoch, vrf_nonce) = (atx.publish_epoch, atx.vrf_nonce);
        let own = OwnAtx { id, publish_epoch, units: atx.niposts[0].posts[0].num_units, vrf_nonce, commitment_atx };
        let latest = self.latest.entry(atx.smesher).or_insert_with(|| own.clone());
        if latest.publish_epoch < publish_epoch {
            *latest = own;
        }
        self.positioning = self.positioning.max(Some((publish_epoch, id)));
    }
}

impl View for Known {
    fn is_synced(&self) -> bool {
        self.synced
    }

    fn latest(&self, node_id: NodeId) -> Option<OwnAtx> {
        self.latest.get(&node_id).cloned()
    }

    fn positioning(&self, _publish_epoch: Epoch) -> AtxId {
        self.positioning.map(|(_, id)| id).or(self.golden).unwrap_or(NO_ATX)
    }

    fn is_fraud(&self, node_id: NodeId) -> bool {
        self.frauds.contains(&node_id)
    }
}
