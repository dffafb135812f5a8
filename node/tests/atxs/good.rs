//! Good ATXs: accepted, weighed, remembered.

use std::collections::BTreeMap;

use node::archive::{Archive, Write};
use node::atx::Received;
use node::atxs::{Atxs, Effect, Input, Need, Reason};
use node::codec::encode;
use node::ids::{AtxId, Epoch};
use node::signature::Verifier;
use node::source::{Source, Topic, Verdict};

use crate::bad::BASE;
use crate::desk::{Desk, Found, OWN, gossip, peer};
use crate::world::{LEAVES, Made};

/// Ticks of each PoET.
const TICKS: u64 = LEAVES / 4;

fn good() -> Found {
    Found::Verdict(Verdict::Accept, Reason::Good)
}

#[test]
fn weight_is_the_fewer_units_times_ticks() {
    let base = &*BASE;
    let mut desk = Desk::new(&base.world);
    desk.now = base.world.start(1).after(1);
    for made in [&base.a1, &base.b1, &base.c1, &base.e1] {
        desk.accepts(made);
    }
    assert_eq!(desk.atxs.weight(Epoch(2)), 4 * 4 * TICKS);
    assert_eq!(desk.atxs.active_set(Epoch(2)).count(), 4);
    desk.now = base.world.start(4).after(1);
    for made in [&base.a2, &base.a3, &base.m4] {
        desk.accepts(made);
    }
    // They came after their epochs.
    assert_eq!((desk.atxs.known(Epoch(2)), desk.atxs.weight(Epoch(3))), (1, 0));
    assert_eq!((desk.atxs.known(Epoch(3)), desk.atxs.weight(Epoch(4))), (1, 0));
    // Bob 4 of 4 units, Alice 4 of 5, Carol 3 of 4.
    assert_eq!(desk.atxs.weight(Epoch(5)), (4 + 4 + 3) * TICKS);
    let merged = desk.atxs.atx(base.m4.id()).unwrap();
    assert_eq!((merged.base_height, merged.height()), (TICKS, 2 * TICKS));
    assert_eq!(desk.atxs.latest(base.carol.id()).unwrap().id, base.m4.id());
    assert_eq!(desk.atxs.latest(base.eve.id()).unwrap().id, base.e1.id());
    assert_eq!(desk.atxs.marriages(base.carol.id()).map(|record| record.id).collect::<Vec<_>>(), [base.a3.id()]);
    assert_eq!(desk.atxs.positioning(Epoch(5)), base.m4.id());
    assert_eq!(desk.atxs.positioning(Epoch(1)), base.world.golden());
    let firsts = [base.a1.id(), base.b1.id(), base.c1.id(), base.e1.id()];
    assert_eq!(desk.atxs.positioning(Epoch(2)), firsts.into_iter().min().unwrap());
}

/// What is fetched counts as published in time, unless the node listened and did not hear it.
#[test]
fn what_a_late_node_fetches_counts() {
    let base = &*BASE;
    let answer = Source::Answer { peer: peer(7) };
    let weight = |listening_at: Option<u32>| {
        let mut desk = Desk::new(&base.world);
        if let Some(epoch) = listening_at {
            desk.now = base.world.start(epoch);
            desk.step(Input::Listening);
        }
        desk.now = base.world.start(9);
        desk.poets_come(&base.e1);
        assert_eq!(desk.bytes_come_from(answer, &encode(&base.e1.atx)), good());
        desk.atxs.weight(Epoch(2))
    };
    assert_eq!(weight(None), 4 * TICKS);
    assert_eq!(weight(Some(3)), 4 * TICKS);
    assert_eq!(weight(Some(1)), 0);
}

/// Everything is fetched from whoever sent the last ATX, step by step.
#[test]
fn what_an_atx_names_is_fetched() {
    let base = &*BASE;
    let mut desk = Desk::new(&base.world);
    let mut have: BTreeMap<Need, Input> = BTreeMap::new();
    let source = Source::Answer { peer: peer(7) };
    for made in base.history() {
        let received = Received::from(made.atx.clone());
        have.insert(Need::Atx(made.id()), Input::Atx { received, source });
        for proof in &made.poets {
            have.insert(Need::Poet(proof.id()), Input::Poet { proof: proof.clone(), source });
        }
    }
    let bytes = encode(&base.m4.atx);
    assert_eq!(desk.bytes_come(&bytes), Found::Undecided);
    loop {
        let asked = desk.fetches();
        if asked.is_empty() {
            break;
        }
        for (what, from) in asked {
            assert_eq!(from, peer(7));
            desk.step(have.remove(&what).expect("nothing is asked for twice"));
        }
    }
    assert_eq!(desk.verdict(gossip(7, &bytes)), good());
    assert_eq!(desk.known().len(), 6, "all but Eve's");
}

