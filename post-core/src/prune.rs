//! Deletes: units that a set is to give up, files that are not part of it, and what growing laid aside. Nothing else in this
//! crate deletes or shortens a data file, and this only what was named before.

use std::fmt;

use crate::backend::Backend;
use crate::drive::{Drive, DriveError, Record, Remove, Role};
use crate::identity::Commitment;
use crate::init::{InitError, Outcome, Request, refuse_other_cost, refuse_other_units, settle};
use crate::journal::Journal;
use crate::metadata::Metadata;
use crate::params::NetworkParams;
use crate::plan::Layout;
use crate::reader::Reader;
use crate::resize::{Resize, journal_after, resized};
use crate::set::{Problem, SetError, common_metadata, metadata_before, no_metadata, spot_check, survey};
use crate::watch::Watch;

/// What goes. Drives are named by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A data file of units that are given up, or of none.
    File {
        /// Its drive.
        drive: usize,
        /// Its number.
        file: u32,
        /// Its size.
        bytes: u64,
    },
    /// The end of a data file.
    End {
        /// Its drive.
        drive: usize,
        /// Its number.
        file: u32,
        /// Its size.
        bytes: u64,
        /// What stays of it.
        left: u64,
    },
    /// A file that growing laid aside or did not finish.
    Spare {
        /// Its drive.
        drive: usize,
        /// Its name within the drive.
        name: String,
        /// Its size.
        bytes: u64,
    },
}

impl Item {
    /// Where it lies.
    #[must_use]
    pub fn drive(&self) -> usize {
        match self {
            Self::File { drive, .. } | Self::End { drive, .. } | Self::Spare { drive, .. } => *drive,
        }
    }

    /// Bytes that become free.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } | Self::Spare { bytes, .. } => *bytes,
            Self::End { bytes, left, .. } => bytes - left,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, bytes, .. } => write!(f, "{}, {bytes} bytes", Layout::file_name(*file)),
            Self::End { file, bytes, left, .. } => {
                write!(f, "the last {} of {bytes} bytes of {}", bytes - left, Layout::file_name(*file))
            }
            Self::Spare { name, bytes, .. } => write!(f, "{name}, {bytes} bytes"),
        }
    }
}

/// Why nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The set can't be used, or what is left of it could not be settled.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A journal and the metadata contradict each other.
    #[error(
        "{drive} was filled for a set of {num_labels} labels, which is not what its {} says; restore that from a copy first",
        Metadata::FILE_NAME
    )]
    Contradiction {
        /// The drive.
        drive: String,
        /// What the journal says.
        num_labels: u64,
    },
    /// A data file that is a link.
    #[error("{file} in {drive} is a link; prune where the files themselves lie")]
    Link {
        /// The file.
        file: String,
        /// The drive.
        drive: String,
    },
    /// What was named and what there is now are not the same.
    #[error("the set has changed since its files were looked at; nothing was deleted, run the same command again")]
    Changed,
    /// More units are `grow`'s.
    #[error("the set has {there} units, it can't be pruned to {wanted}; to add units use `post grow --units {wanted}`")]
    NoPruning {
        /// Units of the set.
        there: u32,
        /// Asked for.
        wanted: u32,
    },
}

impl From<SetError> for PruneError {
    fn from(error: SetError) -> Self {
        Self::Init(error.into())
    }
}

impl From<DriveError> for PruneError {
    fn from(error: DriveError) -> Self {
        Self::Init(error.into())
    }
}

/// How people name a set: the beginning of its commitment, 16 hex digits.
#[must_use]
pub fn set_id(commitment: &Commitment) -> String {
    hex::encode(&commitment.0[..8])
}

/// What is to be deleted, found but not done.
pub struct Pruning<'a> {
    drives: &'a [Box<dyn Drive>],
    removers: &'a [Box<dyn Remove>],
    /// Of the old size.
    metadata: Metadata,
    units: u32,
    items: Vec<Item>,
}

