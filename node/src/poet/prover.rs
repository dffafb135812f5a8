//! The work: leaf after leaf, in bounded memory.
//!
//! Only one level of the tree is kept, higher up the longer the work goes on. What is below it is made once more for the
//! leaves that have to be shown: 150 small subtrees, each from the nodes to its left.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::label::{drawn, label, parent};
use super::merkle::{Hash, MISSING, Shown, climb, depth, level_up, levels};
use super::proof::PoetProof;

/// When so many nodes are kept (16 MiB), every two become one.
const MOST_KEPT: usize = 1 << 19;

/// Leaves being made.
#[derive(Clone, Debug)]
struct Leaves {
    statement: Hash,
    /// The next leaf's position.
    next: u64,
    /// The nodes that wait for a right sibling, the highest first: one for each bit that is set in `next`.
    waiting: Vec<Hash>,
}

impl Leaves {
    /// Makes one, and hands over each node that it completes, with its height, the leaf first.
    fn make(&mut self, mut done: impl FnMut(u32, &Hash)) {
        let mut node = label(&self.statement, self.next, self.waiting.iter().rev());
        let mut height = 0;
        done(height, &node);
        while self.next >> height & 1 == 1
            && let Some(left) = self.waiting.pop()
        {
            node = parent(&self.statement, &left, &node);
            height += 1;
            done(height, &node);
        }
        self.waiting.push(node);
        self.next += 1;
    }
}

/// Makes a PoET proof. Memory stays below 64 MiB for 2^30 leaves.
#[derive(Clone, Debug)]
pub struct Prover {
    leaves: Leaves,
    /// The level whose nodes are kept.
    height: u32,
    /// Its complete nodes.
    kept: Vec<Hash>,
    most_kept: usize,
}

impl Prover {
    /// Begins with the root over a round's members.
    #[must_use]
    pub fn new(statement: [u8; 32]) -> Self {
        let leaves = Leaves { statement, next: 0, waiting: Vec::new() };
        Self { leaves, height: 0, kept: Vec::new(), most_kept: MOST_KEPT }
    }

    /// How many leaves there are.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.leaves.next
    }

    /// Makes `count` leaves more.
    pub fn work(&mut self, count: u64) {
        for _ in 0..count {
            let Self { leaves, height, kept, .. } = self;
            leaves.make(|at, node| {
                if at == *height {
                    kept.push(*node);
                }
            });
            if self.kept.len() >= self.most_kept {
                let statement = self.leaves.statement;
                self.kept = level_up(&self.kept, &|left, right| parent(&statement, left, right));
                self.height += 1;
            }
        }
    }

    /// The proof for the leaves made so far; `None` when there are none.
    #[must_use]
    pub fn prove(&self) -> Option<PoetProof> {
        let (statement, leaves) = (self.leaves.statement, self.leaves.next);
        let parent = |left: &Hash, right: &Hash| parent(&statement, left, right);
        let mut tree = Tree { height: self.height, upper: levels(self.level(), &parent), lower: BTreeMap::new() };
        let root = *tree.upper.last()?.first()?;
        let mut shown = Vec::new();
        for index in drawn(&root, leaves) {
            let subtree = index >> self.height;
            if !tree.lower.contains_key(&subtree) {
                tree.lower.insert(subtree, levels(self.again(&tree, subtree), &parent));
            }
            shown.push(Shown::new(index, tree.node(0, index)));
        }
        let mut nodes = Vec::new();
        let mut neighbour = |height, index| -> Result<Hash, Infallible> {
            let node = tree.node(height, index);
            nodes.push(node);
            Ok(node)
        };
        let Ok(root) = climb(depth(leaves), 0, &mut shown, &parent, &mut neighbour);
        Some(PoetProof { statement, leaves, root, proven: shown.into_iter().map(|leaf| leaf.hash).collect(), nodes })
    }

    /// All of the kept level; its last node may lack leaves.
    fn level(&self) -> Vec<Hash> {
        let mut waiting = self.leaves.waiting.iter().rev();
        let mut last = None;
        for height in 0..self.height {
            let left = if self.leaves.next >> height & 1 == 1 { waiting.next() } else { None };
            last = match (left, last) {
                (Some(left), right) => Some((*left, right.unwrap_or(MISSING))),
                (None, Some(left)) => Some((left, MISSING)),
                (None, None) => None,
            }
            .map(|(left, right)| parent(&self.leaves.statement, &left, &right));
        }
        self.kept.iter().copied().chain(last).collect()
    }

    /// The leaves below a node of the kept level, made once more.
    fn again(&self, tree: &Tree, subtree: u64) -> Vec<Hash> {
        let first = subtree << self.height;
        let end = self.leaves.next.min((subtree + 1) << self.height);
        let left = |level: u32| {
            let node = subtree >> level;
            (node & 1 == 1).then(|| tree.node(self.height + level, node - 1))
        };
        let waiting = (0..tree.upper.len() as u32).rev().filter_map(left).collect();
        let mut leaves = Leaves { statement: self.leaves.statement, next: first, waiting };
        let mut made = Vec::new();
        for _ in first..end {
            leaves.make(|height, node| {
                if height == 0 {
                    made.push(*node);
                }
            });
        }
        made
    }
}

/// What is known of a tree.
struct Tree {
    /// The lowest level of which all is known.
    height: u32,
    /// The levels from there up.
    upper: Vec<Vec<Hash>>,
    /// The levels below single nodes of that level, from the leaves up.
    lower: BTreeMap<u64, Vec<Vec<Hash>>>,
}

impl Tree {
    fn node(&self, height: u32, index: u64) -> Hash {
        let (levels, height, index) = match self.height.checked_sub(height) {
            None | Some(0) => (Some(&self.upper), height - self.height, index),
            Some(below) => (self.lower.get(&(index >> below)), height, index & ((1 << below) - 1)),
        };
        let node = || levels?.get(height as usize)?.get(usize::try_from(index).ok()?).copied();
        node().unwrap_or(MISSING)
    }
}

#[cfg(test)]
mod tests;
