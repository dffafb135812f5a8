//! How likely one pass over the data finds a proof: what decides how many nonces a miner should try at once.

/// P(some nonce of `nonces` gets at least `k2` hits), when each expects `k1` (POST.md section 5).
///
/// Hits of a nonce are spread over so many labels that their number is Poisson distributed with mean `k1`.
#[must_use]
pub fn one_pass(nonces: u32, k1: u32, k2: u32) -> f64 {
    // P(fewer than k2 hits), summed from its logarithms: e^-k1 alone would be 0 for a large k1.
    let mean = f64::from(k1);
    let mut ln_term = -mean;
    let mut fewer = 0.0;
    for hits in 0..k2 {
        if hits > 0 {
            ln_term += (mean / f64::from(hits)).ln();
        }
        fewer += ln_term.exp();
    }
    1.0 - fewer.min(1.0).powf(f64::from(nonces))
}

#[cfg(test)]
mod tests {
    use super::one_pass;

    #[test]
    fn mainnet() {
        for (nonces, percent) in [(64, 79.40), (128, 95.75), (288, 99.92)] {
            let found = 100.0 * one_pass(nonces, 26, 37);
            assert!((found - percent).abs() < 0.01, "{nonces} nonces: {found} %");
        }
    }

    #[test]
    fn edges() {
        assert!(one_pass(0, 26, 37).abs() < 1e-12);
        assert!((one_pass(16, 26, 0) - 1.0).abs() < 1e-12);
        assert!(one_pass(16, 1, 60_000) < 1e-12);
        // Half of all nonces reach their expectation.
        let large = one_pass(1, 5000, 5000);
        assert!((0.45..0.55).contains(&large), "{large}");
        assert!(one_pass(4096, 26, 37) > 0.999_999);
    }
}
