//! Numbers from 0 to below 1, in steps of 2^-256.

use std::cmp::Ordering;

/// A fraction: four digits to the base 2^64, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fraction([u64; 4]);

/// Which way a product goes that lies between two fractions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    Down,
    Up,
}

impl Fraction {
    pub(super) const ZERO: Self = Self([0; 4]);

    /// `part / whole`, rounded down. It must be less than 1.
    pub(super) fn of(part: u64, whole: u64) -> Self {
        let mut digits = [0; 4];
        let (mut rest, whole) = (u128::from(part), u128::from(whole.max(1)));
        for digit in digits.iter_mut().rev() {
            rest <<= 64;
            // The rest is less than the whole, so this is a digit.
            *digit = (rest / whole) as u64;
            rest %= whole;
        }
        Self(digits)
    }

    /// The same with one more binary digit: 0 is the first one after the point.
    pub(super) fn with_bit(mut self, bit: u8) -> Self {
        let from_below = 255 - bit;
        self.0[usize::from(from_below / 64)] |= 1 << (from_below % 64);
        self
    }

    pub(super) fn times(&self, other: &Self, round: Round) -> Self {
        let mut product = [0u64; 8];
        for (i, a) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (j, b) in other.0.iter().enumerate() {
                // At most (2^64-1)² + 2·(2^64-1) = 2^128 - 1.
                let sum = u128::from(*a) * u128::from(*b) + u128::from(product[i + j]) + carry;
                product[i + j] = sum as u64;
                carry = sum >> 64;
            }
            product[i + 4] = carry as u64;
        }
        let mut digits = [0; 4];
        digits.copy_from_slice(&product[4..]);
        let mut carry = round == Round::Up && product[..4] != [0; 4];
        for digit in &mut digits {
            // Of two factors below 1 the product is no more than 1 - 2·2^-256 + 2^-512, so nothing is left over.
            (*digit, carry) = digit.overflowing_add(carry.into());
        }
        Self(digits)
    }

    /// The smallest integer that is no less than `self · factor`.
    pub(super) fn of_whole(&self, factor: u64) -> u64 {
        let (mut carry, mut beyond) = (0u128, false);
        for digit in self.0 {
            let sum = u128::from(digit) * u128::from(factor) + carry;
            beyond |= sum as u64 != 0;
            carry = sum >> 64;
        }
        // Below `factor`, so one more is no overflow.
        (carry as u64).saturating_add(beyond.into())
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}
