//! Labels with no instruction beyond what every machine of an architecture has: 128-bit registers on x86-64, plain words
//! elsewhere.
//!
//! Left to itself, the compiler takes rows of plain words apart and works on one word at a time, at a third of the speed.

use super::kernels::kernels;
#[cfg(any(test, not(target_arch = "x86_64")))]
use super::lanes::{HalfLine, Lanes, MAX_ROWS};

kernels! {
    PORTABLE: Native, hash u64,
    alone ["3x3": 3 x 3 / 1, "3x1": 3 x 1 / 1, "3x2": 3 x 2 / 1, "3x2-gap2": 3 x 2 / 2],
    dual ["dual2x2": 2 x 2]
}

/// The row this machine is fastest with.
#[cfg(target_arch = "x86_64")]
type Native = sse2::Row;
/// The row this machine is fastest with.
#[cfg(not(target_arch = "x86_64"))]
type Native = Words;

/// A row of plain words.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[derive(Clone, Copy)]
pub(super) struct Words([u32; 4]);

#[cfg(any(test, not(target_arch = "x86_64")))]
impl Words {
    #[inline(always)]
    fn each(self, other: Self, op: impl Fn(u32, u32) -> u32) -> Self {
        Self(std::array::from_fn(|i| op(self.0[i], other.0[i])))
    }
    #[inline(always)]
    fn rotate(self, bits: u32) -> Self {
        Self(self.0.map(|word| word.rotate_left(bits)))
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
impl Lanes for Words {
    const LABELS: usize = 1;
    const ZERO: Self = Self([0; 4]);
    type Masks = ();

    #[inline(always)]
    fn masks() {}
    #[inline(always)]
    fn lane_mask([on, ..]: [bool; MAX_ROWS]) -> Self {
        Self([if on { u32::MAX } else { 0 }; 4])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, u32::wrapping_add)
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self.each(other, |a, b| a ^ b)
    }
    #[inline(always)]
    fn choose(mask: Self, a: Self, b: Self) -> Self {
        b.xor(mask.each(a.xor(b), |mask, difference| mask & difference))
    }
    #[inline(always)]
    fn rotate16(self, (): ()) -> Self {
        self.rotate(16)
    }
    #[inline(always)]
    fn rotate12(self) -> Self {
        self.rotate(12)
    }
    #[inline(always)]
    fn rotate8(self, (): ()) -> Self {
        self.rotate(8)
    }
    #[inline(always)]
    fn rotate7(self) -> Self {
        self.rotate(7)
    }
    #[inline(always)]
    fn turn1(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([b, c, d, a])
    }
    #[inline(always)]
    fn turn2(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([c, d, a, b])
    }
    #[inline(always)]
    fn turn3(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([d, a, b, c])
    }
    #[inline(always)]
    fn first_words(self) -> [u32; MAX_ROWS] {
        [self.0[0], 0, 0, 0]
    }
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn read([half, ..]: [*const HalfLine; MAX_ROWS]) -> [Self; 4] {
        // SAFETY: the caller's promise; half a line is four rows of words.
        unsafe { *half.cast() }
    }
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn write(rows: [Self; 4], half: *mut HalfLine) {
        // SAFETY: as for `read`.
        unsafe { *half.cast() = rows }
    }
}

/// SSE2, which every x86-64 processor has.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_and_si128, _mm_cvtsi128_si32, _mm_or_si128, _mm_set1_epi32, _mm_shuffle_epi32,
        _mm_shufflehi_epi16, _mm_shufflelo_epi16, _mm_slli_epi32, _mm_srli_epi32, _mm_xor_si128,
    };

    use super::super::lanes::{HalfLine, Lanes, MAX_ROWS};

    #[derive(Clone, Copy)]
    pub(super) struct Row(__m128i);

    macro_rules! sse2 {
        ($call:expr) => {
            // SAFETY: the only precondition of these intrinsics is SSE2, which every x86-64 processor has.
            Row(unsafe { $call })
        };
    }

    impl Lanes for Row {
        const LABELS: usize = 1;
        // SAFETY: any bits are a register.
        const ZERO: Self = Self(unsafe { std::mem::zeroed() });
        type Masks = ();

        #[inline(always)]
        fn masks() {}
        #[inline(always)]
        fn lane_mask([on, ..]: [bool; MAX_ROWS]) -> Self {
            sse2!(_mm_set1_epi32(-i32::from(on)))
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            sse2!(_mm_add_epi32(self.0, other.0))
        }
        #[inline(always)]
        fn xor(self, other: Self) -> Self {
            sse2!(_mm_xor_si128(self.0, other.0))
        }
        #[inline(always)]
        fn choose(mask: Self, a: Self, b: Self) -> Self {
            sse2!(_mm_xor_si128(b.0, _mm_and_si128(mask.0, _mm_xor_si128(a.0, b.0))))
        }
        #[inline(always)]
        fn rotate16(self, (): ()) -> Self {
            // Swapping 16-bit halves is two shuffles; shifting would be three operations.
            sse2!(_mm_shufflehi_epi16::<0b10_11_00_01>(_mm_shufflelo_epi16::<0b10_11_00_01>(self.0)))
        }
        #[inline(always)]
        fn rotate12(self) -> Self {
            sse2!(_mm_or_si128(_mm_slli_epi32::<12>(self.0), _mm_srli_epi32::<20>(self.0)))
        }
        #[inline(always)]
        fn rotate8(self, (): ()) -> Self {
            sse2!(_mm_or_si128(_mm_slli_epi32::<8>(self.0), _mm_srli_epi32::<24>(self.0)))
        }
        #[inline(always)]
        fn rotate7(self) -> Self {
            sse2!(_mm_or_si128(_mm_slli_epi32::<7>(self.0), _mm_srli_epi32::<25>(self.0)))
        }
        #[inline(always)]
        fn turn1(self) -> Self {
            sse2!(_mm_shuffle_epi32::<0b00_11_10_01>(self.0))
        }
        #[inline(always)]
        fn turn2(self) -> Self {
            sse2!(_mm_shuffle_epi32::<0b01_00_11_10>(self.0))
        }
        #[inline(always)]
        fn turn3(self) -> Self {
            sse2!(_mm_shuffle_epi32::<0b10_01_00_11>(self.0))
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
}

#[cfg(test)]
mod tests {
    use super::super::kernels::kernels;
    use super::super::lanes::Line;
    use super::super::reference;
    use super::Words;
    use crate::identity::Commitment;
    use crate::params::ScryptParams;

    kernels! {
        WORDS: Words, hash u64,
        alone ["3x1": 3 x 1 / 1],
        dual []
    }

    /// What machines without a tier of their own run.
    #[test]
    #[allow(unsafe_code)]
    fn rows_of_plain_words_equal_the_reference() {
        use super::super::keccak::Keyed;
        use super::super::romix::{Batch, Pass};
        let n = 64;
        let jobs = [(Commitment([4; 32]), 7), (Commitment([5; 32]), 1 << 40), (Commitment([6; 32]), u64::MAX)];
        let (mut states, mut keyed, mut table) = ([Line::ZERO; 3], [Keyed::ZERO; 3], vec![Line::ZERO; 3 * n]);
        let mut labels = [[0; 32]; 3];
        // SAFETY: plain words need no instructions; three labels have three states and n lines each.
        unsafe {
            (WORDS.expand)(&jobs, &mut keyed, &mut states);
            let half = Batch { states: states.as_mut_ptr(), table: table.as_mut_ptr() };
            let pass = Pass { n, labels: 3, fill: half, walk: half };
            (WORDS.variants[0].fill)(&pass);
            (WORDS.variants[0].walk)(&pass);
            (WORDS.compress)(&states, &keyed, &mut labels);
        }
        for ((commitment, index), label) in jobs.iter().zip(labels) {
            let scrypt = ScryptParams { n: n as u32, r: 1, p: 1 };
            assert_eq!(label, reference::full_label(commitment, *index, scrypt).unwrap());
        }
    }
}
