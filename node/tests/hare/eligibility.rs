//! Slots and seats, against exact numbers.

use std::cmp::Ordering;

use node::eligibility::{SeatTable, Seats, ballot_weight, seat_message, seats, slot_layer, slot_message, slots};
use node::ids::{Beacon, Epoch, Layer};
use node::params::{NodeParams, RewardRule};
use node::time::Time;
use node::vrf::VrfProof;
use proptest::prelude::*;

/// Natural numbers as one writes them: digits of 32 bits, the lowest first.
#[derive(Clone, Debug)]
struct Natural(Vec<u32>);

impl Natural {
    fn times(&self, by: u32) -> Self {
        let mut carry = 0u64;
        let mut digits: Vec<u32> = Vec::new();
        for &digit in &self.0 {
            carry += u64::from(digit) * u64::from(by);
            digits.push(carry as u32);
            carry >>= 32;
        }
        digits.push(carry as u32);
        Self(digits)
    }

    fn divided(&self, by: u32) -> Self {
        let mut rest = 0u64;
        let mut digits = self.0.clone();
        for digit in digits.iter_mut().rev() {
            rest = rest << 32 | u64::from(*digit);
            *digit = (rest / u64::from(by)) as u32;
            rest %= u64::from(by);
        }
        assert_eq!(rest, 0);
        Self(digits)
    }

    fn plus(&self, other: &Self) -> Self {
        let mut carry = 0u64;
        let at = |number: &Self, i| number.0.get(i).copied().unwrap_or(0u32);
        let mut digits = Vec::new();
        for i in 0..=self.0.len().max(other.0.len()) {
            carry += u64::from(at(self, i)) + u64::from(at(other, i));
            digits.push(carry as u32);
            carry >>= 32;
        }
        Self(digits)
    }

    fn shifted(&self) -> Self {
        Self([&[0, 0], &self.0[..]].concat())
    }

    fn times_u64(&self, by: u64) -> Self {
        let high = Self([&[0], &self.times((by >> 32) as u32).0[..]].concat());
        self.times(by as u32).plus(&high)
    }

