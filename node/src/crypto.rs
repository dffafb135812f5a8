//! Signatures and draws, as the machines see them: a real network's are Ed25519 and RFC 9381, a simulated one's may be
//! keyed hashes, which cost a thousandth.
//!
//! [`crate::signature`] binds messages to a network and a purpose; here they are bytes.

pub(crate) mod ed25519;
mod keyed;

use std::fmt;
use std::sync::Arc;

pub use ed25519::Ed25519;
pub use keyed::{Draws, KeyedHash};

use crate::ids::{NodeId, Signature};
use crate::vrf::{VrfError, VrfProof};

/// Checks what others sign and draw, and makes the keys to do so oneself.
pub trait Crypto: fmt::Debug + Send + Sync {
    /// The key that `seed`, the first half of a key file, makes.
    fn key(&self, seed: &[u8; 32]) -> Arc<dyn Key>;

    /// Whether a signature holds.
    fn holds(&self, signer: NodeId, bytes: &[u8], signature: &Signature) -> bool;

    /// Whether all hold: who, what, its signature. `factors` is a hash of all of it that nobody can choose.
    fn all_hold(&self, all: &[(NodeId, Vec<u8>, Signature)], factors: blake3::Hasher) -> bool;

    /// Whether the first 32 B of a proof are the signer's draw for a message.
    ///
    /// # Errors
    /// [`VrfError`].
    fn drawn(&self, signer: NodeId, message: &[u8], proof: &VrfProof) -> Result<(), VrfError>;
}

/// A miner's key.
pub trait Key: Send + Sync {
    /// The public half.
    fn node_id(&self) -> NodeId;

    /// Signs.
    fn sign(&self, bytes: &[u8]) -> Signature;

    /// Draws, always the same for a message.
    ///
    /// # Errors
    /// None in practice: every message has a proof.
    fn draw(&self, message: &[u8]) -> Result<VrfProof, VrfError>;
}
