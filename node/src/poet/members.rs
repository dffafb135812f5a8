//! Who takes part in a round: the root over their challenges, and proofs that some are among them.
//!
//! An inner node is `blake3(0x01 ‖ left ‖ right)`; a leaf is a challenge as it is. A challenge is the hash of a
//! registration's bytes, 66 at least, an inner node that of 65: neither passes for the other. A missing right child is
//! zeros, which is no challenge either. A server takes any 32 bytes: whoever registers an inner node of its own making
//! has two challenges in the round for one, but has committed itself to both in time, and that is all a round shows.

use std::collections::{BTreeMap, BTreeSet};

use super::merkle::{Hash, MISSING, Shown, climb, levels};
use crate::atx::{MAX_MEMBERSHIP, Membership};
use crate::ids::PoetChallenge;

/// At most so many members in a round.
pub const MAX_MEMBERS: usize = 1 << 20;

/// Why challenges are not shown to be members of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// A round without members, or a proof of nobody.
    #[error("no members")]
    Nobody,
    /// A round with too many members.
    #[error("{members} members, where at most {MAX_MEMBERS} may be")]
    Crowd {
        /// How many.
        members: usize,
    },
    /// Zeros, which stand for what isn't there.
    #[error("the challenge of member {index} is zeros, which is no challenge")]
    Zeros {
        /// Its position.
        index: u64,
    },
    /// A position that no tree has.
    #[error("there is no member {index}")]
    NoSuchMember {
        /// The position.
        index: u64,
    },
    /// The nodes end before the tree does.
    #[error("nodes are missing")]
    TooFewNodes,
    /// More nodes than an ATX may hold.
    #[error("{nodes} nodes, where at most {MAX_MEMBERSHIP} may be; put fewer miners into one ATX")]
    TooManyNodes {
        /// How many.
        nodes: usize,
    },
    /// They lead to another root: other members, another round, or nodes changed or left over.
    #[error("the nodes lead to another statement")]
    Root,
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    blake3::Hasher::new().update(&[1]).update(left).update(right).finalize().into()
}

/// The members of a round, in its order.
#[derive(Clone, Debug)]
pub struct Members {
    /// From the challenges up to the root.
    levels: Vec<Vec<Hash>>,
}

impl Members {
    /// The tree over `challenges`.
    ///
    /// # Errors
    /// None or more than [`MAX_MEMBERS`], or one that is zeros.
    pub fn new(challenges: &[PoetChallenge]) -> Result<Self, MembershipError> {
        if challenges.is_empty() {
            return Err(MembershipError::Nobody);
        }
        if challenges.len() > MAX_MEMBERS {
            return Err(MembershipError::Crowd { members: challenges.len() });
        }
        if let Some(index) = challenges.iter().position(|challenge| challenge.0 == MISSING) {
            return Err(MembershipError::Zeros { index: index as u64 });
        }
        Ok(Self { levels: levels(challenges.iter().map(|challenge| challenge.0).collect(), &parent) })
    }

    /// The root: a round's statement.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or(MISSING)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Where a challenge stands.
    #[must_use]
    pub fn position(&self, challenge: &PoetChallenge) -> Option<u64> {
        let leaves = self.levels.first()?;
        leaves.iter().position(|leaf| *leaf == challenge.0).map(|index| index as u64)
    }

    fn node(&self, height: u32, index: u64) -> Hash {
        let node = || self.levels.get(height as usize)?.get(usize::try_from(index).ok()?).copied();
        node().unwrap_or(MISSING)
    }

    /// Shows that the members at `positions`, in any order, are members.
    ///
    /// # Errors
    /// Nobody, somebody who isn't there, or members so far apart that the proof does not fit an ATX.
    pub fn prove(&self, positions: &[u64]) -> Result<Membership, MembershipError> {
        let positions = BTreeSet::from_iter(positions.iter().copied());
        let Some(&last) = positions.last() else { return Err(MembershipError::Nobody) };
        if last >= self.count() {
            return Err(MembershipError::NoSuchMember { index: last });
        }
        let mut shown: Vec<_> = positions.into_iter().map(|index| Shown::new(index, self.node(0, index))).collect();
        let mut nodes = Vec::new();
        let mut neighbour = |height, index| {
            nodes.push(self.node(height, index));
            Ok(self.node(height, index))
        };
        climb(self.levels.len().saturating_sub(1) as u32, 0, &mut shown, &parent, &mut neighbour)?;
        if nodes.len() > MAX_MEMBERSHIP {
            return Err(MembershipError::TooManyNodes { nodes: nodes.len() });
        }
        Ok(Membership { nodes })
    }
}

/// Whether `nodes` show that each of `leaves`, challenges by position, is a member of the round of statement `root`.
///
/// # Errors
/// They don't.
pub fn verify(
    root: &[u8; 32],
    leaves: &BTreeMap<u64, PoetChallenge>,
    nodes: &[[u8; 32]],
) -> Result<(), MembershipError> {
    let Some((&last, _)) = leaves.last_key_value() else { return Err(MembershipError::Nobody) };
    if let Some((&index, _)) = leaves.iter().find(|(_, challenge)| challenge.0 == MISSING) {
        return Err(MembershipError::Zeros { index });
    }
    if nodes.len() > MAX_MEMBERSHIP {
        return Err(MembershipError::TooManyNodes { nodes: nodes.len() });
    }
    if last >= MAX_MEMBERS as u64 {
        return Err(MembershipError::NoSuchMember { index: last });
    }
    // The smallest tree that has all these positions is the leftmost part of the round's; the nodes that it does not
    // use stand to the right of it, one a level. So every leaf is below the root, and every node is used.
    let part = u64::BITS - last.leading_zeros();
    let mut shown: Vec<_> = leaves.iter().map(|(&index, challenge)| Shown::new(index, challenge.0)).collect();
    let mut rest = nodes.iter();
    let mut neighbour = |_, _| rest.next().copied().ok_or(MembershipError::TooFewNodes);
    let top = climb(part, 0, &mut shown, &parent, &mut neighbour)?;
    let found = rest.fold(top, |node, right| parent(&node, right));
    if found == *root { Ok(()) } else { Err(MembershipError::Root) }
}

#[cfg(test)]
mod tests;
