//! Fraud proofs: whoever is guilty loses its weight everywhere, and nobody else can be made to look guilty.

use node::archive::{Archive, Write};
use node::atx::{Atx, Received};
use node::atxs::{Effect, Input, Reason};
use node::codec::{decode, encode};
use node::fraud::{Fraud, FraudProof, Guilt, MAX_FRAUD_BYTES, NotProven, Participation, SharedMarriage, Wedding};
use node::ids::{Epoch, GenesisId, NO_ATX, NodeId, Signature};
use node::signature::{Signer, Verifier};
use node::source::{Source, Verdict};

use crate::bad::{BASE, miss};
use crate::desk::{Desk, Found, peer};
use crate::golden::proofs;
use crate::world::bytes;

fn verifier() -> Verifier {
    Verifier::new(BASE.world.params.genesis_id)
}

/// A node with the history, which heard all of it in time.
fn in_time() -> Desk {
    let mut desk = Desk::new(&BASE.world);
    for made in BASE.history() {
        desk.now = BASE.world.start(made.atx.publish_epoch.0).after(1);
        desk.accepts(made);
    }
    desk
}

#[test]
fn a_proof_takes_weight_from_the_culprit_and_its_set() {
    for (name, proof) in proofs() {
        // The node knows the history alone, and nothing of the second ATX.
        let mut desk = in_time();
        let before = desk.atxs.weight(Epoch(5));
        assert!(before > 0);
        let bytes = encode(&proof);
        assert_eq!(desk.fraud_comes(8, &bytes), Found::Verdict(Verdict::Accept, Reason::Good), "{name}");
        assert_eq!(desk.frauds(), [proof.culprit], "{name}");
        assert_eq!(desk.atxs.weight(Epoch(5)), 0, "{name}: a merged set answers for each of its members");
        for miner in [&BASE.alice, &BASE.bob, &BASE.carol] {
            assert!(desk.atxs.fraud_of(miner.id()).is_some(), "{name}");
        }
        assert!(desk.atxs.fraud_of(BASE.eve.id()).is_none(), "{name}");
        assert_eq!(desk.fraud_comes(9, &bytes), Found::Verdict(Verdict::Ignore, Reason::Known), "{name}");
        assert_eq!(desk.fraud_proofs().len(), 0, "{name}: those who gossip hand it on, nobody starts anew");
        assert!(desk.effects.contains(&Effect::Accused { node_id: proof.culprit }), "{name}");
        // What it publishes from now on is kept, and weighs nothing.
        let later = BASE.world.next(&BASE.carol, 6, BASE.m4.id());
        desk.now = BASE.world.start(6).after(1);
        assert_eq!(desk.comes(&later), Found::Verdict(Verdict::Ignore, Reason::Fraud), "{name}");
        assert_eq!((desk.atxs.known(Epoch(6)), desk.atxs.weight(Epoch(7))), (1, 0), "{name}");
    }
}

/// A fraud that becomes known after the next epoch began changes nothing in that epoch.
#[test]
fn weight_that_was_given_stays() {
    let (_, proof) = &proofs()[0];
    let mut desk = in_time();
    let before = desk.atxs.weight(Epoch(2));
    desk.now = BASE.world.start(2);
    desk.fraud_comes(8, &encode(proof));
    assert_eq!(desk.atxs.weight(Epoch(2)), before);
    assert_eq!(desk.atxs.weight(Epoch(5)), 0);
    // Fetched by a node that did not listen, it counts from the epoch of its evidence on.
    let mut late = in_time();
    late.now = BASE.world.start(9);
    late.step(Input::Fraud { bytes: encode(proof), source: Source::Answer { peer: peer(3) } });
    assert_eq!(late.atxs.weight(Epoch(2)), before);
    assert_eq!(late.atxs.weight(Epoch(5)), 0);
}

#[test]
fn whoever_marries_a_fraud_answers_for_it() {
    let (base, world) = (&*BASE, &BASE.world);
    let mut desk = base.desk();
    let frank = world.miner("frank");
    let f1 = world.initial(&frank, 1);
    desk.accepts(&f1);
    desk.comes(&world.initial(&frank, 2));
    assert_eq!(desk.frauds(), [frank.id()]);
    let married = world.next_but(&base.eve, 5, Some(base.e1.id()), |plan| {
        plan.marriages = vec![base.eve.marries(&base.eve, NO_ATX), frank.marries(&base.eve, f1.id())];
    });
    // Handed on: the others know nothing of the marriage.
    assert_eq!(desk.comes(&married), Found::Verdict(Verdict::Accept, Reason::Fraud));
    assert!(desk.atxs.fraud_of(base.eve.id()).is_some());
    assert_eq!(desk.frauds(), [frank.id()], "but nobody needs a proof of that");
}

