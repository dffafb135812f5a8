//! AVX2: two labels a register.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_load_si128, _mm_store_si128, _mm256_add_epi32,
    _mm256_and_si256, _mm256_andnot_si256, _mm256_castsi128_si256, _mm256_castsi256_si128, _mm256_cvtsi256_si32,
    _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_set_epi32,
    _mm256_shuffle_epi8, _mm256_shuffle_epi32, _mm256_sll_epi64, _mm256_slli_epi32, _mm256_srl_epi64,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::keccak::{self, Words};
use super::kernels::kernels;
use super::lanes::{HalfLine, Lanes, MAX_ROWS};
use super::x86::{ROTATE_8, ROTATE_16};

kernels! {
    #[target_feature(enable = "avx2")]
    AVX2: Ymm, hash YmmWords,
    alone ["4x2": 4 x 2 / 1, "4x1": 4 x 1 / 1, "4x3": 4 x 3 / 1, "3x2-gap2": 3 x 2 / 2],
    dual ["dual2x2": 2 x 2, "dual2x4": 2 x 4]
}

/// Two rows: label 0 in the low half.
#[derive(Clone, Copy)]
struct Ymm(__m256i);

macro_rules! ymm {
    ($call:expr) => {
        // SAFETY: a `Ymm` exists only in this file's kernels, which ask for AVX2.
        Ymm(unsafe { $call })
    };
}

impl Lanes for Ymm {
    const LABELS: usize = 2;
    // SAFETY: any bits are a register.
    const ZERO: Self = Self(unsafe { std::mem::zeroed() });
    type Masks = [Self; 2];

    #[inline(always)]
    fn masks() -> [Self; 2] {
        // SAFETY: two masks of 16 B are as long as a register.
        std::hint::black_box([[ROTATE_16; 2], [ROTATE_8; 2]])
            .map(|mask| Self(unsafe { std::mem::transmute::<[[u8; 16]; 2], __m256i>(mask) }))
    }
    #[inline(always)]
    fn lane_mask([a, b, ..]: [bool; MAX_ROWS]) -> Self {
        let (a, b) = (-i32::from(a), -i32::from(b));
        ymm!(_mm256_set_epi32(b, b, b, b, a, a, a, a))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        ymm!(_mm256_add_epi32(self.0, other.0))
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        ymm!(_mm256_xor_si256(self.0, other.0))
    }
    #[inline(always)]
    fn choose(mask: Self, a: Self, b: Self) -> Self {
        ymm!(_mm256_xor_si256(b.0, _mm256_and_si256(mask.0, _mm256_xor_si256(a.0, b.0))))
    }
    #[inline(always)]
    fn rotate16(self, [mask, _]: [Self; 2]) -> Self {
        ymm!(_mm256_shuffle_epi8(self.0, mask.0))
    }
    #[inline(always)]
    fn rotate12(self) -> Self {
        ymm!(_mm256_or_si256(_mm256_slli_epi32::<12>(self.0), _mm256_srli_epi32::<20>(self.0)))
    }
    #[inline(always)]
    fn rotate8(self, [_, mask]: [Self; 2]) -> Self {
        ymm!(_mm256_shuffle_epi8(self.0, mask.0))
    }
    #[inline(always)]
    fn rotate7(self) -> Self {
        ymm!(_mm256_or_si256(_mm256_slli_epi32::<7>(self.0), _mm256_srli_epi32::<25>(self.0)))
    }
    #[inline(always)]
    fn turn1(self) -> Self {
        ymm!(_mm256_shuffle_epi32::<0b00_11_10_01>(self.0))
    }
    #[inline(always)]
    fn turn2(self) -> Self {
        ymm!(_mm256_shuffle_epi32::<0b01_00_11_10>(self.0))
    }
    #[inline(always)]
    fn turn3(self) -> Self {
        ymm!(_mm256_shuffle_epi32::<0b10_01_00_11>(self.0))
    }
    #[inline(always)]
    #[allow(clippy::cast_sign_loss)]
    fn first_words(self) -> [u32; MAX_ROWS] {
        // SAFETY: as in the macro.
        let words = unsafe { (_mm256_cvtsi256_si32(self.0), _mm_cvtsi128_si32(_mm256_extracti128_si256::<1>(self.0))) };
        [words.0 as u32, words.1 as u32, 0, 0]
    }
    #[inline(always)]
    unsafe fn read([a, b, ..]: [*const HalfLine; MAX_ROWS]) -> [Self; 4] {
        let (a, b) = (a.cast::<[[u32; 4]; 4]>(), b.cast::<[[u32; 4]; 4]>());
        let mut rows = [Self::ZERO; 4];
        for (i, row) in rows.iter_mut().enumerate() {
            // SAFETY: the caller's promise: both halves are there, 64 B each and aligned.
            *row = ymm!(_mm256_inserti128_si256::<1>(
                _mm256_castsi128_si256(_mm_load_si128((&raw const (*a)[i]).cast())),
                _mm_load_si128((&raw const (*b)[i]).cast()),
            ));
        }
        rows
    }
    #[inline(always)]
    unsafe fn write(rows: [Self; 4], first: *mut HalfLine) {
        for (i, row) in rows.iter().enumerate() {
            let (a, b) =
                (first.cast::<__m128i>().wrapping_add(i), first.wrapping_add(2).cast::<__m128i>().wrapping_add(i));
            // SAFETY: the caller's promise: two halves are there, two apart, and aligned. To store a half of a register costs
            // nothing else, to move it into another register would.
            unsafe {
                _mm_store_si128(a, _mm256_castsi256_si128(row.0));
                _mm_store_si128(b, _mm256_extracti128_si256::<1>(row.0));
            }
        }
    }
}

/// A 64-bit word of four labels.
#[derive(Clone, Copy)]
struct YmmWords(__m256i);

macro_rules! words {
    ($call:expr) => {
        // SAFETY: as for `Ymm`.
        YmmWords(unsafe { $call })
    };
}

impl Words for YmmWords {
    const LABELS: usize = 4;

    #[inline(always)]
    fn from_array(words: [u64; keccak::MAX_LABELS]) -> Self {
        // SAFETY: 32 bytes are read, and there are 64.
        words!(_mm256_loadu_si256(words.as_ptr().cast()))
    }
    #[inline(always)]
    fn to_array(self) -> [u64; keccak::MAX_LABELS] {
        let mut words = [0; keccak::MAX_LABELS];
        // SAFETY: 32 bytes are written, and there is room for 64.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), self.0) };
        words
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        words!(_mm256_xor_si256(self.0, other.0))
    }
    #[inline(always)]
    fn rotate(self, bits: u32) -> Self {
        let (left, right) = (bits.cast_signed(), 64 - bits.cast_signed());
        words!(_mm256_or_si256(
            _mm256_sll_epi64(self.0, _mm_cvtsi32_si128(left)),
            _mm256_srl_epi64(self.0, _mm_cvtsi32_si128(right)),
        ))
    }
    #[inline(always)]
    fn chi(self, a: Self, b: Self) -> Self {
        words!(_mm256_xor_si256(self.0, _mm256_andnot_si256(a.0, b.0)))
    }
}
