//! The whole node as one pure machine: what happens goes in, what is to be done comes out, in order.
//!
//! It joins the machines that know ATXs ([`crate::atxs`]), fetch what is missing ([`crate::sync`]) and smesh
//! ([`crate::smeshing`]); each one's effects are another one's inputs, or the shell's work. No clock, no randomness, no I/O:
//! the shell of a real node and a simulated world drive the same code.

mod accounts;
mod io;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use io::{Effect, Input};

use crate::archive::{Archive, ArchiveError};
use crate::atx::Received;
use crate::atxs::{self, Atxs, Need, Reason};
use crate::codec::{decode, encode};
use crate::consensus::{self, Consensus};
use crate::ids::{Address, AtxId, Challenge};
use crate::layers;
use crate::params::NodeParams;
use crate::poet::PoetProof;
use crate::signature::{Signer, Verifier};
use crate::smeshing::{self, Smesher};
use crate::source::{Peer, Source, Topic, Verdict};
use crate::sync::{self, Delivery, Sync};
use crate::time::Time;

/// A node.
#[derive(Debug)]
pub struct Node {
    params: NodeParams,
    atxs: Atxs,
    sync: Sync,
    consensus: Consensus,
    smesher: Smesher,
    /// Own ATXs that are being judged.
    publishing: BTreeSet<AtxId>,
    /// When an own ATX of the running epoch was gossiped last.
    told: BTreeMap<AtxId, Time>,
    listening: bool,
}

/// An input of one of the machines.
enum Inner {
    Atxs(atxs::Input),
    Sync(sync::Input),
    Consensus(consensus::Input),
    Smesher(smeshing::Input),
}

/// What a node is made of.
pub struct Config {
    /// The network.
    pub params: NodeParams,
    /// What checks signatures and draws.
    pub verifier: Verifier,
    /// This node's name among its peers.
    pub peer: Peer,
    /// Who is paid.
    pub coinbase: Address,
    /// The keys of its miners.
    pub signers: Vec<Signer>,
    /// How it syncs.
    pub sync: sync::Config,
}

