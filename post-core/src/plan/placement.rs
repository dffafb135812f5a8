//! Where each file goes, what has no place, and what that makes of each drive.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{DriveSpace, Layout, PlanError, RESERVE, RESERVE_PER_FILE, Room, sums_bytes};
use crate::label::LABEL_BYTES;

/// A drive for every file that has room somewhere. Drives are named by their index, sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Placement {
    layout: Layout,
    files: Range<u32>,
    drives: Vec<DriveSpace>,
    place: BTreeMap<u32, usize>,
    missing_bytes: u64,
    first_missing: u32,
}

impl Placement {
    /// Places `files` as [`super::place`] does; what fits nowhere is counted.
    ///
    /// # Errors
    /// [`PlanError::NoSuchFiles`].
    pub fn new(
        layout: &Layout,
        files: Range<u32>,
        elsewhere: &BTreeSet<u32>,
        drives: &[DriveSpace],
    ) -> Result<Self, PlanError> {
        if files.start >= files.end || files.end > layout.num_files {
            return Err(PlanError::NoSuchFiles { files, num_files: layout.num_files });
        }
        let mut room = Room::new(drives, reserve(layout));
        let mut place = BTreeMap::new();
        // Files that exist take their full size first, whether or not they belong to this run.
        for (index, drive) in drives.iter().enumerate() {
            for (&file, &bytes) in &drive.held {
                let full = layout.file_bytes(file);
                let lacking = full.saturating_sub(bytes);
                room.take(index, full, lacking + if lacking > 0 { sums_bytes(full) } else { 0 });
                if files.contains(&file) {
                    place.insert(file, index);
                }
            }
        }
        let mut short: Option<(u32, u64)> = None;
        let open = files.clone().filter(|file| !place.contains_key(file) && !elsewhere.contains(file));
        for file in open.collect::<Vec<_>>() {
            let bytes = layout.file_bytes(file);
            let planned = (0..drives.len()).find(|drive| drives[*drive].planned.contains(&file));
            match planned.filter(|drive| room.has(*drive, bytes)).or_else(|| room.emptiest(bytes)) {
                Some(drive) => {
                    room.take(drive, bytes, bytes + sums_bytes(bytes));
                    place.insert(file, drive);
                }
                None => {
                    let (first, missing) = short.unwrap_or((file, 0));
                    short = Some((first, missing + bytes));
                }
            }
        }
        let (first_missing, unplaced) = short.unwrap_or((files.start, 0));
        // What exists may need more than there is, too.
        let missing_bytes = unplaced + room.overdrawn();
        Ok(Self { layout: *layout, files, drives: drives.to_vec(), place, missing_bytes, first_missing })
    }

    /// The drive of every file, where there is room for all of them.
    ///
    /// # Errors
    /// [`PlanError::NoRoom`].
    pub fn all(self) -> Result<BTreeMap<u32, usize>, PlanError> {
        if self.fits() {
            return Ok(self.place);
        }
        Err(PlanError::NoRoom {
            missing_bytes: self.missing_bytes,
            total_bytes: self.files.clone().map(|file| self.layout.file_bytes(file)).sum(),
            first_file: self.first_missing,
        })
    }

    /// Whether there is room for everything.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.missing_bytes == 0
    }

    /// Bytes that there is no room for.
    #[must_use]
    pub fn missing_bytes(&self) -> u64 {
        self.missing_bytes
    }

    /// How the set lies in files.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The files of this run, those without a place included.
    #[must_use]
    pub fn files(&self) -> Range<u32> {
        self.files.clone()
    }

    /// What the drives offer.
    #[must_use]
    pub fn drives(&self) -> &[DriveSpace] {
        &self.drives
    }

    /// File → drive, of the files of this run that have a place.
    #[must_use]
    pub fn place(&self) -> &BTreeMap<u32, usize> {
        &self.place
    }

    /// The files that a drive has none of yet and gets, ascending.
    #[must_use]
    pub fn new_files(&self, drive: usize) -> Vec<u32> {
        let here = self.place.iter().filter(|(file, on)| **on == drive && !self.drives[drive].held.contains_key(file));
        here.map(|(file, _)| *file).collect()
    }

    /// What will still be written to a drive: its new files, and what its unfinished ones lack.
    #[must_use]
    pub fn new_bytes(&self, drive: usize) -> u64 {
        let lacking = |(file, bytes): (&u32, &u64)| self.layout.file_bytes(*file).saturating_sub(*bytes);
        let unfinished: u64 = self.drives[drive].held.iter().map(lacking).sum();
        unfinished + self.new_files(drive).into_iter().map(|file| self.layout.file_bytes(file)).sum::<u64>()
    }

    /// Bytes of the set that a drive will hold in the end.
    #[must_use]
    pub fn final_bytes(&self, drive: usize) -> u64 {
        self.drives[drive].held.values().sum::<u64>() + self.new_bytes(drive)
    }

    /// Bytes that are kept free on each drive for metadata and records.
    #[must_use]
    pub fn reserve(&self) -> u64 {
        reserve(&self.layout)
    }

    /// What stays free of a drive's filesystem, on which other drives of the set may lie too.
    #[must_use]
    pub fn left_free(&self, drive: usize) -> u64 {
        let filesystem = self.drives[drive].filesystem;
        let there = (0..self.drives.len()).filter(|other| self.drives[*other].filesystem == filesystem);
        self.drives[drive].free.saturating_sub(there.map(|other| self.new_bytes(other)).sum())
    }
}

