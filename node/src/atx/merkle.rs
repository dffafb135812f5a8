//! The trees that an ATX's id is made of.
//!
//! Leaves are raw, of any length: a shape is only ever hashed with fields of fixed places and, but for one of two
//! neighbours, fixed lengths, so that no two ATXs give one hash the same bytes.

/// A hash, or a leaf that looks like one.
pub(super) type Hash = [u8; 32];

/// Stands for a neighbour that isn't there.
const MISSING: Hash = [0; 32];

fn parent(left: &[u8], right: &[u8]) -> Hash {
    blake3::Hasher::new().update(&[1]).update(left).update(right).finalize().into()
}

/// One level up; `filler` is the neighbour of the last node when their number is odd.
fn level_up<N: AsRef<[u8]>>(nodes: &[N], filler: &Hash) -> Vec<Hash> {
    let hash = |pair: &[N]| parent(pair[0].as_ref(), pair.get(1).map_or(&filler[..], N::as_ref));
    nodes.chunks(2).map(hash).collect()
}

/// The root over `leaves`, at least two.
pub(super) fn root(leaves: &[&[u8]]) -> Hash {
    let mut level = level_up(leaves, &MISSING);
    while level.len() > 1 {
        level = level_up(&level, &MISSING);
    }
    level.first().copied().unwrap_or(MISSING)
}

/// The root over `leaves` and as many leaves of zeros as make it 2^depth.
pub(super) fn padded_root(leaves: impl Iterator<Item = Hash>, depth: u32) -> Hash {
    let (mut level, mut filler): (Vec<Hash>, _) = (leaves.collect(), MISSING);
    for _ in 0..depth {
        level = level_up(&level, &filler);
        filler = parent(&filler, &filler);
    }
    level.first().copied().unwrap_or(filler)
}

/// What it takes to get from one leaf to [`root`]: the neighbours on the way, a raw leaf first.
pub(super) fn path(leaves: &[&[u8]], index: usize) -> Vec<Vec<u8>> {
    let neighbour = |index: usize| index ^ 1;
    let mut path = vec![leaves.get(neighbour(index)).map_or(MISSING.to_vec(), |leaf| leaf.to_vec())];
    let (mut level, mut index) = (level_up(leaves, &MISSING), index / 2);
    while level.len() > 1 {
        path.push(level.get(neighbour(index)).unwrap_or(&MISSING).to_vec());
        (level, index) = (level_up(&level, &MISSING), index / 2);
    }
    path
}

/// The root that `path` leads to from `leaf`, which is number `index`.
pub(super) fn climb(leaf: &[u8], index: usize, path: &[Vec<u8>]) -> Vec<u8> {
    let step = |(node, index): (Vec<u8>, usize), neighbour: &Vec<u8>| {
        let hash = if index % 2 == 0 { parent(&node, neighbour) } else { parent(neighbour, &node) };
        (hash.to_vec(), index / 2)
    };
    path.iter().fold((leaf.to_vec(), index), step).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_neighbour_is_zeros() {
        let (a, b, c) = ([1; 32], [2; 5], [3; 32]);
        assert_eq!(root(&[&a, &b]), parent(&a, &b));
        assert_eq!(root(&[&a, &b, &c]), parent(&parent(&a, &b), &parent(&c, &[0; 32])));
        // Five leaves: the missing neighbour of a node above the leaves is zeros as well, not a hash of zeros.
        let pair = parent(&a, &a);
        let five = [&a[..]; 5];
        assert_eq!(root(&five), parent(&parent(&pair, &pair), &parent(&parent(&a, &[0; 32]), &[0; 32])));
    }

    #[test]
    fn padding_is_leaves_of_zeros() {
        for count in [0, 1, 2, 3, 5, 15, 16] {
            let leaves: Vec<Hash> = (0..count).map(|i| [i as u8 + 1; 32]).collect();
            let mut all = leaves.clone();
            all.resize(16, [0; 32]);
            let all: Vec<&[u8]> = all.iter().map(|leaf| &leaf[..]).collect();
            assert_eq!(padded_root(leaves.into_iter(), 4), root(&all), "{count}");
        }
    }

    #[test]
    fn a_path_leads_from_each_leaf_to_the_root() {
        for count in 2..12 {
            let leaves: Vec<Vec<u8>> = (0..count).map(|i| vec![i as u8; 20 + i]).collect();
            let leaves: Vec<&[u8]> = leaves.iter().map(|leaf| &leaf[..]).collect();
            for (index, leaf) in leaves.iter().enumerate() {
                let path = path(&leaves, index);
                assert_eq!(climb(leaf, index, &path), root(&leaves), "{index} of {count}");
                assert_ne!(climb(leaf, index ^ 1, &path), root(&leaves), "{index} of {count}");
            }
        }
    }
}
