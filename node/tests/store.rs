//! The database: the same answers as memory, whole steps only, and what was flushed survives `kill -9`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use node::archive::{Archive, Memory, Write};
use node::env::store::{Store, StoreError};
use node::ids::{AtxId, Challenge, Epoch, GenesisId, NodeId};
use node::time::Time;
use proptest::prelude::*;

const GENESIS: GenesisId = GenesisId([7; 20]);

fn id(n: u8) -> [u8; 32] {
    let mut id = [0; 32];
    id[31] = n;
    id
}

fn write() -> impl Strategy<Value = Write> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    // Few names, so that some come twice.
    prop_oneof![
        (0..20_u8, any::<u64>(), bytes()).prop_map(|(n, received, bytes)| Write::Atx {
            id: AtxId(id(n)),
            // An id stands for one epoch.
            epoch: Epoch(u32::from(n) % 3),
            received: Time(received),
            bytes,
        }),
        (0..5_u8, bytes()).prop_map(|(n, bytes)| Write::Poet { id: Challenge(id(n)), bytes }),
        (0..9_u8, any::<u64>(), bytes()).prop_map(|(n, received, bytes)| Write::Fraud {
            node_id: NodeId(id(n)),
            received: Time(received),
            bytes
        }),
        (0..5_u8, bytes()).prop_map(|(n, bytes)| Write::Smeshing { node_id: NodeId(id(n)), bytes }),
    ]
}

/// Everything that can be asked.
fn answers(archive: &dyn Archive) -> String {
    let all = |epoch| archive.atx_ids(Epoch(epoch), AtxId([0; 32]), AtxId([255; 32]), 1000).unwrap();
    let mut text = format!("{:?}", (0..4).map(all).collect::<Vec<_>>());
    text += &format!("{:?}", archive.atx_ids(Epoch(1), AtxId(id(3)), AtxId(id(12)), 2));
    text += &format!("{:?}", archive.atx_ids(Epoch(1), AtxId(id(12)), AtxId(id(3)), 2));
    for n in 0..21 {
        let (atx, poet) = (archive.atx(AtxId(id(n))), archive.poet(Challenge(id(n))));
        let (fraud, smeshing) = (archive.fraud(NodeId(id(n))), archive.smeshing(NodeId(id(n))));
        text += &format!("{atx:?}{poet:?}{fraud:?}{smeshing:?}");
        text += &format!("{:?}", archive.frauds(Some(NodeId(id(n))), 3));
    }
    text + &format!("{:?}", archive.frauds(None, 100))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn answers_like_memory(steps in proptest::collection::vec(proptest::collection::vec(write(), 0..6), 0..12)) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), GENESIS).unwrap();
        let mut memory = Memory::default();
        for step in steps {
            store.write(&step).unwrap();
            step.into_iter().for_each(|write| memory.write(write));
            prop_assert_eq!(answers(&store), answers(&memory));
        }
        store.flush().unwrap();
        drop(store);
        let store = Store::open(dir.path(), GENESIS).unwrap();
        prop_assert_eq!(answers(&store), answers(&memory));
        let mut atxs = 0;
        store.each_atx(|_, _| atxs += 1).unwrap();
        prop_assert_eq!(atxs, store.atx_count().unwrap());
    }
}

#[test]
fn strangers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), GENESIS).unwrap();
    assert!(matches!(Store::open(dir.path(), GENESIS), Err(StoreError::InUse { .. })));
    drop(store);
    assert!(matches!(Store::open(dir.path(), GenesisId([8; 20])), Err(StoreError::OtherNetwork { .. })));
    let garbage = tempfile::tempdir().unwrap();
    std::fs::write(garbage.path().join("node.redb"), [9; 5000]).unwrap();
    assert!(matches!(Store::open(garbage.path(), GENESIS), Err(StoreError::Open { .. })));
    assert_eq!(std::fs::read(garbage.path().join("node.redb")).unwrap(), [9; 5000], "it is left as it was");
}

/// One step of the child below: two ATXs and how far it is.
fn step(n: u32) -> Vec<Write> {
    let atx = |half: u8| {
        let mut id = [half; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        Write::Atx { id: AtxId(id), epoch: Epoch(0), received: Time(n.into()), bytes: vec![half; 300] }
    };
    vec![atx(0), atx(1), Write::Smeshing { node_id: NodeId([0; 32]), bytes: n.to_le_bytes().to_vec() }]
}

const CHILD: &str = "STORE_TEST_DIRECTORY";

/// Not a test of its own: the process that the next test kills. It tells of every step that it has flushed.
#[test]
fn child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let store = Store::open(directory.as_ref(), GENESIS).unwrap();
    let done = store.smeshing(NodeId([0; 32])).unwrap().map_or(0, |n| u32::from_le_bytes(n.try_into().unwrap()));
    for n in done + 1.. {
        store.write(&step(n)).unwrap();
        if n % 3 == 0 {
            store.flush().unwrap();
            println!("flushed {n}");
        }
    }
}

#[test]
fn whole_steps_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..20_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Not always at the same place of its loop.
        let flushed = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("flushed ")?.parse::<u32>().ok());
        let mut told = flushed.skip(round as usize % 7);
        last = told.next().expect("the child flushes");
        std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 137));
        child.kill().unwrap();
        last = told.last().unwrap_or(last);
        child.wait().unwrap();
        let store = Store::open(dir.path(), GENESIS).unwrap();
        let done = store.smeshing(NodeId([0; 32])).unwrap().unwrap();
        let done = u32::from_le_bytes(done.try_into().unwrap());
        assert!(done >= last, "round {round}: {last} was flushed, {done} is there");
        let mut expected = Memory::default();
        (1..=done).flat_map(step).for_each(|write| expected.write(write));
        assert_eq!(store.atx_count().unwrap(), u64::from(done) * 2, "round {round}");
        let ids =
            |archive: &dyn Archive| archive.atx_ids(Epoch(0), AtxId([0; 32]), AtxId([255; 32]), usize::MAX).unwrap();
        assert_eq!(ids(&store), ids(&expected), "round {round}");
    }
    assert!(last > 0);
}
