//! What others say: proposals, ballots, blocks and transactions, checked from cheap to dear.

use super::ballots::ENOUGH;
use super::parked::{MAX_ATXS_OF_PEER, Need, Waiting};
use super::{Consensus, Effect, Inner, REMEMBERED, Step};
use crate::archive::{ArchiveError, Write};
use crate::ballot::{Ballot, Content, Proposal};
use crate::block::Block;
use crate::codec::{decode, encode};
use crate::eligibility::{slot_layer, slot_message, slots};
use crate::fraud::Statement;
use crate::ids::{BallotId, BlockId, Layer};
use crate::layers;
use crate::source::{Peer, Source, Topic, Verdict};
use crate::tortoise::{Chain, Counted, OpinionError, Uncountable};
use crate::transaction::Transaction;
use crate::wire::Thing;
use crate::{beacon, hare, mempool};

/// A ballot has no more slots than so many times what all miners together have in a layer.
const SLOTS_OF_LAYER: usize = 4;

/// Why a ballot is not counted now.
enum Stop {
    /// What it names has to come first.
    Wait(Need),
    /// It is of no use, or bad.
    Refuse(Verdict, String),
}

fn reject(why: impl ToString) -> Stop {
    Stop::Refuse(Verdict::Reject, why.to_string())
}

fn ignore(why: impl ToString) -> Stop {
    Stop::Refuse(Verdict::Ignore, why.to_string())
}

impl Consensus {
    /// Gossip.
    pub(super) fn hear(&mut self, step: &mut Step<'_>, topic: Topic, bytes: Vec<u8>, source: Source) {
        match topic {
            Topic::Proposal => match decode::<Proposal>(&bytes) {
                Ok(proposal) => self.take_proposal(step, proposal, source),
                Err(error) => self.verdict(step, source, Verdict::Reject, error.to_string()),
            },
            Topic::Hare => self.queue.push_back(Inner::Hare(hare::Input::Message { bytes, source })),
            Topic::Beacon => self.queue.push_back(Inner::Beacons(beacon::Input::Message { bytes, source })),
            Topic::Transaction => self.queue.push_back(Inner::Transaction { bytes, source }),
            Topic::Atx | Topic::Fraud => self.verdict(step, source, Verdict::Ignore, "not for agreement".into()),
        }
    }

    /// What a peer gave when it was asked.
    pub(super) fn delivered(&mut self, step: &mut Step<'_>, peer: Peer, thing: Thing, bytes: &[u8]) {
        let source = Source::Answer { peer };
        let taken = match thing {
            Thing::Ballot(id) => decode(bytes).map(|ballot| {
                self.queue.push_back(Inner::Ballot { id, ballot: Box::new(ballot), content: None, source });
            }),
            Thing::Proposal(_) => decode(bytes).map(|proposal| self.take_proposal(step, proposal, source)),
            Thing::Block(id) => decode(bytes).map(|block| self.queue.push_back(Inner::Block { id, block })),
            Thing::Transaction(_) => {
                self.queue.push_back(Inner::Transaction { bytes: bytes.to_vec(), source });
                Ok(())
            }
        };
        if let Err(error) = taken {
            self.verdict(step, source, Verdict::Reject, error.to_string());
            self.queue.push_back(Inner::Layers(layers::Input::Settled(thing)));
        }
    }

    pub(super) fn take_proposal(&mut self, step: &mut Step<'_>, proposal: Proposal, source: Source) {
        let id = proposal.ballot.id();
        if let Err(why) = proposal.check_content() {
            self.verdict(step, source, Verdict::Reject, why.to_string());
            return self.queue.push_back(Inner::Layers(layers::Input::Settled(Thing::Proposal(id))));
        }
        let Proposal { ballot, content } = proposal;
        self.queue.push_back(Inner::Ballot { id, ballot: Box::new(ballot), content: Some(content), source });
    }

