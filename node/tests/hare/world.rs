//! A network of machines for one layer. What an honest node accepts reaches all others within a round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use node::codec::encode;
use node::crypto::KeyedHash;
use node::eligibility::{seat_message, seats};
use node::hare::{Effect, Hare, HareMessage, Input, IterRound, Round, Value, View};
use node::ids::{Address, AtxId, BallotId, Beacon, Epoch, Layer, NodeId, Signature};
use node::params::NodeParams;
use node::roster::{Member, Roster};
use node::signature::{Signer, Verifier};
use node::source::{MessageHash, Peer, Source, Verdict};
use node::time::{Grade, Time};

pub(crate) const LAYER: Layer = Layer(20);
pub(crate) const BEACON: Beacon = Beacon([7; 4]);
pub(crate) const ROUND_MS: u64 = 1000;
/// Rounds of all iterations, and the one in which it is seen what came of the last.
pub(crate) const ROUNDS: u32 = 29;
pub(crate) const WEIGHT: u64 = 1 << 20;

/// Numbers from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % end
    }
}

pub(crate) fn params() -> NodeParams {
    let mut params = NodeParams::devnet(Time(1_000_000));
    params.timing.layer_ms = 1_000_000;
    params.consensus.preround_ms = ROUND_MS;
    params.consensus.round_ms = ROUND_MS;
    params
}

pub(crate) fn starts(round: u32) -> Time {
    let layer = Time(1_000_000).after(1_000_000 * u64::from(LAYER.0));
    layer.after(ROUND_MS * (u64::from(round) + 1))
}

pub(crate) fn id(name: u8) -> BallotId {
    BallotId([name; 20])
}

pub(crate) fn ids(names: &[u8]) -> Vec<BallotId> {
    names.iter().copied().map(id).collect()
}

pub(crate) fn signer(name: u64) -> Signer {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&name.to_le_bytes());
    Signer::with(&KeyedHash::default(), params().genesis_id, &seed)
}

pub(crate) fn verifier() -> Verifier {
    Verifier::with(Arc::new(KeyedHash::default()), params().genesis_id)
}

pub(crate) fn roster(members: impl IntoIterator<Item = (NodeId, u64)>) -> Roster {
    graded(members.into_iter().map(|(id, weight)| (id, weight, Grade::Good)))
}

pub(crate) fn graded(members: impl IntoIterator<Item = (NodeId, u64, Grade)>) -> Roster {
    let member = |weight, grade| Member {
        atx: AtxId([1; 32]),
        weight,
        vrf_nonce: 0,
        coinbase: Address([0; 24]),
        height: 1,
        grade,
        fraud: false,
    };
    Roster::of(Epoch(2), members.into_iter().map(|(id, weight, grade)| (id, member(weight, grade))).collect())
}

/// What a member says, if it is drawn.
pub(crate) fn message(signer: &Signer, roster: &Roster, at: IterRound, value: Value) -> Option<HareMessage> {
    let proof = signer.draw(&seat_message(BEACON, LAYER, at.number())).unwrap();
    let weight = roster.member(signer.node_id()).unwrap().weight;
    let seats = seats(weight, roster.seat_weight, params().consensus.committee, &proof);
    let (sender, signature) = (signer.node_id(), Signature([0; 64]));
    let mut message = HareMessage { layer: LAYER, at, value, proof, seats, sender, signature };
    message.sign(signer);
    (seats > 0).then_some(message)
}

pub(crate) fn gossip(bytes: &[u8]) -> Source {
    Source::Gossip { peer: Peer([0; 32]), message: MessageHash(blake3::hash(bytes).into()) }
}

/// What a node's machine sees.
#[derive(Debug)]
pub(crate) struct Eyes {
    pub(crate) roster: Roster,
    pub(crate) proposals: Vec<BallotId>,
    pub(crate) frauds: BTreeSet<NodeId>,
    pub(crate) may_speak: bool,
}

impl View for Eyes {
    fn roster(&self, epoch: Epoch) -> Option<&Roster> {
        (epoch == self.roster.epoch).then_some(&self.roster)
    }

    fn beacon(&self, _: Epoch) -> Option<Beacon> {
        Some(BEACON)
    }

    fn proposals(&self, _: Layer) -> Vec<BallotId> {
        self.proposals.clone()
    }

