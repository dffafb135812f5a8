//! The indices of a proof as bytes: least significant bit first, all equally wide (POST.md section 5).

/// An index that needs more bits than there are.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("index {index} does not fit into {bits} bits")]
pub struct TooWide {
    /// The index.
    pub index: u64,
    /// The width of the packing.
    pub bits: u32,
}

/// Bits needed for `value`: `floor(log2(value)) + 1`, 0 for 0. The width of indices below `num_labels` is
/// `required_bits(num_labels)`.
#[must_use]
pub fn required_bits(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// Bytes that `count` indices of `bits` bits take.
#[must_use]
pub fn packed_len(count: u32, bits: u32) -> usize {
    // 2^32 · 64 / 8 fits any 64-bit usize, and on smaller machines nothing that large exists to be packed.
    usize::try_from((u64::from(count) * u64::from(bits)).div_ceil(8)).unwrap_or(usize::MAX)
}

/// Packs indices into `ceil(bits · len / 8)` bytes; the bits that are left over are zero.
///
/// # Errors
/// [`TooWide`] for the first index of `2^bits` or more.
pub fn pack(indices: &[u64], bits: u32) -> Result<Vec<u8>, TooWide> {
    let mut bytes = Vec::with_capacity((indices.len() * bits as usize).div_ceil(8));
    let (mut pending, mut pending_bits) = (0_u128, 0);
    for &index in indices {
        if required_bits(index) > bits {
            return Err(TooWide { index, bits });
        }
        pending |= u128::from(index) << pending_bits;
        pending_bits += bits;
        while pending_bits >= 8 {
            bytes.push(pending as u8);
            pending >>= 8;
            pending_bits -= 8;
        }
    }
    if pending_bits > 0 {
        bytes.push(pending as u8);
    }
    Ok(bytes)
}

/// Every whole value of `bits` bits (1 to 64) that `bytes` can hold, padding included when it is wide enough.
pub fn unpack(bytes: &[u8], bits: u32) -> impl Iterator<Item = u64> + '_ {
    let bits = bits.clamp(1, 64);
    let mut bytes = bytes.iter();
    let (mut pending, mut pending_bits) = (0_u128, 0);
    std::iter::from_fn(move || {
        while pending_bits < bits {
            pending |= u128::from(*bytes.next()?) << pending_bits;
            pending_bits += 8;
        }
        let value = (pending & ((1 << bits) - 1)) as u64;
        pending >>= bits;
        pending_bits -= bits;
        Some(value)
    })
}

/// Whether the bits after `count` values of `bits` bits are all zero.
#[must_use]
pub fn padding_is_zero(bytes: &[u8], count: u32, bits: u32) -> bool {
    let used = u64::from(count) * u64::from(bits);
    let Ok(last) = usize::try_from(used / 8) else {
        return true;
    };
    // The first byte after the values may hold some of their bits; every later one is padding alone.
    bytes.iter().skip(last).enumerate().all(|(i, byte)| if i == 0 { byte >> (used % 8) == 0 } else { *byte == 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_out(bits in 1_u32..=64, raw in prop::collection::vec(any::<u64>(), 0..100)) {
            let indices: Vec<u64> = raw.iter().map(|v| v >> (64 - bits)).collect();
            let count = indices.len() as u32;
            let bytes = pack(&indices, bits).unwrap();
            prop_assert_eq!(bytes.len(), packed_len(count, bits));
            prop_assert!(padding_is_zero(&bytes, count, bits));
            let back: Vec<u64> = unpack(&bytes, bits).take(indices.len()).collect();
            prop_assert_eq!(back, indices);
        }

        #[test]
        fn any_padding_bit_is_seen(count in 1_u32..40, bits in 1_u32..=40, bit in 0_u32..8) {
            let mut bytes = pack(&vec![0; count as usize], bits).unwrap();
            let used = count * bits % 8;
            prop_assume!(used != 0 && bit >= used);
            *bytes.last_mut().unwrap() |= 1 << bit;
            prop_assert!(!padding_is_zero(&bytes, count, bits));
        }
    }

    #[test]
    fn an_index_that_is_too_wide_is_refused() {
        assert_eq!(pack(&[1, 8], 3), Err(TooWide { index: 8, bits: 3 }));
        assert!(pack(&[7, 7], 3).is_ok());
    }
}