impl<'a> Pruning<'a> {
    /// Finds what goes when the set is to have `units` units, as many as now if `None`. `removers` are the same places as
    /// `drives`, in the same order.
    ///
    /// # Errors
    /// Every [`PruneError`] but those of the work; nothing was written.
    pub fn new(
        drives: &'a [Box<dyn Drive>],
        removers: &'a [Box<dyn Remove>],
        units: Option<u32>,
    ) -> Result<Self, PruneError> {
        let metadata = match Resize::any(drives)? {
            // An earlier pruning to the same size was interrupted.
            Some(resize) if resize.to < resize.from && units == Some(resize.to) => metadata_before(&resize, drives)?,
            Some(Resize { from, to }) => return Err(SetError::Resizing { from, to }.into()),
            None => common_metadata(drives)?.ok_or_else(|| no_metadata(drives))?,
        };
        let units = units.unwrap_or(metadata.num_units);
        if units > metadata.num_units || units == 0 {
            return Err(PruneError::NoPruning { there: metadata.num_units, wanted: units });
        }
        let mut pruning = Self { drives, removers, metadata, units, items: Vec::new() };
        pruning.items = pruning.find()?;
        Ok(pruning)
    }

    fn find(&self) -> Result<Vec<Item>, PruneError> {
        let (old, new) = (self.layout(self.metadata.num_units)?, self.layout(self.units)?);
        let survey = survey(self.drives, &self.metadata.commitment(), &old)?;
        let problems: Vec<Problem> =
            survey.problems.into_iter().filter(|problem| self.stands_in_the_way(problem, &new)).collect();
        if !problems.is_empty() {
            return Err(SetError::Problems(problems).into());
        }
        let mut items = Vec::new();
        for (drive, on) in self.drives.iter().enumerate() {
            self.refuse_contradiction(&**on, [&old, &new])?;
            for (file, bytes) in on.held()? {
                let left = new.file_bytes(file);
                if file >= new.num_files() {
                    items.push(Item::File { drive, file, bytes });
                } else if bytes > left {
                    items.push(Item::End { drive, file, bytes, left });
                } else {
                    continue;
                }
                if on.is_link(file)? {
                    return Err(PruneError::Link { file: Layout::file_name(file), drive: on.name() });
                }
            }
            for (name, bytes) in self.removers[drive].spare()? {
                items.push(Item::Spare { drive, name, bytes });
            }
        }
        Ok(items)
    }

    /// A set that gives units up has to be whole as far as it stays: else what is left could never be settled. Whose files
    /// they are has to be certain in any case.
    fn stands_in_the_way(&self, problem: &Problem, new: &Layout) -> bool {
        let shrinks = self.units < self.metadata.num_units;
        match problem {
            Problem::Twice { .. } | Problem::NoMetadata { .. } => true,
            Problem::LeftOver { .. } => false,
            Problem::Missing(files) | Problem::Elsewhere { files, .. } => {
                shrinks && files.iter().any(|file| *file < new.num_files())
            }
            Problem::Unfinished { file, .. } => shrinks && *file < new.num_files(),
            Problem::WrongSize { file, got, .. } => shrinks && *got < new.file_bytes(*file),
        }
    }

    /// What a drive was filled for says more than metadata, which may be an old copy.
    fn refuse_contradiction(&self, drive: &dyn Drive, sizes: [&Layout; 2]) -> Result<(), PruneError> {
        let journal = Journal::of(drive)?.filter(|journal| journal.commitment == self.metadata.commitment().0);
        let num_labels = journal.filter(|journal| !journal.files.is_empty()).map(|journal| journal.num_labels);
        match num_labels.filter(|labels| sizes.iter().all(|layout| layout.num_labels() != *labels)) {
            Some(num_labels) => Err(PruneError::Contradiction { drive: drive.name(), num_labels }),
            None => Ok(()),
        }
    }

    fn layout(&self, units: u32) -> Result<Layout, SetError> {
        Ok(resized(&self.metadata, units).layout()?)
    }

    /// What goes, by drive and file.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Units before and after.
    #[must_use]
    pub fn units(&self) -> (u32, u32) {
        (self.metadata.num_units, self.units)
    }

    /// The set's id, which whoever wants this has to name.
    #[must_use]
    pub fn set_id(&self) -> String {
        set_id(&self.metadata.commitment())
    }

