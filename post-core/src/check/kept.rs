//! How far a check has come and what it found, kept on a drive so that the same command continues. One record holds the
//! checks that are under way, a part for each kind: none makes another one begin again.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Bad, Cause, Depth, Request};
use crate::drive::{Drive, DriveError, Record, Stamp};
use crate::identity::Commitment;
use crate::plan::Layout;
use crate::ranges::Ranges;
use crate::sealed::{seal, unseal};

const MAGIC: &str = "post-check-2";

/// Bad stretches that are kept; of what comes after them only the number of labels is.
const MAX_BAD: usize = 1 << 14;

/// Checks of a set that are kept. Who interrupts more of them loses the one that was at work least lately.
const MAX_CHECKS: usize = 4;

/// What is checked, and how: only the same check is continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct What {
    #[serde(with = "hex::serde")]
    commitment: [u8; 32],
    num_labels: u64,
    scrypt_n: u32,
    depth: String,
    repair: bool,
}

impl What {
    pub(super) fn new(request: &Request, commitment: &Commitment, layout: &Layout) -> Self {
        let depth = match request.depth {
            Depth::Quick => "quick".into(),
            Depth::All => "all".into(),
            Depth::Fraction(fraction) => format!("{fraction:e}"),
        };
        let (num_labels, scrypt_n) = (layout.num_labels(), request.params.scrypt.n);
        Self { commitment: commitment.0, num_labels, scrypt_n, depth, repair: request.repair }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptBad {
    file: u32,
    from: u64,
    to: u64,
    cause: Cause,
    repaired: bool,
}

/// What is kept of one file: it counts as long as nobody writes to the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct OfFile {
    /// As it was before it was looked at, where the drive tells.
    stamp: Option<Stamp>,
    checked: u64,
    bad_labels: u64,
    repaired_labels: u64,
}

/// Everything that is kept of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    what: What,
    /// Of the labels that are picked.
    pub(super) seed: u64,
    /// Indices behind which nothing is to be done again: of each file a stretch from its beginning.
    done: Vec<(u64, u64)>,
    /// Labels looked at.
    pub(super) checked: u64,
    /// Labels of all bad stretches.
    pub(super) bad_labels: u64,
    /// Those of them that were written anew.
    pub(super) repaired_labels: u64,
    /// The same, file by file.
    files: BTreeMap<u32, OfFile>,
    bad: Vec<KeptBad>,
}

impl Kept {
    /// Nothing yet.
    pub(super) fn new(what: What, seed: u64) -> Self {
        let (done, files, bad) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { what, seed, done, checked: 0, bad_labels: 0, repaired_labels: 0, files, bad }
    }

    /// What a drive keeps of this very check.
    pub(super) fn of(drive: &dyn Drive, what: &What) -> Result<Option<Self>, DriveError> {
        Ok(Self::all(drive)?.into_iter().find(|kept| kept.what == *what))
    }

    fn all(drive: &dyn Drive) -> Result<Vec<Self>, DriveError> {
        Ok(drive.record(Record::Check)?.as_deref().and_then(Self::from_bytes).unwrap_or_default())
    }

    /// All other checks of this set; those of another set, or of another size, nobody will continue.
    fn others(&self, drive: &dyn Drive) -> Result<Vec<Self>, DriveError> {
        let set = |kept: &Self| (kept.what.commitment, kept.what.num_labels);
        let is_other = |kept: &Self| set(kept) == set(self) && kept.what != self.what;
        Ok(Self::all(drive)?.into_iter().filter(is_other).collect())
    }

    pub(super) fn store(&self, drive: &dyn Drive) -> Result<(), DriveError> {
        // What can't be read is of no use to anybody.
        let mut checks = self.others(drive).unwrap_or_default();
        checks.push(self.clone());
        Self::store_all(drive, &checks[checks.len().saturating_sub(MAX_CHECKS)..])
    }

    /// Forgets this check, and no other.
    pub(super) fn forget(&self, drive: &dyn Drive) -> Result<(), DriveError> {
        match self.others(drive)? {
            others if others.is_empty() => drive.forget_record(Record::Check),
            others => Self::store_all(drive, &others),
        }
    }

