//! Which labels a check of a fraction looks at. Pure arithmetic: the same seed picks the same labels.

use std::ops::Range;

use crate::sums::BLOCK_LABELS;

/// Picks labels by chance, evenly spread over each file: the first and the last one always, and of every block that has a
/// checksum at least one where the fraction is large enough for that. Never none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picks {
    /// Above 0, at most 1.
    pub(super) fraction: f64,
    pub(super) seed: u64,
}

impl Picks {
    /// Whether there is a label in every block: then reading all is no slower than seeking.
    pub(super) fn is_dense(&self) -> bool {
        self.fraction * BLOCK_LABELS as f64 >= 1.0
    }

    /// How many labels of a file of `labels` labels are picked.
    pub(super) fn count(&self, labels: u64) -> u64 {
        self.cells(labels, &(0..labels)).map(|cell| self.count_in(labels, &cell)).sum()
    }

    /// The picks of a file that lie within a stretch of it, ascending. `first` is the index of the file's first label, and
    /// labels are counted from there.
    pub(super) fn of(&self, first: u64, labels: u64, within: &Range<u64>) -> Vec<u64> {
        let cells = self.cells(labels, within);
        cells.flat_map(|cell| self.in_cell(first, labels, &cell)).filter(|pick| within.contains(pick)).collect()
    }

    /// What a file is cut into: every cell has its share of the picks.
    fn cells(&self, labels: u64, within: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
        let size = if self.is_dense() { BLOCK_LABELS } else { labels.max(1) };
        let cells = within.start / size..within.end.min(labels).div_ceil(size);
        cells.map(move |cell| cell * size..((cell + 1) * size).min(labels))
    }

    fn count_in(&self, labels: u64, cell: &Range<u64>) -> u64 {
        // Rounding once for the whole file: its cells together have the right number.
        let until = |label: u64| (label as f64 * self.fraction) as u64;
        let both_ends = *cell == (0..labels) && labels > 1;
        let least = if both_ends { 2 } else { 1 };
        (until(cell.end) - until(cell.start)).max(least).min(cell.end - cell.start)
    }

    fn in_cell(&self, first: u64, labels: u64, cell: &Range<u64>) -> impl Iterator<Item = u64> + use<> {
        let (this, cell, count) = (*self, cell.clone(), self.count_in(labels, cell));
        let length = u128::from(cell.end - cell.start);
        let border = move |i: u64| cell.start + (length * u128::from(i) / u128::from(count)) as u64;
        (0..count).map(move |i| match (border(i), border(i + 1)) {
            (0, _) => 0,
            (_, end) if end == labels => labels - 1,
            (start, end) => start + this.chance(first + start) % (end - start).max(1),
        })
    }

    /// A number that depends on seed and place only.
    fn chance(&self, place: u64) -> u64 {
        let hash = blake3::hash([self.seed.to_le_bytes(), place.to_le_bytes()].as_flattened());
        hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn picks_are_enough_in_order_and_within(
            labels in prop_oneof![1_u64..50, 1_u64..400_000],
            fraction in prop_oneof![Just(1e-9), Just(1.0), 1e-6_f64..1.0, 1e-6_f64..1e-3],
            (seed, first) in (any::<u64>(), 0_u64..1 << 40),
            within in (0_u64..400_000, 0_u64..400_000),
        ) {
            let picks = Picks { fraction, seed };
            let all = picks.of(first, labels, &(0..labels));
            prop_assert_eq!(all.len() as u64, picks.count(labels));
            prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!((all[0], all[all.len() - 1]), (0, labels - 1));
            // As many as asked for, but for one a block and both ends at least.
            let blocks = if picks.is_dense() { labels.div_ceil(BLOCK_LABELS) } else { 2 };
            let asked = (labels as f64 * fraction) as u64;
            prop_assert!(all.len() as u64 >= asked && all.len() as u64 <= asked + blocks + 1, "{} of {}", all.len(), asked);
            if picks.is_dense() {
                for block in 0..blocks {
                    prop_assert!(all.iter().any(|pick| pick / BLOCK_LABELS == block), "block {block}");
                }
            }
            let within = within.0.min(within.1)..within.0.max(within.1);
            let some = picks.of(first, labels, &within);
            let expected: Vec<_> = all.into_iter().filter(|pick| within.contains(pick)).collect();
            prop_assert_eq!(some, expected);
        }
    }

    #[test]
    fn another_seed_picks_other_labels() {
        let of = |seed| Picks { fraction: 0.01, seed }.of(0, 100_000, &(0..100_000));
        assert_eq!(of(1), of(1));
        let (one, two) = (of(1), of(2));
        let common = one.iter().filter(|pick| two.contains(pick)).count();
        assert!(common < 100, "{common} of {}", one.len());
    }
}
