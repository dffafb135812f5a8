//! Fills drives with labels: plan × backend × drives, resumable. The only writer of labels.
//!
//! A run looks before it writes: a request that can't be met is refused with the drives as they were. Then it claims the
//! drives and lets the backend compute while it writes, searches the VRF nonce and checkpoints: data synced, then journal
//! replaced. What the journal does not count is computed again.
//!
//! A device may turn out to lie long after its first labels were written. Everything it made in this run is then suspect: the
//! journals say so before anything else happens, and it is made again, by this run if another device is left, else by the
//! next one (see `suspect`).
//!
//! A drive that fails does not stop the others: its files wait, and the run says so in the end (see `waiting`).

mod error;
mod network;
mod outlook;
mod resume;
mod summing;
mod suspect;
mod waiting;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

pub use outlook::{Outlook, outlook};

use crate::backend::Backend;
use crate::difficulty::vrf_threshold;
use crate::drive::{Drive, Role};
use crate::identity::{AtxId, NodeId};
use crate::journal::FileProgress;
use crate::label::LABEL_BYTES;
use crate::map::{Member, SetMap};
use crate::metadata::Metadata;
use crate::params::NetworkParams;
use crate::plan::{DriveSpace, Layout, Placement};
use crate::ranges::Ranges;
use crate::set::{Problem, SetError, Survey, common_metadata, common_metadata_while_resized, survey};
use crate::vrf::{VrfNonce, VrfSearch};
use crate::watch::{Event, Watch};

pub use self::error::InitError;
pub(crate) use self::network::{refuse_other_cost, refuse_other_units};
use self::summing::FileSums;
pub use self::waiting::{Broken, Waiting, set_aside};

/// What is to be there in the end.
#[derive(Clone, Debug)]
pub struct Request {
    /// The network.
    pub params: NetworkParams,
    /// The miner.
    pub node_id: NodeId,
    /// The ATX the data is bound to.
    pub commitment_atx_id: AtxId,
    /// Space units.
    pub units: u32,
    /// Bytes of each file but the last.
    pub max_file_size: u64,
    /// Only these files, for a set that is made on several machines; `None` means all.
    pub files: Option<Range<u32>>,
    /// Drives of the set that can't be used now (see [`set_aside`]): their files wait.
    pub broken: Vec<Broken>,
    /// What a crash may cost: labels are made durable at least this often, but never within a batch of the backend.
    pub checkpoint_every: Duration,
}

/// A good [`Request::checkpoint_every`]: syncing twice a second costs next to nothing.
pub const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);

/// What a run did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Labels that this run computed.
    pub made: u64,
    /// Labels of the files asked for, all of them on disk now.
    pub labels: u64,
    /// Bytes of the whole set, other shards included.
    pub set_bytes: u64,
    /// Whether the drives now hold the whole set.
    pub complete: bool,
    /// Index of the VRF nonce, where one is known.
    pub nonce: Option<u64>,
}

impl Request {
    /// What makes the set that `metadata` describes.
    pub(crate) fn of(metadata: &Metadata, params: NetworkParams) -> Self {
        Self {
            params,
            node_id: metadata.node_id,
            commitment_atx_id: metadata.commitment_atx_id,
            units: metadata.num_units,
            max_file_size: metadata.max_file_size,
            files: None,
            broken: Vec::new(),
            checkpoint_every: CHECKPOINT_EVERY,
        }
    }

    /// The metadata of the set before its nonce is known.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        Metadata {
            node_id: self.node_id,
            commitment_atx_id: self.commitment_atx_id,
            labels_per_unit: self.params.labels_per_unit,
            num_units: self.units,
            max_file_size: self.max_file_size,
            nonce: None,
            nonce_value: None,
            last_position: None,
            other: serde_json::Map::new(),
        }
    }

    /// Checks everything that needs no look at a drive, and lays the set out.
    ///
    /// # Errors
    /// [`InitError::Params`], [`InitError::Units`], [`InitError::Plan`], [`InitError::TooFewLabels`].
    pub fn layout(&self) -> Result<Layout, InitError> {
        let NetworkParams { min_units, max_units, k1, k2, labels_per_unit, .. } = self.params;
        self.params.check()?;
        if !(min_units.max(1)..=max_units).contains(&self.units) {
            return Err(InitError::Units { units: self.units, min: min_units.max(1), max: max_units });
        }
        let layout = Layout::new(self.units, labels_per_unit, self.max_file_size)?;
        let num_labels = layout.num_labels();
        if num_labels <= u64::from(k1) || num_labels < u64::from(k2) {
            return Err(InitError::TooFewLabels { num_labels, k1, k2 });
        }
        Ok(layout)
    }
}

