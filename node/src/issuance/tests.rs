#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn curve(issuance: u64, fraction_issued: u64, fraction_layers: u64) -> Issuance {
    Issuance::new(&RewardParams { issuance, fraction_issued, fraction_layers, ..RewardParams::mainnet() })
}

fn mainnet() -> Issuance {
    Issuance::new(&RewardParams::mainnet())
}

/// Also an independent judge of [`Fraction`]: the table comes from exp and ln.
#[test]
fn the_live_network_is_as_in_the_table() {
    let curve = mainnet();
    let rows = include_str!("table.txt").lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<Vec<u64>> = rows.map(|row| row.split(' ').map(|n| n.parse().unwrap()).collect()).collect();
    assert!(rows.len() > 20);
    for row in rows {
        let [n, accumulated, subsidy] = row[..] else { unreachable!() };
        assert_eq!(curve.accumulated(n), accumulated, "acc({n})");
        assert_eq!(curve.issued(n), accumulated - 477_618_397_593);
        if n > 0 {
            assert_eq!(curve.subsidy(n), subsidy, "subsidy({n})");
        }
    }
    // What the live network paid in layer 130271.
    assert_eq!(curve.subsidy(122_208) / 100, 4_653_875_016);
    assert_eq!(curve.subsidy(0), 0);
}

/// Where the curve goes through integers the floor must not fall below: q^k·I = (I-F)^k / I^(k-1).
#[test]
fn exact_integers_are_hit() {
    let curve = mainnet();
    let (mut to_come, period) = (2_250_000_000_000_000_000u64, 1_051_201);
    for k in 1..=18 {
        assert_eq!(to_come % 5, 0, "{k}");
        to_come = to_come / 5 * 4;
        assert_eq!(curve.accumulated(k * period - 1), 2_250_000_000_000_000_000 - to_come, "after {k} periods");
    }
    // A square: q^(1/2) is rational too.
    let square = self::curve(1000, 360, 2);
    assert_eq!([0, 1, 2, 3, 4, 5].map(|n| square.accumulated(n)), [200, 360, 488, 590, 672, 737]);
    // Halves have no rounding at all, and the last unit is never issued.
    let halves = self::curve(1 << 63, 1 << 62, 1);
    for n in 0..200 {
        let to_come = (1u64 << 63).checked_shr(n + 1).unwrap_or(0).max(1);
        assert_eq!(halves.accumulated(n.into()), (1 << 63) - to_come, "{n}");
    }
}

#[test]
fn extreme_networks() {
    let steep = curve(1_000_000, 999_999, 10);
    assert_eq!(
        [0, 1, 2, 3, 4, 5, 9, 19, u64::MAX].map(|n| steep.accumulated(n)),
        [748_811, 936_904, 984_151, 996_018, 999_000, 999_748, 999_999, 999_999, 999_999]
    );
    let flat = curve(u64::MAX, 1, 3);
    assert_eq!([0, 1, 2, 3, 4, 5, 9, 19, 29, 100].map(|n| flat.accumulated(n)), [0, 0, 1, 1, 1, 1, 3, 6, 9, 33]);
    let slow = curve(u64::MAX, u64::MAX - 1, u64::MAX);
    assert_eq!(slow.accumulated(u64::MAX), u64::MAX - 1);
    for n in [0, 1, 5, 1 << 40, u64::MAX] {
        // Nonsense that parameters are checked for makes no panic.
        for nonsense in [curve(0, 0, 0), curve(5, 5, 0), curve(5, 9, 1)] {
            assert!(nonsense.accumulated(n) <= 5);
        }
    }
}

#[test]
fn the_sum_telescopes() {
    let curve = mainnet();
    let sum: u64 = (0..=20_000).map(|n| curve.subsidy(n)).sum();
    assert_eq!(sum, curve.issued(20_000));
}

proptest! {
    #[test]
    fn monotone_and_slowing_down(issuance in 2..=u64::MAX, part in 1..1_000_000u64, layers in 1..10_000_000u64, n in 0..100_000_000u64) {
        let issued = ((u128::from(issuance) * u128::from(part) / 1_000_000) as u64).clamp(1, issuance - 1);
        let curve = curve(issuance, issued, layers);
        let [a, b, c] = [n, n + 1, n + 2].map(|n| curve.accumulated(n));
        prop_assert!(a <= b && b <= c && c < issuance);
        prop_assert!(c - b <= b - a + 1, "a subsidy grows only by rounding: {} after {}", c - b, b - a);
        prop_assert_eq!(curve.accumulated(layers - 1), issued);
    }

    #[test]
    fn products_are_right(a: u64, b: u64) {
        // Of fractions with 63 digits the product has 126, which can be multiplied out.
        let [a, b] = [a, b].map(|part| part >> 1);
        let (x, y) = (Fraction::of(a, 1 << 63), Fraction::of(b, 1 << 63));
        let product = u128::from(a) * u128::from(b);
        let up = u64::from(product % (1 << 63) != 0);
        prop_assert_eq!(x.times(&y, Round::Down), x.times(&y, Round::Up));
        prop_assert_eq!(x.times(&y, Round::Down).of_whole(1 << 63), (product >> 63) as u64 + up);
    }
}
