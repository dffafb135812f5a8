//! The scan, written once for all instruction tiers: a chunk of labels under one cipher after the other.
//!
//! Almost every label misses, but one byte in 256 must be looked at twice. So nothing branches on a byte: what may hit
//! becomes a bit, the bits of eight registers are gathered in one, and the places of its bytes that have any are appended
//! to a list. The list of a chunk then goes through the lazy ciphers, eight at a time.
#![allow(unsafe_code)]

use super::blocks::{Blocks, DEPTH, MAX_AT_ONCE, MAX_LABELS};
use super::{Hit, NonceGroup, ScanJob};
use crate::cipher::LAZY_MASK;
use crate::label::Label;

/// Labels that go through one cipher before the next: they stay in the first-level cache (16 KiB).
const CHUNK: usize = 1024;

/// Room for the gathered bits of a chunk: one byte for 8 bytes of labels, padded to a whole step of the widest tier. A power
/// of two, so that a place is kept inside by a mask.
const GATHERED: usize = (CHUNK * 16 / DEPTH + MAX_LABELS * 16).next_power_of_two();

/// Memory of a worker.
pub(super) struct Buffers {
    /// Bytes that the lazy ciphers decide.
    open: Found,
    /// Bytes that hit as they are.
    sure: Found,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { open: Found::new(), sure: Found::new() }
    }
}

/// What was found in a chunk.
struct Found {
    /// The gathered bits of all steps.
    bits: Box<[u8; GATHERED]>,
    /// Which of those bytes have any bit.
    bytes: Box<[u16]>,
    bytes_len: usize,
    /// Every set bit: its byte's place times 8, plus which bit. Filled last.
    codes: Vec<u32>,
}

impl Found {
    fn new() -> Self {
        Self {
            bits: Box::new([0; GATHERED]),
            // Places are written ahead of being counted.
            bytes: vec![0; GATHERED + MAX_AT_ONCE].into(),
            bytes_len: 0,
            codes: Vec::with_capacity(GATHERED * DEPTH),
        }
    }

    /// Appends the places of all bytes that have a bit in one step's gathered bits.
    ///
    /// # Safety
    /// The processor has the instructions of `B`; `step` is below the steps of a padded chunk; none comes twice in a chunk.
    #[inline(always)]
    unsafe fn append<B: Blocks>(&mut self, step: usize, gathered: B) {
        let base = step * B::LABELS * 16;
        let mut left = gathered.non_zero();
        let count = left.count_ones() as usize;
        // SAFETY: the step's bytes are in `bits`; every byte of the chunk is appended once at most, and there is room for
        // B::AT_ONCE more.
        unsafe {
            gathered.store(self.bits.as_mut_ptr().add(base));
            let mut end = self.bytes.as_mut_ptr().add(self.bytes_len);
            for _ in 0..B::AT_ONCE {
                end.write(base as u16 + left.trailing_zeros() as u16);
                end = end.add(1);
                left &= left.wrapping_sub(1);
            }
            if count > B::AT_ONCE {
                while left != 0 {
                    end.write(base as u16 + left.trailing_zeros() as u16);
                    end = end.add(1);
                    left &= left - 1;
                }
            }
        }
        self.bytes_len += count;
    }

    /// Lists all bits, but those of labels from `labels` on, which only filled a step.
    #[inline(always)]
    fn list_bits<B: Blocks>(&mut self, labels: usize) {
        self.codes.clear();
        // SAFETY: there is room for every bit of every byte, and no byte is listed twice.
        unsafe {
            let first = self.codes.as_mut_ptr();
            let mut end = first;
            for byte in &self.bytes[..self.bytes_len] {
                let mut bits = self.bits[usize::from(*byte) % GATHERED];
                // A listed byte has a bit, and nearly always one only.
                loop {
                    end.write(u32::from(*byte) << 3 | bits.trailing_zeros());
                    end = end.add(1);
                    bits &= bits.wrapping_sub(1);
                    if bits == 0 {
                        break;
                    }
                }
            }
            self.codes.set_len(end.offset_from_unsigned(first));
        }
        self.bytes_len = 0;
        if !labels.is_multiple_of(DEPTH * B::LABELS) {
            self.codes.retain(|code| place::<B>(*code).0 < labels);
        }
    }
}

