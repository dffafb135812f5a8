//! The database: the same answers as memory, whole steps only, and what was flushed survives `kill -9`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use node::archive::{Applied, Archive, Memory, Reload, Write};
use node::env::store::{Store, StoreError};
use node::ids::{
    AtxId, BallotId, Beacon, BlockId, Challenge, Epoch, GenesisId, Layer, NodeId, Opinion, StateRoot, TxId,
};
use node::time::Time;
use proptest::prelude::*;

const GENESIS: GenesisId = GenesisId([7; 20]);

fn id(n: u8) -> [u8; 32] {
    let mut id = [0; 32];
    id[31] = n;
    id
}

fn short(n: u8) -> [u8; 20] {
    let mut id = [0; 20];
    id[n as usize % 20] = n;
    id
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..40)
}

/// An id stands for one layer.
fn layer(n: u8) -> Layer {
    Layer(u32::from(n) % 6)
}

fn of_layers() -> impl Strategy<Value = Write> {
    let key = || proptest::collection::vec(0..3_u8, 0..4);
    prop_oneof![
        (0..20_u8, bytes()).prop_map(|(n, bytes)| Write::Ballot { id: BallotId(short(n)), layer: layer(n), bytes }),
        (0..20_u8, bytes()).prop_map(|(n, bytes)| Write::Content { id: BallotId(short(n)), layer: layer(n), bytes }),
        (0..20_u8, bytes()).prop_map(|(n, bytes)| Write::Block { id: BlockId(short(n)), layer: layer(n), bytes }),
        (0..9_u8, bytes()).prop_map(|(n, bytes)| Write::Transaction { id: TxId(id(n)), bytes }),
        (0..9_u8).prop_map(|n| Write::ForgetTransaction { id: TxId(id(n)) }),
        (0..4_u32, any::<[u8; 4]>())
            .prop_map(|(epoch, beacon)| Write::Beacon { epoch: Epoch(epoch), beacon: Beacon(beacon) }),
        any::<u32>().prop_map(|layer| Write::Speaks { layer: Layer(layer) }),
        (0..7_u32, any::<u8>()).prop_map(|(layer, n)| Write::Hare { layer: Layer(layer), block: BlockId(short(n)) }),
        (0..7_u32, any::<Option<u8>>(), any::<u8>()).prop_map(|(layer, block, root)| Write::Applied {
            layer: Layer(layer),
            applied: Applied {
                block: block.map(|n| BlockId(short(n))),
                root: StateRoot([root; 32]),
                opinion: Opinion([root; 32])
            },
        }),
        (key(), proptest::option::weighted(0.7, bytes())).prop_map(|(key, value)| Write::Ledger { key, value }),
        (0..7_u32).prop_map(|before| Write::Forget { before: Layer(before) }),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![1 => of_atxs(), 2 => of_layers()]
}

fn of_atxs() -> impl Strategy<Value = Write> {
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
    text += &format!("{:?}", archive.frauds(None, 100));
    text + &of_layers_answered(archive)
}

/// Everything that can be asked about layers.
fn of_layers_answered(archive: &dyn Archive) -> String {
    let mut text = format!("{:?}{:?}{:?}", archive.spoke(), archive.last_applied(), archive.last_ballots());
    for n in (0..8).map(Layer) {
        text += &format!("{:?}{:?}", archive.ballots(n), archive.blocks(n));
        text += &format!("{:?}{:?}{:?}", archive.hare(n), archive.applied(n), archive.beacon(Epoch(n.0)));
    }
    for n in 0..21 {
        let (ballot, content) = (archive.ballot(BallotId(short(n))), archive.content(BallotId(short(n))));
        let (block, transaction) = (archive.block(BlockId(short(n))), archive.transaction(TxId(id(n))));
        text += &format!("{ballot:?}{content:?}{block:?}{transaction:?}");
        text += &format!("{:?}", archive.transactions(Some(TxId(id(n))), 2));
    }
    for after in [&[][..], &[1], &[1, 2], &[2, 2, 2], &[3]] {
        text += &format!("{:?}{:?}", archive.ledger(Some(after), 3), archive.ledger(Some(after), 0));
    }
    text + &format!("{:?}{:?}", archive.ledger(None, 100), archive.transactions(None, 100))
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
        store.each_atx(&mut |_, _| atxs += 1).unwrap();
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

/// What is forgotten, and what stays.
#[test]
fn contents_are_forgotten_and_ballots_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), GENESIS).unwrap();
    let mut writes = Vec::new();
    for n in 0..6 {
        let (id, layer) = (BallotId(short(n)), layer(n));
        writes.push(Write::Ballot { id, layer, bytes: vec![n] });
        writes.push(Write::Content { id, layer, bytes: vec![n] });
        writes.push(Write::Hare { layer, block: BlockId(short(n)) });
    }
    writes.push(Write::Forget { before: Layer(3) });
    store.write(&writes).unwrap();
    for n in 0..6 {
        assert_eq!(store.ballot(BallotId(short(n))).unwrap(), Some(vec![n]));
        assert_eq!(store.content(BallotId(short(n))).unwrap().is_some(), n >= 3, "{n}");
        assert_eq!(store.hare(layer(n)).unwrap().is_some(), n >= 3, "{n}");
    }
}

/// One step of the child below: two ATXs, a layer and what it did to the ledger, and how far it is.
fn step(n: u32) -> Vec<Write> {
    let atx = |half: u8| {
        let mut id = [half; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        Write::Atx { id: AtxId(id), epoch: Epoch(0), received: Time(n.into()), bytes: vec![half; 300] }
    };
    let mut ballot = [0; 20];
    ballot[..4].copy_from_slice(&n.to_be_bytes());
    vec![
        Write::Ballot { id: BallotId(ballot), layer: Layer(n), bytes: vec![1; 500] },
        Write::Content { id: BallotId(ballot), layer: Layer(n), bytes: vec![2; 100] },
        Write::Block { id: BlockId(ballot), layer: Layer(n), bytes: vec![3; 300] },
        Write::Applied {
            layer: Layer(n),
            applied: Applied {
                block: Some(BlockId(ballot)),
                root: StateRoot([n as u8; 32]),
                opinion: Opinion([n as u8; 32]),
            },
        },
        // One that stays and one that the next step takes away.
        Write::Ledger { key: b"sum".to_vec(), value: Some(n.to_be_bytes().to_vec()) },
        Write::Ledger { key: n.to_be_bytes().to_vec(), value: Some(vec![4; 40]) },
        Write::Ledger { key: (n - 1).to_be_bytes().to_vec(), value: None },
        Write::Forget { before: Layer(n.saturating_sub(3)) },
        atx(0),
        atx(1),
        Write::Smeshing { node_id: NodeId([0; 32]), bytes: n.to_le_bytes().to_vec() },
    ]
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
        for layer in done.saturating_sub(5)..=done + 1 {
            let mut ballot = [0; 20];
            ballot[..4].copy_from_slice(&layer.to_be_bytes());
            let of = |archive: &dyn Archive| {
                let (ballots, blocks) = (archive.ballots(Layer(layer)).unwrap(), archive.blocks(Layer(layer)).unwrap());
                (ballots, blocks, archive.content(BallotId(ballot)).unwrap(), archive.applied(Layer(layer)).unwrap())
            };
            assert_eq!(of(&store), of(&expected), "round {round}, layer {layer}");
        }
        assert_eq!(store.last_applied().unwrap(), Some(Layer(done)), "round {round}");
        assert_eq!(store.ledger(None, 9), expected.ledger(None, 9), "round {round}");
    }
    assert!(last > 0);
}
