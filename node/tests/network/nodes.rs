//! A few nodes with time, messages and archives of their own, in a full mesh.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use node::archive::{Archive, Memory};
use node::atx::Received;
use node::atxs::{Dear, Judgement, PostClaim};
use node::codec::encode;
use node::ids::{Address, Epoch};
use node::node::{Config, Effect, Input, Node};
use node::params::NodeParams;
use node::reconcile::answer;
use node::signature::Verifier;
use node::source::{MessageHash, Peer, Source, Topic, Verdict};
use node::sync;
use node::time::Time;
use node::wire::{Request, Response};
use post_core::backend::Cpu;
use post_core::label::reference;
use post_core::verify::{self, Job};

use crate::gossip;
use crate::world::{HashPow, Made, World};

/// Somebody who is no node, and has what its ATXs name.
const OUTSIDER: Peer = Peer([0xee; 32]);
/// Between two ticks.
const TICK_MS: u64 = 500;

struct Member {
    node: Node,
    archive: Memory,
    inputs: VecDeque<Input>,
    /// Gossip that waits for a verdict, to be handed on.
    heard: BTreeMap<MessageHash, (Topic, Vec<u8>)>,
    seen: BTreeSet<MessageHash>,
    present: bool,
}

pub(crate) struct Nodes {
    params: NodeParams,
    members: Vec<Member>,
    /// What the outsider answers with.
    outside: Memory,
    pub(crate) now: Time,
    cpu: Cpu,
    /// Of everything that was done.
    log: blake3::Hasher,
}

fn name(i: usize) -> Peer {
    Peer([i as u8 + 1; 32])
}

impl Nodes {
    /// `count` nodes at the beginning of an epoch.
    pub(crate) fn new(world: &World, count: usize, epoch: u32) -> Self {
        let params = world.params.clone();
        let now = params.timing.epoch_starts(Epoch(epoch)).after(1000);
        let member = |i| Member {
            node: Node::new(Config {
                params: params.clone(),
                verifier: Verifier::new(params.genesis_id),
                peer: name(i),
                coinbase: Address([0; 24]),
                signers: vec![],
                sync: sync::Config::new(params.timing.clone(), name(i).0),
            }),
            archive: Memory::default(),
            inputs: VecDeque::new(),
            heard: BTreeMap::new(),
            seen: BTreeSet::new(),
            present: true,
        };
        let members = (0..count).map(member).collect();
        let mut nodes = Self {
            params: params.clone(),
            members,
            outside: Memory::default(),
            now,
            cpu: Cpu::new(1).unwrap(),
            log: blake3::Hasher::new(),
        };
        for i in 0..count {
            nodes.members[i].present = false;
            nodes.join(i);
        }
        nodes
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Node> {
        self.members.iter().map(|member| &member.node)
    }

    pub(crate) fn archives(&self) -> impl Iterator<Item = &Memory> {
        self.members.iter().map(|member| &member.archive)
    }

    pub(crate) fn digest(&self) -> blake3::Hash {
        self.log.finalize()
    }

    pub(crate) fn leave(&mut self, i: usize) {
        self.members[i].present = false;
        for other in self.others(i) {
            self.members[other].inputs.push_back(Input::PeerDown(name(i)));
            self.members[i].inputs.push_back(Input::PeerDown(name(other)));
        }
    }

    pub(crate) fn join(&mut self, i: usize) {
        for other in self.others(i) {
            self.members[other].inputs.push_back(Input::PeerUp(name(i)));
            self.members[i].inputs.push_back(Input::PeerUp(name(other)));
        }
        self.members[i].present = true;
    }

    fn others(&self, i: usize) -> Vec<usize> {
        (0..self.members.len()).filter(|other| *other != i && self.members[*other].present).collect()
    }

    /// Tells one node an ATX; whoever asks for what it names gets it.
    pub(crate) fn outsider_publishes(&mut self, to: usize, made: &Made) {
        for proof in &made.poets {
            self.outside.write(node::archive::Write::Poet { id: proof.id(), bytes: encode(proof) });
        }
        if !self.members[to].inputs.iter().any(|input| matches!(input, Input::PeerUp(peer) if *peer == OUTSIDER)) {
            self.members[to].inputs.push_back(Input::PeerUp(OUTSIDER));
        }
        self.hear(to, OUTSIDER, Topic::Atx, encode(&made.atx));
    }

    /// Lets so many milliseconds pass.
    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now.after(ms);
        while self.now < end {
            self.settle();
            self.now = self.now.after(TICK_MS);
            self.members.iter_mut().for_each(|member| member.inputs.push_back(Input::Tick));
        }
        self.settle();
    }

