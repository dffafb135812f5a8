//! Agreement as one machine: beacon, proposals, Hare, blocks, Tortoise, ledger, and the sync of layers.
//!
//! ```text
//! proposals ─► Hare ─► block of the layer ─┐
//!     └─► ballots ─► Tortoise ─► final ────┴─► ledger ─► state root
//! ```
//! A layer's ballots say what their smeshers think of all layers before; its proposals say what its block should be made
//! of, and Hare agrees on a set of them. Whoever knows Hare's result votes for the block in later ballots, and what two
//! thirds of the weight vote for is final and applied (see [`crate::tortoise`]).
//!
//! A node speaks only in layers at whose start it was synced, and after a crash in none in which it may have spoken before:
//! so nothing that it says contradicts what it said.

mod ballots;
mod blocks;
mod electorate;
mod finality;
mod intake;
mod io;
mod parked;
mod restore;
mod speak;
mod view;
mod weight;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use io::{Effect, Input};
pub use restore::RestoreError;

use ballots::Ballots;
use electorate::Electorate;
use parked::Parked;
use speak::Schedule;
use view::Seen;

use crate::archive::{Archive, ArchiveError, Write};
use crate::atxs::Atxs;
use crate::ballot::{Ballot, Content, Vote};
use crate::beacon::{self, Beacons};
use crate::block::Block;
use crate::codec::encode;
use crate::fraud::{Fraud, FraudProof, Statement};
use crate::hare::{self, Hare};
use crate::ids::{AtxId, BallotId, BlockId, Epoch, Layer, NodeId, TxId};
use crate::layers::{self, Layers};
use crate::ledger::Ledger;
use crate::mempool::{self, Mempool};
use crate::params::NodeParams;
use crate::signature::{Signer, Verifier};
use crate::source::{Source, Topic, Verdict};
use crate::time::Time;
use crate::tortoise::Tortoise;
use crate::transaction::Transaction;
use crate::wire::Thing;

/// Layers before the first that isn't final are remembered for so many times hdist: ballots build on them.
const REMEMBERED: u32 = 8;

/// The machine.
#[derive(Debug)]
pub struct Consensus {
    params: NodeParams,
    verifier: Verifier,
    signers: Vec<Signer>,
    electorate: Electorate,
    beacons: Beacons,
    hare: Hare,
    tortoise: Tortoise,
    layers: Layers,
    ledger: Ledger,
    mempool: Mempool,
    ballots: Ballots,
    parked: Parked,
    /// What Hare agreed on, where the block is not made yet.
    agreed: BTreeMap<Layer, Vec<BallotId>>,
    /// The blocks of layers that are not final.
    blocks: BTreeMap<BlockId, Block>,
    /// What Hare came to.
    decided: BTreeMap<Layer, Vote>,
    coins: BTreeMap<Layer, bool>,
    schedules: BTreeMap<(Epoch, NodeId), Schedule>,
    running: Option<Layer>,
    /// All ATXs of earlier epochs are known.
    atxs_synced: bool,
    /// The first layer of those in a row at whose start the node was synced.
    there_since: Option<Layer>,
    /// The last layer in which it spoke.
    spoke: Option<Layer>,
    /// The last layer in which it may have spoken before it was started.
    silent: Option<Layer>,
    /// Ballots of this step, which the archive does not have yet.
    fresh: BTreeMap<BallotId, Ballot>,
    /// Transactions of this step that were asked for.
    asked: BTreeMap<TxId, Transaction>,
    /// Transactions that a block may have named; they must not be forgotten.
    kept: BTreeSet<TxId>,
    queue: VecDeque<Inner>,
    /// Something that Hare agreed on may be complete now.
    build_due: bool,
    /// A layer may be final now.
    settle_due: bool,
    /// Blocks of layers before this one were asked for, as far as ballots named them.
    blocks_wanted: Layer,
}

