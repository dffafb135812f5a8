use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::*;
use crate::codec::encode;
use crate::poet::ProofError;

fn statement() -> Hash {
    std::array::from_fn(|i| i as u8)
}

fn prover(leaves: u64, most_kept: usize) -> Prover {
    let mut prover = Prover { most_kept, ..Prover::new(statement()) };
    prover.work(leaves);
    prover
}

fn sha(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

/// The tree by its definition: all leaves in a list, every node reckoned from there each time it is asked for.
struct Naive(Vec<Hash>);

impl Naive {
    fn new(leaves: u64) -> Self {
        let mut tree = Self(Vec::new());
        for index in 0..leaves {
            let left: Vec<Hash> =
                (0..64).filter(|h| index >> h & 1 == 1).map(|h| tree.node(h, (index >> h) - 1)).collect();
            let mut label = sha(&[&statement(), &index.to_be_bytes(), &left.concat()]);
            for _ in 1..100 {
                label = sha(&[&label]);
            }
            tree.0.push(label);
        }
        tree
    }

    fn node(&self, height: u32, index: u64) -> Hash {
        if (index << height) >= self.0.len() as u64 {
            return [0; 32];
        }
        if height == 0 {
            return self.0[index as usize];
        }
        sha(&[&statement(), &self.node(height - 1, 2 * index), &self.node(height - 1, 2 * index + 1)])
    }

    /// The order of nodes by another road: inner nodes above shown leaves, sorted by where and how high they end.
    fn proof(&self) -> PoetProof {
        let leaves = self.0.len() as u64;
        let height = leaves.next_power_of_two().ilog2();
        let root = self.node(height, 0);
        let mut shown = BTreeSet::new();
        let mut draws = 0_u32..;
        while (shown.len() as u64) < leaves.min(150) {
            let hash = sha(&[&root, &draws.next().unwrap().to_be_bytes()]);
            shown.insert(u64::from_be_bytes(hash[..8].try_into().unwrap()) % leaves);
        }
        let on_way: BTreeSet<(u32, u64)> = shown.iter().flat_map(|i| (0..=height).map(move |h| (h, i >> h))).collect();
        let mut inner: Vec<_> = on_way.iter().filter(|node| node.0 > 0).copied().collect();
        inner.sort_by_key(|(h, i)| (((i + 1) << h) - 1, *h));
        let children = inner.iter().flat_map(|(h, i)| [(h - 1, 2 * i), (h - 1, 2 * i + 1)]);
        let nodes = children.filter(|child| !on_way.contains(child)).map(|(h, i)| self.node(h, i)).collect();
        let proven = shown.iter().map(|i| self.0[*i as usize]).collect();
        PoetProof { statement: statement(), leaves, root, proven, nodes }
    }
}

#[test]
fn proofs_are_what_the_definition_says() {
    for leaves in [1, 2, 3, 4, 5, 7, 8, 100, 149, 150, 151, 160, 255, 256, 257, 700] {
        let proof = prover(leaves, MOST_KEPT).prove().unwrap();
        assert_eq!(proof, Naive::new(leaves).proof(), "{leaves}");
        assert_eq!(proof.verify(), Ok(()), "{leaves}");
    }
    assert_eq!(Prover::new(statement()).prove(), None);
}

/// By a third implementation, in another language: root, and SHA-256 of the encoding.
#[test]
fn proofs_are_what_another_implementation_says() {
    let known = [
        (
            1,
            "518319695cd457bcaa5c788ff8a15a92eee842453e7e80066232bfa9ce488de1",
            "5aaefab1ba58865cf2ad2d2bca7c1f551f1460713a7d9a340eb2d17ed6d09bf4",
        ),
        (
            5,
            "d1b6e27d912934d0a5812bc37bffdf49bfe228377af7b167a51541c236f22d42",
            "9f8a601e024c33cff21b79c668a989387d0537f0f4fd12ae5d3ab6f0e01a0e8c",
        ),
        (
            151,
            "c4adedba98bce422ca0d868fcace938e626e72d4d7da072b41206e1b4863f225",
            "d3d6c99edc192584b753b2a001bcfa5bacebc8e6f6e5e9764ac213742a90a858",
        ),
        (
            1000,
            "7200d23c384e2d7bc97c307f44e73a1f8638efc5064881884da6bc6dd85eea2f",
            "30fe3026e9ab0c5b58eed6fa9aec5119e8bd6960ecd00d59608dd7d6df4caf6e",
        ),
    ];
    for (leaves, root, encoding) in known {
        let proof = prover(leaves, MOST_KEPT).prove().unwrap();
        assert_eq!(hex::encode(proof.root), root, "{leaves}");
        assert_eq!(hex::encode(sha(&[&encode(&proof)])), encoding, "{leaves}");
    }
}

/// However little of the tree is kept, the proof is the same; so it is when the work is done in pieces.
#[test]
fn what_is_not_kept_is_made_again() {
    for leaves in [2, 9, 64, 163, 200, 256, 511, 513, 1000] {
        let all = prover(leaves, MOST_KEPT).prove().unwrap();
        for most_kept in [4, 8, 32, 128] {
            let mut few = prover(leaves / 3, most_kept);
            few.work(leaves - leaves / 3);
            assert!(few.kept.len() <= most_kept);
            assert_eq!(few.prove().unwrap(), all, "{leaves} {most_kept}");
        }
    }
}

#[test]
fn proofs_of_work_in_progress_are_good() {
    let mut prover = prover(0, 16);
    for step in [1, 1, 3, 160, 40] {
        prover.work(step);
        assert_eq!(prover.prove().unwrap().verify(), Ok(()), "{}", prover.leaves());
    }
    assert_eq!(prover.leaves(), 205);
}

/// A liar whose tree is right in itself but whose leaves don't follow from each other.
#[test]
fn a_tree_that_was_not_made_in_sequence_is_refused() {
    let mut tree = Naive::new(64);
    tree.0[40] = [7; 32];
    let proof = tree.proof();
    assert_eq!(proof.verify(), Err(ProofError::Label { index: 40 }));
    // One left sibling less in one leaf: the first whose label leaves out what came before.
    let mut tree = Naive::new(64);
    tree.0[63] = {
        let mut label = sha(&[&statement(), &63_u64.to_be_bytes()]);
        for _ in 1..100 {
            label = sha(&[&label]);
        }
        label
    };
    assert_eq!(tree.proof().verify(), Err(ProofError::Label { index: 63 }));
}

/// A tree over fewer leaves, said to have more: where the rest should be is not nothing.
#[test]
fn leaves_beyond_the_end_are_refused() {
    let mut proof = Naive::new(6).proof();
    assert_eq!(proof.nodes, [[0; 32]]);
    proof.nodes[0] = [1; 32];
    assert_eq!(proof.verify(), Err(ProofError::BeyondTheEnd { height: 1, index: 3 }));
}

/// The size that bandwidth was reckoned with: two weeks on a fast core.
#[test]
fn a_proof_of_two_weeks_has_about_150_kb() {
    let leaves = 1 << 37;
    let mut shown: Vec<_> = drawn(&[3; 32], leaves).into_iter().map(|index| Shown::new(index, [1; 32])).collect();
    let mut nodes = Vec::new();
    let mut neighbour = |_, _| -> Result<Hash, Infallible> {
        nodes.push([2; 32]);
        Ok([2; 32])
    };
    let Ok(root) = climb(depth(leaves), 0, &mut shown, &|left, _| *left, &mut neighbour);
    let proven = shown.into_iter().map(|leaf| leaf.hash).collect();
    let proof = PoetProof { statement: statement(), leaves, root, proven, nodes };
    let bytes = encode(&proof);
    assert!((135_000..155_000).contains(&bytes.len()), "{}", bytes.len());
    assert_eq!(crate::codec::decode(&bytes), Ok(proof));
}
