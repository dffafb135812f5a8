//! Units → files → drives, and what remains to be done. Pure arithmetic, nothing is touched (POST.md section 3).

mod placement;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub use placement::{Placement, most_units};

use crate::label::LABEL_BYTES;

/// Files of one set at most, 4 PiB in files of 4 GiB: more is most likely a mistake in the file size.
const MAX_FILES: u64 = 1 << 20;

/// Kept free on each drive for metadata and journal, and for the copies that replace them.
const RESERVE: u64 = 64 * 1024;
const RESERVE_PER_FILE: u64 = 512;

/// The checksums beside a data file: 16 bytes for each MiB of it, in whole blocks of a filesystem.
fn sums_bytes(file_bytes: u64) -> u64 {
    (file_bytes >> 20) * 16 / 4096 * 4096 + if file_bytes >> 20 > 0 { 4096 } else { 0 }
}

/// Why there is no plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A data file holds whole labels, at least one.
    #[error("a file size of {bytes} bytes is not usable; it must be a multiple of 16 and at least 16")]
    FileSize {
        /// The size asked for.
        bytes: u64,
    },
    /// More bytes than a 64-bit number can count.
    #[error("{units} units of {labels_per_unit} labels are more than can be counted; use fewer units")]
    TooLarge {
        /// Units asked for.
        units: u32,
        /// The network's unit.
        labels_per_unit: u64,
    },
    /// Nothing to store.
    #[error("{units} units of {labels_per_unit} labels hold nothing; use at least 1 unit")]
    Empty {
        /// Units asked for.
        units: u32,
        /// The network's unit.
        labels_per_unit: u64,
    },
    /// An unmanageable number of files.
    #[error("the set would have {files} files; use a larger --max-file-size, at most {MAX_FILES} files are allowed")]
    TooManyFiles {
        /// How many.
        files: u64,
    },
    /// A shard that is not part of the set.
    #[error("files {}..{} are not part of this set; it has files 0..{num_files} (the end is not included)", files.start, files.end)]
    NoSuchFiles {
        /// What was asked for.
        files: Range<u32>,
        /// How many files the set has.
        num_files: u32,
    },
    /// The drives are too small.
    #[error(
        "the drives have no room for {missing_bytes} of {total_bytes} bytes (file {first_file} is the first that fits nowhere); add a drive, raise its size=, or free space"
    )]
    NoRoom {
        /// Bytes of the files that fit nowhere.
        missing_bytes: u64,
        /// Bytes of all files to be placed.
        total_bytes: u64,
        /// The first file that fits nowhere.
        first_file: u32,
    },
}

/// How the labels of a set lie in files. Every label of `0..num_labels` is in exactly one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    num_labels: u64,
    labels_per_file: u64,
    num_files: u32,
}

/// A stretch of labels within one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The file's number.
    pub file: u32,
    /// Where the stretch begins in the file, in bytes.
    pub offset: u64,
    /// The labels' indices in the set.
    pub labels: Range<u64>,
}

impl Layout {
    /// `units · labels_per_unit` labels in files of `max_file_size` bytes, the last one holding the rest.
    ///
    /// # Errors
    /// [`PlanError`] for sizes that overflow, hold nothing or make no whole labels.
    pub fn new(units: u32, labels_per_unit: u64, max_file_size: u64) -> Result<Self, PlanError> {
        let label = LABEL_BYTES as u64;
        if max_file_size == 0 || !max_file_size.is_multiple_of(label) {
            return Err(PlanError::FileSize { bytes: max_file_size });
        }
        let num_labels = u64::from(units)
            .checked_mul(labels_per_unit)
            .filter(|labels| labels.checked_mul(label).is_some())
            .ok_or(PlanError::TooLarge { units, labels_per_unit })?;
        if num_labels == 0 {
            return Err(PlanError::Empty { units, labels_per_unit });
        }
        let labels_per_file = max_file_size / label;
        let files = num_labels.div_ceil(labels_per_file);
        if files > MAX_FILES {
            return Err(PlanError::TooManyFiles { files });
        }
        Ok(Self { num_labels, labels_per_file, num_files: files as u32 })
    }

