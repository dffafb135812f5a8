//! k2pow: the RandomX work that opens each nonce group, so that trying many nonces costs something (POST.md section 5).

pub mod randomx;

pub use randomx::{HashRate, LazyRandomX, Mode, Options, Pages};

use crate::identity::{Challenge, NodeId};
use crate::watch::Watch;

/// A pow is below 2^56: only seven of its bytes enter the hash.
pub const POW_LIMIT: u64 = 1 << 56;

/// What a pow is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PowInput {
    /// Nonce group, 0 … 255.
    pub group: u8,
    /// The first 8 bytes of the challenge.
    pub challenge: [u8; 8],
    /// The miner.
    pub node_id: NodeId,
}

impl PowInput {
    /// The input of one group.
    #[must_use]
    pub fn new(group: u8, challenge: &Challenge, node_id: NodeId) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&challenge.0[..8]);
        Self { group, challenge: first, node_id }
    }

    /// The 48 hashed bytes: seven of `pow`, the group, 8 B challenge, 32 B node id.
    #[must_use]
    pub fn bytes(&self, pow: u64) -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&pow.to_le_bytes());
        bytes[7] = self.group;
        bytes[8..16].copy_from_slice(&self.challenge);
        bytes[16..].copy_from_slice(&self.node_id.0);
        bytes
    }
}

/// Why no pow was found or judged.
#[derive(Debug, thiserror::Error)]
pub enum PowError {
    /// RandomX could not get its memory.
    #[error("RandomX needs {mib} MiB for its {what} and did not get it; free memory, or use light mode")]
    OutOfMemory {
        /// `cache` or `dataset`.
        what: &'static str,
        /// Its size.
        mib: u32,
    },
    /// A virtual machine could not be made.
    #[error("RandomX could not make a virtual machine; most likely memory is short, free some")]
    NoMachine,
    /// Someone asked to stop.
    #[error("stopped while searching a k2pow; run the same command again")]
    Stopped,
    /// All 2^56 values were tried.
    #[error("no k2pow below 2^56 meets the target; the network's pow_difficulty is too small to be met")]
    Exhausted,
    /// Another machine was asked for the pow.
    #[error("the k2pow worker {worker}: {reason}")]
    Worker {
        /// Its address.
        worker: String,
        /// What it said or failed to do, and the cure.
        reason: String,
    },
}

/// Finds pows.
pub trait PowProver: Sync {
    /// The smallest pow whose hash is below `target` (32 B, big endian).
    ///
    /// # Errors
    /// Every [`PowError`].
    fn prove(&self, input: &PowInput, target: &[u8; 32], watch: &dyn Watch) -> Result<u64, PowError>;
}

/// A pow to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PowClaim {
    /// What it is bound to.
    pub input: PowInput,
    /// The pow itself, below [`POW_LIMIT`].
    pub pow: u64,
    /// What its hash must be below, 32 B, big endian.
    pub target: [u8; 32],
}

/// Judges pows.
pub trait PowVerifier: Sync {
    /// Whether the hash of `pow` is below `target` (32 B, big endian).
    ///
    /// # Errors
    /// [`PowError::OutOfMemory`] and [`PowError::NoMachine`] when it can't be told.
    fn verify(&self, input: &PowInput, pow: u64, target: &[u8; 32]) -> Result<bool, PowError>;

    /// The same for many, on all threads it has; the answers are in the order of `claims`. None is hashed after an error.
    ///
    /// # Errors
    /// As [`PowVerifier::verify`].
    fn verify_all(&self, claims: &[PowClaim]) -> Result<Vec<bool>, PowError> {
        claims.iter().map(|PowClaim { input, pow, target }| self.verify(input, *pow, target)).collect()
    }
}
