//! Several labels at once, for any CPU: no instruction beyond what every machine of an architecture has.
//!
//! Two things make it three times as fast as the reference: the ChaCha state is kept as four rows in 128-bit registers
//! (see [`row`](super::row)), and [`LANES`] labels go through each step together, so that the processor always has an
//! independent instruction to run and the table look-ups of one label overlap the arithmetic of the others.

// Lanes and rows are indexed on both sides of most steps; iterators would hide which is which.
#![allow(clippy::needless_range_loop)]

use super::row::Row;
use super::{Block, FullLabel, compress, expand, password};
use crate::identity::Commitment;

/// Labels computed together. Three fill the sixteen registers of x86-64; four spill.
pub const LANES: usize = 3;

/// One ChaCha state of every lane: `state[row][lane]`.
type State<R> = [[R; LANES]; 4];

/// One half of a stored block.
type Half<R> = [R; 4];

/// The tables of one group of labels, reused from group to group. It belongs to one worker.
pub struct Scratch<R> {
    n: usize,
    /// `table[row * LANES + lane]`: what is written together lies together, and a look-up reads 128 B in one place.
    table: Vec<[Half<R>; 2]>,
}

impl<R: Row> Scratch<R> {
    /// Memory for [`LANES`] labels of cost `n`, a power of two: `n · LANES · 128` bytes, taken at once.
    ///
    /// # Errors
    /// The number of bytes that could not be had.
    pub fn new(n: u32) -> Result<Self, u64> {
        let n = n as usize;
        let mut table = Vec::new();
        table.try_reserve_exact(n * LANES).map_err(|_| (n * LANES * size_of::<[Half<R>; 2]>()) as u64)?;
        table.resize(n * LANES, [[R::new([0; 4]); 4]; 2]);
        Ok(Self { n, table })
    }
}

/// Computes full labels, `jobs` and `labels` equally many. A short group costs as much as a full one.
pub fn full_labels<R: Row>(scratch: &mut Scratch<R>, jobs: &[(Commitment, u64)], labels: &mut [FullLabel]) {
    for (jobs, labels) in jobs.chunks(LANES).zip(labels.chunks_mut(LANES)) {
        let mut passwords = [[0; 72]; LANES];
        let mut halves = [[[R::new([0; 4]); LANES]; 4]; 2];
        for (lane, (commitment, index)) in jobs.iter().enumerate() {
            passwords[lane] = password(commitment, *index);
            load(&mut halves, lane, &expand(&passwords[lane]));
        }
        ro_mix(&mut halves, scratch);
        for (lane, label) in labels.iter_mut().enumerate() {
            *label = compress(&passwords[lane], &store(&halves, lane));
        }
    }
}

fn load<R: Row>(halves: &mut [State<R>; 2], lane: usize, block: &Block) {
    for (row, words) in halves.as_flattened_mut().iter_mut().zip(block.as_chunks::<4>().0) {
        row[lane] = R::new(*words);
    }
}

fn store<R: Row>(halves: &[State<R>; 2], lane: usize) -> Block {
    let mut block = [0; 32];
    for (words, row) in block.as_chunks_mut::<4>().0.iter_mut().zip(halves.as_flattened()) {
        *words = row[lane].words();
    }
    block
}

fn ro_mix<R: Row>(halves: &mut [State<R>; 2], scratch: &mut Scratch<R>) {
    let n = scratch.n;
    for stored in scratch.table.chunks_exact_mut(LANES) {
        for (lane, stored) in stored.iter_mut().enumerate() {
            for half in 0..2 {
                for row in 0..4 {
                    stored[half][row] = halves[half][row][lane];
                }
            }
        }
        chunk_mix(halves);
    }
    for _ in 0..n {
        for lane in 0..LANES {
            // integerify: the first word of the second half names the row.
            let at = halves[1][0][lane].first() as usize & (n - 1);
            let stored = &scratch.table[at * LANES + lane];
            for half in 0..2 {
                for row in 0..4 {
                    halves[half][row][lane] = halves[half][row][lane].xor(stored[half][row]);
                }
            }
        }
        chunk_mix(halves);
    }
}

#[inline(always)]
fn chunk_mix<R: Row>([first, second]: &mut [State<R>; 2]) {
    xor(first, second);
    chacha8(first);
    xor(second, first);
    chacha8(second);
}

#[inline(always)]
fn xor<R: Row>(into: &mut State<R>, from: &State<R>) {
    for row in 0..4 {
        for lane in 0..LANES {
            into[row][lane] = into[row][lane].xor(from[row][lane]);
        }
    }
}

#[inline(always)]
fn chacha8<R: Row>(state: &mut State<R>) {
    let input = *state;
    for _ in 0..4 {
        quarter_rounds(state);
        // Turning the rows brings the diagonals into the columns, and back.
        let [_, b, c, d] = state;
        for lane in 0..LANES {
            (b[lane], c[lane], d[lane]) = (b[lane].turn1(), c[lane].turn2(), d[lane].turn3());
        }
        quarter_rounds(state);
        let [_, b, c, d] = state;
        for lane in 0..LANES {
            (b[lane], c[lane], d[lane]) = (b[lane].turn3(), c[lane].turn2(), d[lane].turn1());
        }
    }
    for row in 0..4 {
        for lane in 0..LANES {
            state[row][lane] = state[row][lane].add(input[row][lane]);
        }
    }
}

/// Four quarter rounds side by side, of every lane.
#[inline(always)]
fn quarter_rounds<R: Row>([a, b, c, d]: &mut State<R>) {
    // Each step is done for all lanes before the next: the steps of one lane depend on each other.
    each(|l| a[l] = a[l].add(b[l]));
    each(|l| d[l] = d[l].xor(a[l]).rotate16());
    each(|l| c[l] = c[l].add(d[l]));
    each(|l| b[l] = b[l].xor(c[l]).rotate12());
    each(|l| a[l] = a[l].add(b[l]));
    each(|l| d[l] = d[l].xor(a[l]).rotate8());
    each(|l| c[l] = c[l].add(d[l]));
    each(|l| b[l] = b[l].xor(c[l]).rotate7());
}

#[inline(always)]
fn each(mut step: impl FnMut(usize)) {
    for lane in 0..LANES {
        step(lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::reference;
    use crate::label::row::NativeRow;
    use crate::params::ScryptParams;

    fn groups_of_any_length_equal_the_reference<R: Row>() {
        for n in [2, 4, 64, 1024] {
            let mut scratch = Scratch::<R>::new(n).unwrap();
            for count in 0..=2 * LANES + 1 {
                let jobs: Vec<_> =
                    (0..count as u64).map(|i| (Commitment([i as u8 % 3; 32]), u64::from(u32::MAX) - 3 + i)).collect();
                let mut labels = vec![[0; 32]; count];
                full_labels(&mut scratch, &jobs, &mut labels);
                for ((commitment, index), label) in jobs.iter().zip(labels) {
                    let scrypt = ScryptParams { n, r: 1, p: 1 };
                    assert_eq!(
                        label,
                        reference::full_label(commitment, *index, scrypt).unwrap(),
                        "n {n}, index {index}"
                    );
                }
            }
        }
    }

    #[test]
    fn native_rows_equal_the_reference() {
        groups_of_any_length_equal_the_reference::<NativeRow>();
    }

    #[test]
    fn rows_of_plain_words_equal_the_reference() {
        groups_of_any_length_equal_the_reference::<[u32; 4]>();
    }
}
