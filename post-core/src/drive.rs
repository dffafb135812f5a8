//! One place that holds data files: a directory on a disk, or memory, or a disk that fails on purpose.

mod dir;
#[cfg(any(test, feature = "suite"))]
mod faulty;
#[cfg(any(test, feature = "suite"))]
mod memory;

use std::collections::BTreeMap;

pub use dir::DirDrive;
#[cfg(any(test, feature = "suite"))]
pub use faulty::{Fault, FaultyDrive, Machine};
#[cfg(any(test, feature = "suite"))]
pub use memory::MemoryDrive;

use serde::{Deserialize, Serialize};

use crate::metadata::Metadata;

/// What a drive could not do, and where.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The system refused.
    #[error("cannot {action} {place}: {source}{}", cure(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        place: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of ours does not hold what it should.
    #[error("{place} is malformed: {reason}; restore it from a copy, or move it away if it is not yours")]
    Malformed {
        /// The file.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else is writing there.
    #[error("{place} is in use by another process; wait for it or stop it")]
    Busy {
        /// The directory.
        place: String,
    },
}

/// What a person can do about common refusals.
fn cure(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::NotFound => "; check the path, and that the drive is mounted",
        ErrorKind::PermissionDenied => "; run as the user who owns it, or change its permissions",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free space there, then run the same command again: nothing is lost"
        }
        ErrorKind::ReadOnlyFilesystem => "; remount it writable (a failing disk turns read-only by itself)",
        ErrorKind::NotADirectory => "; a directory is needed",
        ErrorKind::UnexpectedEof => "; the file is shorter than it was, another program may have changed it",
        // EIO: the one answer that speaks of the disk itself.
        _ if source.raw_os_error() == Some(5) => "; the disk reports a fault, check it and its cable",
        _ => "; check the path",
    }
}

/// Tells whether somebody wrote to a data file: whoever does changes one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Its size.
    pub bytes: u64,
    /// When it was written last: nanoseconds since 1970.
    pub modified: i64,
    /// Its number on its filesystem, 0 where files have none: a file put in its place has another.
    pub inode: u64,
}

/// What we keep on a drive beside the data, for ourselves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// How far initialization has come.
    Journal,
    /// Which drive of the set holds which file.
    Map,
    /// Checksums of a data file.
    Sums(u32),
    /// How far a check has come, and what it found.
    Check,
    /// How far a proof has come.
    Proof,
    /// From which size to which the set is on its way.
    Resize,
}

/// What a process does on a drive; of each kind one process at a time may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Writes labels, metadata and all records but [`Record::Proof`].
    Writer,
    /// Writes [`Record::Proof`].
    Prover,
}

/// A place for the data files, the metadata and the records of one set. Offsets are in bytes.
///
/// Nothing here can shorten, replace or delete a data file: that is [`Remove`]'s, which only `prune` asks for.
pub trait Drive: Send + Sync {
    /// For messages: which drive this is.
    fn name(&self) -> String;

    /// Where it is, told so that it can be found again: the whole path of a directory.
    fn place(&self) -> String {
        self.name()
    }

    /// Whether it could be written to, as far as can be told without writing.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn check_writable(&self) -> Result<(), DriveError>;

    /// Makes it ready for writing, and keeps others of this role out until this value is dropped. Again is no error.
    ///
    /// # Errors
    /// [`DriveError::Busy`] or [`DriveError::Io`].
    fn claim(&self, role: Role) -> Result<(), DriveError>;

    /// The data files it holds: number → bytes.
    ///
    /// # Errors
    /// [`DriveError`], as with every function here.
    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError>;

    /// Fills `buffer` from a file; an early end is an error.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError>;

    /// Sets space aside for a file that is there and is to have `bytes` bytes, so that a full disk is noticed before most of
    /// the work. The file does not become longer. Where the system can't, nothing happens.
    ///
    /// # Errors
    /// [`DriveError::Io`] when there is not enough space.
    fn preallocate(&self, file: u32, bytes: u64) -> Result<(), DriveError>;

