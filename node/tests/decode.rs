//! Bytes from anywhere: decoding never panics, never sets aside more than the bytes warrant, and takes no second
//! encoding of a value. The bytes are the checked-in good ones with all kinds of damage.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use node::atx::Atx;
use node::codec::{Scale, decode};
use node::fuzz;
use node::poet::PoetProof;

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

/// The largest item for its bytes is a post: 7 B make 72, in a vector that may just have doubled, its half still there.
const BYTES_HELD_A_BYTE: usize = 40;

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
    let bytes = node::codec::encode(&crowd);
    let most = most_held_by(|| decode::<Atx>(&bytes).unwrap());
    assert!(most <= BYTES_HELD_A_BYTE * bytes.len(), "{most} B for {} B", bytes.len());
}