/// What a run would do: decided without writing anything.
pub struct Plan {
    layout: Layout,
    /// What the drives say already.
    existing: Option<Metadata>,
    survey: Survey,
    /// The files of this run: number → index of its drive.
    place: BTreeMap<u32, usize>,
    files: Range<u32>,
    map: SetMap,
    /// Files of this run whose drive is not there.
    waiting: Vec<Waiting>,
}

impl Plan {
    /// How the set lies in files.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The indices of the drives that hold a file of the set or will.
    #[must_use]
    pub fn drives_in_use(&self) -> BTreeSet<usize> {
        let held = self.survey.files.values().map(|(drive, _)| *drive);
        self.place.values().copied().chain(held).collect()
    }

    /// The files of this run and the index of the drive each lies or will lie on.
    #[must_use]
    pub fn place(&self) -> &BTreeMap<u32, usize> {
        &self.place
    }

    /// Labels of this run's files, those that are there included.
    #[must_use]
    pub fn labels(&self) -> u64 {
        self.files.clone().map(|file| self.layout.file_bytes(file) / LABEL_BYTES as u64).sum()
    }
}

/// Looks at the request and at the drives, and decides where every file goes. Nothing is written.
///
/// `quotas` are the most bytes of the set each drive may hold, in the order of `drives`; `None` leaves it to free space.
///
/// # Errors
/// Every [`InitError`] but those of the work itself.
pub fn prepare(request: &Request, drives: &[Box<dyn Drive>], quotas: &[Option<u64>]) -> Result<Plan, InitError> {
    prepare_in(request, drives, quotas, Occasion::Set)
}

/// What calls for labels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// A set that is made or continued.
    Set,
    /// A set whose size has just changed: drives still say that it is on its way.
    Resized,
}

fn prepare_in(
    request: &Request,
    drives: &[Box<dyn Drive>],
    quotas: &[Option<u64>],
    occasion: Occasion,
) -> Result<Plan, InitError> {
    let (plan, placement) = look(request, drives, quotas, occasion)?;
    placement.all()?;
    plan.drives_in_use().into_iter().try_for_each(|drive| drives[drive].check_writable())?;
    Ok(plan)
}

/// What [`prepare`] decides, also where there is no room for every file: the plan is then of those that have a place.
fn look(
    request: &Request,
    drives: &[Box<dyn Drive>],
    quotas: &[Option<u64>],
    occasion: Occasion,
) -> Result<(Plan, Placement), InitError> {
    let layout = request.layout()?;
    let existing = match occasion {
        Occasion::Set => common_metadata(drives)?,
        Occasion::Resized => common_metadata_while_resized(drives)?,
    };
    if let Some((key, wanted, there)) = existing.as_ref().and_then(|there| request.metadata().difference(there)) {
        return Err(InitError::OtherSet { key, wanted, there });
    }
    let survey = survey(drives, &request.metadata().commitment(), &layout)?;
    let wrong: Vec<Problem> = survey.problems.iter().filter(|p| !p.is_unfinished()).cloned().collect();
    if !wrong.is_empty() {
        return Err(SetError::Problems(wrong).into());
    }
    let map = SetMap::of(drives, &request.metadata().commitment(), &layout)?;
    let mut spaces = Vec::new();
    for (index, drive) in drives.iter().enumerate() {
        let (free, filesystem) = drive.free_space()?;
        let quota = quotas.get(index).copied().flatten();
        let held = survey.files.iter().filter(|(_, (on, _))| *on == index);
        let held = held.map(|(file, (_, bytes))| (*file, *bytes)).collect();
        spaces.push(DriveSpace { quota, free, filesystem, held, planned: map.planned(index) });
    }
    let files = request.files.clone().unwrap_or(0..layout.num_files());
    let places: BTreeSet<String> = drives.iter().map(|drive| drive.place()).collect();
    let waiting = waiting_files(request, &files, &survey, &map, &places);
    let elsewhere = waiting.iter().flat_map(|waiting| waiting.files.iter().copied()).collect();
    let placement = Placement::new(&layout, files.clone(), &elsewhere, &spaces)?;
    let place = placement.place().clone();
    Ok((Plan { layout, existing, survey, place, files, map, waiting }, placement))
}

