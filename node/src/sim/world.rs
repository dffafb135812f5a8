//! Time, and what happens when.

mod digest;
mod effects;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use self::digest::Digest;
use super::invariants::Judge;
use super::member::Member;
use super::miner::{self, Poet};
use super::network::{Message, Network};
use super::plan::Plan;
use super::report::{Meter, Report, Traffic, Work};
use super::rng::Rng;
use super::settings::{Keys, Settings};
use super::spending::{self, Order};
use crate::atx::Received;
use crate::crypto::{Crypto, Draws, Ed25519, KeyedHash};
use crate::ids::{Challenge, Layer};
use crate::node::{Effect, Input};
use crate::reconcile::answer;
use crate::signature::Verifier;
use crate::smeshing::ProverEvent;
use crate::source::{MessageHash, Source, Topic};
use crate::time::Time;
use crate::wire::Request;

/// So many ticks of a node's are in one of Hare's rounds.
const TICKS_A_ROUND: u64 = 4;
/// Who asks in vain knows it after so long.
const TIMEOUT_MS: u64 = 3_000;

/// What happens to somebody.
enum Event {
    /// A node starts for the first time, or again.
    Start(usize),
    /// A node dies, and starts again after so many milliseconds, or never.
    Die(usize, Option<u64>),
    /// The network falls apart, as the plan has it.
    Part(usize),
    /// It is one again.
    Heal,
    /// A layer ends.
    LayerEnds(Layer),
    /// A node's clock ticks.
    Tick(usize, u32),
    /// A message reaches a node, from a neighbour.
    Gossip { to: usize, by: usize, message: Rc<Message> },
    /// A liar says what it held back.
    Say { from: usize, saying: Box<super::liars::Saying> },
    /// For one life of a node.
    Input { to: usize, life: u32, input: Box<Input> },
    /// A node asks another.
    Ask { from: usize, life: u32, to: usize, id: u64, request: Box<Request> },
    /// A prover is ready.
    Proved { to: usize, life: u32, challenge: Challenge },
    /// A node's disk has flushed.
    Flushed { of: usize, life: u32 },
}

/// Everything there is.
pub(super) struct World {
    plan: Plan,
    now: Time,
    /// What will happen, in the order in which it was decided.
    queue: BTreeMap<Time, VecDeque<Event>>,
    members: Vec<Member>,
    network: Network,
    poet: Poet,
    crypto: Arc<dyn Crypto>,
    verifier: Verifier,
    /// What came of looking at bytes that should be an ATX, for all nodes.
    looked_at: BTreeMap<MessageHash, Result<Received, String>>,
    judge: Judge,
    /// Whether there is anybody whose messages have to be handed on.
    some_lie: bool,
    traffic: BTreeMap<(u32, Topic), Traffic>,
    agreed: BTreeMap<u64, u64>,
    steps: u64,
    digest: Digest,
    /// Who spends what when. A transaction's name covers its signature, so worlds that are to decide alike with other
    /// signatures have none.
    spending: Option<Rng>,
}

impl World {
    /// The world of a seed, before anything happens.
    pub(super) fn new(settings: &Settings, seed: u64) -> Self {
        let plan = Plan::new(settings, seed);
        let crypto: Arc<dyn Crypto> = match settings.keys {
            Keys::Hash => Arc::new(KeyedHash::default()),
            Keys::Real => Arc::new(Ed25519),
            Keys::RealDraws => Arc::new(KeyedHash::new(Draws::Real(Arc::default()))),
        };
        let network = Network::new(seed, plan.nodes.len(), plan.latency.clone(), plan.loss_permille);
        let member = |(i, node): (usize, &super::plan::NodePlan)| {
            Member::new(node.clone(), network.peer(i), &plan.params, &*crypto, (!settings.twins).then_some(seed))
        };
        let members: Vec<Member> = plan.nodes.iter().enumerate().map(member).collect();
        let mut world = Self {
            now: plan.params.timing.genesis,
            queue: BTreeMap::new(),
            judge: Judge::new(&plan, &members),
            some_lie: members.iter().any(|member| !member.is_honest()),
            members,
            network,
            poet: Poet::default(),
            verifier: Verifier::with(Arc::clone(&crypto), plan.params.genesis_id),
            crypto,
            looked_at: BTreeMap::new(),
            traffic: BTreeMap::new(),
            agreed: BTreeMap::new(),
            steps: 0,
            digest: Digest::default(),
            spending: matches!(settings.keys, Keys::Hash).then(|| Rng::new(seed, "spending", 0)),
            plan,
        };
        world.foretell();
        world
    }

