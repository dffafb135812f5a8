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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::archive::{Archive, Memory};
    use crate::block::Reward;
    use crate::codec::encode;
    use crate::crypto::KeyedHash;
    use crate::ids::{Address, Signature, TxId};
    use crate::layers;
    use crate::params::NodeParams;
    use crate::signature::{Signer, Verifier};
    use crate::source::Peer;
    use crate::time::Time;
    use crate::transaction::address_of;

    struct Desk {
        params: NodeParams,
        signer: Signer,
        archive: Memory,
        atxs: Atxs,
        consensus: Consensus,
    }

    fn verifier(params: &NodeParams) -> Verifier {
        Verifier::with(Arc::new(KeyedHash::default()), params.genesis_id)
    }

    fn consensus(params: &NodeParams) -> Consensus {
        Consensus::new(params, verifier(params), vec![], layers::Config::new(&params.timing, [0; 32]))
    }

    impl Desk {
        fn new() -> Self {
            let params = NodeParams::devnet(Time(0));
            let signer = Signer::with(&KeyedHash::default(), params.genesis_id, &[1; 32]);
            let atxs = Atxs::new(&params, verifier(&params), Peer([1; 32]));
            let consensus = consensus(&params);
            Self { params, signer, archive: Memory::default(), atxs, consensus }
        }

        fn restart(&mut self) {
            self.consensus = consensus(&self.params);
            self.consensus.restore(&self.archive, &self.atxs).unwrap();
        }

        fn tx(&self, nonce: u64, amount: u64) -> Transaction {
            let (from, to) = (self.signer.node_id(), Address([0; 24]));
            let mut tx = Transaction { from, to, amount, fee: 1, nonce, signature: Signature([0; 64]) };
            tx.sign(&self.signer);
            tx
        }

        fn keeps(&mut self, tx: &Transaction) -> TxId {
            self.archive.write(Write::Transaction { id: tx.id(), bytes: encode(tx) });
            tx.id()
        }

        /// A block that pays the account, and has these transactions, is final.
        fn final_block(&mut self, txs: &[Transaction]) {
            let layer = self.consensus.ledger.last().map_or(Layer(20), Layer::next);
            let rewards = vec![Reward { coinbase: address_of(&self.signer.node_id()), weight: 1 }];
            let txs_named = txs.iter().map(|tx| self.keeps(tx)).collect();
            let block = Block { layer, height: 0, rewards, atxs: vec![], revoked: vec![], txs: txs_named };
            let (id, mut out) = (block.id(), Vec::new());
            let mut step = Step { now: Time(0), archive: &self.archive, atxs: &self.atxs, out: &mut out };
            let vote = Vote::Block { id, height: 0 };
            assert!(self.consensus.apply(&mut step, layer, vote, Some((id, block)), txs));
            for effect in out {
                if let Effect::Persist(writes) = effect {
                    writes.into_iter().for_each(|write| self.archive.write(write));
                }
            }
        }
    }

    /// A final block may name a transaction that has no effect in it, and may never have one. Nodes that sync need it still.
    #[test]
    fn what_final_blocks_name_outlives_a_restart_and_its_use() {
        for remembers in [true, false] {
            let mut desk = Desk::new();
            desk.final_block(&[]);
            let early = desk.tx(1, 5);
            desk.final_block(std::slice::from_ref(&early));
            desk.restart();
            assert!(desk.consensus.mempool.get(early.id()).is_some(), "its turn may come");
            if !remembers {
                desk.consensus.kept.clear();
            }
            let txs = [desk.tx(0, 1), desk.tx(1, 6)];
            desk.final_block(&txs);
            assert!(desk.consensus.mempool.get(early.id()).is_none(), "its turn is over");
            assert_eq!(desk.archive.transaction(early.id()).unwrap().is_some(), remembers);
        }
    }
}
