//! Trees of any number of leaves. A right child that isn't there is 32 zero bytes, on every level; so the tree over n
//! leaves has as many levels as the one over the next power of two.

/// A node, or a leaf.
pub(super) type Hash = [u8; 32];

/// Stands for a right child that isn't there.
pub(super) const MISSING: Hash = [0; 32];

/// Levels above the leaves.
pub(super) fn depth(leaves: u64) -> u32 {
    u64::BITS - leaves.saturating_sub(1).leading_zeros()
}

/// The nodes above `nodes`.
pub(super) fn level_up(nodes: &[Hash], parent: &impl Fn(&Hash, &Hash) -> Hash) -> Vec<Hash> {
    nodes.chunks(2).map(|pair| parent(&pair[0], pair.get(1).unwrap_or(&MISSING))).collect()
}

/// All levels from `leaves`, at least one, up to the root.
pub(super) fn levels(leaves: Vec<Hash>, parent: &impl Fn(&Hash, &Hash) -> Hash) -> Vec<Vec<Hash>> {
    let mut levels = vec![leaves];
    while let Some(top) = levels.last().filter(|top| top.len() > 1) {
        levels.push(level_up(top, parent));
    }
    levels
}

/// A leaf that is shown to be in a tree.
#[derive(Debug)]
pub(super) struct Shown {
    /// Its position.
    pub(super) index: u64,
    /// What it is.
    pub(super) hash: Hash,
    /// The left siblings of the nodes from it to the root, the lowest first. [`climb`] fills them in.
    pub(super) left: Vec<Hash>,
}

impl Shown {
    pub(super) fn new(index: u64, hash: Hash) -> Self {
        Self { index, hash, left: Vec::new() }
    }
}

/// The node at `height`, number `index` there, from the leaves below it that are shown: at least one, in ascending order.
///
/// `neighbour(height, index)` gives what can't be reckoned: the siblings of reckoned nodes. It is asked in the order in
/// which the parents are complete: whatever is further left first, and lower first.
pub(super) fn climb<E>(
    height: u32,
    index: u64,
    shown: &mut [Shown],
    parent: &impl Fn(&Hash, &Hash) -> Hash,
    neighbour: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let Some(below) = height.checked_sub(1) else {
        return Ok(shown.first().map_or(MISSING, |leaf| leaf.hash));
    };
    let (left, right) = (2 * index, 2 * index + 1);
    let (on_left, on_right) = shown.split_at_mut(shown.partition_point(|leaf| leaf.index >> below < right));
    let mut side = |index, shown: &mut [Shown]| match shown {
        [] => Ok(None),
        shown => climb(below, index, shown, parent, neighbour).map(Some),
    };
    let (on_the_left, on_the_right) = (side(left, on_left)?, side(right, on_right)?);
    let mut or_neighbour = |node, index| match node {
        Some(node) => Ok(node),
        None => neighbour(below, index),
    };
    let (left, right) = (or_neighbour(on_the_left, left)?, or_neighbour(on_the_right, right)?);
    for leaf in on_right {
        leaf.left.push(left);
    }
    Ok(parent(&left, &right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_that_of_the_next_power_of_two() {
        for (leaves, levels) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1 << 40, 40), ((1 << 40) + 1, 41)] {
            assert_eq!(depth(leaves), levels, "{leaves}");
        }
        assert_eq!(depth(u64::MAX), 64);
        for leaves in 1..40 {
            let levels = levels(vec![[1; 32]; leaves], &|l, _| *l);
            assert_eq!(levels.len() as u32, depth(leaves as u64) + 1, "{leaves}");
        }
    }

    /// A toy parent that writes down what it was made of: siblings are asked for left before right, low before high.
    #[test]
    fn neighbours_are_asked_for_as_parents_are_complete() {
        let asked = |leaves: &[u64], height| {
            let mut shown: Vec<_> = leaves.iter().map(|&index| Shown::new(index, [1; 32])).collect();
            let mut asked = Vec::new();
            let mut neighbour = |height, index| -> Result<Hash, ()> {
                asked.push((height, index));
                Ok([0; 32])
            };
            climb(height, 0, &mut shown, &|l, _| *l, &mut neighbour).unwrap();
            asked
        };
        assert_eq!(asked(&[5], 3), [(0, 4), (1, 3), (2, 0)]);
        assert_eq!(asked(&[0, 4, 7], 4), [(0, 1), (1, 1), (0, 5), (0, 6), (3, 1)]);
        assert_eq!(asked(&[0, 1, 2, 3], 2), []);
        assert_eq!(asked(&[], 0), []);
    }
}
