//! What is said in agreement and contradicts itself: proven for every kind, and never against who is honest.

use node::atxs::{Effect, Input, Reason};
use node::ballot::{Ballot, BallotError, LayerVote, MAX_DIFFERENCES, MAX_SLOTS, Slot, Vote};
use node::beacon::{BeaconVote, MAX_CANDIDATES};
use node::codec::{decode, encode};
use node::fraud::{Fraud, FraudProof, Guilt, MAX_FRAUD_BYTES, NotProven, Statement};
use node::hare::{HareHeader, IterRound, Round};
use node::ids::{AtxId, Beacon, BlockId, Epoch, GenesisId, Layer, NodeId, Opinion, Signature};
use node::signature::{Domain, Signer, Verifier};
use node::source::{Source, Verdict};
use node::vrf::VrfProof;

use crate::bad::BASE;
use crate::desk::{Found, peer};
use crate::world::bytes;

/// Of epoch 5, in which Eve's ATX of epoch 4 would count.
const LAYER: u32 = 52;

fn eve() -> &'static Signer {
    &BASE.eve.signer
}

fn elsewhere() -> Signer {
    Signer::new(GenesisId([9; 20]), &bytes("eve"))
}

fn ballot(signer: &Signer, change: impl FnOnce(&mut Ballot)) -> Statement {
    let slot = |counter| Slot { counter, proof: VrfProof([counter as u8; 80]) };
    let mut ballot = Ballot {
        layer: Layer(LAYER),
        atx: AtxId([4; 32]),
        beacon: Beacon([1; 4]),
        total_weight: 100,
        slots: vec![slot(2), slot(5)],
        base: None,
        differences: vec![],
        opinion: Opinion([2; 32]),
        content: [3; 32],
        smesher: signer.node_id(),
        signature: Signature([0; 64]),
    };
    change(&mut ballot);
    ballot.sign(signer);
    Statement::Ballot(ballot)
}

fn hare(signer: &Signer, change: impl FnOnce(&mut HareHeader)) -> Statement {
    let at = IterRound { iteration: 1, round: Round::Commit };
    let mut header = HareHeader { layer: Layer(LAYER), at, value: [7; 32] };
    change(&mut header);
    Statement::Hare { signature: signer.sign(Domain::Hare, &encode(&header)), header }
}

fn vote(signer: &Signer, change: impl FnOnce(&mut BeaconVote)) -> Statement {
    let mut vote = BeaconVote {
        epoch: Epoch(5),
        round: 0,
        support: vec![[1; 8], [2; 8]],
        coin: VrfProof([5; 80]),
        sender: signer.node_id(),
        signature: Signature([0; 64]),
    };
    change(&mut vote);
    vote.sign(signer);
    Statement::Beacon(vote)
}

fn counters(ballot: &mut Ballot, layer: u32, counters: &[u32]) {
    ballot.layer = Layer(layer);
    ballot.slots = counters.iter().map(|&counter| Slot { counter, proof: VrfProof([8; 80]) }).collect();
}

fn proof(culprit: NodeId, first: Statement, second: Statement) -> FraudProof {
    FraudProof { culprit, fraud: Fraud::Contradiction(Box::new([first, second])) }
}

fn check(first: &Statement, second: &Statement) -> Result<Guilt, NotProven> {
    let verifier = Verifier::new(BASE.world.params.genesis_id);
    let found = proof(eve().node_id(), first.clone(), second.clone()).check(&verifier);
    let other_way = proof(eve().node_id(), second.clone(), first.clone()).check(&verifier);
    assert_eq!(found.is_ok(), other_way.is_ok());
    found
}

/// Pairs that contradict each other.
fn guilty() -> Vec<(&'static str, Statement, Statement)> {
    let eve = eve();
    let mut one_bit = [7; 32];
    one_bit[31] ^= 1;
    vec![
        ("layer", ballot(eve, |_| {}), ballot(eve, |ballot| ballot.opinion.0[0] ^= 1)),
        ("layer, other slots", ballot(eve, |_| {}), ballot(eve, |ballot| counters(ballot, LAYER, &[9]))),
        ("layer, other ATX", ballot(eve, |_| {}), ballot(eve, |ballot| ballot.atx.0[0] ^= 1)),
        ("slot", ballot(eve, |_| {}), ballot(eve, |ballot| counters(ballot, LAYER + 1, &[1, 5, 6]))),
        ("hare", hare(eve, |_| {}), hare(eve, |header| header.value = one_bit)),
        ("first votes", vote(eve, |_| {}), vote(eve, |vote| vote.support.truncate(1))),
        ("votes' coins", vote(eve, |_| {}), vote(eve, |vote| vote.coin.0[79] ^= 1)),
        ("later votes", vote(eve, |vote| vote.round = 3), vote(eve, |vote| (vote.round, vote.support) = (3, vec![]))),
    ]
}