impl Node {
    /// A node that knows nothing yet. What its archive holds is taken back by [`Node::restore_poet`], then
    /// [`Node::restore_atx`] epoch by epoch, then [`Node::restore_fraud`], then [`Node::restore_smeshing`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config { params, verifier, peer, coinbase, signers, sync } = config;
        let layers = layers::Config { alone_ms: sync.alone_ms, ..layers::Config::new(&params.timing, peer.0) };
        Self {
            atxs: Atxs::new(&params, verifier.clone(), peer),
            consensus: Consensus::new(&params, verifier, signers.clone(), layers),
            sync: Sync::new(sync),
            smesher: Smesher::new(params.clone(), coinbase, signers),
            publishing: BTreeSet::new(),
            told: BTreeMap::new(),
            listening: false,
            params,
        }
    }

    /// Takes a kept PoET proof back.
    ///
    /// # Errors
    /// [`atxs::RestoreError`], as for the next two.
    pub fn restore_poet(&mut self, bytes: &[u8]) -> Result<(), atxs::RestoreError> {
        self.atxs.restore_poet(bytes)
    }

    /// Takes a kept ATX back.
    ///
    /// # Errors
    /// [`atxs::RestoreError`].
    pub fn restore_atx(&mut self, received: Time, atx: &Received) -> Result<(), atxs::RestoreError> {
        self.atxs.restore(received, atx)
    }

    /// Takes a kept fraud proof back.
    ///
    /// # Errors
    /// [`atxs::RestoreError`].
    pub fn restore_fraud(&mut self, received: Time, bytes: &[u8]) -> Result<(), atxs::RestoreError> {
        self.atxs.restore_fraud(received, bytes)
    }

    /// Goes on where the agreement was; the ATXs and frauds must be back.
    ///
    /// # Errors
    /// [`consensus::RestoreError`].
    pub fn restore_consensus(&mut self, archive: &dyn Archive) -> Result<(), consensus::RestoreError> {
        self.consensus.restore(archive, &self.atxs)
    }

    /// Goes on where the miners were.
    ///
    /// # Errors
    /// [`smeshing::RestoreError`].
    pub fn restore_smeshing(&mut self, archive: &dyn Archive) -> Result<(), smeshing::RestoreError> {
        self.smesher.restore(archive)
    }

    /// Takes one step. What earlier steps persisted must be in `archive`.
    ///
    /// # Errors
    /// [`ArchiveError`]; the node can't go on then.
    pub fn step(
        &mut self,
        now: Time,
        archive: &dyn Archive,
        input: Input,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        let mut inner = VecDeque::new();
        match input {
            Input::Tick => self.tell_again(now, archive, out)?,
            // Whoever comes may be the first to hear of it.
            Input::PeerUp(_) => self.told.clear(),
            _ => {}
        }
        self.begin(input, &mut inner, out);
        while let Some(input) = inner.pop_front() {
            match input {
                Inner::Atxs(input) => {
                    let mut effects = Vec::new();
                    self.atxs.step(now, archive, input, &mut effects)?;
                    effects.into_iter().for_each(|effect| self.after_atxs(effect, &mut inner, out));
                }
                Inner::Sync(input) => {
                    let mut effects = Vec::new();
                    self.sync.step(now, archive, input, &mut effects)?;
                    effects.into_iter().for_each(|effect| self.after_sync(effect, &mut inner, out));
                    self.listen(&mut inner);
                }
                Inner::Consensus(input) => {
                    let mut effects = Vec::new();
                    self.consensus.step(now, archive, &self.atxs, input, &mut effects)?;
                    effects.into_iter().for_each(|effect| self.after_consensus(effect, &mut inner, out));
                }
                Inner::Smesher(input) => {
                    let mut effects = Vec::new();
                    let view = view::Known { atxs: &self.atxs, sync: &self.sync };
                    self.smesher.step(now, &view, input, &mut effects);
                    for effect in effects {
                        self.after_smesher(archive, effect, &mut inner, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn begin(&self, input: Input, inner: &mut VecDeque<Inner>, out: &mut Vec<Effect>) {
        match input {
            Input::Tick => {
                inner.push_back(Inner::Sync(sync::Input::Timer));
                inner.push_back(Inner::Atxs(atxs::Input::Tick));
                inner.push_back(Inner::Consensus(consensus::Input::Tick));
                inner.push_back(Inner::Smesher(smeshing::Input::Tick));
            }
            Input::Atx { received, source } => inner.push_back(Inner::Atxs(atxs::Input::Atx { received, source })),
            Input::Junk { source, id, why } => {
                self.verdict(source, Verdict::Reject, why, inner, out);
                id.into_iter().for_each(|id| self.missing(Need::Atx(id), inner));
            }
            Input::Crowded { source, id } => {
                self.crowded(source, "no room".into(), inner, out);
                id.into_iter().for_each(|id| self.missing(Need::Atx(id), inner));
            }
            Input::Judged { id, judgement } => inner.push_back(Inner::Atxs(atxs::Input::Judged { id, judgement })),
            Input::Fraud { bytes, source } => inner.push_back(Inner::Atxs(atxs::Input::Fraud { bytes, source })),
            Input::Gossip { topic, bytes, source } => {
                inner.push_back(Inner::Consensus(consensus::Input::Gossip { topic, bytes, source }));
            }
            Input::PeerUp(peer) => {
                inner.push_back(Inner::Sync(sync::Input::PeerUp(peer)));
                inner.push_back(Inner::Consensus(consensus::Input::PeerUp(peer)));
            }
            Input::PeerDown(peer) => {
                inner.push_back(Inner::Sync(sync::Input::PeerDown(peer)));
                inner.push_back(Inner::Consensus(consensus::Input::PeerDown(peer)));
                inner.push_back(Inner::Atxs(atxs::Input::PeerGone { peer }));
            }
            Input::Response { peer, id, response } if id & layers::REQUESTS != 0 => {
                inner.push_back(Inner::Consensus(consensus::Input::Response { peer, id, response }));
            }
            Input::Response { peer, id, response } => {
                inner.push_back(Inner::Sync(sync::Input::Response { peer, id, response }));
            }
            Input::Prover(event) => inner.push_back(Inner::Smesher(smeshing::Input::Prover(event))),
            Input::Poet(event) => inner.push_back(Inner::Smesher(smeshing::Input::Poet(event))),
        }
    }

    /// Gossips own ATXs of the running epoch, now and then: the first time may have been lost with a process, or with
    /// the only peers.
    fn tell_again(&mut self, now: Time, archive: &dyn Archive, out: &mut Vec<Effect>) -> Result<(), ArchiveError> {
        let timing = &self.params.timing;
        let latest = self.smesher.phases().into_iter().filter_map(|miner| self.atxs.latest(miner.node_id));
        let current = latest.filter(|record| Some(record.epoch) == timing.epoch_at(now)).map(|record| record.id);
        let current: BTreeSet<AtxId> = current.collect();
        self.told.retain(|id, _| current.contains(id));
        for id in current {
            let due = self.told.get(&id).is_none_or(|told| now.since(*told) >= 3 * timing.layer_ms);
            if due && let Some(kept) = archive.atx(id)? {
                self.told.insert(id, now);
                out.push(Effect::Gossip { topic: Topic::Atx, bytes: kept.bytes });
            }
        }
        Ok(())
    }

    /// Once it has what the others have, the node knows when things are published.
    fn listen(&mut self, inner: &mut VecDeque<Inner>) {
        if !self.listening && self.sync.is_synced() {
            self.listening = true;
            inner.push_back(Inner::Atxs(atxs::Input::Listening));
            inner.push_back(Inner::Consensus(consensus::Input::Synced));
        }
    }

    fn after_atxs(&mut self, effect: atxs::Effect, inner: &mut VecDeque<Inner>, out: &mut Vec<Effect>) {
        match effect {
            atxs::Effect::Persist(writes) => out.push(Effect::Persist(writes)),
            atxs::Effect::Verdict { source, why: why @ Reason::Crowded, .. } => {
                self.crowded(source, why.to_string(), inner, out);
            }
            atxs::Effect::Verdict { source, verdict, why } => {
                self.verdict(source, verdict, why.to_string(), inner, out);
            }
            atxs::Effect::Judge(dear) => out.push(Effect::Judge(dear)),
            atxs::Effect::Fetch { atxs, poets, from } => {
                inner.push_back(Inner::Sync(sync::Input::Fetch { atxs, poets, from: Some(from) }));
            }
            atxs::Effect::Gossip { topic, bytes } => out.push(Effect::Gossip { topic, bytes }),
            atxs::Effect::Accepted { id } => {
                inner.push_back(Inner::Consensus(consensus::Input::Accepted(id)));
                if self.publishing.remove(&id) {
                    out.push(Effect::Tell { warning: false, what: self.published(id) });
                    inner.push_back(Inner::Smesher(smeshing::Input::AtxJudged { id, ok: true, why: String::new() }));
                }
            }
            atxs::Effect::Refused { id, why } => {
                self.publishing.remove(&id);
                let why = why.to_string();
                inner.push_back(Inner::Smesher(smeshing::Input::AtxJudged { id, ok: false, why }));
            }
            atxs::Effect::Accused { node_id } => {
                out.push(Effect::Tell { warning: false, what: format!("{node_id} is a fraud") });
                inner.push_back(Inner::Consensus(consensus::Input::Convicted(node_id)));
            }
        }
    }

    /// For the operator, who waits for it a whole epoch.
    fn published(&self, id: AtxId) -> String {
        let Some(record) = self.atxs.atx(id) else { return format!("published ATX {id}") };
        let (epoch, weight) = (record.epoch, record.weight);
        format!("miner {} published ATX {id} in epoch {epoch}; it weighs {weight} in the next", record.smesher)
    }

    fn verdict(
        &self,
        source: Source,
        verdict: Verdict,
        why: String,
        inner: &mut VecDeque<Inner>,
        out: &mut Vec<Effect>,
    ) {
        match source {
            Source::Own => {}
            Source::Gossip { .. } => out.push(Effect::Verdict { source, verdict, why }),
            Source::Answer { peer } => {
                if verdict == Verdict::Reject {
                    out.push(Effect::Punish { peer, why });
                }
                inner.push_back(Inner::Sync(sync::Input::Judged(1)));
            }
        }
    }

    /// There was no room for something: nobody's fault, and no verdict on it.
    fn crowded(&self, source: Source, why: String, inner: &mut VecDeque<Inner>, out: &mut Vec<Effect>) {
        match source {
            Source::Answer { peer } => inner.push_back(Inner::Sync(sync::Input::Crowded(peer))),
            source => self.verdict(source, Verdict::Ignore, why, inner, out),
        }
    }

    /// Something that was asked for did not come, or nobody can use what came.
    fn missing(&self, what: Need, inner: &mut VecDeque<Inner>) {
        if let Some(from) = self.atxs.asked(&what) {
            inner.push_back(Inner::Atxs(atxs::Input::Missing { what, from }));
        }
    }

    fn after_sync(&self, effect: sync::Effect, inner: &mut VecDeque<Inner>, out: &mut Vec<Effect>) {
        match effect {
            sync::Effect::Request { peer, id, request } => out.push(Effect::Request { peer, id, request }),
            sync::Effect::Deliver { peer, item } => {
                let source = Source::Answer { peer };
                match item {
                    Delivery::Atx(bytes) => out.push(Effect::Check { source, bytes }),
                    Delivery::Fraud(bytes) => inner.push_back(Inner::Atxs(atxs::Input::Fraud { bytes, source })),
                    Delivery::Poet(proof) => inner.push_back(Inner::Atxs(atxs::Input::Poet { proof, source })),
                }
            }
            sync::Effect::NotFound { atxs, poets } => {
                for what in atxs.into_iter().map(Need::Atx).chain(poets.into_iter().map(Need::Poet)) {
                    self.missing(what, inner);
                }
            }
            sync::Effect::Punish { peer, why } => out.push(Effect::Punish { peer, why: why.to_string() }),
            sync::Effect::Progress(_) => {}
        }
    }

    fn after_consensus(&self, effect: consensus::Effect, inner: &mut VecDeque<Inner>, out: &mut Vec<Effect>) {
        match effect {
            consensus::Effect::Persist(writes) => out.push(Effect::Persist(writes)),
            consensus::Effect::Verdict { source, verdict, why } => out.push(Effect::Verdict { source, verdict, why }),
            consensus::Effect::Gossip { topic, bytes } => out.push(Effect::Gossip { topic, bytes }),
            consensus::Effect::Request { peer, id, request } => out.push(Effect::Request { peer, id, request }),
            consensus::Effect::Punish { peer, why } => out.push(Effect::Punish { peer, why }),
            consensus::Effect::FetchAtxs { atxs, from } => {
                inner.push_back(Inner::Sync(sync::Input::Fetch { atxs, poets: Vec::new(), from }));
            }
            consensus::Effect::Fraud(proof) => {
                let bytes = encode(&*proof);
                inner.push_back(Inner::Atxs(atxs::Input::Fraud { bytes, source: Source::Own }));
            }
            consensus::Effect::Tell { warning, what } => out.push(Effect::Tell { warning, what }),
        }
    }

    fn after_smesher(
        &mut self,
        archive: &dyn Archive,
        effect: smeshing::Effect,
        inner: &mut VecDeque<Inner>,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        match effect {
            smeshing::Effect::Persist(writes) => out.push(Effect::Persist(writes)),
            smeshing::Effect::AskProof { node_id, challenge } => out.push(Effect::AskProof { node_id, challenge }),
            smeshing::Effect::CancelProof { node_id } => out.push(Effect::CancelProof { node_id }),
            smeshing::Effect::Poet(command) => out.push(Effect::Poet(command)),
            smeshing::Effect::Publish { atx, poet } => self.publish(archive, atx, poet, inner, out)?,
            smeshing::Effect::Warn { node_id, warning } => {
                out.push(Effect::Tell { warning: true, what: format!("miner {node_id}: {warning}") });
            }
        }
        Ok(())
    }

    /// An own ATX goes the way of all others.
    fn publish(
        &mut self,
        archive: &dyn Archive,
        atx: Received,
        poet: Challenge,
        inner: &mut VecDeque<Inner>,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        let id = atx.id;
        if self.atxs.atx(id).is_some() {
            // Known from before a crash, which may have come before anybody else heard of it.
            out.push(Effect::Gossip { topic: Topic::Atx, bytes: atx.bytes.to_vec() });
            inner.push_back(Inner::Smesher(smeshing::Input::AtxJudged { id, ok: true, why: String::new() }));
            return Ok(());
        }
        if self.atxs.poet(poet).is_none()
            && let Some(proof) = archive.poet(poet)?.and_then(|bytes| decode::<PoetProof>(&bytes).ok())
        {
            inner.push_back(Inner::Atxs(atxs::Input::Poet { proof, source: Source::Own }));
        }
        self.publishing.insert(id);
        inner.push_back(Inner::Atxs(atxs::Input::Atx { received: atx, source: Source::Own }));
        Ok(())
    }
}
