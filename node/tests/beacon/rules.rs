//! One machine, and what it takes.

use std::collections::BTreeMap;

use node::beacon::{BeaconMessage, BeaconVote, Beacons, Effect, Input, MAX_CANDIDATES, Reason};
use node::codec::encode;
use node::ids::{Epoch, GenesisId, Signature};
use node::params::NodeParams;
use node::signature::Signer;
use node::source::{Peer, Source, Verdict};
use node::time::{Grade, Time};

use crate::world::{EPOCH, Known, beacon_of, member, params, proposal, signer, verifier, vote};

struct Desk {
    params: NodeParams,
    machine: Beacons,
    known: Known,
    /// The first one is the node's own.
    miners: Vec<Signer>,
    now: Time,
    out: Vec<Effect>,
}

impl Desk {
    fn new(miners: u64) -> Self {
        Self::with(params(), miners)
    }

    fn with(params: NodeParams, miners: u64) -> Self {
        let miners: Vec<_> = (0..miners).map(|i| signer(&params, i)).collect();
        let members: BTreeMap<_, _> = miners.iter().map(|signer| (signer.node_id(), member(10))).collect();
        let machine = Beacons::new(&params, verifier(&params), miners[..1].to_vec());
        let now = params.timing.epoch_starts(EPOCH);
        let mut desk = Self { params, machine, known: Known::new(members), miners, now, out: vec![] };
        desk.tick_at(now.before(1));
        desk
    }

    fn start(&self) -> Time {
        self.params.timing.epoch_starts(EPOCH)
    }

    /// When proposals close, and then so many rounds later; the first votes are due at 1.
    fn round(&self, rounds: u64) -> Time {
        let consensus = &self.params.consensus;
        self.start().after(consensus.beacon_proposals_ms + rounds * consensus.beacon_round_ms)
    }

    fn step(&mut self, input: Input) {
        self.machine.step(self.now, &self.known, input, &mut self.out);
    }

    fn tick_at(&mut self, now: Time) {
        self.now = now;
        self.step(Input::Tick);
    }

    fn bytes_come(&mut self, bytes: Vec<u8>) -> (Verdict, Reason) {
        let source = Source::Answer { peer: Peer([5; 32]) };
        self.step(Input::Message { bytes, source });
        match self.out.pop() {
            Some(Effect::Verdict { source: of, verdict, why }) if of == source => (verdict, why),
            other => panic!("{other:?}"),
        }
    }

    fn comes(&mut self, message: &BeaconMessage) -> (Verdict, Reason) {
        self.bytes_come(encode(message))
    }

    fn proposes(&mut self, miner: usize) -> (Verdict, Reason) {
        let message = proposal(&self.miners[miner]).1;
        self.comes(&message)
    }

    fn votes(&mut self, miner: usize, round: u8, support: &[[u8; 8]]) -> (Verdict, Reason) {
        let message = BeaconMessage::Vote(vote(&self.miners[miner], round, support.to_vec()));
        self.comes(&message)
    }

    /// The candidates of the last vote that went out, and its round.
    fn own_vote(&self) -> Option<&BeaconVote> {
        self.out.iter().rev().find_map(|effect| match effect {
            Effect::Gossip(BeaconMessage::Vote(vote)) => Some(vote),
            _ => None,
        })
    }

    fn name(&self, miner: usize) -> [u8; 8] {
        proposal(&self.miners[miner]).0
    }
}

const GOOD: (Verdict, Reason) = (Verdict::Accept, Reason::Good);
const KNOWN: (Verdict, Reason) = (Verdict::Ignore, Reason::Known);
const TIME: (Verdict, Reason) = (Verdict::Ignore, Reason::Time);

