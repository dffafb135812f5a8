//! AVX-512 (F, BW, VL): four labels a register, rotations and three-way exclusive ors in one operation each.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512i, _mm_cvtsi128_si32, _mm512_add_epi32, _mm512_castsi512_si128, _mm512_extracti32x4_epi32, _mm512_load_si512,
    _mm512_rol_epi32, _mm512_set_epi64, _mm512_shuffle_epi32, _mm512_shuffle_i64x2, _mm512_store_si512,
    _mm512_ternarylogic_epi64, _mm512_xor_si512,
};

use super::kernels::kernels;
use super::lanes::{Lanes, Line, MAX_LABELS};

kernels! {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    AVX512: Zmm, hash 8,
    alone ["2x3": 2 x 3 / 1, "2x1": 2 x 1 / 1, "3x2": 3 x 2 / 1, "2x1-gap2": 2 x 1 / 2],
    dual ["dual4": 4, "dual2": 2]
}

/// Four rows: label 0 in the lowest quarter.
#[derive(Clone, Copy)]
struct Zmm(__m512i);

macro_rules! zmm {
    ($call:expr) => {
        // SAFETY: a `Zmm` exists only in this file's kernels, which ask for AVX-512.
        Zmm(unsafe { $call })
    };
}

/// Turns a square of 4 × 4 quarters: `rows[i]`'s quarter `j` becomes quarter `i` of the result's `j`.
#[inline(always)]
fn transpose([a, b, c, d]: [Zmm; 4]) -> [Zmm; 4] {
    // The immediate picks two quarters of the first operand for the lower half, two of the second for the upper.
    let (ab_low, ab_high) =
        (zmm!(_mm512_shuffle_i64x2::<0b01_00_01_00>(a.0, b.0)), zmm!(_mm512_shuffle_i64x2::<0b11_10_11_10>(a.0, b.0)));
    let (cd_low, cd_high) =
        (zmm!(_mm512_shuffle_i64x2::<0b01_00_01_00>(c.0, d.0)), zmm!(_mm512_shuffle_i64x2::<0b11_10_11_10>(c.0, d.0)));
    [
        zmm!(_mm512_shuffle_i64x2::<0b10_00_10_00>(ab_low.0, cd_low.0)),
        zmm!(_mm512_shuffle_i64x2::<0b11_01_11_01>(ab_low.0, cd_low.0)),
        zmm!(_mm512_shuffle_i64x2::<0b10_00_10_00>(ab_high.0, cd_high.0)),
        zmm!(_mm512_shuffle_i64x2::<0b11_01_11_01>(ab_high.0, cd_high.0)),
    ]
}

impl Lanes for Zmm {
    const LABELS: usize = 4;
    // SAFETY: any bits are a register.
    const ZERO: Self = Self(unsafe { std::mem::zeroed() });
    type Masks = ();

    #[inline(always)]
    fn masks() {}
    #[inline(always)]
    fn lane_mask([a, b, c, d]: [bool; MAX_LABELS]) -> Self {
        let (a, b, c, d) = (-i64::from(a), -i64::from(b), -i64::from(c), -i64::from(d));
        zmm!(_mm512_set_epi64(d, d, c, c, b, b, a, a))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        zmm!(_mm512_add_epi32(self.0, other.0))
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        zmm!(_mm512_xor_si512(self.0, other.0))
    }
    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        zmm!(_mm512_ternarylogic_epi64::<0b1001_0110>(self.0, b.0, c.0))
    }
    #[inline(always)]
    fn choose(mask: Self, a: Self, b: Self) -> Self {
        zmm!(_mm512_ternarylogic_epi64::<0b1100_1010>(mask.0, a.0, b.0))
    }
    #[inline(always)]
    fn rotate16(self, (): ()) -> Self {
        zmm!(_mm512_rol_epi32::<16>(self.0))
    }
    #[inline(always)]
    fn rotate12(self) -> Self {
        zmm!(_mm512_rol_epi32::<12>(self.0))
    }
    #[inline(always)]
    fn rotate8(self, (): ()) -> Self {
        zmm!(_mm512_rol_epi32::<8>(self.0))
    }
    #[inline(always)]
    fn rotate7(self) -> Self {
        zmm!(_mm512_rol_epi32::<7>(self.0))
    }
    #[inline(always)]
    fn turn1(self) -> Self {
        zmm!(_mm512_shuffle_epi32::<0b00_11_10_01>(self.0))
    }
    #[inline(always)]
    fn turn2(self) -> Self {
        zmm!(_mm512_shuffle_epi32::<0b01_00_11_10>(self.0))
    }
    #[inline(always)]
    fn turn3(self) -> Self {
        zmm!(_mm512_shuffle_epi32::<0b10_01_00_11>(self.0))
    }
    #[inline(always)]
    #[allow(clippy::cast_sign_loss)]
    fn first_words(self) -> [u32; MAX_LABELS] {
        // SAFETY: as in the macro.
        unsafe {
            [
                _mm_cvtsi128_si32(_mm512_castsi512_si128(self.0)) as u32,
                _mm_cvtsi128_si32(_mm512_extracti32x4_epi32::<1>(self.0)) as u32,
                _mm_cvtsi128_si32(_mm512_extracti32x4_epi32::<2>(self.0)) as u32,
                _mm_cvtsi128_si32(_mm512_extracti32x4_epi32::<3>(self.0)) as u32,
            ]
        }
    }
    #[inline(always)]
    unsafe fn read(lines: [*const Line; MAX_LABELS]) -> [Self; 8] {
        let (mut low, mut high) = ([Self::ZERO; 4], [Self::ZERO; 4]);
        for (label, line) in lines.iter().enumerate() {
            // SAFETY: the caller's promise: every line is there, 128 B and aligned.
            (low[label], high[label]) = unsafe {
                (Self(_mm512_load_si512(line.cast())), Self(_mm512_load_si512(line.cast::<__m512i>().add(1))))
            };
        }
        let ([a, b, c, d], [e, f, g, h]) = (transpose(low), transpose(high));
        [a, b, c, d, e, f, g, h]
    }
    #[inline(always)]
    unsafe fn write([a, b, c, d, e, f, g, h]: [Self; 8], lines: *mut Line) {
        let (low, high) = (transpose([a, b, c, d]), transpose([e, f, g, h]));
        for label in 0..4 {
            let line = lines.wrapping_add(label).cast::<__m512i>();
            // SAFETY: the caller's promise: four lines are there, 128 B each and aligned.
            unsafe {
                _mm512_store_si512(line.cast(), low[label].0);
                _mm512_store_si512(line.add(1).cast(), high[label].0);
            }
        }
    }
}