    fn store_all(drive: &dyn Drive, checks: &[Self]) -> Result<(), DriveError> {
        let bytes = Self::to_bytes(checks);
        let bytes = bytes.map_err(|e| DriveError::Malformed { place: drive.name(), reason: e.to_string() })?;
        drive.replace_record(Record::Check, &bytes)
    }

    pub(super) fn done(&self) -> Ranges {
        self.done.iter().map(|(from, to)| *from..*to).collect()
    }

    pub(super) fn set_done(&mut self, done: &Ranges) {
        self.done = done.iter().map(|range| (range.start, range.end)).collect();
    }

    /// The bad stretches that were found; `drive` names the drive of a file.
    pub(super) fn bad(&self, drive: impl Fn(u32) -> String) -> Vec<Bad> {
        let bad = |kept: &KeptBad| {
            let KeptBad { file, from, to, cause, repaired } = *kept;
            Bad { file, drive: drive(file), labels: from..to, cause, repaired }
        };
        self.bad.iter().map(bad).collect()
    }

    /// A file is looked at: what is noted of it counts for this stamp.
    pub(super) fn meet(&mut self, file: u32, stamp: Option<Stamp>) {
        self.files.entry(file).or_insert_with(|| OfFile { stamp, ..OfFile::default() });
    }

    /// We wrote to a file that was as we know it.
    pub(super) fn meet_again(&mut self, file: u32, stamp: Option<Stamp>) {
        self.files.entry(file).or_default().stamp = stamp;
    }

    /// Whether somebody wrote to a file since it was looked at, as far as anybody can tell.
    pub(super) fn is_outdated(&self, file: u32, now: Option<Stamp>) -> bool {
        let before = self.files.get(&file).and_then(|of_file| of_file.stamp);
        before.zip(now).is_some_and(|(before, now)| before != now)
    }

    /// Forgets all of a file with these indices.
    pub(super) fn forget_file(&mut self, file: u32, labels: Range<u64>) {
        let OfFile { checked, bad_labels, repaired_labels, .. } = self.files.remove(&file).unwrap_or_default();
        self.checked = self.checked.saturating_sub(checked);
        self.bad_labels = self.bad_labels.saturating_sub(bad_labels);
        self.repaired_labels = self.repaired_labels.saturating_sub(repaired_labels);
        self.bad.retain(|bad| bad.file != file);
        let mut done = self.done();
        done.remove(labels);
        self.set_done(&done);
    }

    /// So many labels of a file were looked at.
    pub(super) fn count(&mut self, file: u32, labels: u64) {
        self.checked += labels;
        self.files.entry(file).or_default().checked += labels;
    }

    /// Notes a bad stretch, which may go on where the last one of its file ends.
    pub(super) fn note(&mut self, file: u32, labels: &Range<u64>, cause: Cause, repaired: bool) {
        let count = labels.end - labels.start;
        let count_repaired = if repaired { count } else { 0 };
        self.bad_labels += count;
        self.repaired_labels += count_repaired;
        let of_file = self.files.entry(file).or_default();
        of_file.bad_labels += count;
        of_file.repaired_labels += count_repaired;
        let is_full = self.bad.len() >= MAX_BAD;
        let last = self.bad.iter_mut().rev().find(|bad| bad.file == file);
        match last.filter(|bad| (bad.to, bad.cause, bad.repaired) == (labels.start, cause, repaired)) {
            Some(bad) => bad.to = labels.end,
            None if !is_full => {
                self.bad.push(KeptBad { file, from: labels.start, to: labels.end, cause, repaired });
            }
            None => {}
        }
    }

