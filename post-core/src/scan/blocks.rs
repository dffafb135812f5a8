//! What the scan kernel asks of a register: one or more labels side by side, under AES.
//!
//! Every instruction tier has one type that implements [`Blocks`], in a file of its own. The kernel in
//! [`kernel`](super::kernel) is written once, for all of them.
#![allow(unsafe_code)]

use crate::label::Label;

/// Registers that go through the cipher together, a step: as many as hide the latency of a round.
pub(super) const DEPTH: usize = 8;

/// Labels whose bits are written down and listed together: one or more steps.
pub(super) const ROW: usize = 32;

/// One bit for each byte of so many labels.
pub(super) type Bits = [u64; ROW * 16 / 64];

/// Labels that go through a lazy cipher together.
pub(super) const LAZY: usize = 8;

/// A register of `LABELS` labels.
///
/// The methods are safe to call only where the processor has the tier's instructions. A value can't be had elsewhere:
/// the types are private to their tier, whose entry points ask for those instructions.
pub(super) trait Blocks: Copy {
    /// Labels side by side: a step has `ROW` of them, or a part of it.
    const LABELS: usize;

    /// The same 16 B in every label's place.
    fn repeat(bytes: &[u8; 16]) -> Self;

    /// `LABELS` labels that follow each other.
    ///
    /// # Safety
    /// The pointer is valid for reads of `LABELS` labels.
    unsafe fn load(labels: *const Label) -> Self;

    /// AES-128 of a step under one key.
    fn encrypt(blocks: [Self; DEPTH], keys: &[Self; 11]) -> [Self; DEPTH];

    /// Exclusive or, for the pure-AES loop.
    fn xor(self, other: Self) -> Self;

    /// Whether all bits are 0, for the pure-AES loop.
    fn is_zero(self) -> bool;

    /// Writes a step's bits, 16 B a label of a register: set for bytes that equal the threshold's.
    ///
    /// # Safety
    /// The pointer is valid for writes.
    unsafe fn equal(blocks: [Self; DEPTH], threshold: Self, bits: *mut u64);

    /// The same, set for bytes that are below the threshold's.
    ///
    /// # Safety
    /// As for [`Self::equal`].
    unsafe fn less(blocks: [Self; DEPTH], threshold: Self, bits: *mut u64);

    /// The label and the byte of it that bit `bit` of word `word` stands for, of words and labels that are counted from
    /// the beginning of a chunk. Here for tiers that gather bit i of every byte from register i.
    #[inline(always)]
    fn place(word: usize, bit: usize) -> (usize, usize) {
        let (step, byte) = (word / (2 * Self::LABELS), word % (2 * Self::LABELS) * 8 + bit / 8);
        ((step * DEPTH + bit % 8) * Self::LABELS + byte / 16, byte % 16)
    }

    /// Encrypts the labels at `at` under one key: bit i is set where the first 8 B of label `at[i]`, little-endian and
    /// without the highest byte, are below `bound` (at most 2^56).
    ///
    /// # Safety
    /// The pointer is valid for reads of the labels at `at`.
    unsafe fn lazy(labels: *const Label, at: [u16; LAZY], keys: &[Self; 11], bound: u64) -> u8;
}
