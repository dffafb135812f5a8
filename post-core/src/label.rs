//! The label function, the work that fills the disk (POST.md section 2).
//!
//! [`reference`] is the readable judge: one label, written as the specification reads. The other files compute the same
//! faster. A [`Worker`](worker::Worker) takes jobs through `keccak`, `romix` and `keccak` again; these are written once,
//! over the registers ([`lanes`]) that each instruction tier has in a file of its own.

#[cfg(target_arch = "x86_64")]
mod columns;
mod keccak;
pub mod kernels;
mod lanes;
pub mod reference;
mod romix;
mod rows;
mod scratch;
pub mod tier;
pub(crate) mod tune;
pub mod worker;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod ssse3;
#[cfg(target_arch = "x86_64")]
mod x86;

use pbkdf2::hmac::SimpleHmac;
use sha3::Keccak512;

use crate::identity::Commitment;

/// What is stored: the leading 16 B of a full label.
pub type Label = [u8; LABEL_BYTES];

/// What the label function gives; the VRF nonce compares all of it.
pub type FullLabel = [u8; 32];

/// What to compute: the label of a set (its commitment) at an index.
pub type Job = (Commitment, u64);

/// Size of a stored label.
pub const LABEL_BYTES: usize = 16;

/// The leading bytes that go to disk.
#[must_use]
pub fn stored(full: &FullLabel) -> Label {
    let mut label = [0; LABEL_BYTES];
    label.copy_from_slice(&full[..LABEL_BYTES]);
    label
}

/// ROMix works on 128 B: 32 little-endian words.
type Block = [u32; 32];

/// `commitment ‖ LE64(index) ‖ 0^32`, the scrypt password of one label.
fn password(commitment: &Commitment, index: u64) -> [u8; 72] {
    let mut password = [0; 72];
    password[..32].copy_from_slice(&commitment.0);
    password[32..40].copy_from_slice(&index.to_le_bytes());
    password
}

/// The one-iteration PBKDF2 over HMAC with original-padding Keccak-512 that opens and closes every label.
fn pbkdf2(password: &[u8; 72], salt: &[u8], out: &mut [u8]) {
    // HMAC takes keys of any length, which is the one thing that this could refuse.
    let done = pbkdf2::pbkdf2::<SimpleHmac<Keccak512>>(password, salt, 1, out);
    debug_assert!(done.is_ok());
}

/// First half of a label: the 128 B that ROMix starts from.
fn expand(password: &[u8; 72]) -> Block {
    let mut bytes = [0; 128];
    pbkdf2(password, &[], &mut bytes);
    let mut block = [0; 32];
    for (word, bytes) in block.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    block
}

/// Second half of a label: what ROMix left becomes the salt.
fn compress(password: &[u8; 72], block: &Block) -> FullLabel {
    let mut salt = [0; 128];
    for (bytes, word) in salt.as_chunks_mut::<4>().0.iter_mut().zip(block) {
        *bytes = word.to_le_bytes();
    }
    let mut label = [0; 32];
    pbkdf2(password, &salt, &mut label);
    label
}