    /// Labels of the whole set.
    #[must_use]
    pub fn num_labels(&self) -> u64 {
        self.num_labels
    }

    /// Files of the whole set, numbered from 0.
    #[must_use]
    pub fn num_files(&self) -> u32 {
        self.num_files
    }

    /// Bytes of the whole set.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.num_labels * LABEL_BYTES as u64
    }

    /// The indices a file holds; empty past the last file.
    #[must_use]
    pub fn file_labels(&self, file: u32) -> Range<u64> {
        let at = |file: u64| file.saturating_mul(self.labels_per_file).min(self.num_labels);
        at(u64::from(file))..at(u64::from(file) + 1)
    }

    /// The size of a complete file in bytes.
    #[must_use]
    pub fn file_bytes(&self, file: u32) -> u64 {
        let labels = self.file_labels(file);
        (labels.end - labels.start) * LABEL_BYTES as u64
    }

    /// The name of a data file.
    #[must_use]
    pub fn file_name(file: u32) -> String {
        format!("postdata_{file}.bin")
    }

    /// Cuts a stretch of labels at the borders of files.
    pub fn pieces(&self, labels: Range<u64>) -> impl Iterator<Item = Piece> + use<> {
        let layout = *self;
        let end = labels.end.min(layout.num_labels);
        let mut at = labels.start;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let file = (at / layout.labels_per_file) as u32;
            let held = layout.file_labels(file);
            let piece = at..held.end.min(end);
            at = piece.end;
            Some(Piece { file, offset: (piece.start - held.start) * LABEL_BYTES as u64, labels: piece })
        })
    }
}

/// What one drive offers.
#[derive(Clone, Debug, Default)]
pub struct DriveSpace {
    /// Most bytes of this set it may hold, files that are there included.
    pub quota: Option<u64>,
    /// Free bytes of its filesystem.
    pub free: u64,
    /// Which filesystem that is: two directories of one share its free space.
    pub filesystem: u64,
    /// Data files it holds, complete or not: number → bytes.
    pub held: BTreeMap<u32, u64>,
    /// Files that an earlier run chose it for.
    pub planned: BTreeSet<u32>,
}

/// Chooses a drive for every file of `files` but those that are `elsewhere`: the one that holds it, else the one that an
/// earlier run chose if it still has room, else the one that is emptiest in proportion to what it can hold, the first of
/// equals. Drives then fill up together, and a proof can read all of them at once. The result is file → index into `drives`.
///
/// # Errors
/// [`PlanError::NoRoom`] or [`PlanError::NoSuchFiles`].
pub fn place(
    layout: &Layout,
    files: Range<u32>,
    elsewhere: &BTreeSet<u32>,
    drives: &[DriveSpace],
) -> Result<BTreeMap<u32, usize>, PlanError> {
    Placement::new(layout, files, elsewhere, drives)?.all()
}

/// What is left of quotas and of filesystems while files are placed. Negative: promised more than there is.
struct Room {
    /// What each drive could hold if it were empty.
    capacity: Vec<i128>,
    /// What each drive was given.
    taken: Vec<i128>,
    quota: Vec<i128>,
    filesystem: Vec<u64>,
    free: BTreeMap<u64, i128>,
}

impl Room {
    fn new(drives: &[DriveSpace], reserve: u64) -> Self {
        let usable = |drive: &DriveSpace| i128::from(drive.free.saturating_sub(reserve));
        let quota = |drive: &DriveSpace| drive.quota.map_or(i128::MAX / 2, i128::from);
        let held = |drive: &DriveSpace| drive.held.values().map(|bytes| i128::from(*bytes)).sum::<i128>();
        Self {
            capacity: drives.iter().map(|drive| quota(drive).min(usable(drive) + held(drive))).collect(),
            taken: vec![0; drives.len()],
            quota: drives.iter().map(quota).collect(),
            filesystem: drives.iter().map(|drive| drive.filesystem).collect(),
            free: drives.iter().map(|drive| (drive.filesystem, usable(drive))).collect(),
        }
    }

