//! Looks at labels on disk and says which are not what they should be; writes them anew if asked to.
//!
//! Names and sizes come first. Then every disk is read while a device computes the labels that were read (`walk`). Where
//! the two differ the CPU decides (`compare`): only a label that it computes differently is bad. A check goes on past every
//! fault: what can't be read is bad as well. Checksums that `init` noted tell what a disk changed from what was wrong when it
//! was written. Repairing writes exactly the bad labels (`repair`); nothing else ever writes to a data file here.
//!
//! How far a check has come is kept on a drive (`kept`), so the same command continues.

mod compare;
mod kept;
mod ownership;
mod picks;
mod prepare;
mod repair;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::compare::Oracle;
use self::kept::{Kept, What};
use self::picks::Picks;
use self::prepare::{claim, files, find_kept, stamps};
use crate::backend::{self, Backend};
use crate::drive::{Drive, DriveError, Stamp};
use crate::metadata::Metadata;
use crate::params::{NetworkParams, ParamsError};
use crate::plan::Layout;
use crate::ranges::Ranges;
use crate::set::{Problem, SetError, common_metadata};
use crate::sums::Sums;
use crate::watch::{Event, Watch};

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Depth {
    /// Checksums only; no label is computed, except those of bad blocks that are to be repaired.
    Quick,
    /// This part of the labels, above 0 and at most 1, picked by chance and spread over every file.
    Fraction(f64),
    /// Every label.
    All,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// The network.
    pub params: NetworkParams,
    /// How much is looked at.
    pub depth: Depth,
    /// Whether bad labels are written anew.
    pub repair: bool,
    /// Whether nothing at all is written, neither labels nor records.
    pub dry_run: bool,
    /// Bytes read a second at most, of all disks together.
    pub limit: Option<u64>,
    /// Decides which labels a fraction is; a check that is continued goes on with its own.
    pub seed: u64,
    /// How often progress is kept.
    pub save_every: Duration,
}

impl Request {
    /// A check that repairs nothing and reads as fast as it can.
    #[must_use]
    pub fn new(params: NetworkParams, depth: Depth) -> Self {
        Self { params, depth, repair: false, dry_run: false, limit: None, seed: 0, save_every: SAVE_EVERY }
    }

    /// Whether bad labels are to be written, not only said to be.
    fn writes(&self) -> bool {
        self.repair && !self.dry_run
    }
}

/// A good [`Request::save_every`]: a crash then costs a few seconds of work.
pub const SAVE_EVERY: Duration = Duration::from_secs(5);

/// Why labels are bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// They are not what was once written: the disk forgot.
    ChangedOnDisk,
    /// They are what was once written: the device that made them was wrong.
    WrongWhenWritten,
    /// The disk refuses to read them.
    Unreadable,
    /// No checksum tells.
    Unknown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChangedOnDisk => "changed on disk",
            Self::WrongWhenWritten => "wrong when written",
            Self::Unreadable => "unreadable",
            Self::Unknown => "unknown",
        })
    }
}

/// Bad labels that follow each other in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// The file's number.
    pub file: u32,
    /// Its drive.
    pub drive: String,
    /// Their indices in the set.
    pub labels: Range<u64>,
    /// Why they are bad.
    pub cause: Cause,
    /// Whether they were written anew.
    pub repaired: bool,
}

/// What a check tells as it finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Something keeps the set from being whole.
    Problem(Problem),
    /// Labels that a quick check can't judge, because no checksum covers them.
    NoSums {
        /// The file's number.
        file: u32,
        /// Its drive.
        drive: String,
        /// How many labels.
        labels: u64,
    },
    /// Labels that are not what they should be.
    Bad(Bad),
    /// Something worth knowing, in words.
    Note(String),
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Labels that were looked at, by earlier runs of the same check too.
    pub checked: u64,
    /// Labels among these that are bad, all that can't be read, and, of a quick check, those of bad blocks.
    pub bad: u64,
    /// Bad ones that were written anew.
    pub repaired: u64,
    /// Labels that a quick check could not judge.
    pub not_judged: u64,
    /// What keeps the set from being whole.
    pub problems: usize,
}

