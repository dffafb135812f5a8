//! The one-iteration PBKDF2 over HMAC with original-padding Keccak-512 that opens and closes every label, for several
//! labels at once (FIPS 202 for the permutation, RFC 2104, RFC 8018, POST.md section 2).
//!
//! Written once over a register that holds the same word of several labels, [`Words`]. Left to itself, the compiler turns
//! arrays of words into gathers and scatters, at a twentieth of the speed.

// Positions in the state are what the algorithm is about.
#![allow(clippy::needless_range_loop)]

use super::Job;
use super::lanes::Line;

/// The same 64-bit word of `LABELS` labels. As with [`Lanes`](super::lanes::Lanes), only code that has the tier's instructions
/// calls these.
pub(super) trait Words: Copy {
    /// Labels side by side, at most [`MAX_LABELS`].
    const LABELS: usize;

    /// The words of `LABELS` labels; the rest is of no use.
    fn from_array(words: [u64; MAX_LABELS]) -> Self;
    /// The way back; the rest is anything.
    fn to_array(self) -> [u64; MAX_LABELS];

    /// The same word everywhere.
    #[inline(always)]
    fn splat(word: u64) -> Self {
        Self::from_array([word; MAX_LABELS])
    }

    /// Exclusive or.
    fn xor(self, other: Self) -> Self;
    /// Rotated left by 1 to 63 bits.
    fn rotate(self, bits: u32) -> Self;
    /// `self ^ (!a & b)`.
    fn chi(self, a: Self, b: Self) -> Self;
}

/// Labels in the widest register.
pub(super) const MAX_LABELS: usize = 8;

/// One label at a time, for tiers whose registers would not make it faster.
impl Words for u64 {
    const LABELS: usize = 1;

    #[inline(always)]
    fn from_array([word, ..]: [u64; MAX_LABELS]) -> Self {
        word
    }
    #[inline(always)]
    fn to_array(self) -> [u64; MAX_LABELS] {
        [self; MAX_LABELS]
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }
    #[inline(always)]
    fn rotate(self, bits: u32) -> Self {
        self.rotate_left(bits)
    }
    #[inline(always)]
    fn chi(self, a: Self, b: Self) -> Self {
        self ^ (!a & b)
    }
}

/// The Keccak state of some labels.
type State<W> = [W; 25];

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

/// One word of up to `W::LABELS` labels.
#[inline(always)]
fn gather<W: Words>(labels: usize, word_of: impl Fn(usize) -> u64) -> W {
    let mut words = [0; MAX_LABELS];
    for (label, word) in words.iter_mut().enumerate().take(labels.min(W::LABELS)) {
        *word = word_of(label);
    }
    W::from_array(words)
}

/// First half of up to `W::LABELS` labels: the 128 B that ROMix starts from. `jobs`, `keyed` and `blocks` are equally many.
#[inline(always)]
pub(super) fn expand<W: Words>(jobs: &[Job], keyed: &mut [Keyed], blocks: &mut [Line]) {
    let mut inner = [W::splat(0x3636_3636_3636_3636); 25];
    let mut outer = [W::splat(0x5c5c_5c5c_5c5c_5c5c); 25];
    for word in RATE..25 {
        (inner[word], outer[word]) = (W::splat(0), W::splat(0));
    }
    // The password is as long as a block, so it is the HMAC key as it is.
    for word in 0..5 {
        let key = gather::<W>(jobs.len(), |label| {
            let (commitment, index) = &jobs[label];
            commitment.0.as_chunks::<8>().0.get(word).map_or(*index, |bytes| u64::from_le_bytes(*bytes))
        });
        (inner[word], outer[word]) = (inner[word].xor(key), outer[word].xor(key));
    }
    permute(&mut inner);
    permute(&mut outer);
    for word in 0..25 {
        let (inner, outer) = (inner[word].to_array(), outer[word].to_array());
        for (label, keyed) in keyed.iter_mut().enumerate().take(W::LABELS) {
            (keyed.inner[word], keyed.outer[word]) = (inner[label], outer[label]);
        }
    }
    for part in 0..2 {
        // The message is the block's number, counted from 1: four bytes, big-endian, and the padding.
        let mut state = inner;
        state[0] = state[0].xor(W::splat((part as u64 + 1) << 24 | 1 << 32));
        state[8] = state[8].xor(W::splat(PAD_END));
        permute(&mut state);
        let digest = finish(outer, &state);
        for word in 0..DIGEST {
            let (at, words) = (part * 16 + word * 2, digest[word].to_array());
            for (label, block) in blocks.iter_mut().enumerate().take(W::LABELS) {
                (block.0[at], block.0[at + 1]) = (words[label] as u32, (words[label] >> 32) as u32);
            }
        }
    }
}

