//! The three thresholds that depend on how much space is claimed (POST.md sections 4 and 5).

/// What the hash of a label is compared with: a hit is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difficulty {
    /// Top 8 bits, compared with one byte of the group cipher.
    pub msb: u8,
    /// Low 56 bits, compared when the byte equals `msb`.
    pub lsb: u64,
}

/// The low 56 bits of a number.
pub(crate) const LOW_56: u64 = (1 << 56) - 1;

impl Difficulty {
    /// `floor(2^64 · k1 / num_labels)`, split. `None` unless `num_labels > k1`.
    #[must_use]
    pub fn new(k1: u32, num_labels: u64) -> Option<Self> {
        if num_labels <= u64::from(k1) {
            return None;
        }
        // k1 < num_labels keeps the quotient below 2^64.
        let full = u64::try_from((u128::from(k1) << 64) / u128::from(num_labels)).ok()?;
        Some(Self { msb: (full >> 56) as u8, lsb: full & LOW_56 })
    }
}

/// The RandomX target of `num_units` units: `floor(pow_difficulty / num_units)`, big endian. Zero units give the
/// target of one; a caller that allows zero has other troubles.
#[must_use]
pub fn pow_target(pow_difficulty: &[u8; 32], num_units: u32) -> [u8; 32] {
    let divisor = u64::from(num_units.max(1));
    let mut remainder = 0_u64;
    pow_difficulty.map(|byte| {
        let dividend = remainder << 8 | u64::from(byte);
        remainder = dividend % divisor;
        (dividend / divisor) as u8
    })
}

/// How many hashes a target takes on average: `2^256 / target`, as a floating point estimate for progress and planning.
#[must_use]
pub fn expected_hashes(pow_target: &[u8; 32]) -> f64 {
    let fraction = pow_target.iter().rev().fold(0.0, |acc, byte| (acc + f64::from(*byte)) / 256.0);
    1.0 / fraction
}

/// The bound of the VRF nonce: `floor(2^256 / num_labels) · 8`, saturating at 2^256 − 1, big endian.
#[must_use]
pub fn vrf_threshold(num_labels: u64) -> [u8; 32] {
    const MAX: [u8; 32] = [0xff; 32];
    // Below 8 labels the product exceeds 256 bits; with exactly 8 it is 2^256.
    if num_labels <= 8 {
        return MAX;
    }
    // Long division of 2^256, a one followed by four zero limbs.
    let mut remainder = 1_u128;
    let mut limbs = [0_u64; 4];
    for limb in &mut limbs {
        let dividend = remainder << 64;
        *limb = u64::try_from(dividend / u128::from(num_labels)).unwrap_or(u64::MAX);
        remainder = dividend % u128::from(num_labels);
    }
    // Times 8: the three bits that leave a limb enter the one above; none leave the top, since num_labels > 8.
    let mut bytes = [0; 32];
    for (i, chunk) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let below = limbs.get(i + 1).map_or(0, |limb| limb >> 61);
        *chunk = (limbs[i] << 3 | below).to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vrf_threshold_at_powers_of_two() {
        // 2^256 / 2^k · 8 = 2^(259 − k).
        for k in 4..64_u32 {
            let mut expected = [0; 32];
            let bit = 259 - k as usize;
            expected[31 - bit / 8] = 1 << (bit % 8);
            assert_eq!(vrf_threshold(1 << k), expected, "2^{k}");
        }
    }

    #[test]
    fn vrf_threshold_saturates() {
        for labels in 0..=8 {
            assert_eq!(vrf_threshold(labels), [0xff; 32]);
        }
    }

    /// Computed with another language's big integers.
    #[test]
    fn vrf_threshold_of_odd_counts() {
        let cases = [
            (9, "e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e388"),
            (10, "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc8"),
            (2500, "00d1b71758e219652bd3c36113404ea4a8c154c985f06f694467381d7dbf4878"),
            (3072, "00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa8"),
            (17179869184, "0000000200000000000000000000000000000000000000000000000000000000"),
            (142807662595, "000000003d980f65fe4ad25709c7343d70ae82060161d19f37b1e189b1d500d0"),
            (18446744073709551615, "0000000000000008000000000000000800000000000000080000000000000008"),
        ];
        for (labels, expected) in cases {
            assert_eq!(hex::encode(vrf_threshold(labels)), expected, "{labels} labels");
        }
    }

    #[test]
    fn expected_hashes_of_simple_targets() {
        let mut target = [0; 32];
        target[0] = 0x40;
        assert!((expected_hashes(&target) - 4.0).abs() < 1e-9);
        assert!(expected_hashes(&[0; 32]).is_infinite());
    }
}
