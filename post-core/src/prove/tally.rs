//! Counts the hits of one pass, in whatever order the labels come, and decides as if they had come in theirs.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::ranges::Ranges;
use crate::scan::Hit;

/// The hits of one pass so far, and which labels were looked at.
///
/// A nonce is full with its K2-th hit. Of all full nonces the one whose K2-th lowest hit is lowest leads; that hit's index
/// is the bound. It can only fall, so a hit above it is of no use to anybody, and once all labels up to it were looked at
/// the leader has won: nothing that comes later can be before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    k2: usize,
    /// Nonce → its lowest hits, ascending, at most K2.
    hits: BTreeMap<u32, Vec<u64>>,
    done: Ranges,
    bound: Option<u64>,
}

impl Tally {
    /// Nothing was looked at yet.
    pub(super) fn new(k2: u32) -> Self {
        Self::of(k2, BTreeMap::new(), Ranges::default())
    }

    /// As an earlier tally was: its hits, ascending and at most K2 of a nonce, and the labels it had seen.
    pub(super) fn of(k2: u32, hits: BTreeMap<u32, Vec<u64>>, done: Ranges) -> Self {
        let k2 = k2 as usize;
        let bound = hits.values().filter_map(|indices| indices.get(k2 - 1)).min().copied();
        Self { k2, hits, done, bound }
    }

    /// Counts the hits of labels that were not looked at before.
    pub(super) fn count(&mut self, labels: Range<u64>, hits: &[Hit]) {
        for hit in hits {
            if self.bound.is_some_and(|bound| hit.index > bound) {
                continue;
            }
            let indices = self.hits.entry(hit.nonce).or_default();
            indices.insert(indices.partition_point(|index| *index < hit.index), hit.index);
            indices.truncate(self.k2);
            if let Some(&full) = indices.get(self.k2 - 1) {
                self.bound = Some(self.bound.map_or(full, |bound| bound.min(full)));
            }
        }
        self.done.insert(labels);
    }

    /// Labels from here on can't change anything any more.
    pub(super) fn needed_end(&self) -> u64 {
        self.bound.map_or(u64::MAX, |bound| bound + 1)
    }

    /// The nonce that has won, and its hits. Of two that are full at the same label, it is the lower one.
    pub(super) fn winner(&self) -> Option<(u32, &[u64])> {
        let bound = self.bound?;
        let needed = 0..bound + 1;
        if !self.done.within(&needed).eq(std::iter::once(needed)) {
            return None;
        }
        let leads = |indices: &Vec<u64>| indices.get(self.k2 - 1) == Some(&bound);
        self.hits.iter().find(|(_, indices)| leads(indices)).map(|(nonce, indices)| (*nonce, indices.as_slice()))
    }

    /// Labels that were looked at.
    pub(super) fn done(&self) -> &Ranges {
        &self.done
    }

    /// Nonce → its lowest hits, ascending, at most K2.
    pub(super) fn hits(&self) -> &BTreeMap<u32, Vec<u64>> {
        &self.hits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule, label by label in their order.
    fn in_order(hits: &[Vec<u32>], k2: usize) -> Option<(u32, Vec<u64>)> {
        let mut all: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (index, nonces) in (0..).zip(hits) {
            for nonce in nonces {
                let indices = all.entry(*nonce).or_default();
                indices.push(index);
                if indices.len() == k2 {
                    return Some((*nonce, indices.clone()));
                }
            }
        }
        None
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// However the labels are cut, in whatever order the cuts come, whatever is left out as not needed, and however
        /// often a tally is written down and taken up again.
        #[test]
        fn any_order_gives_what_the_order_of_the_labels_gives(
            // Label → the nonces it hits, one bit each.
            hits in prop::collection::vec(prop_oneof![3 => Just(0_u8), 2 => any::<u8>()], 1..120),
            k2 in 1_u32..9,
            cuts in prop::collection::vec(0_usize..120, 0..12),
            order in prop::collection::vec(any::<u32>(), 14),
            leave_out in any::<bool>(), take_up in any::<bool>(),
        ) {
            let hits: Vec<Vec<u32>> =
                hits.iter().map(|bits| (0..8).filter(|nonce| bits >> nonce & 1 == 1).collect()).collect();
            let mut borders: Vec<usize> = cuts.into_iter().filter(|cut| *cut < hits.len()).collect();
            borders.extend([0, hits.len()]);
            borders.sort_unstable();
            let mut chunks: Vec<(u32, Range<u64>)> =
                borders.windows(2).zip(order).map(|(pair, at)| (at, pair[0] as u64..pair[1] as u64)).collect();
            chunks.sort_by_key(|(at, _)| *at);
            let expected = in_order(&hits, k2 as usize);
            let mut tally = Tally::new(k2);
            for (_, chunk) in chunks {
                if leave_out && chunk.start >= tally.needed_end() {
                    continue;
                }
                let of_label = |index: u64| hits[index as usize].iter().map(move |&nonce| Hit { index, nonce });
                tally.count(chunk.clone(), &chunk.flat_map(of_label).collect::<Vec<_>>());
                prop_assert!(tally.hits.values().all(|indices| indices.len() <= k2 as usize && indices.is_sorted()));
                if let Some((nonce, indices)) = tally.winner() {
                    // Never too early.
                    prop_assert_eq!(Some((nonce, indices.to_vec())), expected.clone());
                }
                if take_up {
                    let again = Tally::of(k2, tally.hits().clone(), tally.done().clone());
                    prop_assert_eq!(&again, &tally);
                    tally = again;
                }
            }
            prop_assert_eq!(tally.winner().map(|(nonce, indices)| (nonce, indices.to_vec())), expected);
        }
    }

    #[test]
    fn the_first_full_nonce_wins_and_the_lower_of_two() {
        let hit = |index, nonce| Hit { index, nonce };
        let mut tally = Tally::new(2);
        tally.count(5..9, &[hit(6, 5), hit(6, 9), hit(8, 9)]);
        tally.count(0..2, &[hit(1, 5), hit(1, 9)]);
        assert_eq!((tally.winner(), tally.needed_end()), (None, 7), "labels 2 to 4 are still to come");
        tally.count(2..5, &[hit(4, 7)]);
        assert_eq!(tally.winner(), Some((5, &[1, 6][..])));
    }

    /// Every byte a hit: what is kept does not grow with the labels.
    #[test]
    fn no_more_than_k2_hits_of_a_nonce_are_kept() {
        let mut tally = Tally::new(3);
        for chunk in (0..50_u64).rev() {
            let labels = chunk * 100..(chunk + 1) * 100;
            let hits: Vec<Hit> =
                labels.clone().flat_map(|index| (0..16).map(move |nonce| Hit { index, nonce })).collect();
            tally.count(labels, &hits);
            assert_eq!(tally.hits.values().map(Vec::len).sum::<usize>(), 48);
            assert_eq!(tally.needed_end(), chunk * 100 + 3);
        }
        assert_eq!(tally.winner(), Some((0, &[0, 1, 2][..])));
    }
}
