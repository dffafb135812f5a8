//! SCALE with every integer compact: the bytes that are hashed, signed and sent.
//!
//! A value has one encoding only, and decoding takes nothing else: an integer that could be shorter, a flag that is
//! neither 0 nor 1 and bytes left over are errors. So what decodes encodes to the same bytes again.
//!
//! Decoding sets nothing aside for what a length claims: a list grows as its items are read, so that memory is
//! bounded by the length of the input.

use post_core::identity::{AtxId, Challenge, NodeId};

/// Lists and options may stand inside each other this deep.
pub const MAX_NESTING: u8 = 6;

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct DecodeError {
    /// Where reading stopped, counted from the first byte.
    pub at: usize,
    /// What is wrong there.
    pub what: Fault,
}

/// What is wrong with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// They end inside the value.
    #[error("{missing} bytes are missing")]
    Truncated {
        /// How many more the item being read needs at least.
        missing: usize,
    },
    /// They go on after the value.
    #[error("{extra} bytes are left over")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// An integer that has a shorter encoding.
    #[error("an integer is not in its shortest form")]
    NotShortest,
    /// An integer that is too large for its field.
    #[error("an integer is larger than {max}")]
    TooLarge {
        /// The largest value of the field.
        max: u64,
    },
    /// A list or a byte string over its limit.
    #[error("{len} items where at most {max} may be")]
    TooLong {
        /// The length it claims.
        len: u64,
        /// The limit.
        max: usize,
    },
    /// An option's flag that is neither 0 nor 1.
    #[error("an option starts with {flag}, not 0 or 1")]
    Flag {
        /// The byte.
        flag: u8,
    },
    /// A variant that there isn't.
    #[error("there is no variant {variant}")]
    Variant {
        /// The byte.
        variant: u8,
    },
    /// Lists and options inside each other, deeper than [`MAX_NESTING`].
    #[error("nested deeper than {MAX_NESTING}")]
    TooDeep,
}

/// A value with an encoding.
pub trait Scale: Sized {
    /// Appends the value's bytes.
    fn encode_to(&self, out: &mut Vec<u8>);

    /// Reads one value.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// The bytes of a value. Lists over their limits are encoded all the same, and nobody will decode them: check first.
#[must_use]
pub fn encode(value: &impl Scale) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode_to(&mut out);
    out
}

/// The value that `bytes`, all of them, encode.
///
/// # Errors
/// [`DecodeError`].
pub fn decode<T: Scale>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut input = Reader::new(bytes);
    let value = T::decode_from(&mut input)?;
    input.end()?;
    Ok(value)
}

