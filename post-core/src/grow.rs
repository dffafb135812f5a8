//! Adds units to a set. The new files are made in a stage on each drive, a data directory of its own within our folder; until
//! all of them are whole the old set stays as it is, and can be proven from. Then comes the switch, which only renames files
//! and replaces records.
//!
//! Labels don't depend on the size of a set, so old files stay. Only a last file that is not full becomes longer: it is made
//! anew in the stage, its old labels copied, and the old one is laid aside, not deleted.

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::Backend;
use crate::copying::{Copying, Source};
use crate::drive::{Drive, DriveError, Record, Role};
use crate::init::{InitError, Outcome, Request, init, prepare, refuse_other_cost, refuse_other_units, settle};
use crate::journal::Journal;
use crate::map::SetMap;
use crate::metadata::Metadata;
use crate::params::NetworkParams;
use crate::plan::Layout;
use crate::reader::Reader;
use crate::resize::{Resize, journal_after, resized};
use crate::set::{Problem, SetError, common_metadata, metadata_before, no_metadata, spot_check, survey};
use crate::watch::Watch;

/// Why a set can't grow.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// The making of labels failed.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A set becomes smaller by `prune` only.
    #[error("the set has {there} units, {wanted} is no growth; to give units up use `post prune --units {wanted}`")]
    NoGrowth {
        /// Units of the set.
        there: u32,
        /// Asked for.
        wanted: u32,
    },
    /// A file that becomes longer is a link.
    #[error("{file} in {drive} is a link, and this file is to become longer; put the file itself in its place first")]
    Link {
        /// The file.
        file: String,
        /// The drive.
        drive: String,
    },
    /// It is growing to another size.
    #[error(
        "the set is growing to {there} units already; finish that with --units {there}, or give it up with `post prune`, which names what it deletes"
    )]
    OtherGoal {
        /// The size it is growing to.
        there: u32,
    },
}

impl From<SetError> for GrowError {
    fn from(error: SetError) -> Self {
        Self::Init(error.into())
    }
}

impl From<DriveError> for GrowError {
    fn from(error: DriveError) -> Self {
        Self::Init(error.into())
    }
}

/// A set that is to grow, looked at but not changed.
pub struct Growth<'a> {
    drives: &'a [Box<dyn Drive>],
    /// The most bytes of the set that each drive may hold.
    asked: Vec<Option<u64>>,
    /// What of these is left for the stages.
    quotas: Vec<Option<u64>>,
    stages: Vec<Box<dyn Drive>>,
    /// Of the old size.
    metadata: Metadata,
    units: u32,
    old: Layout,
    new: Layout,
    params: NetworkParams,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// New files are made.
    Making,
    /// All of them are whole, and the switch was interrupted.
    Switching,
    /// The set has its new size already.
    Switched,
}

impl<'a> Growth<'a> {
    /// Looks whether the set on these drives can grow to `units`. `quotas` are the most bytes of it each drive may hold.
    ///
    /// # Errors
    /// Every [`GrowError`] but those of the work itself; nothing was written.
    pub fn new(
        drives: &'a [Box<dyn Drive>],
        quotas: &[Option<u64>],
        params: NetworkParams,
        units: u32,
    ) -> Result<Self, GrowError> {
        let (metadata, state) = match Resize::any(drives)? {
            // While it switches, drives contradict each other in this one thing.
            Some(resize) if resize.from < resize.to && resize.to == units => {
                (metadata_before(&resize, drives)?, State::Switching)
            }
            Some(Resize { from, to }) => return Err(SetError::Resizing { from, to }.into()),
            None => {
                let metadata = common_metadata(drives)?.ok_or_else(|| no_metadata(drives))?;
                let state = if metadata.num_units == units { State::Switched } else { State::Making };
                (metadata, state)
            }
        };
        refuse_other_units(&metadata, &params)?;
        if units < metadata.num_units {
            return Err(GrowError::NoGrowth { there: metadata.num_units, wanted: units });
        }
        let old = metadata.layout().map_err(SetError::from)?;
        let new = Request::of(&resized(&metadata, units), params.clone()).layout()?;
        let stages = drives.iter().map(|drive| drive.stage()).collect::<Result<Vec<_>, _>>()?;
        let (asked, quotas) = (quotas.to_vec(), Vec::new());
        let mut growth = Self { drives, asked, quotas, stages, metadata, units, old, new, params, state };
        growth.quotas = growth.quotas_of_stages()?;
        growth.look()?;
        Ok(growth)
    }