/// The label of the chunk and the byte of it that a code stands for.
#[inline(always)]
fn place<B: Blocks>(code: u32) -> (usize, usize) {
    let (byte, register) = (code as usize >> 3, code as usize & 7);
    let (step, byte) = (byte / (B::LABELS * 16), byte % (B::LABELS * 16));
    ((step * DEPTH + register) * B::LABELS + byte / 16, byte % 16)
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
    for (chunk, labels) in labels.chunks(CHUNK).enumerate() {
        let first = first + (chunk * CHUNK) as u64;
        let found = hits.len();
        for group in job.groups {
            // SAFETY: the caller's promise.
            unsafe {
                // Only sets of a few labels have a threshold above 0: then some bytes hit as they are.
                if job.difficulty.msb == 0 {
                    select::<B, false>(group, job.difficulty.msb, labels, buffers);
                } else {
                    select::<B, true>(group, job.difficulty.msb, labels, buffers);
                }
            }
            for code in &buffers.sure.codes {
                let (label, lane) = place::<B>(*code);
                hits.push(group.hit(lane, first + label as u64));
            }
            decide::<B>(group, job.difficulty.lsb, first, labels, &buffers.open.codes, hits);
        }
        // Groups came one after the other; the order of the result is by label.
        if hits.len() - found > 1 {
            hits[found..].sort_unstable();
        }
    }
}

/// Puts every label of a chunk through the group's cipher and lists the bytes that equal the threshold and, if `LESS`,
/// those below it.
///
/// # Safety
/// The processor has the instructions of `B`; there are at most CHUNK labels.
#[inline(always)]
unsafe fn select<B: Blocks, const LESS: bool>(group: &NonceGroup, msb: u8, labels: &[Label], buffers: &mut Buffers) {
    let mut keys = [B::repeat(&[0; 16]); 11];
    for (key, bytes) in keys.iter_mut().zip(group.cipher.round_keys()) {
        *key = B::repeat(bytes);
    }
    let threshold = B::repeat(&[msb; 16]);
    let per_step = DEPTH * B::LABELS;
    let steps = labels.len() / per_step;
    for step in 0..steps {
        // SAFETY: the step's labels are there, and no step comes twice.
        unsafe { select_step::<B, LESS>(step, labels.as_ptr().add(step * per_step), &keys, threshold, buffers) };
    }
    let rest = &labels[steps * per_step..];
    if !rest.is_empty() {
        let mut padded = [[0; 16]; DEPTH * MAX_LABELS];
        padded[..rest.len()].copy_from_slice(rest);
        // SAFETY: no register holds more than MAX_LABELS labels, so `padded` has all of a step.
        unsafe { select_step::<B, LESS>(steps, padded.as_ptr(), &keys, threshold, buffers) };
    }
    buffers.open.list_bits::<B>(labels.len());
    // Without LESS nothing was appended.
    buffers.sure.list_bits::<B>(labels.len());
}

/// # Safety
/// As for [`select`]; `labels` is valid for reads of a step's labels, and no step comes twice.
#[inline(always)]
unsafe fn select_step<B: Blocks, const LESS: bool>(
    step: usize,
    labels: *const Label,
    keys: &[B; 11],
    threshold: B,
    buffers: &mut Buffers,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let blocks = B::encrypt(load_step(labels), keys);
        buffers.open.append::<B>(step, B::equal(blocks, threshold));
        if LESS {
            buffers.sure.append::<B>(step, B::less(blocks, threshold));
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

/// Asks the lazy ciphers about the bytes that they decide.
#[inline(always)]
fn decide<B: Blocks>(group: &NonceGroup, lsb: u64, first: u64, labels: &[Label], open: &[u32], hits: &mut Vec<Hit>) {
    for codes in open.chunks(DEPTH) {
        let mut inputs = [&labels[0]; DEPTH];
        let mut keys = [&group.lazy_keys[0]; DEPTH];
        for (i, code) in codes.iter().enumerate() {
            let (label, lane) = place::<B>(*code);
            (inputs[i], keys[i]) = (&labels[label], &group.lazy_keys[lane]);
        }
        let values = B::encrypt_each(inputs, keys);
        for (code, value) in codes.iter().zip(values) {
            if value & LAZY_MASK < lsb {
                let (label, lane) = place::<B>(*code);
                hits.push(group.hit(lane, first + label as u64));
            }
        }
    }
}

/// AES alone, without any comparison: the bound of [`scan`]. Returns something that depends on every block.
///
/// # Safety
/// The processor has the instructions of `B`.
#[inline(always)]
pub(super) unsafe fn aes_only<B: Blocks>(job: &ScanJob<'_>, labels: &[Label]) -> u64 {
    let mut sum = [B::repeat(&[0; 16]); DEPTH];
    for labels in labels.chunks(CHUNK) {
        for group in job.groups {
            let mut keys = [sum[0]; 11];
            for (key, bytes) in keys.iter_mut().zip(group.cipher.round_keys()) {
                *key = B::repeat(bytes);
            }
            for step in labels.chunks_exact(DEPTH * B::LABELS) {
                // SAFETY: the step's labels are there.
                let blocks = B::encrypt(unsafe { load_step(step.as_ptr()) }, &keys);
                for (sum, block) in sum.iter_mut().zip(blocks) {
                    *sum = sum.xor(block);
                }
            }
        }
    }
    B::equal(sum, B::repeat(&[0; 16])).non_zero()
}