#[test]
fn who_contradicts_itself_is_convicted() {
    for (name, first, second) in guilty() {
        assert_eq!(check(&first, &second), Ok(Guilt::Proven), "{name}");
        let proof = proof(eve().node_id(), first, second);
        assert_eq!(decode(&encode(&proof)), Ok(proof.clone()), "{name}");
        assert_eq!(proof.epoch(&BASE.world.params.timing), Epoch(5), "{name}");
        let mut desk = BASE.desk();
        let found = desk.fraud_comes(8, &encode(&proof));
        assert_eq!(found, Found::Verdict(Verdict::Accept, Reason::Good), "{name}");
        assert_eq!((desk.frauds(), desk.fraud_proofs().len()), (vec![eve().node_id()], 0), "{name}");
    }
}

#[test]
fn what_does_not_contradict_proves_nothing() {
    let eve = eve();
    let (one_ballot, one_hare, one_vote) = (ballot(eve, |_| {}), hare(eve, |_| {}), vote(eve, |_| {}));
    let at = |change: fn(&mut HareHeader)| {
        hare(eve, |header| {
            header.value = [0; 32];
            change(header);
        })
    };
    let innocent = [
        (&one_ballot, one_ballot.clone()),
        (&one_ballot, ballot(eve, |ballot| counters(ballot, LAYER + 1, &[1, 3, 6]))),
        // By another beacon the same counter has another layer.
        (
            &one_ballot,
            ballot(eve, |ballot| {
                counters(ballot, LAYER + 1, &[2, 5]);
                ballot.beacon.0[0] ^= 1;
            }),
        ),
        (&one_ballot, ballot(eve, |ballot| (ballot.layer, ballot.atx) = (Layer(LAYER + 1), AtxId([5; 32])))),
        (&one_hare, one_hare.clone()),
        (&one_hare, at(|header| header.layer = Layer(LAYER + 1))),
        (&one_hare, at(|header| header.at.iteration = 0)),
        (&one_hare, at(|header| header.at.round = Round::Notify)),
        (&one_vote, one_vote.clone()),
        (&one_vote, vote(eve, |vote| (vote.epoch, vote.support) = (Epoch(6), vec![]))),
        (&one_vote, vote(eve, |vote| (vote.round, vote.support) = (1, vec![]))),
        (&one_ballot, one_hare.clone()),
        (&one_hare, one_vote.clone()),
        (&one_vote, one_ballot.clone()),
    ];
    for (i, (first, second)) in innocent.iter().enumerate() {
        assert_eq!(check(first, second), Err(NotProven::NoContradiction), "{i}");
    }
    // The machine says so, and convicts nobody.
    let mut desk = BASE.desk();
    let bytes = encode(&proof(eve.node_id(), one_vote.clone(), one_vote.clone()));
    let why = Reason::NotProven(NotProven::NoContradiction);
    assert_eq!(desk.fraud_comes(8, &bytes), Found::Verdict(Verdict::Reject, why));
    assert_eq!(desk.frauds(), []);
}