    /// Writes all of `data` into a file. One that is missing is made by a write at its beginning; elsewhere that is an error.
    ///
    /// # Errors
    /// [`DriveError::Io`]; part of the data may have been written.
    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError>;

    /// The stamp of a file; `None` where there is no such thing.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn stamp(&self, file: u32) -> Result<Option<Stamp>, DriveError> {
        let _ = file;
        Ok(None)
    }

    /// Returns once what was written to a file would survive a power cut.
    ///
    /// # Errors
    /// [`DriveError::Io`]; the data must then be taken for lost.
    fn sync(&self, file: u32) -> Result<(), DriveError>;

    /// The metadata, `None` when there is none.
    ///
    /// # Errors
    /// [`DriveError::Io`] or [`DriveError::Malformed`].
    fn metadata(&self) -> Result<Option<Metadata>, DriveError>;

    /// Replaces the metadata: at any moment either the old or the new is there, and the new is durable on return.
    ///
    /// # Errors
    /// [`DriveError::Io`]; the old is then still there.
    fn replace_metadata(&self, metadata: &Metadata) -> Result<(), DriveError>;

    /// A record's bytes, `None` when there is none.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn record(&self, record: Record) -> Result<Option<Vec<u8>>, DriveError>;

    /// Replaces a record, as [`Drive::replace_metadata`] does.
    ///
    /// # Errors
    /// [`DriveError::Io`]; the old is then still there.
    fn replace_record(&self, record: Record, bytes: &[u8]) -> Result<(), DriveError>;

    /// Forgets a record; one that isn't there is no error.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn forget_record(&self, record: Record) -> Result<(), DriveError>;

    /// Free bytes, and a number that is the same for drives on one filesystem.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn free_space(&self) -> Result<(u64, u64), DriveError>;

    /// A number that is the same for drives on one physical disk, where the system tells; else on one filesystem. Reading
    /// two such drives at once makes neither faster.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn disk(&self) -> Result<u64, DriveError>;

    /// Whether a data file is a link to one that lies elsewhere; false for one that isn't there.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn is_link(&self, file: u32) -> Result<bool, DriveError> {
        let _ = file;
        Ok(false)
    }

    /// A place on the same drive for the files of a larger set, beside the one that is there. Nothing is made before it is
    /// claimed.
    ///
    /// # Errors
    /// [`DriveError::Io`] where there is no such place.
    fn stage(&self) -> Result<Box<dyn Drive>, DriveError> {
        Err(self.unsupported("stage files on"))
    }

    /// Moves a data file out of the set, into a folder of ours; one that isn't there is no error. Nothing is replaced.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn lay_aside(&self, file: u32) -> Result<(), DriveError> {
        let _ = file;
        Err(self.unsupported("lay files aside on"))
    }

    /// Moves a data file and its checksums from the stage into the set; one that isn't staged is no error. Nothing is
    /// replaced.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn accept(&self, file: u32) -> Result<(), DriveError> {
        let _ = file;
        Err(self.unsupported("accept staged files on"))
    }

    /// Takes the stage down, if no data file is in it any more.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn unstage(&self) -> Result<(), DriveError> {
        Err(self.unsupported("take down the stage of"))
    }

    /// Not every kind of drive can do everything.
    #[doc(hidden)]
    fn unsupported(&self, action: &'static str) -> DriveError {
        DriveError::Io { action, place: self.name(), source: std::io::ErrorKind::Unsupported.into() }
    }
}

/// What can't be taken back. Only `prune` asks for it, after somebody has named the set.
pub trait Remove: Drive {
    /// The data files laid aside, and the staged ones: name → bytes.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn spare(&self) -> Result<BTreeMap<String, u64>, DriveError>;

    /// Deletes a data file; one that isn't there is no error.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn remove(&self, file: u32) -> Result<(), DriveError>;

    /// Cuts a data file to `bytes` bytes; a shorter one stays as it is.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn shorten(&self, file: u32, bytes: u64) -> Result<(), DriveError>;

    /// Deletes what [`Remove::spare`] names.
    ///
    /// # Errors
    /// [`DriveError::Io`].
    fn remove_spare(&self, name: &str) -> Result<(), DriveError>;
}
