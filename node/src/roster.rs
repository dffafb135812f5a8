//! Who takes part in an epoch, and with what weight: the ATXs of the epoch before, miner by miner (NODE.md section 1).

use std::collections::BTreeMap;

use crate::ids::{Address, AtxId, Epoch, NodeId};
use crate::time::Grade;

/// A miner in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its ATX.
    pub atx: AtxId,
    /// What its part in it weighs.
    pub weight: u64,
    /// The ATX's VRF nonce.
    pub vrf_nonce: u64,
    /// Who is paid.
    pub coinbase: Address,
    /// The tick that the ATX has reached.
    pub height: u64,
    /// How the ATX counts.
    pub grade: Grade,
    /// Whether there is a fraud proof of it, or of somebody it is married with.
    pub fraud: bool,
}

/// All miners with an ATX for an epoch that counts, at least to some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// Which epoch.
    pub epoch: Epoch,
    /// The weight of its active set, frauds that were found out in the epoch included; draws are made from it.
    pub total_weight: u64,
    /// The same without any frauds.
    pub honest_weight: u64,
    /// The weight of all ATXs that are known by now, late ones too, without frauds; ballots are measured by it.
    pub voting_weight: u64,
    members: BTreeMap<NodeId, Member>,
}

impl Roster {
    /// Of these miners.
    #[must_use]
    pub fn of(epoch: Epoch, members: BTreeMap<NodeId, Member>) -> Self {
        let sum = |fraud: bool| {
            let counted = members.values().filter(|member| member.grade == Grade::Good && (fraud || !member.fraud));
            counted.fold(0u64, |sum, member| sum.saturating_add(member.weight))
        };
        let innocent = members.values().filter(|member| !member.fraud);
        let voting_weight = innocent.fold(0u64, |sum, member| sum.saturating_add(member.weight));
        Self { epoch, total_weight: sum(true), honest_weight: sum(false), voting_weight, members }
    }

    /// A miner; none if its ATX counts nowhere.
    #[must_use]
    pub fn member(&self, node_id: NodeId) -> Option<&Member> {
        self.any(node_id).filter(|member| member.fraud || member.grade != Grade::Evil)
    }

    /// A miner, even if its ATX came too late to draw by it.
    #[must_use]
    pub fn any(&self, node_id: NodeId) -> Option<&Member> {
        self.members.get(&node_id)
    }

    /// All whose ATX is in the active set.
    pub fn active(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.members.iter().filter(|(_, member)| member.grade == Grade::Good).map(|(id, member)| (*id, member))
    }
}
