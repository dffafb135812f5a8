//! VAES with 512-bit registers: four labels a register.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm512_aesenc_epi128, _mm512_aesenclast_epi128, _mm512_broadcast_i32x4,
    _mm512_cmpeq_epu8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512, _mm512_mask_add_epi8, _mm512_set1_epi8,
    _mm512_setzero_si512, _mm512_storeu_si512, _mm512_test_epi8_mask, _mm512_xor_si512,
};

use super::aesni;
use super::blocks::{Blocks, DEPTH};
use super::tier::scanner;
use crate::cipher::RoundKeys;
use crate::label::Label;

scanner! {
    #[target_feature(enable = "vaes,aes,avx512f,avx512bw,avx512vl,bmi1,popcnt")]
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

/// `gathered` with bit `i` added to the bytes that `matches` names; they don't have it yet.
#[inline(always)]
fn with_bit(gathered: Zmm, matches: u64, i: usize) -> Zmm {
    zmm!(_mm512_mask_add_epi8(gathered.0, matches, gathered.0, _mm512_set1_epi8((1_u8 << i).cast_signed())))
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
    const AT_ONCE: usize = 7;

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
    unsafe fn store(self, bytes: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_si512(bytes.cast(), self.0) }
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
    fn equal(blocks: [Self; DEPTH], threshold: Self) -> Self {
        let mut gathered = zmm!(_mm512_setzero_si512());
        for (i, block) in blocks.into_iter().enumerate() {
            // SAFETY: as in the macro.
            let matches = unsafe { _mm512_cmpeq_epu8_mask(block.0, threshold.0) };
            gathered = with_bit(gathered, matches, i);
        }
        gathered
    }
    #[inline(always)]
    fn less(blocks: [Self; DEPTH], threshold: Self) -> Self {
        let mut gathered = zmm!(_mm512_setzero_si512());
        for (i, block) in blocks.into_iter().enumerate() {
            // SAFETY: as in the macro.
            let matches = unsafe { _mm512_cmplt_epu8_mask(block.0, threshold.0) };
            gathered = with_bit(gathered, matches, i);
        }
        gathered
    }
    #[inline(always)]
    fn non_zero(self) -> u64 {
        // SAFETY: as in the macro.
        unsafe { _mm512_test_epi8_mask(self.0, self.0) }
    }
    #[inline(always)]
    fn encrypt_each(labels: [&Label; DEPTH], keys: [&RoundKeys; DEPTH]) -> [u64; DEPTH] {
        aesni::encrypt_each(labels, keys)
    }
}
