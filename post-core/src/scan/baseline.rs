//! The usual loop, as other provers have it: eight labels through the cipher, then byte by byte. The yardstick of the
//! other tiers, and what runs where a processor has no AES instructions.

use aes::Block;

use super::{Hit, NonceGroup, ScanJob};
use crate::difficulty::Difficulty;
use crate::label::Label;

/// Labels that go through the cipher together.
const BLOCKS: usize = 8;

/// Labels that go through one cipher before the next.
const CHUNK: usize = 1024;

/// Appends the hits of `labels`, the first of which has index `first`.
pub(super) fn scan(job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) {
    for (chunk, labels) in labels.chunks(CHUNK).enumerate() {
        let first = first + (chunk * CHUNK) as u64;
        let found = hits.len();
        for group in job.groups {
            for (eight, labels) in labels.chunks(BLOCKS).enumerate() {
                let mut blocks = [Block::default(); BLOCKS];
                for (block, label) in blocks.iter_mut().zip(labels) {
                    block.0 = *label;
                }
                group.cipher.encrypt_blocks(&mut blocks);
                for (at, (label, block)) in labels.iter().zip(&blocks).enumerate() {
                    for lane in 0..16 {
                        if block.0[lane] <= job.difficulty.msb {
                            let index = first + (eight * BLOCKS + at) as u64;
                            look_closer(group, lane, index, label, &block.0, job.difficulty, hits);
                        }
                    }
                }
            }
        }
        // Groups came one after the other; the order of the result is by label.
        hits[found..].sort_unstable();
    }
}

/// One byte in 256 gets here.
#[cold]
fn look_closer(
    group: &NonceGroup,
    lane: usize,
    index: u64,
    label: &Label,
    encrypted: &[u8; 16],
    difficulty: Difficulty,
    hits: &mut Vec<Hit>,
) {
    if group.is_hit(lane, label, encrypted, difficulty) {
        hits.push(group.hit(lane, index));
    }
}
