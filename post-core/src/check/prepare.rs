//! What there is to check: the drives, the files on them, and what an earlier run kept.

use std::collections::BTreeMap;

use super::kept::{Kept, What};
use super::{CheckError, File, Found, Request};
use crate::drive::{Drive, Role, Stamp};
use crate::journal::Journal;
use crate::label::LABEL_BYTES;
use crate::metadata::Metadata;
use crate::plan::Layout;
use crate::set::survey;

/// Claims the drives. Only repairing needs that; a check does without, but then keeps nothing.
pub(super) fn claim(
    request: &Request,
    drives: &[Box<dyn Drive>],
    found: &mut dyn FnMut(Found),
) -> Result<Vec<bool>, CheckError> {
    if request.dry_run {
        return Ok(vec![false; drives.len()]);
    }
    let mut claimed = Vec::new();
    for drive in drives {
        let result = drive.claim(Role::Writer);
        claimed.push(result.is_ok());
        match result {
            Err(error) if request.repair => return Err(error.into()),
            Err(error) => (found)(Found::Note(format!("nothing is noted on {}: {error}", drive.name()))),
            Ok(()) => {}
        }
    }
    Ok(claimed)
}

/// The files that are there, and how many problems there are with the set.
pub(super) fn files(
    request: &Request,
    drives: &[Box<dyn Drive>],
    metadata: &Metadata,
    layout: &Layout,
    found: &mut dyn FnMut(Found),
) -> Result<(BTreeMap<u32, File>, usize), CheckError> {
    let commitment = metadata.commitment();
    let mut journals = Vec::new();
    for drive in drives {
        let journal = Journal::of(&**drive)?.filter(|journal| journal.is_of(&commitment, layout));
        let wanted = request.params.scrypt.n;
        if let Some(there) = journal.as_ref().map(|journal| journal.scrypt_n).filter(|there| *there != wanted) {
            return Err(CheckError::OtherCost { drive: drive.name(), wanted, there });
        }
        journals.push(journal);
    }
    let survey = survey(drives, &commitment, layout)?;
    let problems = survey.problems.len();
    survey.problems.into_iter().for_each(|problem| found(Found::Problem(problem)));
    let mut files = BTreeMap::new();
    for (file, (drive, bytes)) in survey.files {
        let there = bytes.min(layout.file_bytes(file)) / LABEL_BYTES as u64;
        let progress = journals[drive].as_ref().and_then(|journal| journal.files.get(&file));
        // What lies behind the labels that a journal counts, `init` makes again anyway.
        let labels = progress.map_or(there, |progress| progress.labels.min(there));
        if labels > 0 {
            files.insert(file, File { drive, labels, is_ours: progress.is_some() });
        }
    }
    Ok((files, problems))
}

/// The stamps of the files, as far as their drives tell.
pub(super) fn stamps(drives: &[Box<dyn Drive>], files: &BTreeMap<u32, File>) -> BTreeMap<u32, Stamp> {
    let stamp = |(file, state): (&u32, &File)| Some((*file, drives[state.drive].stamp(*file).ok()??));
    files.iter().filter_map(stamp).collect()
}

/// What an earlier run kept of this check, and where to keep it from now on. What can't be read was not kept.
pub(super) fn find_kept(drives: &[Box<dyn Drive>], claimed: &[bool], what: What, seed: u64) -> (Option<usize>, Kept) {
    let mut usable = (0..drives.len()).filter(|drive| claimed[*drive]);
    let kept = usable.clone().find_map(|drive| Some((drive, Kept::of(&*drives[drive], &what).ok()??)));
    match kept {
        Some((drive, kept)) => (Some(drive), kept),
        None => (usable.next(), Kept::new(what, seed)),
    }
}