/// Second half of up to `W::LABELS` labels: what ROMix left becomes the salt. All three are equally many.
#[inline(always)]
pub(super) fn compress<W: Words>(blocks: &[Line], keyed: &[Keyed], labels: &mut [[u8; 32]]) {
    let salt = |word: usize| {
        gather::<W>(blocks.len(), |label| {
            let block = &blocks[label].0;
            u64::from(block[2 * word]) | u64::from(block[2 * word + 1]) << 32
        })
    };
    let (mut state, mut outer) = ([W::splat(0); 25], [W::splat(0); 25]);
    for word in 0..25 {
        state[word] = gather(keyed.len(), |label| keyed[label].inner[word]);
        outer[word] = gather(keyed.len(), |label| keyed[label].outer[word]);
    }
    for word in 0..RATE {
        state[word] = state[word].xor(salt(word));
    }
    permute(&mut state);
    for word in 0..7 {
        state[word] = state[word].xor(salt(RATE + word));
    }
    state[7] = state[7].xor(W::splat(1 << 24 | 1 << 32));
    state[8] = state[8].xor(W::splat(PAD_END));
    permute(&mut state);
    let digest = finish(outer, &state);
    for word in 0..4 {
        let words = digest[word].to_array();
        for (label, out) in labels.iter_mut().enumerate().take(W::LABELS) {
            out[8 * word..][..8].copy_from_slice(&words[label].to_le_bytes());
        }
    }
}

/// The outer hash of HMAC: the inner digest is its message.
#[inline(always)]
fn finish<W: Words>(mut outer: State<W>, inner: &State<W>) -> State<W> {
    for word in 0..DIGEST {
        outer[word] = outer[word].xor(inner[word]);
    }
    outer[8] = outer[8].xor(W::splat(1 | PAD_END));
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

/// Steps of the walk, written out: a loop that the compiler leaves one would keep the state in memory.
macro_rules! rho_pi {
    ($state:ident, $moving:ident, $($step:literal)*) => {
        $({
            const TO: usize = PI[$step];
            const BITS: u32 = ($step + 1) * ($step + 2) / 2 % 64;
            let next = $state[TO];
            $state[TO] = $moving.rotate(BITS);
            $moving = next;
        })*
        // The walk ends where it began.
        let _ = $moving;
    };
}

/// Keccak-f[1600] of every label's state.
#[inline(always)]
fn permute<W: Words>(state: &mut State<W>) {
    for constant in ROUND_CONSTANTS {
        let mut column = [state[0]; 5];
        for x in 0..5 {
            column[x] = state[x].xor(state[x + 5]).xor(state[x + 10]).xor(state[x + 15]).xor(state[x + 20]);
        }
        for x in 0..5 {
            let change = column[(x + 4) % 5].xor(column[(x + 1) % 5].rotate(1));
            for y in 0..5 {
                state[x + 5 * y] = state[x + 5 * y].xor(change);
            }
        }
        let mut moving = state[1];
        rho_pi!(state, moving, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
        for y in 0..5 {
            let row = [state[5 * y], state[5 * y + 1], state[5 * y + 2], state[5 * y + 3], state[5 * y + 4]];
            for x in 0..5 {
                state[5 * y + x] = row[x].chi(row[(x + 1) % 5], row[(x + 2) % 5]);
            }
        }
        state[0] = state[0].xor(W::splat(constant));
    }
}