    fn may_speak(&self, _: Layer) -> bool {
        self.may_speak
    }

    fn is_fraud(&self, node_id: NodeId) -> bool {
        self.frauds.contains(&node_id)
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    hare: Hare,
    pub(crate) eyes: Eyes,
    pub(crate) decided: Option<Vec<BallotId>>,
    pub(crate) decided_in: Option<u32>,
    pub(crate) gave_up: bool,
    pub(crate) coin: Option<bool>,
    pub(crate) convicted: BTreeSet<NodeId>,
    /// Executes nothing from this round on.
    pub(crate) dies_in: u32,
    seen: BTreeSet<[u8; 32]>,
}

#[derive(Clone, Debug)]
enum Parcel {
    Message(Arc<[u8]>),
    Proof(NodeId),
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) liars: Vec<Signer>,
    pub(crate) roster: Roster,
    pub(crate) dice: Dice,
    parcels: BTreeMap<(Time, u64), (usize, Parcel)>,
    sent: u64,
}

impl World {
    /// Of `honest` machines with one miner each, and the keys of `liars`, all of one weight.
    pub(crate) fn new(seed: u64, honest: usize, liars: usize) -> Self {
        Self::with(seed, honest, (liars, WEIGHT, Grade::Good))
    }

    /// The same with keys of liars of another weight, whose ATXs came at another time.
    pub(crate) fn with(seed: u64, honest: usize, (liars, weight, grade): (usize, u64, Grade)) -> Self {
        let all: Vec<_> = (0..(honest + liars) as u64).map(|i| signer(seed << 16 | i)).collect();
        let standing = |i| if i < honest { (WEIGHT, Grade::Good) } else { (weight, grade) };
        let members = all.iter().enumerate().map(|(i, signer)| (signer.node_id(), standing(i)));
        let roster = graded(members.map(|(id, (weight, grade))| (id, weight, grade)));
        let node = |signer: &Signer| Node {
            hare: Hare::new(&params(), verifier(), vec![signer.clone()]),
            eyes: Eyes { roster: roster.clone(), proposals: ids(&[1, 2, 3]), frauds: BTreeSet::new(), may_speak: true },
            decided: None,
            decided_in: None,
            gave_up: false,
            coin: None,
            convicted: BTreeSet::new(),
            dies_in: u32::MAX,
            seen: BTreeSet::new(),
        };
        let nodes = all[..honest].iter().map(node).collect();
        let liars = all[honest..].to_vec();
        Self { nodes, liars, roster, dice: Dice::new(seed), parcels: BTreeMap::new(), sent: 0 }
    }

    fn post(&mut self, to: usize, at: Time, parcel: Parcel) {
        self.sent += 1;
        self.parcels.insert((at, self.sent), (to, parcel));
    }

    /// A liar's message to one node, `ms` after a round's start; the liar decides when.
    pub(crate) fn lie(&mut self, liar: usize, at: IterRound, set: Value, to: usize, arrives: Time) {
        if let Some(message) = message(&self.liars[liar].clone(), &self.roster, at, set) {
            self.post(to, arrives, Parcel::Message(encode(&message).into()));
        }
    }

