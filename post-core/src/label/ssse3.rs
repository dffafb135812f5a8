//! SSSE3: one label a register, bytes shuffled in one operation. Where there is AVX the same runs in its encoding, which
//! spares the copies that two-operand instructions need.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_and_si128, _mm_cvtsi128_si32, _mm_or_si128, _mm_set1_epi32, _mm_shuffle_epi8,
    _mm_shuffle_epi32, _mm_slli_epi32, _mm_srli_epi32, _mm_xor_si128,
};

use super::lanes::{HalfLine, Lanes, MAX_ROWS};
use super::x86::{ROTATE_8, ROTATE_16};

pub(super) mod legacy {
    use super::super::kernels::kernels;
    kernels! {
        #[target_feature(enable = "ssse3")]
        SSSE3: super::Xmm, hash u64,
        alone ["3x3": 3 x 3 / 1, "3x1": 3 x 1 / 1, "3x2": 3 x 2 / 1, "3x2-gap2": 3 x 2 / 2],
        dual ["dual2x2": 2 x 2]
    }
}

pub(super) mod vex {
    use super::super::kernels::kernels;
    kernels! {
        #[target_feature(enable = "avx")]
        AVX: super::Xmm, hash u64,
        alone ["3x3": 3 x 3 / 1, "3x1": 3 x 1 / 1, "3x2": 3 x 2 / 1, "3x2-gap2": 3 x 2 / 2],
        dual ["dual2x2": 2 x 2]
    }
}

/// One row.
#[derive(Clone, Copy)]
struct Xmm(__m128i);

macro_rules! xmm {
    ($call:expr) => {
        // SAFETY: an `Xmm` exists only in this file's kernels, which ask for SSSE3 or AVX.
        Xmm(unsafe { $call })
    };
}

impl Lanes for Xmm {
    const LABELS: usize = 1;
    // SAFETY: any bits are a register.
    const ZERO: Self = Self(unsafe { std::mem::zeroed() });
    type Masks = [Self; 2];

    #[inline(always)]
    fn masks() -> [Self; 2] {
        // SAFETY: a mask of 16 B is as long as a register.
        std::hint::black_box([ROTATE_16, ROTATE_8])
            .map(|mask| Self(unsafe { std::mem::transmute::<[u8; 16], __m128i>(mask) }))
    }
    #[inline(always)]
    fn lane_mask([on, ..]: [bool; MAX_ROWS]) -> Self {
        xmm!(_mm_set1_epi32(-i32::from(on)))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        xmm!(_mm_add_epi32(self.0, other.0))
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        xmm!(_mm_xor_si128(self.0, other.0))
    }
    #[inline(always)]
    fn choose(mask: Self, a: Self, b: Self) -> Self {
        xmm!(_mm_xor_si128(b.0, _mm_and_si128(mask.0, _mm_xor_si128(a.0, b.0))))
    }
    #[inline(always)]
    fn rotate16(self, [mask, _]: [Self; 2]) -> Self {
        xmm!(_mm_shuffle_epi8(self.0, mask.0))
    }
    #[inline(always)]
    fn rotate12(self) -> Self {
        xmm!(_mm_or_si128(_mm_slli_epi32::<12>(self.0), _mm_srli_epi32::<20>(self.0)))
    }
    #[inline(always)]
    fn rotate8(self, [_, mask]: [Self; 2]) -> Self {
        xmm!(_mm_shuffle_epi8(self.0, mask.0))
    }
    #[inline(always)]
    fn rotate7(self) -> Self {
        xmm!(_mm_or_si128(_mm_slli_epi32::<7>(self.0), _mm_srli_epi32::<25>(self.0)))
    }
    #[inline(always)]
    fn turn1(self) -> Self {
        xmm!(_mm_shuffle_epi32::<0b00_11_10_01>(self.0))
    }
    #[inline(always)]
    fn turn2(self) -> Self {
        xmm!(_mm_shuffle_epi32::<0b01_00_11_10>(self.0))
    }
    #[inline(always)]
    fn turn3(self) -> Self {
        xmm!(_mm_shuffle_epi32::<0b10_01_00_11>(self.0))
    }
    #[inline(always)]
    #[allow(clippy::cast_sign_loss)]
    fn first_words(self) -> [u32; MAX_ROWS] {
        // SAFETY: as in the macro.
        [unsafe { _mm_cvtsi128_si32(self.0) } as u32, 0, 0, 0]
    }
    #[inline(always)]
    unsafe fn read([half, ..]: [*const HalfLine; MAX_ROWS]) -> [Self; 4] {
        // SAFETY: the caller's promise; half a line is four aligned registers.
        unsafe { *half.cast() }
    }
    #[inline(always)]
    unsafe fn write(rows: [Self; 4], half: *mut HalfLine) {
        // SAFETY: as for `read`.
        unsafe { *half.cast() = rows }
    }
}
