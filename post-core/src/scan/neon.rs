//! The AES instructions of aarch64: one label a register. Run under emulation only, never on silicon.
#![allow(unsafe_code)]
// Rounds are counted on every block at once.
#![allow(clippy::needless_range_loop)]

use std::arch::aarch64::{
    uint8x16_t, vaeseq_u8, vaesmcq_u8, vandq_u8, vceqq_u8, vcltq_u8, vdupq_n_u8, veorq_u8, vgetq_lane_u64, vld1q_u8,
    vorrq_u8, vreinterpretq_u64_u8,
};

use super::blocks::{Blocks, DEPTH, PLANES, Planes, place_of_plane};
use super::tier::scanner;
use crate::cipher::RoundKeys;
use crate::label::Label;

scanner! {
    #[target_feature(enable = "aes,neon")]
    NEON: Neon
}

/// One label.
#[derive(Clone, Copy)]
struct Neon(uint8x16_t);

macro_rules! neon {
    ($call:expr) => {
        // SAFETY: a `Neon` exists only in this file's kernels, which ask for NEON and AES.
        Neon(unsafe { $call })
    };
}

/// One bit a register, in the bytes where `matches` is all ones.
#[inline(always)]
fn planes(matches: [Neon; DEPTH]) -> Planes {
    let mut gathered = neon!(vdupq_n_u8(0));
    for (i, matches) in matches.into_iter().enumerate() {
        gathered = neon!(vorrq_u8(gathered.0, vandq_u8(matches.0, vdupq_n_u8(1 << i))));
    }
    let mut planes = [0; PLANES];
    // SAFETY: as in the macro.
    unsafe {
        let words = vreinterpretq_u64_u8(gathered.0);
        (planes[0], planes[1]) = (vgetq_lane_u64::<0>(words), vgetq_lane_u64::<1>(words));
    }
    planes
}

impl Blocks for Neon {
    const LABELS: usize = 1;
    const WORDS: usize = 2;

    #[inline(always)]
    fn repeat(bytes: &[u8; 16]) -> Self {
        // SAFETY: 16 bytes are read, and there are as many.
        neon!(vld1q_u8(bytes.as_ptr()))
    }
    #[inline(always)]
    unsafe fn load(labels: *const Label) -> Self {
        // SAFETY: the caller's promise.
        neon!(vld1q_u8(labels.cast()))
    }
    #[inline(always)]
    fn encrypt(mut blocks: [Self; DEPTH], keys: &[Self; 11]) -> [Self; DEPTH] {
        // These instructions mix the key in before a round, not after it.
        for key in &keys[..9] {
            for block in &mut blocks {
                *block = neon!(vaesmcq_u8(vaeseq_u8(block.0, key.0)));
            }
        }
        for block in &mut blocks {
            *block = neon!(veorq_u8(vaeseq_u8(block.0, keys[9].0), keys[10].0));
        }
        blocks
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        neon!(veorq_u8(self.0, other.0))
    }
    #[inline(always)]
    fn equal(mut blocks: [Self; DEPTH], threshold: Self) -> Planes {
        for block in &mut blocks {
            *block = neon!(vceqq_u8(block.0, threshold.0));
        }
        planes(blocks)
    }
    #[inline(always)]
    fn less(mut blocks: [Self; DEPTH], threshold: Self) -> Planes {
        for block in &mut blocks {
            *block = neon!(vcltq_u8(block.0, threshold.0));
        }
        planes(blocks)
    }
    #[inline(always)]
    fn place(word: usize, bit: usize) -> (usize, usize) {
        place_of_plane(word, bit, Self::LABELS)
    }
    #[inline(always)]
    fn encrypt_each(labels: [&Label; DEPTH], keys: [&RoundKeys; DEPTH]) -> [u64; DEPTH] {
        let mut blocks = [Self::repeat(&[0; 16]); DEPTH];
        for i in 0..DEPTH {
            blocks[i] = Self::repeat(labels[i]);
        }
        for round in 0..9 {
            for i in 0..DEPTH {
                blocks[i] = neon!(vaesmcq_u8(vaeseq_u8(blocks[i].0, Self::repeat(&keys[i][round]).0)));
            }
        }
        let mut values = [0; DEPTH];
        for i in 0..DEPTH {
            let last = neon!(vaeseq_u8(blocks[i].0, Self::repeat(&keys[i][9]).0)).xor(Self::repeat(&keys[i][10]));
            // SAFETY: as in the macro.
            values[i] = unsafe { vgetq_lane_u64::<0>(vreinterpretq_u64_u8(last.0)) };
        }
        values
    }
}
