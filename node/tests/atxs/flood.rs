//! However much comes, little is held, and honest ATXs get through.

use node::atx::Received;
use node::atxs::{Input, Reason};
use node::codec::encode;
use node::ids::AtxId;
use node::source::Verdict;

use crate::bad::BASE;
use crate::desk::{Desk, Found, gossip};

/// ATX number `i` of a flood: of a good shape, on ATXs that nobody has.
fn junk(i: u32, previous: usize) -> Received {
    let mut atx = if previous == 1 { BASE.e5().atx } else { BASE.m4.atx.clone() };
    let id = |k: usize| AtxId(*blake3::hash(&[&i.to_le_bytes()[..], &k.to_le_bytes()[..]].concat()).as_bytes());
    atx.previous_atxs = (0..previous).map(id).collect();
    let first = atx.niposts[0].posts[0].clone();
    atx.niposts[0].posts = (0..previous as u32)
        .map(|k| {
            let mut post = first.clone();
            (post.marriage_index, post.previous_index) = (k, k);
            post
        })
        .collect();
    atx.into()
}

#[test]
fn a_flood_of_unknown_dependencies_is_bounded() {
    let mut desk = Desk::new(&BASE.world);
    let honest = encode(&BASE.e1.atx);
    assert_eq!(desk.bytes_come_from(gossip(200, &honest), &honest), Found::Undecided);
    let mut most = (0, 0);
    for (previous, count) in [(1, 20_000), (256, 1_500)] {
        let template = junk(0, previous);
        for i in 0..count {
            let mut received = template.clone();
            // The id is all that tells them apart here; it is what the intake would have computed of other bytes.
            received.id = AtxId(*blake3::hash(&[previous as u32, i].map(u32::to_le_bytes).concat()).as_bytes());
            received.atx.previous_atxs[0] = AtxId(*blake3::hash(&received.id.0).as_bytes());
            let source = gossip(10 + (i % 50) as u8, &i.to_le_bytes());
            desk.step(Input::Atx { received, source });
            desk.effects.retain(|effect| matches!(effect, node::atxs::Effect::Verdict { source, .. } if source.peer() == Some(crate::desk::peer(200))));
            let (atxs, bytes) = desk.atxs.undecided();
            most = (most.0.max(atxs), most.1.max(bytes));
        }
    }
    assert!((4096..=8193).contains(&most.0), "{most:?}");
    assert!((32 << 20..=65 << 20).contains(&most.1), "{most:?}");
    // The honest one is still there.
    desk.poets_come(&BASE.e1);
    assert_eq!(desk.verdict(gossip(200, &honest)), Found::Verdict(Verdict::Accept, Reason::Good));
}

#[test]
fn one_peer_alone_fills_nothing() {
    let mut desk = Desk::new(&BASE.world);
    let template = junk(1, 1);
    for i in 0..5_000_u32 {
        let mut received = template.clone();
        received.id = AtxId(*blake3::hash(&i.to_le_bytes()).as_bytes());
        received.atx.previous_atxs[0] = AtxId(*blake3::hash(&received.id.0).as_bytes());
        desk.step(Input::Atx { received, source: gossip(9, &i.to_le_bytes()) });
    }
    assert_eq!(desk.atxs.undecided().0, 2048);
    let crowded = |effect: &&node::atxs::Effect| {
        matches!(effect, node::atxs::Effect::Verdict { verdict: Verdict::Ignore, why: Reason::Crowded, .. })
    };
    assert_eq!(desk.effects.iter().filter(crowded).count(), 5_000 - 2048);
}

