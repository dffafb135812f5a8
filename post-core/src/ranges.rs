//! A set of numbers that come in stretches: which labels a device made, which are suspect.

use std::ops::Range;

/// Disjoint stretches that don't touch, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers it holds.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|range| range.end <= number);
        self.0.get(at).is_some_and(|range| range.start <= number)
    }

    /// Adds a stretch; what it overlaps or touches becomes one with it.
    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|old| old.end < range.start);
        let to = self.0.partition_point(|old| old.start <= range.end);
        let start = self.0.get(from).map_or(range.start, |old| old.start.min(range.start));
        let end = self.0[..to].last().map_or(range.end, |old| old.end.max(range.end));
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// Takes a stretch out.
    pub(crate) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|old| old.end <= range.start);
        let to = self.0.partition_point(|old| old.start < range.end).max(from);
        let cut = self.0[from..to].iter();
        let left: Vec<_> =
            cut.flat_map(|old| [old.start..range.start, range.end..old.end]).filter(|left| !left.is_empty()).collect();
        self.0.splice(from..to, left);
    }

    /// What of it lies within `bounds`.
    pub(crate) fn within(&self, bounds: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
        let from = self.0.partition_point(|range| range.end <= bounds.start);
        let to = self.0.partition_point(|range| range.start < bounds.end).max(from);
        let clip = |range: &Range<u64>| range.start.max(bounds.start)..range.end.min(bounds.end);
        self.0[from..to].iter().map(clip).collect::<Vec<_>>().into_iter()
    }

    /// Keeps at most `stretches` stretches, closing the smallest gaps: it may hold more numbers afterwards, never fewer.
    pub(crate) fn coarsen(&mut self, stretches: usize) {
        if self.0.len() <= stretches.max(1) {
            return;
        }
        let mut gaps: Vec<u64> = self.0.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
        // As many gaps go as there are stretches too many; equal ones all go.
        let too_many = self.0.len() - stretches.max(1);
        let (_, &mut widest, _) = gaps.select_nth_unstable(too_many - 1);
        self.0.dedup_by(|next, kept| {
            let close = next.start - kept.end <= widest;
            if close {
                kept.end = next.end;
            }
            close
        });
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut all = Self::default();
        ranges.into_iter().for_each(|range| all.insert(range));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn numbers(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.iter().flatten().collect()
    }

    proptest! {
        /// Against a plain set of numbers.
        #[test]
        fn does_what_a_set_does(steps in prop::collection::vec((any::<bool>(), 0_u64..100, 0_u64..30), 0..60),
            bounds in (0_u64..100, 0_u64..60), stretches in 0_usize..8) {
            let (mut ranges, mut judge) = (Ranges::default(), BTreeSet::new());
            for (insert, start, length) in steps {
                let range = start..start + length;
                if insert {
                    ranges.insert(range.clone());
                    judge.extend(range);
                } else {
                    ranges.remove(range.clone());
                    judge.retain(|number| !range.contains(number));
                }
                prop_assert_eq!(&numbers(&ranges), &judge);
                prop_assert!(ranges.0.windows(2).all(|pair| pair[0].end < pair[1].start));
                prop_assert!(ranges.0.iter().all(|range| !range.is_empty()));
            }
            prop_assert_eq!(ranges.len(), judge.len() as u64);
            prop_assert_eq!(ranges.is_empty(), judge.is_empty());
            prop_assert!((0..140).all(|number| ranges.contains(number) == judge.contains(&number)));
            let bounds = bounds.0..bounds.0 + bounds.1;
            let within: BTreeSet<u64> = ranges.within(&bounds).flatten().collect();
            prop_assert_eq!(within, judge.iter().copied().filter(|number| bounds.contains(number)).collect());
            ranges.coarsen(stretches);
            prop_assert!(ranges.0.len() <= stretches.max(1));
            prop_assert!(judge.is_subset(&numbers(&ranges)));
        }
    }

    #[test]
    fn small_gaps_are_closed_first() {
        let mut ranges: Ranges = [0..10, 12..20, 100..110, 111..120].into_iter().collect();
        ranges.coarsen(2);
        assert_eq!(ranges.0, [0..20, 100..120]);
        ranges.insert(u64::MAX - 1..u64::MAX);
        assert_eq!(ranges.len(), 41);
    }
}
