//! Which instructions labels are scanned with, and which of them this machine has.

use std::fmt;
use std::str::FromStr;

use super::kernel::Buffers;
use super::{Hit, ScanJob, baseline, reference};
#[cfg(target_arch = "x86_64")]
use super::{aesni, vaes256, vaes512};
use crate::label::Label;
use crate::tier::{TierError, parse};

/// An instruction tier of the scan, slower ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The readable judge: one label after the other.
    Reference,
    /// The usual loop of other provers: the yardstick of the others.
    Baseline,
    /// AES instructions on 128-bit registers, in AVX encoding.
    AesNi,
    /// AES instructions on 256-bit registers.
    Vaes256,
    /// AES instructions on 512-bit registers.
    Vaes512,
    /// The AES instructions of aarch64.
    Neon,
}

/// A tier's code. Both functions need the tier's instructions.
pub(super) struct Kernel {
    scan: unsafe fn(&ScanJob<'_>, u64, &[Label], &mut Buffers, &mut Vec<Hit>),
    aes_only: unsafe fn(&ScanJob<'_>, &[Label]) -> bool,
}

/// The entry points of a tier, compiled for its instructions.
macro_rules! scanner {
    (#[$feature:meta] $name:ident: $blocks:ty) => {
        pub(super) static $name: $crate::scan::tier::Kernel = $crate::scan::tier::Kernel::new(scan, aes_only);

        /// # Safety
        /// The processor has this tier's instructions.
        #[$feature]
        unsafe fn scan(
            job: &$crate::scan::ScanJob<'_>,
            first: u64,
            labels: &[$crate::label::Label],
            buffers: &mut $crate::scan::kernel::Buffers,
            hits: &mut Vec<$crate::scan::Hit>,
        ) {
            // SAFETY: the caller's promise.
            unsafe { $crate::scan::kernel::scan::<$blocks>(job, first, labels, buffers, hits) }
        }

        /// # Safety
        /// The processor has this tier's instructions.
        #[$feature]
        unsafe fn aes_only(job: &$crate::scan::ScanJob<'_>, labels: &[$crate::label::Label]) -> bool {
            // SAFETY: the caller's promise.
            unsafe { $crate::scan::kernel::aes_only::<$blocks>(job, labels) }
        }
    };
}
pub(super) use scanner;

impl Kernel {
    pub(super) const fn new(
        scan: unsafe fn(&ScanJob<'_>, u64, &[Label], &mut Buffers, &mut Vec<Hit>),
        aes_only: unsafe fn(&ScanJob<'_>, &[Label]) -> bool,
    ) -> Self {
        Self { scan, aes_only }
    }
}

impl Tier {
    /// All tiers of all architectures.
    pub const ALL: [Self; 6] = [Self::Reference, Self::Baseline, Self::AesNi, Self::Vaes256, Self::Vaes512, Self::Neon];

    /// The tiers of this machine, slower ones first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|tier| tier.is_available()).collect()
    }

    /// The tier with the widest registers.
    #[must_use]
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Baseline)
    }

    /// Whether this machine has the instructions.
    #[must_use]
    pub fn is_available(self) -> bool {
        matches!(self, Self::Reference | Self::Baseline) || self.kernel().is_some()
    }

    /// As written in `--tier`, in reports and in `POST_SCAN_TIER`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Baseline => "baseline",
            Self::AesNi => "aesni",
            Self::Vaes256 => "vaes256",
            Self::Vaes512 => "vaes512",
            Self::Neon => "neon",
        }
    }

    /// Its code, if this machine can run it: what makes calling it safe.
    fn kernel(self) -> Option<&'static Kernel> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::AesNi if is_x86_feature_detected!("aes") && is_x86_feature_detected!("avx") => Some(&aesni::AESNI),
            #[cfg(target_arch = "x86_64")]
            Self::Vaes256
                if is_x86_feature_detected!("vaes")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("aes")
                    && is_x86_feature_detected!("avx2") =>
            {
                Some(&vaes256::VAES256)
            }
            #[cfg(target_arch = "x86_64")]
            Self::Vaes512
                if is_x86_feature_detected!("vaes")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("aes")
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq") =>
            {
                Some(&vaes512::VAES512)
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon
                if std::arch::is_aarch64_feature_detected!("aes")
                    && std::arch::is_aarch64_feature_detected!("neon") =>
            {
                Some(&super::neon::NEON)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Tier {
    type Err = TierError;

    fn from_str(name: &str) -> Result<Self, TierError> {
        parse(name, &Self::ALL, Self::name, Self::is_available)
    }
}

/// Finds hits with one tier, on one thread at a time. Its memory is used again from call to call: room for
/// every byte to hit (1 MiB), of which mainnet's difficulty touches a few KiB.
pub struct Scanner {
    tier: Tier,
    kernel: Option<&'static Kernel>,
    buffers: Buffers,
}

impl Scanner {
    /// A scanner of `tier`; where this machine can't run it, of [`Tier::Baseline`].
    #[must_use]
    pub fn new(tier: Tier) -> Self {
        let tier = if tier.is_available() { tier } else { Tier::Baseline };
        Self { tier, kernel: tier.kernel(), buffers: Buffers::new() }
    }

    /// Its tier.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Appends the hits of `labels`, the first of which has index `first`, in ascending order of (index, nonce).
    #[allow(unsafe_code)]
    pub fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) {
        match self.kernel {
            // SAFETY: a kernel is there only where the processor has its instructions.
            Some(kernel) => unsafe { (kernel.scan)(job, first, labels, &mut self.buffers, hits) },
            None if self.tier == Tier::Reference => reference::scan(job, first, labels, hits),
            None => baseline::scan(job, first, labels, hits),
        }
    }

    /// The ciphers alone, without any comparison, at this tier's width: the bound of [`Self::scan`]. The result depends on
    /// every block, so that none can be left out. None for tiers without AES instructions of their own.
    #[must_use]
    #[allow(unsafe_code)]
    pub fn aes_only(&self, job: &ScanJob<'_>, labels: &[Label]) -> Option<bool> {
        // SAFETY: as in `scan`.
        self.kernel.map(|kernel| unsafe { (kernel.aes_only)(job, labels) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::difficulty::Difficulty;
    use crate::identity::Challenge;
    use crate::scan::NonceGroup;
    use crate::scan::kernel::CHUNK;

    fn judge(job: &ScanJob<'_>, first: u64, labels: &[Label]) -> Vec<Hit> {
        let mut hits = Vec::new();
        reference::scan(job, first, labels, &mut hits);
        assert!(hits.is_sorted());
        hits
    }

    fn equals_the_reference(job: &ScanJob<'_>, first: u64, labels: &[Label]) {
        let expected = judge(job, first, labels);
        for tier in Tier::available() {
            let mut scanner = Scanner::new(tier);
            assert_eq!(scanner.tier(), tier);
            // Twice: what a call leaves behind must not show in the next.
            for _ in 0..2 {
                let mut hits = Vec::new();
                scanner.scan(job, first, labels, &mut hits);
                assert!(
                    hits == expected,
                    "{tier}, {:?}, {} groups, {} labels: {} hits, not {}",
                    job.difficulty,
                    job.groups.len(),
                    labels.len(),
                    hits.len(),
                    expected.len()
                );
            }
        }
    }

    fn labels(count: usize, seed: u64) -> Vec<Label> {
        let mut bytes = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let mut labels = vec![[0; 16]; count];
        bytes.fill(labels.as_flattened_mut());
        labels
    }

    fn groups(range: std::ops::Range<u32>) -> Vec<NonceGroup> {
        range.map(|group| NonceGroup::new(&Challenge([group as u8; 32]), group, u64::from(group) << 20)).collect()
    }

    #[test]
    fn every_length_equals_the_reference() {
        eprintln!(
            "tiers under test: {}",
            Tier::available().iter().map(|tier| tier.name()).collect::<Vec<_>>().join(", ")
        );
        let groups = groups(0..2);
        let groups: Vec<_> = groups.iter().collect();
        let labels = labels(2100, 1);
        for difficulty in [Difficulty { msb: 0, lsb: 1 << 55 }, Difficulty { msb: 3, lsb: 1 << 54 }] {
            let job = ScanJob { groups: &groups, difficulty };
            for length in (0..=200).chain([1023, 1024, 1025, 1055, 2047, 2100]) {
                equals_the_reference(&job, u64::from(u32::MAX) - 50, &labels[..length]);
            }
        }
    }

    #[test]
    fn chunks_equal_the_reference() {
        let groups = groups(7..9);
        let groups: Vec<_> = groups.iter().collect();
        let labels = labels(2 * CHUNK + 33, 3);
        let job = ScanJob { groups: &groups, difficulty: Difficulty { msb: 0, lsb: 1 << 55 } };
        for length in [CHUNK - 1, CHUNK, CHUNK + 1, labels.len()] {
            equals_the_reference(&job, u64::from(u32::MAX) - 50, &labels[..length]);
        }
        // A list as long as can be: every label of a chunk is open at the same byte, and hits.
        let open = labels.iter().find(|label| groups[0].cipher.encrypt(label).contains(&0)).unwrap();
        let job = ScanJob { groups: &groups, difficulty: Difficulty { msb: 0, lsb: (1 << 56) - 1 } };
        let same = vec![*open; 2 * CHUNK + 33];
        assert!(judge(&job, 0, &same).len() >= same.len());
        equals_the_reference(&job, 0, &same);
    }

    #[test]
    fn every_hit_density_equals_the_reference() {
        let groups = groups(250..253);
        let groups: Vec<_> = groups.iter().collect();
        let labels = labels(1500, 2);
        // Thresholds from no hit at all to every byte a hit; with the same bytes everywhere, all at one place.
        let same = vec![[0x5a; 16]; 1500];
        for msb in (0..=255).step_by(15) {
            for lsb in [0, 1, 1 << 40, 1 << 55, (1 << 56) - 1] {
                let job = ScanJob { groups: &groups, difficulty: Difficulty { msb, lsb } };
                equals_the_reference(&job, 1 << 33, &labels);
                equals_the_reference(&job, 1 << 33, &same);
            }
        }
        let all = ScanJob { groups: &groups, difficulty: Difficulty { msb: 255, lsb: (1 << 56) - 1 } };
        assert!(judge(&all, 0, &labels).len() > 1500 * 16 * 3 - 10, "every byte a hit");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn random_jobs_equal_the_reference(
            seed in any::<u64>(), count in 0..3000_usize, start in 0..238_u32, many in 1..19_u32,
            msb in prop_oneof![Just(0_u8), any::<u8>()], lsb in 0..(1_u64 << 56), first in 0..(1_u64 << 60),
        ) {
            let groups = groups(start..start + many);
            let groups: Vec<_> = groups.iter().collect();
            equals_the_reference(&ScanJob { groups: &groups, difficulty: Difficulty { msb, lsb } }, first, &labels(count, seed));
        }
    }

    #[test]
    fn unknown_and_missing_tiers_are_told_apart() {
        assert!(matches!("sse9".parse::<Tier>(), Err(TierError::Unknown { .. })));
        assert_eq!("baseline".parse(), Ok(Tier::Baseline));
        let missing = if cfg!(target_arch = "x86_64") { "neon" } else { "vaes512" };
        assert!(matches!(missing.parse::<Tier>(), Err(TierError::Unavailable { .. })));
    }
}