#[test]
fn proposals_have_their_time() {
    let mut desk = Desk::new(8);
    desk.now = desk.start().before(desk.params.consensus.beacon_round_ms + 1);
    let mut fresh = Desk::new(8);
    fresh.machine = Beacons::new(&fresh.params, verifier(&fresh.params), vec![]);
    fresh.now = desk.now;
    assert_eq!(fresh.proposes(1), (Verdict::Ignore, Reason::Epoch(EPOCH)), "more than a round too early");
    desk.now = desk.start().before(1);
    assert_eq!(desk.proposes(1), GOOD);
    assert_eq!(desk.proposes(1), KNOWN);
    desk.tick_at(desk.start());
    assert_eq!(desk.proposes(2), GOOD);
    assert_eq!(desk.proposes(0), KNOWN, "its own");
    desk.now = desk.round(0).before(1);
    assert_eq!(desk.proposes(3), GOOD);
    desk.now = desk.round(0);
    assert_eq!(desk.proposes(4), GOOD, "some may have it in time");
    desk.now = desk.round(1).before(1);
    assert_eq!(desk.proposes(5), GOOD);
    desk.tick_at(desk.round(1));
    assert_eq!(desk.proposes(6), TIME);
    let mut in_time: Vec<_> = (0..4).map(|miner| desk.name(miner)).collect();
    in_time.sort_unstable();
    assert_eq!(desk.own_vote().unwrap().support, in_time);
    // All others know the late ones too, and nobody the others.
    let late: Vec<_> = (0..6).map(|miner| desk.name(miner)).collect();
    let mut support = late.clone();
    support.sort_unstable();
    (1..8).for_each(|miner| assert_eq!(desk.votes(miner, 0, &support), GOOD));
    desk.tick_at(desk.round(2));
    assert_eq!(desk.own_vote().unwrap().support, support);
}

