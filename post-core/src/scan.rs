//! Labels in, hits out (POST.md section 5).
//!
//! [`reference`] is the readable judge, [`portable`] the same in blocks. Both append hits in ascending order of
//! (index, nonce), which is what makes a proof independent of threads and batches.

pub mod portable;
pub mod reference;

use crate::cipher::{Cipher, NONCES_PER_GROUP};
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
pub struct NonceGroup {
    /// 0 … 255.
    pub group: u32,
    /// The k2pow its ciphers were derived with.
    pub pow: u64,
    /// Decides 255 of 256 cases.
    pub cipher: Cipher,
    /// Decides the rest, one for each nonce.
    pub lazy: [Cipher; NONCES_PER_GROUP as usize],
}

impl NonceGroup {
    /// Derives all 17 keys.
    #[must_use]
    pub fn new(challenge: &Challenge, group: u32, pow: u64) -> Self {
        Self {
            group,
            pow,
            cipher: Cipher::group(challenge, group, pow),
            lazy: std::array::from_fn(|i| Cipher::lazy(challenge, group, pow, group * NONCES_PER_GROUP + i as u32)),
        }
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
