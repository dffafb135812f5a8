//! The one-iteration PBKDF2 over HMAC with original-padding Keccak-512 that opens and closes every label, for several
//! labels at once (FIPS 202 for the permutation, RFC 2104, RFC 8018, POST.md section 2).
//!
//! Written over arrays of words, one a label, which the compiler turns into the registers of the tier that asks.

// Positions in the state are what the algorithm is about.
#![allow(clippy::needless_range_loop)]

use super::Job;
use super::lanes::Line;

/// The same word of `L` labels.
type Words<const L: usize> = [u64; L];

/// The Keccak state of `L` labels.
type State<const L: usize> = [Words<L>; 25];

/// Words of a block: 72 B, the rate of Keccak-512.
const RATE: usize = 9;

/// Words of a digest.
const DIGEST: usize = 8;

/// The bit that ends every padded block.
const PAD_END: u64 = 0x80 << 56;

/// One label's HMAC after its key: what both halves of a label begin with.
#[derive(Clone, Copy)]
pub(super) struct Keyed {
    inner: [u64; 25],
    outer: [u64; 25],
}

impl Keyed {
    pub(super) const ZERO: Self = Self { inner: [0; 25], outer: [0; 25] };
}

/// First half of up to `L` labels: the 128 B that ROMix starts from. `jobs`, `keyed` and `blocks` are equally many.
#[inline(always)]
pub(super) fn expand<const L: usize>(jobs: &[Job], keyed: &mut [Keyed], blocks: &mut [Line]) {
    let mut inner = [[0; L]; 25];
    for (lane, (commitment, index)) in jobs.iter().enumerate().take(L) {
        // The password is as long as a block, so it is the HMAC key as it is.
        for (word, bytes) in commitment.0.as_chunks::<8>().0.iter().enumerate() {
            inner[word][lane] = u64::from_le_bytes(*bytes);
        }
        inner[4][lane] = *index;
    }
    let mut outer = inner;
    for word in 0..RATE {
        for lane in 0..L {
            inner[word][lane] ^= 0x3636_3636_3636_3636;
            outer[word][lane] ^= 0x5c5c_5c5c_5c5c_5c5c;
        }
    }
    permute(&mut inner);
    permute(&mut outer);
    for (lane, keyed) in keyed.iter_mut().enumerate().take(L) {
        for word in 0..25 {
            (keyed.inner[word], keyed.outer[word]) = (inner[word][lane], outer[word][lane]);
        }
    }
    for part in 0..2 {
        // The message is the block's number, counted from 1: four bytes, big-endian, and the padding.
        let mut state = inner;
        for lane in 0..L {
            state[0][lane] ^= (part as u64 + 1) << 24 | 1 << 32;
            state[8][lane] ^= PAD_END;
        }
        permute(&mut state);
        let digest = finish(outer, &state);
        for (lane, block) in blocks.iter_mut().enumerate().take(L) {
            for word in 0..DIGEST {
                let at = part * 16 + word * 2;
                (block.0[at], block.0[at + 1]) = (digest[word][lane] as u32, (digest[word][lane] >> 32) as u32);
            }
        }
    }
}

/// Second half of up to `L` labels: what ROMix left becomes the salt.
#[inline(always)]
pub(super) fn compress<const L: usize>(blocks: &[Line], keyed: &[Keyed], labels: &mut [[u8; 32]]) {
    let (mut state, mut outer, mut tail) = ([[0; L]; 25], [[0; L]; 25], [[0; L]; 7]);
    for (lane, (block, keyed)) in blocks.iter().zip(keyed).enumerate().take(L) {
        let salt = |word: usize| u64::from(block.0[2 * word]) | u64::from(block.0[2 * word + 1]) << 32;
        for word in 0..25 {
            (state[word][lane], outer[word][lane]) = (keyed.inner[word], keyed.outer[word]);
        }
        for word in 0..RATE {
            state[word][lane] ^= salt(word);
        }
        for word in 0..7 {
            tail[word][lane] = salt(RATE + word);
        }
    }
    permute(&mut state);
    for lane in 0..L {
        for word in 0..7 {
            state[word][lane] ^= tail[word][lane];
        }
        state[7][lane] ^= 1 << 24 | 1 << 32;
        state[8][lane] ^= PAD_END;
    }
    permute(&mut state);
    let digest = finish(outer, &state);
    for (lane, label) in labels.iter_mut().enumerate().take(L) {
        for (word, bytes) in label.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *bytes = digest[word][lane].to_le_bytes();
        }
    }
}

/// The outer hash of HMAC: the inner digest is its message.
#[inline(always)]
fn finish<const L: usize>(mut outer: State<L>, inner: &State<L>) -> State<L> {
    for lane in 0..L {
        for word in 0..DIGEST {
            outer[word][lane] ^= inner[word][lane];
        }
        outer[8][lane] ^= 1 | PAD_END;
    }
    permute(&mut outer);
    outer
}

const ROUND_CONSTANTS: [u64; 24] = round_constants();

/// FIPS 202, section 3.2.5: bits of a linear feedback shift register.
const fn round_constants() -> [u64; 24] {
    let mut constants = [0; 24];
    let mut register: u16 = 1;
    let mut round = 0;
    while round < 24 {
        let mut j = 0;
        while j <= 6 {
            if register & 1 == 1 {
                constants[round] |= 1 << ((1_u64 << j) - 1);
            }
            register <<= 1;
            if register & 0x100 != 0 {
                register ^= 0x171;
            }
            j += 1;
        }
        round += 1;
    }
    constants
}

/// Where rho and pi take the words after word 1, in the order of the walk, and by how many bits they are rotated.
const PI: [usize; 24] = [10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1];

#[inline(always)]
fn xor<const L: usize>(a: Words<L>, b: Words<L>) -> Words<L> {
    let mut out = a;
    for lane in 0..L {
        out[lane] ^= b[lane];
    }
    out
}

#[inline(always)]
fn rotate<const L: usize>(a: Words<L>, bits: u32) -> Words<L> {
    let mut out = a;
    for lane in 0..L {
        out[lane] = out[lane].rotate_left(bits);
    }
    out
}

/// Keccak-f[1600] of `L` states.
#[inline(always)]
fn permute<const L: usize>(state: &mut State<L>) {
    for constant in ROUND_CONSTANTS {
        let mut column = [[0; L]; 5];
        for x in 0..5 {
            column[x] = xor(xor(xor(state[x], state[x + 5]), xor(state[x + 10], state[x + 15])), state[x + 20]);
        }
        for x in 0..5 {
            let change = xor(column[(x + 4) % 5], rotate(column[(x + 1) % 5], 1));
            for y in 0..5 {
                state[x + 5 * y] = xor(state[x + 5 * y], change);
            }
        }
        let mut moving = state[1];
        let mut bits = 0;
        for step in 0..24 {
            bits += step as u32 + 1;
            let next = state[PI[step]];
            state[PI[step]] = rotate(moving, bits % 64);
            moving = next;
        }
        for y in 0..5 {
            let row = [state[5 * y], state[5 * y + 1], state[5 * y + 2], state[5 * y + 3], state[5 * y + 4]];
            for x in 0..5 {
                let (next, after) = (row[(x + 1) % 5], row[(x + 2) % 5]);
                for lane in 0..L {
                    state[5 * y + x][lane] = row[x][lane] ^ (!next[lane] & after[lane]);
                }
            }
        }
        for lane in 0..L {
            state[0][lane] ^= constant;
        }
    }
}
