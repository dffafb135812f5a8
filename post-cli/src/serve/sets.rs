//! Which of the given directories belong together, and opening the sets that they hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use post_core::drive::{DirDrive, Drive as _};
use post_core::identity::{AtxId, NodeId};
use post_core::metadata::Metadata;
use post_core::set::{DataSet, common_metadata};

use super::queue::Place;
use crate::args::open_dirs;
use crate::report::chain;

/// Directories that say that they hold parts of one identity's set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetDirs {
    pub(crate) node_id: NodeId,
    pub(crate) commitment_atx_id: AtxId,
    /// In the order they were given.
    pub(crate) dirs: Vec<PathBuf>,
}

/// Directories that can't be served, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) dirs: Vec<PathBuf>,
    pub(crate) reason: String,
}

/// Groups directories by the identity in their metadata; those that have none are broken.
pub(crate) fn group(dirs: &[PathBuf]) -> (Vec<SetDirs>, Vec<Broken>) {
    let (mut sets, mut broken) = (Vec::<SetDirs>::new(), Vec::new());
    for dir in dirs {
        let metadata = match read_metadata(dir) {
            Ok(metadata) => metadata,
            Err(error) => {
                broken.push(Broken { dirs: vec![dir.clone()], reason: chain(&*error) });
                continue;
            }
        };
        let Metadata { node_id, commitment_atx_id, .. } = metadata;
        match sets.iter_mut().find(|set| (set.node_id, set.commitment_atx_id) == (node_id, commitment_atx_id)) {
            Some(set) => set.dirs.push(dir.clone()),
            None => sets.push(SetDirs { node_id, commitment_atx_id, dirs: vec![dir.clone()] }),
        }
    }
    (sets, broken)
}

fn read_metadata(dir: &Path) -> Result<Metadata> {
    DirDrive::existing(dir)?.metadata()?.with_context(|| {
        format!(
            "{} has no {}; it is no data directory, or its init never started: check the path",
            dir.display(),
            Metadata::FILE_NAME
        )
    })
}

/// A set that is open, and the drives that reading it occupies.
pub(crate) struct Opened {
    pub(crate) set: DataSet,
    pub(crate) disks: BTreeSet<Place>,
}

impl SetDirs {
    /// Opens the whole set.
    pub(crate) fn open(&self) -> Result<Opened> {
        let drives = open_dirs(&self.dirs)?;
        let disks = drives.iter().enumerate();
        let disks = disks.map(|(number, drive)| drive.disk().map_or(Place::Unknown(number), Place::Disk)).collect();
        let set = DataSet::open(drives)?;
        self.check(set.metadata())?;
        Ok(Opened { set, disks })
    }

    /// What the directories say now: sets grow, and a VRF nonce may be found later.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        let metadata = common_metadata(&open_dirs(&self.dirs)?)?.context("the metadata is gone; check the drives")?;
        self.check(&metadata)?;
        Ok(metadata)
    }

    /// The node knows this service by its identity.
    fn check(&self, metadata: &Metadata) -> Result<()> {
        if (metadata.node_id, metadata.commitment_atx_id) != (self.node_id, self.commitment_atx_id) {
            bail!("{} now hold another identity's set; start `post serve` anew", self.places());
        }
        Ok(())
    }

    /// The directories, for messages.
    pub(crate) fn places(&self) -> String {
        places(&self.dirs)
    }
}

/// Directories, for messages.
pub(crate) fn places(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}
