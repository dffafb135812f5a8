//! Keyed hashes in place of signatures and draws: for simulations, whose liars are known not to forge.
//!
//! Names are those of the real keys. What stands for a signature anybody could make, who can hash; so this proves nothing
//! to an enemy, and no network but a simulated one uses it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Crypto, Ed25519, Key};
use crate::ids::{NodeId, Signature};
use crate::vrf::{VrfError, VrfProof};

/// What the draws are.
#[derive(Clone, Debug, Default)]
pub enum Draws {
    /// Hashes.
    #[default]
    Hashed,
    /// Those of RFC 9381, made by the real key once, and not checked: with them, a simulation decides what it would decide
    /// with real signatures.
    Real(Arc<Memory>),
}

/// Real draws by key and message.
#[derive(Default)]
pub struct Memory(Mutex<BTreeMap<(NodeId, Vec<u8>), VrfProof>>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// Keyed hashes.
#[derive(Clone, Debug, Default)]
pub struct KeyedHash {
    draws: Draws,
}

impl KeyedHash {
    /// With these draws.
    #[must_use]
    pub fn new(draws: Draws) -> Self {
        Self { draws }
    }
}

struct HashKey {
    node_id: NodeId,
    real: Arc<dyn Key>,
    draws: Draws,
}

fn stretched<const N: usize>(purpose: u8, signer: NodeId, bytes: &[u8]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_keyed(&signer.0);
    hasher.update(&[purpose]).update(bytes);
    let mut out = [0; N];
    hasher.finalize_xof().fill(&mut out);
    out
}

fn signature(signer: NodeId, bytes: &[u8]) -> Signature {
    Signature(stretched(0, signer, bytes))
}

fn hashed(signer: NodeId, message: &[u8]) -> VrfProof {
    VrfProof(stretched(1, signer, message))
}

impl Key for HashKey {
    fn node_id(&self) -> NodeId {
        self.node_id
    }

    fn sign(&self, bytes: &[u8]) -> Signature {
        signature(self.node_id, bytes)
    }

    fn draw(&self, message: &[u8]) -> Result<VrfProof, VrfError> {
        let Draws::Real(memory) = &self.draws else { return Ok(hashed(self.node_id, message)) };
        let proof = self.real.draw(message)?;
        let mut known = memory.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((self.node_id, message.to_vec()), proof);
        Ok(proof)
    }
}

impl Crypto for KeyedHash {
    fn key(&self, seed: &[u8; 32]) -> Arc<dyn Key> {
        let real = Ed25519.key(seed);
        Arc::new(HashKey { node_id: real.node_id(), real, draws: self.draws.clone() })
    }

    fn holds(&self, signer: NodeId, bytes: &[u8], signed: &Signature) -> bool {
        signature(signer, bytes) == *signed
    }

    fn all_hold(&self, all: &[(NodeId, Vec<u8>, Signature)], _: blake3::Hasher) -> bool {
        all.iter().all(|(signer, bytes, signed)| self.holds(*signer, bytes, signed))
    }

    fn drawn(&self, signer: NodeId, message: &[u8], proof: &VrfProof) -> Result<(), VrfError> {
        let right = match &self.draws {
            Draws::Hashed => hashed(signer, message) == *proof,
            Draws::Real(memory) => {
                let known = memory.0.lock().unwrap_or_else(PoisonError::into_inner);
                known.get(&(signer, message.to_vec())) == Some(proof)
            }
        };
        if right { Ok(()) } else { Err(VrfError::Proof) }
    }
}
