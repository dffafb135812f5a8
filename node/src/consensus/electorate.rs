//! Who may say what in an epoch: rosters, made of the ATXs when they are needed, and beacons.

use std::collections::BTreeMap;

use crate::atxs::Atxs;
use crate::beacon::{fallback, genesis_beacon};
use crate::ids::{AtxId, Beacon, Epoch, GenesisId, Layer, NodeId};
use crate::params::Timing;
use crate::roster::{Member, Roster};

/// The last epoch whose beacon is not agreed on: nobody had weight before it.
const LAST_GIVEN: Epoch = Epoch(2);
/// Ballots are measured by the heaviest of an epoch and so many before it.
const LOOK_BACK: u32 = 2;
/// So many epochs' rosters are remembered beside those that are in use.
const SPARE: usize = 5;

#[derive(Debug)]
pub(super) struct Electorate {
    genesis: GenesisId,
    timing: Timing,
    rosters: BTreeMap<Epoch, Roster>,
    beacons: BTreeMap<Epoch, Beacon>,
    /// Which beacon each miner's ballots name.
    claims: BTreeMap<Epoch, BTreeMap<NodeId, Beacon>>,
}

impl Electorate {
    pub(super) fn new(genesis: GenesisId, timing: Timing) -> Self {
        let (rosters, beacons, claims) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { genesis, timing, rosters, beacons, claims }
    }

    /// Makes an epoch's roster, if there is none.
    pub(super) fn prepare(&mut self, atxs: &Atxs, epoch: Epoch) {
        self.rosters.entry(epoch).or_insert_with(|| roster(atxs, epoch));
    }

    /// Makes the rosters that the expected weights of these layers follow from.
    pub(super) fn prepare_layers(&mut self, atxs: &Atxs, first: Layer, last: Layer) {
        for epoch in self.timing.epoch_of(first).0.saturating_sub(LOOK_BACK)..=self.timing.epoch_of(last).0 {
            self.prepare(atxs, Epoch(epoch));
        }
    }

    /// Something changed that an epoch's roster is made of.
    pub(super) fn outdated(&mut self, epoch: Epoch) {
        self.rosters.remove(&epoch);
    }

    pub(super) fn all_outdated(&mut self) {
        self.rosters.clear();
    }

    pub(super) fn roster(&self, epoch: Epoch) -> Option<&Roster> {
        self.rosters.get(&epoch)
    }

    pub(super) fn roster_at(&self, layer: Layer) -> Option<&Roster> {
        self.roster(self.timing.epoch_of(layer))
    }

    pub(super) fn member(&self, layer: Layer, node_id: NodeId) -> Option<&Member> {
        self.roster_at(layer)?.member(node_id)
    }

    /// What all ballots of a layer are expected to weigh, in 1/65536. A network that was cut in two while ATXs were published
    /// has two parts that take themselves for all there is; so the weight of the epochs before counts too.
    pub(super) fn expected(&self, layer: Layer) -> u128 {
        let epoch = self.timing.epoch_of(layer).0;
        let epochs = (epoch.saturating_sub(LOOK_BACK)..=epoch).filter_map(|epoch| self.roster(Epoch(epoch)));
        let weight = epochs.map(|roster| roster.voting_weight).max().unwrap_or(0);
        (u128::from(weight) << 16) / u128::from(self.timing.layers_per_epoch.max(1))
    }

    pub(super) fn beacon(&self, epoch: Epoch) -> Option<Beacon> {
        if epoch <= LAST_GIVEN { Some(genesis_beacon(self.genesis)) } else { self.beacons.get(&epoch).copied() }
    }

    pub(super) fn beacon_at(&self, layer: Layer) -> Option<Beacon> {
        self.beacon(self.timing.epoch_of(layer))
    }

    pub(super) fn set_beacon(&mut self, epoch: Epoch, beacon: Beacon) {
        self.beacons.insert(epoch, beacon);
    }

    /// A ballot names a beacon. The one to take in place of the own, if there is one: what more than half of the weight
    /// names; or, without an own, what the most names, more than a third of all.
    pub(super) fn claim(&mut self, epoch: Epoch, smesher: NodeId, beacon: Beacon) -> Option<Beacon> {
        let old = self.claims.entry(epoch).or_default().insert(smesher, beacon);
        let own = self.beacon(epoch);
        if own == Some(beacon) || old == Some(beacon) || epoch <= LAST_GIVEN {
            return None;
        }
        let (claimed, weight) = self.heaviest_claim(epoch)?;
        let all = self.roster(epoch)?.voting_weight;
        let enough = if own.is_some() { all / 2 } else { all / 3 };
        (Some(claimed) != own && weight > enough).then_some(claimed)
    }

    /// For an epoch that has begun without a beacon: what most ballots name; if there are none, what follows from the last.
    pub(super) fn substitute(&self, epoch: Epoch) -> Beacon {
        let last = || epoch.previous().and_then(|last| self.beacon(last)).unwrap_or(genesis_beacon(self.genesis));
        self.heaviest_claim(epoch).map_or_else(|| fallback(epoch, last()), |(claimed, _)| claimed)
    }

    fn heaviest_claim(&self, epoch: Epoch) -> Option<(Beacon, u64)> {
        let roster = self.roster(epoch)?;
        let mut weights: BTreeMap<Beacon, u64> = BTreeMap::new();
        for (node_id, beacon) in self.claims.get(&epoch)? {
            if let Some(member) = roster.any(*node_id).filter(|member| !member.fraud) {
                let sum = weights.entry(*beacon).or_default();
                *sum = sum.saturating_add(member.weight);
            }
        }
        // `max_by_key` takes the last of equals.
        weights.into_iter().max_by_key(|(beacon, weight)| (*weight, *beacon))
    }

    /// Forgets epochs that nobody needs any more.
    pub(super) fn forget(&mut self, before: Epoch) {
        self.claims.retain(|epoch, _| *epoch >= before);
        self.beacons.retain(|epoch, _| epoch.next() >= before);
        while self.rosters.len() > SPARE && self.rosters.keys().next().is_some_and(|first| *first < before) {
            self.rosters.pop_first();
        }
    }

    /// Whether an accepted ATX is one that a roster is made of.
    pub(super) fn accepted(&mut self, atxs: &Atxs, id: AtxId) {
        if let Some(record) = atxs.atx(id) {
            self.outdated(record.epoch.next());
        }
    }
}

/// As the ATXs say that are known now.
fn roster(atxs: &Atxs, epoch: Epoch) -> Roster {
    let mut members = BTreeMap::new();
    let published = epoch.previous().into_iter().flat_map(|published| atxs.ids(published));
    for record in published.filter_map(|id| atxs.atx(id)) {
        let (grade, fraud) = (atxs.grade(record), atxs.is_of_fraud(record));
        for part in &record.parts {
            let weight = u64::from(part.effective_units).saturating_mul(record.ticks);
            let member = Member {
                atx: record.id,
                weight,
                vrf_nonce: record.vrf_nonce,
                coinbase: record.coinbase,
                height: record.height(),
                grade,
                fraud,
            };
            // Of two ATXs of a miner, which make it a fraud, one is as good as the other.
            members.entry(part.node_id).or_insert(member);
        }
    }
    Roster::of(epoch, members)
}
