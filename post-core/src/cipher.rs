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
pub struct Cipher {
    key: [u8; 16],
    aes: Aes128,
}

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
        Self { key, aes: Aes128::new(&key.into()) }
    }

    /// The derived key, for kernels that expand it themselves.
    #[must_use]
    pub fn key(&self) -> &[u8; 16] {
        &self.key
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

/// The low 56 bits that a lazy cipher's output is judged by.
#[must_use]
pub fn lazy_value(encrypted: &[u8; 16]) -> u64 {
    u64::from_le_bytes(*encrypted.first_chunk().unwrap_or(&[0; 8])) & crate::difficulty::LOW_56
}
