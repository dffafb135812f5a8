//! What of an ATX is dear to check, and what came of it.

use post_core::identity::Commitment;
use post_core::label::FullLabel;
use post_core::proof::{Proof, ProofMetadata};
use post_core::verify::{Invalid, Mode};

use crate::ids::AtxId;

/// What of an ATX costs hashes and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dear {
    /// The ATX.
    pub id: AtxId,
    /// Its proofs of space.
    pub posts: Vec<PostClaim>,
    /// Its VRF nonce, where that must be looked at.
    pub vrf: Option<VrfClaim>,
}

/// A proof of space with all that it is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostClaim {
    /// The proof.
    pub proof: Proof,
    /// What it is about.
    pub metadata: ProofMetadata,
    /// Which of its labels are recomputed.
    pub mode: Mode,
}

/// That the label at an index is below a threshold (POST.md section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VrfClaim {
    /// Whose labels.
    pub commitment: Commitment,
    /// The index.
    pub nonce: u64,
    /// What all 32 B of the label must be below, big endian; it follows from the number of labels.
    pub threshold: FullLabel,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// All of it holds.
    Valid,
    /// A proof of space doesn't; the first one.
    InvalidPost {
        /// Its position in [`Dear::posts`].
        post: usize,
        /// The rule it breaks.
        invalid: Invalid,
    },
    /// The proofs of space hold, the label of the VRF nonce is too large.
    InvalidVrf,
}
