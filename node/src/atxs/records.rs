//! What is known of each accepted ATX, of each miner and of each PoET proof: all that later ATXs are judged by.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Address, AtxId, Challenge, Epoch, NO_ATX, NodeId};
use crate::time::Time;

/// One miner's part in an ATX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whose.
    pub node_id: NodeId,
    /// The units it proved.
    pub units: u32,
    /// The units that give weight: the fewer of now and of the previous ATX.
    pub effective_units: u32,
    /// Its previous ATX; `None` in its first.
    pub previous: Option<AtxId>,
    /// The ATX its data is bound to.
    pub commitment: AtxId,
    /// Its first ATX, which shows the commitment.
    pub initial: AtxId,
}

/// What is remembered of an accepted ATX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub id: AtxId,
    /// Where it was published; it gives weight in the next epoch.
    pub epoch: Epoch,
    /// Who signed. Two members of a merged set can sign one id: this is the one that came first.
    pub smesher: NodeId,
    /// Who is paid.
    pub coinbase: Address,
    /// The signer's VRF nonce.
    pub vrf_nonce: u64,
    /// When it came.
    pub received: Time,
    /// The ticks that its positioning ATX had reached.
    pub base_height: u64,
    /// The ticks it adds, at least 1: the fewest of its PoETs.
    pub ticks: u64,
    /// Σ effective units · ticks (NODE.md section 3).
    pub weight: u64,
    /// One a miner, in the order of the posts.
    pub parts: Vec<Part>,
    /// In a merged ATX, the one its miners married in.
    pub marriage: Option<AtxId>,
    /// Who married in this ATX, by marriage index; the signer among them.
    pub married: Vec<NodeId>,
}

impl Record {
    /// The ticks it has reached.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.base_height.saturating_add(self.ticks)
    }

    /// A miner's part.
    #[must_use]
    pub fn part(&self, node_id: NodeId) -> Option<&Part> {
        self.parts.iter().find(|part| part.node_id == node_id)
    }
}

/// What is remembered of a valid PoET proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoetRecord {
    /// The root of its members' challenges.
    pub statement: [u8; 32],
    /// Leaves / tick size, at least 1.
    pub ticks: u64,
}

/// Two things that one miner may not have done both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// Who did.
    pub(super) culprit: NodeId,
    /// What.
    pub(super) kind: ConflictKind,
    /// The accepted ATX that a new one contradicts.
    pub(super) other: AtxId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConflictKind {
    SameEpoch,
    SamePrevious,
    DoubleMarriage,
}

/// Everything known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    atxs: BTreeMap<AtxId, Record>,
    epochs: BTreeMap<Epoch, BTreeSet<AtxId>>,
    /// Who took part in what.
    histories: BTreeSet<(NodeId, Epoch, AtxId)>,
    /// Miner, previous ATX (zeros: none), the ATX that succeeds it.
    successors: BTreeSet<(NodeId, AtxId, AtxId)>,
    /// Who married in which ATX.
    marriages: BTreeSet<(NodeId, AtxId)>,
    poets: BTreeMap<Challenge, PoetRecord>,
    /// Who was convicted, and when. Whoever is married with one of them answers for it too: see [`Records::fraud_of`].
    frauds: BTreeMap<NodeId, Time>,
}

const FIRST: AtxId = AtxId([0; 32]);
const LAST: AtxId = AtxId([0xff; 32]);

impl Records {
    pub(super) fn atx(&self, id: AtxId) -> Option<&Record> {
        self.atxs.get(&id)
    }

    pub(super) fn has(&self, id: AtxId) -> bool {
        self.atxs.contains_key(&id)
    }

    pub(super) fn poet(&self, id: Challenge) -> Option<&PoetRecord> {
        self.poets.get(&id)
    }