    fn take(&mut self, drive: usize, of_quota: u64, of_free: u64) {
        self.taken[drive] += i128::from(of_quota);
        self.quota[drive] -= i128::from(of_quota);
        if let Some(free) = self.free.get_mut(&self.filesystem[drive]) {
            *free -= i128::from(of_free);
        }
    }

    fn left(&self, drive: usize) -> i128 {
        let free = self.free.get(&self.filesystem[drive]).copied().unwrap_or(0);
        free.min(self.quota[drive])
    }

    fn has(&self, drive: usize, bytes: u64) -> bool {
        self.left(drive) >= i128::from(bytes)
    }

    /// The emptiest drive that has room for `bytes`.
    fn emptiest(&self, bytes: u64) -> Option<usize> {
        let fill = |drive: usize| self.taken[drive] as f64 / (self.capacity[drive].max(1)) as f64;
        (0..self.quota.len())
            .filter(|drive| self.has(*drive, bytes))
            .min_by(|a, b| fill(*a).total_cmp(&fill(*b)).then(a.cmp(b)))
    }

    fn overdrawn(&self) -> u64 {
        let all = self.quota.iter().chain(self.free.values());
        all.filter(|left| **left < 0).map(|left| u64::try_from(-left).unwrap_or(u64::MAX)).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_label_is_in_exactly_one_place(
            units in 1_u32..20, per_unit in 1_u64..500, per_file in 1_u64..700, cut in 0_u64..10_000,
        ) {
            let layout = Layout::new(units, per_unit, per_file * 16).unwrap();
            let mut next = 0;
            for file in 0..layout.num_files() {
                let labels = layout.file_labels(file);
                prop_assert_eq!(labels.start, next);
                prop_assert!(labels.end > labels.start && labels.end - labels.start <= per_file);
                next = labels.end;
            }
            prop_assert_eq!(next, layout.num_labels());
            prop_assert!(layout.file_labels(layout.num_files()).is_empty());

            let from = cut % layout.num_labels();
            let mut next = from;
            for piece in layout.pieces(from..u64::MAX) {
                prop_assert_eq!(piece.labels.start, next);
                let held = layout.file_labels(piece.file);
                prop_assert_eq!(piece.offset, (piece.labels.start - held.start) * 16);
                prop_assert!(piece.labels.end <= held.end);
                next = piece.labels.end;
            }
            prop_assert_eq!(next, layout.num_labels());
        }

        #[test]
        fn placing_keeps_quotas_and_what_is_held(
            per_file in 1_u64..50, quotas in prop::collection::vec(0_u64..2000, 1..5), held in 0_u32..10,
        ) {
            let layout = Layout::new(1, 300, per_file * 16).unwrap();
            let mut drives: Vec<_> = quotas.iter().enumerate()
                .map(|(i, q)| DriveSpace { quota: Some(*q), free: 1 << 40, filesystem: i as u64, held: BTreeMap::new(), planned: BTreeSet::new() })
                .collect();
            drives[0].held.insert(held.min(layout.num_files() - 1), 16);
            let slots: u64 = quotas.iter().map(|q| q / (per_file * 16)).sum();
            match place(&layout, 0..layout.num_files(), &BTreeSet::new(), &drives) {
                Ok(placed) => {
                    prop_assert_eq!(placed.len() as u32, layout.num_files());
                    prop_assert_eq!(placed[drives[0].held.keys().next().unwrap()], 0);
                    for (i, quota) in quotas.iter().enumerate() {
                        let used: u64 = placed.iter().filter(|p| *p.1 == i).map(|p| layout.file_bytes(*p.0)).sum();
                        prop_assert!(used <= *quota);
                    }
                }
                // With this much room left over, something must have fit.
                Err(_) => prop_assert!(slots <= u64::from(layout.num_files()) || quotas[0] < per_file * 16),
            }
        }
    }

