//! How far a check has come and what it found, kept on a drive so that the same command continues.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Bad, Cause, Depth, Request};
use crate::drive::{Drive, DriveError, Record};
use crate::identity::Commitment;
use crate::plan::Layout;
use crate::ranges::Ranges;

const MAGIC: &str = "post-check-1";

/// Bad stretches that are kept; of what comes after them only the number of labels is.
const MAX_BAD: usize = 1 << 14;

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

/// Everything that is kept.
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
    bad: Vec<KeptBad>,
}

impl Kept {
    /// Nothing yet.
    pub(super) fn new(what: What, seed: u64) -> Self {
        let (done, bad) = (Vec::new(), Vec::new());
        Self { what, seed, done, checked: 0, bad_labels: 0, repaired_labels: 0, bad }
    }

    /// What a drive keeps of this very check.
    pub(super) fn of(drive: &dyn Drive, what: &What) -> Result<Option<Self>, DriveError> {
        let kept = drive.record(Record::Check)?.as_deref().and_then(Self::from_bytes);
        Ok(kept.filter(|kept| kept.what == *what))
    }

    pub(super) fn store(&self, drive: &dyn Drive) -> Result<(), DriveError> {
        let bytes = self.to_bytes();
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

    /// Notes a bad stretch, which may go on where the last one of its file ends.
    pub(super) fn note(&mut self, file: u32, labels: &Range<u64>, cause: Cause, repaired: bool) {
        let count = labels.end - labels.start;
        self.bad_labels += count;
        self.repaired_labels += if repaired { count } else { 0 };
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

    fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let body = serde_json::to_string(self)?;
        let checksum = blake3::hash(body.as_bytes()).to_hex();
        Ok(format!("{MAGIC} {checksum}\n{body}\n").into_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, body) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        let body = body.strip_suffix('\n')?;
        let checksum = head.strip_prefix(MAGIC)?.strip_prefix(' ')?;
        let sound = checksum == blake3::hash(body.as_bytes()).to_hex().as_str();
        sound.then(|| serde_json::from_str(body).ok()).flatten()
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
        let bytes = kept.to_bytes().unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Kept::from_bytes(&damaged), None, "byte {at}");
            assert_eq!(Kept::from_bytes(&bytes[..at]), None, "cut at {at}");
        }
    }
}
