//! One proposer of weight 2w and two of w have the same expectation (NODE.md section 5, the linear rule).

use node::params::RewardRule;

use crate::world::{Random, World, rewards};

/// ⌊x⌋ + [u < frac(x)] for x = num/den and u = draw/2^64.
fn slots(num: u64, den: u64, draw: u64) -> u64 {
    let threshold = (u128::from(num % den) << 64) / u128::from(den);
    num / den + u64::from(u128::from(draw) < threshold)
}

#[test]
fn splitting_changes_no_expectation() {
    const DRAWS: u32 = 10_000;
    // Of 50 slots a layer w has 0.37, 2w has 0.74; and 1.63 and 3.26.
    for (num, den) in [(37, 100), (163, 100)] {
        let mut world = World::new(RewardRule::Classical);
        let mut random = Random(num << 40);
        for _ in 0..DRAWS {
            let whole = slots(2 * num, den, random.next());
            let parts = slots(num, den, random.next()) + slots(num, den, random.next());
            world.apply(Some(rewards(&[(1, whole), (2, parts), (3, 50 - whole - parts)])), &[]);
        }
        let a_slot = world.ledger.totals().issued as f64 / f64::from(DRAWS) / 50.0;
        let variance = |num: u64| {
            let fraction = (num % den) as f64 / den as f64;
            fraction * (1.0 - fraction)
        };
        let sigma = (f64::from(DRAWS) * (variance(2 * num) + 2.0 * variance(num))).sqrt() * a_slot;
        let (whole, parts) = (world.balance(1) as f64, world.balance(2) as f64);
        assert!((whole - parts).abs() < 3.0 * sigma, "{whole} and {parts}, σ = {sigma}");
        let expected = f64::from(DRAWS) * 2.0 * num as f64 / den as f64 * a_slot;
        assert!((whole - expected).abs() < 3.0 * sigma && (parts - expected).abs() < 3.0 * sigma);
    }
}
