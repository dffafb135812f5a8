//! What shows that a tree was made leaf by leaf.

use std::collections::BTreeMap;

use super::label::{PROVEN_LEAVES, drawn, label, parent};
use super::members::{self, MembershipError};
use super::merkle::{Hash, MISSING, Shown, climb, depth};
use crate::codec::{DecodeError, Reader, Scale, encode, put_list};
use crate::ids::{Challenge, PoetChallenge};

/// At most so many leaves: a round of two weeks has about 2^37 on today's fastest cores.
pub const MAX_LEAVES: u64 = 1 << 40;

/// At most so many nodes: one a level for each leaf shown.
const MAX_NODES: usize = PROVEN_LEAVES * 40;

/// The proof of a round. About 150 KB for two weeks.
///
/// It says nothing that the work doesn't bear out: no name of a server, no number of a round. Its id is the challenge of
/// proofs of space, and with bytes that anybody may change, anybody could have as many challenges as it liked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoetProof {
    /// The root over the members.
    pub statement: [u8; 32],
    /// How many leaves the tree has.
    pub leaves: u64,
    /// The tree's root.
    pub root: [u8; 32],
    /// The leaves that the root draws, in ascending order of position.
    pub proven: Vec<[u8; 32]>,
    /// What leads from them to the root: of each inner node above them the child that isn't, as the nodes are complete.
    pub nodes: Vec<[u8; 32]>,
}

/// Why a PoET proof is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No leaves, or more than anybody can have made.
    #[error("{leaves} leaves, where 1 to {MAX_LEAVES} may be")]
    Leaves {
        /// What it claims.
        leaves: u64,
    },
    /// Another number of leaves is shown than there should be.
    #[error("{shown} leaves are shown, not {wanted}")]
    Shown {
        /// How many are.
        shown: usize,
        /// How many should be.
        wanted: usize,
    },
    /// The nodes end before the tree does.
    #[error("nodes are missing")]
    TooFewNodes,
    /// There are nodes that the tree does not need.
    #[error("{extra} nodes too many")]
    TooManyNodes {
        /// How many.
        extra: usize,
    },
    /// There is a node where the tree has no leaves.
    #[error("node {index} on level {height} is beyond the last leaf, and not zeros")]
    BeyondTheEnd {
        /// Levels above the leaves.
        height: u32,
        /// Its position there.
        index: u64,
    },
    /// Leaves and nodes don't lead to the root.
    #[error("leaves and nodes lead to another root")]
    Root,
    /// A leaf is not what comes of the leaves before it.
    #[error("leaf {index} does not follow from those before it")]
    Label {
        /// Its position.
        index: u64,
    },
}

impl PoetProof {
    /// What proofs of space over this round answer: the hash of all of the proof. One tree has one id.
    #[must_use]
    pub fn id(&self) -> Challenge {
        Challenge(blake3::hash(&encode(self)).into())
    }

    /// Whether all of it holds. 1–3 ms; `members` is another matter.
    ///
    /// # Errors
    /// The first thing that doesn't.
    pub fn verify(&self) -> Result<(), ProofError> {
        if !(1..=MAX_LEAVES).contains(&self.leaves) {
            return Err(ProofError::Leaves { leaves: self.leaves });
        }
        let drawn = drawn(&self.root, self.leaves);
        if self.proven.len() != drawn.len() {
            return Err(ProofError::Shown { shown: self.proven.len(), wanted: drawn.len() });
        }
        let mut shown: Vec<_> = drawn.into_iter().zip(&self.proven).map(|(i, leaf)| Shown::new(i, *leaf)).collect();
        if self.climb(&mut shown)? != self.root {
            return Err(ProofError::Root);
        }
        let wrong = |leaf: &&Shown| label(&self.statement, leaf.index, leaf.left.iter()) != leaf.hash;
        match shown.iter().find(wrong) {
            None => Ok(()),
            Some(leaf) => Err(ProofError::Label { index: leaf.index }),
        }
    }

    /// The root that leaves and nodes lead to, all nodes being used.
    fn climb(&self, shown: &mut [Shown]) -> Result<Hash, ProofError> {
        let mut rest = self.nodes.iter();
        let mut neighbour = |height, index: u64| {
            let node = *rest.next().ok_or(ProofError::TooFewNodes)?;
            // Its first leaf: what begins beyond the last one isn't there.
            if index << height >= self.leaves && node != MISSING {
                return Err(ProofError::BeyondTheEnd { height, index });
            }
            Ok(node)
        };
        let parent = |left: &Hash, right: &Hash| parent(&self.statement, left, right);
        let root = climb(depth(self.leaves), 0, shown, &parent, &mut neighbour)?;
        match rest.len() {
            0 => Ok(root),
            extra => Err(ProofError::TooManyNodes { extra }),
        }
    }

    /// Whether `nodes` show that each of `leaves`, challenges by position, had registered before this round began.
    ///
    /// # Errors
    /// They don't.
    pub fn verify_members(
        &self,
        leaves: &BTreeMap<u64, PoetChallenge>,
        nodes: &[[u8; 32]],
    ) -> Result<(), MembershipError> {
        members::verify(&self.statement, leaves, nodes)
    }
}

impl Scale for PoetProof {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.statement.encode_to(out);
        self.leaves.encode_to(out);
        self.root.encode_to(out);
        put_list(out, &self.proven);
        put_list(out, &self.nodes);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            statement: Scale::decode_from(input)?,
            leaves: Scale::decode_from(input)?,
            root: Scale::decode_from(input)?,
            proven: input.list(PROVEN_LEAVES)?,
            nodes: input.list(MAX_NODES)?,
        })
    }
}
