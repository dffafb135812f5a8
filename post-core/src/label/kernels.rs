//! What an instruction tier offers: its entry points, compiled for its instructions.

use super::keccak::Keyed;
use super::lanes::Line;
use super::romix::Pass;
use super::{FullLabel, Job};

/// A tier's code. Every function needs the tier's instructions.
pub(super) struct Kernels {
    /// First half of labels, equally many of each; see `keccak::expand`.
    pub expand: unsafe fn(&[Job], &mut [Keyed], &mut [Line]),
    /// Second half of labels; see `keccak::compress`.
    pub compress: unsafe fn(&[Line], &[Keyed], &mut [FullLabel]),
    /// Ways to run ROMix. The first is the choice where nothing is measured.
    pub variants: &'static [Variant],
}

/// A pass of one kind; its contract is that of `romix::pass`.
pub(super) type PassFn = unsafe fn(&Pass);

/// One way to run ROMix: how many labels go together, and how.
pub struct Variant {
    /// For people and for the environment: `3x1`, `dual4`, `dual2x2`, `3x1-gap2`.
    pub name: &'static str,
    /// Labels in a batch.
    pub(super) labels: usize,
    /// Labels that go through `fill` and `walk` together; a batch is a multiple.
    pub(super) stream: usize,
    /// Every so many lines of a table are kept; the rest is computed again.
    pub(super) gap: usize,
    pub(super) fill: PassFn,
    pub(super) walk: PassFn,
    /// Fills the table of one batch while it walks through that of another.
    pub(super) both: Option<PassFn>,
}

impl Variant {
    /// Bytes of memory that a worker's tables take at cost `n`.
    #[must_use]
    pub fn table_bytes(&self, n: u32) -> u64 {
        (self.tables() * self.labels * (n as usize).div_ceil(self.gap) * size_of::<Line>()) as u64
    }

    /// Batches in flight.
    pub(super) fn tables(&self) -> usize {
        if self.both.is_some() { 2 } else { 1 }
    }
}

/// The entry points of a tier: `$lanes` is its register, `$hash` what Keccak takes. Each variant is
/// `name: groups x streams / gap`, or `name: groups x streams` where each stream has so many that fill and as many that walk,
/// or `name: streams`: `alone` and `dual` in rows, `wide` in columns.
macro_rules! kernels {
    ($(#[$feature:meta])* $name:ident: $lanes:ty, hash $hash:ty,
     alone [$($alone:literal: $groups:literal x $streams:literal / $gap:literal),*],
     dual [$($dual:literal: $half:literal x $pairs:literal),*]
     $(, wide [$($wide:literal: $wide_streams:literal),*])?) => {
        pub(in crate::label) static $name: $crate::label::kernels::Kernels = $crate::label::kernels::Kernels {
            expand,
            compress,
            variants: &[
                $($crate::label::kernels::Variant {
                    name: $alone,
                    labels: $groups * $streams * <$lanes as $crate::label::lanes::Lanes>::LABELS,
                    stream: $groups * <$lanes as $crate::label::lanes::Lanes>::LABELS,
                    gap: $gap,
                    fill: pass::<$crate::label::rows::Rows<$lanes>, $groups, 0, $groups, $gap>,
                    walk: pass::<$crate::label::rows::Rows<$lanes>, 0, $groups, $groups, $gap>,
                    both: None,
                },)*
                $($crate::label::kernels::Variant {
                    name: $dual,
                    labels: {
                        assert!($pairs % 2 == 0, "alone, two streams' groups fill or walk together");
                        $half * $pairs * <$lanes as $crate::label::lanes::Lanes>::LABELS
                    },
                    stream: 2 * $half * <$lanes as $crate::label::lanes::Lanes>::LABELS,
                    gap: 1,
                    fill: pass::<$crate::label::rows::Rows<$lanes>, { 2 * $half }, 0, { 2 * $half }, 1>,
                    walk: pass::<$crate::label::rows::Rows<$lanes>, 0, { 2 * $half }, { 2 * $half }, 1>,
                    both: Some(pass::<$crate::label::rows::Rows<$lanes>, $half, $half, { 2 * $half }, 1>),
                },)*
                $($($crate::label::kernels::Variant {
                    name: $wide,
                    labels: $wide_streams * 16,
                    stream: 16,
                    gap: 1,
                    fill: pass::<$crate::label::columns::Columns<$lanes>, 1, 0, 1, 1>,
                    walk: pass::<$crate::label::columns::Columns<$lanes>, 0, 1, 1, 1>,
                    both: None,
                },)*)?
            ],
        };

        /// # Safety
        /// The processor has this tier's instructions; see `romix::pass`.
        $(#[$feature])*
        #[allow(unsafe_code)]
        unsafe fn pass<
            H: $crate::label::lanes::Half,
            const FILL: usize,
            const WALK: usize,
            const G: usize,
            const GAP: usize,
        >(
            pass: &$crate::label::romix::Pass,
        ) {
            // SAFETY: the caller's promise.
            unsafe { $crate::label::romix::pass::<H, FILL, WALK, G, GAP>(pass) }
        }

        /// # Safety
        /// The processor has this tier's instructions.
        $(#[$feature])*
        #[allow(unsafe_code)]
        unsafe fn expand(
            jobs: &[$crate::label::Job],
            keyed: &mut [$crate::label::keccak::Keyed],
            blocks: &mut [$crate::label::lanes::Line],
        ) {
            let at_once = <$hash as $crate::label::keccak::Words>::LABELS;
            let lanes = jobs.chunks(at_once).zip(keyed.chunks_mut(at_once)).zip(blocks.chunks_mut(at_once));
            for ((jobs, keyed), blocks) in lanes {
                $crate::label::keccak::expand::<$hash>(jobs, keyed, blocks);
            }
        }

        /// # Safety
        /// The processor has this tier's instructions.
        $(#[$feature])*
        #[allow(unsafe_code)]
        unsafe fn compress(
            blocks: &[$crate::label::lanes::Line],
            keyed: &[$crate::label::keccak::Keyed],
            labels: &mut [$crate::label::FullLabel],
        ) {
            let at_once = <$hash as $crate::label::keccak::Words>::LABELS;
            let lanes = blocks.chunks(at_once).zip(keyed.chunks(at_once)).zip(labels.chunks_mut(at_once));
            for ((blocks, keyed), labels) in lanes {
                $crate::label::keccak::compress::<$hash>(blocks, keyed, labels);
            }
        }
    };
}
pub(super) use kernels;
