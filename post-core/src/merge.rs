//! Makes one set of shards that were made apart: labels are copied, checked and searched for the VRF nonce as they go by.
//! The shards stay as they are.

use crate::backend::Backend;
use crate::copying::{Copying, Source};
use crate::drive::Drive;
use crate::init::{InitError, Outcome, Request, init, prepare, refuse_other_cost};
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

    /// Where each shard lies, and the files it has, ascending.
    #[must_use]
    pub fn parts(&self) -> Vec<(String, Vec<u32>)> {
        let files_of = |index: usize| {
            let here = self.survey.files.iter().filter(move |(_, (drive, _))| *drive == index);
            here.map(|(file, _)| *file).collect()
        };
        self.drives.iter().enumerate().map(|(index, drive)| (drive.name(), files_of(index))).collect()
    }

    /// The request that makes the whole set.
    #[must_use]
    pub fn request(&self, params: NetworkParams) -> Request {
        Request::of(&self.metadata, params)
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
