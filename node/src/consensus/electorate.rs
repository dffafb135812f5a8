//! Who may say what in an epoch: rosters, made of the ATXs when they are needed, and beacons.

use std::collections::{BTreeMap, BTreeSet};

use crate::atxs::Atxs;
use crate::beacon::{fallback, genesis_beacon};
use crate::ids::{AtxId, Beacon, Epoch, GenesisId, Layer, NodeId};
use crate::params::Timing;
use crate::roster::{Member, Roster};

/// The last epoch whose beacon is not agreed on: nobody had weight before it.
const LAST_GIVEN: Epoch = Epoch(2);
/// Ballots are measured by the heaviest of an epoch and so many before it.
const LOOK_BACK: u32 = 2;
/// In the first layers of an epoch few have spoken, and nobody is known to stand with few.
const SOME_LAYERS: u128 = 3;
/// So many epochs' rosters are remembered beside those that are in use.
const SPARE: usize = 5;

/// The beacon that a miner's ballots name, and what they weigh.
#[derive(Debug)]
struct Claim {
    beacon: Beacon,
    weight: u64,
}

#[derive(Debug, Default)]
struct Claims {
    by_miner: BTreeMap<NodeId, Claim>,
    /// The last layer with a ballot.
    last: Option<Layer>,
}

#[derive(Debug)]
pub(super) struct Electorate {
    genesis: GenesisId,
    timing: Timing,
    rosters: BTreeMap<Epoch, Roster>,
    beacons: BTreeMap<Epoch, Beacon>,
    /// Which beacon the ballots of an epoch name.
    claims: BTreeMap<Epoch, Claims>,
    /// Beacons that more than a third of the weight names: parts of a network that was cut have their own.
    likely: BTreeSet<(Epoch, Beacon)>,
}

