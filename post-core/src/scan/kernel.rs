//! The scan, written once for all instruction tiers: a chunk of labels under one cipher after the other.
//!
//! Almost every label misses, but one byte in 256 must be looked at twice. The loop over the ciphers only writes down a bit
//! for each of these; the bits of some rows ago are listed beside it, by instructions that the ciphers leave room for.
//! What is listed by nonce then goes through the nonce's lazy cipher, eight labels under one key.
#![allow(unsafe_code)]

use super::blocks::{Bits, Blocks, DEPTH, LAZY, ROW};
use super::found::{LAG, Lists, Waiting};
use super::{Hit, NonceGroup, ScanJob};
use crate::cipher::RoundKeys;
use crate::label::Label;
use crate::prefetch::prefetch_second_level;

/// Labels that go through one cipher before the next. They and those that come next (256 KiB each) fit into a second-level
/// cache of 1 MiB, and the lists of a nonce are long enough (64 labels) to fill the registers of its lazy cipher.
pub(super) const CHUNK: usize = 1 << 14;

/// Labels of which the first-level cache holds all.
const CACHED: usize = 1024;

/// Labels that one prefetch asks for.
const PREFETCHED: usize = 8;

/// Memory of a worker.
pub(super) struct Buffers {
    /// Bytes that the lazy ciphers decide.
    open: Lists,
    /// Bytes that hit as they are.
    sure: Lists,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { open: Lists::new(), sure: Lists::new() }
    }
}

/// Appends the hits of `labels`, the first of which has index `first`, in ascending order.
///
/// # Safety
/// The processor has the instructions of `B`.
#[inline(always)]
pub(super) unsafe fn scan<B: Blocks>(
    job: &ScanJob<'_>,
    first: u64,
    labels: &[Label],
    buffers: &mut Buffers,
    hits: &mut Vec<Hit>,
) {
    crate::aligned::stack();
    // Only sets of a few labels have a threshold above 0: then many bytes hit, and are put in order while they are at hand.
    let size = if job.difficulty.msb == 0 { CHUNK } else { CACHED };
    let all = labels;
    for (chunk, labels) in all.chunks(size).enumerate() {
        let found = hits.len();
        // Every group asks for a part of the next chunk.
        let next = &all[chunk * size + labels.len()..];
        let next = &next[..next.len().min(size)];
        let first = first + (chunk * size) as u64;
        for (number, group) in job.groups.iter().enumerate() {
            let part = number * next.len() / job.groups.len()..(number + 1) * next.len() / job.groups.len();
            // SAFETY: the caller's promise; chunks are not empty.
            unsafe {
                if job.difficulty.msb == 0 {
                    select::<B, false>(group, job.difficulty.msb, labels, &next[part], buffers);
                } else {
                    select::<B, true>(group, job.difficulty.msb, labels, &next[part], buffers);
                }
                decide::<B>(group, job.difficulty.lsb, labels, &mut buffers.open);
            }
            take(group, first, &buffers.sure, hits);
            take(group, first, &buffers.open, hits);
        }
        // Groups came one after the other; the order of the result is by label.
        if hits.len() - found > 1 {
            hits[found..].sort_unstable();
        }
    }
}

