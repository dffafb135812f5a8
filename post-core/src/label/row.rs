//! Four 32-bit words side by side, one row of a ChaCha state: as plain words, and as the 128-bit register that every
//! x86-64 processor has.
//!
//! Left to itself, the compiler takes rows of plain words apart and works on one word at a time, at a third of the speed.

/// What the label kernel does with rows.
pub trait Row: Copy + Send + Sync + 'static {
    /// From words, first word first.
    fn new(words: [u32; 4]) -> Self;
    /// Back to words.
    fn words(self) -> [u32; 4];
    /// Only the first word.
    fn first(self) -> u32;
    /// Wrapping addition, word by word.
    fn add(self, other: Self) -> Self;
    /// Exclusive or.
    fn xor(self, other: Self) -> Self;
    /// Every word rotated left by 16, 12, 8 and 7 bits.
    fn rotate16(self) -> Self;
    /// See [`Row::rotate16`].
    fn rotate12(self) -> Self;
    /// See [`Row::rotate16`].
    fn rotate8(self) -> Self;
    /// See [`Row::rotate16`].
    fn rotate7(self) -> Self;
    /// Words moved 1 place towards the first, which becomes the last.
    fn turn1(self) -> Self;
    /// Words moved 2 places.
    fn turn2(self) -> Self;
    /// Words moved 3 places.
    fn turn3(self) -> Self;
}

impl Row for [u32; 4] {
    fn new(words: [u32; 4]) -> Self {
        words
    }
    fn words(self) -> [u32; 4] {
        self
    }
    fn first(self) -> u32 {
        self[0]
    }
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i].wrapping_add(other[i]))
    }
    fn xor(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] ^ other[i])
    }
    fn rotate16(self) -> Self {
        self.map(|word| word.rotate_left(16))
    }
    fn rotate12(self) -> Self {
        self.map(|word| word.rotate_left(12))
    }
    fn rotate8(self) -> Self {
        self.map(|word| word.rotate_left(8))
    }
    fn rotate7(self) -> Self {
        self.map(|word| word.rotate_left(7))
    }
    fn turn1(self) -> Self {
        let [a, b, c, d] = self;
        [b, c, d, a]
    }
    fn turn2(self) -> Self {
        let [a, b, c, d] = self;
        [c, d, a, b]
    }
    fn turn3(self) -> Self {
        let [a, b, c, d] = self;
        [d, a, b, c]
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_or_si128, _mm_set_epi32, _mm_shuffle_epi32, _mm_shufflehi_epi16,
        _mm_shufflelo_epi16, _mm_slli_epi32, _mm_srli_epi32, _mm_xor_si128,
    };

    use super::Row;

    macro_rules! sse2 {
        ($call:expr) => {
            // SAFETY: the only precondition of these intrinsics is SSE2, which every x86-64 processor has.
            unsafe { $call }
        };
    }

    #[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap)]
    impl Row for __m128i {
        #[inline(always)]
        fn new([a, b, c, d]: [u32; 4]) -> Self {
            sse2!(_mm_set_epi32(d as i32, c as i32, b as i32, a as i32))
        }
        #[inline(always)]
        fn words(self) -> [u32; 4] {
            [self.first(), self.turn1().first(), self.turn2().first(), self.turn3().first()]
        }
        #[inline(always)]
        fn first(self) -> u32 {
            sse2!(_mm_cvtsi128_si32(self)) as u32
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            sse2!(_mm_add_epi32(self, other))
        }
        #[inline(always)]
        fn xor(self, other: Self) -> Self {
            sse2!(_mm_xor_si128(self, other))
        }
        #[inline(always)]
        fn rotate16(self) -> Self {
            // Swapping 16-bit halves is two shuffles; shifting would be three operations.
            sse2!(_mm_shufflehi_epi16::<0b10_11_00_01>(_mm_shufflelo_epi16::<0b10_11_00_01>(self)))
        }
        #[inline(always)]
        fn rotate12(self) -> Self {
            sse2!(_mm_or_si128(_mm_slli_epi32::<12>(self), _mm_srli_epi32::<20>(self)))
        }
        #[inline(always)]
        fn rotate8(self) -> Self {
            sse2!(_mm_or_si128(_mm_slli_epi32::<8>(self), _mm_srli_epi32::<24>(self)))
        }
        #[inline(always)]
        fn rotate7(self) -> Self {
            sse2!(_mm_or_si128(_mm_slli_epi32::<7>(self), _mm_srli_epi32::<25>(self)))
        }
        #[inline(always)]
        fn turn1(self) -> Self {
            sse2!(_mm_shuffle_epi32::<0b00_11_10_01>(self))
        }
        #[inline(always)]
        fn turn2(self) -> Self {
            sse2!(_mm_shuffle_epi32::<0b01_00_11_10>(self))
        }
        #[inline(always)]
        fn turn3(self) -> Self {
            sse2!(_mm_shuffle_epi32::<0b10_01_00_11>(self))
        }
    }
}

/// The row this machine is fastest with.
#[cfg(target_arch = "x86_64")]
pub type NativeRow = std::arch::x86_64::__m128i;
/// The row this machine is fastest with.
#[cfg(not(target_arch = "x86_64"))]
pub type NativeRow = [u32; 4];
