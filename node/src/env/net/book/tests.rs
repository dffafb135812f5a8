use super::*;

fn at(i: u32) -> SocketAddr {
    let [a, b, c, d] = i.to_be_bytes();
    SocketAddr::from(([9, a | b, c, d], 7513))
}

fn peer(i: u32) -> Peer {
    let mut peer = Peer([0; 32]);
    peer.0[..4].copy_from_slice(&i.to_be_bytes());
    peer
}

fn named(i: u32) -> PeerAddress {
    PeerAddress { peer: peer(i), address: at(i) }
}

#[test]
fn what_worked_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path(), &[at(100)]);
    book.connected(at(1), peer(1), 1000);
    book.learn(at(9).ip(), peer(0), &[named(2), named(0)]);
    book.unsaved().unwrap().write().unwrap();
    assert!(book.unsaved().is_none());
    let book = Book::open(dir.path(), &[]);
    assert_eq!(book.due(Instant::now(), |_| false), [at(1)]);
    assert_eq!(book.share(at(9).ip()), [named(1)]);
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_broken_file_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["", "[", "[1]", r#"[{"peer":"xx","address":"1.2.3.4:5","seen":1}]"#] {
        std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
        assert!(Book::open(dir.path(), &[]).entries.is_empty(), "{text}");
    }
}

#[test]
fn failures_are_tried_later_and_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path(), &[at(1)]);
    book.connected(at(2), peer(2), 1000);
    let start = Instant::now();
    let mut now = start;
    let mut tries = 0;
    while now < start + Duration::from_secs(300) {
        for address in book.due(now, |_| false) {
            if address == at(2) {
                tries += 1;
            }
            book.failed(now, address);
        }
        now += Duration::from_millis(500);
    }
    // 0, 1, 3, 7, …, 255 s.
    assert_eq!(tries, 9);
    // Twelve failures are enough, but the operator's address stays.
    for _ in 0..12 {
        book.failed(now, at(1));
        book.failed(now, at(2));
    }
    assert_eq!(book.due(now + LONGEST_BOOTSTRAP_PAUSE, |_| false), [at(1)]);
    // A peer that is connected isn't called.
    book.connected(at(3), peer(3), 1000);
    assert_eq!(book.due(now, |who| who == peer(3)), []);
    assert_eq!(book.due(now, |_| false), [at(3)]);
}

#[test]
fn liars_fill_no_book() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path(), &[]);
    for i in 0..MAX_KNOWN as u32 / 2 {
        book.connected(at(i), peer(i), 1000);
    }
    for i in 0..10_000 {
        book.learn(at(1).ip(), peer(0), &[named(100_000 + i)]);
    }
    assert_eq!(book.entries.len(), MAX_KNOWN / 2 + MAX_UNTRIED);
    for i in 0..2 * MAX_KNOWN as u32 {
        book.connected(at(200_000 + i), peer(i), 2000 + u64::from(i));
    }
    assert_eq!(book.entries.len(), MAX_KNOWN);
    // What nobody has seen is not handed on.
    let shared = book.share(at(1).ip());
    assert_eq!(shared.len(), MAX_ADDRESSES);
    let mut untried = Book::open(dir.path(), &[]);
    untried.learn(at(1).ip(), peer(0), &[named(5), PeerAddress { peer: peer(6), address: ([127, 0, 0, 1], 5).into() }]);
    assert_eq!(untried.entries.len(), 1);
    assert_eq!(untried.share(at(1).ip()), []);
}
