//! VAES with 512-bit registers: four labels a register.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm512_aesenc_epi128, _mm512_aesenclast_epi128, _mm512_and_si512, _mm512_broadcast_i32x4,
    _mm512_castsi128_si512, _mm512_cmpeq_epu8_mask, _mm512_cmplt_epu8_mask, _mm512_inserti32x4, _mm512_loadu_si512,
    _mm512_mask_cmplt_epu64_mask, _mm512_set1_epi64, _mm512_test_epi64_mask, _mm512_xor_si512,
};

use super::blocks::{Blocks, DEPTH, LAZY};
use super::tier::scanner;
use crate::cipher::LAZY_MASK;
use crate::label::Label;

scanner! {
    #[target_feature(enable = "vaes,aes,avx512f,avx512bw,avx512dq,bmi1")]
    VAES512: Zmm
}

/// Four labels.
#[derive(Clone, Copy)]
struct Zmm(__m512i);

macro_rules! zmm {
    ($call:expr) => {
        // SAFETY: a `Zmm` exists only in this file's kernels, which ask for VAES and AVX-512.
        Zmm(unsafe { $call })
    };
}

/// Changes nothing, but keeps the compiler from taking one block through all rounds before the next: a round takes four
/// cycles, and only eight blocks side by side fill them.
///
/// # Safety
/// The processor has this tier's instructions.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn in_step([mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h]: [Zmm; DEPTH]) -> [Zmm; DEPTH] {
    // SAFETY: no instruction at all.
    unsafe {
        asm!(
            "/* {0} {1} {2} {3} {4} {5} {6} {7} */",
            inout(zmm_reg) a.0, inout(zmm_reg) b.0, inout(zmm_reg) c.0, inout(zmm_reg) d.0,
            inout(zmm_reg) e.0, inout(zmm_reg) f.0, inout(zmm_reg) g.0, inout(zmm_reg) h.0,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    [a, b, c, d, e, f, g, h]
}

impl Blocks for Zmm {
    const LABELS: usize = 4;

    #[inline(always)]
    fn repeat(bytes: &[u8; 16]) -> Self {
        // SAFETY: 16 bytes are read, and there are as many.
        zmm!(_mm512_broadcast_i32x4(_mm_loadu_si128(bytes.as_ptr().cast())))
    }
    #[inline(always)]
    unsafe fn load(labels: *const Label) -> Self {
        // SAFETY: the caller's promise.
        zmm!(_mm512_loadu_si512(labels.cast()))
    }
    #[inline(always)]
    fn encrypt(mut blocks: [Self; DEPTH], keys: &[Self; 11]) -> [Self; DEPTH] {
        for block in &mut blocks {
            *block = block.xor(keys[0]);
        }
        for key in &keys[1..10] {
            for block in &mut blocks {
                *block = zmm!(_mm512_aesenc_epi128(block.0, key.0));
            }
            // SAFETY: as in the macro.
            blocks = unsafe { in_step(blocks) };
        }
        for block in &mut blocks {
            *block = zmm!(_mm512_aesenclast_epi128(block.0, keys[10].0));
        }
        blocks
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        zmm!(_mm512_xor_si512(self.0, other.0))
    }
    #[inline(always)]
    fn is_zero(self) -> bool {
        // SAFETY: as in the macro.
        unsafe { _mm512_test_epi64_mask(self.0, self.0) == 0 }
    }
    #[inline(always)]
    unsafe fn equal(blocks: [Self; DEPTH], threshold: Self, bits: *mut u64) {
        for (i, block) in blocks.into_iter().enumerate() {
            // SAFETY: as in the macro, and the caller's promise.
            unsafe { bits.add(i).write(_mm512_cmpeq_epu8_mask(block.0, threshold.0)) };
        }
    }
    #[inline(always)]
    unsafe fn less(blocks: [Self; DEPTH], threshold: Self, bits: *mut u64) {
        for (i, block) in blocks.into_iter().enumerate() {
            // SAFETY: as in the macro, and the caller's promise.
            unsafe { bits.add(i).write(_mm512_cmplt_epu8_mask(block.0, threshold.0)) };
        }
    }
    /// A word is a register's mask: no need to gather.
    #[inline(always)]
    fn place(word: usize, bit: usize) -> (usize, usize) {
        (word * Self::LABELS + bit / 16, bit % 16)
    }
    #[inline(always)]
    unsafe fn lazy(labels: *const Label, at: [u16; LAZY], keys: &[Self; 11], bound: u64) -> u8 {
        let (low, bound) =
            (zmm!(_mm512_set1_epi64(LAZY_MASK.cast_signed())), zmm!(_mm512_set1_epi64(bound.cast_signed())));
        // SAFETY: the caller's promise.
        let label = |i: usize| unsafe { labels.add(usize::from(at[i])).cast() };
        let mut blocks = [Self::repeat(&[0; 16]); LAZY / Self::LABELS];
        for (i, block) in blocks.iter_mut().enumerate() {
            // Every other label, so that the two masks below fit into each other.
            *block = zmm!(_mm512_castsi128_si512(_mm_loadu_si128(label(i))));
            *block = zmm!(_mm512_inserti32x4::<1>(block.0, _mm_loadu_si128(label(i + 2))));
            *block = zmm!(_mm512_inserti32x4::<2>(block.0, _mm_loadu_si128(label(i + 4))));
            *block = zmm!(_mm512_inserti32x4::<3>(block.0, _mm_loadu_si128(label(i + 6)))).xor(keys[0]);
        }
        for key in &keys[1..10] {
            for block in &mut blocks {
                *block = zmm!(_mm512_aesenc_epi128(block.0, key.0));
            }
        }
        let mut below = 0;
        for (i, block) in blocks.into_iter().enumerate() {
            let value = zmm!(_mm512_and_si512(_mm512_aesenclast_epi128(block.0, keys[10].0), low.0));
            // SAFETY: as in the macro.
            below |= unsafe { _mm512_mask_cmplt_epu64_mask(0b0101_0101, value.0, bound.0) } << i;
        }
        below
    }
}