/// Two ATXs of an epoch show a fraud; a third is kept only if an ATX builds on it.
#[test]
fn more_atxs_of_a_fraud_are_kept_when_they_are_needed() {
    let (base, world) = (&*BASE, &BASE.world);
    let mut desk = Desk::new(world);
    desk.accepts(&base.e1);
    desk.accepts(&base.b1);
    let another = |i| base.e1.but(&base.eve, |atx| atx.coinbase.0[0] = i);
    let fraud = Found::Verdict(Verdict::Ignore, Reason::Fraud);
    assert_eq!(desk.comes(&another(1)), fraud);
    assert_eq!(desk.atxs.known(Epoch(1)), 3);
    assert_eq!(desk.comes(&another(2)), fraud);
    assert_eq!(desk.atxs.known(Epoch(1)), 3);
    let honest = world.next_but(&base.bob, 2, Some(base.b1.id()), |plan| plan.positioning = another(2).id());
    assert_eq!(desk.comes(&honest), Found::Undecided);
    assert_eq!(desk.fetches(), [(node::atxs::Need::Atx(another(2).id()), peer(7))]);
    assert_eq!(desk.comes(&another(2)), fraud);
    assert_eq!(desk.atxs.known(Epoch(1)), 4);
    assert_eq!(
        desk.verdict(crate::desk::gossip(7, &encode(&honest.atx))),
        Found::Verdict(Verdict::Accept, Reason::Good)
    );
}

/// With K3 = 1 a bad label is seen by few; they spare those who handed the ATX on, and keep it.
#[test]
fn one_bad_label_convicts_and_blames_no_sender() {
    let (base, world) = (&*BASE, &BASE.world);
    let mut params = world.params.clone();
    params.post.k3 = 1;
    let bad = base.e5().but(&base.eve, |atx| miss(world, &base.eve, atx, 20));
    let (mut saw, mut passed) = (0, 0);
    let mut proof = Vec::new();
    for own in 2..=250 {
        let mut desk = Desk::with(&params, peer(own), world.start(9));
        desk.accepts(&base.e1);
        match desk.comes(&bad) {
            Found::Verdict(Verdict::Ignore, Reason::Post { post: Some(0), .. }) => {
                saw += 1;
                assert_eq!(desk.frauds(), [base.eve.id()]);
                proof = desk.fraud_proofs().remove(0);
            }
            Found::Verdict(Verdict::Accept, Reason::Good) => passed += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(desk.atxs.known(Epoch(5)), 1);
    }
    // One in 37 on average.
    assert!((1..=25).contains(&saw) && passed + saw == 249, "{saw}");
    // And whoever did not see it believes the proof.
    let mut desk = Desk::with(&params, peer(1), world.start(9));
    desk.accepts(&base.e1);
    assert_eq!(desk.fraud_comes(8, &proof), Found::Verdict(Verdict::Accept, Reason::Good));
}

/// Two ATXs of a key that never had any space cost nothing.
#[test]
fn proofs_of_strangers_wait_for_an_atx_of_theirs() {
    for (name, proof) in proofs() {
        let bytes = encode(&proof);
        let mut desk = Desk::new(&BASE.world);
        for from in [8, 9] {
            let stranger = Found::Verdict(Verdict::Ignore, Reason::Stranger);
            assert_eq!(desk.fraud_comes(from, &bytes), stranger, "{name}");
        }
        assert_eq!((desk.frauds(), desk.writes.len(), desk.fraud_proofs()), (vec![], 0, vec![]), "{name}");
        for made in BASE.history() {
            desk.comes(made);
        }
        assert_eq!((desk.frauds(), desk.fraud_proofs()), (vec![proof.culprit], vec![bytes.clone()]), "{name}");
        let kept = desk.writes.iter().filter(|write| matches!(write, Write::Fraud { .. })).count();
        assert_eq!((kept, desk.archive.fraud(proof.culprit).unwrap().unwrap().bytes), (1, bytes), "{name}");
        assert_eq!(desk.atxs.weight(Epoch(5)), 0, "{name}: as if the proof had come last");
        assert_eq!(desk.known().len(), BASE.history().len(), "{name}");
    }
}

/// An own ATX is looked at as a whole, and a bad one harms nobody but its miner's epoch.
#[test]
fn a_node_does_not_convict_its_own_miner() {
    let (base, world) = (&*BASE, &BASE.world);
    let mut params = world.params.clone();
    params.post.k3 = 1;
    let bad = base.e5().but(&base.eve, |atx| miss(world, &base.eve, atx, 20));
    for own in 2..12 {
        let mut desk = Desk::with(&params, peer(own), world.start(9));
        desk.accepts(&base.e1);
        desk.poets_come(&bad);
        let writes = desk.writes.len();
        desk.effects.clear();
        desk.step(Input::Atx { received: Received::from(bad.atx.clone()), source: Source::Own });
        let refused =
            |effect: &Effect| matches!(effect, Effect::Refused { id, why: Reason::Post { .. } } if *id == bad.id());
        assert!(desk.effects.iter().any(refused), "{:?}", desk.effects);
        assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::Gossip { .. } | Effect::Accused { .. })));
        assert_eq!((desk.writes.len(), desk.frauds(), desk.atxs.undecided()), (writes, vec![], (0, 0)));
        // A good one takes its place.
        desk.step(Input::Atx { received: Received::from(base.e5().atx), source: Source::Own });
        assert_eq!(desk.atxs.known(Epoch(5)), 1);
    }
}

