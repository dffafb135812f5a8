//! What the scan kernel asks of a register: one or more labels side by side, under AES.
//!
//! Every instruction tier has one type that implements [`Blocks`], in a file of its own. The kernel in
//! [`kernel`](super::kernel) is written once, for all of them.
#![allow(unsafe_code)]

use crate::cipher::RoundKeys;
use crate::label::Label;

/// Registers that go through the cipher together: as many as hide the latency of a round.
pub(super) const DEPTH: usize = 8;

/// Labels in the widest register.
pub(super) const MAX_LABELS: usize = 4;

/// The most that any register appends in a row.
pub(super) const MAX_AT_ONCE: usize = 7;

/// A register of `LABELS` labels.
///
/// The methods are safe to call only where the processor has the tier's instructions. A value can't be had elsewhere:
/// the types are private to their tier, whose entry points ask for those instructions.
pub(super) trait Blocks: Copy {
    /// Labels side by side, at most [`MAX_LABELS`].
    const LABELS: usize;

    /// Bytes with a bit that are appended in a row without asking whether there are as many, at most [`MAX_AT_ONCE`]. A
    /// wrong guess throws away the ciphers of the next step, so more should come in one step of a few hundred only.
    const AT_ONCE: usize;

    /// The same 16 B in every label's place.
    fn repeat(bytes: &[u8; 16]) -> Self;

    /// `LABELS` labels that follow each other.
    ///
    /// # Safety
    /// The pointer is valid for reads of `LABELS` labels.
    unsafe fn load(labels: *const Label) -> Self;

    /// All bytes, label by label.
    ///
    /// # Safety
    /// The pointer is valid for writes of `LABELS` · 16 bytes.
    unsafe fn store(self, bytes: *mut u8);

    /// AES-128 of [`DEPTH`] registers under one key.
    fn encrypt(blocks: [Self; DEPTH], keys: &[Self; 11]) -> [Self; DEPTH];

    /// Exclusive or, for the pure-AES loop.
    fn xor(self, other: Self) -> Self;

    /// In each byte, bit i set where register i's byte equals the threshold's.
    fn equal(blocks: [Self; DEPTH], threshold: Self) -> Self;

    /// In each byte, bit i set where register i's byte is below the threshold's.
    fn less(blocks: [Self; DEPTH], threshold: Self) -> Self;

    /// One bit a byte, set where the byte is not 0; byte 0 is the lowest bit.
    fn non_zero(self) -> u64;

    /// The first 8 B, little-endian, of [`DEPTH`] labels, each under a key of its own.
    fn encrypt_each(labels: [&Label; DEPTH], keys: [&RoundKeys; DEPTH]) -> [u64; DEPTH];
}
