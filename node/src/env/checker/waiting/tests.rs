use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::source::MessageHash;

/// Numbered, so that each is another one.
fn message(sender: Sender, number: u32, len: usize) -> Message {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&number.to_le_bytes());
    let source = sender.map_or(Source::Own, |peer| Source::Gossip { peer, message: MessageHash(hash) });
    Message { source, bytes: vec![0; len] }
}

fn peer(number: u8) -> Sender {
    Some(Peer([number; 32]))
}

fn number(source: &Source) -> u32 {
    match source {
        Source::Gossip { message: MessageHash([a, b, c, d, ..]), .. } => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => u32::MAX,
    }
}

const LIMITS: Limits = Limits { peer: 10_000, all: 30_000 };

#[test]
fn each_sender_has_its_turn() {
    let mut waiting = Waiting::new(Limits::default());
    for number in 0..100 {
        assert!(waiting.push(message(peer(7), number, 10)).is_empty());
    }
    assert!(waiting.push(message(peer(1), 100, 10)).is_empty());
    assert!(waiting.push(message(None, u32::MAX, 10)).is_empty());
    let order: Vec<u32> = waiting.take(4, usize::MAX).iter().map(|message| number(&message.source)).collect();
    assert_eq!(order, [u32::MAX, 100, 0, 1]);
    // Who comes later waits for one of each, not for what the others have left.
    assert!(waiting.push(message(peer(3), 101, 10)).is_empty());
    let order: Vec<u32> = waiting.take(3, usize::MAX).iter().map(|message| number(&message.source)).collect();
    assert_eq!(order, [101, 2, 3]);
    assert_eq!(waiting.len(), 96);
}

#[test]
fn a_round_ends_with_its_bytes() {
    let mut waiting = Waiting::new(LIMITS);
    for number in 0..10 {
        assert!(waiting.push(message(peer(1), number, 500)).is_empty());
    }
    assert_eq!(waiting.take(100, 1).len(), 1);
    assert_eq!(waiting.take(100, 756 + 1).len(), 2);
    assert_eq!(waiting.take(100, usize::MAX).len(), 7);
    assert!(waiting.take(100, usize::MAX).is_empty());
    assert_eq!((waiting.len(), waiting.bytes()), (0, 0));
}

#[test]
fn who_sends_much_gives_way_first() {
    let mut waiting = Waiting::new(LIMITS);
    let gave_way = |waiting: &mut Waiting, message| {
        waiting.push(message).iter().map(|message| number(&message.source)).collect::<Vec<_>>()
    };
    // Its own oldest, as many as it takes.
    for number in 0..10 {
        assert!(waiting.push(message(peer(9), number, 744)).is_empty());
    }
    assert_eq!(gave_way(&mut waiting, message(peer(9), 10, 1500)), [0, 1]);
    // What can never fit takes nobody's place.
    assert_eq!(gave_way(&mut waiting, message(peer(9), 11, 9745)), [11]);
    for other in [1, 2] {
        for number in 0..10 {
            assert!(waiting.push(message(peer(other), 100 + number, 744)).is_empty());
        }
    }
    // 29,756 of 30,000: the next one is of somebody with little, and the oldest of somebody with the most goes.
    assert_eq!(gave_way(&mut waiting, message(peer(3), 200, 100)), [100]);
    assert!(waiting.take(usize::MAX, usize::MAX).iter().any(|message| number(&message.source) == 200));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_is_lost_and_nothing_grows(
        steps in prop::collection::vec((0..6_u8, 0..4000_usize, prop::option::of(0..20_usize)), 1..300),
    ) {
        let mut waiting = Waiting::new(LIMITS);
        let (mut inside, mut taken) = (HashSet::new(), 0);
        for (number, (sender, len, take)) in (0..).zip(&steps) {
            inside.insert(number);
            for gone in waiting.push(message(peer(*sender), number, *len)) {
                prop_assert!(inside.remove(&self::number(&gone.source)));
            }
            if let Some(take) = take {
                let some = waiting.take(*take, usize::MAX);
                prop_assert_eq!(some.len(), inside.len().min(*take));
                for message in &some {
                    prop_assert!(inside.remove(&self::number(&message.source)));
                }
                taken += some.len();
            }
            prop_assert_eq!(waiting.len(), inside.len());
            prop_assert!(waiting.bytes() <= LIMITS.all);
            prop_assert!(waiting.queues.values().all(|queue| queue.bytes <= LIMITS.peer && !queue.messages.is_empty()));
            let bytes: usize = waiting.queues.values().flat_map(|queue| &queue.messages).map(Message::weight).sum();
            prop_assert_eq!(bytes, waiting.bytes());
            let by_bytes: BTreeSet<_> = waiting.queues.iter().map(|(sender, queue)| (queue.bytes, *sender)).collect();
            prop_assert_eq!(&by_bytes, &waiting.by_bytes);
        }
        let rest = waiting.take(usize::MAX, usize::MAX);
        prop_assert_eq!(rest.len(), inside.len());
        prop_assert!(taken <= steps.len());
    }
}