fn convicts(proof: &FraudProof) -> Result<Guilt, NotProven> {
    proof.check(&verifier())
}

fn solo(atx: &Atx) -> Participation {
    Participation { atx: atx.clone(), marriage: None }
}

fn merged(atx: &Atx, miner: u32, signer: u32) -> Participation {
    Participation { atx: atx.clone(), marriage: Some(SharedMarriage { marriage: BASE.a3.atx.clone(), miner, signer }) }
}

fn same_epoch(culprit: NodeId, first: Participation, second: Participation) -> FraudProof {
    FraudProof { culprit, fraud: Fraud::SameEpoch(Box::new([first, second])) }
}

fn same_previous(culprit: NodeId, first: Participation, second: Participation) -> FraudProof {
    FraudProof { culprit, fraud: Fraud::SamePrevious(Box::new([first, second])) }
}

fn wedding(atx: &Atx, index: u32) -> Wedding {
    Wedding { atx: atx.clone(), index }
}

/// What an enemy may try against honest miners.
#[test]
fn the_honest_are_never_convicted() {
    let (base, world) = (&*BASE, &BASE.world);
    let (alice, bob, carol, eve) = (base.alice.id(), base.bob.id(), base.carol.id(), base.eve.id());
    let a2 = &base.a2.atx;
    let refused = |proof: FraudProof, why: NotProven| {
        assert_eq!(convicts(&proof), Err(why), "{proof:?}");
    };
    refused(same_epoch(alice, solo(a2), solo(a2)), NotProven::SameAtx);
    refused(same_previous(alice, solo(a2), solo(a2)), NotProven::SameAtx);
    // The same ATX with another signature of the same key, or of another member.
    let mut other_signature = a2.clone();
    other_signature.signature = Signature([3; 64]);
    refused(same_epoch(alice, solo(a2), solo(&other_signature)), NotProven::SameAtx);
    let alices = base.m4.but(&base.alice, |_| {}).atx;
    refused(same_epoch(carol, merged(&base.m4.atx, 2, 0), merged(&alices, 2, 1)), NotProven::SameAtx);
    // What was signed for another network.
    let mut foreign = a2.clone();
    foreign.coinbase.0[0] ^= 1;
    foreign.sign(&Signer::new(GenesisId([7; 20]), &bytes("alice")));
    refused(same_epoch(alice, solo(a2), solo(&foreign)), NotProven::Signature);
    // What somebody else signed.
    let by_eve = base.a2.but(&base.eve, |atx| atx.coinbase.0[0] ^= 1).atx;
    refused(same_epoch(alice, solo(a2), solo(&by_eve)), NotProven::NotThere);
    let mut in_her_name = by_eve.clone();
    in_her_name.smesher = alice;
    refused(same_epoch(alice, solo(a2), solo(&in_her_name)), NotProven::Signature);
    // Two ATXs of two epochs, one after the other; two first ones of two miners.
    refused(same_epoch(alice, solo(a2), solo(&base.a3.atx)), NotProven::NoContradiction);
    refused(same_previous(alice, solo(a2), solo(&base.a3.atx)), NotProven::NoContradiction);
    refused(same_previous(alice, solo(&base.a1.atx), solo(&base.b1.atx)), NotProven::NotThere);
    // Merged by an outsider, by a key whose certificate is another's, for somebody who has no part in it.
    let outsider = base.m4.but(&base.eve, |atx| atx.coinbase.0[0] ^= 1).atx;
    let m4 = || merged(&base.m4.atx, 2, 0);
    for signer in 0..4 {
        refused(same_epoch(carol, m4(), merged(&outsider, 2, signer)), NotProven::NoCertificate);
    }
    refused(same_epoch(eve, m4(), merged(&outsider, 2, 0)), NotProven::NoCertificate);
    let other = base.m4.but(&base.bob, |atx| atx.coinbase.0[0] ^= 1).atx;
    refused(same_epoch(carol, m4(), merged(&other, 1, 0)), NotProven::NoCertificate);
    refused(same_epoch(carol, m4(), solo(&other)), NotProven::NotThere);
    let mut absent = other.clone();
    absent.niposts[0].posts.truncate(2);
    absent.sign(&base.bob.signer);
    refused(same_epoch(carol, m4(), merged(&absent, 2, 0)), NotProven::NotThere);
    // A marriage ATX that an enemy signed again, or another than was named.
    let stolen = SharedMarriage { marriage: base.a3.but(&base.eve, |_| {}).atx, miner: 2, signer: 1 };
    let stolen = Participation { atx: outsider.clone(), marriage: Some(stolen) };
    refused(same_epoch(carol, m4(), stolen), NotProven::NoCertificate);
    let own = world
        .next_but(&base.eve, 3, Some(base.e1.id()), |plan| plan.marriages = vec![base.eve.marries(&base.eve, NO_ATX)]);
    let another = Participation {
        atx: outsider.clone(),
        marriage: Some(SharedMarriage { marriage: own.atx, miner: 0, signer: 0 }),
    };
    refused(same_epoch(carol, m4(), another), NotProven::OtherMarriage);
    // An ATX that breaks a rule may bear another's id.
    let mut malformed = a2.clone();
    malformed.niposts.clear();
    malformed.sign(&base.alice.signer);
    assert!(matches!(convicts(&same_epoch(alice, solo(a2), solo(&malformed))), Err(NotProven::Syntax(_))));

    // Alice puts one certificate of Bob's into two ATXs: she is guilty, he is not.
    let again = base.a3.but(&base.alice, |atx| atx.coinbase.0[0] ^= 1).atx;
    let double = |culprit, index| FraudProof {
        culprit,
        fraud: Fraud::DoubleMarriage(Box::new([wedding(&base.a3.atx, index), wedding(&again, index)])),
    };
    refused(double(bob, 0), NotProven::OneMarriage);
    assert_eq!(convicts(&double(alice, 1)), Ok(Guilt::Proven));
    // Eve copies Bob's certificate for Alice into an ATX of her own.
    let copied = world.next_but(&base.eve, 3, Some(base.e1.id()), |plan| {
        plan.marriages = vec![base.a3.atx.marriages[0].clone(), base.eve.marries(&base.eve, NO_ATX)];
    });
    let fraud = Fraud::DoubleMarriage(Box::new([wedding(&base.a3.atx, 0), wedding(&copied.atx, 0)]));
    refused(FraudProof { culprit: bob, fraud }, NotProven::NoCertificate);
    let fraud = Fraud::DoubleMarriage(Box::new([wedding(&base.a3.atx, 0), wedding(&base.a3.atx, 0)]));
    refused(FraudProof { culprit: bob, fraud }, NotProven::SameAtx);
}

