//! The AES instructions of aarch64: one label a register. Run under emulation only, never on silicon.
#![allow(unsafe_code)]
// Rounds are counted on every block at once.
#![allow(clippy::needless_range_loop)]

use std::arch::aarch64::{
    uint8x16_t, vaddv_u8, vaeseq_u8, vaesmcq_u8, vandq_u8, vceqq_u8, vcltq_u8, vcombine_u8, vcreate_u8, vdupq_n_u8,
    veorq_u8, vget_high_u8, vget_low_u8, vgetq_lane_u64, vld1q_u8, vorrq_u8, vreinterpretq_u64_u8, vst1q_u8, vtstq_u8,
};

use super::blocks::{Blocks, DEPTH};
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

/// In each byte, bit i where register i of `matches` is all ones.
#[inline(always)]
fn gather(matches: [Neon; DEPTH]) -> Neon {
    let mut gathered = neon!(vdupq_n_u8(0));
    for (i, matches) in matches.into_iter().enumerate() {
        gathered = neon!(vorrq_u8(gathered.0, vandq_u8(matches.0, vdupq_n_u8(1 << i))));
    }
    gathered
}

/// One round. The instructions mix the key in before the round, not after it.
#[inline]
#[target_feature(enable = "aes,neon")]
fn round(block: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
    vaesmcq_u8(vaeseq_u8(block, key))
}

/// The tenth round, and the key after it.
#[inline]
#[target_feature(enable = "aes,neon")]
fn last_round(block: uint8x16_t, key: uint8x16_t, after: uint8x16_t) -> uint8x16_t {
    veorq_u8(vaeseq_u8(block, key), after)
}

impl Blocks for Neon {
    const LABELS: usize = 1;
    const AT_ONCE: usize = 3;

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
    unsafe fn store(self, bytes: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_u8(bytes, self.0) }
    }
    #[inline(always)]
    fn encrypt(mut blocks: [Self; DEPTH], keys: &[Self; 11]) -> [Self; DEPTH] {
        for key in &keys[..9] {
            for block in &mut blocks {
                *block = neon!(round(block.0, key.0));
            }
        }
        for block in &mut blocks {
            *block = neon!(last_round(block.0, keys[9].0, keys[10].0));
        }
        blocks
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        neon!(veorq_u8(self.0, other.0))
    }
    #[inline(always)]
    fn equal(mut blocks: [Self; DEPTH], threshold: Self) -> Self {
        for block in &mut blocks {
            *block = neon!(vceqq_u8(block.0, threshold.0));
        }
        gather(blocks)
    }
    #[inline(always)]
    fn less(mut blocks: [Self; DEPTH], threshold: Self) -> Self {
        for block in &mut blocks {
            *block = neon!(vcltq_u8(block.0, threshold.0));
        }
        gather(blocks)
    }
    #[inline(always)]
    fn non_zero(self) -> u64 {
        // There is no instruction for it: one bit of each byte, the halves added up.
        // SAFETY: as in the macro.
        unsafe {
            let weights = vcombine_u8(vcreate_u8(0x8040_2010_0804_0201), vcreate_u8(0x8040_2010_0804_0201));
            let bits = vandq_u8(vtstq_u8(self.0, self.0), weights);
            u64::from(vaddv_u8(vget_low_u8(bits))) | u64::from(vaddv_u8(vget_high_u8(bits))) << 8
        }
    }
    #[inline(always)]
    fn encrypt_each(labels: [&Label; DEPTH], keys: [&RoundKeys; DEPTH]) -> [u64; DEPTH] {
        let mut blocks = [Self::repeat(&[0; 16]); DEPTH];
        for i in 0..DEPTH {
            blocks[i] = Self::repeat(labels[i]);
        }
        for number in 0..9 {
            for i in 0..DEPTH {
                blocks[i] = neon!(round(blocks[i].0, Self::repeat(&keys[i][number]).0));
            }
        }
        let mut values = [0; DEPTH];
        for i in 0..DEPTH {
            let last = neon!(last_round(blocks[i].0, Self::repeat(&keys[i][9]).0, Self::repeat(&keys[i][10]).0));
            // SAFETY: as in the macro.
            values[i] = unsafe { vgetq_lane_u64::<0>(vreinterpretq_u64_u8(last.0)) };
        }
        values
    }
}
