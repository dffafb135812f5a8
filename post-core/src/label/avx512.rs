//! AVX-512 (F, BW, VL): four labels a register, rotations and three-way exclusive ors in one operation each.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, __m512i, _mm_cvtsi128_si32, _mm_load_si128, _mm_sfence, _mm512_add_epi32, _mm512_broadcast_i32x4,
    _mm512_castsi512_si128, _mm512_extracti32x4_epi32, _mm512_load_si512, _mm512_mask_broadcast_i32x4,
    _mm512_rol_epi32, _mm512_rolv_epi64, _mm512_set_epi64, _mm512_set1_epi64, _mm512_shuffle_epi32,
    _mm512_shuffle_i64x2, _mm512_store_si512, _mm512_stream_si512, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::keccak::{self, Words};
use super::kernels::kernels;
use super::lanes::{HalfLine, Lanes, Line, MAX_ROWS, Square};

kernels! {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    AVX512: Zmm, hash ZmmWords,
    alone ["2x3": 2 x 3 / 1, "2x1": 2 x 1 / 1, "3x2": 3 x 2 / 1, "2x1-gap2": 2 x 1 / 2],
    dual ["dual4": 1 x 4, "dual2": 1 x 2],
    wide ["16x2": 2]
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
    fn lane_mask([a, b, c, d]: [bool; MAX_ROWS]) -> Self {
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
    fn first_words(self) -> [u32; MAX_ROWS] {
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
    unsafe fn read(halves: [*const HalfLine; MAX_ROWS]) -> [Self; 4] {
        let mut labels = [Self::ZERO; 4];
        for (label, half) in labels.iter_mut().zip(halves) {
            // SAFETY: the caller's promise: half a line is there, 64 B and aligned.
            *label = zmm!(_mm512_load_si512(half.cast()));
        }
        transpose(labels)
    }
    #[inline(always)]
    unsafe fn write(rows: [Self; 4], first: *mut HalfLine) {
        for (label, words) in transpose(rows).into_iter().enumerate() {
            // SAFETY: the caller's promise: four halves are there, two apart, 64 B each and aligned.
            unsafe { _mm512_store_si512(first.wrapping_add(2 * label).cast(), words.0) };
        }
    }
}

impl Square for Zmm {
    #[inline(always)]
    fn turn_within_quarters([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        let (ab, ab_high) = (zmm!(_mm512_unpacklo_epi32(a.0, b.0)), zmm!(_mm512_unpackhi_epi32(a.0, b.0)));
        let (cd, cd_high) = (zmm!(_mm512_unpacklo_epi32(c.0, d.0)), zmm!(_mm512_unpackhi_epi32(c.0, d.0)));
        [
            zmm!(_mm512_unpacklo_epi64(ab.0, cd.0)),
            zmm!(_mm512_unpackhi_epi64(ab.0, cd.0)),
            zmm!(_mm512_unpacklo_epi64(ab_high.0, cd_high.0)),
            zmm!(_mm512_unpackhi_epi64(ab_high.0, cd_high.0)),
        ]
    }
    #[inline(always)]
    fn turn_quarters(registers: [Self; 4]) -> [Self; 4] {
        transpose(registers)
    }
    #[inline(always)]
    fn words(self) -> [u32; 16] {
        // SAFETY: both are 64 bytes of any value.
        unsafe { std::mem::transmute(self.0) }
    }
    #[inline(always)]
    fn word_mask(on: [bool; 16]) -> Self {
        // SAFETY: both are 64 bytes of any value.
        Self(unsafe { std::mem::transmute::<[i32; 16], __m512i>(on.map(|on| -i32::from(on))) })
    }
    #[inline(always)]
    unsafe fn load_quarters([a, b, c, d]: [*const Line; 4], at: usize) -> Self {
        // Loads that fill one quarter and keep the others: moving quarters between registers costs more.
        // SAFETY: the caller's promise: the lines are there, with 16 B at this place, aligned.
        zmm!({
            let quarter = |line: *const Line| _mm_load_si128(line.cast::<__m128i>().add(at));
            let first = _mm512_broadcast_i32x4(quarter(a));
            let two = _mm512_mask_broadcast_i32x4(first, 0x00f0, quarter(b));
            let three = _mm512_mask_broadcast_i32x4(two, 0x0f00, quarter(c));
            _mm512_mask_broadcast_i32x4(three, 0xf000, quarter(d))
        })
    }
    #[inline(always)]
    unsafe fn store(self, half: *mut HalfLine) {
        // SAFETY: the caller's promise: half a line is there, 64 B and aligned.
        unsafe { _mm512_store_si512(half.cast(), self.0) };
    }
    #[inline(always)]
    fn settle() {
        // SAFETY: orders stores, and every x86-64 processor has it.
        unsafe { _mm_sfence() };
    }
    #[inline(always)]
    unsafe fn store_past_caches(self, half: *mut HalfLine) {
        // SAFETY: as for `store`; `settle` comes before anything is read.
        unsafe { _mm512_stream_si512(half.cast(), self.0) };
    }
}

/// A 64-bit word of eight labels.
#[derive(Clone, Copy)]
struct ZmmWords(__m512i);

macro_rules! words {
    ($call:expr) => {
        // SAFETY: as for `Zmm`.
        ZmmWords(unsafe { $call })
    };
}

impl Words for ZmmWords {
    const LABELS: usize = 8;

    #[inline(always)]
    fn from_array(words: [u64; keccak::MAX_LABELS]) -> Self {
        // SAFETY: both are 64 bytes of any value.
        words!(std::mem::transmute::<[u64; 8], __m512i>(words))
    }
    #[inline(always)]
    fn to_array(self) -> [u64; keccak::MAX_LABELS] {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.0) }
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        words!(_mm512_xor_si512(self.0, other.0))
    }
    #[inline(always)]
    fn rotate(self, bits: u32) -> Self {
        words!(_mm512_rolv_epi64(self.0, _mm512_set1_epi64(i64::from(bits))))
    }
    #[inline(always)]
    fn chi(self, a: Self, b: Self) -> Self {
        // Truth table of `self ^ (!a & b)`.
        words!(_mm512_ternarylogic_epi64::<0b1101_0010>(self.0, a.0, b.0))
    }
}