/// A key of small order is signed for by anybody. It convicts itself, and nobody who didn't marry it.
#[test]
fn small_order_keys_convict_nobody_else() {
    let base = &*BASE;
    // The neutral element: R = A, s = 0 holds for every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let forge = |atx: &Atx| Atx { smesher: NodeId(neutral), signature: Signature(signature), ..atx.clone() };
    let (first, second) = (forge(&base.a2.atx), forge(&base.e5().atx));
    assert!(first.signature_holds(&verifier()));
    let another = forge(&base.a2.but(&base.alice, |atx| atx.coinbase.0[0] ^= 1).atx);
    assert_eq!(convicts(&same_epoch(NodeId(neutral), solo(&first), solo(&another))), Ok(Guilt::Proven));
    for honest in [base.alice.id(), base.bob.id(), base.carol.id()] {
        assert_eq!(convicts(&same_epoch(honest, solo(&first), solo(&another))), Err(NotProven::NotThere));
        // A merged ATX in its name, and a certificate in its name in place of an honest one.
        let outsider = forge(&base.m4.but(&base.eve, |atx| atx.coinbase.0[0] ^= 1).atx);
        for (miner, signer) in [(0, 0), (1, 1), (2, 2), (2, 0)] {
            let proof = same_epoch(honest, merged(&base.m4.atx, miner, 0), merged(&outsider, miner, signer));
            assert!(convicts(&proof).is_err());
        }
    }
    let _ = second;
}

