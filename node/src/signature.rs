//! Ed25519 over `genesis id ‖ domain ‖ message`, so that no signature is good on another network or for another purpose.
//!
//! What holds is what ZIP 215 says: s below the group's order, R and the key points of the curve in any encoding,
//! `8·s·B = 8·R + 8·k·A`. It is the rule under which checking many at once and one by one can't come to different verdicts,
//! whatever small-order parts somebody puts into R or the key; nodes may then check as it suits them and still agree.

use std::convert::Infallible;
use std::fmt;

use ed25519_zebra::{SigningKey, VerificationKey, VerificationKeyBytes, batch};
use rand_core::{TryCryptoRng, TryRng};

use crate::ids::{GenesisId, NodeId, Signature};

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Domain {
    /// An ATX's id.
    Atx = 0,
    /// A proposal.
    Proposal = 1,
    /// A ballot.
    Ballot = 2,
    /// A Hare message.
    Hare = 3,
    /// A registration with a PoET.
    Poet = 4,
    /// A marriage.
    Marriage = 5,
    /// A beacon's first votes.
    BeaconFirst = 10,
    /// A beacon's later votes.
    BeaconFollowup = 11,
}

fn prefix(genesis: &GenesisId, domain: Domain) -> Vec<u8> {
    [&genesis.0[..], &[domain as u8]].concat()
}

fn signed_bytes(genesis: &GenesisId, domain: Domain, message: &[u8]) -> Vec<u8> {
    [&prefix(genesis, domain)[..], message].concat()
}

/// A miner's key on one network.
pub struct Signer {
    genesis: GenesisId,
    key: SigningKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer(public {})", self.node_id())
    }
}

impl Signer {
    /// The key that `seed`, the first half of a key file, makes.
    #[must_use]
    pub fn new(genesis: GenesisId, seed: &[u8; 32]) -> Self {
        Self { genesis, key: SigningKey::from(*seed) }
    }

    /// The public half.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId(VerificationKeyBytes::from(&self.key).into())
    }

    /// What stands before a message that is signed, for whoever has to be told.
    #[must_use]
    pub fn prefix(&self, domain: Domain) -> Vec<u8> {
        prefix(&self.genesis, domain)
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        Signature(self.key.sign(&signed_bytes(&self.genesis, domain, message)).to_bytes())
    }
}

/// A message with the signature it came with.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// What it was signed for.
    pub domain: Domain,
    /// Who is said to have signed.
    pub signer: NodeId,
    /// What was signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: Signature,
}

/// Checks signatures of one network.
#[derive(Clone, Copy, Debug)]
pub struct Verifier {
    genesis: GenesisId,
}

impl Verifier {
    /// For the network of `genesis`.
    #[must_use]
    pub fn new(genesis: GenesisId) -> Self {
        Self { genesis }
    }

    /// What stands before a message that is signed.
    #[must_use]
    pub fn prefix(&self, domain: Domain) -> Vec<u8> {
        prefix(&self.genesis, domain)
    }

    /// Whether a signature holds.
    #[must_use]
    pub fn holds(&self, signed: &Signed<'_>) -> bool {
        let bytes = signed_bytes(&self.genesis, signed.domain, signed.message);
        VerificationKey::try_from(signed.signer.0)
            .and_then(|key| key.verify(&ed25519_zebra::Signature::from_bytes(&signed.signature.0), &bytes))
            .is_ok()
    }

    /// The positions of those that don't hold, with the verdicts of [`Verifier::holds`]; faster while all are good.
    #[must_use]
    pub fn wrong_among(&self, all: &[Signed<'_>]) -> Vec<usize> {
        if self.all_hold(all) {
            return Vec::new();
        }
        (0..all.len()).filter(|&i| !self.holds(&all[i])).collect()
    }

    /// Whether all hold: a linear combination of their equations does, its factors not for anybody to choose.
    #[must_use]
    pub fn all_hold(&self, all: &[Signed<'_>]) -> bool {
        let mut batch = batch::Verifier::new();
        for signed in all {
            let bytes = signed_bytes(&self.genesis, signed.domain, signed.message);
            let signature = ed25519_zebra::Signature::from_bytes(&signed.signature.0);
            batch.queue((VerificationKeyBytes::from(signed.signer.0), signature, &bytes));
        }
        batch.verify(Factors::of(all)).is_ok()
    }
}

/// The factors of the combination: a hash of all that is checked. Whoever changes one signature to make errors cancel
/// out changes every factor, so there is no need for randomness that a simulation could not repeat.
struct Factors(blake3::OutputReader);

impl Factors {
    fn of(all: &[Signed<'_>]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for signed in all {
            hasher.update(&signed.signer.0).update(&signed.signature.0).update(&[signed.domain as u8]);
            hasher.update(blake3::hash(signed.message).as_bytes());
        }
        Self(hasher.finalize_xof())
    }
}

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

#[cfg(test)]
mod tests;
