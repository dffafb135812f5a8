//! A little world: machines, messages that take their time, and liars who may send anything to anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use node::beacon::{BeaconMessage, BeaconVote, Beacons, Candidate, Effect, Input, View};
use node::codec::{Scale, decode, encode, put_bytes};
use node::crypto::KeyedHash;
use node::fraud::{Fraud, FraudProof, Guilt, Statement};
use node::ids::{Address, AtxId, Beacon, Epoch, NodeId, Signature};
use node::params::NodeParams;
use node::roster::{Member, Roster};
use node::signature::{Signer, Verifier};
use node::source::{MessageHash, Peer, Source, Verdict};
use node::time::{Grade, Time};
use node::vrf::VrfProof;

/// The epoch that is looked at.
pub(crate) const EPOCH: Epoch = Epoch(2);
pub(crate) const NONCE: u64 = 77;
const TICK_MS: u64 = 100;

/// Votes for 20 rounds, which an epoch of the devnet has time for.
pub(crate) fn params() -> NodeParams {
    let mut params = NodeParams::devnet(Time(1_700_000_000_000));
    params.consensus.beacon_rounds = 20;
    params.check().unwrap();
    params
}

pub(crate) fn verifier(params: &NodeParams) -> Verifier {
    Verifier::with(Arc::new(KeyedHash::default()), params.genesis_id)
}

pub(crate) fn signer(params: &NodeParams, number: u64) -> Signer {
    let seed = blake3::hash(&number.to_le_bytes()).into();
    Signer::with(&KeyedHash::default(), params.genesis_id, &seed)
}

pub(crate) fn member(weight: u64) -> Member {
    let (atx, coinbase, grade) = (AtxId([1; 32]), Address([0; 24]), Grade::Good);
    Member { atx, weight, vrf_nonce: NONCE, coinbase, height: 0, grade, fraud: false }
}

pub(crate) fn proposal(signer: &Signer) -> (Candidate, BeaconMessage) {
    let mut message = Vec::new();
    1u8.encode_to(&mut message);
    put_bytes(&mut message, b"beacon proposal");
    EPOCH.encode_to(&mut message);
    NONCE.encode_to(&mut message);
    let proof = signer.draw(&message).unwrap();
    let name = proof.0[..8].try_into().unwrap();
    (name, BeaconMessage::Proposal { epoch: EPOCH, sender: signer.node_id(), proof })
}

pub(crate) fn coin(signer: &Signer, round: u8) -> VrfProof {
    let mut message = Vec::new();
    4u8.encode_to(&mut message);
    EPOCH.encode_to(&mut message);
    round.encode_to(&mut message);
    NONCE.encode_to(&mut message);
    signer.draw(&message).unwrap()
}

pub(crate) fn vote(signer: &Signer, round: u8, support: Vec<Candidate>) -> BeaconVote {
    let (coin, sender, signature) = (coin(signer, round), signer.node_id(), Signature([0; 64]));
    let mut vote = BeaconVote { epoch: EPOCH, round, support, coin, sender, signature };
    vote.sign(signer);
    vote
}

/// The beacon that these make.
pub(crate) fn beacon_of(mut candidates: Vec<Candidate>) -> Beacon {
    candidates.sort_unstable();
    Beacon(blake3::hash(&candidates.concat()).as_bytes()[..4].try_into().unwrap())
}

/// xorshift64*: the same world in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end.max(1)
    }
}

/// What a node knows of miners.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) roster: Option<Roster>,
    pub(crate) frauds: BTreeSet<NodeId>,
    pub(crate) may_speak: bool,
}

impl Known {
    pub(crate) fn new(members: BTreeMap<NodeId, Member>) -> Self {
        Self { roster: Some(Roster::of(EPOCH, members)), frauds: BTreeSet::new(), may_speak: true }
    }
}

impl View for Known {
    fn roster(&self, epoch: Epoch) -> Option<&Roster> {
        self.roster.as_ref().filter(|roster| roster.epoch == epoch)
    }

    fn may_speak(&self, _: Epoch) -> bool {
        self.may_speak
    }

    fn is_fraud(&self, node_id: NodeId) -> bool {
        self.frauds.contains(&node_id)
    }
}

pub(crate) struct Node {
    pub(crate) machine: Beacons,
    pub(crate) known: Known,
    pub(crate) decided: Vec<(Epoch, Beacon)>,
    seen: BTreeSet<MessageHash>,
}

enum Event {
    Message { to: usize, bytes: Vec<u8> },
    Convicted { to: usize, culprit: NodeId },
}

pub(crate) struct World {
    pub(crate) params: NodeParams,
    pub(crate) honest: Vec<Node>,
    /// Keys of the liars; they have no machines.
    pub(crate) liars: Vec<Signer>,
    pub(crate) now: Time,
    pub(crate) dice: Dice,
    /// A message takes up to so long.
    pub(crate) delay_ms: u64,
    /// All that honest ones said.
    pub(crate) said: Vec<BeaconMessage>,
    events: BTreeMap<(Time, u64), Event>,
    count: u64,
    /// Of everything that came out.
    log: blake3::Hasher,
}

impl World {
    /// So many honest ones, and liars, of weights given by their number.
    pub(crate) fn new(seed: u64, honest: usize, liars: usize, weight: fn(usize) -> u64) -> Self {
        Self::with(params(), seed, honest, liars, weight)
    }

