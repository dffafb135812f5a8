//! The ciphers that turn a label into hits (POST.md section 5).

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};

use crate::identity::Challenge;
use crate::label::Label;

/// Nonces that share one cipher.
pub const NONCES_PER_GROUP: u32 = 16;

/// Groups a proof may come from: 0 … 255.
pub const MAX_GROUPS: u32 = 256;

/// AES-128 under the key of a nonce group or of a single nonce.
#[derive(Clone)]
pub struct Cipher {
    aes: Aes128,
    round_keys: RoundKeys,
}

/// The expanded key: what is mixed in before the first and after each of ten rounds.
pub type RoundKeys = [[u8; 16]; 11];

impl Cipher {
    /// The cipher of group `group`: one byte of its output decides for each of 16 nonces.
    #[must_use]
    pub fn group(challenge: &Challenge, group: u32, pow: u64) -> Self {
        Self::new(challenge, group, pow, &[])
    }

    /// The lazy cipher of nonce `nonce` (absolute), asked only when the group's byte leaves it open.
    #[must_use]
    pub fn lazy(challenge: &Challenge, group: u32, pow: u64, nonce: u32) -> Self {
        Self::new(challenge, group, pow, &nonce.to_le_bytes())
    }

    fn new(challenge: &Challenge, group: u32, pow: u64, suffix: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&challenge.0).update(&group.to_le_bytes()).update(&pow.to_le_bytes()).update(suffix);
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        Self { aes: Aes128::new(&key.into()), round_keys: expand_key(key) }
    }

    /// The derived key, for kernels that expand it themselves.
    #[must_use]
    pub fn key(&self) -> &[u8; 16] {
        &self.round_keys[0]
    }

    /// The expanded key, for kernels with AES instructions.
    #[must_use]
    pub fn round_keys(&self) -> &RoundKeys {
        &self.round_keys
    }

    /// One label encrypted.
    #[must_use]
    pub fn encrypt(&self, label: &Label) -> [u8; 16] {
        let mut block = Block::from(*label);
        self.aes.encrypt_block(&mut block);
        block.into()
    }

    /// Many labels encrypted in place.
    pub fn encrypt_blocks(&self, blocks: &mut [Block]) {
        self.aes.encrypt_blocks(blocks);
    }
}

/// A lazy cipher's output is judged by the low 56 bits of its first eight bytes.
pub(crate) const LAZY_MASK: u64 = crate::difficulty::LOW_56;

/// What a lazy cipher's output is judged by.
#[must_use]
pub fn lazy_value(encrypted: &[u8; 16]) -> u64 {
    u64::from_le_bytes(*encrypted.first_chunk().unwrap_or(&[0; 8])) & LAZY_MASK
}

/// The key schedule of AES-128 (FIPS 197, section 5.2). Table look-ups are fine: these keys are no secrets.
fn expand_key(key: [u8; 16]) -> RoundKeys {
    let mut keys = [key; 11];
    let mut constant = 1;
    for round in 1..keys.len() {
        let [.., a, b, c, d] = keys[round - 1];
        let mut word = [b, c, d, a].map(|byte| S_BOX[usize::from(byte)]);
        word[0] ^= constant;
        constant = double(constant);
        for at in 0..16 {
            word[at % 4] ^= keys[round - 1][at];
            keys[round][at] = word[at % 4];
        }
    }
    keys
}

/// Multiplication by x in the field of AES.
const fn double(byte: u8) -> u8 {
    (byte << 1) ^ ((byte >> 7) * 0x1b)
}

/// The substitution of one byte, for kernels with tables.
pub const S_BOX: [u8; 256] = s_box();

/// FIPS 197, section 5.1.1. 3 generates all of the field but 0, and 0xf6 is its inverse: so two powers walk through all
/// bytes and their inverses.
const fn s_box() -> [u8; 256] {
    let mut table = [0x63; 256];
    let (mut power, mut inverse): (u8, u8) = (1, 1);
    loop {
        let mixed =
            inverse ^ inverse.rotate_left(1) ^ inverse.rotate_left(2) ^ inverse.rotate_left(3) ^ inverse.rotate_left(4);
        table[power as usize] = mixed ^ 0x63;
        power ^= double(power);
        inverse = by_f6(inverse);
        if power == 1 {
            return table;
        }
    }
}

/// Division by 3 in the field of AES, that is multiplication by 0xf6 = 0b1111_0110.
const fn by_f6(byte: u8) -> u8 {
    let (mut product, mut factor, mut bit) = (0, byte, 0);
    while bit < 8 {
        if 0xf6 >> bit & 1 == 1 {
            product ^= factor;
        }
        factor = double(factor);
        bit += 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use aes::cipher::BlockCipherEncrypt;

    use super::*;

    /// The rounds of FIPS 197, section 5.1, byte by byte, under our schedule.
    fn encrypt(keys: &RoundKeys, block: [u8; 16]) -> [u8; 16] {
        let add = |state: [u8; 16], key: &[u8; 16]| -> [u8; 16] { std::array::from_fn(|i| state[i] ^ key[i]) };
        let mut state = add(block, &keys[0]);
        for (round, key) in keys.iter().enumerate().skip(1) {
            let shifted: [u8; 16] = std::array::from_fn(|i| S_BOX[usize::from(state[(i + 4 * (i % 4)) % 16])]);
            let mixed: [u8; 16] = std::array::from_fn(|i| {
                let at = |k: usize| shifted[i / 4 * 4 + (i + k) % 4];
                double(at(0)) ^ double(at(1)) ^ at(1) ^ at(2) ^ at(3)
            });
            state = add(if round == 10 { shifted } else { mixed }, key);
        }
        state
    }

    #[test]
    fn the_key_schedule_encrypts_as_the_aes_crate_does() {
        for seed in 0..50_u8 {
            let key: [u8; 16] = std::array::from_fn(|i| seed.wrapping_mul(37) ^ (i as u8).wrapping_mul(seed | 1));
            let block = key.map(|byte| byte.wrapping_add(99));
            let mut expected = Block::from(block);
            Aes128::new(&key.into()).encrypt_block(&mut expected);
            assert_eq!(encrypt(&expand_key(key), block), <[u8; 16]>::from(expected));
        }
    }
}
