//! NEON, which every aarch64 processor has: one label a register. Run under emulation only, never on silicon.
#![allow(unsafe_code)]

use std::arch::aarch64::{
    uint8x16_t, uint32x4_t, vaddq_u32, vbslq_u32, vdupq_n_u32, veorq_u32, vextq_u32, vgetq_lane_u32, vld1q_u8,
    vqtbl1q_u8, vreinterpretq_u8_u32, vreinterpretq_u16_u32, vreinterpretq_u32_u8, vreinterpretq_u32_u16, vrev32q_u16,
    vshlq_n_u32, vsriq_n_u32,
};

use super::kernels::kernels;
use super::lanes::{HalfLine, Lanes, MAX_ROWS};

kernels! {
    #[target_feature(enable = "neon")]
    NEON: Neon, hash u64,
    alone ["4x1": 4 x 1 / 1, "3x1": 3 x 1 / 1, "3x1-gap2": 3 x 1 / 2],
    dual ["dual4": 1 x 4]
}

/// One row.
#[derive(Clone, Copy)]
struct Neon(uint32x4_t);

macro_rules! neon {
    ($call:expr) => {
        // SAFETY: a `Neon` exists only in this file's kernels, which ask for NEON.
        Neon(unsafe { $call })
    };
}

impl Lanes for Neon {
    const LABELS: usize = 1;
    // SAFETY: any bits are a register.
    const ZERO: Self = Self(unsafe { std::mem::zeroed() });
    type Masks = uint8x16_t;

    #[inline(always)]
    fn masks() -> uint8x16_t {
        let rotate_8 = std::hint::black_box([3_u8, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14]);
        // SAFETY: 16 bytes are read, and there are as many.
        unsafe { vld1q_u8(rotate_8.as_ptr()) }
    }
    #[inline(always)]
    fn lane_mask([on, ..]: [bool; MAX_ROWS]) -> Self {
        neon!(vdupq_n_u32(if on { u32::MAX } else { 0 }))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        neon!(vaddq_u32(self.0, other.0))
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        neon!(veorq_u32(self.0, other.0))
    }
    #[inline(always)]
    fn choose(mask: Self, a: Self, b: Self) -> Self {
        neon!(vbslq_u32(mask.0, a.0, b.0))
    }
    #[inline(always)]
    fn rotate16(self, _: uint8x16_t) -> Self {
        neon!(vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(self.0))))
    }
    #[inline(always)]
    fn rotate12(self) -> Self {
        neon!(vsriq_n_u32::<20>(vshlq_n_u32::<12>(self.0), self.0))
    }
    #[inline(always)]
    fn rotate8(self, mask: uint8x16_t) -> Self {
        neon!(vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(self.0), mask)))
    }
    #[inline(always)]
    fn rotate7(self) -> Self {
        neon!(vsriq_n_u32::<25>(vshlq_n_u32::<7>(self.0), self.0))
    }
    #[inline(always)]
    fn turn1(self) -> Self {
        neon!(vextq_u32::<1>(self.0, self.0))
    }
    #[inline(always)]
    fn turn2(self) -> Self {
        neon!(vextq_u32::<2>(self.0, self.0))
    }
    #[inline(always)]
    fn turn3(self) -> Self {
        neon!(vextq_u32::<3>(self.0, self.0))
    }
    #[inline(always)]
    fn first_words(self) -> [u32; MAX_ROWS] {
        // SAFETY: as in the macro.
        [unsafe { vgetq_lane_u32::<0>(self.0) }, 0, 0, 0]
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