    fn deliver_to_all(&mut self, now: Time, from: usize, parcel: &Parcel) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            let delay = 1 + self.dice.below(ROUND_MS - 1);
            self.post(to, now.after(delay - 1), parcel.clone());
        }
    }

    fn step(&mut self, now: Time, to: usize, input: Input) -> bool {
        let mut out = Vec::new();
        let node = &mut self.nodes[to];
        let round = (0..ROUNDS).rev().find(|round| starts(*round) <= now);
        if round >= Some(node.dies_in) {
            return false;
        }
        node.hare.step(now, &node.eyes, input, &mut out);
        let mut accepted = false;
        for effect in out {
            let node = &mut self.nodes[to];
            match effect {
                Effect::Gossip(message) => self.deliver_to_all(now, to, &Parcel::Message(encode(&message).into())),
                Effect::Verdict { verdict, .. } => accepted = verdict == Verdict::Accept,
                Effect::Contradiction(pair, who) => {
                    let verifier = verifier();
                    assert!(pair.iter().all(|(header, signature)| header.is_signed(who, *signature, &verifier)));
                    assert!(pair[0].0.value != pair[1].0.value && pair[0].0.at == pair[1].0.at);
                    node.convicted.insert(who);
                    self.deliver_to_all(now, to, &Parcel::Proof(who));
                }
                Effect::Decided { layer, proposals } => {
                    assert_eq!((layer, &node.decided), (LAYER, &None));
                    assert!(!proposals.is_empty());
                    (node.decided, node.decided_in) = (Some(proposals), round);
                }
                Effect::GaveUp { layer } => {
                    if layer == LAYER {
                        assert!(node.decided.is_none() && !node.hare.is_running(LAYER));
                        node.gave_up = true;
                    }
                }
                Effect::Coin { heads, .. } => {
                    assert!(node.coin.replace(heads).is_none());
                }
            }
        }
        accepted
    }

    fn deliver(&mut self, until: Time) {
        while let Some((&(now, seq), _)) = self.parcels.first_key_value()
            && now < until
        {
            let (to, parcel) = self.parcels.remove(&(now, seq)).unwrap();
            match &parcel {
                Parcel::Message(bytes) => {
                    if self.nodes[to].seen.insert(blake3::hash(bytes).into()) {
                        let input = Input::Message { bytes: bytes.to_vec(), source: gossip(bytes) };
                        if self.step(now, to, input) {
                            self.deliver_to_all(now, to, &parcel);
                        }
                    }
                }
                Parcel::Proof(who) => {
                    if self.nodes[to].eyes.frauds.insert(*who) {
                        self.step(now, to, Input::Convicted(*who));
                        self.deliver_to_all(now, to, &parcel);
                    }
                }
            }
        }
    }

    /// Runs all rounds; at each one's start, when the honest have spoken, the liars do.
    pub(crate) fn run(&mut self, mut lies: impl FnMut(&mut Self, u32)) {
        for round in 0..ROUNDS {
            self.deliver(starts(round));
            for to in 0..self.nodes.len() {
                self.step(starts(round), to, Input::Tick);
            }
            lies(self, round);
        }
        self.deliver(starts(ROUNDS));
        for node in self.nodes.iter().filter(|node| node.dies_in >= ROUNDS) {
            assert!(node.decided.is_some() != node.gave_up);
        }
    }

    /// The decisions that differ.
    pub(crate) fn outputs(&self) -> BTreeSet<&Vec<BallotId>> {
        self.nodes.iter().filter_map(|node| node.decided.as_ref()).collect()
    }

    pub(crate) fn all_decided(&self) -> bool {
        self.nodes.iter().filter(|node| node.dies_in >= ROUNDS).all(|node| node.decided.is_some())
    }

    /// At most one output, of what honest nodes knew, with all that each of them knew.
    pub(crate) fn check(&self, seed: u64) {
        let outputs = self.outputs();
        assert!(outputs.len() <= 1, "seed {seed}: {outputs:?}");
        let known: BTreeSet<_> = self.nodes.iter().flat_map(|node| &node.eyes.proposals).collect();
        for output in outputs {
            assert!(output.iter().all(|id| known.contains(id)), "seed {seed}: {output:?}");
            for id in known.iter().filter(|id| self.nodes.iter().all(|node| node.eyes.proposals.contains(id))) {
                assert!(output.contains(id), "seed {seed}: {output:?} lacks {id}");
            }
        }
    }
}

pub(crate) fn at(iteration: u8, round: Round) -> IterRound {
    IterRound { iteration, round }
}

/// The round with a number, if anybody speaks in it.
pub(crate) fn spoken(number: u32) -> Option<IterRound> {
    let all = (0..4).flat_map(|iteration| Round::ALL.map(|round| at(iteration, round)));
    let speaks = |at: &IterRound| match at.round {
        Round::Preround => at.iteration == 0,
        round => matches!(round, Round::Propose | Round::Commit | Round::Notify),
    };
    all.filter(speaks).find(|at| at.number() == number)
}

/// The value for a round that stands for a set.
pub(crate) fn value(at: IterRound, set: &[BallotId]) -> Value {
    match at.round {
        Round::Preround | Round::Propose => Value::Proposals(set.to_vec()),
        _ => Value::Reference(Value::reference(set)),
    }
}
