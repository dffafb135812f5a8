//! One label, step by step as POST.md section 2 tells it. Slow on purpose: this is what faster code is judged by.

use super::{Block, FullLabel, compress, expand, password};
use crate::identity::Commitment;
use crate::params::{ParamsError, ScryptParams};

/// The full 32 B label at `index`.
///
/// # Errors
/// [`ParamsError::ScryptN`] or [`ParamsError::ScryptRp`] when the label function is not defined for `scrypt`.
pub fn full_label(commitment: &Commitment, index: u64, scrypt: ScryptParams) -> Result<FullLabel, ParamsError> {
    full_label_in(&mut Vec::new(), commitment, index, scrypt)
}

/// The same with a table that is used again: many labels one after the other, as the yardstick of faster code.
pub(super) fn full_label_in(
    table: &mut Vec<Block>,
    commitment: &Commitment,
    index: u64,
    scrypt: ScryptParams,
) -> Result<FullLabel, ParamsError> {
    scrypt.check()?;
    let password = password(commitment, index);
    let mut block = expand(&password);
    ro_mix(&mut block, table, scrypt.n as usize);
    Ok(compress(&password, &block))
}

/// Fills a table of N blocks, then walks it N times in an order that depends on the data.
fn ro_mix(block: &mut Block, table: &mut Vec<Block>, n: usize) {
    table.clear();
    table.reserve_exact(n);
    for _ in 0..n {
        table.push(*block);
        chunk_mix(block);
    }
    for _ in 0..n {
        let row = integerify(block) & (n - 1);
        for (word, stored) in block.iter_mut().zip(&table[row]) {
            *word ^= stored;
        }
        chunk_mix(block);
    }
}

/// The first word of the second half names the next row.
fn integerify(block: &Block) -> usize {
    block[16] as usize
}

/// With r = 1 each half is mixed into the other, in place.
fn chunk_mix(block: &mut Block) {
    let (first, second) = block.split_at_mut(16);
    xor(first, second);
    chacha8(first);
    xor(second, first);
    chacha8(second);
}

fn xor(into: &mut [u32], from: &[u32]) {
    for (a, b) in into.iter_mut().zip(from) {
        *a ^= b;
    }
}

/// ChaCha with 8 rounds and the feed-forward of its input.
fn chacha8(state: &mut [u32]) {
    let mut x = [0_u32; 16];
    x.copy_from_slice(state);
    for _ in 0..4 {
        quarter_round(&mut x, 0, 4, 8, 12);
        quarter_round(&mut x, 1, 5, 9, 13);
        quarter_round(&mut x, 2, 6, 10, 14);
        quarter_round(&mut x, 3, 7, 11, 15);
        quarter_round(&mut x, 0, 5, 10, 15);
        quarter_round(&mut x, 1, 6, 11, 12);
        quarter_round(&mut x, 2, 7, 8, 13);
        quarter_round(&mut x, 3, 4, 9, 14);
    }
    for (word, mixed) in state.iter_mut().zip(x) {
        *word = word.wrapping_add(mixed);
    }
}

fn quarter_round(x: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(16);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(12);
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(8);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(7);
}