    /// Nothing may be missing, there must be room for what is new, and all of it must be of this network.
    fn look(&self) -> Result<(), GrowError> {
        for stage in &self.stages {
            if let Some(there) = stage.metadata()?.filter(|there| there.num_units != self.units) {
                return Err(GrowError::OtherGoal { there: there.num_units });
            }
        }
        let commitment = self.metadata.commitment();
        refuse_other_cost(self.drives, &commitment, self.params.scrypt.n)?;
        refuse_other_cost(&self.stages, &commitment, self.params.scrypt.n)?;
        match self.state {
            State::Making => {
                let survey = survey(self.drives, &commitment, &self.old)?;
                if !survey.problems.is_empty() {
                    return Err(SetError::Problems(survey.problems).into());
                }
                self.refuse_absent_stages()?;
                self.refuse_links()?;
                prepare(&self.request(), &self.stages, &self.quotas)?;
                Ok(())
            }
            State::Switching => self.refuse_gaps(),
            State::Switched => Ok(()),
        }
    }

    /// What is staged on a drive that is not there would be made again.
    fn refuse_absent_stages(&self) -> Result<(), GrowError> {
        let map = SetMap::of(&self.stages, &self.metadata.commitment(), &self.new)?;
        let mut absent = map.absent().map(|member| (member.files().collect::<Vec<u32>>(), member.place.clone()));
        match absent.find(|(files, _)| !files.is_empty()) {
            Some((files, place)) => Err(SetError::Problems(vec![Problem::Elsewhere { files, place }]).into()),
            None => Ok(()),
        }
    }

    /// A link can't be moved aside without breaking what it leads to, or what leads to it.
    fn refuse_links(&self) -> Result<(), GrowError> {
        let first = self.first_made();
        for drive in self.drives {
            if drive.is_link(first)? {
                return Err(GrowError::Link { file: Layout::file_name(first), drive: drive.name() });
            }
        }
        Ok(())
    }