impl Outcome {
    /// Whether all that was to be looked at is right now.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.bad == self.repaired && self.not_judged == 0 && self.problems == 0
    }
}

/// Why a check could not be done or continued.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The network's parameters are not usable.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// What is on the drives can't be used.
    #[error(transparent)]
    Set(#[from] SetError),
    /// No part of the labels, or more than all.
    #[error("a fraction of {fraction} of the labels can't be checked; use more than 0 and at most 1")]
    Fraction {
        /// Asked for.
        fraction: f64,
    },
    /// No byte a second.
    #[error("at 0 bytes a second nothing is ever read; use a larger limit")]
    Limit,
    /// The data was made for another network.
    #[error("the data has {there} labels per unit, the network {wanted}; give the --network the data was made for")]
    OtherNetwork {
        /// Of the data.
        there: u64,
        /// Of the network.
        wanted: u64,
    },
    /// The labels on the drives cost something else.
    #[error(
        "{drive} was filled with labels of scrypt n = {there}, this network has n = {wanted}; give the --network the data was made for"
    )]
    OtherCost {
        /// The drive.
        drive: String,
        /// N of this network.
        wanted: u32,
        /// N of the data.
        there: u32,
    },
    /// The labels could not be computed, or a device computed wrong ones: then nothing that it said counts.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// Someone asked to stop.
    #[error("stopped after {checked} of {total} labels; the same command {}", if *kept { "continues" } else { "starts again" })]
    Stopped {
        /// Labels looked at.
        checked: u64,
        /// Labels to look at.
        total: u64,
        /// Whether that was kept.
        kept: bool,
    },
}

impl CheckError {
    /// Where it was stopped is filled in where that is known.
    fn stopped() -> Self {
        Self::Stopped { checked: 0, total: 0, kept: false }
    }
}

impl From<DriveError> for CheckError {
    fn from(error: DriveError) -> Self {
        Self::Set(error.into())
    }
}

/// Checks the labels on `drives`, those of an incomplete set too, and repairs them if asked to. `backend` computes, `judge`,
/// which is to be the CPU, decides before any label is called bad. `found` hears of everything as it is found, and of what
/// earlier runs of the same check found.
///
/// # Errors
/// Every [`CheckError`]. Bad labels, unreadable ones and problems are none.
pub fn check(
    request: &Request,
    drives: &[Box<dyn Drive>],
    backend: &mut dyn Backend,
    judge: &mut dyn Backend,
    watch: &dyn Watch,
    found: &mut dyn FnMut(Found),
) -> Result<Outcome, CheckError> {
    let mut run = Run::new(request, drives, watch, found)?;
    let (commitment, scrypt) = (run.metadata.commitment(), request.params.scrypt);
    let mut oracle = Oracle { commitment, scrypt, device: backend, judge, watch };
    let before = run.begin();
    let result = run.walk(&mut oracle).and_then(|()| Ok(oracle.device.settle()?));
    if let Err(CheckError::Backend(backend::Error::Wrong { .. })) = result {
        run.distrust(&mut oracle);
    }
    run.end(result, before)
}

/// How many labels a check would look at: what a choice of devices depends on. Nothing is written.
///
/// # Errors
/// Every [`CheckError`] but those of the work itself.
pub fn labels(request: &Request, drives: &[Box<dyn Drive>]) -> Result<u64, CheckError> {
    let looking_only = Request { dry_run: true, ..request.clone() };
    Ok(Run::new(&looking_only, drives, &crate::watch::Silent, &mut |_| {})?.total)
}

/// A data file that is looked at.
struct File {
    drive: usize,
    /// Labels from its beginning that are there.
    labels: u64,
    /// Whether a journal says that we made it.
    is_ours: bool,
}

/// The checksums of a file that is being read.
struct FileSums {
    /// None of any label at first, if the drive has none.
    sums: Sums,
    /// Whether the drive does not know them yet.
    is_new: bool,
}

