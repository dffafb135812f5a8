//! Final layers: their blocks are applied to the ledger, one by one.

use super::{Consensus, Effect, Step};
use crate::archive::{Applied, ArchiveError, Write};
use crate::atxs::{Atxs, Record};
use crate::ballot::Vote;
use crate::block::Block;
use crate::codec::decode;
use crate::ids::{AtxId, BlockId, Layer};
use crate::ledger::AtxFacts;
use crate::tortoise::extend;
use crate::transaction::Transaction;
use crate::wire::Thing;

/// Blocks of so many layers are asked for at once.
const BLOCKS_AHEAD: u32 = 256;

impl Consensus {
    /// Applies the layers that are final, as far as everything is here that they name.
    pub(super) fn settle(&mut self, step: &mut Step<'_>) -> Result<(), ArchiveError> {
        // Without all ATXs nobody knows what two thirds are.
        if !self.atxs_synced {
            return Ok(());
        }
        let Some(last) = self.tortoise.last() else { return Ok(()) };
        self.electorate.prepare_layers(step.atxs, self.tortoise.frontier(), last);
        while let Some(vote) = self.tortoise.final_vote(|layer| self.electorate.expected(layer)) {
            let layer = self.tortoise.frontier();
            let (block, txs) = match vote {
                Vote::Block { id, .. } => match self.whole_block(step, id)? {
                    Some((block, txs)) => (Some((id, block)), txs),
                    None => return Ok(()),
                },
                _ => (None, Vec::new()),
            };
            if !self.apply(step, layer, vote, block, &txs) {
                return Ok(());
            }
            self.tortoise.settle(vote);
            self.decided.remove(&layer);
            self.agreed.remove(&layer);
        }
        Ok(())
    }

    /// A block with its transactions; `None` while something that it names isn't here, which is asked for.
    fn whole_block(
        &mut self,
        step: &mut Step<'_>,
        id: BlockId,
    ) -> Result<Option<(Block, Vec<Transaction>)>, ArchiveError> {
        let known = match self.blocks.get(&id) {
            Some(block) => Some(block.clone()),
            None => step.archive.block(id)?.and_then(|bytes| decode(&bytes).ok()),
        };
        let Some(block) = known else {
            self.want(Thing::Block(id), None);
            self.want_blocks_ahead(step)?;
            return Ok(None);
        };
        let named = block.atxs.iter().chain(&block.revoked);
        let atxs: Vec<AtxId> = named.filter(|id| step.atxs.atx(**id).is_none()).copied().collect();
        let mut txs = Vec::with_capacity(block.txs.len());
        let mut whole = atxs.is_empty();
        for id in &block.txs {
            match self.transaction(step, *id)? {
                Some(transaction) => txs.push(transaction),
                None => {
                    self.want(Thing::Transaction(*id), None);
                    whole = false;
                }
            }
        }
        if !atxs.is_empty() {
            step.out.push(Effect::FetchAtxs { atxs, from: None });
        }
        Ok(whole.then_some((block, txs)))
    }

    /// A node that is far behind asks for the blocks of many layers at once.
    fn want_blocks_ahead(&mut self, step: &Step<'_>) -> Result<(), ArchiveError> {
        let frontier = self.tortoise.frontier();
        if frontier.after(BLOCKS_AHEAD / 2) < self.blocks_wanted {
            return Ok(());
        }
        let first = self.blocks_wanted.max(frontier.next());
        let end = frontier.after(BLOCKS_AHEAD).min(self.tortoise.last().unwrap_or(frontier));
        for layer in (first.0..end.0).map(Layer) {
            if let Some(id) = self.tortoise.leading_block(layer)
                && step.archive.block(id)?.is_none()
            {
                self.want(Thing::Block(id), None);
            }
        }
        self.blocks_wanted = end.max(first);
        Ok(())
    }

    /// Applies a final layer; whether that could be done.
    fn apply(
        &mut self,
        step: &mut Step<'_>,
        layer: Layer,
        vote: Vote,
        block: Option<(BlockId, Block)>,
        txs: &[Transaction],
    ) -> bool {
        let facts = |id| step.atxs.atx(id).map(|record| facts(step.atxs, record));
        let with_txs = block.as_ref().map(|(_, block)| (block, txs));
        let (root, mut writes) = match self.ledger.apply(layer, with_txs, &facts) {
            Ok(applied) => applied,
            Err(error) => {
                let what = format!("layer {layer} could not be applied, which is a defect: {error}");
                step.out.push(Effect::Tell { warning: true, what });
                return false;
            }
        };
        let opinion = extend(self.tortoise.settled(), vote);
        self.blocks.retain(|_, other| other.layer > layer);
        let block = block.map(|(id, block)| {
            // It may have come by its name, before it was known to be of use.
            writes.push(Write::Block { id, layer, bytes: crate::codec::encode(&block) });
            (id, block)
        });
        let id = block.as_ref().map(|(id, _)| *id);
        writes.push(Write::Applied { layer, applied: Applied { block: id, root, opinion } });
        step.out.push(Effect::Persist(writes));
        if let Some((_, block)) = &block {
            let mut effects = Vec::new();
            let Self { mempool, ledger, blocks, ballots, kept, .. } = self;
            // Whoever applies the block later needs all that it names, whether it has an effect or not.
            kept.retain(|id| mempool.get(*id).is_some());
            kept.extend(&block.txs);
            let named =
                |id| kept.contains(&id) || blocks.values().any(|block| block.txs.contains(&id)) || ballots.names(id);
            mempool.applied(&block.txs, ledger, &named, &mut effects);
            self.after_mempool(step, effects);
        }
        let what = id.map_or("no block".into(), |id| format!("block {id}"));
        step.out.push(Effect::Tell { warning: false, what: format!("layer {layer} is final: {what}, state {root}") });
        true
    }
}

/// What the ledger has to know of an ATX.
fn facts(atxs: &Atxs, record: &Record) -> AtxFacts {
    let previous = record.parts.iter().filter_map(|part| part.previous).filter(|id| atxs.atx(*id).is_some());
    AtxFacts {
        target: record.epoch.next(),
        weight: record.weight,
        coinbase: record.coinbase,
        miners: record.parts.iter().map(|part| part.node_id).collect(),
        previous: previous.collect(),
    }
}
