//! The data files of one identity, wherever they lie: what is there, what is wrong with it, and reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::backend::{self, Backend, label_list};
use crate::drive::{Drive, DriveError};
use crate::identity::Commitment;
use crate::journal::{FileProgress, Journal};
use crate::label::{LABEL_BYTES, Label};
use crate::map::SetMap;
use crate::metadata::Metadata;
use crate::params::ScryptParams;
use crate::plan::{Layout, PlanError};
use crate::reader::Reader;
use crate::resize::{Resize, resized};

/// Files that a spot check looks at, at most: a fraction of a second's work.
const SPOT_CHECKED_FILES: usize = 128;

/// One thing that keeps a set from being whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Files that no drive holds, ascending.
    Missing(Vec<u32>),
    /// Files of a drive that is not among those given.
    Elsewhere {
        /// Their numbers, ascending.
        files: Vec<u32>,
        /// Where that drive was last.
        place: String,
    },
    /// A file beyond the set's last one.
    LeftOver {
        /// Its number.
        file: u32,
        /// Where it lies.
        drive: String,
    },
    /// A file that is shorter or longer than its labels.
    WrongSize {
        /// Its number.
        file: u32,
        /// Where it lies.
        drive: String,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        got: u64,
    },
    /// A file of the right size of which some labels were never made sure of: `init` was interrupted there, or a device
    /// turned out to be a liar.
    Unfinished {
        /// Its number.
        file: u32,
        /// Where it lies.
        drive: String,
    },
    /// A drive with data files that don't say whose they are.
    NoMetadata {
        /// The drive.
        drive: String,
    },
    /// Files that are on two drives.
    Twice {
        /// Their numbers, ascending.
        files: Vec<u32>,
        /// Where they lie.
        drives: [String; 2],
    },
}

impl Problem {
    /// Whether continuing `init` would mend it: something is not there yet.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        match self {
            Self::Missing(_) | Self::Elsewhere { .. } | Self::Unfinished { .. } | Self::NoMetadata { .. } => true,
            Self::WrongSize { expected, got, .. } => got < expected,
            Self::LeftOver { .. } | Self::Twice { .. } => false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(files) => {
                write!(f, "{} missing", FileList(files))?;
                f.write_str(": give every directory of the set, or finish init")
            }
            Self::Elsewhere { files, place } => {
                write!(f, "{} on the drive that was {place}", FileList(files))?;
                f.write_str(": mount it and give its directory too")
            }
            Self::LeftOver { file, drive } => {
                write!(f, "{} in {drive} is not part of this set: move it away", Layout::file_name(*file))
            }
            Self::WrongSize { file, drive, expected, got } => {
                let cure = if got < expected { "finish init" } else { "move it away and run init again" };
                write!(f, "{} in {drive} has {got} bytes instead of {expected}: {cure}", Layout::file_name(*file))
            }
            Self::NoMetadata { drive } => {
                write!(f, "{drive} has data files but no {}: run init again", Metadata::FILE_NAME)
            }
            Self::Unfinished { file, drive } => {
                write!(f, "{} in {drive} was interrupted: finish init", Layout::file_name(*file))
            }
            Self::Twice { files, drives: [a, b] } => {
                let which = if files.len() == 1 { "it" } else { "them" };
                write!(f, "{} both in {a} and in {b}: move one of {which} away", FileList(files))
            }
        }
    }
}

/// `postdata_3.bin is`, `postdata_1.bin, postdata_4.bin to postdata_9.bin are`.
pub(crate) struct FileList<'a>(pub(crate) &'a [u32]);

impl fmt::Display for FileList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, run) in self.0.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{}", Layout::file_name(run[0]))?;
            if let [_, .., last] = run {
                write!(f, " to {}", Layout::file_name(*last))?;
            }
        }
        f.write_str(if self.0.len() == 1 { " is" } else { " are" })
    }
}

/// Why a set can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// A drive refused.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The metadata's sizes make no sense.
    #[error("the sizes in {} make no sense ({source}); restore it from a copy", Metadata::FILE_NAME)]
    Plan {
        /// What is wrong with them.
        #[from]
        source: PlanError,
    },
    /// A directory without metadata.
    #[error(
        "{drive} has no {}; it is no data directory, or its init never started: check the path",
        Metadata::FILE_NAME
    )]
    NoMetadata {
        /// The directory.
        drive: String,
    },
    /// The labels are not what identity and network say.
    #[error(
        "the label at index {index} in {place} is not one of this set: the data was made for another --network, or is damaged; then `post check --all --repair` mends it"
    )]
    WrongLabel {
        /// Its index.
        index: u64,
        /// Its file and drive.
        place: String,
    },
    /// A change of size was interrupted.
    #[error(
        "the set is on its way from {from} to {to} units; finish that first, with `post {}`",
        if from < to { format!("grow --units {to}") } else { format!("prune --units {to}") }
    )]
    Resizing {
        /// Units before.
        from: u32,
        /// Units in the end.
        to: u32,
    },
    /// The labels could not be computed.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// Two directories of different sets.
    #[error("{first} and {second} belong to different sets: {difference}; give the directories of one set only")]
    Mixed {
        /// One directory.
        first: String,
        /// The other.
        second: String,
        /// What differs.
        difference: String,
    },
    /// Something is missing or out of place.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Problems(Vec<Problem>),
}