/// The files of a run that are on drives which are not there, as far as maps tell. Whoever names files wants them made, even
/// if a drive that is not named may have them; those of a broken one that is named wait.
fn waiting_files(
    request: &Request,
    files: &Range<u32>,
    survey: &Survey,
    map: &SetMap,
    places: &BTreeSet<String>,
) -> Vec<Waiting> {
    let wait = |member: &Member| {
        let broken = request.broken.iter().find(|broken| broken.place == member.place);
        let reason = match (broken, &request.files) {
            (Some(broken), _) => broken.reason.clone(),
            (None, None) if places.contains(&member.place) => {
                "another one is in its place now; name the files with --files to have them made again".into()
            }
            (None, None) => "it was not named; name it, or name its files with --files to have them made again".into(),
            (None, Some(_)) => return None,
        };
        let drive =
            broken.map_or_else(|| format!("the drive that was {}", member.place), |broken| broken.drive.clone());
        let missing = member.files().filter(|file| files.contains(file) && !survey.files.contains_key(file));
        Some(Waiting { files: missing.collect(), drive, reason }).filter(|waiting| !waiting.files.is_empty())
    };
    map.absent().filter_map(wait).collect()
}

/// Makes the set, or what is missing of it.
///
/// # Errors
/// Every [`InitError`]. Whatever was counted as done stays; the same call continues.
pub fn init(
    request: &Request,
    drives: &[Box<dyn Drive>],
    quotas: &[Option<u64>],
    backend: &mut dyn Backend,
    watch: &dyn Watch,
) -> Result<Outcome, InitError> {
    run_in(request, drives, quotas, Occasion::Set, backend, watch)
}

/// Settles what depends on the whole set after its size has changed: nonce, maps, files that nobody vouches for. No file
/// is made: all of them have to be there.
///
/// # Errors
/// Those of [`init`], and [`SetError::Problems`] when something is missing.
pub(crate) fn settle(
    request: &Request,
    drives: &[Box<dyn Drive>],
    backend: &mut dyn Backend,
    watch: &dyn Watch,
) -> Result<Outcome, InitError> {
    let problems = survey(drives, &request.metadata().commitment(), &request.layout()?)?.problems;
    if !problems.is_empty() {
        return Err(SetError::Problems(problems).into());
    }
    run_in(request, drives, &[], Occasion::Resized, backend, watch)
}

fn run_in(
    request: &Request,
    drives: &[Box<dyn Drive>],
    quotas: &[Option<u64>],
    occasion: Occasion,
    backend: &mut dyn Backend,
    watch: &dyn Watch,
) -> Result<Outcome, InitError> {
    let mut claimed = BTreeSet::new();
    // Looking takes time, in which another process may have written, or free space changed: what counts is what is seen
    // when all drives in use are claimed.
    let mut run = loop {
        let run = Run::new(request, drives, prepare_in(request, drives, quotas, occasion)?)?;
        let wanted = run.plan.drives_in_use();
        if wanted.is_subset(&claimed) {
            break run;
        }
        run.spot_check(backend)?;
        for drive in wanted {
            drives[drive].claim(Role::Writer)?;
            claimed.insert(drive);
        }
    };
    watch.event(run.planned());
    run.adopt(backend, watch)?;
    run.begin(backend, watch)?;
    let before = run.done;
    watch.event(Event::InitStarted { total: run.plan.labels(), done: before });
    loop {
        let result = run.fill(backend, watch).and_then(|()| run.finish(backend, watch));
        match suspect::settled(result, backend) {
            Ok(()) => {
                run.nothing_waits()?;
                return Ok(run.outcome(run.done - before));
            }
            Err(error) => run.go_on_after(error, backend, watch)?,
        }
    }
}