    /// From one of a node's ticks to the next.
    fn tick_ms(&self) -> u64 {
        (self.plan.params.consensus.round_ms / TICKS_A_ROUND).max(1)
    }

    /// Puts what the plan says into the queue.
    fn foretell(&mut self) {
        let plan = self.plan.clone();
        for (i, node) in plan.nodes.iter().enumerate() {
            self.at(node.starts, Event::Start(i));
            node.crashes.iter().for_each(|(at, down_ms)| self.at(*at, Event::Die(i, Some(*down_ms))));
            node.stops.iter().for_each(|at| self.at(*at, Event::Die(i, None)));
        }
        for (i, partition) in plan.partitions.iter().enumerate() {
            self.at(partition.from, Event::Part(i));
            self.at(partition.to, Event::Heal);
        }
        let mut layer = Layer(0);
        while plan.params.timing.layer_starts(layer.next()) <= plan.end {
            self.at(plan.params.timing.layer_starts(layer.next()), Event::LayerEnds(layer));
            layer = layer.next();
        }
    }

    fn at(&mut self, time: Time, event: Event) {
        self.queue.entry(time).or_default().push_back(event);
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now.after(ms), event);
    }

    fn input_after(&mut self, ms: u64, to: usize, input: Input) {
        let life = self.members[to].life;
        self.after(ms, Event::Input { to, life, input: Box::new(input) });
    }

    /// Runs until the end, or until a node can't go on.
    pub(super) fn run(mut self, meter: &mut dyn Meter) -> Report {
        while let Some(mut moment) = self.queue.first_entry() {
            if *moment.key() > self.plan.end {
                break;
            }
            self.now = *moment.key();
            match moment.get_mut().pop_front() {
                Some(event) => self.happen(event, meter),
                None => {
                    moment.remove();
                }
            }
        }
        self.judge.at_the_end(self.now, &self.members);
        self.report()
    }

    /// The most that a node remembers of agreement: ballots, votes, ballots that wait.
    fn remembered(&self) -> (usize, usize, usize) {
        let sizes = self.members.iter().filter_map(|member| member.node.as_ref()).map(|node| node.agreement_size());
        sizes.fold((0, 0, 0), |most, size| (most.0.max(size.0), most.1.max(size.1), most.2.max(size.2)))
    }

    /// What the node keeps that keeps the most.
    fn kept(&self) -> Vec<(&'static str, usize, usize)> {
        let kept = self.members.iter().map(|member| member.disk.archive().sizes());
        kept.max_by_key(|kinds| kinds.iter().map(|(_, _, bytes)| bytes).sum::<usize>()).unwrap_or_default()
    }

    fn report(self) -> Report {
        let summary = self.judge.summary();
        Report {
            seed: self.plan.seed,
            digest: self.digest.value(),
            nodes: self.members.len(),
            decisions: self.judge.decisions(),
            remembered: self.remembered(),
            kept: self.kept(),
            agreed: self.agreed,
            liars: self.members.iter().filter(|member| !member.is_honest()).count(),
            final_layers: summary.final_layers,
            empty_layers: summary.empty_layers,
            worst_lag: summary.worst_lag,
            judged: summary.judged,
            voices: summary.voices,
            transfers: summary.transfers,
            convicted: summary.convicted,
            steps: self.steps,
            traffic: self.traffic,
            broken: self.judge.broken(),
        }
    }

    fn happen(&mut self, event: Event, meter: &mut dyn Meter) {
        match event {
            Event::Start(i) => self.start(i, meter),
            Event::Die(i, down_ms) => self.die(i, down_ms, meter),
            Event::Part(i) => {
                let sides = self.plan.partitions.get(i).map(|partition| partition.sides.clone());
                self.part(sides, meter);
            }
            Event::Heal => self.part(None, meter),
            Event::LayerEnds(layer) => {
                self.judge.after_layer(self.now, layer, &self.members);
                self.spend(meter);
            }
            Event::Tick(i, life) => {
                if self.is_alive(i, life) {
                    self.after(self.tick_ms(), Event::Tick(i, life));
                    self.step(i, Input::Tick, Work::Tick, meter);
                }
            }
            Event::Gossip { to, by, message } => self.hear(to, by, &message, meter),
            Event::Say { from, saying } => self.say(from, *saying),
            Event::Input { to, life, input } => {
                if self.is_alive(to, life) {
                    let work = if matches!(*input, Input::Response { .. }) { Work::Sync } else { Work::Other };
                    self.step(to, *input, work, meter);
                }
            }
            Event::Ask { from, life, to, id, request } => self.answer((from, life), to, id, &request, meter),
            Event::Proved { to, life, challenge } => {
                if self.is_alive(to, life) && self.members[to].wanted == Some(challenge) {
                    self.members[to].wanted = None;
                    self.prove(to, challenge, meter);
                }
            }
            Event::Flushed { of, life } => {
                if self.is_alive(of, life) {
                    self.flushed(of);
                }
            }
        }
    }

    fn spend(&mut self, meter: &mut dyn Meter) {
        let Some(rng) = &mut self.spending else { return };
        for (i, order) in spending::orders(&self.members, rng) {
            match order {
                Order::Submit(bytes) => {
                    let input = Input::Gossip { topic: Topic::Transaction, bytes, source: Source::Own };
                    self.step(i, input, Work::Other, meter);
                }
                Order::Say(sayings) => {
                    for saying in sayings {
                        self.after(saying.after_ms, Event::Say { from: i, saying: Box::new(saying) });
                    }
                }
            }
        }
    }

    /// Whether a node is up, and has not been down since.
    fn is_alive(&self, i: usize, life: u32) -> bool {
        let member = &self.members[i];
        member.life == life && member.node.is_some()
    }

    fn start(&mut self, i: usize, meter: &mut dyn Meter) {
        if self.members[i].node.is_some() {
            return;
        }
        let result = self.members[i].start(&self.plan.params, &self.crypto);
        if let Err(error) = result {
            self.judge.no_restart(self.now, i, &error.to_string());
            return;
        }
        self.digest.start(self.now, i);
        self.network.set_up(i, true);
        self.members[i].steady_since = self.now;
        let life = self.members[i].life;
        // Not all in the same moment.
        self.after((i as u64 * 37) % self.tick_ms(), Event::Tick(i, life));
        if let (Some(units), Some(signer)) = (self.members[i].plan.units, &self.members[i].signer) {
            let metadata = miner::metadata(&self.plan.params, signer.node_id(), units);
            self.step(i, Input::Prover(ProverEvent::Registered(metadata)), Work::Other, meter);
        }
        for other in self.network.linked(i) {
            self.step(i, Input::PeerUp(self.network.peer(other)), Work::Other, meter);
            self.step(other, Input::PeerUp(self.network.peer(i)), Work::Other, meter);
        }
    }

    fn die(&mut self, i: usize, down_ms: Option<u64>, meter: &mut dyn Meter) {
        if let Some(down_ms) = down_ms {
            self.after(down_ms, Event::Start(i));
        }
        if self.members[i].node.is_none() {
            return;
        }
        let linked = self.network.linked(i);
        self.members[i].die();
        self.network.set_up(i, false);
        self.judge.died(i, &self.members[i]);
        for other in linked {
            self.step(other, Input::PeerDown(self.network.peer(i)), Work::Other, meter);
        }
    }

    /// The network falls into two parts, or heals.
    fn part(&mut self, sides: Option<Vec<bool>>, meter: &mut dyn Meter) {
        let before = self.network.links();
        self.network.set_sides(sides);
        let after = self.network.links();
        for (a, b) in before.difference(&after) {
            self.step(*a, Input::PeerDown(self.network.peer(*b)), Work::Other, meter);
        }
        for (a, b) in after.difference(&before) {
            self.step(*a, Input::PeerUp(self.network.peer(*b)), Work::Other, meter);
        }
        // Nobody has all of the network while it is in parts, and everybody begins to catch up afterwards.
        let now = self.now;
        self.members.iter_mut().for_each(|member| member.steady_since = now);
        self.judge.parted(self.network.is_parted());
    }

    fn hear(&mut self, to: usize, by: usize, message: &Message, meter: &mut dyn Meter) {
        if self.members[to].node.is_none() {
            return;
        }
        let source = Source::Gossip { peer: self.network.peer(by), message: message.hash };
        let input = match message.topic {
            Topic::Atx => self.look_at(message.hash, &message.bytes, source),
            Topic::Fraud => Input::Fraud { bytes: message.bytes.clone(), source },
            topic => Input::Gossip { topic, bytes: message.bytes.clone(), source },
        };
        self.step(to, input, Work::Gossip(message.topic), meter);
    }

    /// What a checker would say of an ATX: each is looked at once for all nodes, since all would say the same.
    fn look_at(&mut self, hash: MessageHash, bytes: &[u8], source: Source) -> Input {
        let looked_at = self.looked_at.entry(hash).or_insert_with(|| {
            let received = Received::decode(bytes).map_err(|junk| junk.to_string())?;
            let good = Received::wrongly_signed(&self.verifier, std::slice::from_ref(&received)).is_empty();
            if good { Ok(received) } else { Err("the signature is not the smesher's".into()) }
        });
        match looked_at {
            Ok(received) => Input::Atx { received: received.clone(), source },
            Err(why) => {
                let id = Received::decode(bytes).ok().map(|received| received.id);
                Input::Junk { source, id, why: why.clone() }
            }
        }
    }

    fn answer(&mut self, asker: (usize, u32), to: usize, id: u64, request: &Request, meter: &mut dyn Meter) {
        let (from, life) = asker;
        if !self.is_alive(from, life) {
            return;
        }
        let peer = self.network.peer(to);
        meter.begin();
        let response = self.network.reaches(from, to).then(|| answer(self.members[to].disk.archive(), request).ok());
        meter.end(Work::Answer);
        let response = response.flatten();
        let ms = if response.is_some() { self.network.latency(to, from) } else { TIMEOUT_MS };
        self.input_after(ms, from, Input::Response { peer, id, response });
    }

    fn prove(&mut self, i: usize, challenge: Challenge, meter: &mut dyn Meter) {
        let (Some(units), Some(signer)) = (self.members[i].plan.units, &self.members[i].signer) else { return };
        let node_id = signer.node_id();
        let proof = miner::proof(&self.plan.params, node_id, units, challenge);
        let metadata = miner::metadata(&self.plan.params, node_id, units);
        self.step(i, Input::Prover(ProverEvent::Proof { node_id, challenge, proof, metadata }), Work::Other, meter);
    }

    /// A node's step, and what comes of it: writes at once, all else when what was written is safe.
    fn step(&mut self, i: usize, input: Input, work: Work, meter: &mut dyn Meter) {
        let mut out = Vec::new();
        meter.begin();
        let done = self.members[i].step(self.now, input, &mut out);
        meter.end(work);
        match done {
            Ok(false) => return,
            Ok(true) => self.steps += 1,
            Err(error) => return self.judge.no_restart(self.now, i, &error.to_string()),
        }
        for effect in out {
            self.digest.effect(self.now, i, &effect);
            match effect {
                Effect::Persist(writes) => self.write(i, writes),
                effect if self.members[i].flushing => self.members[i].waiting.push_back(effect),
                effect => self.execute(i, effect),
            }
        }
    }
}
