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

/// Whether a member is in a sum.
type Counts = fn(&Member) -> bool;

impl Member {
    /// Whether its ATX is in the active set.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.grade == Grade::Good
    }

    /// Whether it may have seats in Hare's committees.
    #[must_use]
    pub fn has_seats(&self) -> bool {
        self.weight > 0 && self.grade >= Grade::Acceptable
    }
}

/// All miners with an ATX for an epoch that counts, at least to some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// Which epoch.
    pub epoch: Epoch,
    /// The weight of its active set, frauds that were found out in the epoch included; slots are drawn from it.
    pub total_weight: u64,
    /// The weight of all who may have seats in Hare's committees: those whose ATX is in the active set of some nodes at least,
    /// frauds that were found out in the epoch included.
    pub seat_weight: u64,
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
        let (total_weight, seat_weight, honest_weight, voting_weight) = (0, 0, 0, 0);
        let nobody = BTreeMap::new();
        let mut roster = Self { epoch, total_weight, seat_weight, honest_weight, voting_weight, members: nobody };
        members.values().for_each(|member| roster.add(member));
        roster.members = members;
        roster
    }

    /// A miner's ATX counts otherwise from now on.
    pub fn update(&mut self, node_id: NodeId, grade: Grade, fraud: bool) {
        let Some(mut member) = self.members.remove(&node_id) else { return };
        for (sum, _) in self.sums().into_iter().filter(|(_, counts)| counts(&member)) {
            *sum = sum.saturating_sub(member.weight);
        }
        (member.grade, member.fraud) = (grade, fraud);
        self.add(&member);
        self.members.insert(node_id, member);
    }

    fn add(&mut self, member: &Member) {
        for (sum, _) in self.sums().into_iter().filter(|(_, counts)| counts(member)) {
            *sum = sum.saturating_add(member.weight);
        }
    }

    /// The sums, and which members are in each.
    fn sums(&mut self) -> [(&mut u64, Counts); 4] {
        [
            (&mut self.total_weight, Member::is_active),
            (&mut self.seat_weight, Member::has_seats),
            (&mut self.honest_weight, |member| member.is_active() && !member.fraud),
            (&mut self.voting_weight, |member| !member.fraud),
        ]
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
