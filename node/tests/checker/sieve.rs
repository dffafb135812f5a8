//! The cheap checks.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use node::env::checker::{CheckerEvent, Why};
use node::source::Source;
use proptest::prelude::*;

use crate::support::{alone, badly_signed, good, is_too_large, message, of_kind, peer, sieve, too_large};

fn value(meter: &AtomicU64) -> u64 {
    meter.load(Relaxed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However messages are cut into rounds, whoever sends them and however often.
    #[test]
    fn many_at_once_are_judged_as_one_by_one(
        messages in prop::collection::vec((0..4_u8, 0..6_u8, 0..40_u32), 1..150), round in 1..60_usize,
    ) {
        let (mut sieve, meters) = sieve();
        for peer in 0..2 {
            // Two of the four have shown that they send good ones.
            let shown = (0..16).map(|number| message(peer, good(1000 + number))).collect();
            sieve.sift(shown).clear();
        }
        let messages: Vec<_> = messages.iter().map(|(peer, kind, number)| message(*peer, of_kind(*kind, *number))).collect();
        for round in messages.chunks(round) {
            let events = sieve.sift(round.to_vec());
            let expected: Vec<_> = round.iter().map(alone).collect();
            prop_assert_eq!(events, expected);
        }
        let junk = value(&meters.junk_too_large) + value(&meters.junk_encoding) + value(&meters.junk_signature) + value(&meters.junk_known);
        prop_assert_eq!(junk + value(&meters.good), messages.len() as u64 + 32);
    }
}

#[test]
fn the_same_bytes_cost_one_signature() {
    let (mut sieve, meters) = sieve();
    let (right, wrong) = (good(1), badly_signed(2));
    for _ in 0..3 {
        let round = (0..30).flat_map(|from| [message(from, right.clone()), message(from, wrong.clone())]).collect();
        for pair in sieve.sift(round).chunks(2) {
            assert!(matches!(&pair[0], CheckerEvent::Atx { received, .. } if received.bytes[..] == right[..]));
            assert!(matches!(pair[1], CheckerEvent::Junk { why: Why::Signature, .. }));
        }
    }
    assert_eq!((value(&meters.signatures_single), value(&meters.signatures_batched)), (2, 0));
    assert_eq!((value(&meters.known_good), value(&meters.junk_known)), (89, 89));
}

/// A peer that mixes a wrong signature into every round makes no other peer's ones be checked again and again.
#[test]
fn who_spoils_batches_pays_alone() {
    let (mut sieve, meters) = sieve();
    let mut number = 0;
    let mut next = || {
        number += 1;
        good(number)
    };
    for peer in 0..8 {
        let shown = (0..16).map(|_| message(peer, next())).collect();
        assert!(sieve.sift(shown).iter().all(|event| matches!(event, CheckerEvent::Atx { .. })));
    }
    assert_eq!((value(&meters.signatures_single), value(&meters.signatures_batched)), (8 * 16, 0));
    for round in 0..20 {
        let mut messages: Vec<_> = (0..80).map(|i| message((i % 8) as u8, next())).collect();
        messages[7].bytes = badly_signed(round);
        let wrong: Vec<_> =
            sieve.sift(messages).iter().map(|event| matches!(event, CheckerEvent::Junk { .. })).collect();
        assert_eq!(wrong.iter().filter(|wrong| **wrong).count(), 1);
        assert!(wrong[7]);
    }
    // The first time the others' were looked at twice; from then on peer 7's are checked one by one.
    assert_eq!(value(&meters.signature_batches_failed), 1);
    assert_eq!(value(&meters.signatures_batched), 80 + 19 * 70);
    assert_eq!(value(&meters.signatures_single), 8 * 16 + 19 * 10);
}

#[test]
fn what_is_too_large_is_not_even_read() {
    let (mut sieve, meters) = sieve();
    let source = Source::Answer { peer: peer(1) };
    let mut large = message(1, too_large());
    large.source = source;
    let events = sieve.sift(vec![large]);
    assert!(is_too_large(&events[0]), "{events:?}");
    assert_eq!(value(&meters.junk_too_large), 1);
}
