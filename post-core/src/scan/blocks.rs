//! What the scan kernel asks of a register: one or more labels side by side, under AES.
//!
//! Every instruction tier has one type that implements [`Blocks`], in a file of its own. The kernel in
//! [`kernel`](super::kernel) is written once, for all of them.
#![allow(unsafe_code)]

use crate::cipher::RoundKeys;
use crate::label::Label;

/// Registers that go through the cipher together: as many as hide the latency of a round.
pub(super) const DEPTH: usize = 8;

/// Words of a [`Planes`].
pub(super) const PLANES: usize = 8;

/// One bit for each byte of [`DEPTH`] registers, in words of the tier's choice; [`Blocks::place`] tells which is which.
pub(super) type Planes = [u64; PLANES];

/// A register of `LABELS` labels.
///
/// The methods are safe to call only where the processor has the tier's instructions. A value can't be had elsewhere:
/// the types are private to their tier, whose entry points ask for those instructions.
pub(super) trait Blocks: Copy {
    /// Labels side by side.
    const LABELS: usize;

    /// Words of [`Planes`] in use.
    const WORDS: usize;

    /// The same 16 B in every label's place.
    fn repeat(bytes: &[u8; 16]) -> Self;

    /// `LABELS` labels that follow each other.
    ///
    /// # Safety
    /// The pointer is valid for reads of `LABELS` labels.
    unsafe fn load(labels: *const Label) -> Self;

    /// AES-128 of [`DEPTH`] registers under one key.
    fn encrypt(blocks: [Self; DEPTH], keys: &[Self; 11]) -> [Self; DEPTH];

    /// Exclusive or, for the pure-AES loop.
    fn xor(self, other: Self) -> Self;

    /// Bits of the bytes that equal the threshold's.
    fn equal(blocks: [Self; DEPTH], threshold: Self) -> Planes;

    /// Bits of the bytes that are below the threshold's.
    fn less(blocks: [Self; DEPTH], threshold: Self) -> Planes;

    /// The label (0 … `DEPTH · LABELS`) and byte that a bit of a word stands for.
    fn place(word: usize, bit: usize) -> (usize, usize);

    /// The first 8 B, little-endian, of [`DEPTH`] labels, each under a key of its own.
    fn encrypt_each(labels: [&Label; DEPTH], keys: [&RoundKeys; DEPTH]) -> [u64; DEPTH];
}

/// [`Blocks::place`] of tiers that gather one bit a register: the word's byte is the byte of the block (or its upper half),
/// the bit is the register.
#[inline(always)]
pub(super) fn place_of_plane(word: usize, bit: usize, labels: usize) -> (usize, usize) {
    (bit % 8 * labels + word / 2, word % 2 * 8 + bit / 8)
}
