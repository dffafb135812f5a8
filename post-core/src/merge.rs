//! Makes one set of shards that were made apart: labels are copied, checked and searched for the VRF nonce as they go by.
//! The shards stay as they are.

use std::ops::Range;

use crate::backend::Backend;
use crate::copying::{Copying, Source};
use crate::drive::Drive;
use crate::identity::Commitment;
use crate::init::{InitError, Outcome, Request, init, prepare};
use crate::journal::Journal;
use crate::metadata::Metadata;
use crate::params::NetworkParams;
use crate::plan::Layout;
use crate::set::{SetError, Survey, common_metadata, no_metadata, survey};
use crate::watch::Watch;

/// Shards that together are one whole set, each file in one of them.
pub struct Shards {
    drives: Vec<Box<dyn Drive>>,
    metadata: Metadata,
    layout: Layout,
    survey: Survey,
}

impl Shards {
    /// Looks whether they belong together: one identity, no gap, no file twice, all of them whole. No label is read.
    ///
    /// # Errors
    /// [`SetError`]; gaps and overlaps are named file by file.
    pub fn open(drives: Vec<Box<dyn Drive>>) -> Result<Self, SetError> {
        for drive in &drives {
            if drive.metadata()?.is_none() {
                return Err(SetError::NoMetadata { drive: drive.name() });
            }
        }
        let metadata = common_metadata(&drives)?.ok_or_else(|| no_metadata(&drives))?;
        let layout = metadata.layout()?;
        let survey = survey(&drives, &metadata.commitment(), &layout)?;
        if !survey.problems.is_empty() {
            return Err(SetError::Problems(survey.problems));
        }
        Ok(Self { drives, metadata, layout, survey })
    }

    /// What the set says about itself.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How the set lies in files.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where each shard lies and which files it has, in runs: first … last.
    #[must_use]
    pub fn parts(&self) -> Vec<(String, Vec<Range<u32>>)> {
        let files_of = |index: usize| {
            let files = self.survey.files.iter().filter(|(_, (drive, _))| *drive == index).map(|(file, _)| *file);
            let mut runs: Vec<Range<u32>> = Vec::new();
            for file in files {
                match runs.last_mut() {
                    Some(run) if run.end == file => run.end += 1,
                    _ => runs.push(file..file + 1),
                }
            }
            runs
        };
        self.drives.iter().enumerate().map(|(index, drive)| (drive.name(), files_of(index))).collect()
    }

    /// The request that makes the whole set.
    #[must_use]
    pub fn request(&self, params: NetworkParams) -> Request {
        request(&self.metadata, params)
    }

    /// Copies all files that `into` does not hold yet. Whatever was copied stays when it is interrupted; the same call
    /// continues. Nothing of the shards is changed.
    ///
    /// # Errors
    /// [`InitError`], as of the making of a set; [`crate::backend::Error::Source`] when a shard's labels are wrong.
    pub fn merge(
        &self,
        request: &Request,
        into: &[Box<dyn Drive>],
        quotas: &[Option<u64>],
        backend: &mut dyn Backend,
        watch: &dyn Watch,
    ) -> Result<Outcome, InitError> {
        // Refused before anything is written.
        prepare(request, into, quotas)?;
        refuse_other_cost(&self.drives, &self.metadata.commitment(), request.params.scrypt.n)?;
        let place = self.survey.files.iter().map(|(file, (drive, _))| (*file, *drive)).collect();
        let commitment = self.metadata.commitment();
        let source = Source { commitment, layout: self.layout, drives: &self.drives, place };
        init(request, into, quotas, &mut Copying { source, inner: backend }, watch)
    }
}

/// The request that makes the set that `metadata` describes.
pub(crate) fn request(metadata: &Metadata, params: NetworkParams) -> Request {
    Request {
        params,
        node_id: metadata.node_id,
        commitment_atx_id: metadata.commitment_atx_id,
        units: metadata.num_units,
        max_file_size: metadata.max_file_size,
        files: None,
        broken: Vec::new(),
        checkpoint_every: crate::init::CHECKPOINT_EVERY,
    }
}

/// Labels of another cost are wrong labels; only journals tell it.
pub(crate) fn refuse_other_cost(
    drives: &[Box<dyn Drive>],
    commitment: &Commitment,
    wanted: u32,
) -> Result<(), InitError> {
    for drive in drives {
        let journal = Journal::of(&**drive)?.filter(|journal| journal.commitment == commitment.0);
        let there = journal.filter(|journal| !journal.files.is_empty()).map(|journal| journal.scrypt_n);
        if let Some(there) = there.filter(|there| *there != wanted) {
            return Err(InitError::OtherCost { drive: drive.name(), wanted, there });
        }
    }
    Ok(())
}

/// Units of another size make another set.
pub(crate) fn refuse_other_units(metadata: &Metadata, params: &NetworkParams) -> Result<(), InitError> {
    let (there, wanted) = (metadata.labels_per_unit, params.labels_per_unit);
    if there == wanted {
        return Ok(());
    }
    Err(InitError::OtherSet { key: "LabelsPerUnit", wanted: wanted.to_string(), there: there.to_string() })
}
