//! One node, its provers, a PoET and the network around it.
//!
//! The world counts the effects that are carried out, and can kill the node after any of them. It judges every ATX as a
//! node would, and panics when two of one miner are a fraud.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use node::archive::{Archive, Memory, Write};
use node::atx::{Atx, Received};
use node::codec::decode;
use node::ids::{Address, AtxId, Challenge, Epoch, NO_ATX, NodeId, PoetChallenge};
use node::params::{NodeParams, Timing};
use node::poet::{Members, PoetProof, Prover};
use node::signature::{Signer, Verifier};
use node::smeshing::{Effect, Input, MinerStatus, Phase, PoetCommand, PoetEvent, ProverEvent, Smesher, View, Warning};
use node::time::Time;

use crate::known::Known;
use crate::provers::{FakeProver, proof};
use crate::weather::Weather;

pub(crate) const GENESIS: Time = Time(1_700_000_000_000);
pub(crate) const TICK: u64 = 200;
const COINBASE: Address = Address([0xc0; 24]);

/// What will happen, unless the node dies before.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
enum Coming {
    ToNode(Input),
    /// The node judges an ATX of its own.
    Judge(Received, Challenge),
    /// A prover is ready. This goes on when the node dies.
    Ready(NodeId, Challenge),
}

pub(crate) struct World {
    pub(crate) params: NodeParams,
    pub(crate) now: Time,
    pub(crate) weather: Weather,
    pub(crate) seeds: Vec<[u8; 32]>,
    miners: Vec<NodeId>,
    pub(crate) provers: BTreeMap<NodeId, FakeProver>,
    /// `None` while the node is down.
    smesher: Option<Smesher>,
    up_at: Time,
    synced_at: Time,
    pub(crate) archive: Memory,
    /// Then challenges are forgotten, and others registered in their place.
    pub(crate) database_lost: bool,
    pub(crate) known: Known,
    /// All valid ATXs that are out, in the order they came.
    pub(crate) network: Vec<Received>,
    commitments: BTreeMap<NodeId, AtxId>,
    /// Challenges by round, and whose.
    rounds: BTreeMap<Epoch, BTreeMap<PoetChallenge, NodeId>>,
    poet_proofs: BTreeMap<Epoch, PoetProof>,
    coming: BTreeMap<(Time, u64), Coming>,
    serial: u64,
    /// Effects carried out since the start or the last death.
    pub(crate) effects: usize,
    pub(crate) deaths: usize,
    pub(crate) warnings: Vec<(NodeId, Warning)>,
    pub(crate) phases: BTreeSet<Phase>,
    /// All that this database's node signed, by miner and epoch.
    published: BTreeMap<(NodeId, Epoch), Arc<[u8]>>,
    previous: BTreeMap<(NodeId, AtxId), AtxId>,
    log: blake3::Hasher,
}

impl World {
    pub(crate) fn new(miners: u8, weather: Weather) -> Self {
        let timing = Timing {
            genesis: GENESIS,
            layer_ms: 1_000,
            layers_per_epoch: 30,
            poet_phase_shift_ms: 14_000,
            poet_cycle_gap_ms: 12_000,
            delta_ms: 500,
        };
        let params = NodeParams { timing, ..NodeParams::devnet(GENESIS) };
        params.check().unwrap();
        let seeds: Vec<[u8; 32]> = (1..=miners).map(|i| [i; 32]).collect();
        let mut world = Self {
            now: GENESIS,
            weather,
            provers: BTreeMap::new(),
            smesher: None,
            up_at: GENESIS,
            synced_at: GENESIS,
            archive: Memory::default(),
            database_lost: false,
            known: Known::default(),
            network: vec![],
            commitments: BTreeMap::new(),
            rounds: BTreeMap::new(),
            poet_proofs: BTreeMap::new(),
            coming: BTreeMap::new(),
            serial: 0,
            effects: 0,
            deaths: 0,
            warnings: vec![],
            phases: BTreeSet::new(),
            published: BTreeMap::new(),
            previous: BTreeMap::new(),
            log: blake3::Hasher::new(),
            miners: seeds.iter().map(|seed| Signer::new(params.genesis_id, seed).node_id()).collect(),
            params,
            seeds,
        };
        for (i, node_id) in world.miners().into_iter().enumerate() {
            let prover = FakeProver::new(node_id, world.params.golden_atx(), 1 + i as u32 % 2, &world.params);
            world.provers.insert(node_id, prover);
        }
        world
    }

