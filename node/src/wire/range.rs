//! Ranges of ids: all that begin with the same hexadecimal digits.
//!
//! Ids are hashes, so each digit cuts a range into sixteen parts of about the same size, and both sides cut alike without
//! having to say where.

use crate::codec::{DecodeError, Reader, Scale};
use crate::ids::Epoch;

/// An ATX's id, or the name of a miner with a fraud proof.
pub type Key = [u8; 32];

/// A key has so many hexadecimal digits.
pub const MAX_DEPTH: u8 = 64;

/// Things that nodes want to have alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Set {
    /// Fraud proofs, by the miner's name.
    Frauds,
    /// The ATXs published in an epoch.
    Atxs(Epoch),
}

/// The keys of a set that begin with the same digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    set: Set,
    /// The digits, then zeros.
    first: Key,
    /// How many digits.
    depth: u8,
}

impl Range {
    /// All of a set.
    #[must_use]
    pub fn all(set: Set) -> Self {
        Self { set, first: [0; 32], depth: 0 }
    }

    /// Which set.
    #[must_use]
    pub fn set(&self) -> Set {
        self.set
    }

    /// How many digits are fixed.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// The smallest key there can be in it.
    #[must_use]
    pub fn first(&self) -> Key {
        self.first
    }

    /// The largest key there can be in it.
    #[must_use]
    pub fn last(&self) -> Key {
        let mut last = self.first;
        for (byte, part) in (0..MAX_DEPTH / 2).zip(&mut last) {
            match self.depth.saturating_sub(2 * byte) {
                0 => *part = 0xff,
                1 => *part |= 0x0f,
                _ => {}
            }
        }
        last
    }

    /// Whether a key lies in it.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        *key >= self.first && *key <= self.last()
    }

    /// Its sixteen parts, ascending; none when it has room for one key only.
    #[must_use]
    pub fn parts(&self) -> Vec<Self> {
        if self.depth >= MAX_DEPTH {
            return Vec::new();
        }
        (0..16).map(|digit| self.part(digit)).collect()
    }

    fn part(&self, digit: u8) -> Self {
        let mut part = Self { depth: self.depth + 1, ..*self };
        if let Some(byte) = part.first.get_mut(usize::from(self.depth / 2)) {
            *byte |= if self.depth.is_multiple_of(2) { digit << 4 } else { digit };
        }
        part
    }
}

impl Scale for Set {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Frauds => 0u64,
            Self::Atxs(epoch) => u64::from(epoch.0) + 1,
        }
        .encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = input.compact(u64::from(u32::MAX) + 1)?;
        Ok(match number.checked_sub(1).and_then(|epoch| u32::try_from(epoch).ok()) {
            None => Self::Frauds,
            Some(epoch) => Self::Atxs(Epoch(epoch)),
        })
    }
}

/// The set, how many digits, the digits: two a byte, one left over as a number of its own.
impl Scale for Range {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.set.encode_to(out);
        self.depth.encode_to(out);
        let whole = usize::from(self.depth / 2);
        let (whole, rest) = self.first.split_at(whole.min(32));
        out.extend_from_slice(whole);
        if let (false, Some(half)) = (self.depth.is_multiple_of(2), rest.first()) {
            (half >> 4).encode_to(out);
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut range = Self::all(Set::decode_from(input)?);
        let depth = input.compact(MAX_DEPTH.into())?;
        for byte in 0..depth.div_ceil(2) {
            let pair = if 2 * byte + 1 == depth { input.compact(15)? << 4 } else { u64::from(input.array::<1>()?[0]) };
            for digit in [pair >> 4, pair & 15] {
                if u64::from(range.depth) < depth {
                    // Four bits.
                    range = range.part(digit as u8);
                }
            }
        }
        Ok(range)
    }
}