    /// Every file of the new set must be in its place or staged.
    fn refuse_gaps(&self) -> Result<(), GrowError> {
        let mut missing: BTreeSet<u32> = (0..self.new.num_files()).collect();
        for drive in self.drives.iter().chain(&self.stages) {
            drive.held()?.keys().for_each(|file| _ = missing.remove(file));
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(SetError::Problems(vec![Problem::Missing(missing.into_iter().collect())]).into())
    }

    /// The first file that is made: the old last one if it becomes longer, else the one behind it.
    fn first_made(&self) -> u32 {
        let last = self.old.num_files() - 1;
        if self.old.file_bytes(last) < self.new.file_bytes(last) { last } else { last + 1 }
    }

    /// A drive's old files take of its quota; one that is laid aside does too, until it is pruned.
    fn quotas_of_stages(&self) -> Result<Vec<Option<u64>>, DriveError> {
        let left = |index: usize| {
            let Some(quota) = self.asked.get(index).copied().flatten() else { return Ok(None) };
            Ok(Some(quota.saturating_sub(self.drives[index].held()?.values().sum())))
        };
        (0..self.drives.len()).map(left).collect()
    }

    /// What is made in the stages.
    #[must_use]
    pub fn request(&self) -> Request {
        let made = self.first_made()..self.new.num_files();
        Request { files: Some(made), ..Request::of(&resized(&self.metadata, self.units), self.params.clone()) }
    }

    /// The places where new files are made, one on each drive.
    #[must_use]
    pub fn stages(&self) -> &[Box<dyn Drive>] {
        &self.stages
    }

    /// The most bytes that each stage may hold.
    #[must_use]
    pub fn quotas(&self) -> &[Option<u64>] {
        &self.quotas
    }

    /// Whether files are still to be made; else only the switch, or nothing, is left.
    #[must_use]
    pub fn is_making(&self) -> bool {
        self.state == State::Making
    }

    /// Units before.
    #[must_use]
    pub fn from_units(&self) -> u32 {
        self.metadata.num_units
    }

    /// Makes what is missing and switches. Interrupted at any moment, the same call continues.
    ///
    /// # Errors
    /// Every [`GrowError`]. The old set is as it was until the switch begins.
    pub fn run(self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<Outcome, GrowError> {
        // Nobody else may write to the set meanwhile; and what counts is what is seen from now on.
        self.drives.iter().try_for_each(|drive| drive.claim(Role::Writer))?;
        let growth = Self::new(self.drives, &self.asked, self.params.clone(), self.units)?;
        growth.run_claimed(backend, watch)
    }

    fn run_claimed(self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<Outcome, GrowError> {
        let mut made = 0;
        if self.state == State::Making {
            made = self.make(backend, watch)?.made;
        }
        if self.state != State::Switched {
            self.refuse_gaps()?;
            self.switch()?;
        }
        // What depends on the whole set: the VRF nonce.
        let request = Request::of(&resized(&self.metadata, self.units), self.params.clone());
        let outcome = settle(&request, self.drives, backend, watch)?;
        self.drives.iter().try_for_each(|drive| drive.unstage())?;
        self.drives.iter().try_for_each(|drive| drive.forget_record(Record::Resize))?;
        Ok(Outcome { made: made + outcome.made, ..outcome })
    }

    fn make(&self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<Outcome, GrowError> {
        let survey = survey(self.drives, &self.metadata.commitment(), &self.old)?;
        let place: BTreeMap<u32, usize> = survey.files.iter().map(|(file, (drive, _))| (*file, *drive)).collect();
        // Labels of another network must not be added to a set that nothing else tells apart.
        let reader = Reader { layout: self.old, drives: self.drives, place: &place };
        spot_check(&reader, &self.metadata.commitment(), self.params.scrypt, backend)?;
        let source = Source { commitment: self.metadata.commitment(), layout: self.old, drives: self.drives, place };
        Ok(init(&self.request(), &self.stages, &self.quotas, &mut Copying { source, inner: backend }, watch)?)
    }

    /// Each step may be done again, and none is lost: whoever comes after a crash finds the record and does all of them.
    fn switch(&self) -> Result<(), GrowError> {
        let resize = Resize { from: self.metadata.num_units, to: self.units };
        self.drives.iter().try_for_each(|drive| resize.store(&**drive))?;
        let first = self.first_made();
        let staged: Vec<BTreeMap<u32, u64>> = self.stages.iter().map(|stage| stage.held()).collect::<Result<_, _>>()?;
        if first < self.old.num_files() && staged.iter().any(|files| files.contains_key(&first)) {
            self.drives.iter().try_for_each(|drive| drive.lay_aside(first))?;
        }
        for (drive, files) in self.drives.iter().zip(&staged) {
            files.keys().try_for_each(|file| drive.accept(*file))?;
        }
        for (drive, stage) in self.drives.iter().zip(&self.stages) {
            let staged = Journal::of(&**stage)?;
            let layouts = [&self.old, &self.new];
            let journal = journal_after(&**drive, &self.metadata, layouts, &|file| file < first, staged)?;
            if let Some(journal) = journal {
                journal.store(&**drive)?;
            }
        }
        let metadata = resized(&self.metadata, self.units);
        for drive in self.drives {
            let there = drive.metadata()?;
            if there.is_some() || !drive.held()?.is_empty() {
                let other = there.map(|there| there.other).unwrap_or_default();
                drive.replace_metadata(&Metadata { other, ..metadata.clone() })?;
            }
        }
        self.write_maps()
    }

    /// From now on a drive that is not there is missed.
    fn write_maps(&self) -> Result<(), GrowError> {
        let commitment = self.metadata.commitment();
        let mut map = SetMap::of(self.drives, &commitment, &self.new)?;
        let held = self.drives.iter().map(|drive| Ok(drive.held()?.into_keys().collect()));
        let held = held.collect::<Result<Vec<BTreeSet<u32>>, DriveError>>()?;
        map.update(self.drives, &held).map_err(|error| InitError::NoRandomness { reason: error.to_string() })?;
        for (index, drive) in self.drives.iter().enumerate() {
            map.join(index, &**drive, &commitment, &self.new)?;
        }
        for (index, drive) in self.drives.iter().enumerate() {
            map.store(index, &**drive, &commitment, &self.new)?;
        }
        Ok(())
    }
}