    fn signers(&self) -> Vec<Signer> {
        self.seeds.iter().map(|seed| Signer::new(self.params.genesis_id, seed)).collect()
    }

    pub(crate) fn miners(&self) -> Vec<NodeId> {
        self.miners.clone()
    }

    /// The epochs a miner has a valid ATX in.
    pub(crate) fn epochs_of(&self, node_id: NodeId) -> Vec<u32> {
        let own = self.network.iter().filter(|received| received.atx.smesher == node_id);
        own.map(|received| received.atx.publish_epoch.0).collect()
    }

    pub(crate) fn status(&self, node_id: NodeId) -> MinerStatus {
        let phases = self.smesher.as_ref().unwrap().phases();
        phases.into_iter().find(|status| status.node_id == node_id).unwrap()
    }

    pub(crate) fn has_warned(&self, wanted: impl Fn(&Warning) -> bool) -> bool {
        self.warnings.iter().any(|(_, warning)| wanted(warning))
    }

    /// All that came out, in one hash.
    pub(crate) fn digest(&self) -> String {
        self.log.finalize().to_hex().to_string()
    }

    /// Milliseconds since the start of an epoch, as a moment.
    pub(crate) fn at(&self, epoch: u32, ms: u64) -> Time {
        self.params.timing.epoch_starts(Epoch(epoch)).after(ms)
    }

    pub(crate) fn run_until(&mut self, end: Time) {
        while self.now < end {
            self.now = self.now.after(TICK);
            if self.smesher.is_none() && self.now >= self.up_at {
                self.start();
            }
            self.move_provers();
            while let Some((&key, _)) = self.coming.range(..=(self.now, u64::MAX)).next() {
                match self.coming.remove(&key) {
                    Some(Coming::ToNode(input)) => self.step(input),
                    Some(Coming::Judge(atx, poet)) => self.judge(atx, poet),
                    Some(Coming::Ready(node_id, challenge)) => self.ready(node_id, challenge),
                    None => {}
                }
            }
            if self.smesher.is_some() && !self.known.synced && self.now >= self.synced_at {
                self.sync();
            }
            self.step(Input::Tick);
        }
    }

    /// The node starts with what its archive holds.
    fn start(&mut self) {
        let mut smesher = Smesher::new(self.params.clone(), COINBASE, self.signers());
        smesher.restore(&self.archive).unwrap();
        self.smesher = Some(smesher);
        let frauds = std::mem::take(&mut self.known.frauds);
        self.known = Known::default();
        self.known.golden = Some(self.params.golden_atx());
        self.known.frauds = frauds;
        for received in self.network.clone() {
            if self.archive.atx(received.id).unwrap().is_some() {
                self.learn(&received);
            }
        }
        self.synced_at = self.now.after(self.weather.sync_ms);
        for prover in self.provers.values_mut() {
            prover.there = false;
        }
    }

    fn learn(&mut self, received: &Received) {
        let commitment = self.commitments[&received.atx.smesher];
        self.known.learn(&received.atx, received.id, commitment);
    }

    /// Whatever the node lacks comes from the network.
    fn sync(&mut self) {
        for received in self.network.clone() {
            self.keep(&received);
        }
        self.known.synced = true;
    }

    fn keep(&mut self, received: &Received) {
        let (id, epoch, bytes) = (received.id, received.atx.publish_epoch, received.bytes.to_vec());
        self.archive.write(Write::Atx { id, epoch, received: self.now, bytes });
        self.learn(received);
    }

    /// The node dies. What the archive holds stays, and what others know.
    pub(crate) fn kill(&mut self, down_ms: u64) {
        self.smesher = None;
        self.known.synced = false;
        self.up_at = self.now.after(down_ms);
        self.coming.retain(|_, coming| matches!(coming, Coming::Ready(..)));
        self.provers.values_mut().for_each(|prover| prover.wanted = None);
        self.effects = 0;
        self.deaths += 1;
    }

    /// The node dies, and all that it knew is gone.
    pub(crate) fn lose_database(&mut self) {
        self.archive = Memory::default();
        self.database_lost = true;
        self.published.clear();
        self.previous.clear();
        self.kill(500);
    }

    /// The node does not judge what it is at.
    pub(crate) fn forget_judging(&mut self) {
        self.coming.retain(|_, coming| !matches!(coming, Coming::Judge(..)));
        self.published.clear();
        self.previous.clear();
    }

    /// The node hears of an ATX of its miner that it did not make.
    pub(crate) fn hear(&mut self, received: &Received) {
        self.network.push(received.clone());
        self.keep(received);
    }