#[test]
fn another_sender_is_asked_when_the_first_has_nothing() {
    let base = &*BASE;
    let mut desk = Desk::new(&base.world);
    let bytes = encode(&base.e1.atx);
    for from in [7, 8] {
        assert_eq!(desk.bytes_come_from(gossip(from, &bytes), &bytes), Found::Undecided);
    }
    let need = Need::Poet(base.e1.poets[0].id());
    assert_eq!(desk.fetches(), [(need, peer(7))]);
    // What others lack says nothing.
    desk.step(Input::Missing { what: need, from: peer(9) });
    assert_eq!(desk.fetches(), []);
    desk.step(Input::Missing { what: need, from: peer(7) });
    assert_eq!(desk.fetches(), [(need, peer(8))]);
    desk.step(Input::Missing { what: need, from: peer(8) });
    for from in [7, 8] {
        let missing = Found::Verdict(Verdict::Ignore, Reason::Missing(need));
        assert_eq!(desk.verdict(gossip(from, &bytes)), missing);
    }
    assert_eq!(desk.atxs.undecided(), (0, 0));
}

#[test]
fn one_atx_from_many_is_judged_once() {
    let base = &*BASE;
    let mut desk = Desk::new(&base.world);
    desk.holds_back = true;
    let bytes = encode(&base.e1.atx);
    for from in 2..7 {
        assert_eq!(desk.bytes_come_from(gossip(from, &bytes), &bytes), Found::Undecided);
    }
    desk.poets_come(&base.e1);
    for from in 7..12 {
        assert_eq!(desk.bytes_come_from(gossip(from, &bytes), &bytes), Found::Undecided);
    }
    assert_eq!(desk.held(), 1);
    desk.catch_up();
    assert_eq!(desk.judged.len(), 1);
    for from in 2..12 {
        assert_eq!(desk.verdict(gossip(from, &bytes)), good());
    }
    let late = gossip(12, &bytes);
    assert_eq!(desk.bytes_come_from(late, &bytes), Found::Verdict(Verdict::Ignore, Reason::Known));
}

#[test]
fn a_bad_atx_is_judged_once() {
    let base = &*BASE;
    let mut desk = Desk::new(&base.world);
    let bad = base.e1.but(&base.eve, |atx| atx.vrf_nonce = base.world.no_vrf_nonce(&base.eve, 4));
    for _ in 0..3 {
        assert_eq!(desk.comes(&bad), Found::Verdict(Verdict::Reject, Reason::Vrf));
    }
    assert_eq!(desk.judged.len(), 1);
}

/// An id says nothing of the signer: somebody else's signature keeps no good ATX out.
#[test]
fn two_signers_of_one_id() {
    let base = &*BASE;
    // A thief is judged first.
    let mut desk = Desk::new(&base.world);
    desk.holds_back = true;
    desk.poets_come(&base.e1);
    let thief = base.e1.but(&base.bob, |_| {});
    let (stolen, bytes) = (encode(&thief.atx), encode(&base.e1.atx));
    assert_eq!(thief.id(), base.e1.id());
    assert_eq!(desk.bytes_come(&stolen), Found::Undecided);
    assert_eq!(desk.bytes_come(&bytes), Found::Undecided);
    assert_eq!(desk.held(), 1, "one of an id at a time");
    desk.catch_up();
    assert!(matches!(
        desk.verdict(gossip(7, &stolen)),
        Found::Verdict(Verdict::Reject, Reason::Post { post: None, .. })
    ));
    assert_eq!(desk.verdict(gossip(7, &bytes)), good());
    assert_eq!(desk.atxs.atx(base.e1.id()).unwrap().smesher, base.eve.id());
    // The thief proved nothing but its own guilt.
    assert_eq!(desk.frauds().iter().filter(|id| **id == base.eve.id()).count(), 0);
    // Of two members who sign, the first one is kept.
    let mut desk = Desk::new(&base.world);
    base.history()[..6].iter().for_each(|made| desk.accepts(made));
    desk.holds_back = true;
    let carols = Made { atx: base.m4.but(&base.bob, |_| {}).atx, ..base.m4.clone() };
    let alices = base.m4.but(&base.alice, |atx| atx.vrf_nonce = base.m4.atx.vrf_nonce);
    desk.poets_come(&base.m4);
    assert_eq!(desk.bytes_come(&encode(&carols.atx)), Found::Undecided);
    assert_eq!(desk.bytes_come(&encode(&alices.atx)), Found::Undecided);
    desk.catch_up();
    assert_eq!(desk.verdict(gossip(7, &encode(&carols.atx))), good());
    let known = Found::Verdict(Verdict::Ignore, Reason::Known);
    assert_eq!(desk.verdict(gossip(7, &encode(&alices.atx))), known);
    assert_eq!(desk.frauds(), []);
}

