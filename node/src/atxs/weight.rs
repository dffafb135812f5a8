//! What others ask: who weighs how much, what there is to build on.

use super::Atxs;
use super::context::Need;
use super::records::{PoetRecord, Record};
use crate::ids::{AtxId, Challenge, Epoch, NodeId};
use crate::source::Peer;
use crate::time::{Grade, Time};

impl Atxs {
    /// An accepted ATX.
    #[must_use]
    pub fn atx(&self, id: AtxId) -> Option<&Record> {
        self.records.atx(id)
    }

    /// A valid PoET proof.
    #[must_use]
    pub fn poet(&self, id: Challenge) -> Option<&PoetRecord> {
        self.records.poet(id)
    }

    /// How an accepted ATX counts in the epoch after its own.
    #[must_use]
    pub fn grade(&self, record: &Record) -> Grade {
        self.params.timing.grade(record.epoch, record.received, self.records.fraud_of_atx(record))
    }

    /// The ATXs that make up the active set of `epoch`: the good ones of the epoch before, by id.
    pub fn active_set(&self, epoch: Epoch) -> impl Iterator<Item = &Record> {
        let published = epoch.previous().into_iter().flat_map(|epoch| self.records.published_in(epoch));
        published.filter_map(|id| self.records.atx(id)).filter(|record| self.grade(record) == Grade::Good)
    }

    /// The weight of all ATXs in the active set of `epoch`.
    #[must_use]
    pub fn weight(&self, epoch: Epoch) -> u64 {
        self.active_set(epoch).fold(0, |sum, record| sum.saturating_add(record.weight))
    }

    /// The epochs in which known ATXs were published, ascending.
    pub fn epochs(&self) -> impl Iterator<Item = Epoch> {
        self.records.epochs()
    }

    /// How many ATXs published in `epoch` are known, frauds' and late ones too.
    #[must_use]
    pub fn known(&self, epoch: Epoch) -> usize {
        self.records.published_in(epoch).len()
    }

    /// The ids of the ATXs published in `epoch`, ascending.
    pub fn ids(&self, epoch: Epoch) -> impl Iterator<Item = AtxId> {
        self.records.published_in(epoch)
    }

    /// The last ATX a miner took part in.
    #[must_use]
    pub fn latest(&self, node_id: NodeId) -> Option<&Record> {
        self.records.history(node_id).next_back().and_then(|(_, id)| self.records.atx(id))
    }

    /// The ATX to build on before epoch `before`: the one that has reached most ticks, of several the one with the smallest
    /// id; the golden one when there is none. Frauds are left out.
    #[must_use]
    pub fn positioning(&self, before: Epoch) -> AtxId {
        let older = self.records.all().filter(|record| record.epoch < before);
        let honest = older.filter(|record| self.records.fraud_of_atx(record).is_none());
        // `max_by` takes the last of equals, and ids ascend.
        let highest = honest.max_by(|a, b| a.height().cmp(&b.height()).then(b.id.cmp(&a.id)));
        highest.map_or(self.params.golden_atx(), |record| record.id)
    }

    /// Whether an accepted ATX has lost its weight: there is a fraud proof of one of its miners, or of somebody married with
    /// one.
    #[must_use]
    pub fn is_of_fraud(&self, record: &Record) -> bool {
        self.records.fraud_of_atx(record).is_some()
    }

    /// Since when a miner has no weight: there is a fraud proof of it or of somebody it is married with.
    #[must_use]
    pub fn fraud_of(&self, node_id: NodeId) -> Option<Time> {
        self.records.fraud_of(std::iter::once(node_id))
    }

    /// The miners of whom there is a fraud proof, ascending.
    pub fn frauds(&self) -> impl Iterator<Item = NodeId> {
        self.records.convicted()
    }

    /// The ATXs a miner married in: none or one, unless it is a fraud.
    pub fn marriages(&self, node_id: NodeId) -> impl Iterator<Item = &Record> {
        self.records.marriages_of(node_id)
    }

    /// Who was asked for something by the last [`super::Effect::Fetch`] of it; `None` when nothing waits for it any more.
    #[must_use]
    pub fn asked(&self, what: &Need) -> Option<Peer> {
        self.pool.asked(what)
    }

    /// Undecided ATXs, and the bytes that are accounted for them.
    #[must_use]
    pub fn undecided(&self) -> (usize, usize) {
        self.pool.size()
    }
}
