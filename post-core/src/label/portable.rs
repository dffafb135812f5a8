//! Several labels at once in plain Rust, for any CPU.
//!
//! Two things make it faster than the reference. The ChaCha state is kept as four rows of four words, so that the
//! compiler uses the machine's 128-bit registers. And [`LANES`] labels take turns row by row, so that the arithmetic
//! of one hides the memory latency of the others.

use super::{Block, FullLabel, compress, expand, password};
use crate::identity::Commitment;

/// Labels computed together; the scratch holds this many tables.
pub const LANES: usize = 4;

/// Four words side by side: one row of a ChaCha state.
type Row = [u32; 4];

/// A ChaCha state as rows.
type State = [Row; 4];

/// Both halves of a block.
type Pair = [State; 2];

/// The tables of one group of labels, reused from group to group. It belongs to one worker.
pub struct Scratch {
    n: usize,
    /// `table[row * LANES + lane]`: the rows that are written together lie together.
    table: Vec<Pair>,
}

impl Scratch {
    /// Memory for [`LANES`] labels of cost `n`: `n · 512` bytes, taken at once.
    ///
    /// # Errors
    /// The number of bytes that could not be had.
    pub fn new(n: u32) -> Result<Self, u64> {
        let n = n as usize;
        let mut table = Vec::new();
        table.try_reserve_exact(n * LANES).map_err(|_| (n * LANES * size_of::<Pair>()) as u64)?;
        table.resize(n * LANES, [[[0; 4]; 4]; 2]);
        Ok(Self { n, table })
    }

    /// The cost parameter N this scratch was made for.
    #[must_use]
    pub fn n(&self) -> u32 {
        u32::try_from(self.n).unwrap_or(u32::MAX)
    }
}

/// Computes up to [`LANES`] full labels; `labels` and `jobs` are equally long. A short group costs as much as a full one.
pub fn full_labels(scratch: &mut Scratch, jobs: &[(Commitment, u64)], labels: &mut [FullLabel]) {
    for (jobs, labels) in jobs.chunks(LANES).zip(labels.chunks_mut(LANES)) {
        let mut passwords = [[0; 72]; LANES];
        let mut group = [[[[0; 4]; 4]; 2]; LANES];
        for (lane, (commitment, index)) in jobs.iter().enumerate() {
            passwords[lane] = password(commitment, *index);
            group[lane] = to_rows(&expand(&passwords[lane]));
        }
        ro_mix(&mut group, &mut scratch.table, scratch.n);
        for (lane, label) in labels.iter_mut().enumerate() {
            *label = compress(&passwords[lane], &from_rows(&group[lane]));
        }
    }
}

fn to_rows(block: &Block) -> Pair {
    let mut pair = [[[0; 4]; 4]; 2];
    for (row, words) in pair.as_flattened_mut().iter_mut().zip(block.as_chunks::<4>().0) {
        *row = *words;
    }
    pair
}

fn from_rows(pair: &Pair) -> Block {
    let mut block = [0; 32];
    block.copy_from_slice(pair.as_flattened().as_flattened());
    block
}

fn ro_mix(group: &mut [Pair; LANES], table: &mut [Pair], n: usize) {
    for rows in table.chunks_exact_mut(LANES).take(n) {
        for (pair, stored) in group.iter_mut().zip(rows) {
            *stored = *pair;
            chunk_mix(pair);
        }
    }
    for _ in 0..n {
        for (lane, pair) in group.iter_mut().enumerate() {
            // integerify: the first word of the second half names the row.
            let row = pair[1][0][0] as usize & (n - 1);
            let stored = &table[row * LANES + lane];
            for half in 0..2 {
                pair[half] = xor(pair[half], stored[half]);
            }
            chunk_mix(pair);
        }
    }
}

#[inline(always)]
fn chunk_mix(pair: &mut Pair) {
    pair[0] = chacha8(xor(pair[0], pair[1]));
    pair[1] = chacha8(xor(pair[1], pair[0]));
}

#[inline(always)]
fn xor(a: State, b: State) -> State {
    std::array::from_fn(|row| xor_rows(a[row], b[row]))
}

#[inline(always)]
fn chacha8(input: State) -> State {
    let [mut a, mut b, mut c, mut d] = input;
    for _ in 0..4 {
        quarter_rounds(&mut a, &mut b, &mut c, &mut d);
        // Turning the rows brings the diagonals into the columns, and back.
        (b, c, d) = (turn::<1>(b), turn::<2>(c), turn::<3>(d));
        quarter_rounds(&mut a, &mut b, &mut c, &mut d);
        (b, c, d) = (turn::<3>(b), turn::<2>(c), turn::<1>(d));
    }
    [add(input[0], a), add(input[1], b), add(input[2], c), add(input[3], d)]
}

/// Four quarter rounds side by side.
#[inline(always)]
fn quarter_rounds(a: &mut Row, b: &mut Row, c: &mut Row, d: &mut Row) {
    *a = add(*a, *b);
    *d = rotate::<16>(xor_rows(*d, *a));
    *c = add(*c, *d);
    *b = rotate::<12>(xor_rows(*b, *c));
    *a = add(*a, *b);
    *d = rotate::<8>(xor_rows(*d, *a));
    *c = add(*c, *d);
    *b = rotate::<7>(xor_rows(*b, *c));
}

#[inline(always)]
fn add(a: Row, b: Row) -> Row {
    std::array::from_fn(|i| a[i].wrapping_add(b[i]))
}

#[inline(always)]
fn xor_rows(a: Row, b: Row) -> Row {
    std::array::from_fn(|i| a[i] ^ b[i])
}

#[inline(always)]
fn rotate<const BITS: u32>(a: Row) -> Row {
    std::array::from_fn(|i| a[i].rotate_left(BITS))
}

/// Moves each word `BY` places down.
#[inline(always)]
fn turn<const BY: usize>(a: Row) -> Row {
    std::array::from_fn(|i| a[(i + BY) % 4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::reference;
    use crate::params::ScryptParams;

    #[test]
    fn groups_of_any_length_equal_the_reference() {
        for n in [2, 4, 64, 1024] {
            let mut scratch = Scratch::new(n).unwrap();
            for count in 0..=2 * LANES + 1 {
                let jobs: Vec<_> = (0..count as u64)
                    .map(|i| (Commitment([i as u8 % 3; 32]), u64::from(u32::MAX) - 3 + i))
                    .collect();
                let mut labels = vec![[0; 32]; count];
                full_labels(&mut scratch, &jobs, &mut labels);
                for ((commitment, index), label) in jobs.iter().zip(labels) {
                    let scrypt = ScryptParams { n, r: 1, p: 1 };
                    assert_eq!(label, reference::full_label(commitment, *index, scrypt).unwrap(), "n {n}, index {index}");
                }
            }
        }
    }
}
