//! What the smesher may ask, and what the node tells about itself.

use super::Node;
use crate::atxs::{Atxs, Record};
use crate::ids::{AtxId, Epoch, Layer, NodeId};
use crate::ledger::Totals;
use crate::params::Timing;
use crate::smeshing::{MinerStatus, OwnAtx, View};
use crate::status::{AgreementStatus, AtxStatus, EpochStatus, SmesherStatus, Status};
use crate::sync::{Progress, Sync};
use crate::time::{Grade, Time};

/// What other machines know, as the smesher sees it.
pub(super) struct Known<'a> {
    pub(super) atxs: &'a Atxs,
    pub(super) sync: &'a Sync,
}

impl View for Known<'_> {
    fn is_synced(&self) -> bool {
        self.sync.is_synced()
    }

    fn latest(&self, node_id: NodeId) -> Option<OwnAtx> {
        let record = self.atxs.latest(node_id)?;
        let part = record.part(node_id)?;
        Some(OwnAtx {
            id: record.id,
            publish_epoch: record.epoch,
            units: part.units,
            vrf_nonce: record.vrf_nonce,
            commitment_atx: part.commitment,
        })
    }

    fn positioning(&self, publish_epoch: Epoch) -> AtxId {
        self.atxs.positioning(publish_epoch)
    }

    fn is_fraud(&self, node_id: NodeId) -> bool {
        self.atxs.fraud_of(node_id).is_some()
    }
}

impl Node {
    /// Where its own miners are in their cycle.
    #[must_use]
    pub fn miners(&self) -> Vec<MinerStatus> {
        self.smesher.phases()
    }

    /// The first layer with ballots.
    #[must_use]
    pub fn first_layer(&self) -> Layer {
        self.params.effective_genesis().next()
    }

    /// How far a pass of synchronization is; `None` between two.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.sync.progress()
    }

    /// Where all that was issued is.
    #[must_use]
    pub fn ledger_totals(&self) -> Totals {
        self.consensus.ledger().totals()
    }

    /// What it remembers of agreement: ballots, votes, ballots that wait.
    #[must_use]
    pub fn agreement_size(&self) -> (usize, usize, usize) {
        self.consensus.size()
    }

    /// What it tells about itself; what only the shell knows is left empty.
    #[must_use]
    pub fn status(&self, now: Time) -> Status {
        let timing: &Timing = &self.params.timing;
        let epoch = timing.epoch_at(now);
        let progress = self.sync.progress();
        let epochs: Vec<Epoch> = self.atxs.epochs().collect();
        let have: u64 = epochs.iter().map(|epoch| self.atxs.known(*epoch) as u64).sum();
        let of = progress.map_or(have, |progress| have.max(progress.total));
        let (parked, _) = self.atxs.undecided();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            genesis_id: self.params.genesis_id.to_string(),
            peer: String::new(),
            now_ms: now.0,
            epoch: epoch.map(|epoch| epoch.0),
            layer: timing.layer_at(now).map(|layer| layer.0),
            synced: self.sync.is_synced(),
            sync: crate::status::Sync { have, of },
            peers: 0,
            frauds: self.atxs.frauds().count(),
            parked,
            // Older ones change no more, and to add up weights takes time.
            epochs: epochs.into_iter().rev().take(EPOCHS).rev().map(|epoch| self.epoch_status(epoch)).collect(),
            agreement: self.agreement_status(epoch),
            smeshing: self.miners().iter().map(|miner| smesher_status(miner, now)).collect(),
        }
    }

    fn agreement_status(&self, epoch: Option<Epoch>) -> AgreementStatus {
        let totals = self.consensus.ledger().totals();
        AgreementStatus {
            synced: self.consensus.is_synced(),
            frontier: self.consensus.frontier().0,
            last: None,
            beacon: epoch.and_then(|epoch| self.consensus.beacon(epoch)).map(|beacon| beacon.to_string()),
            issued: totals.issued,
            held: totals.held,
            claimable: totals.claimable,
            burned: totals.burned,
            carried: totals.carried,
        }
    }

    fn epoch_status(&self, epoch: Epoch) -> EpochStatus {
        let atxs = self.atxs.known(epoch) as u64;
        EpochStatus { epoch: epoch.0, atxs, weight: self.atxs.weight(epoch.next()) }
    }

    /// The ATXs published in `epoch` that come after `after`, ascending by id, no more than `limit`.
    #[must_use]
    pub fn atx_statuses(&self, epoch: Epoch, after: Option<AtxId>, limit: usize) -> Vec<AtxStatus> {
        let later = self.atxs.ids(epoch).filter(|id| after.is_none_or(|after| *id > after));
        later.take(limit).filter_map(|id| Some(self.atx_status(self.atxs.atx(id)?))).collect()
    }

    fn atx_status(&self, record: &Record) -> AtxStatus {
        let grade = self.atxs.grade(record);
        AtxStatus {
            id: record.id.to_string(),
            smesher: record.smesher.to_string(),
            miners: record.parts.iter().map(|part| part.node_id.to_string()).collect(),
            units: record.parts.iter().map(|part| u64::from(part.effective_units)).sum(),
            weight: if grade == Grade::Good { record.weight } else { 0 },
            grade: match grade {
                Grade::Good => "good",
                Grade::Acceptable => "acceptable",
                Grade::Evil => "evil",
            }
            .into(),
        }
    }
}

/// So many epochs are told of.
const EPOCHS: usize = 4;

/// Warnings older than this are no news.
const NEWS_MS: u64 = 3_600_000;

fn smesher_status(miner: &MinerStatus, now: Time) -> SmesherStatus {
    let news = miner.warning.as_ref().filter(|(at, _)| now.since(*at) < NEWS_MS);
    SmesherStatus {
        node_id: miner.node_id.to_string(),
        phase: miner.phase.to_string(),
        publish_epoch: miner.publish_epoch.map(|epoch| epoch.0),
        prover: miner.prover,
        warning: news.map(|(_, warning)| warning.to_string()),
    }
}