/// Of a miner's ATXs of one epoch the judge gets two: more are of no use, as soon as these are good.
#[test]
fn a_slow_judge_is_not_buried() {
    let mut desk = Desk::new(&BASE.world);
    desk.poets_come(&BASE.e1);
    desk.holds_back = true;
    for i in 0..300_u32 {
        let made = BASE.e1.but(&BASE.eve, |atx| atx.coinbase.0[..4].copy_from_slice(&i.to_le_bytes()));
        let expected = if i < 2 { Found::Undecided } else { Found::Verdict(Verdict::Ignore, Reason::Fraud) };
        assert_eq!(desk.bytes_come(&encode(&made.atx)), expected);
    }
    assert_eq!(desk.held(), 2);
    desk.catch_up();
    assert_eq!(desk.atxs.undecided(), (0, 0));
    assert_eq!(desk.frauds(), [BASE.eve.id()]);
    assert_eq!(desk.fraud_proofs().len(), 1);
}

/// Keys cost nothing: a copy of an honest first ATX keeps all cheap rules, whoever signs it.
#[test]
fn copies_of_an_honest_atx_hold_up_nobody() {
    let mut desk = Desk::new(&BASE.world);
    desk.poets_come(&BASE.e1);
    desk.holds_back = true;
    let copies: Vec<_> = (0..100_u32)
        .map(|i| {
            let thief = BASE.world.miner(&format!("thief {i}"));
            encode(&BASE.e1.but(&thief, |atx| atx.coinbase.0[..4].copy_from_slice(&i.to_le_bytes())).atx)
        })
        .collect();
    for copy in &copies {
        assert_eq!(desk.bytes_come_from(gossip(9, copy), copy), Found::Undecided);
    }
    assert_eq!(desk.held(), 64);
    let honest = encode(&BASE.e1.atx);
    assert_eq!(desk.bytes_come_from(gossip(8, &honest), &honest), Found::Undecided);
    assert_eq!(desk.held(), 65);
    // Somebody else vouches for one of them.
    desk.bytes_come_from(gossip(10, &copies[99]), &copies[99]);
    desk.step(Input::PeerGone { peer: crate::desk::peer(9) });
    assert_eq!(desk.atxs.undecided().0, 64 + 1 + 1);
    assert_eq!(desk.verdict(gossip(9, &copies[98])), Found::Verdict(Verdict::Ignore, Reason::Gone));
    desk.catch_up();
    assert_eq!(desk.verdict(gossip(8, &honest)), Found::Verdict(Verdict::Accept, Reason::Good));
    assert!(matches!(desk.verdict(gossip(10, &copies[99])), Found::Verdict(Verdict::Reject, _)));
    assert_eq!((desk.judged.len(), desk.atxs.undecided()), (66, (0, 0)));
}

/// Each peer has its turn, however long another one's queue is.
#[test]
fn the_judge_is_served_in_turns() {
    let mut desk = Desk::new(&BASE.world);
    desk.poets_come(&BASE.e1);
    desk.holds_back = true;
    let mut copy = |peer: u8, i: u32| {
        let thief = BASE.world.miner(&format!("thief {peer} {i}"));
        let bytes = encode(&BASE.e1.but(&thief, |atx| atx.coinbase.0[..4].copy_from_slice(&i.to_le_bytes())).atx);
        // The ids differ by the coinbase.
        desk.bytes_come_from(gossip(peer, &bytes), &bytes);
    };
    // All 256 places are taken by four peers, and each has 20 in its queue.
    for peer in 20..24 {
        (0..84).for_each(|i| copy(peer, u32::from(peer) * 1000 + i));
    }
    (0..20).for_each(|i| copy(30, 30_000 + i));
    assert_eq!(desk.held(), 256);
    desk.catch_up();
    let late = |dear: &node::atxs::Dear| {
        (0..20_u32).any(|i| {
            let thief = BASE.world.miner(&format!("thief 30 {}", 30_000 + i));
            dear.posts[0].metadata.node_id == thief.id()
        })
    };
    let places: Vec<usize> = desk.judged.iter().enumerate().filter(|(_, dear)| late(dear)).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 20);
    // Twenty of five peers in turn, not after eighty of four.
    assert!(places[0] < 256 + 5 && places[10] < 256 + 60, "{places:?}");
}
