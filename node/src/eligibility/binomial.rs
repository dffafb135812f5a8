//! The quantiles of a binomial distribution, in integers.
//!
//! The table holds P(X ≤ k) in 2^-64, made from P(X = 0) = qⁿ and P(X = k + 1) = P(X = k) · (n − k)/(k + 1) · p/q with
//! numbers of 128 significant bits and an exponent of their own, so that nothing vanishes however large the mean is.
//!
//! How exact it is: every operation rounds down, by less than 2^-127 of its result. qⁿ comes from at most 2·log₂ n
//! multiplications, and an error made before a squaring doubles: all in all it is less than 3n · 2^-127 too small, and
//! each step adds two roundings. So with n < 2^60 and k < 2^16 a probability is less than 2^-65 of itself too small;
//! cutting off terms below 2^-128 and then what is below 2^-64 adds less than 2^-64 + 2^-112. An entry is thus never too
//! large, and less than 2^-63 too small. That is why 64 bits of a draw are enough: more would be finer than the table.
//! All nodes have the same table in any case; its exactness says only how fair it is.

/// P(X ≤ k) for the seats X of one weight.
#[derive(Clone, Debug)]
pub struct SeatTable {
    /// In 2^-64, from k = 0 on, until it doesn't matter any more.
    cumulative: Vec<u64>,
    /// Nobody has more.
    most: u16,
}

impl SeatTable {
    /// Each of `weight` units has a seat with a chance of `committee` / `total_weight`.
    ///
    /// A weight that isn't part of the total counts as the total at most, so that nobody's expectation is above the
    /// committee.
    #[must_use]
    pub fn new(weight: u64, total_weight: u64, committee: u32) -> Self {
        let n = if committee == 0 { 0 } else { weight.min(total_weight) };
        let most = u16::try_from(n).unwrap_or(u16::MAX);
        let Some(others) = total_weight.checked_sub(committee.into()).filter(|&others| others > 0) else {
            // Every unit has a seat.
            return Self { cumulative: vec![0; most.into()], most };
        };
        Self { cumulative: cumulative(n, committee, others, most), most }
    }

    /// The smallest number of seats k with P(X ≤ k) above `fraction` · 2^-64.
    #[must_use]
    pub fn seats(&self, fraction: u64) -> u16 {
        let k = self.cumulative.partition_point(|&at_most| at_most <= fraction);
        u16::try_from(k).unwrap_or(u16::MAX).min(self.most)
    }
}

/// With p = `with` / (`with` + `without`), until the rest is below 2^-64.
fn cumulative(n: u64, with: u32, without: u64, most: u16) -> Vec<u64> {
    let (with, without) = (u128::from(with), u128::from(without));
    let mut probability = Number::ratio(without, with + without).power(n);
    let (mut sum, mut table) = (0u128, Vec::new());
    for k in 0..u128::from(most) {
        let term = probability.in_units();
        sum = sum.saturating_add(term);
        table.push((sum >> 64) as u64);
        // Beyond the mean a term is smaller than the one before, soon by a factor.
        let mean = u128::from(n) * with / (with + without);
        if k > mean && term < 1 << 48 {
            break;
        }
        let ratio = Number::ratio((u128::from(n) - k) * with, (k + 1) * without);
        probability = probability.times(ratio);
    }
    table
}

/// `bits` · 2^`exponent`; the top bit is set.
#[derive(Clone, Copy, Debug)]
struct Number {
    bits: u128,
    exponent: i64,
}

impl Number {
    const ONE: Self = Self { bits: 1 << 127, exponent: -127 };

    /// `above` / `below`, rounded down to 128 bits; neither is 0, and `below` is less than 2^127.
    fn ratio(above: u128, below: u128) -> Self {
        let mut bits = above / below;
        let mut rest = above % below;
        let mut exponent = 0;
        while bits.leading_zeros() > 0 {
            // Long division, bit by bit.
            rest <<= 1;
            bits <<= 1;
            if rest >= below {
                rest -= below;
                bits |= 1;
            }
            exponent -= 1;
        }
        Self { bits, exponent }
    }

    /// The product, rounded down.
    fn times(self, other: Self) -> Self {
        let (high, low) = product(self.bits, other.bits);
        let exponent = self.exponent.saturating_add(other.exponent).saturating_add(128);
        // Two numbers with the top bit set make one with one of the two top bits set.
        if high.leading_zeros() == 0 {
            Self { bits: high, exponent }
        } else {
            Self { bits: high << 1 | low >> 127, exponent: exponent.saturating_sub(1) }
        }
    }

    fn power(self, n: u64) -> Self {
        let mut result = Self::ONE;
        for bit in (0..u64::BITS - n.leading_zeros()).rev() {
            result = result.times(result);
            if n >> bit & 1 == 1 {
                result = result.times(self);
            }
        }
        result
    }

    /// A number of at most 1 in 2^-128, rounded down (1 itself to the largest).
    fn in_units(self) -> u128 {
        match u32::try_from(-self.exponent.saturating_add(128)) {
            Ok(shift) => self.bits.checked_shr(shift).unwrap_or(0),
            Err(_) if self.exponent > -128 => u128::MAX,
            Err(_) => 0,
        }
    }
}

/// The 256 bits of a product.
fn product(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a_high, a_low, b_high, b_low) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let (low, cross, other) = (a_low * b_low, a_high * b_low, a_low * b_high);
    let middle = (low >> 64) + (cross & LOW) + (other & LOW);
    (a_high * b_high + (cross >> 64) + (other >> 64) + (middle >> 64), middle << 64 | low & LOW)
}