struct Run<'a> {
    request: &'a Request,
    drives: &'a [Box<dyn Drive>],
    watch: &'a dyn Watch,
    found: &'a mut dyn FnMut(Found),
    metadata: Metadata,
    layout: Layout,
    /// By drive: whether records may be written there.
    claimed: Vec<bool>,
    files: BTreeMap<u32, File>,
    /// The drive that progress is kept on.
    home: Option<usize>,
    kept: Kept,
    /// Of the files, from before they are read.
    stamps: BTreeMap<u32, Stamp>,
    done: Ranges,
    saved: Instant,
    /// Labels to look at.
    total: u64,
    not_judged: u64,
    problems: usize,
    /// The bad stretch of a file that may go on in what is read next.
    open: BTreeMap<u32, Bad>,
    sums: BTreeMap<u32, FileSums>,
    /// Indices of labels that could not be read and were written anew, in this run.
    made: Ranges,
    /// Files that no journal vouches for: whether their labels do.
    ours: BTreeMap<u32, bool>,
    /// Whether any label of the set is right, once somebody asked.
    checks_out: Option<bool>,
}

impl<'a> Run<'a> {
    /// Looks at everything but the labels, and claims what it may.
    fn new(
        request: &'a Request,
        drives: &'a [Box<dyn Drive>],
        watch: &'a dyn Watch,
        found: &'a mut dyn FnMut(Found),
    ) -> Result<Self, CheckError> {
        request.params.check()?;
        match request.depth {
            Depth::Fraction(fraction) if !(fraction > 0.0 && fraction <= 1.0) => {
                return Err(CheckError::Fraction { fraction });
            }
            _ if request.limit == Some(0) => return Err(CheckError::Limit),
            _ => {}
        }
        let names = || drives.iter().map(|drive| drive.name()).collect::<Vec<_>>().join(", ");
        let metadata = common_metadata(drives)?.ok_or_else(|| SetError::NoMetadata { drive: names() })?;
        let (there, wanted) = (metadata.labels_per_unit, request.params.labels_per_unit);
        if there != wanted {
            return Err(CheckError::OtherNetwork { there, wanted });
        }
        let layout = metadata.layout().map_err(SetError::from)?;
        let claimed = claim(request, drives, found)?;
        let files = files(request, drives, &metadata, &layout, found)?;
        let what = What::new(request, &metadata.commitment(), &layout);
        let (home, kept) = find_kept(drives, &claimed, what, request.seed);
        let stamps = stamps(drives, &files.0);
        let mut run = Self {
            request,
            drives,
            watch,
            found,
            metadata,
            layout,
            claimed,
            problems: files.1,
            files: files.0,
            home,
            kept,
            stamps,
            done: Ranges::default(),
            saved: Instant::now(),
            total: 0,
            not_judged: 0,
            open: BTreeMap::new(),
            sums: BTreeMap::new(),
            made: Ranges::default(),
            ours: BTreeMap::new(),
            checks_out: None,
        };
        run.forget_changed();
        run.done = run.kept.done();
        run.count();
        Ok(run)
    }

    /// What an earlier run found out about a file that was written to since counts no more.
    fn forget_changed(&mut self) {
        for (file, state) in &self.files {
            if self.kept.is_outdated(*file, self.stamps.get(file).copied()) {
                self.kept.forget_file(*file, self.layout.file_labels(*file));
                let (file, drive) = (Layout::file_name(*file), self.drives[state.drive].name());
                (self.found)(Found::Note(format!(
                    "{file} in {drive} changed since it was looked at: it is looked at anew"
                )));
            }
        }
    }

    fn picks(&self, fraction: f64) -> Picks {
        Picks { fraction, seed: self.kept.seed }
    }

