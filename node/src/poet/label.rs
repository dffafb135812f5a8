//! The leaves of a PoET's tree, and which of them are shown.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::merkle::Hash;

/// So many leaves are shown, or all when there are fewer.
pub const PROVEN_LEAVES: usize = 150;

/// A leaf is hashed so many times: the tree around it costs little beside that.
const HASHES: u32 = 100;

/// Leaf number `index`. `left` are the left siblings of the nodes from it to the root, the lowest first; they stand for
/// every leaf before it, so none can be made before those are.
pub(super) fn label<'a>(statement: &Hash, index: u64, left: impl Iterator<Item = &'a Hash>) -> Hash {
    let mut hasher = Sha256::new_with_prefix(statement);
    hasher.update(index.to_be_bytes());
    left.for_each(|node| hasher.update(node));
    let first: Hash = hasher.finalize().into();
    (1..HASHES).fold(first, |label, _| Sha256::digest(label).into())
}

/// An inner node.
pub(super) fn parent(statement: &Hash, left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix(statement).chain_update(left).chain_update(right).finalize().into()
}

/// The leaves that have to be shown of a tree of `leaves`: nobody can choose them, as they follow from the root.
pub(super) fn drawn(root: &Hash, leaves: u64) -> BTreeSet<u64> {
    if leaves <= PROVEN_LEAVES as u64 {
        return (0..leaves).collect();
    }
    let mut drawn = BTreeSet::new();
    for draw in 0..=u32::MAX {
        if drawn.len() == PROVEN_LEAVES {
            break;
        }
        let hash = Sha256::new_with_prefix(root).chain_update(draw.to_be_bytes()).finalize();
        let mut number = [0; 8];
        number.copy_from_slice(&hash[..8]);
        drawn.insert(u64::from_be_bytes(number) % leaves);
    }
    drawn
}
