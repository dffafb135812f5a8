//! Why a set could not be made or continued, and the cure.

use super::Waiting;
use crate::backend;
use crate::drive::DriveError;
use crate::params::ParamsError;
use crate::plan::PlanError;
use crate::set::{FileList, SetError};
use crate::vrf::VrfError;

/// Why a set could not be made or continued.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The network's parameters are not usable.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The number of units is not allowed.
    #[error("{units} units are not allowed on this network; use {min} to {max}")]
    Units {
        /// Asked for.
        units: u32,
        /// Fewest.
        min: u32,
        /// Most.
        max: u32,
    },
    /// No proof could ever be made.
    #[error(
        "{num_labels} labels are too few for a proof: more than k1 = {k1}, and k2 = {k2}, are needed; use more units"
    )]
    TooFewLabels {
        /// Labels of the whole set.
        num_labels: u64,
        /// Expected hits.
        k1: u32,
        /// Hits in a proof.
        k2: u32,
    },
    /// There is no way to lay the set out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What is on the drives can't be used.
    #[error(transparent)]
    Set(#[from] SetError),
    /// Another set is on the drives.
    #[error(
        "the drives hold another set: its {key} is {there}, asked for was {wanted}; use the set's value to continue it, or other directories"
    )]
    OtherSet {
        /// What differs, as metadata calls it.
        key: &'static str,
        /// Asked for.
        wanted: String,
        /// On the drives.
        there: String,
    },
    /// The labels on the drives cost something else.
    #[error(
        "{drive} was filled with labels of scrypt n = {there}, this network has n = {wanted}; give its --network, or other directories"
    )]
    OtherCost {
        /// The drive.
        drive: String,
        /// N of this run.
        wanted: u32,
        /// N of the data.
        there: u32,
    },
    /// Data that was there before holds a label that is not this set's.
    #[error(
        "the label at index {index} in {file} in {drive} is not one of this set; check identity and network, or move that file away to have it made again"
    )]
    WrongLabel {
        /// Its index.
        index: u64,
        /// The file's name.
        file: String,
        /// The drive.
        drive: String,
    },
    /// Data that no journal vouches for is not what the checksums beside it say.
    #[error(
        "a label from {from} to {to} in {file} in {drive} has changed on disk since it was written; mend it with `post check --quick --repair`"
    )]
    Changed {
        /// The first label of the block.
        from: u64,
        /// The last.
        to: u64,
        /// The file's name.
        file: String,
        /// The drive.
        drive: String,
    },
    /// Files of a set that was whole are gone: most likely a drive is not mounted.
    #[error(
        "{} missing though this set was complete: mount the drive that holds what is missing, or name it with --files to have it made again",
        FileList(files)
    )]
    Gone {
        /// Which, ascending.
        files: Vec<u32>,
    },
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// A device lied, and a drive could not be told which of its labels may be wrong.
    #[error(
        "{lie}; moreover, drives could not note which of their labels may be wrong ({places}); repair or replace these drives and move the named files away to have them made again"
    )]
    NotNoted {
        /// Who lied: [`backend::Error::Wrong`].
        lie: Box<InitError>,
        /// Files, their labels, drives, and what went wrong there.
        places: String,
    },
    /// A new drive of the set gets a random id.
    #[error("the system gave no random numbers ({reason}); run the same command again")]
    NoRandomness {
        /// The system's reason.
        reason: String,
    },
    /// Drives failed or are not there; everything else is done and durable.
    #[error(
        "{done} of {total} labels are safe on disk, the rest can't be made now: {}; nothing is lost, the same command continues once that is mended",
        list(waiting)
    )]
    Waiting {
        /// What waits for what.
        waiting: Vec<Waiting>,
        /// Labels on disk.
        done: u64,
        /// Labels wanted.
        total: u64,
    },
    /// Someone asked to stop; all that is written is durable.
    #[error("stopped at {done} of {total} labels, all of them safe on disk; the same command continues")]
    Stopped {
        /// Labels on disk.
        done: u64,
        /// Labels wanted.
        total: u64,
    },
}

fn list(waiting: &[Waiting]) -> String {
    waiting.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl InitError {
    /// A search that met a wrong label, of a file that was there before or of what a device just made.
    pub(super) fn of_search(error: VrfError, wrong: impl FnOnce(u64) -> Self) -> Self {
        match error {
            VrfError::Params(error) => Self::Params(error),
            VrfError::Wrong { index } => wrong(index),
        }
    }
}

impl From<DriveError> for InitError {
    fn from(error: DriveError) -> Self {
        Self::Set(error.into())
    }
}
