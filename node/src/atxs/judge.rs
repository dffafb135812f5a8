//! What is left to be checked once an ATX keeps all cheap rules: hashes and labels, for a worker to do in batches.

use post_core::identity::Commitment;
use post_core::label::FullLabel;
use post_core::proof::{Proof, ProofMetadata};
use post_core::verify::{Invalid, Mode};

use crate::ids::AtxId;

/// What of an ATX costs hashes and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dear {
    /// The ATX, or a fraud proof's hash; the judgement comes back under it. There is one at a time of each.
    pub id: AtxId,
    /// The proofs of space: the initial one if there is, then those of the NiPoSTs in their order.
    pub posts: Vec<PostClaim>,
    /// The signer's VRF nonce, where it must be looked at.
    pub vrf: Option<VrfClaim>,
}

/// A proof of space with what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostClaim {
    /// The proof.
    pub proof: Proof,
    /// What it is about.
    pub metadata: ProofMetadata,
    /// Which of its labels are recomputed.
    pub mode: Mode,
}

/// That the label at `nonce` is below `threshold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrfClaim {
    /// Whose labels.
    pub commitment: Commitment,
    /// The label's index; it may lie past the last label (POST.md section 4).
    pub nonce: u64,
    /// What the whole label must be below, big endian.
    pub threshold: FullLabel,
}

/// What a worker found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Everything holds.
    Valid,
    /// A proof does not hold; the first one.
    InvalidPost {
        /// Its position in [`Dear::posts`].
        post: usize,
        /// The rule it breaks.
        invalid: Invalid,
    },
    /// The label at the VRF nonce is not below the threshold.
    InvalidVrf,
}
