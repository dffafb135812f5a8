//! What the label kernel asks of a register.
//!
//! The kernel in [`romix`](super::romix) is written once, over a [`Half`] of ROMix's state: half a line of some labels.
//! There are two ways to lay it out, [`Rows`](super::rows::Rows) and [`Columns`](super::columns::Columns), and these are
//! written once over a register, [`Lanes`], which every instruction tier has in a file of its own.

#![allow(unsafe_code)]

use crate::prefetch::{prefetch, prefetch_write};

/// ROMix's unit of storage, 128 B of one label: two halves of four rows.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
pub(super) struct Line(pub [u32; 32]);

/// One of a line's halves.
pub(super) type HalfLine = [u32; 16];

impl Line {
    pub(super) const ZERO: Self = Self([0; 32]);
}

/// Labels that any [`Half`] holds at most.
pub(super) const MAX_LABELS: usize = 16;

/// 64 B of `LABELS` labels: one ChaCha state of each. What [`Lanes`] says of calling its methods holds here too.
pub(super) trait Half: Copy {
    /// Labels side by side, at most [`MAX_LABELS`].
    const LABELS: usize;

    /// All bits clear.
    const ZERO: Self;

    /// Whether a line's halves are better read together: there are registers for both.
    const AT_ONCE: bool;

    /// See [`Lanes::Masks`].
    type Masks: Copy;

    /// See [`Lanes::masks`].
    fn masks() -> Self::Masks;

    /// Exclusive or.
    fn xor(&self, other: &Self) -> Self;

    /// Exclusive or of three.
    fn xor3(&self, b: &Self, c: &Self) -> Self;

    /// The labels of `a` where `which`, else those of `b`.
    fn choose(which: [bool; MAX_LABELS], a: &Self, b: &Self) -> Self;

    /// The first word of every label.
    fn first_words(&self) -> [u32; MAX_LABELS];

    /// Half `half` of `LABELS` lines: one line a label, of any place.
    ///
    /// # Safety
    /// The first `LABELS` pointers are valid for reads.
    unsafe fn read(lines: &[*const Line; MAX_LABELS], half: usize) -> Self;

    /// Writes half `half` of `LABELS` lines next to each other.
    ///
    /// # Safety
    /// `lines` is valid for writes of `LABELS` lines.
    unsafe fn write(self, lines: *mut Line, half: usize);

    /// The same to a table, which is read much later and in another order.
    ///
    /// # Safety
    /// As for [`Half::write`], and the lines are not read before [`Half::settle`].
    #[inline(always)]
    unsafe fn keep(self, lines: *mut Line, half: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.write(lines, half) };
    }

    /// Ends the writing of a table.
    #[inline(always)]
    fn settle() {}

    /// Asks for a line of a table that [`Half::read`] is soon to read.
    #[inline(always)]
    fn ask(line: *const Line) {
        prefetch(line);
    }

    /// Asks for a line of a table that [`Half::keep`] is soon to write.
    #[inline(always)]
    fn ask_to_keep(line: *const Line) {
        prefetch_write(line);
    }

    /// ChaCha with 8 rounds and the feed-forward of its input, on `G` states at once.
    fn chacha8<const G: usize>(states: &mut [Self; G], masks: Self::Masks);
}

/// Labels in the widest register.
pub(super) const MAX_ROWS: usize = 4;

/// A register with one row of `LABELS` labels. Row words are little-endian, the first in the lowest bits.
///
/// The methods are safe to call only where the processor has the tier's instructions. A value can't be had elsewhere:
/// the types are private to their tier, whose entry points ask for those instructions.
pub(super) trait Lanes: Copy {
    /// Labels side by side, at most [`MAX_ROWS`].
    const LABELS: usize;

    /// All bits clear.
    const ZERO: Self;

    /// Shuffle masks, in registers for the length of a pass.
    type Masks: Copy;

    /// The masks. Opaque to the compiler, which would otherwise take their shuffles apart.
    fn masks() -> Self::Masks;

    /// All bits of a label's lane set where `on`, else clear.
    fn lane_mask(on: [bool; MAX_ROWS]) -> Self;

    /// Wrapping addition, word by word.
    fn add(self, other: Self) -> Self;
    /// Exclusive or.
    fn xor(self, other: Self) -> Self;
    /// Exclusive or of three.
    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        self.xor(b).xor(c)
    }
    /// The bits of `a` where the mask is set, else those of `b`.
    fn choose(mask: Self, a: Self, b: Self) -> Self;

    /// Every word rotated left by 16, 12, 8 and 7 bits.
    fn rotate16(self, masks: Self::Masks) -> Self;
    /// See [`Lanes::rotate16`].
    fn rotate12(self) -> Self;
    /// See [`Lanes::rotate16`].
    fn rotate8(self, masks: Self::Masks) -> Self;
    /// See [`Lanes::rotate16`].
    fn rotate7(self) -> Self;

    /// The words of every row moved 1 place towards the first, which becomes the last.
    fn turn1(self) -> Self;
    /// The same, 2 places.
    fn turn2(self) -> Self;
    /// The same, 3 places.
    fn turn3(self) -> Self;

    /// The first word of every label's row.
    fn first_words(self) -> [u32; MAX_ROWS];

    /// The rows of `LABELS` half lines, of any place.
    ///
    /// # Safety
    /// The first `LABELS` pointers are valid for reads.
    unsafe fn read(halves: [*const HalfLine; MAX_ROWS]) -> [Self; 4];

    /// Writes `LABELS` half lines, the same of lines that follow each other.
    ///
    /// # Safety
    /// `first` and every other half line after it, `LABELS` in all, are valid for writes.
    unsafe fn write(rows: [Self; 4], first: *mut HalfLine);
}

/// A register of 16 words, which may also be one word of each of 16 labels.
#[cfg(target_arch = "x86_64")]
pub(super) trait Square: Lanes {
    /// Within each quarter of four words: word `j` of register `i` becomes word `i` of register `j`.
    fn turn_within_quarters(registers: [Self; 4]) -> [Self; 4];

    /// Quarter `j` of register `i` becomes quarter `i` of register `j`.
    fn turn_quarters(registers: [Self; 4]) -> [Self; 4];

    /// All words.
    fn words(self) -> [u32; 16];

    /// All bits of a word set where `on`, else clear.
    fn word_mask(on: [bool; 16]) -> Self;

    /// The 16 B at place `at`, 0 … 7, of four lines, one after the other.
    ///
    /// # Safety
    /// The pointers are valid for reads.
    unsafe fn load_quarters(lines: [*const Line; 4], at: usize) -> Self;

    /// Writes half a line.
    ///
    /// # Safety
    /// The pointer is valid for writes.
    unsafe fn store(self, half: *mut HalfLine);

    /// Writes half a line past the caches, without reading what was there.
    ///
    /// # Safety
    /// The pointer is valid for writes, and the line is not read before [`Square::settle`].
    unsafe fn store_past_caches(self, half: *mut HalfLine);

    /// Lets what was written past the caches arrive.
    fn settle();
}

/// The pointers of lines that follow each other.
#[inline(always)]
pub(super) fn consecutive(first: *const Line) -> [*const Line; MAX_LABELS] {
    let mut lines = [first; MAX_LABELS];
    for (i, line) in lines.iter_mut().enumerate() {
        *line = first.wrapping_add(i);
    }
    lines
}

/// Half `half` of a line.
#[inline(always)]
pub(super) fn half_of(line: *const Line, half: usize) -> *const HalfLine {
    line.cast::<HalfLine>().wrapping_add(half)
}
