//! Bytes from anywhere: decoding never panics, never sets aside more than the bytes warrant, and takes no second
//! encoding of a value. The bytes are the checked-in good ones with all kinds of damage.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use node::atx::Atx;
use node::ballot::{Ballot, Content, LayerVote, MAX_DIFFERENCES, Proposal, Slot, Vote};
use node::beacon::{BeaconMessage, BeaconVote};
use node::block::{Block, Reward};
use node::codec::{Scale, decode, encode};
use node::fraud::{Fraud, FraudProof, Statement};
use node::fuzz;
use node::hare::{HareMessage, IterRound, Round, Value};
use node::ids::{Address, AtxId, BallotId, Beacon, BlockId, Epoch, Layer, NodeId, Opinion, Signature, TxId};
use node::poet::PoetProof;
use node::transaction::Transaction;
use node::vrf::VrfProof;

/// The system's allocator, with a count of what this thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST_HELD: Cell<isize> = const { Cell::new(0) };
}

/// A thread that is ending has no count any more.
fn count(change: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = MOST_HELD.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes on to the system's allocator as it came; counting allocates nothing and can't unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps `alloc`'s contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the pointer came from `alloc` above and so from the system, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    // The default `realloc` is made of these two, so that old and new count while both are there.
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `call` held at most, on top of what there was.
fn most_held_by<R>(call: impl FnOnce() -> R) -> usize {
    let before = HELD.get();
    MOST_HELD.set(before);
    let result = call();
    let most = MOST_HELD.get() - before;
    drop(result);
    most.unsigned_abs()
}

/// The largest item for its bytes is a ballot's vote on one layer: 2 B make 40, in a vector that may just have doubled, its
/// half still there.
const BYTES_HELD_A_BYTE: usize = 64;

/// xorshift64*: the same bytes in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }
}

