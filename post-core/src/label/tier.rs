//! Which instructions labels are computed with, and which of them this machine has.

use std::fmt;
use std::str::FromStr;

use super::kernels::{Kernels, Variant};
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, ssse3};
use crate::tier::{TierError, parse};

/// An instruction tier of the label kernel, slower ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The readable reference, one label after the other: the yardstick of the others.
    Scalar,
    /// What every machine of an architecture has.
    Portable,
    /// 128-bit registers with byte shuffles, in AVX encoding where there is AVX.
    Ssse3,
    /// 256-bit registers.
    Avx2,
    /// 512-bit registers: F, BW and VL.
    Avx512,
    /// 128-bit registers of aarch64.
    Neon,
}

impl Tier {
    /// All tiers of all architectures.
    pub const ALL: [Self; 6] = [Self::Scalar, Self::Portable, Self::Ssse3, Self::Avx2, Self::Avx512, Self::Neon];

    /// The tiers of this machine, slower ones first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|tier| tier.is_available()).collect()
    }

    /// The tier with the widest registers.
    #[must_use]
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Portable)
    }

    /// Whether this machine has the instructions.
    #[must_use]
    pub fn is_available(self) -> bool {
        self == Self::Scalar || self.kernels().is_some()
    }

    /// As written in `--tier`, in reports and in `POST_LABEL_TIER`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Portable => "portable",
            Self::Ssse3 => "ssse3",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    /// The ways to run it, the usual one first. None for [`Tier::Scalar`] and where the instructions are missing.
    #[must_use]
    pub fn variants(self) -> &'static [Variant] {
        self.kernels().map_or(&[], |kernels| kernels.variants)
    }

    /// Its code, if this machine can run it: what makes calling it safe.
    pub(super) fn kernels(self) -> Option<&'static Kernels> {
        match self {
            Self::Portable => Some(&portable::PORTABLE),
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3 if is_x86_feature_detected!("avx") => Some(&ssse3::vex::AVX),
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3 if is_x86_feature_detected!("ssse3") => Some(&ssse3::legacy::SSSE3),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 if is_x86_feature_detected!("avx2") => Some(&avx2::AVX2),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl") =>
            {
                Some(&avx512::AVX512)
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon if std::arch::is_aarch64_feature_detected!("neon") => Some(&super::neon::NEON),
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