/// What one part of the machine has for another.
#[derive(Debug)]
enum Inner {
    Ballot { id: BallotId, ballot: Box<Ballot>, content: Option<Content>, source: Source },
    Block { id: BlockId, block: Block },
    Transaction { bytes: Vec<u8>, source: Source },
    Hare(hare::Input),
    Beacons(beacon::Input),
    Layers(layers::Input),
}

/// What a step works with.
struct Step<'a> {
    now: Time,
    archive: &'a dyn Archive,
    atxs: &'a Atxs,
    out: &'a mut Vec<Effect>,
}

impl Consensus {
    /// Knows nothing yet. What was kept is taken back by [`Consensus::restore`].
    #[must_use]
    pub fn new(params: &NodeParams, verifier: Verifier, signers: Vec<Signer>, layers: layers::Config) -> Self {
        let first = params.effective_genesis().next();
        Self {
            electorate: Electorate::new(params.genesis_id, params.timing.clone()),
            beacons: Beacons::new(params, verifier.clone(), signers.clone()),
            hare: Hare::new(params, verifier.clone(), signers.clone()),
            tortoise: Tortoise::new(first, params.consensus.hdist, params.consensus.hdist.saturating_mul(REMEMBERED)),
            layers: Layers::new(layers),
            ledger: Ledger::new(params),
            mempool: Mempool::default(),
            ballots: Ballots::default(),
            parked: Parked::default(),
            agreed: BTreeMap::new(),
            blocks: BTreeMap::new(),
            decided: BTreeMap::new(),
            coins: BTreeMap::new(),
            schedules: BTreeMap::new(),
            running: None,
            atxs_synced: false,
            there_since: None,
            spoke: None,
            silent: None,
            fresh: BTreeMap::new(),
            asked: BTreeMap::new(),
            kept: BTreeSet::new(),
            queue: VecDeque::new(),
            build_due: false,
            settle_due: false,
            blocks_wanted: first,
            params: params.clone(),
            verifier,
            signers,
        }
    }

    /// Takes one step. What earlier steps persisted must be in `archive`.
    ///
    /// # Errors
    /// [`ArchiveError`]; a node can't go on then.
    pub fn step(
        &mut self,
        now: Time,
        archive: &dyn Archive,
        atxs: &Atxs,
        input: Input,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        let mut step = Step { now, archive, atxs, out };
        match input {
            Input::Tick => self.tick(&mut step)?,
            Input::Synced => self.atxs_synced = true,
            Input::Gossip { topic, bytes, source } => self.hear(&mut step, topic, bytes, source),
            Input::PeerUp(peer) => self.queue.push_back(Inner::Layers(layers::Input::PeerUp(peer))),
            Input::PeerDown(peer) => self.queue.push_back(Inner::Layers(layers::Input::PeerDown(peer))),
            Input::Response { peer, id, response } => {
                self.queue.push_back(Inner::Layers(layers::Input::Response { peer, id, response }));
            }
            Input::Accepted(id) => self.accepted(&step, id),
            Input::Convicted(node_id) => self.convicted(&step, node_id),
        }
        loop {
            self.work_off(&mut step)?;
            // Once for all that came.
            if std::mem::take(&mut self.build_due) {
                self.build(&mut step)?;
            } else if std::mem::take(&mut self.settle_due) {
                self.settle(&mut step)?;
            } else {
                break;
            }
        }
        self.fresh.clear();
        self.asked.clear();
        Ok(())
    }

    /// What the parts have for one another, until they have nothing more.
    fn work_off(&mut self, step: &mut Step<'_>) -> Result<(), ArchiveError> {
        while let Some(inner) = self.queue.pop_front() {
            match inner {
                Inner::Ballot { id, ballot, content, source } => {
                    self.take_ballot(step, id, *ballot, content, source)?;
                }
                Inner::Block { id, block } => self.take_block(step, id, block),
                Inner::Transaction { bytes, source } => self.take_transaction(step, bytes, source),
                Inner::Hare(input) => self.step_hare(step, input),
                Inner::Beacons(input) => self.step_beacons(step, input),
                Inner::Layers(input) => self.step_layers(step, input)?,
            }
        }
        Ok(())
    }