    #[test]
    fn unusable_sizes_are_refused() {
        assert_eq!(Layout::new(1, 10, 0), Err(PlanError::FileSize { bytes: 0 }));
        assert_eq!(Layout::new(1, 10, 24), Err(PlanError::FileSize { bytes: 24 }));
        assert!(matches!(Layout::new(u32::MAX, 1 << 32, 16), Err(PlanError::TooLarge { .. })));
        assert!(matches!(Layout::new(1, 1 << 60, 1 << 32), Err(PlanError::TooLarge { .. })));
        assert!(matches!(Layout::new(0, 10, 16), Err(PlanError::Empty { .. })));
        assert!(matches!(Layout::new(4, 1 << 32, 16), Err(PlanError::TooManyFiles { .. })));
    }

    fn drive(filesystem: u64, free: u64, quota: Option<u64>) -> DriveSpace {
        DriveSpace { quota, free, filesystem, held: BTreeMap::new(), planned: BTreeSet::new() }
    }

    #[test]
    fn drives_fill_up_together() {
        let layout = Layout::new(1, 40, 160).unwrap();
        let on = |drives: &[DriveSpace]| {
            place(&layout, 0..4, &BTreeSet::new(), drives).unwrap().into_values().collect::<Vec<_>>()
        };
        assert_eq!(on(&[drive(1, 1 << 30, None), drive(2, 1 << 30, None)]), [0, 1, 0, 1]);
        assert_eq!(on(&[drive(1, 1 << 30, None), drive(1, 1 << 30, None)]), [0, 1, 0, 1], "one filesystem");
        assert_eq!(on(&[drive(1, 1 << 30, Some(200)), drive(2, 1 << 30, Some(600))]), [0, 1, 1, 1]);
    }

    #[test]
    fn what_an_earlier_run_chose_stays_and_what_is_elsewhere_is_left_out() {
        let layout = Layout::new(1, 40, 160).unwrap();
        let mut second = drive(2, 1 << 30, None);
        second.planned = BTreeSet::from([0, 2]);
        let placed = place(&layout, 0..4, &BTreeSet::from([3]), &[drive(1, 1 << 30, None), second.clone()]).unwrap();
        assert_eq!(placed, BTreeMap::from([(0, 1), (1, 0), (2, 1)]));
        second.quota = Some(200);
        let placed = place(&layout, 0..4, &BTreeSet::new(), &[drive(1, 1 << 30, None), second]).unwrap();
        assert_eq!(placed, BTreeMap::from([(0, 1), (1, 0), (2, 0), (3, 0)]), "its room counts more");
    }

    #[test]
    fn one_filesystem_is_not_counted_twice() {
        let layout = Layout::new(1, 40, 160).unwrap();
        let half = RESERVE + 4 * RESERVE_PER_FILE + 400;
        let refused = place(&layout, 0..4, &BTreeSet::new(), &[drive(1, half, None), drive(1, half, None)]);
        assert_eq!(refused, Err(PlanError::NoRoom { missing_bytes: 320, total_bytes: 640, first_file: 2 }));
    }

    #[test]
    fn a_drive_that_holds_more_than_its_quota_is_refused() {
        let layout = Layout::new(1, 40, 160).unwrap();
        let mut full = drive(1, 1 << 30, Some(100));
        full.held.insert(0, 160);
        let refused = place(&layout, 0..4, &BTreeSet::new(), &[full, drive(2, 1 << 30, None)]);
        assert!(matches!(refused, Err(PlanError::NoRoom { missing_bytes: 60, .. })), "{refused:?}");
    }
}
