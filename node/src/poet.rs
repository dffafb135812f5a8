//! PoET, the proof of elapsed time (NODE.md section 4): somebody hashed one thing after the other for so long, and began
//! after its members had registered.
//!
//! Miners register a challenge each; the root over them is the statement ([`Members`]). The statement is hashed into
//! every leaf of a tree, whose leaves can only be made one after the other ([`Prover`]). 150 leaves, which the tree's
//! root draws, show to everyone that the tree was made that way ([`PoetProof`]). The id of the proof is the challenge
//! that proofs of space answer, so they can't have been made before.
//!
//! Shapes and hashes are those of today's PoET servers, so that their proofs are good here.

mod label;
pub mod members;
mod merkle;
mod proof;
mod prover;

pub use label::PROVEN_LEAVES;
pub use members::{MAX_MEMBERS, Members, MembershipError};
pub use proof::{MAX_LEAVES, PoetProof, ProofError};
pub use prover::Prover;