    /// Deletes, then settles what depends on the whole set. Interrupted at any moment, the same call continues.
    ///
    /// # Errors
    /// Every [`PruneError`].
    pub fn run(
        self,
        params: NetworkParams,
        backend: &mut dyn Backend,
        watch: &dyn Watch,
    ) -> Result<Outcome, PruneError> {
        let request = Request::of(&resized(&self.metadata, self.units), params);
        let (layout, commitment) = (request.layout()?, self.metadata.commitment());
        refuse_other_units(&self.metadata, &request.params)?;
        refuse_other_cost(self.drives, &commitment, request.params.scrypt.n)?;
        self.drives.iter().try_for_each(|drive| drive.claim(Role::Writer))?;
        // What counts is what is seen now that nobody else writes.
        let now = Self::new(self.drives, self.removers, Some(self.units))?;
        if now.items != self.items || now.metadata.num_units != self.metadata.num_units {
            return Err(PruneError::Changed);
        }
        let stays = survey(self.drives, &commitment, &layout)?;
        let place = stays.files.iter().filter(|(file, _)| **file < layout.num_files());
        let place = place.filter(|(file, (_, bytes))| *bytes >= layout.file_bytes(**file));
        let place = place.map(|(file, (drive, _))| (*file, *drive)).collect();
        let reader = Reader { layout, drives: self.drives, place: &place };
        spot_check(&reader, &commitment, request.params.scrypt, backend)?;
        if self.units < self.metadata.num_units {
            self.shrink_records()?;
        }
        for item in &self.items {
            match item {
                Item::File { drive, file, .. } => self.removers[*drive].remove(*file)?,
                Item::End { drive, file, left, .. } => {
                    // The sums of what is left are made anew.
                    self.drives[*drive].forget_record(Record::Sums(*file))?;
                    self.removers[*drive].shorten(*file, *left)?;
                }
                Item::Spare { drive, name, .. } => self.removers[*drive].remove_spare(name)?,
            }
        }
        self.drives.iter().try_for_each(|drive| drive.unstage())?;
        let outcome = if survey(self.drives, &commitment, &layout)?.problems.is_empty() {
            settle(&request, self.drives, backend, watch)?
        } else {
            // A part of a set, or one with gaps: nothing that depends on the whole is known.
            let set_bytes = layout.bytes();
            Outcome { made: 0, labels: layout.num_labels(), set_bytes, complete: false, nonce: self.metadata.nonce }
        };
        self.drives.iter().try_for_each(|drive| drive.forget_record(Record::Resize))?;
        Ok(outcome)
    }

    /// Before the first file goes, every drive knows that and to which size. Whoever comes after a crash does it all again.
    fn shrink_records(&self) -> Result<(), PruneError> {
        let resize = Resize { from: self.metadata.num_units, to: self.units };
        self.drives.iter().try_for_each(|drive| resize.store(&**drive))?;
        let (old, new) = (self.layout(self.metadata.num_units)?, self.layout(self.units)?);
        // A file that is cut may lose its smallest label: nobody vouches for it until it is read again.
        let stays = |file: u32| file < new.num_files() && old.file_bytes(file) == new.file_bytes(file);
        let journals: Vec<Option<Journal>> = self
            .drives
            .iter()
            .map(|drive| journal_after(&**drive, &self.metadata, [&old, &new], &stays, None))
            .collect::<Result<_, _>>()?;
        // A smaller set has a higher threshold: where no label was below the old one, all are to be looked at again.
        let known = journals.iter().flatten().flat_map(|journal| journal.files.values());
        let any_below = known.clone().any(|progress| progress.vrf.is_some());
        for (drive, journal) in self.drives.iter().zip(journals) {
            if let Some(mut journal) = journal {
                if !any_below {
                    journal.files.clear();
                }
                journal.store(&**drive)?;
            }
        }
        let within = self.metadata.nonce.filter(|nonce| *nonce < new.num_labels());
        let metadata = resized(&self.metadata, self.units);
        let nonce_value = metadata.nonce_value.clone().filter(|_| within.is_some());
        let metadata = Metadata { nonce: within, nonce_value, ..metadata };
        for drive in self.drives {
            if let Some(there) = drive.metadata()? {
                drive.replace_metadata(&Metadata { other: there.other, ..metadata.clone() })?;
            }
        }
        Ok(())
    }
}