/// Lengths and flags that decoders may trip over, as compact integers.
const TRAPS: [&[u8]; 9] = [
    &[0],
    &[1],
    &[4],
    &[0xfc],
    &[0xff; 2],
    &[0x02, 0, 1, 0],
    &[0xfe, 0xff, 0xff, 0xff],
    &[0x03, 0xff, 0xff, 0xff, 0xff],
    &[0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

/// Damages `bytes` in place, once or a few times.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.extend((0..dice.below(40)).map(|i| i as u8)),
            2 => {
                let end = (at + dice.below(80)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                let end = (at + dice.below(80)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = dice.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            4 | 5 => {
                let trap = TRAPS[dice.below(TRAPS.len())];
                let end = (at + dice.below(2) * trap.len()).min(bytes.len());
                bytes.splice(at..end, trap.iter().copied());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
    }
}

fn golden(name: &str) -> Vec<u8> {
    let file: serde_json::Value = serde_json::from_str(&fixtures::golden(name)).unwrap();
    hex::decode(file["bytes"].as_str().unwrap()).unwrap()
}

/// Runs `target` over damaged `seeds`; gives how many of them still were values.
fn run<T: Scale>(seeds: &[Vec<u8>], rounds: usize, target: fn(&[u8]) -> bool) -> usize {
    let mut dice = Dice(0x5eed);
    let mut decoded = 0;
    for round in 0..rounds {
        let mut bytes = seeds[round % seeds.len()].clone();
        damage(&mut bytes, &mut dice);
        let most = most_held_by(|| decoded += usize::from(decode::<T>(&bytes).is_ok()));
        assert!(most <= BYTES_HELD_A_BYTE * bytes.len() + 256, "{most} B for {}", hex::encode(&bytes));
        assert!(target(&bytes), "two encodings: {}", hex::encode(&bytes));
    }
    decoded
}

#[test]
fn the_count_counts() {
    assert_eq!(most_held_by(|| ()), 0);
    assert_eq!(most_held_by(|| vec![0_u8; 1000]), 1000);
    assert_eq!(most_held_by(|| drop((vec![0_u8; 1000], vec![0_u8; 500]))), 1500);
}

#[test]
fn damaged_atxs() {
    let seeds = ["atx_initial", "atx_following", "atx_marrying", "atx_merged"].map(golden);
    let decoded = run::<Atx>(&seeds, 60_000, fuzz::decode_atx);
    // Damage that always broke the bytes would not try what comes after decoding.
    assert!(decoded > 5_000, "{decoded}");
}

#[test]
fn damaged_poet_proofs() {
    let decoded = run::<PoetProof>(&[golden("poet")], 40_000, fuzz::decode_poet);
    assert!(decoded > 3_000, "{decoded}");
}

fn ballot() -> Ballot {
    let vote = |layer, vote| LayerVote { layer: Layer(layer), vote };
    let block = Vote::Block { id: BlockId([5; 20]), height: 70_000 };
    Ballot {
        layer: Layer(130_271),
        atx: AtxId([1; 32]),
        beacon: Beacon([2; 4]),
        total_weight: 1 << 40,
        slots: [3, 900].map(|counter| Slot { counter, proof: VrfProof([4; 80]) }).to_vec(),
        base: Some(BallotId([6; 20])),
        differences: vec![vote(130_268, block), vote(130_269, Vote::Empty), vote(130_270, Vote::Abstain)],
        opinion: Opinion([7; 32]),
        content: [8; 32],
        smesher: NodeId([9; 32]),
        signature: Signature([10; 64]),
    }
}

fn hare(value: Value, round: Round) -> HareMessage {
    HareMessage {
        layer: Layer(130_271),
        at: IterRound { iteration: 2, round },
        value,
        proof: VrfProof([4; 80]),
        seats: 3,
        sender: NodeId([9; 32]),
        signature: Signature([10; 64]),
    }
}

fn beacon_vote() -> BeaconVote {
    BeaconVote {
        epoch: Epoch(40),
        round: 5,
        support: (0..20).map(|i| [i; 8]).collect(),
        coin: VrfProof([4; 80]),
        sender: NodeId([9; 32]),
        signature: Signature([10; 64]),
    }
}

#[test]
fn damaged_fraud_proofs() {
    let culprit = NodeId([9; 32]);
    let contradiction = |statement: Statement| {
        let fraud = Fraud::Contradiction(Box::new([statement.clone(), statement]));
        encode(&FraudProof { culprit, fraud })
    };
    let header = hare(Value::Reference([1; 32]), Round::Commit).header();
    let seeds = [
        golden("fraud_same_epoch"),
        golden("fraud_invalid_post"),
        contradiction(Statement::Ballot(ballot())),
        contradiction(Statement::Hare { header, signature: Signature([10; 64]) }),
        contradiction(Statement::Beacon(beacon_vote())),
    ];
    let decoded = run::<FraudProof>(&seeds, 10_000, fuzz::decode_fraud);
    assert!(decoded > 1_000, "{decoded}");
}

#[test]
fn damaged_proposals() {
    let content =
        Content { atxs: vec![AtxId([1; 32]), AtxId([2; 32])], revoked: vec![AtxId([3; 32])], txs: vec![TxId([4; 32])] };
    let seeds = [encode(&Proposal { ballot: ballot(), content })];
    let decoded = run::<Proposal>(&seeds, 20_000, fuzz::decode_proposal);
    assert!(decoded > 2_000, "{decoded}");
}

#[test]
fn damaged_hare_messages() {
    let proposals = (0..10).map(|i| BallotId([i; 20])).collect();
    let seeds = [
        encode(&hare(Value::Proposals(proposals), Round::Preround)),
        encode(&hare(Value::Reference([1; 32]), Round::Notify)),
    ];
    let decoded = run::<HareMessage>(&seeds, 20_000, fuzz::decode_hare);
    assert!(decoded > 2_000, "{decoded}");
}

#[test]
fn damaged_beacon_messages() {
    let proposal = BeaconMessage::Proposal { epoch: Epoch(40), sender: NodeId([9; 32]), proof: VrfProof([4; 80]) };
    let seeds = [encode(&proposal), encode(&BeaconMessage::Vote(beacon_vote()))];
    let decoded = run::<BeaconMessage>(&seeds, 20_000, fuzz::decode_beacon);
    assert!(decoded > 2_000, "{decoded}");
}

#[test]
fn damaged_transactions_and_blocks() {
    let transaction = Transaction {
        from: NodeId([9; 32]),
        to: Address([1; 24]),
        amount: 1 << 50,
        fee: 20_000,
        nonce: 7,
        signature: Signature([10; 64]),
    };
    let decoded = run::<Transaction>(&[encode(&transaction)], 10_000, fuzz::decode_transaction);
    assert!(decoded > 1_000, "{decoded}");
    let reward = |i| Reward { coinbase: Address([i; 24]), weight: 1 << (i + 8) };
    let block = Block {
        layer: Layer(130_271),
        height: 70_000,
        rewards: (1..6).map(reward).collect(),
        atxs: vec![AtxId([1; 32])],
        revoked: vec![AtxId([2; 32])],
        txs: vec![TxId([3; 32]), TxId([4; 32])],
    };
    let decoded = run::<Block>(&[encode(&block)], 10_000, fuzz::decode_block);
    assert!(decoded > 1_000, "{decoded}");
}

/// Lists of many small items: the worst case for memory.
#[test]
fn the_smallest_items_in_the_longest_lists() {
    let seeds = ["atx_following"].map(golden);
    let atx: Atx = decode(&seeds[0]).unwrap();
    let mut crowd = atx;
    let nipost = &mut crowd.niposts[0];
    let mut small = nipost.posts[0].clone();
    (small.marriage_index, small.leaf_index, small.num_units) = (0, 0, 1);
    (small.post.nonce, small.post.pow) = (0, 0);
    small.post.indices.clear();
    nipost.posts = vec![small; 256];
    crowd.niposts = vec![crowd.niposts[0].clone(); 4];
    let bytes = encode(&crowd);
    let most = most_held_by(|| decode::<Atx>(&bytes).unwrap());
    assert!(most <= BYTES_HELD_A_BYTE * bytes.len(), "{most} B for {} B", bytes.len());
    // Just past a length at which the vector doubles.
    for length in [65, 513, MAX_DIFFERENCES] {
        let mut ballot = ballot();
        ballot.differences = vec![LayerVote { layer: Layer(1), vote: Vote::Empty }; length];
        let bytes = encode(&ballot);
        let most = most_held_by(|| decode::<Ballot>(&bytes).unwrap());
        assert!(most <= BYTES_HELD_A_BYTE * bytes.len(), "{most} B for {} B", bytes.len());
    }
}
