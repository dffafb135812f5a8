#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::ids::{Epoch, NodeId, Signature};
use crate::vrf::VrfProof;

const NAME: Candidate = [3; 8];

fn vote(supports: bool, draw: u64) -> BeaconVote {
    let mut coin = VrfProof([0; 80]);
    coin.0[..8].copy_from_slice(&draw.to_le_bytes());
    let support = if supports { vec![NAME] } else { vec![] };
    let (sender, signature) = (NodeId([0; 32]), Signature([0; 64]));
    BeaconVote { epoch: Epoch(2), round: 0, support, coin, sender, signature }
}

fn tally(votes: &[(bool, u64, u64)], total: u64) -> Tally {
    let votes: Vec<_> = votes.iter().map(|(supports, draw, weight)| (vote(*supports, *draw), *weight)).collect();
    Tally::new(votes.iter().map(|(vote, weight)| (vote, *weight)), total)
}

fn supports(tally: &Tally) -> bool {
    tally.support(std::iter::once(NAME)) == [NAME]
}

/// Heads falls for an odd draw.
#[test]
fn more_than_a_quarter_decides_else_the_coin() {
    let sure = [(63, 37, true), (30, 0, true), (26, 0, true), (37, 63, false), (10, 60, false), (0, 26, false)];
    let unsure = [(62, 38), (60, 35), (50, 50), (38, 62), (25, 0), (0, 25)];
    let next = |yes, no, coin| supports(&tally(&[(true, coin, yes), (false, coin, no)], 100));
    for (heads, coin) in [(true, 1), (false, 2)] {
        for (yes, no, expected) in sure {
            assert_eq!(next(yes, no, coin), expected, "{yes} {no} {heads}");
        }
        for (yes, no) in unsure {
            assert_eq!(next(yes, no, coin), heads, "{yes} {no}");
        }
    }
    // The coin is not for names that no proposal stands behind.
    let unknown = tally(&[(true, 1, 50), (false, 1, 50)], 100);
    assert_eq!(unknown.support(std::iter::empty()), Vec::<Candidate>::new());
    let wanted = tally(&[(true, 1, 80), (false, 1, 20)], 100);
    assert_eq!(wanted.support(std::iter::empty()), [NAME]);
    assert_eq!(tally(&[], 100).support(std::iter::once(NAME)), Vec::<Candidate>::new());
}

#[test]
fn who_weighs_nothing_says_nothing() {
    let with = tally(&[(false, 2, 60), (true, 1, 0)], 100);
    assert_eq!((with.agreed(), supports(&with)), (None, false));
    let alone = tally(&[(true, 3, 51)], 100);
    assert_eq!(alone.agreed(), Some(vec![NAME]));
    assert_eq!(tally(&[(true, 3, 50)], 100).agreed(), None, "half is too few");
    assert_eq!(tally(&[(true, 3, 50), (false, 3, 50)], 100).agreed(), None, "nothing is left");
    let most = [(true, 1, u64::MAX), (true, 3, u64::MAX), (false, 2, u64::MAX)];
    assert_eq!(tally(&most, u64::MAX).agreed(), Some(vec![NAME]));
}

/// A large miner tosses the coin as often as small ones of the same weight together.
#[test]
fn the_coin_goes_by_weight() {
    let mut wins = 0;
    let draw = |round: u32, miner: u32| {
        let hash = blake3::hash(&[round.to_le_bytes(), miner.to_le_bytes()].concat());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
    };
    for round in 0..1000 {
        // The large ones draw even numbers, the many small ones odd ones.
        let large = (0..10).map(|miner| (true, draw(round, miner) & !1, 1000));
        let small = (10..1010).map(|miner| (true, draw(round, miner) | 1, 10));
        let votes: Vec<_> = large.chain(small).collect();
        wins += u32::from(tally(&votes, 20_000).coin);
    }
    assert!((400..600).contains(&wins), "{wins}");
}

proptest! {
    /// Two nodes of which each misses some votes, a half of the weight altogether: never sure of opposites.
    #[test]
    fn no_two_are_sure_of_opposites(
        votes in prop::collection::vec((any::<bool>(), any::<u64>(), 1_u64..100, 0_u8..3), 1..40)
    ) {
        let total: u64 = votes.iter().map(|(_, _, weight, _)| weight).sum();
        let mut left = total / 2;
        let mut views = [Vec::new(), Vec::new()];
        for (supports, draw, weight, seen_by) in votes {
            let hidden = seen_by > 0 && weight <= left;
            if hidden {
                left -= weight;
            }
            for (i, view) in views.iter_mut().enumerate() {
                if !hidden || usize::from(seen_by) == i + 1 {
                    view.push((supports, draw, weight));
                }
            }
        }
        // With the coin against it, who supports it is sure; and the other way round.
        let surely = |view: &[(bool, u64, u64)], coin: bool| {
            let mut tally = tally(view, total);
            tally.coin = coin;
            supports(&tally)
        };
        let [one, other] = views;
        prop_assert!(!surely(&one, false) || surely(&other, true));
        prop_assert!(!surely(&other, false) || surely(&one, true));
    }
}