    fn to_bytes(checks: &[Self]) -> Result<Vec<u8>, serde_json::Error> {
        seal(MAGIC, &checks)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Vec<Self>> {
        unseal(MAGIC, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::MemoryDrive;
    use crate::params::NetworkParams;

    #[test]
    fn only_the_same_check_is_continued_and_damage_is_noticed() {
        let request = Request::new(NetworkParams::devnet(), Depth::Fraction(0.001));
        let layout = Layout::new(1, 1000, 1600).unwrap();
        let what = |request: &Request| What::new(request, &Commitment([1; 32]), &layout);
        let mut kept = Kept::new(what(&request), 7);
        kept.set_done(&std::iter::once(0..10).collect());
        for labels in [3..4, 4..6, 8..9] {
            kept.note(0, &labels, Cause::Unknown, false);
        }
        kept.note(1, &(100..101), Cause::Unreadable, true);
        assert_eq!((kept.bad_labels, kept.repaired_labels), (5, 1));
        let bad: Vec<_> = kept.bad(|_| "drive".into()).into_iter().map(|bad| bad.labels).collect();
        assert_eq!(bad, [3..6, 8..9, 100..101]);

        let drive = MemoryDrive::default();
        kept.store(&drive).unwrap();
        assert_eq!(Kept::of(&drive, &what(&request)).unwrap().as_ref(), Some(&kept));
        assert_eq!(kept.done().iter().collect::<Vec<_>>(), vec![0..10]);
        for other in [Request { repair: true, ..request.clone() }, Request { depth: Depth::All, ..request.clone() }] {
            assert_eq!(Kept::of(&drive, &what(&other)).unwrap(), None);
        }
        let bytes = Kept::to_bytes(std::slice::from_ref(&kept)).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Kept::from_bytes(&damaged), None, "byte {at}");
            assert_eq!(Kept::from_bytes(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn checks_of_many_kinds_are_kept_beside_each_other_and_forgotten_one_by_one() {
        let of = |fraction: f64, units: u32| {
            let request = Request::new(NetworkParams::devnet(), Depth::Fraction(fraction));
            Kept::new(What::new(&request, &Commitment([1; 32]), &Layout::new(units, 1000, 1600).unwrap()), 7)
        };
        let drive = MemoryDrive::default();
        let is_kept = |kept: &Kept| Kept::of(&drive, &kept.what).unwrap().as_ref() == Some(kept);
        let [first, second] = [of(0.1, 1), of(0.2, 1)];
        for kept in [&first, &second, &first] {
            kept.store(&drive).unwrap();
        }
        assert!(is_kept(&first) && is_kept(&second));
        first.forget(&drive).unwrap();
        assert!(!is_kept(&first) && is_kept(&second));
        second.forget(&drive).unwrap();
        assert_eq!(drive.record(Record::Check).unwrap(), None);

        // Only so many, the last ones; none of a set that is no more.
        let many: Vec<_> = (1..=MAX_CHECKS + 2).map(|i| of(0.01 * i as f64, 1)).collect();
        many.iter().for_each(|kept| kept.store(&drive).unwrap());
        assert_eq!(many.iter().map(is_kept).collect::<Vec<_>>(), [false, false, true, true, true, true]);
        let grown = of(0.1, 2);
        grown.store(&drive).unwrap();
        assert!(is_kept(&grown) && !many.iter().any(is_kept));
    }

    #[test]
    fn what_is_forgotten_of_a_file_is_as_if_it_had_never_been_looked_at() {
        let request = Request::new(NetworkParams::devnet(), Depth::All);
        let layout = Layout::new(1, 1000, 1600).unwrap();
        let stamp = |modified| Some(Stamp { bytes: 1600, modified, inode: 3 });
        let looked = |files: &[u32]| {
            let mut kept = Kept::new(What::new(&request, &Commitment([1; 32]), &layout), 7);
            for &file in files {
                let labels = layout.file_labels(file);
                kept.meet(file, stamp(5));
                kept.count(file, 100);
                kept.note(file, &(labels.start..labels.start + 3), Cause::Unknown, file == 2);
                let mut done = kept.done();
                done.insert(labels);
                kept.set_done(&done);
            }
            kept
        };
        let mut kept = looked(&[0, 1, 2]);
        assert!(!kept.is_outdated(1, stamp(5)) && kept.is_outdated(1, stamp(6)));
        // Who can't tell leaves it as it is.
        assert!(!kept.is_outdated(1, None) && !kept.is_outdated(7, stamp(6)));
        kept.forget_file(1, layout.file_labels(1));
        assert_eq!(kept, looked(&[0, 2]));
        kept.forget_file(2, layout.file_labels(2));
        assert_eq!(kept, looked(&[0]));
    }
}