#[test]
fn a_good_post_convicts_nobody_at_any_position() {
    let (_, proof) = proofs().into_iter().last().unwrap();
    let Fraud::InvalidPost(post) = proof.fraud else { panic!("a bad post") };
    for position in (0..40).chain([u32::MAX]) {
        let mut good = post.clone();
        good.position = position;
        let bytes = encode(&FraudProof { culprit: proof.culprit, fraud: Fraud::InvalidPost(good.clone()) });
        let mut desk = in_time();
        let right = if position == post.position {
            Found::Verdict(Verdict::Accept, Reason::Good)
        } else {
            Found::Verdict(Verdict::Reject, Reason::NotProven(NotProven::NoMiss))
        };
        assert_eq!(desk.fraud_comes(8, &bytes), right, "{position}");
    }
    let refused = |change: fn(&mut node::fraud::InvalidPost), why| {
        let mut other = post.clone();
        change(&mut other);
        let found = convicts(&FraudProof { culprit: proof.culprit, fraud: Fraud::InvalidPost(other) });
        assert_eq!(found, Err(why));
    };
    refused(|post| post.post = Some(3), NotProven::NoPost);
    refused(|post| post.post = None, NotProven::NoPost);
    refused(|post| post.marriage = None, NotProven::NotThere);
    refused(|post| post.initial = None, NotProven::NoInitial);
    // Data that is bound to something else: another miner's first ATX, or a later one.
    refused(|post| post.initial = Some(BASE.c1.atx.clone()), NotProven::NoInitial);
    refused(|post| post.initial = Some(BASE.m4.atx.clone()), NotProven::NoInitial);
    refused(|post| post.miner = BASE.eve.id(), NotProven::NoCertificate);
    let not_hers = FraudProof { culprit: BASE.carol.id(), fraud: Fraud::InvalidPost(post.clone()) };
    assert_eq!(convicts(&not_hers), Err(NotProven::NotTheSigner));
}

/// Any bit of a proof: it still convicts whom it convicted, or nobody.
#[test]
fn no_bit_turns_a_proof_against_somebody_else() {
    for (name, proof) in proofs() {
        let bytes = encode(&proof);
        let (mut decoded, mut proven) = (0, 0);
        for bit in (0..bytes.len() * 8).step_by(11) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let Ok(other) = decode::<FraudProof>(&changed) else { continue };
            assert_eq!(encode(&other), changed);
            decoded += 1;
            if convicts(&other).is_ok() {
                proven += 1;
                assert_eq!(other.culprit, proof.culprit, "{name}, bit {bit}");
            }
        }
        assert!(decoded > 200 && proven < decoded / 10, "{name}: {proven} of {decoded}");
    }
}

#[test]
fn junk_is_refused() {
    let mut desk = in_time();
    for junk in [&[][..], &[4], &[0; 100], &[16], &[20]] {
        assert!(matches!(desk.fraud_comes(8, junk), Found::Verdict(Verdict::Reject, Reason::Encoding(_))));
    }
    let endless = vec![0; MAX_FRAUD_BYTES + 1];
    assert!(matches!(desk.fraud_comes(8, &endless), Found::Verdict(Verdict::Reject, Reason::TooLarge { .. })));
    let [(_, proof), ..] = proofs();
    let mut truncated = encode(&proof);
    truncated.pop();
    assert!(matches!(desk.fraud_comes(8, &truncated), Found::Verdict(Verdict::Reject, Reason::Encoding(_))));
    assert_eq!(desk.frauds(), []);
}

/// Proofs that wait for a label are bounded, and one proof waits once.
#[test]
fn accusations_wait_for_a_label_once() {
    let (_, proof) = proofs().into_iter().last().unwrap();
    let bytes = encode(&proof);
    let mut desk = in_time();
    desk.holds_back = true;
    for from in 8..12 {
        desk.fraud_comes(from, &bytes);
    }
    assert_eq!(desk.held(), 1);
    let Fraud::InvalidPost(post) = &proof.fraud else { panic!("a bad post") };
    for position in 100..200 {
        let mut other = post.clone();
        other.position = position;
        desk.fraud_comes(13, &encode(&FraudProof { culprit: proof.culprit, fraud: Fraud::InvalidPost(other) }));
    }
    assert_eq!(desk.held(), 64);
    desk.catch_up();
    for from in 8..12 {
        let source = crate::desk::gossip(from, &bytes);
        assert_eq!(desk.verdict(source), Found::Verdict(Verdict::Accept, Reason::Good));
    }
    assert_eq!(Received::from(BASE.m4.atx.clone()).id, BASE.m4.id());
}
