//! Labels in, hits out (POST.md section 5).
//!
//! [`reference`] is the readable judge. The other files compute the same faster: `kernel` is written once, over the
//! registers ([`blocks`]) that each instruction tier has in a file of its own. All append hits in ascending order of
//! (index, nonce), which is what makes a proof independent of threads and batches.

mod baseline;
mod blocks;
mod found;
mod kernel;
pub mod reference;
pub mod tier;

#[cfg(target_arch = "x86_64")]
mod aesni;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod vaes256;
#[cfg(target_arch = "x86_64")]
mod vaes512;

use crate::cipher::{Cipher, NONCES_PER_GROUP, RoundKeys};
use crate::difficulty::Difficulty;
use crate::identity::Challenge;

/// One label that satisfies one nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Index of the label in the whole set.
    pub index: u64,
    /// The nonce, 0 … 4095.
    pub nonce: u32,
}

/// The ciphers of 16 nonces.
#[derive(Clone)]
pub struct NonceGroup {
    /// 0 … 255.
    pub group: u32,
    /// The k2pow its ciphers were derived with.
    pub pow: u64,
    /// Decides 255 of 256 cases.
    pub cipher: Cipher,
    /// Decides the rest, one for each nonce.
    pub lazy: [Cipher; NONCES_PER_GROUP as usize],
    /// Their expanded keys once more, close together, for kernels with AES instructions.
    pub lazy_keys: [RoundKeys; NONCES_PER_GROUP as usize],
}

impl NonceGroup {
    /// Derives all 17 keys.
    #[must_use]
    pub fn new(challenge: &Challenge, group: u32, pow: u64) -> Self {
        let lazy: [Cipher; _] =
            std::array::from_fn(|i| Cipher::lazy(challenge, group, pow, group * NONCES_PER_GROUP + i as u32));
        let lazy_keys = std::array::from_fn(|i| *lazy[i].round_keys());
        Self { group, pow, cipher: Cipher::group(challenge, group, pow), lazy, lazy_keys }
    }

    /// Whether the label hits nonce `lane` of this group, given what the group cipher made of it.
    fn is_hit(&self, lane: usize, label: &crate::label::Label, encrypted: &[u8; 16], difficulty: Difficulty) -> bool {
        match encrypted[lane].cmp(&difficulty.msb) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => crate::cipher::lazy_value(&self.lazy[lane].encrypt(label)) < difficulty.lsb,
        }
    }

    fn hit(&self, lane: usize, index: u64) -> Hit {
        Hit { index, nonce: self.group * NONCES_PER_GROUP + lane as u32 }
    }
}

/// What a scan looks for.
pub struct ScanJob<'a> {
    /// The groups of one pass, ascending.
    pub groups: &'a [&'a NonceGroup],
    /// What counts as a hit.
    pub difficulty: Difficulty,
}
