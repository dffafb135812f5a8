use std::time::Duration;

use super::*;

fn peer(i: u8) -> Peer {
    Peer([i; 32])
}

fn next(inbox: &mut Inbox<u32, &'static str>, now: Instant) -> Option<Next<u32, &'static str>> {
    inbox.next(now).map(|(_, next)| next)
}

fn inbox() -> Inbox<u32, &'static str> {
    Inbox::new(10, 1000)
}

#[test]
fn peers_take_turns() {
    let now = Instant::now();
    let mut inbox = inbox();
    for i in 0..200 {
        inbox.message(now, peer(1), Topic::Atx, (i, 10)).unwrap();
    }
    inbox.message(now, peer(2), Topic::Atx, (1000, 10)).unwrap();
    inbox.message(now, peer(3), Topic::Atx, (2000, 10)).unwrap();
    inbox.message(now, peer(3), Topic::Atx, (2001, 10)).unwrap();
    inbox.request(now, peer(3), "ask").unwrap();
    let taken: Vec<_> = std::iter::from_fn(|| next(&mut inbox, now)).take(8).collect();
    use Next::{Message, Request};
    let expected =
        [Message(0), Message(1000), Request("ask"), Message(1), Message(2000), Message(2), Message(2001), Message(3)];
    assert_eq!(taken, expected);
}

#[test]
fn queues_are_bounded() {
    let now = Instant::now();
    let mut inbox = inbox();
    let fitting = (0..2000).filter(|i| inbox.message(now, peer(1), Topic::Atx, (*i, 10)).is_ok()).count();
    assert_eq!(fitting, MAX_MESSAGES);
    let fitting = (0..500).filter(|i| inbox.message(now, peer(2), Topic::Atx, (*i, 1 << 20)).is_ok()).count();
    assert_eq!(fitting, 4);
    assert_eq!(inbox.message(now, peer(2), Topic::Atx, (9, 1)), Err(Refused::NoRoom(9)));
    let fitting = (0..2000).filter(|_| inbox.request(now, peer(1), "").is_ok()).count();
    assert_eq!(fitting, MAX_REQUESTS);
    // Others are not concerned, and a peer that goes gives back what waits.
    inbox.message(now, peer(3), Topic::Atx, (7, 10)).unwrap();
    assert_eq!(inbox.gone(now, peer(1)).count(), MAX_MESSAGES);
    assert_eq!(inbox.gone(now, peer(2)).count(), 4);
    assert_eq!(next(&mut inbox, now), Some(Next::Message(7)));
    assert_eq!(next(&mut inbox, now), None);
}

/// What Hare says gets through a flood of ATXs, from anybody and from one who hands both on, and the other way round.
#[test]
fn floods_stop_nothing_else() {
    let now = Instant::now();
    for (flood, other, most) in [(Topic::Atx, Topic::Hare, MAX_MESSAGES), (Topic::Hare, Topic::Atx, MAX_URGENT)] {
        let mut inbox = Inbox::<u32, ()>::new(10, 10_000);
        for peer in (1..20).map(peer) {
            let fitting = (0..20_000).filter(|_| inbox.message(now, peer, flood, (0, 10)).is_ok()).count();
            assert_eq!(fitting, most);
        }
        // The flooders have used up their allowance for this topic and are held to it; for the other they have one.
        assert_eq!(inbox.message(now, peer(1), flood, (0, 10)), Err(Refused::TooFast(0)));
        for i in 1..30 {
            inbox.message(now, peer(i), other, (i.into(), 10)).unwrap();
        }
        // Of each five things one is not urgent.
        let within = if is_urgent(other) { 29 + 29 / 4 } else { 29 * 5 };
        let taken: Vec<_> = std::iter::from_fn(|| inbox.next(now)).take(within).collect();
        for i in 1..30 {
            assert!(taken.contains(&(peer(i), Next::Message(i.into()))), "{other:?} of {i}");
        }
        // Nothing is lost by it.
        assert_eq!(taken.len() + std::iter::from_fn(|| inbox.next(now)).count(), 19 * most + 29);
    }
}

#[test]
fn a_stream_of_messages_is_held_to_its_rate() {
    let now = Instant::now();
    let mut inbox = inbox();
    let mut taken = 0;
    // Ten seconds, with a thousand messages a second and a node that takes all.
    for ms in 0..10_000 {
        let now = now + Duration::from_millis(ms);
        if inbox.message(now, peer(1), Topic::Atx, (0, 10)).is_ok() {
            taken += 1;
            inbox.next(now).unwrap();
        }
    }
    assert!((1000..=1101).contains(&taken), "{taken}");
    // Leaving and coming back brings no new allowance.
    let later = now + Duration::from_secs(10);
    assert_eq!(inbox.gone(later, peer(1)).count(), 0);
    let more = (0..100).map(|_| inbox.message(later, peer(1), Topic::Atx, (0, 10))).find(Result::is_err);
    assert_eq!(more, Some(Err(Refused::TooFast(0))));
}

#[test]
fn dear_answers_are_paid_for() {
    let now = Instant::now();
    let mut inbox = inbox();
    inbox.request(now, peer(1), "first").unwrap();
    assert_eq!(next(&mut inbox, now), Some(Next::Request("first")));
    inbox.answered(now, peer(1), ANSWER_BURST as usize);
    inbox.request(now, peer(1), "second").unwrap();
    inbox.message(now, peer(1), Topic::Atx, (5, 1)).unwrap();
    // Messages don't wait for it.
    assert_eq!(next(&mut inbox, now), Some(Next::Message(5)));
    assert!(!inbox.has_next(now));
    assert_eq!(next(&mut inbox, now), None);
    let later = now + Duration::from_secs(1);
    assert!(inbox.has_next(later));
    assert_eq!(next(&mut inbox, later), Some(Next::Request("second")));
}

#[test]
fn memory_of_those_gone_is_bounded() {
    let now = Instant::now();
    let mut inbox = inbox();
    for i in 0..5 * MAX_ALLOWANCES as u32 {
        let mut peer = peer(0);
        peer.0[..4].copy_from_slice(&i.to_be_bytes());
        inbox.message(now, peer, Topic::Atx, (i, 1)).unwrap();
        inbox.gone(now, peer).for_each(drop);
        assert!(inbox.allowances.len() <= 2 * MAX_ALLOWANCES + 1);
    }
    assert!(inbox.queues.is_empty());
}
