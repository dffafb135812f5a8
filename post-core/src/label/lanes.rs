//! What the label kernel asks of a register: one row of four 32-bit words of one or more labels, side by side.
//!
//! Every instruction tier has one type that implements [`Lanes`], in a file of its own. The kernel in
//! [`romix`](super::romix) is written once, for all of them.

#![allow(unsafe_code)]

/// ROMix's unit of storage, 128 B of one label: two halves of four rows.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
pub(super) struct Line(pub [u32; 32]);

impl Line {
    pub(super) const ZERO: Self = Self([0; 32]);
}

/// Labels in the widest register.
pub(super) const MAX_LABELS: usize = 4;

/// A register with one row of `LABELS` labels. Row words are little-endian, the first in the lowest bits.
///
/// The methods are safe to call only where the processor has the tier's instructions. A value can't be had elsewhere:
/// the types are private to their tier, whose entry points ask for those instructions.
pub(super) trait Lanes: Copy {
    /// Labels side by side, at most [`MAX_LABELS`].
    const LABELS: usize;

    /// All bits clear.
    const ZERO: Self;

    /// Shuffle masks, in registers for the length of a pass.
    type Masks: Copy;

    /// The masks. Opaque to the compiler, which would otherwise take their shuffles apart.
    fn masks() -> Self::Masks;

    /// All bits of a label's lane set where `on`, else clear.
    fn lane_mask(on: [bool; MAX_LABELS]) -> Self;

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
    fn first_words(self) -> [u32; MAX_LABELS];

    /// The rows of `LABELS` lines: one line a label, of any place.
    ///
    /// # Safety
    /// The first `LABELS` pointers are valid for reads.
    unsafe fn read(lines: [*const Line; MAX_LABELS]) -> [Self; 8];

    /// Writes `LABELS` lines next to each other.
    ///
    /// # Safety
    /// `lines` is valid for writes of `LABELS` lines.
    unsafe fn write(rows: [Self; 8], lines: *mut Line);
}

/// The pointers of `LABELS` lines that follow each other.
#[inline(always)]
pub(super) fn consecutive(first: *const Line) -> [*const Line; MAX_LABELS] {
    [first, first.wrapping_add(1), first.wrapping_add(2), first.wrapping_add(3)]
}
