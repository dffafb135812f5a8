//! The state again from what was kept.

use super::Consensus;
use crate::archive::{Archive, ArchiveError};
use crate::atxs::Atxs;
use crate::ballot::{Ballot, Vote};
use crate::block::Block;
use crate::codec::{DecodeError, decode};
use crate::ids::{Epoch, Layer};
use crate::ledger::LedgerError;
use crate::tortoise::{Chain, Counted, Link};

/// What was kept can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The database failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Bytes that are nothing.
    #[error("what was kept of layers is damaged: {0}; start with an empty database and sync")]
    Damaged(#[from] DecodeError),
    /// The ledger.
    #[error("the ledger: {0}")]
    Ledger(#[from] LedgerError),
}

impl Consensus {
    /// Goes on where it was. The ATXs and frauds must be back.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(&mut self, archive: &dyn Archive, atxs: &Atxs) -> Result<(), RestoreError> {
        self.ledger.restore(archive)?;
        self.mempool.restore(archive, &self.ledger)?;
        // A final block may name any of them, without effect; whoever applies that block later needs it.
        self.kept = self.mempool.ids().collect();
        self.spoke = archive.spoke()?;
        self.silent = self.spoke;
        if let Some(last) = archive.last_applied()?
            && let Some(applied) = archive.applied(last)?
        {
            let remembered = last.next().before(self.params.consensus.hdist.saturating_mul(super::REMEMBERED));
            let links: Vec<Vec<u8>> = archive.opinions(remembered)?;
            let links = links.iter().map(|bytes| decode(bytes)).collect::<Result<Vec<Link>, DecodeError>>()?;
            self.tortoise.restore(last.next(), applied.opinion, links);
        } else {
            let links: Vec<Vec<u8>> = archive.opinions(Layer(0))?;
            let links = links.iter().map(|bytes| decode(bytes)).collect::<Result<Vec<Link>, DecodeError>>()?;
            self.tortoise.restore(self.tortoise.frontier(), self.tortoise.settled(), links);
        }
        for node_id in atxs.frauds() {
            self.tortoise.convict(node_id);
            let married = atxs.marriages(node_id).flat_map(|record| record.married.iter().copied());
            married.for_each(|node_id| self.tortoise.convict(node_id));
        }
        let Some(last) = archive.last_ballots()? else { return Ok(()) };
        let first = self.tortoise.remembered();
        let epoch_of = |layer| self.params.timing.epoch_of(layer);
        for epoch in epoch_of(first).0.saturating_sub(1)..=epoch_of(last).0.saturating_add(1) {
            if let Some(beacon) = archive.beacon(Epoch(epoch))? {
                self.electorate.set_beacon(Epoch(epoch), beacon);
            }
        }
        self.restore_draws(archive, atxs, self.params.timing.first_layer(epoch_of(last)), first)?;
        for layer in first.0..=last.0 {
            self.restore_layer(archive, atxs, Layer(layer))?;
        }
        // What a ballot weighs depends on the beacons that others name.
        for layer in first.0..=last.0 {
            for id in archive.ballots(Layer(layer))? {
                if let Some(bytes) = archive.ballot(id)? {
                    self.tortoise.reweigh(id, self.weigh(atxs, &decode(&bytes)?));
                }
            }
        }
        Ok(())
    }

    /// Slots, totals and beacons of ballots of layers that are remembered for nothing else.
    fn restore_draws(
        &mut self,
        archive: &dyn Archive,
        atxs: &Atxs,
        first: Layer,
        end: Layer,
    ) -> Result<(), RestoreError> {
        for layer in (first.0..end.0).map(Layer) {
            self.electorate.prepare_layers(atxs, layer, layer);
            for id in archive.ballots(layer)? {
                let Some(bytes) = archive.ballot(id)? else { continue };
                let ballot = decode(&bytes)?;
                self.ballots.insert_draws(id, &ballot);
                self.restore_claim(atxs, &ballot);
            }
        }
        Ok(())
    }

    /// What most ballots name may be another beacon than the one that was kept.
    fn restore_claim(&mut self, atxs: &Atxs, ballot: &Ballot) {
        let weight = self.weigh_by_any(atxs, ballot);
        let epoch = self.params.timing.epoch_of(ballot.layer);
        if let Some(better) = self.electorate.claim(ballot.layer, ballot.smesher, ballot.beacon, weight) {
            self.electorate.set_beacon(epoch, better);
        }
        self.electorate.becomes_likely(epoch, ballot.beacon);
    }

    fn restore_layer(&mut self, archive: &dyn Archive, atxs: &Atxs, layer: Layer) -> Result<(), RestoreError> {
        self.electorate.prepare_layers(atxs, layer, layer);
        for id in archive.ballots(layer)? {
            let Some(bytes) = archive.ballot(id)? else { continue };
            let ballot: Ballot = decode(&bytes)?;
            if !self.tortoise.knows(ballot.opinion) {
                continue;
            }
            let Ballot { opinion, smesher, beacon, .. } = ballot;
            self.tortoise.count(id, Counted { layer, opinion, smesher, beacon, weight: 0 }, Chain::default());
            self.ballots.insert(id, &ballot);
            self.restore_claim(atxs, &ballot);
            if let Some(bytes) = archive.content(id)? {
                self.ballots.insert_content(layer, id, decode(&bytes)?);
            }
        }
        if layer >= self.tortoise.frontier()
            && let Some(id) = archive.hare(layer)?
            && let Some(bytes) = archive.block(id)?
        {
            let block: Block = decode(&bytes)?;
            self.decided.insert(layer, Vote::Block { id, height: block.height });
            self.blocks.insert(id, block);
        }
        Ok(())
    }
}