/// Bytes being read.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
    nesting: u8,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len(), nesting: 0 }
    }

    /// Bytes read so far.
    fn position(&self) -> usize {
        self.len - self.rest.len()
    }

    fn fault(&self, what: Fault) -> DecodeError {
        DecodeError { at: self.position(), what }
    }

    /// Nothing may be left over.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(self.fault(Fault::Trailing { extra })),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.fault(Fault::Truncated { missing: count - self.rest.len() }));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// `N` raw bytes.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A compact integer of at most `max`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn compact(&mut self, max: u64) -> Result<u64, DecodeError> {
        let at = self.position();
        let [first] = self.array()?;
        // The two low bits of the first byte say how many bytes there are; `least` is the smallest value that needs them.
        let (value, least) = match first & 3 {
            0 => (u64::from(first >> 2), 0),
            1 => {
                let [second] = self.array()?;
                (u64::from(u16::from_le_bytes([first, second]) >> 2), 1 << 6)
            }
            2 => {
                let [b, c, d] = self.array()?;
                (u64::from(u32::from_le_bytes([first, b, c, d]) >> 2), 1 << 14)
            }
            _ => {
                let count = usize::from(first >> 2) + 4;
                if count > 8 {
                    return Err(DecodeError { at, what: Fault::TooLarge { max } });
                }
                let mut bytes = [0; 8];
                bytes[..count].copy_from_slice(self.take(count)?);
                (u64::from_le_bytes(bytes), 1 << if count == 4 { 30 } else { 8 * (count - 1) })
            }
        };
        if value < least {
            return Err(DecodeError { at, what: Fault::NotShortest });
        }
        if value > max {
            return Err(DecodeError { at, what: Fault::TooLarge { max } });
        }
        Ok(value)
    }

    /// The length of something of at most `max` items.
    fn length(&mut self, max: usize) -> Result<usize, DecodeError> {
        let at = self.position();
        let len = self.compact(u32::MAX.into())?;
        match usize::try_from(len) {
            Ok(len) if len <= max => Ok(len),
            _ => Err(DecodeError { at, what: Fault::TooLong { len, max } }),
        }
    }

    /// A byte string of at most `max` bytes.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn bytes(&mut self, max: usize) -> Result<Vec<u8>, DecodeError> {
        let len = self.length(max)?;
        Ok(self.take(len)?.to_vec())
    }

    /// A list of at most `max` items.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn list<T: Scale>(&mut self, max: usize) -> Result<Vec<T>, DecodeError> {
        let len = self.length(max)?;
        self.nested(|input| {
            let mut items = Vec::new();
            for _ in 0..len {
                items.push(T::decode_from(input)?);
            }
            Ok(items)
        })
    }

    /// Which of `count` variants follows: a raw byte.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn variant(&mut self, count: u8) -> Result<u8, DecodeError> {
        let at = self.position();
        let [variant] = self.array()?;
        if variant < count { Ok(variant) } else { Err(DecodeError { at, what: Fault::Variant { variant } }) }
    }

    /// A value that may be absent.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn option<T: Scale>(&mut self) -> Result<Option<T>, DecodeError> {
        let at = self.position();
        match self.array()? {
            [0] => Ok(None),
            [1] => self.nested(|input| T::decode_from(input).map(Some)),
            [flag] => Err(DecodeError { at, what: Fault::Flag { flag } }),
        }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, DecodeError>) -> Result<T, DecodeError> {
        if self.nesting == MAX_NESTING {
            return Err(self.fault(Fault::TooDeep));
        }
        self.nesting += 1;
        let value = read(self)?;
        self.nesting -= 1;
        Ok(value)
    }
}

/// Appends a byte string: its length, then the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    (bytes.len() as u64).encode_to(out);
    out.extend_from_slice(bytes);
}

/// Appends a list: its length, then the items.
pub fn put_list<T: Scale>(out: &mut Vec<u8>, items: &[T]) {
    (items.len() as u64).encode_to(out);
    for item in items {
        item.encode_to(out);
    }
}

/// Appends a value that may be absent: 0, or 1 and the value.
pub fn put_option<T: Scale>(out: &mut Vec<u8>, value: Option<&T>) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        value.encode_to(out);
    }
}

impl Scale for u64 {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match *self {
            value if value < 1 << 6 => out.push((value as u8) << 2),
            value if value < 1 << 14 => out.extend(((value as u16) << 2 | 1).to_le_bytes()),
            value if value < 1 << 30 => out.extend(((value as u32) << 2 | 2).to_le_bytes()),
            value => {
                let count = (8 - value.leading_zeros() as usize / 8).max(4);
                out.push(((count - 4) as u8) << 2 | 3);
                out.extend_from_slice(&value.to_le_bytes()[..count]);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.compact(Self::MAX)
    }
}

macro_rules! compact {
    ($($integer:ty),*) => {$(
        impl Scale for $integer {
            fn encode_to(&self, out: &mut Vec<u8>) {
                u64::from(*self).encode_to(out);
            }

            fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                // `compact` gives no more than was asked for.
                input.compact(Self::MAX.into()).map(|value| value as Self)
            }
        }
    )*};
}
compact!(u8, u16, u32);

impl<const N: usize> Scale for [u8; N] {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.array()
    }
}

/// Types that are a number or an array in a coat.
macro_rules! scale_as_inner {
    ($($name:ident),*) => {$(
        impl $crate::codec::Scale for $name {
            fn encode_to(&self, out: &mut Vec<u8>) {
                self.0.encode_to(out);
            }

            fn decode_from(input: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                $crate::codec::Scale::decode_from(input).map(Self)
            }
        }
    )*};
}
pub(crate) use scale_as_inner;
scale_as_inner!(AtxId, Challenge, NodeId);

#[cfg(test)]
mod tests;