#[test]
fn ones_own_atx_is_published() {
    let base = &*BASE;
    let mut desk = Desk::new(&base.world);
    desk.poets_come(&base.e1);
    let bytes = encode(&base.e1.atx);
    assert_eq!(desk.bytes_come_from(Source::Own, &bytes), good());
    let gossiped = |effect: &Effect| *effect == Effect::Gossip { topic: Topic::Atx, bytes: bytes.clone() };
    assert_eq!(desk.effects.iter().filter(|effect| gossiped(effect)).count(), 1);
    assert!(desk.effects.contains(&Effect::Accepted { id: base.e1.id() }));
    assert_eq!(desk.archive.atx(base.e1.id()).unwrap().unwrap().bytes, bytes);
}

#[test]
fn poets_that_nobody_asked_for_are_not_kept() {
    let base = &*BASE;
    let mut desk = Desk::new(&base.world);
    let proof = base.e1.poets[0].clone();
    let source = Source::Answer { peer: peer(7) };
    let comes = |desk: &mut Desk| {
        desk.step(Input::Poet { proof: proof.clone(), source });
        desk.verdict(source)
    };
    assert_eq!(comes(&mut desk), Found::Verdict(Verdict::Ignore, Reason::Unasked));
    assert_eq!(desk.writes, []);
    desk.bytes_come(&encode(&base.e1.atx));
    assert_eq!(comes(&mut desk), good());
    assert_eq!(comes(&mut desk), Found::Verdict(Verdict::Ignore, Reason::Known));
    assert!(matches!(desk.writes[0], Write::Poet { .. }), "before the ATX");
}

/// The part of the state that is kept.
pub(crate) fn records(atxs: &Atxs) -> String {
    let all = format!("{atxs:?}");
    let (from, to) = (all.find("records: ").unwrap(), all.find(", pool: ").unwrap());
    all[from..to].to_string()
}

#[test]
fn what_was_kept_gives_the_same_state() {
    let base = &*BASE;
    let mut desk = base.desk();
    // With a fraud.
    desk.comes(&base.world.initial(&base.eve, 5));
    assert_eq!(desk.frauds(), [base.eve.id()]);
    let mut restored = Atxs::new(&base.world.params, Verifier::new(base.world.params.genesis_id), OWN);
    let mut writes = desk.writes.clone();
    let order = |write: &Write| match write {
        Write::Poet { .. } => (0, Epoch(0), AtxId([0; 32])),
        Write::Atx { id, epoch, .. } => (1, *epoch, *id),
        _ => (2, Epoch(0), AtxId([0; 32])),
    };
    writes.sort_by_key(order);
    for write in &writes {
        match write {
            Write::Poet { bytes, .. } => restored.restore_poet(bytes).unwrap(),
            Write::Atx { received, bytes, .. } => {
                restored.restore(*received, &Received::decode(bytes).unwrap()).unwrap();
            }
            Write::Fraud { received, bytes, .. } => restored.restore_fraud(*received, bytes).unwrap(),
            Write::Smeshing { .. } => panic!("not ours"),
            _ => panic!("{write:?}"),
        }
    }
    assert_eq!(records(&restored), records(&desk.atxs));
    for epoch in 1..8 {
        assert_eq!(restored.weight(Epoch(epoch)), desk.atxs.weight(Epoch(epoch)));
    }
    // An ATX whose PoET proof is gone is damage, not a panic.
    let mut damaged = Atxs::new(&base.world.params, Verifier::new(base.world.params.genesis_id), OWN);
    assert!(damaged.restore(base.world.start(1), &base.a1.atx.clone().into()).is_err());
    assert!(damaged.restore_poet(&[1, 2, 3]).is_err());
    assert!(damaged.restore_fraud(base.world.start(1), &[9]).is_err());
}
