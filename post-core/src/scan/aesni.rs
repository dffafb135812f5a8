//! AES-NI in AVX encoding: one label a register.
#![allow(unsafe_code)]
// Rounds are counted on every block at once.
#![allow(clippy::needless_range_loop)]

use std::arch::asm;
use std::arch::x86_64::{
    __m128i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8,
    _mm_cvtsi128_si64, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    _mm_setzero_si128, _mm_storeu_si128, _mm_xor_si128,
};

use super::blocks::{Blocks, DEPTH};
use super::tier::scanner;
use crate::cipher::RoundKeys;
use crate::label::Label;

scanner! {
    #[target_feature(enable = "aes,avx,popcnt")]
    AESNI: Xmm
}

/// One label.
#[derive(Clone, Copy)]
struct Xmm(__m128i);

macro_rules! xmm {
    ($call:expr) => {
        // SAFETY: an `Xmm` exists only in this file's kernels, which ask for AES-NI and AVX.
        Xmm(unsafe { $call })
    };
}

/// In each byte, bit i where register i of `matches` is all ones.
#[inline(always)]
fn gather(matches: [Xmm; DEPTH]) -> Xmm {
    let mut gathered = xmm!(_mm_setzero_si128());
    for (i, matches) in matches.into_iter().enumerate() {
        gathered = xmm!(_mm_or_si128(gathered.0, _mm_and_si128(matches.0, _mm_set1_epi8((1_u8 << i).cast_signed()))));
    }
    gathered
}

/// Changes nothing, but keeps the compiler from taking one block through all rounds before the next: a round takes four
/// cycles, and only eight blocks side by side fill them.
///
/// # Safety
/// The processor has this tier's instructions.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn in_step([mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h]: [Xmm; DEPTH]) -> [Xmm; DEPTH] {
    // SAFETY: no instruction at all.
    unsafe {
        asm!(
            "/* {0} {1} {2} {3} {4} {5} {6} {7} */",
            inout(xmm_reg) a.0, inout(xmm_reg) b.0, inout(xmm_reg) c.0, inout(xmm_reg) d.0,
            inout(xmm_reg) e.0, inout(xmm_reg) f.0, inout(xmm_reg) g.0, inout(xmm_reg) h.0,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    [a, b, c, d, e, f, g, h]
}

impl Blocks for Xmm {
    const LABELS: usize = 1;
    const AT_ONCE: usize = 3;

    #[inline(always)]
    fn repeat(bytes: &[u8; 16]) -> Self {
        // SAFETY: 16 bytes are read, and there are as many.
        xmm!(_mm_loadu_si128(bytes.as_ptr().cast()))
    }
    #[inline(always)]
    unsafe fn load(labels: *const Label) -> Self {
        // SAFETY: the caller's promise.
        xmm!(_mm_loadu_si128(labels.cast()))
    }
    #[inline(always)]
    unsafe fn store(self, bytes: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { _mm_storeu_si128(bytes.cast(), self.0) }
    }
    #[inline(always)]
    fn encrypt(mut blocks: [Self; DEPTH], keys: &[Self; 11]) -> [Self; DEPTH] {
        for block in &mut blocks {
            *block = block.xor(keys[0]);
        }
        for key in &keys[1..10] {
            for block in &mut blocks {
                *block = xmm!(_mm_aesenc_si128(block.0, key.0));
            }
            // SAFETY: as in the macro.
            blocks = unsafe { in_step(blocks) };
        }
        for block in &mut blocks {
            *block = xmm!(_mm_aesenclast_si128(block.0, keys[10].0));
        }
        blocks
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        xmm!(_mm_xor_si128(self.0, other.0))
    }
    #[inline(always)]
    fn equal(mut blocks: [Self; DEPTH], threshold: Self) -> Self {
        for block in &mut blocks {
            *block = xmm!(_mm_cmpeq_epi8(block.0, threshold.0));
        }
        gather(blocks)
    }
    #[inline(always)]
    fn less(mut blocks: [Self; DEPTH], threshold: Self) -> Self {
        for block in &mut blocks {
            let at_most = xmm!(_mm_cmpeq_epi8(_mm_min_epu8(block.0, threshold.0), block.0));
            *block = xmm!(_mm_andnot_si128(_mm_cmpeq_epi8(block.0, threshold.0), at_most.0));
        }
        gather(blocks)
    }
    #[inline(always)]
    fn non_zero(self) -> u64 {
        let zero = xmm!(_mm_cmpeq_epi8(self.0, _mm_setzero_si128()));
        // SAFETY: as in the macro.
        u64::from(!unsafe { _mm_movemask_epi8(zero.0) } as u16)
    }
    #[inline(always)]
    fn encrypt_each(labels: [&Label; DEPTH], keys: [&RoundKeys; DEPTH]) -> [u64; DEPTH] {
        encrypt_each(labels, keys)
    }
}

/// Every label under a key of its own. Called only where there is AES-NI, by the wider tiers too.
#[inline(always)]
pub(super) fn encrypt_each(labels: [&Label; DEPTH], keys: [&RoundKeys; DEPTH]) -> [u64; DEPTH] {
    let mut blocks = [Xmm::repeat(&[0; 16]); DEPTH];
    for i in 0..DEPTH {
        blocks[i] = Xmm::repeat(labels[i]).xor(Xmm::repeat(&keys[i][0]));
    }
    for round in 1..10 {
        for i in 0..DEPTH {
            blocks[i] = xmm!(_mm_aesenc_si128(blocks[i].0, Xmm::repeat(&keys[i][round]).0));
        }
        // SAFETY: as in the macro.
        blocks = unsafe { in_step(blocks) };
    }
    let mut values = [0; DEPTH];
    for i in 0..DEPTH {
        let last = xmm!(_mm_aesenclast_si128(blocks[i].0, Xmm::repeat(&keys[i][10]).0));
        // SAFETY: as in the macro.
        values[i] = unsafe { _mm_cvtsi128_si64(last.0) }.cast_unsigned();
    }
    values
}