/// Puts every label of a chunk through the group's cipher and lists the bytes that equal the threshold and, if `LESS`,
/// those below it. `next` is brought nearer meanwhile.
///
/// # Safety
/// The processor has the instructions of `B`; there are at most CHUNK labels.
#[inline(always)]
unsafe fn select<B: Blocks, const LESS: bool>(
    group: &NonceGroup,
    msb: u8,
    labels: &[Label],
    next: &[Label],
    buffers: &mut Buffers,
) {
    let keys = spread::<B>(group.cipher.round_keys());
    let threshold = B::repeat(&[msb; 16]);
    let (rows, rest) = labels.as_chunks::<ROW>();
    let (mut open, mut sure) = (Waiting::new(), Waiting::new());
    buffers.open.clear();
    buffers.sure.clear();
    let asked = next.len().div_ceil(PREFETCHED * rows.len().max(1));
    for (row, labels) in rows.iter().enumerate() {
        for i in 0..asked {
            let label = (row * asked + i) * PREFETCHED;
            if label < next.len() {
                prefetch_second_level(next.as_ptr().wrapping_add(label));
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            write_bits::<B, LESS>(labels, &keys, threshold, open.bits(row), sure.bits(row));
            open.list_behind::<B>(row, &mut buffers.open);
            if LESS {
                sure.list_behind::<B>(row, &mut buffers.sure);
            }
        }
    }
    if !rest.is_empty() {
        let mut padded = [[0; 16]; ROW];
        padded[..rest.len()].copy_from_slice(rest);
        let (open, sure) = (open.bits(rows.len()), sure.bits(rows.len()));
        // SAFETY: the caller's promise.
        unsafe { write_bits::<B, LESS>(&padded, &keys, threshold, open, sure) };
        clear_from::<B>(rest.len(), open);
        clear_from::<B>(rest.len(), sure);
    }
    for row in rows.len()..labels.len().div_ceil(ROW) + LAG {
        // SAFETY: as above.
        unsafe {
            open.list_behind::<B>(row, &mut buffers.open);
            if LESS {
                sure.list_behind::<B>(row, &mut buffers.sure);
            }
        }
    }
    // SAFETY: as above.
    unsafe {
        open.list_all::<B>(&mut buffers.open);
        sure.list_all::<B>(&mut buffers.sure);
    }
}

/// Puts a row of labels through the cipher and writes down what equals the threshold and, if `LESS`, what is below it.
///
/// # Safety
/// The processor has the instructions of `B`.
#[inline(always)]
unsafe fn write_bits<B: Blocks, const LESS: bool>(
    labels: &[Label; ROW],
    keys: &[B; 11],
    threshold: B,
    open: &mut Bits,
    sure: &mut Bits,
) {
    for step in 0..ROW / (DEPTH * B::LABELS) {
        // SAFETY: the step's labels are there, and so is room for its bits.
        unsafe {
            let labels = labels.as_ptr().add(step * DEPTH * B::LABELS);
            let blocks = B::encrypt(load_step(labels), keys);
            B::equal(blocks, threshold, open.as_mut_ptr().add(step * 2 * B::LABELS));
            if LESS {
                B::less(blocks, threshold, sure.as_mut_ptr().add(step * 2 * B::LABELS));
            }
        }
    }
}

/// A key's round keys, each in every label's place.
#[inline(always)]
fn spread<B: Blocks>(round_keys: &RoundKeys) -> [B; 11] {
    let mut keys = [B::repeat(&[0; 16]); 11];
    for (key, bytes) in keys.iter_mut().zip(round_keys) {
        *key = B::repeat(bytes);
    }
    keys
}

/// Clears the bits of a row's labels from `labels` on, which only filled it.
fn clear_from<B: Blocks>(labels: usize, bits: &mut Bits) {
    for (word, bits) in bits.iter_mut().enumerate() {
        for bit in 0..64 {
            if B::place(word, bit).0 >= labels {
                *bits &= !(1 << bit);
            }
        }
    }
}

/// # Safety
/// `labels` is valid for reads of a step's labels.
#[inline(always)]
unsafe fn load_step<B: Blocks>(labels: *const Label) -> [B; DEPTH] {
    let mut blocks = [B::repeat(&[0; 16]); DEPTH];
    for (i, block) in blocks.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *block = unsafe { B::load(labels.add(i * B::LABELS)) };
    }
    blocks
}

/// Asks the lazy ciphers about the bytes that they decide, and leaves those that hit.
///
/// # Safety
/// The processor has the instructions of `B`; `open` lists labels of `labels`, which has one at least.
#[inline(always)]
unsafe fn decide<B: Blocks>(group: &NonceGroup, lsb: u64, labels: &[Label], open: &mut Lists) {
    for (lane, keys) in group.lazy_keys.iter().enumerate() {
        let keys = spread::<B>(keys);
        let count = open.fill_up(lane);
        let mut kept = 0;
        for first in (0..count).step_by(LAZY) {
            // SAFETY: the caller's promise; label 0, which fills lists up, is there too.
            let mut below = unsafe { B::lazy(labels.as_ptr(), open.some(lane, first), &keys, lsb) };
            while below != 0 {
                let found = first + below.trailing_zeros() as usize;
                if found < count {
                    open.keep(lane, found, kept);
                    kept += 1;
                }
                below &= below - 1;
            }
        }
        open.truncate(lane, kept);
    }
}

/// Every byte that is listed is a hit.
fn take(group: &NonceGroup, first: u64, lists: &Lists, hits: &mut Vec<Hit>) {
    hits.extend(lists.iter().map(|(lane, label)| group.hit(lane, first + u64::from(label))));
}

/// AES alone, without any comparison: the bound of [`scan`]. Returns something that depends on every block.
///
/// # Safety
/// The processor has the instructions of `B`.
#[inline(always)]
pub(super) unsafe fn aes_only<B: Blocks>(job: &ScanJob<'_>, labels: &[Label]) -> bool {
    crate::aligned::stack();
    let mut sum = [B::repeat(&[0; 16]); DEPTH];
    for labels in labels.chunks(CACHED) {
        for group in job.groups {
            let keys = spread::<B>(group.cipher.round_keys());
            for step in labels.chunks_exact(DEPTH * B::LABELS) {
                // SAFETY: the step's labels are there.
                let blocks = B::encrypt(unsafe { load_step(step.as_ptr()) }, &keys);
                for (sum, block) in sum.iter_mut().zip(blocks) {
                    *sum = sum.xor(block);
                }
            }
        }
    }
    let mut all = sum[0];
    for sum in &sum[1..] {
        all = all.xor(*sum);
    }
    all.is_zero()
}