    fn compared(&self, other: &Self) -> Ordering {
        let digits = self.0.len().max(other.0.len());
        let at = |number: &Self, i| number.0.get(i).copied().unwrap_or(0u32);
        (0..digits).rev().map(|i| at(self, i).cmp(&at(other, i))).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// Checks a table against exact fractions: P(X ≤ k) · totalⁿ is Σ C(n, j) · withʲ · withoutⁿ⁻ʲ.
fn is_exact(n: u32, total: u32, committee: u32) {
    let without = total - committee;
    let one = Natural(vec![1]);
    let all = (0..n).fold(one.clone(), |product, _| product.times(total));
    let mut term = (0..n).fold(one, |product, _| product.times(without));
    let mut sum = Natural(vec![]);
    let table = SeatTable::new(n.into(), total.into(), committee);
    for k in 0..n {
        sum = sum.plus(&term);
        if n < 100 || k % 16 == 0 {
            // The exact P(X ≤ k) in 2^-64, rounded down; the table has this or one less.
            let at_most = |entry: &u64| all.times_u64(*entry).compared(&sum.shifted()).is_le();
            let exact = (0..64).rev().fold(0, |low, bit| Some(low | 1 << bit).filter(at_most).unwrap_or(low));
            if exact >= u64::MAX - 1 {
                // The table may end here.
                break;
            }
            assert!(u32::from(table.seats(exact)) > k, "{n} {total} {committee} {k}");
            if let Some(below) = exact.checked_sub(2) {
                assert!(u32::from(table.seats(below)) <= k, "{n} {total} {committee} {k}");
            }
        }
        term = term.times(n - k).times(committee).divided(k + 1).divided(without);
    }
}

#[test]
fn tables_are_exact() {
    for (n, total, committee) in [
        (1, 2, 1),
        (1, 1_000_000, 200),
        (7, 1000, 50),
        (40, 201, 200),
        (201, 201, 200),
        (60, 90, 50),
        (500, 1_000_003, 200),
        (2000, 4000, 800),
        (3000, 3000, 200),
    ] {
        is_exact(n, total, committee);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn small_tables_are_exact(n in 1u32..60, more in 0u32..1000, committee in 1u32..300) {
        let total = n.max(committee + 1) + more;
        is_exact(n, total, committee);
    }

    #[test]
    fn seats_grow_with_the_fraction(weight in 0u64..1 << 60, others in 0u64..1 << 60, a: u64, b: u64) {
        let table = SeatTable::new(weight, weight + others, 200);
        prop_assert!(table.seats(a.min(b)) <= table.seats(a.max(b)));
        prop_assert!(u64::from(table.seats(u64::MAX)) <= weight);
    }

    #[test]
    fn nothing_panics(weight: u64, total: u64, committee in 0u32..10_001, fraction: u64) {
        let seats = SeatTable::new(weight, total, committee).seats(fraction);
        prop_assert!(committee > 0 || seats == 0);
    }
}

/// Of a table, from evenly spread fractions, in thousandths.
fn expectation(weight: u64, total: u64, committee: u32) -> u64 {
    const DRAWS: u64 = 1 << 16;
    let table = SeatTable::new(weight, total, committee);
    let sum: u64 = (0..DRAWS).map(|i| u64::from(table.seats((i << 48) + (1 << 47)))).sum();
    sum * 1000 / DRAWS
}

#[test]
fn expectations_are_a_part_of_the_committee() {
    const TOTAL: u64 = 1 << 60;
    for (weight, seats) in [(TOTAL / 200, 1), (TOTAL / 20, 10), (TOTAL / 2, 100), (TOTAL, 200)] {
        let got = expectation(weight, TOTAL, 200);
        assert!(got.abs_diff(seats * 1000) <= seats + 1, "{weight}: {got}");
    }
    // However a weight is split, what it can expect is the same.
    for weight in [TOTAL / 1_000, TOTAL / 100, TOTAL / 7] {
        let (one, two) = (expectation(2 * weight, TOTAL, 200), 2 * expectation(weight, TOTAL, 200));
        assert!(one.abs_diff(two) <= 20, "{one} {two}");
    }
    // The largest committee, all of it one miner's: a probability of 0 seats of 2^-14427.
    assert!(expectation(TOTAL, TOTAL, 10_000).abs_diff(10_000_000) < 1000);
}

#[test]
fn fewer_units_than_seats_have_all_one() {
    for fraction in [0, 1, u64::MAX] {
        assert_eq!(SeatTable::new(7, 150, 200).seats(fraction), 7);
        assert_eq!(SeatTable::new(200, 200, 200).seats(fraction), 200);
        assert_eq!(SeatTable::new(0, 1000, 200).seats(fraction), 0);
        assert_eq!(SeatTable::new(5, 0, 200).seats(fraction), 0);
    }
}

fn proof(first: u64, second: u64) -> VrfProof {
    let mut bytes = [0; 80];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..16].copy_from_slice(&second.to_le_bytes());
    VrfProof(bytes)
}

fn linear() -> NodeParams {
    let mut params = NodeParams::mainnet();
    params.rewards.rule = RewardRule::Linear { proposers_permille: 100 };
    params
}

#[test]
fn classical_slots() {
    let params = NodeParams::mainnet();
    let sure = |weight, total| slots(weight, total, &params).sure;
    assert_eq!((sure(0, 100), sure(1, 1 << 40), sure(1, 100)), (0, 1, 2016));
    assert_eq!(sure(100, 100), 50 * 4032);
    assert_eq!(sure(u64::MAX, 1), u32::MAX);
    assert!(slots(1, 1 << 40, &params).has(0, &proof(0, u64::MAX)));
    assert!(!slots(1, 1 << 40, &params).has(1, &proof(0, 0)));
    let mut few = params.clone();
    few.consensus.min_weight = 1000;
    assert_eq!(slots(1, 100, &few).sure, 201);
}

#[test]
fn linear_slots_have_a_fraction() {
    let params = linear();
    // A third of a slot.
    let third = slots(1, 3 * 50 * 4032, &params);
    assert_eq!((third.sure, third.fraction), (0, Some(u64::MAX / 3)));
    assert!(third.has(0, &proof(9, u64::MAX / 3 - 1)) && !third.has(0, &proof(9, u64::MAX / 3)));
    assert!(!third.has(1, &proof(0, 0)));
    let whole = slots(2, 2, &params);
    assert_eq!((whole.sure, whole.fraction, whole.most()), (50 * 4032, None, 50 * 4032));
}

#[test]
fn ballots_weigh_what_their_miner_does() {
    let classical = NodeParams::mainnet();
    assert_eq!(ballot_weight(10, 1 << 40, 1, &classical), 10 << 16);
    let (weight, total) = (1_000_003, 1_000_003 * 777);
    let all = slots(weight, total, &classical).sure as usize;
    assert_eq!(ballot_weight(weight, total, all, &classical), weight << 16);
    assert_eq!(ballot_weight(u64::MAX, u64::MAX, 1 << 20, &classical), u64::MAX);
    let linear = linear();
    assert_eq!(ballot_weight(7, total, 1, &linear), ballot_weight(weight, total, 1, &linear));
    assert_eq!(ballot_weight(7, total, 50 * 4032, &linear), total << 16);
    assert_eq!(ballot_weight(0, total, 1, &linear), 0);
}

#[test]
fn slots_spread_over_the_epoch() {
    let timing = NodeParams::mainnet().timing;
    assert_eq!(slot_layer(&proof(4031, 0), Epoch(2), &timing), Layer(2 * 4032 + 4031));
    assert_eq!(slot_layer(&proof(4032, 0), Epoch(2), &timing), Layer(2 * 4032));
    let _ = slot_layer(&proof(u64::MAX, 0), Epoch(u32::MAX), &NodeParams::devnet(Time(0)).timing);
}

#[test]
fn messages_are_pinned() {
    let beacon = Beacon([1, 2, 3, 4]);
    assert_eq!(hex::encode(slot_message(beacon, Epoch(5), 64, 3)), "0c010203041401010c");
    assert_eq!(hex::encode(seat_message(beacon, Layer(100), 9)), "0801020304249101");
}

#[test]
fn kept_tables_say_the_same() {
    let mut kept = Seats::new(1 << 40, 200);
    for i in 0..100u64 {
        let hash = blake3::hash(&i.to_le_bytes());
        let mut drawn = proof(0, 0);
        drawn.0[..32].copy_from_slice(hash.as_bytes());
        let weight = (1 << 33) * (i % 5);
        assert_eq!(kept.of(weight, &drawn), seats(weight, 1 << 40, 200, &drawn));
    }
}
