//! How much is issued, and when (NODE.md section 8): so many layers after the beginning, a fixed part of what is still to
//! come has been issued, and the same part again so many layers later.
//!
//! ```text
//! acc(n) = ⌊I · (1 − q^((n+1)/L))⌋      I: all there will be,  q: what part of it is to come after L layers
//! ```
//! No exponential is needed: r = q^(1/L) is the largest number whose L-th power is no more than q, found digit by digit,
//! and r^m is a product of the squares r, r², r⁴, …
//!
//! **Why the floor is right.** Numbers have 256 binary digits after the point, u = 2^-256. The digits of r are sought with
//! powers rounded up, everything else is rounded down, so what comes out is never too much: where I·q^(m/L) is an integer,
//! as it is after L layers, its ceiling is found. How much too little it may be: an L-th power is at most 2·L·u too large, q
//! at most u too small, so r is at most (2 + 1/L)·u/q + u too small, and r^m at most m times that and 2·m·u. On the live
//! network (q = 4/5, I < 2^61, m < 2^28 until nothing is left to issue) this comes to less than 2^-164 smidge. The floor
//! is wrong only where an I·q^(m/L) lies so little above an integer without being one; in 2^28 layers that happens by
//! chance with a probability of 2^-136. And if it did, it would for all nodes alike.

mod fraction;

use self::fraction::{Fraction, Round};
use crate::params::RewardParams;

/// A network's issuance.
#[derive(Clone, Debug)]
pub struct Issuance {
    all: u64,
    /// q^(2^i/L).
    powers: [Fraction; 64],
}

impl Issuance {
    /// The curve of these parameters.
    #[must_use]
    pub fn new(params: &RewardParams) -> Self {
        let &RewardParams { issuance: all, fraction_issued, fraction_layers, .. } = params;
        let to_come = Fraction::of(all.saturating_sub(fraction_issued.max(1)), all);
        let mut power = root(&to_come, fraction_layers.max(1));
        let powers = std::array::from_fn(|_| {
            let this = power;
            power = power.times(&power, Round::Down);
            this
        });
        Self { all, powers }
    }

    /// What would have been issued up to layer `n` of the curve, its layer 0 included, in smidge.
    fn accumulated(&self, n: u64) -> u64 {
        let layers = n.saturating_add(1);
        let mut factors = self.powers.iter().enumerate().filter(|(i, _)| layers >> i & 1 == 1).map(|(_, power)| power);
        let first = factors.next().copied().unwrap_or(Fraction::ZERO);
        let to_come = factors.fold(first, |product, power| product.times(power, Round::Down));
        // There is always something to come, if less than can be told from nothing.
        self.all.saturating_sub(to_come.of_whole(self.all).max(1))
    }

    /// What the first `n` layers after the effective genesis have issued together, in smidge.
    #[must_use]
    pub fn issued(&self, n: u64) -> u64 {
        self.accumulated(n).saturating_sub(self.accumulated(0))
    }

    /// What the `n`-th layer after the effective genesis issues, in smidge; nothing in the genesis itself.
    #[must_use]
    pub fn subsidy(&self, n: u64) -> u64 {
        self.issued(n).saturating_sub(self.issued(n.saturating_sub(1)))
    }
}

/// The largest fraction whose `degree`-th power, rounded up, is no more than `of`.
fn root(of: &Fraction, degree: u64) -> Fraction {
    (0..=255).fold(Fraction::ZERO, |root, bit| {
        let larger = root.with_bit(bit);
        if power_up(&larger, degree) <= *of { larger } else { root }
    })
}

/// A power, rounded up. The exponent must not be 0.
fn power_up(base: &Fraction, exponent: u64) -> Fraction {
    let bits = u64::BITS - exponent.leading_zeros();
    (0..bits.saturating_sub(1)).rev().fold(*base, |power, bit| {
        let square = power.times(&power, Round::Up);
        if exponent >> bit & 1 == 1 { square.times(base, Round::Up) } else { square }
    })
}

#[cfg(test)]
mod tests;