    pub(super) fn take_ballot(
        &mut self,
        step: &mut Step<'_>,
        id: BallotId,
        ballot: Ballot,
        content: Option<Content>,
        source: Source,
    ) -> Result<(), ArchiveError> {
        if self.tortoise.ballot(id).is_some() || self.fresh.contains_key(&id) || step.archive.ballot(id)?.is_some() {
            self.take_known(step, id, &ballot, content, source);
            return Ok(());
        }
        if self.parked.has(id) {
            self.verdict(step, source, Verdict::Ignore, "it waits already".into());
            return Ok(());
        }
        match self.check(step, id, &ballot) {
            Ok(votes) => self.count(step, id, ballot, votes, (content, source)),
            // Anybody can make a key and name an ATX that isn't there.
            Err(Stop::Wait(Need::Atx(_))) if self.parked.atxs_of(source.peer()) >= MAX_ATXS_OF_PEER => {
                self.refuse(step, id, source, Verdict::Ignore, "too many ATXs are missing".into());
                Ok(())
            }
            // What it builds on comes with the layers before it, and so does it; from here one would fetch base by base.
            Err(Stop::Wait(Need::Base(_))) if self.is_far_behind() && matches!(source, Source::Gossip { .. }) => {
                self.verdict(step, source, Verdict::Ignore, "layers before it are not synced".into());
                Ok(())
            }
            Err(Stop::Wait(need)) => {
                let content = content.filter(|_| !matches!(need, Need::Atx(_)));
                self.need(step, need, source.peer());
                for (id, evicted) in self.parked.park(id, need, Waiting { ballot, content, source }) {
                    self.refuse(step, id, evicted.source, Verdict::Ignore, "too much is waiting".into());
                }
                Ok(())
            }
            Err(Stop::Refuse(verdict, why)) => {
                self.refuse(step, id, source, verdict, why);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, step: &mut Step<'_>, id: BallotId, source: Source, verdict: Verdict, why: String) {
        self.verdict(step, source, verdict, why);
        self.queue.push_back(Inner::Layers(layers::Input::Settled(Thing::Ballot(id))));
        self.queue.push_back(Inner::Layers(layers::Input::Settled(Thing::Proposal(id))));
    }

    /// A known ballot; its content may be new.
    fn take_known(
        &mut self,
        step: &mut Step<'_>,
        id: BallotId,
        ballot: &Ballot,
        content: Option<Content>,
        source: Source,
    ) {
        self.queue.push_back(Inner::Layers(layers::Input::Have(Thing::Ballot(id))));
        let is_new = self.ballots.content(ballot.layer, id).is_none() && !self.is_past(ballot.layer);
        self.queue.push_back(Inner::Layers(layers::Input::Have(Thing::Proposal(id))));
        match content.filter(|_| is_new) {
            // Its name doesn't cover the signature, and others will look at it.
            Some(_) if ballot.check(&self.verifier).is_err() => {
                self.verdict(step, source, Verdict::Reject, "the signature is not the smesher's".into());
            }
            Some(content) => {
                let writes = self.keep_content(step, id, ballot.layer, content, source.peer());
                step.out.push(Effect::Persist(writes));
                self.verdict(step, source, Verdict::Accept, "good".into());
                self.build_due = true;
            }
            None => self.verdict(step, source, Verdict::Ignore, "known already".into()),
        }
    }

    /// Whether nobody needs the contents of a layer any more.
    fn is_past(&self, layer: Layer) -> bool {
        let running = self.running.unwrap_or(layer);
        layer < running.before(self.params.consensus.hdist).min(self.tortoise.frontier())
    }

    /// Everything that is to be checked of a ballot. Others may build on one that passes, whatever it weighs.
    fn check(&mut self, step: &Step<'_>, id: BallotId, ballot: &Ballot) -> Result<Chain, Stop> {
        let timing = &self.params.timing;
        let soon = timing.layer_at(step.now.after(self.params.consensus.round_ms));
        if ballot.layer <= self.params.effective_genesis() {
            return Err(reject("nobody has weight in its layer"));
        }
        if soon.is_none_or(|soon| ballot.layer > soon) {
            return Err(ignore("its layer has not begun"));
        }
        if ballot.layer < self.tortoise.remembered() {
            return Err(ignore("its layer is long final"));
        }
        if ballot.slots.len() > SLOTS_OF_LAYER * self.params.consensus.proposals_per_layer as usize {
            return Err(reject("nobody has so many slots in a layer"));
        }
        ballot.check(&self.verifier).map_err(reject)?;
        let (layer, smesher) = (ballot.layer, ballot.smesher);
        let enough = self.ballots.of(layer, smesher).count() + self.parked.of(layer, smesher) >= ENOUGH;
        if enough && !self.parked.is_needed(id, |by| by != smesher && step.atxs.fraud_of(by).is_none()) {
            return Err(ignore("there are enough of its smesher's"));
        }
        let epoch = timing.epoch_of(ballot.layer);
        let Some(record) = step.atxs.atx(ballot.atx) else { return Err(Stop::Wait(Need::Atx(ballot.atx))) };
        let Some(part) = record.part(ballot.smesher).filter(|_| record.epoch.next() == epoch) else {
            return Err(reject("the ATX is not its smesher's for this epoch"));
        };
        let weight = u64::from(part.effective_units).saturating_mul(record.ticks);
        let nonce = record.vrf_nonce;
        self.electorate.prepare(step.atxs, epoch);
        let Some(roster) = self.electorate.roster(epoch) else { return Err(ignore("its epoch is not known")) };
        if roster.any(ballot.smesher).is_none_or(|member| member.atx != ballot.atx && !member.fraud) {
            return Err(ignore("the smesher has another ATX"));
        }
        // What a layer's ballots are expected to weigh counts up to the last one's, and ballots before it may be to come.
        if !self.is_synced() && self.tortoise.reach(ballot) > self.params.consensus.hdist.saturating_mul(REMEMBERED) {
            return Err(ignore("it builds on what is far back, and layers are not synced"));
        }
        // Draws are dear to check, so they come last.
        let votes = self.tortoise.understand(ballot).map_err(|why| match why {
            Uncountable::Base(base) => Stop::Wait(Need::Base(base)),
            Uncountable::BaseLayer | Uncountable::Opinion(OpinionError::Other) => reject(why),
            Uncountable::Opinion(OpinionError::TooOld) => ignore(why),
        })?;
        let slots = slots(weight, ballot.total_weight, &self.params);
        for slot in &ballot.slots {
            let message = slot_message(ballot.beacon, epoch, nonce, slot.counter);
            let layer = slot_layer(&slot.proof, epoch, &self.params.timing);
            if !slots.has(slot.counter, &slot.proof) || layer != ballot.layer {
                return Err(reject("a slot is not the smesher's, or of another layer"));
            }
            self.verifier.drawn(ballot.smesher, &message, &slot.proof).map_err(reject)?;
        }
        Ok(votes)
    }

    fn count(
        &mut self,
        step: &mut Step<'_>,
        id: BallotId,
        ballot: Ballot,
        votes: Chain,
        (content, source): (Option<Content>, Source),
    ) -> Result<(), ArchiveError> {
        let Ballot { layer, opinion, smesher, beacon, .. } = ballot;
        self.electorate.prepare_layers(step.atxs, layer, layer);
        let bytes = encode(&ballot);
        if let Some(other) = self.ballots.contradicted_by(id, &ballot) {
            let known = match self.fresh.get(&other) {
                Some(other) => Some(other.clone()),
                None => step.archive.ballot(other)?.and_then(|bytes| decode(&bytes).ok()),
            };
            if let Some(other) = known {
                self.accuse(step, smesher, [Statement::Ballot(other), Statement::Ballot(ballot.clone())]);
            }
        }
        let member = self.electorate.roster_at(layer).and_then(|roster| roster.any(smesher));
        let fraud = member.is_some_and(|member| member.fraud);
        if fraud {
            self.tortoise.convict(smesher);
        }
        let epoch = self.params.timing.epoch_of(layer);
        let claimed = self.weigh_by_any(step.atxs, &ballot);
        let weight = if self.electorate.is_likely(epoch, beacon) { claimed } else { 0 };
        self.tortoise.count(id, Counted { layer, opinion, smesher, beacon, weight }, votes);
        self.ballots.insert(id, &ballot);
        let mut writes = vec![Write::Ballot { id, layer, bytes }];
        writes.extend(self.tortoise.take_fresh().into_iter().map(|link| Write::Opinion {
            opinion: link.opinion(),
            layer: link.layer,
            bytes: encode(&link),
        }));
        if let Some(content) = content.filter(|_| !self.is_past(layer)) {
            writes.extend(self.keep_content(step, id, layer, content, source.peer()));
        }
        step.out.push(Effect::Persist(writes));
        self.fresh.insert(id, ballot);
        let verdict = if fraud { Verdict::Ignore } else { Verdict::Accept };
        self.verdict(step, source, verdict, if fraud { "its smesher is a fraud" } else { "good" }.into());
        let better = self.electorate.claim(layer, smesher, beacon, if fraud { 0 } else { claimed });
        if self.electorate.becomes_likely(epoch, beacon) {
            self.reweigh(step, epoch, beacon)?;
        }
        if let Some(beacon) = better {
            self.set_beacon(step, epoch, beacon);
            self.reweigh(step, epoch, beacon)?;
        }
        self.queue.push_back(Inner::Layers(layers::Input::Have(Thing::Ballot(id))));
        self.queue.push_back(Inner::Layers(layers::Input::Have(Thing::Proposal(id))));
        self.release(Need::Base(id));
        self.build_due = true;
        self.settle_due = true;
        Ok(())
    }

    /// What a proposal wants in the block; what it names and isn't here is asked for.
    fn keep_content(
        &mut self,
        step: &mut Step<'_>,
        id: BallotId,
        layer: Layer,
        content: Content,
        from: Option<Peer>,
    ) -> Vec<Write> {
        let unknown = content.atxs.iter().chain(&content.revoked).filter(|id| step.atxs.atx(**id).is_none());
        let atxs: Vec<_> = unknown.copied().collect();
        if !atxs.is_empty() {
            step.out.push(Effect::FetchAtxs { atxs, from });
        }
        for tx in &content.txs {
            if self.mempool.get(*tx).is_none() && !matches!(step.archive.transaction(*tx), Ok(Some(_))) {
                self.want(Thing::Transaction(*tx), from);
            }
        }
        let bytes = encode(&content);
        self.ballots.insert_content(layer, id, content);
        vec![Write::Content { id, layer, bytes }]
    }

    fn need(&mut self, step: &mut Step<'_>, need: Need, from: Option<Peer>) {
        match need {
            Need::Base(id) => self.want(Thing::Ballot(id), from),
            Need::Atx(id) => step.out.push(Effect::FetchAtxs { atxs: vec![id], from }),
        }
    }

    pub(super) fn want(&mut self, thing: Thing, from: Option<Peer>) {
        self.queue.push_back(Inner::Layers(layers::Input::Want { thing, from }));
    }

    /// Something came that ballots waited for.
    pub(super) fn release(&mut self, need: Need) {
        for (id, Waiting { ballot, content, source }) in self.parked.released(need) {
            self.queue.push_back(Inner::Ballot { id, ballot: Box::new(ballot), content, source });
        }
    }

    pub(super) fn take_block(&mut self, step: &mut Step<'_>, id: BlockId, block: Block) {
        // Anybody can make a block, and vote for it; one is of use when most ballots do.
        if self.tortoise.leading_block(block.layer) != Some(id) {
            return self.queue.push_back(Inner::Layers(layers::Input::Settled(Thing::Block(id))));
        }
        self.keep_block(step, id, block);
        self.queue.push_back(Inner::Layers(layers::Input::Have(Thing::Block(id))));
        self.settle_due = true;
    }

    pub(super) fn take_transaction(&mut self, step: &mut Step<'_>, bytes: Vec<u8>, source: Source) {
        if let Source::Answer { .. } = source {
            return self.take_asked(step, bytes, source);
        }
        let mut effects = Vec::new();
        let id = decode::<Transaction>(&bytes).map(|tx| tx.id());
        if let Ok(id) = id
            && matches!(step.archive.transaction(id), Ok(Some(_)))
        {
            // A block may have named it, with no effect: whoever applies that block needs it.
            self.kept.insert(id);
        }
        let Self { mempool, ledger, verifier, blocks, ballots, kept, .. } = self;
        let named =
            |id| kept.contains(&id) || blocks.values().any(|block| block.txs.contains(&id)) || ballots.names(id);
        mempool.take(&bytes, source, ledger, verifier, &named, &mut effects);
        self.after_mempool(step, effects);
    }

    /// A transaction that a block or a proposal names is kept whatever may be thought of it; it may have no effect.
    fn take_asked(&mut self, step: &mut Step<'_>, bytes: Vec<u8>, source: Source) {
        let tx = decode::<Transaction>(&bytes).ok().filter(|tx| tx.signature_holds(&self.verifier));
        let Some(tx) = tx else {
            return self.verdict(step, source, Verdict::Reject, "no transaction, or not signed".into());
        };
        let id = tx.id();
        self.kept.insert(id);
        step.out.push(Effect::Persist(vec![Write::Transaction { id, bytes }]));
        self.asked.insert(id, tx);
        self.queue.push_back(Inner::Layers(layers::Input::Have(Thing::Transaction(id))));
        self.build_due = true;
        self.settle_due = true;
    }

    pub(super) fn after_mempool(&mut self, step: &mut Step<'_>, effects: Vec<mempool::Effect>) {
        for effect in effects {
            match effect {
                mempool::Effect::Persist(writes) => step.out.push(Effect::Persist(writes)),
                mempool::Effect::Verdict { source, verdict, why } => {
                    self.verdict(step, source, verdict, why.to_string());
                }
                mempool::Effect::Gossip { bytes } => {
                    step.out.push(Effect::Gossip { topic: Topic::Transaction, bytes });
                }
            }
        }
    }

    pub(super) fn keep_block(&mut self, step: &mut Step<'_>, id: BlockId, block: Block) {
        if block.layer >= self.tortoise.frontier() {
            let layer = block.layer;
            step.out.push(Effect::Persist(vec![Write::Block { id, layer, bytes: encode(&block) }]));
            self.blocks.insert(id, block);
        }
    }
}
