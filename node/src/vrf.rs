//! ECVRF-EDWARDS25519-SHA512-ELL2 (RFC 9381) with a miner's Ed25519 key: who is drawn, provably, and not before.
//!
//! Draws are made from the first bytes of a proof, those of Γ. So a key must have exactly one Γ for a message, and the
//! rules are stricter here than the RFC's, whose output alone is unique:
//! - Γ lies in the subgroup of prime order. The RFC takes `Γ + T` for any T of small order, eight draws for one key.
//! - Γ, the key and s are in canonical form.
//!
//! A proof by the RFC's prover always passes.

use std::fmt;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use vrf_rfc9381::ec::edwards25519::EdVrfProof;
use vrf_rfc9381::ec::edwards25519::elligator2::{EdVrfEdwards25519Ell2PublicKey, EdVrfEdwards25519Ell2SecretKey};
use vrf_rfc9381::{Proof as _, Prover as _, Verifier as _};

use crate::codec::scale_as_inner;
use crate::ids::NodeId;

/// Why a proof doesn't hold, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VrfError {
    /// The key is not a point in canonical form, or of small order.
    #[error("the VRF key is not a point that can prove anything")]
    Key,
    /// Γ is not a point in canonical form, or not of prime order.
    #[error("the VRF proof's point is not one of the prime-order subgroup in canonical form")]
    Gamma,
    /// s is not below the group's order.
    #[error("the VRF proof's scalar is not in canonical form")]
    Scalar,
    /// The proof is not this key's for this message.
    #[error("the VRF proof is not this key's for this message")]
    Proof,
}

/// A proof: Γ (32 B), c (16 B), s (32 B). The first 32 B are a function of key and message, the others are not: whoever
/// has the key can make many.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VrfProof(pub [u8; 80]);

impl fmt::Debug for VrfProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VrfProof({})", hex::encode(self.0))
    }
}

scale_as_inner!(VrfProof);

impl VrfProof {
    /// A number that is drawn: 64 bits of Γ, of which there are `at` = 0, 1, 2.
    #[must_use]
    pub fn number(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[8 * at.min(2)..][..8]);
        u64::from_le_bytes(bytes)
    }
}

/// What a proof proves (β): 64 B that nobody without the key could predict.
pub type VrfOutput = [u8; 64];

/// A miner's VRF key.
pub struct VrfKey(EdVrfEdwards25519Ell2SecretKey);

impl fmt::Debug for VrfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VrfKey")
    }
}

impl VrfKey {
    /// The key that `seed`, the first half of a key file, makes.
    ///
    /// # Errors
    /// None in practice: 32 B are a key.
    pub fn new(seed: &[u8; 32]) -> Result<Self, VrfError> {
        EdVrfEdwards25519Ell2SecretKey::from_slice(seed).map(Self).map_err(|_| VrfError::Key)
    }

    /// The proof for a message, always the same.
    ///
    /// # Errors
    /// None in practice: every message has a proof.
    pub fn prove(&self, message: &[u8]) -> Result<VrfProof, VrfError> {
        let proof = self.0.prove(message).map_err(|_| VrfError::Proof)?.encode_to_pi();
        proof.try_into().map(VrfProof).map_err(|_| VrfError::Proof)
    }
}

/// Checks a proof; what it proves.
///
/// # Errors
/// [`VrfError`].
pub fn verify(signer: &NodeId, message: &[u8], proof: &VrfProof) -> Result<VrfOutput, VrfError> {
    let (gamma, rest) = proof.0.split_at(32);
    // The library takes any encoding of a point and reduces s in silence.
    canonical_point(&signer.0).ok_or(VrfError::Key)?;
    if !canonical_point(gamma).ok_or(VrfError::Gamma)?.is_torsion_free() {
        return Err(VrfError::Gamma);
    }
    canonical_scalar(&rest[16..]).ok_or(VrfError::Scalar)?;
    let key = EdVrfEdwards25519Ell2PublicKey::from_slice(&signer.0).map_err(|_| VrfError::Key)?;
    let proof = EdVrfProof::decode_pi(&proof.0).map_err(|_| VrfError::Proof)?;
    key.verify(message, proof).map(Into::into).map_err(|_| VrfError::Proof)
}

fn canonical_point(bytes: &[u8]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY::from_slice(bytes).ok()?.decompress()?;
    (point.compress().as_bytes()[..] == *bytes).then_some(point)
}

fn canonical_scalar(bytes: &[u8]) -> Option<Scalar> {
    Scalar::from_canonical_bytes(bytes.try_into().ok()?).into_option()
}

#[cfg(test)]
mod tests;
