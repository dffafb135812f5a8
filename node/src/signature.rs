//! Ed25519 over `genesis id ‖ domain ‖ message`, so that no signature is good on another network or for another purpose.
//!
//! What holds is what ZIP 215 says: s below the group's order, R and the key points of the curve in any encoding,
//! `8·s·B = 8·R + 8·k·A`. It is the rule under which checking many at once and one by one can't come to different verdicts,
//! whatever small-order parts somebody puts into R or the key; nodes may then check as it suits them and still agree.

use std::fmt;
use std::sync::Arc;

use crate::crypto::{Crypto, Ed25519, Key};
use crate::ids::{GenesisId, NodeId, Signature};
use crate::vrf::{VrfError, VrfProof};

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
    /// A transaction.
    Transaction = 12,
}

fn prefix(genesis: &GenesisId, domain: Domain) -> Vec<u8> {
    [&genesis.0[..], &[domain as u8]].concat()
}

fn signed_bytes(genesis: &GenesisId, domain: Domain, message: &[u8]) -> Vec<u8> {
    [&prefix(genesis, domain)[..], message].concat()
}

/// A miner's key on one network.
#[derive(Clone)]
pub struct Signer {
    genesis: GenesisId,
    node_id: NodeId,
    key: Arc<dyn Key>,
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
        Self::with(&Ed25519, genesis, seed)
    }

    /// The same by another crypto.
    #[must_use]
    pub fn with(crypto: &dyn Crypto, genesis: GenesisId, seed: &[u8; 32]) -> Self {
        let key = crypto.key(seed);
        Self { genesis, node_id: key.node_id(), key }
    }

    /// The public half.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// What stands before a message that is signed, for whoever has to be told.
    #[must_use]
    pub fn prefix(&self, domain: Domain) -> Vec<u8> {
        prefix(&self.genesis, domain)
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        self.key.sign(&signed_bytes(&self.genesis, domain, message))
    }

    /// Draws for a message, always the same.
    ///
    /// # Errors
    /// None in practice: every message has a proof.
    pub fn draw(&self, message: &[u8]) -> Result<VrfProof, VrfError> {
        self.key.draw(message)
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

/// Checks signatures of one network, and draws.
#[derive(Clone, Debug)]
pub struct Verifier {
    genesis: GenesisId,
    crypto: Arc<dyn Crypto>,
}

impl Verifier {
    /// For the network of `genesis`.
    #[must_use]
    pub fn new(genesis: GenesisId) -> Self {
        Self::with(Arc::new(Ed25519), genesis)
    }

    /// The same by another crypto.
    #[must_use]
    pub fn with(crypto: Arc<dyn Crypto>, genesis: GenesisId) -> Self {
        Self { genesis, crypto }
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
        self.crypto.holds(signed.signer, &bytes, &signed.signature)
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
        let bytes = |signed: &Signed<'_>| signed_bytes(&self.genesis, signed.domain, signed.message);
        let triples: Vec<_> = all.iter().map(|signed| (signed.signer, bytes(signed), signed.signature)).collect();
        self.crypto.all_hold(&triples, hash_of(all))
    }

    /// Whether a proof is the signer's draw for a message.
    ///
    /// # Errors
    /// [`VrfError`].
    pub fn drawn(&self, signer: NodeId, message: &[u8], proof: &VrfProof) -> Result<(), VrfError> {
        self.crypto.drawn(signer, message, proof)
    }
}

/// Of everything that is checked together.
fn hash_of(all: &[Signed<'_>]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    for signed in all {
        hasher.update(&signed.signer.0).update(&signed.signature.0).update(&[signed.domain as u8]);
        hasher.update(blake3::hash(signed.message).as_bytes());
    }
    hasher
}

#[cfg(test)]
mod tests;