    fn later(&mut self, ms: u64, coming: Coming) {
        self.serial += 1;
        self.coming.insert((self.now.after(ms), self.serial), coming);
    }

    pub(crate) fn step(&mut self, input: Input) {
        let Some(smesher) = &mut self.smesher else { return };
        let mut out = Vec::new();
        smesher.step(self.now, &self.known, input, &mut out);
        self.phases.extend(smesher.phases().iter().map(|status| status.phase));
        let persists = out.iter().filter(|effect| matches!(effect, Effect::Persist(_))).count();
        assert!(persists == 0 || (persists == 1 && matches!(out[0], Effect::Persist(_))), "persist first, and once");
        for effect in out {
            if self.crashes() {
                return;
            }
            self.log.update(format!("{} {effect:?}\n", self.now.0).as_bytes());
            self.effects += 1;
            self.carry_out(effect);
        }
        self.crashes();
    }

    fn crashes(&mut self) -> bool {
        match self.weather.crashes.front() {
            Some(&(after, down_ms)) if after == self.effects => {
                self.weather.crashes.pop_front();
                self.kill(down_ms);
                true
            }
            _ => false,
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(writes) => writes.into_iter().for_each(|write| self.archive.write(write)),
            Effect::AskProof { node_id, challenge } => {
                self.provers.get_mut(&node_id).unwrap().wanted = Some(challenge);
                self.work(node_id);
            }
            Effect::CancelProof { node_id } => self.provers.get_mut(&node_id).unwrap().wanted = None,
            Effect::Poet(command) => {
                let away = self.weather.poet_away.iter().any(|(from, to)| (*from..*to).contains(&self.now));
                if away && self.weather.poet_silent {
                    return;
                }
                let event = self.poet(command, away);
                self.later(self.weather.poet_ms, Coming::ToNode(Input::Poet(event)));
            }
            Effect::Publish { atx, poet } => {
                self.no_fraud(&atx);
                self.later(self.weather.judge_ms, Coming::Judge(atx, poet));
            }
            Effect::Warn { node_id, warning } => self.warnings.push((node_id, warning)),
        }
    }

    /// Two ATXs of one epoch, or with one previous one, would be a fraud.
    fn no_fraud(&mut self, atx: &Received) {
        let (id, miner, epoch) = (atx.id, atx.atx.smesher, atx.atx.publish_epoch);
        let first = self.published.entry((miner, epoch)).or_insert_with(|| Arc::clone(&atx.bytes));
        assert_eq!(*first, atx.bytes, "a second ATX in epoch {epoch}");
        let previous = atx.atx.previous_atxs.first().copied().unwrap_or(NO_ATX);
        let first = *self.previous.entry((miner, previous)).or_insert(id);
        assert_eq!(first, id, "a second ATX with the previous one {previous}");
    }

    fn poet(&mut self, command: PoetCommand, away: bool) -> PoetEvent {
        let timing = &self.params.timing;
        match command {
            PoetCommand::Submit { node_id, round, challenge, .. } => {
                if away || self.now >= timing.round_opens(round) {
                    let why = if away { "away" } else { "closed" }.into();
                    return PoetEvent::Refused { node_id, round, challenge, retryable: away, why };
                }
                self.rounds.entry(round).or_default().insert(challenge, node_id);
                let own = self.rounds[&round].values().filter(|owner| **owner == node_id).count();
                // Whatever was registered had been written down, so the same comes again after a crash.
                assert!(own == 1 || self.database_lost, "a second challenge in round {round}");
                PoetEvent::Registered { node_id, round, challenge }
            }
            PoetCommand::Fetch { round } if away => PoetEvent::NoResult { round, why: "away".into() },
            PoetCommand::Fetch { round } => {
                let members: Vec<_> = self.rounds.get(&round).into_iter().flatten().map(|(c, _)| *c).collect();
                if self.now < timing.round_ends(round) || members.is_empty() {
                    return PoetEvent::NotYet { round };
                }
                let proof = self.poet_proofs.entry(round).or_insert_with(|| poet_proof(&members));
                PoetEvent::Result { round, proof: proof.clone(), members }
            }
        }
    }

    /// Registers the miner with rounds behind the machine's back.
    pub(crate) fn register(&mut self, round: Epoch, challenge: PoetChallenge, node_id: NodeId) {
        self.rounds.entry(round).or_default().insert(challenge, node_id);
    }

