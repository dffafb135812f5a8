//! Ed25519 and RFC 9381.

use std::convert::Infallible;
use std::sync::Arc;

use ed25519_zebra::{SigningKey, VerificationKey, VerificationKeyBytes, batch};
use rand_core::{TryCryptoRng, TryRng};

use super::{Crypto, Key};
use crate::ids::{NodeId, Signature};
use crate::vrf::{self, VrfError, VrfKey, VrfProof};

/// Ed25519 by ZIP 215 and ECVRF: what real networks use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519;

struct Ed25519Key {
    seed: [u8; 32],
    key: SigningKey,
}

impl Key for Ed25519Key {
    fn node_id(&self) -> NodeId {
        NodeId(VerificationKeyBytes::from(&self.key).into())
    }

    fn sign(&self, bytes: &[u8]) -> Signature {
        Signature(self.key.sign(bytes).to_bytes())
    }

    fn draw(&self, message: &[u8]) -> Result<VrfProof, VrfError> {
        VrfKey::new(&self.seed)?.prove(message)
    }
}

impl Crypto for Ed25519 {
    fn key(&self, seed: &[u8; 32]) -> Arc<dyn Key> {
        Arc::new(Ed25519Key { seed: *seed, key: SigningKey::from(*seed) })
    }

    fn holds(&self, signer: NodeId, bytes: &[u8], signature: &Signature) -> bool {
        VerificationKey::try_from(signer.0)
            .and_then(|key| key.verify(&ed25519_zebra::Signature::from_bytes(&signature.0), bytes))
            .is_ok()
    }

    fn all_hold(&self, all: &[(NodeId, Vec<u8>, Signature)], factors: blake3::Hasher) -> bool {
        batch_holds(all, factors)
    }

    fn drawn(&self, signer: NodeId, message: &[u8], proof: &VrfProof) -> Result<(), VrfError> {
        vrf::verify(&signer, message, proof).map(|_| ())
    }
}

/// Ed25519 for many at once. `factors`: see [`Factors`].
fn batch_holds(all: &[(NodeId, Vec<u8>, Signature)], factors: blake3::Hasher) -> bool {
    let mut batch = batch::Verifier::new();
    for (signer, bytes, signature) in all {
        let signature = ed25519_zebra::Signature::from_bytes(&signature.0);
        batch.queue((VerificationKeyBytes::from(signer.0), signature, bytes));
    }
    batch.verify(Factors(factors.finalize_xof())).is_ok()
}

/// The factors of the combination: a hash of all that is checked. Whoever changes one signature to make errors cancel
/// out changes every factor, so there is no need for randomness that a simulation could not repeat.
pub(crate) struct Factors(pub(crate) blake3::OutputReader);

impl TryRng for Factors {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Factors {}
