//! AES-NI in AVX encoding: one label a register.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m128i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_and_si128, _mm_andnot_si128, _mm_castsi128_pd, _mm_cmpeq_epi8,
    _mm_cmpgt_epi64, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_pd, _mm_or_si128, _mm_set1_epi8, _mm_set1_epi64x,
    _mm_setzero_si128, _mm_storeu_si128, _mm_testz_si128, _mm_xor_si128,
};

use super::blocks::{Blocks, DEPTH, LAZY};
use super::tier::scanner;
use crate::cipher::LAZY_MASK;
use crate::label::Label;

scanner! {
    #[target_feature(enable = "aes,avx")]
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

/// Writes in each byte bit i where register i of `matches` is all ones.
///
/// # Safety
/// The pointer is valid for writes of a register.
#[inline(always)]
unsafe fn gather(matches: [Xmm; DEPTH], bits: *mut u64) {
    let mut gathered = xmm!(_mm_setzero_si128());
    for (i, matches) in matches.into_iter().enumerate() {
        gathered = xmm!(_mm_or_si128(gathered.0, _mm_and_si128(matches.0, _mm_set1_epi8((1_u8 << i).cast_signed()))));
    }
    // SAFETY: the caller's promise.
    unsafe { _mm_storeu_si128(bits.cast(), gathered.0) }
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
    fn is_zero(self) -> bool {
        // SAFETY: as in the macro.
        unsafe { _mm_testz_si128(self.0, self.0) == 1 }
    }
    #[inline(always)]
    unsafe fn equal(mut blocks: [Self; DEPTH], threshold: Self, bits: *mut u64) {
        for block in &mut blocks {
            *block = xmm!(_mm_cmpeq_epi8(block.0, threshold.0));
        }
        // SAFETY: the caller's promise.
        unsafe { gather(blocks, bits) };
    }
    #[inline(always)]
    unsafe fn less(mut blocks: [Self; DEPTH], threshold: Self, bits: *mut u64) {
        for block in &mut blocks {
            let at_most = xmm!(_mm_cmpeq_epi8(_mm_min_epu8(block.0, threshold.0), block.0));
            *block = xmm!(_mm_andnot_si128(_mm_cmpeq_epi8(block.0, threshold.0), at_most.0));
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
        let (low, bound) = (xmm!(_mm_set1_epi64x(LAZY_MASK.cast_signed())), xmm!(_mm_set1_epi64x(bound.cast_signed())));
        let mut below = 0;
        for (i, block) in Self::encrypt(blocks, keys).into_iter().enumerate() {
            // SAFETY: as in the macro.
            let halves =
                unsafe { _mm_movemask_pd(_mm_castsi128_pd(_mm_cmpgt_epi64(bound.0, _mm_and_si128(block.0, low.0)))) };
            below |= (halves as u8 & 1) << i;
        }
        below
    }
}
