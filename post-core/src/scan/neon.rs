//! The AES instructions of aarch64: one label a register. Run under emulation only, never on silicon.
#![allow(unsafe_code)]

use std::arch::aarch64::{
    uint8x16_t, vaeseq_u8, vaesmcq_u8, vandq_u8, vceqq_u8, vcltq_u8, vdupq_n_u8, veorq_u8, vgetq_lane_u64, vld1q_u8,
    vorrq_u8, vreinterpretq_u64_u8, vst1q_u8,
};

use super::blocks::{Blocks, DEPTH, LAZY};
use super::tier::scanner;
use crate::cipher::LAZY_MASK;
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

/// Writes in each byte bit i where register i of `matches` is all ones.
///
/// # Safety
/// The pointer is valid for writes of a register.
#[inline(always)]
unsafe fn gather(matches: [Neon; DEPTH], bits: *mut u64) {
    let mut gathered = neon!(vdupq_n_u8(0));
    for (i, matches) in matches.into_iter().enumerate() {
        gathered = neon!(vorrq_u8(gathered.0, vandq_u8(matches.0, vdupq_n_u8(1 << i))));
    }
    // SAFETY: the caller's promise.
    unsafe { vst1q_u8(bits.cast(), gathered.0) }
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

/// The first 8 B, little-endian.
#[inline(always)]
fn first_half(block: Neon) -> u64 {
    // SAFETY: as in the macro.
    unsafe { vgetq_lane_u64::<0>(vreinterpretq_u64_u8(block.0)) }
}

/// The other 8 B, little-endian.
#[inline(always)]
fn second_half(block: Neon) -> u64 {
    // SAFETY: as in the macro.
    unsafe { vgetq_lane_u64::<1>(vreinterpretq_u64_u8(block.0)) }
}

impl Blocks for Neon {
    const LABELS: usize = 1;

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
    fn is_zero(self) -> bool {
        first_half(self) == 0 && second_half(self) == 0
    }
    #[inline(always)]
    unsafe fn equal(mut blocks: [Self; DEPTH], threshold: Self, bits: *mut u64) {
        for block in &mut blocks {
            *block = neon!(vceqq_u8(block.0, threshold.0));
        }
        // SAFETY: the caller's promise.
        unsafe { gather(blocks, bits) };
    }
    #[inline(always)]
    unsafe fn less(mut blocks: [Self; DEPTH], threshold: Self, bits: *mut u64) {
        for block in &mut blocks {
            *block = neon!(vcltq_u8(block.0, threshold.0));
        }
        // SAFETY: the caller's promise.
        unsafe { gather(blocks, bits) };
    }
    #[inline(always)]
    unsafe fn lazy(labels: *const Label, at: [u16; LAZY], keys: &[Self; 11], bound: u64) -> u8 {
        let mut blocks = [Self::repeat(&[0; 16]); LAZY];
        for (block, at) in blocks.iter_mut().zip(at) {
            // SAFETY: the caller's promise.
            *block = unsafe { Self::load(labels.add(usize::from(at))) };
        }
        let mut below = 0;
        for (i, block) in Self::encrypt(blocks, keys).into_iter().enumerate() {
            below |= u8::from(first_half(block) & LAZY_MASK < bound) << i;
        }
        below
    }
}