    /// Whether it has what its peers have.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.atxs_synced && self.layers.is_synced()
    }

    /// Whether it lacks so many layers that what is said now can't be understood for a while.
    fn is_far_behind(&self) -> bool {
        let last = self.tortoise.last().unwrap_or(self.tortoise.frontier()).after(self.params.consensus.hdist);
        !self.is_synced() && self.running.is_some_and(|running| last < running)
    }

    /// The first layer that isn't final.
    #[must_use]
    pub fn frontier(&self) -> Layer {
        self.tortoise.frontier()
    }

    /// An epoch's beacon, once it is known.
    #[must_use]
    pub fn beacon(&self, epoch: Epoch) -> Option<crate::ids::Beacon> {
        self.electorate.beacon(epoch)
    }

    /// Accounts and rewards.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Transactions that are in no final block yet.
    #[must_use]
    pub fn mempool(&self) -> &Mempool {
        &self.mempool
    }

    /// Whether a transaction would be taken, and its name.
    ///
    /// # Errors
    /// Why not.
    pub fn check_transaction(&self, bytes: &[u8]) -> Result<TxId, mempool::Reason> {
        self.mempool.check(bytes, &self.ledger, &self.verifier)
    }

    /// What it remembers: ballots, votes, ballots that wait.
    #[must_use]
    pub fn size(&self) -> (usize, usize, usize) {
        let (ballots, votes) = self.tortoise.size();
        (ballots, votes, self.parked.len())
    }

    fn tick(&mut self, step: &mut Step<'_>) -> Result<(), ArchiveError> {
        let running = self.params.timing.layer_at(step.now);
        if let Some(layer) = running {
            // The clock may have been set back.
            let is_new = self.running.is_none_or(|before| layer > before);
            if is_new {
                self.begin_layer(step, layer)?;
            }
        }
        self.queue.push_back(Inner::Beacons(beacon::Input::Tick));
        self.queue.push_back(Inner::Hare(hare::Input::Tick));
        self.queue.push_back(Inner::Layers(layers::Input::Timer));
        Ok(())
    }

    fn begin_layer(&mut self, step: &mut Step<'_>, layer: Layer) -> Result<(), ArchiveError> {
        let in_a_row = self.running.is_some_and(|before| before.next() == layer);
        self.running = Some(layer);
        if !self.is_synced() {
            self.there_since = None;
        } else if self.there_since.is_none() || !in_a_row {
            self.there_since = Some(layer);
        }
        let epoch = self.params.timing.epoch_of(layer);
        let genesis = self.params.effective_genesis();
        if layer <= genesis {
            return Ok(());
        }
        self.electorate.prepare(step.atxs, epoch);
        self.find_beacon(step, layer, epoch);
        self.tidy(step, layer);
        self.speak(step, layer)?;
        self.build_due = true;
        self.settle_due = true;
        Ok(())
    }

    /// An epoch that has begun without a beacon must not stay without one. All nodes that have none take the same; those that
    /// don't have all ballots yet wait for what these name.
    fn find_beacon(&mut self, step: &mut Step<'_>, layer: Layer, epoch: Epoch) {
        let first = self.params.timing.first_layer(epoch);
        let is_time = layer >= first.after(self.params.consensus.zdist);
        if self.electorate.beacon(epoch).is_none() && is_time && self.is_synced() {
            let beacon = self.electorate.substitute(epoch);
            self.set_beacon(step, epoch, beacon);
        }
    }

    fn set_beacon(&mut self, step: &mut Step<'_>, epoch: Epoch, beacon: crate::ids::Beacon) {
        self.electorate.set_beacon(epoch, beacon);
        step.out.push(Effect::Persist(vec![Write::Beacon { epoch, beacon }]));
        step.out.push(Effect::Tell { warning: false, what: format!("the beacon of epoch {epoch} is {beacon}") });
    }

    /// What is of no use any more.
    fn tidy(&mut self, step: &mut Step<'_>, layer: Layer) {
        let remembered = self.tortoise.remembered();
        let hdist = self.params.consensus.hdist;
        let contents = layer.before(hdist).min(self.tortoise.frontier());
        let epoch = self.params.timing.epoch_of(layer.min(remembered));
        self.ballots.forget(remembered, contents.max(remembered), self.params.timing.first_layer(epoch));
        self.decided = self.decided.split_off(&remembered);
        self.agreed = self.agreed.split_off(&remembered);
        self.coins = self.coins.split_off(&layer.before(2 * hdist));
        let epoch = self.params.timing.epoch_of(remembered);
        self.electorate.forget(epoch);
        self.schedules = self.schedules.split_off(&(self.params.timing.epoch_of(layer), NodeId([0; 32])));
        for (id, waiting) in self.parked.older(layer.before(hdist)) {
            self.verdict(step, waiting.source, Verdict::Ignore, "what it names did not come".into());
            self.queue.push_back(Inner::Layers(layers::Input::Settled(Thing::Ballot(id))));
        }
        let atxs: Vec<AtxId> = self.parked.atxs().into_iter().filter(|id| step.atxs.atx(*id).is_none()).collect();
        if !atxs.is_empty() {
            step.out.push(Effect::FetchAtxs { atxs, from: None });
        }
        // Nobody may have had it when it was asked for; until it is here, all that builds on it waits.
        for (base, from) in self.parked.bases() {
            self.want(Thing::Ballot(base), from);
        }
        step.out.push(Effect::Persist(vec![Write::Forget { before: remembered }]));
    }

    fn accepted(&mut self, step: &Step<'_>, id: AtxId) {
        self.electorate.accepted(step.atxs, id);
        // Who marries a fraud is one from then on.
        let married =
            step.atxs.atx(id).filter(|record| step.atxs.is_of_fraud(record)).and_then(|it| it.married.first());
        if let Some(node_id) = married {
            self.convicted(step, *node_id);
        }
        self.release(parked::Need::Atx(id));
        self.build_due = true;
        self.settle_due = true;
    }

    fn convicted(&mut self, step: &Step<'_>, node_id: NodeId) {
        let mut guilty = vec![node_id];
        guilty.extend(step.atxs.marriages(node_id).flat_map(|record| record.married.iter().copied()));
        for node_id in guilty {
            self.electorate.convicted(step.atxs, node_id);
            self.tortoise.convict(node_id);
            self.queue.push_back(Inner::Hare(hare::Input::Convicted(node_id)));
            self.queue.push_back(Inner::Beacons(beacon::Input::Convicted(node_id)));
        }
        self.settle_due = true;
    }

    /// Something that is said in the name of an own miner; nothing of its kind may come before it is remembered that it
    /// speaks in this layer.
    fn say(&mut self, step: &mut Step<'_>, topic: Topic, bytes: Vec<u8>) {
        if let Some(layer) = self.running.filter(|layer| self.spoke.is_none_or(|spoke| spoke < *layer)) {
            self.spoke = Some(layer);
            step.out.push(Effect::Persist(vec![Write::Speaks { layer }]));
        }
        step.out.push(Effect::Gossip { topic, bytes });
    }

    fn verdict(&self, step: &mut Step<'_>, source: Source, verdict: Verdict, why: String) {
        match source {
            Source::Own => {}
            Source::Gossip { .. } => step.out.push(Effect::Verdict { source, verdict, why }),
            Source::Answer { peer } if verdict == Verdict::Reject => step.out.push(Effect::Punish { peer, why }),
            Source::Answer { .. } => {}
        }
    }

    fn accuse(&self, step: &mut Step<'_>, culprit: NodeId, statements: [Statement; 2]) {
        let fraud = Fraud::Contradiction(Box::new(statements));
        step.out.push(Effect::Fraud(Box::new(FraudProof { culprit, fraud })));
    }

    fn step_hare(&mut self, step: &mut Step<'_>, input: hare::Input) {
        if let Some(running) = self.running {
            self.electorate.prepare_layers(step.atxs, running.before(1), running.next());
        }
        let mut effects = Vec::new();
        let Self { hare, electorate, ballots, tortoise, mempool, there_since, silent, params, .. } = self;
        let seen =
            Seen { step, electorate, ballots, tortoise, mempool, params, there_since: *there_since, silent: *silent };
        hare.step(step.now, &seen, input, &mut effects);
        for effect in effects {
            match effect {
                hare::Effect::Gossip(message) => self.say(step, Topic::Hare, encode(&message)),
                hare::Effect::Verdict { source, verdict, why } => self.verdict(step, source, verdict, why.to_string()),
                hare::Effect::Contradiction(both, culprit) => {
                    let statements = both.map(|(header, signature)| Statement::Hare { header, signature });
                    self.accuse(step, culprit, statements);
                }
                hare::Effect::Decided { layer, proposals } => {
                    self.agreed.insert(layer, proposals);
                    self.build_due = true;
                }
                hare::Effect::GaveUp { layer } => {
                    let what = format!("Hare decided nothing on layer {layer}");
                    step.out.push(Effect::Tell { warning: false, what });
                }
                hare::Effect::Coin { layer, heads } => {
                    self.coins.insert(layer, heads);
                }
            }
        }
    }

    fn step_beacons(&mut self, step: &mut Step<'_>, input: beacon::Input) {
        if let Some(epoch) = self.params.timing.epoch_at(step.now) {
            self.electorate.prepare(step.atxs, epoch);
            // The next one's messages may come a round early. Before that each of its ATXs makes another roster of it.
            let soon = self.params.timing.epoch_at(step.now.after(self.params.consensus.beacon_round_ms));
            soon.into_iter().for_each(|soon| self.electorate.prepare(step.atxs, soon));
        }
        let mut effects = Vec::new();
        let Self { beacons, electorate, ballots, tortoise, mempool, there_since, silent, params, .. } = self;
        let seen =
            Seen { step, electorate, ballots, tortoise, mempool, params, there_since: *there_since, silent: *silent };
        beacons.step(step.now, &seen, input, &mut effects);
        for effect in effects {
            match effect {
                beacon::Effect::Gossip(message) => self.say(step, Topic::Beacon, encode(&message)),
                beacon::Effect::Verdict { source, verdict, why } => {
                    self.verdict(step, source, verdict, why.to_string());
                }
                beacon::Effect::Contradiction(both) => {
                    let culprit = both[0].sender;
                    self.accuse(step, culprit, both.map(Statement::Beacon));
                }
                beacon::Effect::Decided { epoch, beacon } => {
                    if self.electorate.beacon(epoch).is_none() {
                        self.set_beacon(step, epoch, beacon);
                    }
                }
            }
        }
    }

    fn step_layers(&mut self, step: &mut Step<'_>, input: layers::Input) -> Result<(), ArchiveError> {
        let mut effects = Vec::new();
        let Self { layers, tortoise, parked, blocks, mempool, running, atxs_synced, .. } = self;
        // Ballots can't be judged without the ATXs they name.
        let running = running.filter(|_| *atxs_synced);
        let has = view::Has { archive: step.archive, tortoise, parked, blocks, mempool, running };
        layers.step(step.now, step.archive, &has, input, &mut effects)?;
        for effect in effects {
            match effect {
                layers::Effect::Request { peer, id, request } => step.out.push(Effect::Request { peer, id, request }),
                layers::Effect::Deliver { peer, thing, bytes } => self.delivered(step, peer, thing, &bytes),
                layers::Effect::NotFound { .. } => {}
                layers::Effect::Punish { peer, why } => step.out.push(Effect::Punish { peer, why: why.to_string() }),
            }
        }
        Ok(())
    }
}
