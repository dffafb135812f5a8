//! A block of labels under one cipher, then under the next, so that the cipher's rounds overlap and keys stay put.

use aes::Block;

use super::{Hit, NonceGroup, ScanJob};
use crate::difficulty::Difficulty;
use crate::label::Label;

/// Labels that go through all ciphers while they are in the first-level cache.
pub const CHUNK: usize = 512;

/// Appends the hits of `labels`, the first of which has index `first`.
pub fn scan(job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) {
    let mut blocks = [Block::default(); CHUNK];
    for (chunk, labels) in labels.chunks(CHUNK).enumerate() {
        let first = first + (chunk * CHUNK) as u64;
        let blocks = &mut blocks[..labels.len()];
        let found = hits.len();
        for group in job.groups {
            for (block, label) in blocks.iter_mut().zip(labels) {
                block.0 = *label;
            }
            group.cipher.encrypt_blocks(blocks);
            collect(group, job.difficulty, first, labels, blocks, hits);
        }
        // Groups came one after the other; the order of the result is by label.
        hits[found..].sort_unstable();
    }
}

fn collect(
    group: &NonceGroup,
    difficulty: Difficulty,
    first: u64,
    labels: &[Label],
    blocks: &[Block],
    hits: &mut Vec<Hit>,
) {
    for ((index, label), block) in (first..).zip(labels).zip(blocks) {
        let encrypted: &[u8; 16] = &block.0;
        // Nearly every label misses all 16 nonces, so one branch for all of them.
        if encrypted.iter().fold(false, |any, byte| any | (*byte <= difficulty.msb)) {
            let lanes = (0..encrypted.len()).filter(|lane| group.is_hit(*lane, label, encrypted, difficulty));
            hits.extend(lanes.map(|lane| group.hit(lane, index)));
        }
    }
}