    /// Provers come and go.
    fn move_provers(&mut self) {
        if self.smesher.is_none() {
            return;
        }
        for node_id in self.miners() {
            let mut away = self.weather.prover_away.iter().filter(|(miner, ..)| *miner == node_id);
            let there = !away.any(|(_, from, to)| (*from..*to).contains(&self.now));
            let prover = self.provers.get_mut(&node_id).unwrap();
            if prover.there == there {
                continue;
            }
            prover.there = there;
            let metadata = prover.metadata;
            if there {
                self.step(Input::Prover(ProverEvent::Registered(metadata)));
                self.work(node_id);
            } else {
                prover.job = None;
                self.step(Input::Prover(ProverEvent::Gone { node_id }));
            }
        }
    }

    /// The prover begins with what is wanted, unless it is at it.
    fn work(&mut self, node_id: NodeId) {
        let prover = self.provers.get_mut(&node_id).unwrap();
        if let Some(challenge) = prover.wanted.filter(|_| prover.there) {
            let ms = if prover.job == Some(challenge) { 0 } else { prover.proving_ms };
            prover.job = Some(challenge);
            self.later(ms, Coming::Ready(node_id, challenge));
        }
    }

    fn ready(&mut self, node_id: NodeId, challenge: Challenge) {
        let prover = self.provers.get_mut(&node_id).unwrap();
        if !prover.there || prover.wanted != Some(challenge) || prover.job != Some(challenge) {
            return;
        }
        prover.wanted = None;
        let metadata = prover.metadata;
        let event = if prover.failures > 0 {
            prover.failures -= 1;
            ProverEvent::Failed { node_id, challenge, why: "busy".into() }
        } else {
            let proof = proof(challenge, node_id, metadata.units, &self.params);
            ProverEvent::Proof { node_id, challenge, proof, metadata }
        };
        self.step(Input::Prover(event));
    }

    /// The rest of the node judges an ATX, and tells the network.
    fn judge(&mut self, received: Received, poet: Challenge) {
        if self.smesher.is_none() {
            return;
        }
        let Received { atx, id, bytes } = &received;
        if self.archive.atx(*id).unwrap().is_none() {
            self.check(atx, poet);
            assert_eq!(decode::<Atx>(bytes).as_ref(), Ok(&**atx));
            let miner = atx.smesher;
            if let Some(initial) = &atx.initial {
                self.commitments.insert(miner, initial.commitment_atx);
            }
            self.network.push(received.clone());
            self.keep(&received);
        }
        let ok = Input::AtxJudged { id: *id, ok: true, why: String::new() };
        self.later(50, Coming::ToNode(ok));
    }

    /// The rules for ATXs, as far as they matter here.
    fn check(&self, atx: &Atx, poet: Challenge) {
        atx.check().unwrap();
        assert!(atx.signature_holds(&Verifier::new(self.params.genesis_id)));
        assert_eq!(atx.coinbase, COINBASE);
        assert!(self.now < self.params.timing.epoch_starts(atx.publish_epoch.next()), "published too late");
        assert!(self.now >= self.params.timing.epoch_starts(atx.publish_epoch), "published too early");
        let nipost = &atx.niposts[0];
        let post = &nipost.posts[0];
        let poet_proof = self.archive.poet(poet).unwrap().expect("the PoET proof is in the archive");
        let poet_proof: PoetProof = decode(&poet_proof).unwrap();
        assert_eq!((nipost.challenge, poet_proof.id()), (poet, poet));
        let leaf = BTreeMap::from([(post.leaf_index, atx.poet_challenge(post))]);
        poet_proof.verify_members(&leaf, &nipost.membership.nodes).unwrap();
        assert_eq!(post.post, proof(poet, atx.smesher, post.num_units, &self.params));
        if let Some(initial) = &atx.initial {
            assert_eq!(initial.post, proof(Challenge([0; 32]), atx.smesher, post.num_units, &self.params));
        }
        for other in self.network.iter().map(|received| &received.atx).filter(|other| other.smesher == atx.smesher) {
            assert_ne!(other.publish_epoch, atx.publish_epoch, "a fraud");
            assert_ne!(other.previous_atxs, atx.previous_atxs, "a fraud");
        }
        let latest = self.known.latest(atx.smesher).map(|latest| latest.id);
        assert_eq!(atx.previous_atxs.first().copied(), latest, "builds on the miner's last");
    }
}

/// A round with a toy tree.
pub(crate) fn poet_proof(members: &[PoetChallenge]) -> PoetProof {
    let mut prover = Prover::new(Members::new(members).unwrap().root());
    prover.work(5);
    prover.prove().unwrap()
}
