//! From one size of a set to another: a record on each drive says that it is on its way, so that a crash leaves nobody in
//! doubt, and the records of the old size become those of the new one.

use serde::{Deserialize, Serialize};

use crate::drive::{Drive, DriveError, Record};
use crate::journal::Journal;
use crate::metadata::Metadata;
use crate::plan::Layout;
use crate::sealed::{seal, unseal};

const MAGIC: &str = "post-resize-1";

/// A change of size that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resize {
    /// Units before.
    pub(crate) from: u32,
    /// Units in the end.
    pub(crate) to: u32,
}

impl Resize {
    /// What a drive says; a damaged record is an error, for nothing else tells what is to be done.
    pub(crate) fn of(drive: &dyn Drive) -> Result<Option<Self>, DriveError> {
        let Some(bytes) = drive.record(Record::Resize)? else { return Ok(None) };
        let parsed = unseal(MAGIC, &bytes);
        let reason = || "it does not say to which size the set is on its way".into();
        parsed
            .map(Some)
            .ok_or_else(|| DriveError::Malformed { place: format!("{}/.post/resize", drive.name()), reason: reason() })
    }

    /// What any of the drives says.
    pub(crate) fn any(drives: &[Box<dyn Drive>]) -> Result<Option<Self>, DriveError> {
        for drive in drives {
            if let Some(resize) = Self::of(&**drive)? {
                return Ok(Some(resize));
            }
        }
        Ok(None)
    }

    /// Says it on a drive.
    pub(crate) fn store(&self, drive: &dyn Drive) -> Result<(), DriveError> {
        let malformed = |e: serde_json::Error| DriveError::Malformed { place: drive.name(), reason: e.to_string() };
        drive.replace_record(Record::Resize, &seal(MAGIC, self).map_err(malformed)?)
    }
}

/// The metadata of a set of another size; what was found out about the old one stays a hint.
pub(crate) fn resized(metadata: &Metadata, units: u32) -> Metadata {
    Metadata { num_units: units, last_position: None, ..metadata.clone() }
}

/// A drive's journal for the new size: what it says already, or what the old one said of the files that `stay`, and what
/// the stage's says. `None` when no journal vouches for anything.
pub(crate) fn journal_after(
    drive: &dyn Drive,
    metadata: &Metadata,
    [old, new]: [&Layout; 2],
    stay: &dyn Fn(u32) -> bool,
    staged: Option<Journal>,
) -> Result<Option<Journal>, DriveError> {
    let commitment = metadata.commitment();
    let there = Journal::of(drive)?;
    let mut journal = match there {
        Some(there) if there.is_of(&commitment, new) => Some(there),
        Some(mut there) if there.is_of(&commitment, old) => {
            there.files.retain(|file, _| stay(*file));
            there.num_labels = new.num_labels();
            there.set_complete = false;
            Some(there)
        }
        _ => None,
    };
    let held = drive.held()?;
    for staged in staged.into_iter().filter(|staged| staged.is_of(&commitment, new)) {
        let files = staged.files.iter().filter(|(file, _)| held.contains_key(file));
        let files: Vec<_> = files.map(|(file, progress)| (*file, progress.clone())).collect();
        journal.get_or_insert_with(|| Journal { files: Default::default(), ..staged }).files.extend(files);
    }
    Ok(journal)
}