impl Electorate {
    pub(super) fn new(genesis: GenesisId, timing: Timing) -> Self {
        let (rosters, beacons, claims) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { genesis, timing, rosters, beacons, claims, likely: BTreeSet::new() }
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

    /// A miner is a fraud; so is whoever shares an ATX with it.
    pub(super) fn convicted(&mut self, atxs: &Atxs, node_id: NodeId) {
        for roster in self.rosters.values_mut() {
            let record = roster.any(node_id).and_then(|member| atxs.atx(member.atx));
            let Some(record) = record else { continue };
            let (grade, fraud) = (atxs.grade(record), atxs.is_of_fraud(record));
            for part in &record.parts {
                if roster.any(part.node_id).is_some_and(|member| member.atx == record.id) {
                    roster.update(part.node_id, grade, fraud);
                }
            }
        }
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

    /// Whether ballots with this beacon count. With one of its own choice a miner could have its slots when it likes.
    pub(super) fn is_likely(&self, epoch: Epoch, beacon: Beacon) -> bool {
        self.beacon(epoch) == Some(beacon) || self.likely.contains(&(epoch, beacon))
    }

    /// Whether a beacon has just become likely.
    pub(super) fn becomes_likely(&mut self, epoch: Epoch, beacon: Beacon) -> bool {
        let all = self.roster(epoch).map_or(0, |roster| roster.voting_weight);
        !self.is_likely(epoch, beacon) && self.claimed(epoch, beacon) > all / 3 && self.likely.insert((epoch, beacon))
    }

    /// A ballot of so much vote weight names a beacon; whether it is the one to take in place of the own or of none. So it is if
    /// it has more than half of the vote weight that is expected of the epoch's layers up to the last with a ballot, and a
    /// third of a layer's more; more than a third of it is enough where none was agreed on, and where the own one has less
    /// after [`SOME_LAYERS`]: so those come over who stand with few, and whose ballots weigh nothing for all others. By what
    /// ballots weigh nobody has to wait until all miners have spoken once, which takes the whole epoch.
    pub(super) fn claim(&mut self, layer: Layer, smesher: NodeId, beacon: Beacon, weight: u64) -> Option<Beacon> {
        let epoch = self.timing.epoch_of(layer);
        let expected = self.expected(layer);
        let claims = self.claims.entry(epoch).or_default();
        claims.last = claims.last.max(Some(layer));
        let claim = claims.by_miner.entry(smesher).or_insert(Claim { beacon, weight: 0 });
        // Who changes its mind begins anew.
        *claim =
            Claim { beacon, weight: if claim.beacon == beacon { claim.weight.saturating_add(weight) } else { weight } };
        if self.beacon(epoch) == Some(beacon) || epoch <= LAST_GIVEN {
            return None;
        }
        let last = self.claims.get(&epoch).and_then(|claims| claims.last).unwrap_or(layer);
        let layers = u128::from(last.since(self.timing.first_layer(epoch))) + 1;
        let all = expected.saturating_mul(layers);
        let agreed = self.beacon(epoch).filter(|own| *own != self.substitute(epoch));
        let holds = |own| layers < SOME_LAYERS || self.votes_for(epoch, own) > all / 3;
        let enough = if agreed.is_some_and(holds) { all / 2 } else { all / 3 };
        (self.votes_for(epoch, beacon) > enough + expected / 3).then_some(beacon)
    }

    /// What the ballots weigh that name a beacon.
    fn votes_for(&self, epoch: Epoch, beacon: Beacon) -> u128 {
        let claims = self.claims.get(&epoch).map(|claims| &claims.by_miner);
        let named = claims.into_iter().flatten().filter(|(_, claim)| claim.beacon == beacon);
        let honest = named.filter(|(node_id, _)| self.is_innocent(epoch, **node_id));
        honest.fold(0u128, |sum, (_, claim)| sum.saturating_add(claim.weight.into()))
    }

    /// For an epoch that has begun without a beacon: what follows from the last.
    pub(super) fn substitute(&self, epoch: Epoch) -> Beacon {
        let last = epoch.previous().and_then(|last| self.beacon(last));
        fallback(epoch, last.unwrap_or(genesis_beacon(self.genesis)))
    }

    fn is_innocent(&self, epoch: Epoch, node_id: NodeId) -> bool {
        self.roster(epoch).and_then(|roster| roster.any(node_id)).is_some_and(|member| !member.fraud)
    }

    /// What those weigh who name a beacon.
    fn claimed(&self, epoch: Epoch, beacon: Beacon) -> u64 {
        let Some(roster) = self.roster(epoch) else { return 0 };
        let claims = self.claims.get(&epoch).map(|claims| &claims.by_miner);
        let named = claims.into_iter().flatten().filter(|(_, claim)| claim.beacon == beacon);
        let members = named.filter_map(|(node_id, _)| roster.any(*node_id)).filter(|member| !member.fraud);
        members.fold(0, |sum, member| sum.saturating_add(member.weight))
    }

    /// Forgets epochs that nobody needs any more.
    pub(super) fn forget(&mut self, before: Epoch) {
        self.claims.retain(|epoch, _| *epoch >= before);
        self.likely.retain(|(epoch, _)| *epoch >= before);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::Address;
    use crate::time::{Grade, Time};

    const EPOCH: Epoch = Epoch(4);
    const MINERS: u8 = 10;

    /// Ten miners of one weight, epochs of ten layers; all ballots of a layer are expected to weigh 1000 << 16.
    fn electorate() -> Electorate {
        let params = crate::params::NodeParams::devnet(Time(0));
        assert_eq!(params.timing.layers_per_epoch, 10);
        let mut electorate = Electorate::new(params.genesis_id, params.timing);
        let member = |i: u8| {
            let (atx, coinbase) = (AtxId([i; 32]), Address([0; 24]));
            let grade = Grade::Good;
            (NodeId([i; 32]), Member { atx, weight: 1000, vrf_nonce: 0, coinbase, height: 0, grade, fraud: false })
        };
        for epoch in 2..=4 {
            electorate.rosters.insert(Epoch(epoch), Roster::of(Epoch(epoch), (0..MINERS).map(member).collect()));
        }
        electorate.set_beacon(Epoch(3), Beacon([3; 4]));
        electorate
    }

    fn beacon(i: u8) -> Beacon {
        Beacon([100 + i; 4])
    }

    /// Ballots of layers 40, 41, … of so many miners each, until one beacon is to be taken.
    fn hear(electorate: &mut Electorate, miners: std::ops::Range<u8>, named: Beacon) -> Option<u32> {
        for layer in 40..50 {
            for miner in miners.clone() {
                if electorate.claim(Layer(layer), NodeId([miner; 32]), named, 100 << 16).is_some() {
                    return Some(layer);
                }
            }
        }
        None
    }

    #[test]
    fn a_third_of_the_votes_gives_a_beacon_to_who_has_none() {
        let mut none = electorate();
        assert_eq!(hear(&mut none, 0..3, beacon(1)), None, "three of ten never do");
        assert_eq!(hear(&mut electorate(), 0..7, beacon(1)), Some(40));
        assert_eq!(hear(&mut electorate(), 0..5, beacon(1)), Some(41));
        // In place of what nobody agreed on as well.
        let mut substituted = electorate();
        let substitute = substituted.substitute(EPOCH);
        assert_eq!(substitute, fallback(EPOCH, Beacon([3; 4])));
        substituted.set_beacon(EPOCH, substitute);
        assert_eq!(hear(&mut substituted, 0..4, beacon(1)), Some(44));
    }

    #[test]
    fn only_most_votes_take_a_beacon_away_that_was_agreed_on() {
        for (miners, expected) in [(5, None), (6, Some(43)), (9, Some(40))] {
            let mut electorate = electorate();
            electorate.set_beacon(EPOCH, beacon(2));
            // Enough stay with it.
            electorate.claim(Layer(40), NodeId([9; 32]), beacon(2), 4000 << 16);
            assert_eq!(hear(&mut electorate, 0..miners, beacon(1)), expected, "{miners}");
        }
    }

    /// After a network was cut its parts may have agreed on beacons of their own: few come over to many, never to a third.
    #[test]
    fn who_stands_with_few_comes_over() {
        for (few, many, expected) in [(3, 5, Some(42)), (0, 5, Some(42)), (0, 4, Some(44)), (3, 3, None), (4, 5, None)]
        {
            let mut electorate = electorate();
            electorate.set_beacon(EPOCH, beacon(2));
            let mut came = None;
            for layer in 40..50 {
                let mut says =
                    |miner: u8, named| electorate.claim(Layer(layer), NodeId([miner; 32]), named, 100 << 16).is_some();
                assert!(!(0..few).any(|miner| says(miner, beacon(2))));
                if (few..few + many).any(|miner| says(miner, beacon(1))) {
                    came = came.or(Some(layer));
                }
            }
            assert_eq!(came, expected, "{few} against {many}");
        }
    }

    #[test]
    fn frauds_and_who_changes_its_mind_name_nothing() {
        let mut electorate = electorate();
        for miner in 0..7 {
            electorate.rosters.get_mut(&EPOCH).unwrap().update(NodeId([miner; 32]), Grade::Good, true);
        }
        assert_eq!(hear(&mut electorate, 0..7, beacon(1)), None);
        let mut electorate = self::electorate();
        for layer in 40..50 {
            for miner in 0..7 {
                let named = beacon((layer % 2) as u8);
                let weight = if layer < 49 { 40 << 16 } else { 0 };
                assert_eq!(electorate.claim(Layer(layer), NodeId([miner; 32]), named, weight), None);
            }
        }
    }

    /// A roster that is changed is the one that is made anew.
    #[test]
    fn a_member_changes_in_place() {
        let mut roster = electorate().rosters.remove(&EPOCH).unwrap();
        roster.update(NodeId([1; 32]), Grade::Good, true);
        roster.update(NodeId([2; 32]), Grade::Acceptable, false);
        roster.update(NodeId([3; 32]), Grade::Evil, true);
        roster.update(NodeId([99; 32]), Grade::Evil, true);
        let members = (0..MINERS).map(|i| (NodeId([i; 32]), roster.any(NodeId([i; 32])).unwrap().clone()));
        assert_eq!(Roster::of(EPOCH, members.collect()), roster);
        let Roster { total_weight, seat_weight, honest_weight, voting_weight, .. } = roster;
        assert_eq!((total_weight, seat_weight, honest_weight, voting_weight), (8000, 9000, 7000, 8000));
    }
}
