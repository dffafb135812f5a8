//! The root of everything in buckets: a binary Merkle tree over them. A change costs the hash of its bucket and twelve more.

use std::collections::BTreeSet;

use super::entries::Bucket;

/// Leaves and inner nodes can't be mistaken for each other: they are hashed with different keys.
const LEAF: [u8; 32] = *b"a bucket of the ledger's entries";
const NODE: [u8; 32] = *b"two parts of the ledger, in one ";

/// The tree: node 1 is the root, 2i and 2i+1 are below i, the buckets are the last half.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<[u8; 32]>,
}

fn join(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    blake3::keyed_hash(&NODE, &both).into()
}

impl Default for Tree {
    /// With empty buckets.
    fn default() -> Self {
        let mut nodes = vec![[0; 32]; 2 * Bucket::COUNT];
        let mut hash = blake3::keyed_hash(&LEAF, &[]).into();
        let mut level = Bucket::COUNT;
        while level > 0 {
            nodes[level..2 * level].fill(hash);
            hash = join(&hash, &hash);
            level /= 2;
        }
        Self { nodes }
    }
}

impl Tree {
    pub(super) fn root(&self) -> [u8; 32] {
        self.nodes[1]
    }

    /// These buckets have changed; `fill` hashes what is in one.
    pub(super) fn update(&mut self, buckets: &BTreeSet<Bucket>, fill: impl Fn(Bucket, &mut blake3::Hasher)) {
        let mut changed = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            let mut leaf = blake3::Hasher::new_keyed(&LEAF);
            fill(*bucket, &mut leaf);
            let node = Bucket::COUNT + bucket.index();
            self.nodes[node] = leaf.finalize().into();
            changed.push(node);
        }
        // All of one level, ascending; then those above them.
        while changed.first().is_some_and(|node| *node > 1) {
            for node in &mut changed {
                *node /= 2;
            }
            changed.dedup();
            for node in &changed {
                self.nodes[*node] = join(&self.nodes[2 * node], &self.nodes[2 * node + 1]);
            }
        }
    }
}