/// For tests: which labels a drive's journal counts as durable and right, in stretches from the beginning of each file.
///
/// # Errors
/// [`crate::drive::DriveError`].
#[cfg(any(test, feature = "suite"))]
pub fn counted(drive: &dyn Drive) -> Result<BTreeMap<u32, Vec<Range<u64>>>, crate::drive::DriveError> {
    let files = crate::journal::Journal::of(drive)?.map(|journal| journal.files).unwrap_or_default();
    let right = |progress: FileProgress| {
        let mut right: Ranges = std::iter::once(0..progress.labels).collect();
        progress.suspects().iter().for_each(|suspect| right.remove(suspect));
        right.iter().collect()
    };
    Ok(files.into_iter().map(|(file, progress)| (file, right(progress))).collect())
}

/// What is known of one data file.
struct FileState {
    drive: usize,
    /// Labels from its beginning that are durable and, but for the suspects, right.
    done: u64,
    /// Indices of labels among these that a liar made, and that were not made again yet.
    suspects: Ranges,
    /// Whole labels in the file: more than `done` after a crash.
    there: u64,
    /// The smallest of the labels that are done.
    search: VrfSearch,
    /// What the journal says of a file that it does not vouch for, with suspects that must not be forgotten.
    noted: Option<FileProgress>,
    /// Whether a journal vouches for these labels and the search has seen them all. Other files are adopted first.
    vouched: bool,
    /// Labels that were durable at the checkpoint before the last one.
    since: u64,
    sums: FileSums,
    /// Whether space was set aside for it.
    allocated: bool,
}

/// A run after the drives were claimed.
struct Run<'a> {
    request: &'a Request,
    drives: &'a [Box<dyn Drive>],
    plan: Plan,
    metadata: Metadata,
    /// The files of this run and all others that are there.
    files: BTreeMap<u32, FileState>,
    /// Labels of this run's files that are on disk and, as far as anybody knows, right.
    done: u64,
    /// Indices of the labels that this run computed.
    made: Ranges,
    /// Drives that failed in this run, and how.
    out: BTreeMap<usize, String>,
}

impl<'a> Run<'a> {
    fn full(&self, file: u32) -> u64 {
        self.plan.layout.file_bytes(file) / LABEL_BYTES as u64
    }

    fn is_done(&self, file: u32) -> bool {
        self.files.get(&file).is_some_and(|state| state.done == self.full(file) && state.suspects.is_empty())
    }

    /// Labels of this run's files that are durable and right.
    fn counted(&self) -> u64 {
        let this_run = self.files.range(self.plan.files.clone());
        this_run.map(|(_, state)| state.done - state.suspects.len()).sum()
    }

    /// Whether every file of the set, not only of this run, is whole.
    fn complete(&self) -> bool {
        (0..self.plan.layout.num_files()).all(|file| self.is_done(file))
    }

    fn new_search(&self, best: Option<VrfNonce>) -> VrfSearch {
        let threshold = vrf_threshold(self.plan.layout.num_labels());
        VrfSearch::new(self.metadata.commitment(), self.request.params.scrypt, threshold, best)
    }

    fn planned(&self) -> Event {
        Event::InitPlanned {
            node_id: self.request.node_id,
            units: self.request.units,
            bytes: self.plan.layout.bytes(),
            files: self.plan.files.len(),
            set_files: self.plan.layout.num_files(),
            drives: self.plan.drives_in_use().len(),
        }
    }

    fn outcome(&self, made: u64) -> Outcome {
        Outcome {
            made,
            labels: self.plan.labels(),
            set_bytes: self.plan.layout.bytes(),
            complete: self.complete(),
            nonce: self.metadata.nonce,
        }
    }

    fn stopped(&self) -> InitError {
        InitError::Stopped { done: self.done, total: self.plan.labels() }
    }
}