    /// All ATXs.
    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        self.atxs.values()
    }

    /// The epochs in which ATXs were published, ascending.
    pub(super) fn epochs(&self) -> impl Iterator<Item = Epoch> + '_ {
        self.epochs.keys().copied()
    }

    /// The ATXs published in an epoch, by id.
    pub(super) fn published_in(&self, epoch: Epoch) -> impl ExactSizeIterator<Item = AtxId> + '_ {
        static NONE: BTreeSet<AtxId> = BTreeSet::new();
        self.epochs.get(&epoch).unwrap_or(&NONE).iter().copied()
    }

    /// A miner's ATXs of one epoch.
    pub(super) fn of_epoch(&self, node_id: NodeId, epoch: Epoch) -> impl Iterator<Item = AtxId> + '_ {
        self.histories.range((node_id, epoch, FIRST)..=(node_id, epoch, LAST)).map(|(_, _, id)| *id)
    }

    /// A miner's ATXs, oldest first.
    pub(super) fn history(&self, node_id: NodeId) -> impl DoubleEndedIterator<Item = (Epoch, AtxId)> + '_ {
        let all = (node_id, Epoch(0), FIRST)..=(node_id, Epoch(u32::MAX), LAST);
        self.histories.range(all).map(|(_, epoch, id)| (*epoch, *id))
    }

    /// Whether there is an ATX of the miner's; who married had one before.
    pub(super) fn has_miner(&self, node_id: NodeId) -> bool {
        self.history(node_id).next().is_some()
    }

    /// The ATXs a miner married in.
    pub(super) fn marriages_of(&self, node_id: NodeId) -> impl Iterator<Item = &Record> + '_ {
        let all = (node_id, FIRST)..=(node_id, LAST);
        self.marriages.range(all).filter_map(|(_, id)| self.atxs.get(id))
    }

    pub(super) fn insert(&mut self, record: Record) {
        self.epochs.entry(record.epoch).or_default().insert(record.id);
        for part in &record.parts {
            self.histories.insert((part.node_id, record.epoch, record.id));
            self.successors.insert((part.node_id, part.previous.unwrap_or(NO_ATX), record.id));
        }
        for node_id in &record.married {
            self.marriages.insert((*node_id, record.id));
        }
        self.atxs.insert(record.id, record);
    }

    pub(super) fn insert_poet(&mut self, id: Challenge, poet: PoetRecord) {
        self.poets.insert(id, poet);
    }

    /// Whether there is a fraud proof of the miner itself.
    pub(super) fn is_convicted(&self, node_id: NodeId) -> bool {
        self.frauds.contains_key(&node_id)
    }

    /// Who was convicted.
    pub(super) fn convicted(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.frauds.keys().copied()
    }

    pub(super) fn convict(&mut self, node_id: NodeId, at: Time) {
        self.frauds.entry(node_id).or_insert(at);
    }

    /// Since when an ATX of `miners` has no weight: there is a fraud proof of one of them, or of somebody married with one.
    pub(super) fn fraud_of(&self, miners: impl Iterator<Item = NodeId>) -> Option<Time> {
        if self.frauds.is_empty() {
            return None;
        }
        let mut since: Option<Time> = None;
        let mut earlier = |at: Time| since = Some(since.map_or(at, |since| since.min(at)));
        let mut sets = BTreeSet::new();
        for node_id in miners {
            self.frauds.get(&node_id).copied().into_iter().for_each(&mut earlier);
            sets.extend(self.marriages.range((node_id, FIRST)..=(node_id, LAST)).map(|(_, id)| *id));
        }
        // One step is enough: who stands in two sets, or signed both of them, is convicted itself.
        for set in sets.iter().filter_map(|id| self.atxs.get(id)) {
            let convicted = set.married.iter().filter_map(|node_id| self.frauds.get(node_id));
            convicted.map(|at| (*at).max(set.received)).for_each(&mut earlier);
        }
        since
    }

    /// Since when an accepted ATX has no weight.
    pub(super) fn fraud_of_atx(&self, record: &Record) -> Option<Time> {
        self.fraud_of(record.parts.iter().map(|part| part.node_id))
    }

    /// What a new ATX contradicts, one conflict a miner; miners that are convicted already are left out. Any two ATXs are
    /// compared when the second one comes, so the order does not matter.
    pub(super) fn conflicts(&self, new: &Record) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        let mut accuse = |culprit, kind, other: Option<AtxId>| {
            conflicts.extend(other.map(|other| Conflict { culprit, kind, other }));
        };
        for &Part { node_id, previous, .. } in &new.parts {
            if self.is_convicted(node_id) {
                continue;
            }
            if let Some(other) = self.of_epoch(node_id, new.epoch).find(|id| *id != new.id) {
                accuse(node_id, ConflictKind::SameEpoch, Some(other));
                continue;
            }
            let previous = previous.unwrap_or(NO_ATX);
            let successors = self.successors.range((node_id, previous, FIRST)..=(node_id, previous, LAST));
            accuse(node_id, ConflictKind::SamePrevious, successors.map(|(.., id)| *id).find(|id| *id != new.id));
        }
        for node_id in new.married.iter().filter(|node_id| !self.is_convicted(**node_id)) {
            // The signer can put a certificate it was given into two ATXs: then it is the signer's fault alone.
            let others = self.marriages_of(*node_id).filter(|other| other.id != new.id);
            let mut guilty = others.filter(|other| other.smesher != new.smesher || *node_id == new.smesher);
            accuse(*node_id, ConflictKind::DoubleMarriage, guilty.next().map(|other| other.id));
        }
        let mut seen = BTreeSet::new();
        conflicts.retain(|conflict| seen.insert(conflict.culprit));
        conflicts
    }
}