    /// Until nobody has anything to do.
    fn settle(&mut self) {
        while let Some(i) = (0..self.members.len()).find(|i| !self.members[*i].inputs.is_empty()) {
            let Member { node, archive, inputs, .. } = &mut self.members[i];
            let input = inputs.pop_front().unwrap();
            let mut out = Vec::new();
            node.step(self.now, archive, input, &mut out).unwrap();
            for effect in out {
                self.log.update(format!("{i} {} {effect:?}", self.now.0).as_bytes());
                self.execute(i, effect);
            }
        }
    }

    fn execute(&mut self, i: usize, effect: Effect) {
        match effect {
            Effect::Persist(writes) => writes.into_iter().for_each(|write| self.members[i].archive.write(write)),
            Effect::Verdict { source, verdict, .. } => {
                let Source::Gossip { message, .. } = source else { return };
                let heard = self.members[i].heard.remove(&message);
                if let (Verdict::Accept, Some((topic, bytes))) = (verdict, heard) {
                    self.spread(i, topic, &bytes);
                }
            }
            Effect::Check { source, bytes } => self.check(i, source, &bytes),
            Effect::Judge(dear) => {
                let (id, judgement) = (dear.id, self.judge(&dear));
                self.members[i].inputs.push_back(Input::Judged { id, judgement });
            }
            Effect::Gossip { topic, bytes } => self.spread(i, topic, &bytes),
            Effect::Request { peer, id, request } => {
                let response = self.ask(peer, &request);
                self.members[i].inputs.push_back(Input::Response { peer, id, response });
            }
            Effect::Punish { peer, why } => panic!("node {i} punishes {peer}: {why}"),
            Effect::AskProof { .. } | Effect::CancelProof { .. } | Effect::Poet(_) => panic!("there are no miners"),
            Effect::Tell { .. } => {}
        }
    }

    fn ask(&self, peer: Peer, request: &Request) -> Option<Response> {
        let archive: &dyn Archive = match self.members.iter().enumerate().find(|(i, _)| name(*i) == peer) {
            Some((_, member)) if member.present => &member.archive,
            Some(_) => return None,
            None => &self.outside,
        };
        answer(archive, request).ok()
    }

    fn spread(&mut self, from: usize, topic: Topic, bytes: &[u8]) {
        if !self.members[from].present {
            return;
        }
        for to in self.others(from) {
            self.hear(to, name(from), topic, bytes.to_vec());
        }
    }

    fn hear(&mut self, to: usize, from: Peer, topic: Topic, bytes: Vec<u8>) {
        let source = gossip(from, topic, &bytes);
        let Source::Gossip { message, .. } = source else { return };
        if !self.members[to].present || !self.members[to].seen.insert(message) {
            return;
        }
        self.members[to].heard.insert(message, (topic, bytes.clone()));
        match topic {
            Topic::Atx => self.check(to, source, &bytes),
            Topic::Fraud => self.members[to].inputs.push_back(Input::Fraud { bytes, source }),
            topic => self.members[to].inputs.push_back(Input::Gossip { topic, bytes, source }),
        }
    }

    fn check(&mut self, i: usize, source: Source, bytes: &[u8]) {
        let received = Received::decode(bytes).unwrap();
        let verifier = Verifier::new(self.params.genesis_id);
        assert!(Received::wrongly_signed(&verifier, std::slice::from_ref(&received)).is_empty());
        self.members[i].inputs.push_back(Input::Atx { received, source });
    }

    fn judge(&mut self, dear: &Dear) -> Judgement {
        let verifier = verify::Verifier::new(&self.params.post, &HashPow).unwrap();
        let job = |PostClaim { proof, metadata, mode }: &PostClaim| {
            let verdict = verifier.verify_batch(&[Job { proof, metadata, mode }], &mut self.cpu).unwrap();
            verdict.into_iter().next().unwrap()
        };
        let bad = dear.posts.iter().map(job).enumerate().find_map(|(post, verdict)| Some((post, verdict.err()?)));
        let full = |nonce, commitment| reference::full_label(commitment, nonce, self.params.post.scrypt).unwrap();
        match (bad, &dear.vrf) {
            (Some((post, invalid)), _) => Judgement::InvalidPost { post, invalid },
            (None, Some(vrf)) if full(vrf.nonce, &vrf.commitment) >= vrf.threshold => Judgement::InvalidVrf,
            _ => Judgement::Valid,
        }
    }
}
