//! Drives that can't be used now: their files wait, the others are made.
//!
//! Three ways lead here. A drive that a map knows may be broken, read-only or not mounted when a run starts: it is set
//! aside. A drive may not be named at all. And a drive may fail in the middle: it gets nothing more. In the end the run says
//! what waits for what, as an error, so that nobody takes the set for whole.

use std::fmt;
use std::ops::Range;

use super::{InitError, Run};
use crate::drive::{Drive, DriveError};
use crate::map;
use crate::set::FileList;
use crate::watch::{Event, Watch};

/// A drive that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its name.
    pub drive: String,
    /// Where it is, as maps have it.
    pub place: String,
    /// What is wrong with it, and the cure.
    pub reason: String,
}

/// Files that can't be made until a drive is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Their numbers, ascending; none when the drive holds all of its files but failed afterwards.
    pub files: Vec<u32>,
    /// The drive, or where it was last.
    pub drive: String,
    /// What is wrong with it, and the cure.
    pub reason: String,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, drive, reason } = self;
        match files.len() {
            0 => write!(f, "{drive} failed ({reason})"),
            _ => write!(f, "{} waiting for {drive} ({reason})", FileList(files)),
        }
    }
}

const NOT_MOUNTED: &str = "it is empty, most likely its disk is not mounted; mount it, or, if a new disk is in its place, name the files with --files to have them made again";

/// Takes out of `drives`, and out of what belongs to each, those that can't be used now though another drive's map knows
/// them: broken, read-only, or empty because nothing is mounted there. Whoever names `files` knows that a drive is empty.
///
/// # Errors
/// [`DriveError`] of a drive that no map knows: most likely a mistake in the call.
pub fn set_aside<T>(
    drives: &mut Vec<Box<dyn Drive>>,
    beside: &mut Vec<T>,
    files: Option<&Range<u32>>,
) -> Result<Vec<Broken>, DriveError> {
    let places: Vec<Vec<String>> = drives.iter().map(|drive| map::places(&**drive).unwrap_or_default()).collect();
    // What a drive says of itself does not count: alone it has to be usable.
    let others_know = |index: usize, drive: &dyn Drive| {
        let place = drive.place();
        places.iter().enumerate().any(|(other, known)| other != index && known.contains(&place))
    };
    let mut broken = Vec::new();
    let mut first_error = None;
    for (index, drive) in drives.iter().enumerate() {
        let reason = match probe(&**drive) {
            Ok(Found::Empty) if files.is_none() && others_know(index, &**drive) => NOT_MOUNTED.to_owned(),
            Ok(_) => continue,
            Err(error @ DriveError::Io { .. }) if others_know(index, &**drive) => {
                let reason = error.to_string();
                first_error.get_or_insert(error);
                reason
            }
            Err(error) => return Err(error),
        };
        broken.push((index, Broken { drive: drive.name(), place: drive.place(), reason }));
    }
    if let Some(error) = first_error.filter(|_| broken.len() == drives.len()) {
        return Err(error);
    }
    for (index, _) in broken.iter().rev() {
        drives.remove(*index);
        beside.remove(*index);
    }
    Ok(broken.into_iter().map(|(_, broken)| broken).collect())
}

enum Found {
    Something,
    /// Neither data nor anything of ours.
    Empty,
}

/// Everything that can fail before the first write.
fn probe(drive: &dyn Drive) -> Result<Found, DriveError> {
    let empty = drive.held()?.is_empty() && drive.metadata()?.is_none() && map::places(drive)?.is_empty();
    drive.free_space()?;
    if empty {
        return Ok(Found::Empty);
    }
    drive.check_writable()?;
    Ok(Found::Something)
}

/// What ended a stretch of work.
#[derive(Debug)]
pub(super) enum Halt {
    /// A drive refused. The work may go on without it.
    Drive(usize, DriveError),
    /// Anything else.
    Other(InitError),
}

impl<E: Into<InitError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Says which drive failed.
pub(super) trait On<T> {
    fn on(self, drive: usize) -> Result<T, Halt>;
}

impl<T> On<T> for Result<T, DriveError> {
    fn on(self, drive: usize) -> Result<T, Halt> {
        self.map_err(|error| Halt::Drive(drive, error))
    }
}

impl Run<'_> {
    /// After a failure: without the drive if it was one and others are left, else the error.
    pub(super) fn go_on_without(&mut self, halt: Halt, watch: &dyn Watch) -> Result<(), InitError> {
        let (drive, error) = match halt {
            Halt::Drive(drive, error @ DriveError::Io { .. }) => (drive, error),
            Halt::Drive(_, error) => return Err(error.into()),
            Halt::Other(error) => return Err(error),
        };
        let reason = error.to_string();
        self.out.insert(drive, reason.clone());
        self.done = self.counted();
        let files = self.unfinished_on(drive);
        watch.event(Event::DriveOut { drive: self.drives[drive].name(), reason, files });
        let mut others = self.plan.drives_in_use().into_iter().filter(|drive| !self.out.contains_key(drive));
        match others.next() {
            Some(_) => Ok(()),
            None if self.out.len() > 1 || !self.plan.waiting.is_empty() => Err(self.waiting_error()),
            None => Err(error.into()),
        }
    }

    fn unfinished_on(&self, drive: usize) -> Vec<u32> {
        let files = self.files.range(self.plan.files.clone());
        files.filter(|(file, state)| state.drive == drive && !self.is_done(**file)).map(|(file, _)| *file).collect()
    }

    fn waiting_error(&self) -> InitError {
        let failed = self.out.iter().map(|(drive, reason)| Waiting {
            files: self.unfinished_on(*drive),
            drive: self.drives[*drive].name(),
            reason: reason.clone(),
        });
        let waiting = failed.chain(self.plan.waiting.iter().cloned()).collect();
        InitError::Waiting { waiting, done: self.done, total: self.plan.labels() }
    }

    /// An error when something waits.
    pub(super) fn nothing_waits(&self) -> Result<(), InitError> {
        let nothing = self.out.is_empty() && self.plan.waiting.is_empty();
        if nothing { Ok(()) } else { Err(self.waiting_error()) }
    }
}