    fn drive_of(&self, file: u32) -> &'a dyn Drive {
        &*self.drives[self.files[&file].drive]
    }

    /// The indices of the labels of a file that are there.
    fn indices(&self, file: u32) -> Range<u64> {
        let first = self.layout.file_labels(file).start;
        first..first + self.files[&file].labels
    }

    /// How many labels there are to look at, and how many can't be judged.
    fn count(&mut self) {
        for file in self.files.keys().copied().collect::<Vec<_>>() {
            let labels = self.files[&file].labels;
            self.total += match self.request.depth {
                Depth::All => labels,
                Depth::Fraction(fraction) => self.picks(fraction).count(labels),
                Depth::Quick => {
                    let judged: u64 = self.covered(file).map(|range| range.end - range.start).sum();
                    if judged < labels {
                        self.not_judged += labels - judged;
                        let drive = self.drive_of(file).name();
                        (self.found)(Found::NoSums { file, drive, labels: labels - judged });
                    }
                    judged
                }
            };
        }
    }

    /// Tells what earlier runs found. Returns what was kept, for the case that this run's device is a liar.
    fn begin(&mut self) -> Kept {
        let earlier =
            self.kept.bad(|file| self.files.get(&file).map_or_else(String::new, |file| self.drives[file.drive].name()));
        earlier.into_iter().for_each(|bad| (self.found)(Found::Bad(bad)));
        self.watch.event(Event::CheckStarted { labels: self.total, done: self.kept.checked });
        self.kept.clone()
    }

    /// Keeps or forgets the progress, as the walk ended.
    fn end(mut self, result: Result<(), CheckError>, before: Kept) -> Result<Outcome, CheckError> {
        for bad in std::mem::take(&mut self.open).into_values() {
            (self.found)(Found::Bad(bad));
        }
        match result {
            Ok(()) => {
                self.store_sums();
                for (drive, _) in self.drives.iter().zip(&self.claimed).filter(|(_, claimed)| **claimed) {
                    // What is left there is of no use, and does no harm.
                    let _ = self.kept.forget(&**drive);
                }
                let Kept { checked, bad_labels, repaired_labels, .. } = self.kept;
                let (not_judged, problems) = (self.not_judged, self.problems);
                Ok(Outcome { checked, bad: bad_labels, repaired: repaired_labels, not_judged, problems })
            }
            Err(error) => {
                if let CheckError::Backend(backend::Error::Wrong { .. }) = error {
                    // What a liar said is right may be wrong, so its checksums don't count either.
                    self.sums.clear();
                    self.done = before.done();
                    self.kept = before;
                }
                self.save();
                Err(match error {
                    CheckError::Stopped { .. } => {
                        CheckError::Stopped { checked: self.kept.checked, total: self.total, kept: self.home.is_some() }
                    }
                    error => error,
                })
            }
        }
    }

    fn save_if_due(&mut self) {
        if self.saved.elapsed() >= self.request.save_every {
            self.save();
        }
    }

    /// Checksums first: once labels are done, nobody looks at them again to make theirs.
    fn save(&mut self) {
        self.store_sums();
        self.saved = Instant::now();
        let Some(home) = self.home else { return };
        self.kept.set_done(&self.done);
        if let Err(error) = self.kept.store(&*self.drives[home]) {
            (self.found)(Found::Note(format!("how far this check has come can't be kept any more: {error}")));
            self.home = None;
        }
    }

    /// The checksums of a file; loaded when first asked for.
    fn sums(&mut self, file: u32) -> &mut FileSums {
        let drive = &*self.drives[self.files[&file].drive];
        self.sums.entry(file).or_insert_with(|| {
            // Sums that can't be read are none.
            let sums = Sums::of(drive, file).ok().flatten().unwrap_or_default();
            FileSums { sums, is_new: false }
        })
    }

    /// Makes drives know the new checksums, and forgets them here: there may be many.
    fn store_sums(&mut self) {
        for (file, FileSums { sums, is_new }) in std::mem::take(&mut self.sums) {
            if is_new && let Err(error) = sums.store(self.drive_of(file), file) {
                let file = Layout::file_name(file);
                (self.found)(Found::Note(format!("the checksums of {file} are not kept: {error}")));
            }
        }
    }
}