/// The metadata all drives agree on; drives without any are passed over. The one that knows most is returned.
///
/// # Errors
/// [`SetError::Drive`] or [`SetError::Mixed`].
pub fn common_metadata(drives: &[Box<dyn Drive>]) -> Result<Option<Metadata>, SetError> {
    match Resize::any(drives)? {
        // Until it is finished the drives contradict each other.
        Some(Resize { from, to }) => Err(SetError::Resizing { from, to }),
        None => common_metadata_while_resized(drives),
    }
}

/// The same, where a change of size is about to end.
pub(crate) fn common_metadata_while_resized(drives: &[Box<dyn Drive>]) -> Result<Option<Metadata>, SetError> {
    common(drives, &|metadata| metadata)
}

/// The metadata of the old size. In the middle of a change drives differ in the size, and in nothing else.
pub(crate) fn metadata_before(resize: &Resize, drives: &[Box<dyn Drive>]) -> Result<Metadata, SetError> {
    let before = |metadata: Metadata| match metadata.num_units {
        units if units == resize.from || units == resize.to => resized(&metadata, resize.from),
        _ => metadata,
    };
    common(drives, &before)?.ok_or_else(|| no_metadata(drives))
}

/// None of these drives says whose data it has.
pub(crate) fn no_metadata(drives: &[Box<dyn Drive>]) -> SetError {
    SetError::NoMetadata { drive: drives.iter().map(|drive| drive.name()).collect::<Vec<_>>().join(", ") }
}

/// What all drives say, seen `as_if`; that of the first which knows the nonce, if any does.
fn common(drives: &[Box<dyn Drive>], as_if: &dyn Fn(Metadata) -> Metadata) -> Result<Option<Metadata>, SetError> {
    let mut common: Option<(Metadata, String)> = None;
    for drive in drives {
        let Some(metadata) = drive.metadata()?.map(as_if) else { continue };
        match &common {
            None => common = Some((metadata, drive.name())),
            Some((first, name)) => {
                if let Some((key, a, b)) = first.difference(&metadata) {
                    let difference = format!("{key} is {a} in one and {b} in the other");
                    return Err(SetError::Mixed { first: name.clone(), second: drive.name(), difference });
                }
                if first.nonce.is_none() && metadata.nonce.is_some() {
                    common = Some((metadata, drive.name()));
                }
            }
        }
    }
    Ok(common.map(|(metadata, _)| metadata))
}

/// Which data files lie where, and what is wrong with them.
pub struct Survey {
    /// File number → (index of its drive, bytes).
    pub files: BTreeMap<u32, (usize, u64)>,
    /// Ascending by file, the missing ones last.
    pub problems: Vec<Problem>,
}

/// Looks at the names and sizes of all data files, and at what the journals say of them.
///
/// # Errors
/// [`DriveError`].
pub fn survey(drives: &[Box<dyn Drive>], commitment: &Commitment, layout: &Layout) -> Result<Survey, DriveError> {
    let mut files: BTreeMap<u32, (usize, u64)> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut twice: BTreeMap<(usize, usize), Vec<u32>> = BTreeMap::new();
    for (index, drive) in drives.iter().enumerate() {
        let journal = Journal::of(&**drive)?.filter(|journal| journal.is_of(commitment, layout));
        let held = drive.held()?;
        if !held.is_empty() && drive.metadata()?.is_none() {
            problems.push(Problem::NoMetadata { drive: drive.name() });
        }
        for (file, got) in held {
            let expected = layout.file_bytes(file);
            let counted = journal.as_ref().and_then(|journal| journal.files.get(&file)).map(FileProgress::right);
            if let Some((other, _)) = files.insert(file, (index, got)) {
                twice.entry((other, index)).or_default().push(file);
            }
            if file >= layout.num_files() {
                problems.push(Problem::LeftOver { file, drive: drive.name() });
            } else if got != expected {
                problems.push(Problem::WrongSize { file, drive: drive.name(), expected, got });
            } else if counted.is_some_and(|labels| labels < expected / LABEL_BYTES as u64) {
                problems.push(Problem::Unfinished { file, drive: drive.name() });
            }
        }
    }
    let both = |(a, b): (usize, usize)| [drives[a].name(), drives[b].name()];
    problems.extend(twice.into_iter().map(|(on, files)| Problem::Twice { files, drives: both(on) }));
    let mut missing: BTreeSet<u32> = (0..layout.num_files()).filter(|file| !files.contains_key(file)).collect();
    let map = SetMap::of(drives, commitment, layout)?;
    for member in map.absent() {
        let there: Vec<u32> = member.files().filter(|file| missing.remove(file)).collect();
        if !there.is_empty() {
            problems.push(Problem::Elsewhere { files: there, place: member.place.clone() });
        }
    }
    let missing: Vec<u32> = missing.into_iter().collect();
    if !missing.is_empty() {
        problems.push(Problem::Missing(missing));
    }
    Ok(Survey { files, problems })
}

