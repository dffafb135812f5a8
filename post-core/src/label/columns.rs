//! Half a state in sixteen registers, one word of sixteen labels each.
//!
//! ChaCha then needs no turning of rows: a fifth of its operations less. The price is that lines have to be turned on
//! their way to and from memory. Every register is taken, so states go through ChaCha one after the other, and the four
//! quarter rounds of one keep the processor busy.

// Words are indexed on both sides of most steps; iterators would hide which is which.
#![allow(clippy::needless_range_loop)]
#![allow(unsafe_code)]

use super::lanes::{Half, Line, MAX_LABELS, Square, half_of};
use crate::prefetch::prefetch_second_level;

/// The sixteen words.
#[derive(Clone, Copy)]
pub(super) struct Columns<V>([V; 16]);

impl<V: Square> Half for Columns<V> {
    const LABELS: usize = 16;
    const ZERO: Self = Self([V::ZERO; 16]);
    const AT_ONCE: bool = true;
    type Masks = V::Masks;

    #[inline(always)]
    fn masks() -> V::Masks {
        V::masks()
    }
    #[inline(always)]
    fn xor(&self, other: &Self) -> Self {
        let mut out = *self;
        for word in 0..16 {
            out.0[word] = self.0[word].xor(other.0[word]);
        }
        out
    }
    #[inline(always)]
    fn xor3(&self, b: &Self, c: &Self) -> Self {
        let mut out = *self;
        for word in 0..16 {
            out.0[word] = self.0[word].xor3(b.0[word], c.0[word]);
        }
        out
    }
    #[inline(always)]
    fn choose(which: [bool; MAX_LABELS], a: &Self, b: &Self) -> Self {
        let (mask, mut out) = (V::word_mask(which), *a);
        for word in 0..16 {
            out.0[word] = V::choose(mask, a.0[word], b.0[word]);
        }
        out
    }
    #[inline(always)]
    fn first_words(&self) -> [u32; MAX_LABELS] {
        self.0[0].words()
    }
    #[inline(always)]
    unsafe fn read(lines: &[*const Line; MAX_LABELS], half: usize) -> Self {
        let mut words = Self::ZERO;
        for (at, words) in words.0.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let mut four = [V::ZERO; 4];
            for i in 0..4 {
                let lines = [lines[i], lines[4 + i], lines[8 + i], lines[12 + i]];
                // SAFETY: the caller's promise.
                four[i] = unsafe { V::load_quarters(lines, half * 4 + at) };
            }
            *words = V::turn_within_quarters(four);
        }
        words
    }
    #[inline(always)]
    unsafe fn write(self, lines: *mut Line, half: usize) {
        for (label, words) in by_label(self.0).into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { words.store(half_of(lines.wrapping_add(label), half).cast_mut()) };
        }
    }
    #[inline(always)]
    unsafe fn keep(self, lines: *mut Line, half: usize) {
        for (label, words) in by_label(self.0).into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { words.store_past_caches(half_of(lines.wrapping_add(label), half).cast_mut()) };
        }
    }
    #[inline(always)]
    fn settle() {
        V::settle();
    }
    #[inline(always)]
    fn ask(line: *const Line) {
        // Sixteen labels ask for 32 lines at once, more than the first-level cache waits for at a time.
        prefetch_second_level(line);
    }
    #[inline(always)]
    fn ask_to_keep(_: *const Line) {
        // What is written past the caches is not read first.
    }
    #[inline(always)]
    fn chacha8<const G: usize>(states: &mut [Self; G], masks: V::Masks) {
        for state in states {
            let (input, words) = (state.0, &mut state.0);
            for _ in 0..4 {
                quarter_rounds(words, [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15], masks);
                quarter_rounds(words, [0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14], masks);
            }
            for word in 0..16 {
                words[word] = words[word].add(input[word]);
            }
        }
    }
}

/// From one word of all labels in a register to all words of one label.
#[inline(always)]
fn by_label<V: Square>(words: [V; 16]) -> [V; 16] {
    let mut quarters = words;
    for four in quarters.as_chunks_mut::<4>().0 {
        *four = V::turn_within_quarters(*four);
    }
    let mut labels = quarters;
    for i in 0..4 {
        let turned = V::turn_quarters([quarters[i], quarters[4 + i], quarters[8 + i], quarters[12 + i]]);
        for (quarter, label) in turned.into_iter().enumerate() {
            labels[4 * quarter + i] = label;
        }
    }
    labels
}

/// Four quarter rounds: quarter `i` works on words `a[i]`, `b[i]`, `c[i]`, `d[i]`. A step of all four before the next.
#[inline(always)]
fn quarter_rounds<V: Square>(
    words: &mut [V; 16],
    a: [usize; 4],
    b: [usize; 4],
    c: [usize; 4],
    d: [usize; 4],
    masks: V::Masks,
) {
    for i in 0..4 {
        words[a[i]] = words[a[i]].add(words[b[i]]);
        words[d[i]] = words[d[i]].xor(words[a[i]]).rotate16(masks);
    }
    for i in 0..4 {
        words[c[i]] = words[c[i]].add(words[d[i]]);
        words[b[i]] = words[b[i]].xor(words[c[i]]).rotate12();
    }
    for i in 0..4 {
        words[a[i]] = words[a[i]].add(words[b[i]]);
        words[d[i]] = words[d[i]].xor(words[a[i]]).rotate8(masks);
    }
    for i in 0..4 {
        words[c[i]] = words[c[i]].add(words[d[i]]);
        words[b[i]] = words[b[i]].xor(words[c[i]]).rotate7();
    }
}