fn reserve(layout: &Layout) -> u64 {
    RESERVE + RESERVE_PER_FILE * u64::from(layout.num_files)
}

/// The most units, up to `max_units`, of which all files have room on these drives; 0 if not even one fits.
#[must_use]
pub fn most_units(labels_per_unit: u64, max_file_size: u64, max_units: u32, drives: &[DriveSpace]) -> u32 {
    let fits = |units: u32| {
        let placed = Layout::new(units, labels_per_unit, max_file_size)
            .and_then(|layout| Placement::new(&layout, 0..layout.num_files(), &BTreeSet::new(), drives));
        placed.is_ok_and(|placement| placement.fits())
    };
    // No more than all bytes together can fit, which keeps the search away from needlessly large sets.
    let bytes: u128 =
        drives.iter().map(|drive| u128::from(drive.free) + u128::from(drive.held.values().sum::<u64>())).sum();
    let unit = (u128::from(labels_per_unit) * LABEL_BYTES as u128).max(1);
    let (mut most, mut too_many) = (0, u64::from(max_units).min(u64::try_from(bytes / unit).unwrap_or(u64::MAX)) + 1);
    while too_many - most > 1 {
        let middle = most + (too_many - most) / 2;
        match u32::try_from(middle) {
            Ok(units) if fits(units) => most = middle,
            _ => too_many = middle,
        }
    }
    u32::try_from(most).unwrap_or(max_units)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file's size in these tests.
    const FILE: u64 = 160;

    fn drive(filesystem: u64, free: u64, quota: Option<u64>, held: &[(u32, u64)]) -> DriveSpace {
        DriveSpace { quota, free, filesystem, held: held.iter().copied().collect(), planned: BTreeSet::new() }
    }

    #[test]
    fn what_a_drive_gets_is_what_it_lacks() {
        // Files of 160, 160, 160 and 80 bytes.
        let layout = Layout::new(1, 35, FILE).unwrap();
        let drives = [drive(1, 1 << 20, Some(240), &[(0, FILE), (3, 32)]), drive(1, 1 << 20, None, &[(1, 16)])];
        let placement = Placement::new(&layout, 0..4, &BTreeSet::new(), &drives).unwrap();
        assert!(placement.fits());
        assert_eq!((placement.new_files(0), placement.new_files(1)), (vec![], vec![2]));
        assert_eq!((placement.new_bytes(0), placement.new_bytes(1)), (48, 144 + FILE));
        assert_eq!((placement.final_bytes(0), placement.final_bytes(1)), (240, 2 * FILE));
        // Both lie on one filesystem.
        assert_eq!(placement.left_free(0), (1 << 20) - 48 - 144 - FILE);
        assert_eq!(placement.left_free(0), placement.left_free(1));
    }

    #[test]
    fn what_has_no_place_is_counted_and_the_rest_is_placed() {
        let layout = Layout::new(1, 40, FILE).unwrap();
        let drives = [drive(1, 1 << 20, Some(2 * FILE), &[]), drive(2, 1 << 20, Some(100), &[])];
        let placement = Placement::new(&layout, 0..4, &BTreeSet::new(), &drives).unwrap();
        assert!(!placement.fits());
        assert_eq!(placement.missing_bytes(), 2 * FILE);
        assert_eq!(placement.place(), &BTreeMap::from([(0, 0), (1, 0)]));
        let refused = placement.all();
        assert_eq!(refused, Err(PlanError::NoRoom { missing_bytes: 320, total_bytes: 640, first_file: 2 }));
    }

    #[test]
    fn files_of_other_runs_take_their_room() {
        let layout = Layout::new(1, 40, FILE).unwrap();
        let drives = [drive(1, 1 << 20, Some(2 * FILE), &[(3, FILE)])];
        let of = |files: Range<u32>| Placement::new(&layout, files, &BTreeSet::new(), &drives).unwrap();
        assert!(of(0..1).fits() && of(3..4).fits());
        assert_eq!(of(0..2).missing_bytes(), FILE);
        assert_eq!(of(3..4).new_bytes(0), 0);
    }

    /// Against a search of all numbers of units.
    #[test]
    fn the_most_units_are_found() {
        let free = RESERVE + 1000 * RESERVE_PER_FILE;
        for (labels_per_unit, drives) in [
            (10, vec![drive(1, free, Some(1000), &[])]),
            (7, vec![drive(1, free, Some(1000), &[]), drive(1, free, Some(500), &[])]),
            (23, vec![drive(1, free, None, &[(0, 16)]), drive(2, free, Some(321), &[])]),
            (10, vec![drive(1, 100, None, &[])]),
            (1 << 40, vec![drive(1, u64::MAX, None, &[])]),
        ] {
            let fits = |units: &u32| {
                let layout = Layout::new(*units, labels_per_unit, FILE);
                layout.is_ok_and(|layout| {
                    Placement::new(&layout, 0..layout.num_files(), &BTreeSet::new(), &drives).unwrap().fits()
                })
            };
            let expected = (1..=2000).filter(fits).max().unwrap_or(0);
            assert_eq!(most_units(labels_per_unit, FILE, 2000, &drives), expected, "{labels_per_unit}");
            assert_eq!(most_units(labels_per_unit, FILE, 3, &drives), expected.min(3), "{labels_per_unit}");
        }
    }
}
