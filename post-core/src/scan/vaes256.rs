//! VAES with 256-bit registers: two labels a register.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_aesenc_epi128, _mm256_aesenclast_epi128, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_broadcastsi128_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi8, _mm256_cmpgt_epi64, _mm256_loadu_si256,
    _mm256_loadu2_m128i, _mm256_min_epu8, _mm256_movemask_pd, _mm256_or_si256, _mm256_set1_epi8, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_storeu_si256, _mm256_testz_si256, _mm256_xor_si256,
};

use super::blocks::{Blocks, DEPTH, LAZY};
use super::tier::scanner;
use crate::cipher::LAZY_MASK;
use crate::label::Label;

scanner! {
    #[target_feature(enable = "vaes,aes,avx2,bmi1")]
    VAES256: Ymm
}

/// Two labels.
#[derive(Clone, Copy)]
struct Ymm(__m256i);

macro_rules! ymm {
    ($call:expr) => {
        // SAFETY: a `Ymm` exists only in this file's kernels, which ask for VAES and AVX2.
        Ymm(unsafe { $call })
    };
}

/// Writes in each byte bit i where register i of `matches` is all ones.
///
/// # Safety
/// The pointer is valid for writes of a register.
#[inline(always)]
unsafe fn gather(matches: [Ymm; DEPTH], bits: *mut u64) {
    let mut gathered = ymm!(_mm256_setzero_si256());
    for (i, matches) in matches.into_iter().enumerate() {
        gathered =
            ymm!(_mm256_or_si256(gathered.0, _mm256_and_si256(matches.0, _mm256_set1_epi8((1_u8 << i).cast_signed()))));
    }
    // SAFETY: the caller's promise.
    unsafe { _mm256_storeu_si256(bits.cast(), gathered.0) }
}

/// Changes nothing, but keeps the compiler from taking one block through all rounds before the next: a round takes four
/// cycles, and only eight blocks side by side fill them.
///
/// # Safety
/// The processor has this tier's instructions.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn in_step([mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h]: [Ymm; DEPTH]) -> [Ymm; DEPTH] {
    // SAFETY: no instruction at all.
    unsafe {
        asm!(
            "/* {0} {1} {2} {3} {4} {5} {6} {7} */",
            inout(ymm_reg) a.0, inout(ymm_reg) b.0, inout(ymm_reg) c.0, inout(ymm_reg) d.0,
            inout(ymm_reg) e.0, inout(ymm_reg) f.0, inout(ymm_reg) g.0, inout(ymm_reg) h.0,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    [a, b, c, d, e, f, g, h]
}

impl Blocks for Ymm {
    const LABELS: usize = 2;

    #[inline(always)]
    fn repeat(bytes: &[u8; 16]) -> Self {
        // SAFETY: 16 bytes are read, and there are as many.
        ymm!(_mm256_broadcastsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast())))
    }
    #[inline(always)]
    unsafe fn load(labels: *const Label) -> Self {
        // SAFETY: the caller's promise.
        ymm!(_mm256_loadu_si256(labels.cast()))
    }
    #[inline(always)]
    fn encrypt(mut blocks: [Self; DEPTH], keys: &[Self; 11]) -> [Self; DEPTH] {
        for block in &mut blocks {
            *block = block.xor(keys[0]);
        }
        for key in &keys[1..10] {
            for block in &mut blocks {
                *block = ymm!(_mm256_aesenc_epi128(block.0, key.0));
            }
            // SAFETY: as in the macro.
            blocks = unsafe { in_step(blocks) };
        }
        for block in &mut blocks {
            *block = ymm!(_mm256_aesenclast_epi128(block.0, keys[10].0));
        }
        blocks
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        ymm!(_mm256_xor_si256(self.0, other.0))
    }
    #[inline(always)]
    fn is_zero(self) -> bool {
        // SAFETY: as in the macro.
        unsafe { _mm256_testz_si256(self.0, self.0) == 1 }
    }
    #[inline(always)]
    unsafe fn equal(mut blocks: [Self; DEPTH], threshold: Self, bits: *mut u64) {
        for block in &mut blocks {
            *block = ymm!(_mm256_cmpeq_epi8(block.0, threshold.0));
        }
        // SAFETY: the caller's promise.
        unsafe { gather(blocks, bits) };
    }
    #[inline(always)]
    unsafe fn less(mut blocks: [Self; DEPTH], threshold: Self, bits: *mut u64) {
        for block in &mut blocks {
            let at_most = ymm!(_mm256_cmpeq_epi8(_mm256_min_epu8(block.0, threshold.0), block.0));
            *block = ymm!(_mm256_andnot_si256(_mm256_cmpeq_epi8(block.0, threshold.0), at_most.0));
        }
        // SAFETY: the caller's promise.
        unsafe { gather(blocks, bits) };
    }
    #[inline(always)]
    unsafe fn lazy(labels: *const Label, at: [u16; LAZY], keys: &[Self; 11], bound: u64) -> u8 {
        let (low, bound) =
            (ymm!(_mm256_set1_epi64x(LAZY_MASK.cast_signed())), ymm!(_mm256_set1_epi64x(bound.cast_signed())));
        // SAFETY: the caller's promise.
        let label = |i: usize| unsafe { labels.add(usize::from(at[i])).cast() };
        let mut blocks = [Self::repeat(&[0; 16]); LAZY / Self::LABELS];
        for (i, block) in blocks.iter_mut().enumerate() {
            *block = ymm!(_mm256_loadu2_m128i(label(i + LAZY / 2), label(i))).xor(keys[0]);
        }
        for key in &keys[1..10] {
            for block in &mut blocks {
                *block = ymm!(_mm256_aesenc_epi128(block.0, key.0));
            }
        }
        let mut below = 0;
        for (i, block) in blocks.into_iter().enumerate() {
            // SAFETY: as in the macro.
            let halves = unsafe {
                let value = _mm256_and_si256(_mm256_aesenclast_epi128(block.0, keys[10].0), low.0);
                _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(bound.0, value)))
            };
            // The two labels are four apart.
            below |= (halves as u8 & 1 | (halves as u8 & 4) << 2) << i;
        }
        below
    }
}