/// A whole set, open for reading.
pub struct DataSet {
    metadata: Metadata,
    layout: Layout,
    drives: Vec<Box<dyn Drive>>,
    /// The drive of each file.
    place: BTreeMap<u32, usize>,
}

impl DataSet {
    /// Checks that the drives hold exactly one whole set, by names, sizes and metadata; no label is read.
    ///
    /// # Errors
    /// Every [`SetError`].
    pub fn open(drives: Vec<Box<dyn Drive>>) -> Result<Self, SetError> {
        let metadata = common_metadata(&drives)?.ok_or_else(|| no_metadata(&drives))?;
        let layout = metadata.layout()?;
        let survey = survey(&drives, &metadata.commitment(), &layout)?;
        if !survey.problems.is_empty() {
            return Err(SetError::Problems(survey.problems));
        }
        let place = survey.files.into_iter().map(|(file, (drive, _))| (file, drive)).collect();
        let set = Self { metadata, layout, drives, place };
        set.try_every_file()?;
        Ok(set)
    }

    /// Reads one byte of each file: a file that can't be read is better found now than after hours.
    fn try_every_file(&self) -> Result<(), DriveError> {
        (0..self.layout.num_files()).try_for_each(|file| self.drive_of(file).read_at(file, 0, &mut [0]))
    }

    fn drive_of(&self, file: u32) -> &dyn Drive {
        &*self.drives[self.place[&file]]
    }

    /// Recomputes a label of every file (of some, where there are many): whoever proves from another network's data, or
    /// from files that were mixed up, should hear of it before hours of work.
    ///
    /// # Errors
    /// [`SetError::WrongLabel`], [`SetError::Drive`], [`SetError::Backend`].
    pub fn spot_check(&self, scrypt: ScryptParams, backend: &mut dyn Backend) -> Result<(), SetError> {
        spot_check(&self.reader(), &self.metadata.commitment(), scrypt, backend)
    }

    /// What the set says about itself.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How its labels lie in files.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its files, for reading many labels.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { layout: self.layout, drives: &self.drives, place: &self.place }
    }

    /// The drives it lies on, in the order they were given.
    pub(crate) fn drives(&self) -> &[Box<dyn Drive>] {
        &self.drives
    }

    /// The place of a label, for messages: `postdata_3.bin in /mnt/a`.
    #[must_use]
    pub fn place_of(&self, index: u64) -> String {
        match self.layout.pieces(index..index.saturating_add(1)).next() {
            Some(piece) => {
                format!("{} in {}", Layout::file_name(piece.file), self.drive_of(piece.file).name())
            }
            None => "nowhere".into(),
        }
    }

    /// Fills `labels` with the labels from `first` on and returns how many there were before the end of the set.
    ///
    /// # Errors
    /// [`DriveError::Io`]: a failed read is never skipped.
    pub fn read(&self, first: u64, labels: &mut [Label]) -> Result<usize, DriveError> {
        let mut filled = 0;
        for piece in self.layout.pieces(first..first.saturating_add(labels.len() as u64)) {
            let count = (piece.labels.end - piece.labels.start) as usize;
            let part = labels[filled..filled + count].as_flattened_mut();
            debug_assert_eq!(part.len(), count * LABEL_BYTES);
            self.drive_of(piece.file).read_at(piece.file, piece.offset, part)?;
            filled += count;
        }
        Ok(filled)
    }
}

/// Recomputes the last label of every file that is there; of some, where there are many.
pub(crate) fn spot_check(
    reader: &Reader<'_>,
    commitment: &Commitment,
    scrypt: ScryptParams,
    backend: &mut dyn Backend,
) -> Result<(), SetError> {
    let step = reader.place.len().div_ceil(SPOT_CHECKED_FILES).max(1);
    let indices = reader.place.keys().step_by(step).map(|file| reader.layout.file_labels(*file).end - 1);
    let list: Vec<_> = indices.map(|index| (*commitment, index)).collect();
    let expected = label_list(backend, scrypt, &list)?;
    for ((_, index), expected) in list.into_iter().zip(expected) {
        let Some(piece) = reader.layout.pieces(index..index + 1).next() else { continue };
        let drive = &reader.drives[reader.place[&piece.file]];
        let mut label = [0; LABEL_BYTES];
        drive.read_at(piece.file, piece.offset, &mut label)?;
        if label != expected {
            let place = format!("{} in {}", Layout::file_name(piece.file), drive.name());
            return Err(SetError::WrongLabel { index, place });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_files_are_listed_in_runs() {
        let text = Problem::Missing(vec![1, 3, 4, 5]).to_string();
        assert!(text.starts_with("postdata_1.bin, postdata_3.bin to postdata_5.bin are missing"), "{text}");
        let text = Problem::Missing(vec![2]).to_string();
        assert!(text.starts_with("postdata_2.bin is missing"), "{text}");
    }
}
