//! The scan, written once for all instruction tiers: a chunk of labels under one cipher after the other.
//!
//! Almost every label misses, but one byte in 256 must be looked at twice. So nothing branches on a byte: bits of what
//! may hit are gathered in words, and codes of set bits appended to a list with as few branches as the words allow. The
//! list of a chunk then goes through the lazy ciphers, eight at a time.
#![allow(unsafe_code)]

use super::blocks::{Blocks, DEPTH, PLANES, Planes};
use super::{Hit, NonceGroup, ScanJob};
use crate::cipher::LAZY_MASK;
use crate::label::Label;

/// Labels that go through one cipher before the next: they stay in the first-level cache (16 KiB).
const CHUNK: usize = 1024;

/// Memory of a worker.
pub(super) struct Buffers {
    /// Bytes that the lazy ciphers decide.
    open: Codes,
    /// Bytes that hit as they are.
    sure: Codes,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { open: Codes::new(), sure: Codes::new() }
    }
}

/// Steps of a chunk, padded to whole ones, in the narrowest tier.
const STEPS: usize = CHUNK / DEPTH + 1;

/// Places of bytes in a chunk: `step · 512 + word · 64 + bit`.
struct Codes {
    codes: Box<[u32]>,
    len: usize,
    /// Words with more than one bit, without their lowest one, and the code of their bit 0.
    rests: Box<[(u64, u32)]>,
    rests_len: usize,
}

impl Codes {
    /// Room for every byte of a chunk, and for the entries that are written in vain.
    fn new() -> Self {
        Self {
            codes: vec![0; (CHUNK + DEPTH * 4) * 16 + 1].into(),
            len: 0,
            rests: vec![(0, 0); STEPS * 2 + 1].into(),
            rests_len: 0,
        }
    }

    /// Appends the code of the lowest set bit of each word of one step, and sets aside what is left. It branches on none:
    /// every entry is written, and counts only if there was a bit.
    ///
    /// # Safety
    /// `step` is below the steps of a chunk; since the lists were emptied, no step came twice.
    #[inline(always)]
    unsafe fn append<B: Blocks>(&mut self, step: usize, planes: Planes) {
        for (word, bits) in planes.into_iter().enumerate().take(B::WORDS) {
            let code = (step * PLANES * 64 + word * 64) as u32;
            let rest = bits & bits.wrapping_sub(1);
            // SAFETY: a code stands for a byte, a rest for a word of the chunk, and there is room for one more of each.
            unsafe {
                *self.codes.get_unchecked_mut(self.len) = code + bits.trailing_zeros();
                *self.rests.get_unchecked_mut(self.rests_len) = (rest, code);
            }
            self.len += usize::from(bits != 0);
            self.rests_len += usize::from(rest != 0);
        }
    }

    /// Appends the codes of what was set aside, and drops those of labels from `labels` on, which only filled a step.
    #[inline(always)]
    fn finish<B: Blocks>(&mut self, labels: usize) {
        for (rest, code) in &self.rests[..self.rests_len] {
            let mut bits = *rest;
            while bits != 0 {
                self.codes[self.len] = code + bits.trailing_zeros();
                self.len += 1;
                bits &= bits - 1;
            }
        }
        if !labels.is_multiple_of(DEPTH * B::LABELS) {
            let mut kept = 0;
            for at in 0..self.len {
                self.codes[kept] = self.codes[at];
                kept += usize::from(place::<B>(self.codes[at]).0 < labels);
            }
            self.len = kept;
        }
    }

    fn clear(&mut self) {
        (self.len, self.rests_len) = (0, 0);
    }

    fn as_slice(&self) -> &[u32] {
        &self.codes[..self.len]
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
    for (chunk, labels) in labels.chunks(CHUNK).enumerate() {
        let first = first + (chunk * CHUNK) as u64;
        let found = hits.len();
        for group in job.groups {
            buffers.open.clear();
            buffers.sure.clear();
            // SAFETY: the caller's promise; the lists were just emptied.
            unsafe {
                // Only sets of a few labels have a threshold above 0: then some bytes hit as they are.
                if job.difficulty.msb == 0 {
                    select::<B, false>(group, job.difficulty.msb, labels, buffers);
                } else {
                    select::<B, true>(group, job.difficulty.msb, labels, buffers);
                }
            }
            for code in buffers.sure.as_slice() {
                let (label, lane) = place::<B>(*code);
                hits.push(group.hit(lane, first + label as u64));
            }
            decide::<B>(group, job.difficulty.lsb, first, labels, buffers.open.as_slice(), hits);
        }
        // Groups came one after the other; the order of the result is by label.
        if hits.len() - found > 1 {
            hits[found..].sort_unstable();
        }
    }
}

#[inline(always)]
fn place<B: Blocks>(code: u32) -> (usize, usize) {
    let (step, word, bit) = (code as usize / (PLANES * 64), code as usize / 64 % PLANES, code as usize % 64);
    let (label, lane) = B::place(word, bit);
    (step * DEPTH * B::LABELS + label, lane)
}

/// Puts every label of a chunk through the group's cipher and lists the bytes that equal the threshold and, if `LESS`,
/// those below it.
///
/// # Safety
/// The processor has the instructions of `B`; there are at most CHUNK labels, and the lists are empty.
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
        let mut padded = [[0; 16]; DEPTH * 4];
        padded[..rest.len()].copy_from_slice(rest);
        // SAFETY: no register holds more than four labels, so `padded` has all of a step.
        unsafe { select_step::<B, LESS>(steps, padded.as_ptr(), &keys, threshold, buffers) };
    }
    buffers.open.finish::<B>(labels.len());
    if LESS {
        buffers.sure.finish::<B>(labels.len());
    }
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
    B::equal(sum, B::repeat(&[0; 16])).into_iter().fold(0, |all, word| all ^ word)
}
