//! How far `init` has come on one drive, and what it found on the way. One file a drive, replaced atomically.
//!
//! A label counts as done when the journal says so, and the journal says so only after the data was synced. The first
//! line carries a version and a checksum of the rest: a damaged journal is noticed, never believed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::drive::{Drive, DriveError, Record};
use crate::identity::Commitment;
use crate::plan::Layout;
use crate::ranges::Ranges;
use crate::sealed::{seal, unseal};
use crate::vrf::VrfNonce;

const MAGIC: &str = "post-journal-1";

/// Of a journal with suspects: who does not know of these must not believe it.
const MAGIC_WITH_SUSPECTS: &str = "post-journal-2";

/// What was done to one data file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileProgress {
    /// Labels from its beginning that are durable and, those that are suspect apart, right.
    pub(crate) labels: u64,
    /// How many of these were durable at the checkpoint before the last one: on the rest the drive is not trusted blindly.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) since: u64,
    /// The smallest of these labels below the threshold.
    pub(crate) vrf: Option<VrfNonce>,
    /// Labels among these that a device made which was caught with a wrong one: stretches, from … to, counted from the
    /// file's beginning. They have to be made again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) suspect: Vec<(u64, u64)>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl FileProgress {
    /// Labels that are durable and right.
    pub(crate) fn right(&self) -> u64 {
        self.labels.saturating_sub(self.suspects().len())
    }

    pub(crate) fn suspects(&self) -> Ranges {
        self.suspect.iter().map(|(from, to)| *from..(*to).min(self.labels)).collect()
    }
}

/// Everything a journal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// Cost of the labels: metadata does not tell it, and labels of another cost are wrong labels.
    pub(crate) scrypt_n: u32,
    /// The set the files belong to.
    #[serde(with = "hex::serde")]
    pub(crate) commitment: [u8; 32],
    /// Labels of the whole set: the VRF threshold depends on it.
    pub(crate) num_labels: u64,
    /// Whether all files of the set were once there and done.
    #[serde(default)]
    pub(crate) set_complete: bool,
    /// By file number.
    pub(crate) files: BTreeMap<u32, FileProgress>,
}

impl Journal {
    /// Whether it speaks of this set.
    pub(crate) fn is_of(&self, commitment: &Commitment, layout: &Layout) -> bool {
        self.commitment == commitment.0 && self.num_labels == layout.num_labels()
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let suspects = self.files.values().any(|progress| !progress.suspect.is_empty());
        seal(if suspects { MAGIC_WITH_SUSPECTS } else { MAGIC }, self)
    }

    /// Replaces a drive's journal by this one.
    pub(crate) fn store(&self, drive: &dyn Drive) -> Result<(), DriveError> {
        let malformed = |e: serde_json::Error| DriveError::Malformed { place: drive.name(), reason: e.to_string() };
        drive.replace_record(Record::Journal, &self.to_bytes().map_err(malformed)?)
    }

    /// The drive's journal; `None` when there is none, or a damaged one.
    pub(crate) fn of(drive: &dyn Drive) -> Result<Option<Self>, DriveError> {
        Ok(drive.record(Record::Journal)?.as_deref().and_then(Self::from_bytes))
    }

    /// What the bytes say; `None` when they are damaged or of an unknown version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        [MAGIC, MAGIC_WITH_SUSPECTS].iter().find_map(|magic| unseal(magic, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_journal_is_not_believed() {
        let vrf = Some(VrfNonce { index: 3, label: [1; 32] });
        let journal = Journal {
            scrypt_n: 8192,
            commitment: [7; 32],
            num_labels: 99,
            set_complete: true,
            files: BTreeMap::from([(2, FileProgress { labels: 5, since: 2, vrf, suspect: vec![(1, 2), (4, 5)] })]),
        };
        assert_eq!(journal.files[&2].right(), 3);
        let bytes = journal.to_bytes().unwrap();
        assert!(bytes.starts_with(b"post-journal-2 "), "a post that knows of no suspects must not read it");
        let as_before = [b"post-journal-1 ", &bytes[15..]].concat();
        assert_eq!(Journal::from_bytes(&as_before).as_ref(), Some(&journal));
        assert_eq!(Journal::from_bytes(&bytes).as_ref(), Some(&journal));
        let sound = Journal { files: BTreeMap::new(), ..journal }.to_bytes().unwrap();
        assert!(sound.starts_with(b"post-journal-1 "));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Journal::from_bytes(&damaged), None, "byte {at}");
            assert_eq!(Journal::from_bytes(&bytes[..at]), None, "cut at {at}");
        }
    }
}