    pub(crate) fn with(params: NodeParams, seed: u64, honest: usize, liars: usize, weight: fn(usize) -> u64) -> Self {
        let all: Vec<_> = (0..honest + liars).map(|i| signer(&params, 1000 * seed + i as u64)).collect();
        let members = all.iter().enumerate().map(|(i, signer)| (signer.node_id(), member(weight(i)))).collect();
        let known = Known::new(members);
        let machine = |signer: &Signer| Node {
            machine: Beacons::new(&params, verifier(&params), vec![signer.clone()]),
            known: known.clone(),
            decided: vec![],
            seen: BTreeSet::new(),
        };
        Self {
            honest: all[..honest].iter().map(machine).collect(),
            liars: all[honest..].to_vec(),
            now: params.timing.epoch_starts(EPOCH).before(TICK_MS),
            params,
            dice: Dice::new(seed),
            delay_ms: 300,
            said: vec![],
            events: BTreeMap::new(),
            count: 0,
            log: blake3::Hasher::new(),
        }
    }

    pub(crate) fn closes(&self) -> Time {
        self.params.timing.epoch_starts(EPOCH).after(self.params.consensus.beacon_proposals_ms)
    }

    pub(crate) fn round_starts(&self, round: u8) -> Time {
        self.closes().after(self.params.consensus.beacon_round_ms * (u64::from(round) + 1))
    }

    fn at(&mut self, at: Time, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    /// Bytes reach a node at a moment.
    pub(crate) fn deliver(&mut self, at: Time, to: usize, message: &BeaconMessage) {
        self.at(at, Event::Message { to, bytes: encode(message) });
    }

    /// Steps until a moment; ticks are regular.
    pub(crate) fn run_until(&mut self, end: Time) {
        while self.now < end {
            let tick = Time(self.now.0 / TICK_MS * TICK_MS).after(TICK_MS).min(end);
            while let Some(next) = self.events.first_entry().filter(|event| event.key().0 < tick) {
                let ((at, _), event) = next.remove_entry();
                self.now = self.now.max(at);
                match event {
                    Event::Message { to, bytes } => self.message_comes(to, bytes),
                    Event::Convicted { to, culprit } => {
                        self.honest[to].known.frauds.insert(culprit);
                        self.step(to, Input::Convicted(culprit));
                    }
                }
            }
            self.now = tick;
            (0..self.honest.len()).for_each(|node| self.step(node, Input::Tick));
        }
    }

    /// To the end of the run.
    pub(crate) fn finish(&mut self) {
        self.run_until(self.round_starts(self.params.consensus.beacon_rounds).after(TICK_MS));
    }

    fn message_comes(&mut self, to: usize, bytes: Vec<u8>) {
        let message = MessageHash(blake3::hash(&bytes).into());
        if self.honest[to].seen.insert(message) {
            self.step(to, Input::Message { bytes, source: Source::Gossip { peer: Peer([9; 32]), message } });
        }
    }

    fn step(&mut self, node: usize, input: Input) {
        let bytes = if let Input::Message { bytes, .. } = &input { bytes.clone() } else { vec![] };
        let mut out = Vec::new();
        let Node { machine, known, .. } = &mut self.honest[node];
        machine.step(self.now, known, input, &mut out);
        for effect in out {
            self.log.update(format!("{node} {effect:?}").as_bytes());
            match effect {
                Effect::Gossip(message) => {
                    self.spread(node, &encode(&message));
                    self.said.push(message);
                }
                Effect::Verdict { verdict: Verdict::Accept, .. } => self.spread(node, &bytes),
                Effect::Verdict { .. } => {}
                Effect::Contradiction(both) => self.convict(both),
                Effect::Decided { epoch, beacon } => self.honest[node].decided.push((epoch, beacon)),
            }
        }
    }

    /// To all others, each with a delay of its own.
    fn spread(&mut self, from: usize, bytes: &[u8]) {
        self.honest[from].seen.insert(MessageHash(blake3::hash(bytes).into()));
        for to in (0..self.honest.len()).filter(|to| *to != from) {
            let at = self.now.after(1 + self.dice.below(self.delay_ms));
            self.at(at, Event::Message { to, bytes: bytes.to_vec() });
        }
    }

    /// What a machine finds out is a proof, and spreads.
    fn convict(&mut self, both: Box<[BeaconVote; 2]>) {
        let culprit = both[0].sender;
        let fraud = Fraud::Contradiction(Box::new(both.map(Statement::Beacon)));
        assert_eq!(FraudProof { culprit, fraud }.check(&verifier(&self.params)), Ok(Guilt::Proven));
        assert!(self.liars.iter().any(|liar| liar.node_id() == culprit), "an honest one was caught");
        for to in 0..self.honest.len() {
            let at = self.now.after(1 + self.dice.below(self.delay_ms));
            self.at(at, Event::Convicted { to, culprit });
        }
    }

    /// The one beacon that all honest ones came to.
    pub(crate) fn agreed(&self) -> Option<Beacon> {
        let [(epoch, beacon)] = self.honest[0].decided[..] else { return None };
        let same = |node: &Node| node.decided == [(epoch, beacon)];
        (epoch == EPOCH.next() && self.honest.iter().all(same)).then_some(beacon)
    }

    /// What honest ones voted for in a round.
    pub(crate) fn votes(&self, round: u8) -> Vec<&BeaconVote> {
        let votes = self.said.iter().filter_map(|message| match message {
            BeaconMessage::Vote(vote) => Some(vote),
            BeaconMessage::Proposal { .. } => None,
        });
        votes.filter(|vote| vote.round == round).collect()
    }

    pub(crate) fn digest(&self) -> blake3::Hash {
        self.log.finalize()
    }

    /// Everything that was said can be said again.
    pub(crate) fn check_bytes(&self) {
        for message in &self.said {
            assert_eq!(decode(&encode(message)).as_ref(), Ok(message));
        }
    }
}