#[test]
fn votes_have_their_time() {
    let mut desk = Desk::new(8);
    let last = desk.params.consensus.beacon_rounds - 1;
    desk.tick_at(desk.start());
    desk.now = desk.round(0).before(1);
    assert_eq!(desk.votes(1, 0, &[]), TIME);
    desk.now = desk.round(0);
    assert_eq!(desk.votes(1, 0, &[]), GOOD, "a round early");
    assert_eq!(desk.votes(1, 0, &[]), KNOWN);
    assert_eq!(desk.votes(1, 1, &[]), TIME);
    desk.tick_at(desk.round(3).before(1));
    assert_eq!(desk.votes(2, 0, &[]), GOOD, "a round late");
    desk.tick_at(desk.round(3));
    assert_eq!(desk.votes(3, 0, &[]), TIME);
    assert_eq!(desk.votes(3, last + 1, &[]), (Verdict::Reject, Reason::Round(last + 1)));
    let other = |epoch| BeaconMessage::Vote(BeaconVote { epoch, ..vote(&signer(&params(), 1), 0, vec![]) });
    for epoch in [0, 1, 3, u32::MAX].map(Epoch) {
        assert_eq!(desk.comes(&other(epoch)), (Verdict::Ignore, Reason::Epoch(epoch)));
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let mut desk = Desk::new(4);
    desk.tick_at(desk.start());
    for junk in [&[][..], &[2], &[0; 40], &[1; 200]] {
        assert!(matches!(desk.bytes_come(junk.to_vec()), (Verdict::Reject, Reason::Encoding(_))));
    }
    let mut long = encode(&proposal(&desk.miners[1]).1);
    long.push(0);
    assert!(matches!(desk.bytes_come(long), (Verdict::Reject, Reason::Encoding(_))));
    let stranger = signer(&desk.params, 99);
    assert_eq!(desk.comes(&proposal(&stranger).1), (Verdict::Ignore, Reason::NoMember));
    let BeaconMessage::Proposal { epoch, proof, .. } = proposal(&stranger).1 else { panic!("a proposal") };
    let stolen = BeaconMessage::Proposal { epoch, sender: desk.miners[1].node_id(), proof };
    assert!(matches!(desk.comes(&stolen), (Verdict::Reject, Reason::Draw(_))));
    desk.tick_at(desk.round(1));
    let good = vote(&desk.miners[1], 0, vec![[1; 8], [2; 8]]);
    let wrong = |change: &dyn Fn(&mut BeaconVote), sign: bool| {
        let mut vote = good.clone();
        change(&mut vote);
        if sign {
            vote.sign(&signer(&params(), 1));
        }
        BeaconMessage::Vote(vote)
    };
    let unsound = (Verdict::Reject, Reason::Unsound);
    assert_eq!(desk.comes(&wrong(&|vote| vote.signature = Signature([1; 64]), false)), unsound);
    assert_eq!(desk.comes(&wrong(&|vote| vote.support.truncate(1), false)), unsound);
    assert_eq!(desk.comes(&wrong(&|vote| vote.support.reverse(), true)), unsound);
    assert_eq!(desk.comes(&wrong(&|vote| vote.support[0] = [2; 8], true)), unsound);
    let of = |count: u64| (0..count).map(u64::to_be_bytes).collect::<Vec<_>>();
    let most = (u64::from(desk.params.consensus.beacon_candidates) * 8).max(64);
    assert_eq!(desk.comes(&wrong(&|vote| vote.support = of(most + 1), true)), unsound, "too many candidates");
    assert_eq!(desk.votes(3, 0, &of(most)), GOOD);
    let elsewhere = Signer::with(
        &node::crypto::KeyedHash::default(),
        GenesisId([1; 20]),
        &blake3::hash(&1u64.to_le_bytes()).into(),
    );
    assert_eq!(elsewhere.node_id(), good.sender);
    let mut other_network = good.clone();
    other_network.sign(&elsewhere);
    assert_eq!(desk.comes(&BeaconMessage::Vote(other_network)), unsound);
    let coin = wrong(&|vote| vote.coin.0[0] ^= 1, true);
    assert!(matches!(desk.comes(&coin), (Verdict::Reject, Reason::Draw(_))));
    assert_eq!(desk.comes(&BeaconMessage::Vote(good)), GOOD);
    desk.known.roster = None;
    assert_eq!(desk.votes(2, 0, &[]), (Verdict::Ignore, Reason::NoMember));
}

#[test]
fn who_contradicts_itself_counts_no_more() {
    let mut desk = Desk::new(4);
    desk.tick_at(desk.start());
    desk.tick_at(desk.round(1));
    assert_eq!(desk.votes(1, 0, &[[1; 8]]), GOOD);
    let (first, second) = (vote(&desk.miners[1], 0, vec![[1; 8]]), vote(&desk.miners[1], 0, vec![]));
    assert_eq!(desk.votes(1, 0, &[]), (Verdict::Accept, Reason::Contradiction), "all shall see both");
    assert_eq!(desk.out.pop(), Some(Effect::Contradiction(Box::new([first, second]))));
    let fraud = (Verdict::Ignore, Reason::Fraud);
    assert_eq!(desk.votes(1, 0, &[[2; 8]]), fraud);
    assert_eq!(desk.votes(1, 1, &[]), fraud);
    // And so does who was convicted of something else, from when its conviction is known.
    assert_eq!(desk.votes(2, 0, &[[1; 8]]), GOOD);
    assert_eq!(desk.votes(3, 0, &[[1; 8]]), GOOD);
    desk.step(Input::Convicted(desk.miners[2].node_id()));
    assert_eq!(desk.votes(2, 1, &[]), fraud);
    desk.known.frauds.insert(desk.miners[3].node_id());
    assert_eq!(desk.votes(3, 1, &[]), fraud);
    desk.tick_at(desk.round(2));
    assert_eq!(desk.own_vote().unwrap().support, Vec::<[u8; 8]>::new(), "three quarters were for it, and are gone");
}

/// An ATX that is in the active set of some only: its miner is heard, and has no weight.
#[test]
fn who_is_active_for_some_only() {
    let mut desk = Desk::new(8);
    let mut members: BTreeMap<_, _> = desk.miners.iter().map(|signer| (signer.node_id(), member(10))).collect();
    for miner in 1..5 {
        members.get_mut(&desk.miners[miner].node_id()).unwrap().grade = Grade::Acceptable;
    }
    members.get_mut(&desk.miners[5].node_id()).unwrap().grade = Grade::Evil;
    desk.known = Known::new(members);
    desk.tick_at(desk.start());
    assert_eq!(desk.proposes(1), GOOD);
    assert_eq!(desk.proposes(5), (Verdict::Ignore, Reason::NoMember));
    desk.tick_at(desk.round(1));
    assert_eq!(desk.own_vote().unwrap().support, [desk.name(0)]);
    for miner in 1..5 {
        assert_eq!(desk.votes(miner, 0, &[]), GOOD);
    }
    desk.tick_at(desk.round(2));
    // One of three was heard that counts: its candidate's margin is more than a quarter.
    assert!(desk.own_vote().unwrap().support.contains(&desk.name(0)));
}

/// Who was not there from the start takes part in nothing; who may not speak is silent, and knows what was decided.
#[test]
fn who_follows_and_who_is_silent() {
    for (began_ms, may_speak, decides) in [(0, true, true), (0, false, true), (1, true, false), (4000, true, false)] {
        let mut desk = Desk::new(4);
        desk.machine = Beacons::new(&desk.params, verifier(&desk.params), desk.miners[..1].to_vec());
        desk.out.clear();
        desk.known.may_speak = may_speak;
        let names = [desk.name(1)];
        desk.tick_at(desk.start().after(began_ms));
        let expected = if began_ms < 2000 { GOOD } else { TIME };
        if began_ms < 3000 {
            assert_eq!(desk.proposes(1), expected);
        }
        let rounds = desk.params.consensus.beacon_rounds;
        for round in 0..rounds {
            desk.tick_at(desk.round(u64::from(round) + 1).max(desk.now));
            for miner in 1..4 {
                let taken = desk.votes(miner, round, &names);
                assert!(taken == GOOD || began_ms > 3000 && taken == TIME, "{taken:?}");
            }
        }
        desk.tick_at(desk.round(u64::from(rounds) + 1));
        assert_eq!(desk.own_vote().is_some(), may_speak && decides, "{began_ms} {may_speak}");
        let decided: Vec<_> = desk.out.iter().filter(|effect| matches!(effect, Effect::Decided { .. })).collect();
        let right = Effect::Decided { epoch: EPOCH.next(), beacon: beacon_of(names.to_vec()) };
        assert_eq!(decided, if decides { vec![&right] } else { vec![] }, "{began_ms} {may_speak}");
        desk.out.clear();
        desk.tick_at(desk.now.after(1));
        assert_eq!(desk.out, [], "once");
    }
}

/// All are drawn and all propose: the smallest candidates stay, for everyone the same.
#[test]
fn proposals_are_bounded() {
    let miners = MAX_CANDIDATES as u64 + 100;
    let mut params = params();
    params.consensus.beacon_candidates = u32::MAX;
    let mut desk = Desk::with(params, miners);
    desk.known.may_speak = false;
    desk.tick_at(desk.start());
    let mut order: Vec<_> = (1..miners as usize).map(|miner| (desk.name(miner), miner)).collect();
    order.sort_unstable();
    let (smallest, largest) = order.split_at(MAX_CANDIDATES);
    // A few that won't stay come while there is room.
    let mut arrivals: Vec<_> = smallest.iter().rev().copied().collect();
    arrivals.splice(1000..1000, largest[..20].iter().copied());
    for (_, miner) in arrivals {
        assert_eq!(desk.proposes(miner), GOOD);
    }
    for (_, miner) in &largest[20..] {
        assert_eq!(desk.proposes(*miner), (Verdict::Ignore, Reason::Crowded));
    }
    let names: Vec<_> = smallest.iter().map(|(name, _)| *name).collect();
    desk.known.may_speak = true;
    desk.tick_at(desk.round(1));
    assert_eq!(desk.own_vote().unwrap().support, names);
}

#[test]
fn nobody_votes_before_anybody_has_weight() {
    let mut desk = Desk::new(2);
    for (epoch, heard) in [(0, false), (1, false), (2, true)] {
        desk.machine = Beacons::new(&desk.params, verifier(&desk.params), desk.miners[..1].to_vec());
        desk.out.clear();
        desk.tick_at(desk.params.timing.epoch_starts(Epoch(epoch)));
        assert_eq!(!desk.out.is_empty(), heard, "{epoch}");
    }
    // The ends of time.
    for now in [Time(0), Time(u64::MAX)] {
        let mut desk = Desk::new(2);
        desk.machine = Beacons::new(&desk.params, verifier(&desk.params), vec![]);
        desk.tick_at(now);
        desk.proposes(1);
    }
}