/// What somebody else said, or said elsewhere, or what never counts because it breaks a rule.
#[test]
fn what_the_accused_did_not_say_proves_nothing() {
    let (bob, elsewhere) = (&BASE.bob.signer, &elsewhere());
    assert_eq!(elsewhere.node_id(), eve().node_id());
    let unsigned = |mut statement: Statement| {
        match &mut statement {
            Statement::Ballot(Ballot { signature, .. })
            | Statement::Hare { signature, .. }
            | Statement::Beacon(BeaconVote { signature, .. }) => signature.0[40] ^= 1,
        }
        statement
    };
    for (name, first, second) in guilty() {
        let by = |signer: &Signer| match &second {
            Statement::Ballot(said) => ballot(signer, |ballot| *ballot = said.clone()),
            Statement::Hare { header: said, .. } => hare(signer, |header| *header = *said),
            Statement::Beacon(said) => vote(signer, |vote| *vote = said.clone()),
        };
        assert_eq!(check(&first, &by(eve())), Ok(Guilt::Proven), "{name}");
        let wrong = if matches!(second, Statement::Ballot(_)) {
            NotProven::Ballot(BallotError::Signature)
        } else {
            NotProven::Signature
        };
        assert_eq!(check(&first, &unsigned(second.clone())), Err(wrong), "{name}");
        assert_eq!(check(&first, &by(elsewhere)), Err(wrong), "{name}");
        let others = if matches!(second, Statement::Hare { .. }) { wrong } else { NotProven::NotTheSigner };
        assert_eq!(check(&first, &by(bob)), Err(others), "{name}");
        // Said by Eve, and blamed on Bob.
        let verifier = Verifier::new(BASE.world.params.genesis_id);
        assert!(proof(bob.node_id(), first, second).check(&verifier).is_err(), "{name}");
    }
    let no_slots = ballot(eve(), |ballot| ballot.slots.clear());
    assert_eq!(check(&ballot(eve(), |_| {}), &no_slots), Err(NotProven::Ballot(BallotError::Slots)));
    let no_order = vote(eve(), |vote| vote.support.reverse());
    assert_eq!(check(&vote(eve(), |_| {}), &no_order), Err(NotProven::Signature));
}

/// What this node finds out itself is kept and told to everyone, once.
#[test]
fn a_node_tells_what_it_finds_out() {
    let (_, first, second) = guilty().remove(0);
    let bytes = encode(&proof(eve().node_id(), first, second));
    let own = || Input::Fraud { bytes: bytes.clone(), source: Source::Own };
    let mut desk = BASE.desk();
    let kept = desk.writes.len();
    desk.step(own());
    assert_eq!((desk.frauds(), desk.writes.len()), (vec![eve().node_id()], kept + 1));
    assert_eq!(desk.fraud_proofs(), std::slice::from_ref(&bytes));
    assert!(desk.effects.contains(&Effect::Accused { node_id: eve().node_id() }));
    desk.step(own());
    assert_eq!((desk.fraud_proofs().len(), desk.writes.len()), (1, kept + 1));
    // What a peer answered with, all can ask for.
    let mut desk = BASE.desk();
    desk.step(Input::Fraud { bytes: bytes.clone(), source: Source::Answer { peer: peer(3) } });
    assert_eq!((desk.frauds(), desk.fraud_proofs().len()), (vec![eve().node_id()], 0));
}

#[test]
fn the_longest_fit() {
    let slot = |counter| Slot { counter: u32::MAX - counter, proof: VrfProof([8; 80]) };
    let block = Vote::Block { id: BlockId([1; 20]), height: u64::MAX };
    let difference = |layer| LayerVote { layer: Layer(layer), vote: block };
    let longest = ballot(eve(), |ballot| {
        ballot.layer = Layer(u32::MAX);
        ballot.slots = (0..MAX_SLOTS as u32).rev().map(slot).collect();
        ballot.differences =
            (0..MAX_DIFFERENCES as u32).map(|i| difference(u32::MAX - MAX_DIFFERENCES as u32 + i)).collect();
    });
    let candidate = |i: usize| (i as u64).to_be_bytes();
    let votes = vote(eve(), |vote| vote.support = (0..MAX_CANDIDATES).map(candidate).collect());
    for longest in [longest, votes] {
        let bytes = encode(&proof(eve().node_id(), longest.clone(), longest));
        assert!(bytes.len() <= MAX_FRAUD_BYTES, "{}", bytes.len());
        assert!(decode::<FraudProof>(&bytes).is_ok());
    }
}

/// Any bit of a proof: it still convicts whom it convicted, or nobody; and no two encodings are of one value.
#[test]
fn no_bit_turns_a_proof_against_somebody_else() {
    let verifier = Verifier::new(BASE.world.params.genesis_id);
    for (name, first, second) in guilty() {
        let bytes = encode(&proof(eve().node_id(), first, second));
        let mut decoded = 0;
        for bit in (0..bytes.len() * 8).step_by(7) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let Ok(other) = decode::<FraudProof>(&changed) else { continue };
            assert_eq!(encode(&other), changed, "{name}, bit {bit}");
            decoded += 1;
            assert!(other.check(&verifier).is_err(), "{name}, bit {bit}: every bit is signed");
        }
        assert!(decoded > 50, "{name}: {decoded}");
    }
    let (_, first, second) = guilty().remove(4);
    let bytes = encode(&proof(eve().node_id(), first, second));
    for end in 0..bytes.len() {
        assert!(decode::<FraudProof>(&bytes[..end]).is_err(), "{end}");
    }
}
