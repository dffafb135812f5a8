//! Any [`Device`] as a backend: batches, two in flight; checks; what to do when a device fails.
//!
//! [`thread`] keeps the device on a thread of its own, `labels` and `scan` feed it, `self_test` and `tune` are what
//! happens before the first real work.

mod labels;
mod scan;
mod self_test;
#[cfg(test)]
mod tests;
mod thread;
mod tune;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use post_core::backend::{Backend, Error, Info, LabelJob, Sink};
use post_core::label::Label;
use post_core::params::ScryptParams;
use post_core::scan::{Hit, ScanJob};

use self::scan::PreparedScan;
use self::thread::DeviceThread;
pub(crate) use self::thread::Maker;
use crate::budget::{self, Rates};
use crate::cache::Tuning;
use crate::device::{BLOCK, Facts, Shape, Trouble};
use crate::{Forced, Tune};

/// Opening may take this long. A card that nobody uses sleeps, and some take seconds to wake.
const OPEN: Duration = Duration::from_secs(20);

/// Compiling may take this long. Drivers of GPUs compile for a second or two, or load what they compiled before.
const COMPILE: Duration = Duration::from_secs(60);

/// The same for software devices, which run LLVM on every kernel: half a minute on a slow machine, several times that on
/// a busy one.
const SOFTWARE_COMPILE: Duration = Duration::from_secs(300);

/// How long a device may take for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// To open it and to compile kernels.
    pub(crate) compile: Duration,
    /// To do a batch, if five times what is expected is less.
    pub(crate) patience: Duration,
}

/// How to open a device.
pub(crate) struct Settings {
    pub(crate) gpu_memory: Option<u64>,
    /// The file that remembers tunings.
    pub(crate) cache: Option<PathBuf>,
    pub(crate) tune: Tune,
    pub(crate) forced: Option<Forced>,
    /// By the kind of device if `None`.
    pub(crate) limits: Option<Limits>,
}

/// Labels that a scan should be given at once: 16 MiB, so that its round trips don't show.
const SCAN_BATCH: usize = 1 << 20;

/// The same for devices that are the CPU in truth.
const SOFTWARE_SCAN_BATCH: usize = 1 << 16;

/// A device as a backend.
pub(crate) struct GpuBackend {
    info: Info,
    facts: Facts,
    thread: DeviceThread,
    limits: Limits,
    settings: Settings,
    /// Bytes of the device that we may take; less after it refused.
    memory: u64,
    rates: Rates,
    tuning: Option<Tuning>,
    /// Labels · N that all calls together asked for: a pool cuts a long job into short calls.
    asked: f64,
    labels: Option<PreparedLabels>,
    scan: Option<PreparedScan>,
    /// Why the device must not be asked again.
    failed: Option<Failure>,
}

/// What the device holds memory for.
struct PreparedLabels {
    shape: Shape,
    /// How long its last full batch took.
    pace: Option<Duration>,
    /// No batch has run yet: some devices compile during the first.
    fresh: bool,
}

/// Why work ended early.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Trouble(Trouble),
    /// The label at this index is not what the CPU makes of it.
    Wrong(u64),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Since when the device was at work on something.
#[derive(Clone, Copy)]
struct Timing {
    begun: Instant,
    done: Instant,
}

impl Timing {
    /// How long it took, not counting what the device did before.
    fn taken(&self, before: Option<Instant>) -> Duration {
        self.done.saturating_duration_since(before.map_or(self.begun, |before| before.max(self.begun)))
    }
}

impl GpuBackend {
    /// Opens the device and lets it prove itself. `kind` is the API's name, `id` the device's.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it can't be opened or used, [`Error::Wrong`] if it computes wrong labels, and what else can
    /// befall it at work.
    pub(crate) fn open(kind: &'static str, id: &str, maker: Maker, settings: Settings) -> Result<Self, Error> {
        let limit = settings.limits.map_or(OPEN, |limits| limits.compile);
        let (thread, facts) = DeviceThread::open(id, maker, limit).map_err(|trouble| error(id, &trouble.into()))?;
        let limits = settings.limits.unwrap_or_else(|| Limits {
            compile: if facts.software { SOFTWARE_COMPILE } else { COMPILE },
            patience: budget::patience(facts.software),
        });
        let mut this = Self {
            info: Info {
                kind,
                id: id.to_owned(),
                name: facts.name.clone(),
                threads: 1,
                batch: 0,
                scan_batch: if facts.software { SOFTWARE_SCAN_BATCH } else { SCAN_BATCH },
                labels: String::new(),
                scan: String::new(),
            },
            thread,
            limits,
            memory: budget::memory(&facts, settings.gpu_memory),
            rates: Rates::unknown(&facts),
            tuning: None,
            asked: 0.0,
            labels: None,
            scan: None,
            failed: None,
            facts,
            settings,
        };
        this.recall();
        this.describe();
        this.self_test().map_err(|failure| this.fail(failure))?;
        Ok(this)
    }

    /// Takes what an earlier tune of such a device found.
    fn recall(&mut self) {
        if let (Tune::Auto | Tune::Never, Some(cache)) = (self.settings.tune, &self.settings.cache) {
            self.tuning = Tuning::recall(cache, &self.facts);
        }
        if let Some(tuning) = &self.tuning {
            self.rates.steps = tuning.steps_per_second;
        }
    }

    fn describe(&mut self) {
        let gap = match self.gap() {
            1 => "all lines kept".to_owned(),
            gap => format!("one line of {gap} kept"),
        };
        let tuned = match self.tuning.as_ref().and_then(|tuning| tuning.labels) {
            Some(labels) => format!(", {labels} labels in flight"),
            None => String::new(),
        };
        let tuned_labels = self.tuning.as_ref().and_then(|tuning| tuning.labels).map(u64::from);
        let line_bytes = u64::from(ScryptParams::MAINNET.n / self.gap()) * 128;
        self.info.batch = tuned_labels.unwrap_or((self.memory / line_bytes).max(u64::from(BLOCK)));
        let gib = self.memory as f64 / (1_u64 << 30) as f64;
        self.info.labels = format!("{gap}{tuned}, at most {gib:.1} GiB");
        self.info.scan = "AES by tables".into();
    }

    fn gap(&self) -> u32 {
        self.settings.forced.map(|forced| forced.gap).or(self.tuning.as_ref().map(|tuning| tuning.gap)).unwrap_or(1)
    }

    /// How long to wait for what should take `expected`.
    fn patience(&self, expected: Duration) -> Duration {
        expected.saturating_mul(5).max(self.limits.patience)
    }

    /// Makes sure the device was not given up before.
    fn usable(&self) -> Result<(), Error> {
        self.failed.as_ref().map_or(Ok(()), |failure| Err(error(&self.facts.id, failure)))
    }

    /// Tells the caller, and remembers what can't be mended.
    fn fail(&mut self, failure: Failure) -> Error {
        let error = error(&self.facts.id, &failure);
        if error.is_fatal() {
            self.failed = Some(failure);
        }
        error
    }

    /// After `shape` was refused for lack of memory: half of it from now on, at last with fewer lines kept. Gives the
    /// trouble back where the shape is not ours to choose.
    fn shrink(&mut self, shape: &Shape, trouble: Trouble) -> Result<(), Trouble> {
        self.labels = None;
        if self.settings.forced.is_some() {
            return Err(trouble);
        }
        self.memory = self.memory.min(budget::shape_bytes(shape) / 2);
        self.describe();
        Ok(())
    }
}

/// What the caller is told.
fn error(id: &str, failure: &Failure) -> Error {
    let device = id.to_owned();
    match failure {
        Failure::Wrong(index) => Error::Wrong { device, index: *index },
        Failure::Trouble(Trouble::OutOfMemory { bytes }) => Error::OutOfMemory { device, bytes: *bytes },
        Failure::Trouble(Trouble::Lost { .. }) => Error::DeviceLost { device },
        Failure::Trouble(Trouble::Unavailable { reason }) => Error::Unavailable { device, reason: reason.clone() },
    }
}

impl Backend for GpuBackend {
    fn info(&self) -> &Info {
        &self.info
    }

    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        job.scrypt.check()?;
        let Range { start, end } = job.labels.positions();
        if start >= end {
            return Ok(());
        }
        self.usable()?;
        self.tune_if_worth_it(job.scrypt.n, end - start)
            .and_then(|()| self.run_labels(job, sink))
            .map_err(|failure| self.fail(failure))
    }

    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        if labels.is_empty() || job.groups.is_empty() {
            return Ok(());
        }
        self.usable()?;
        self.run_scan(job, first, labels, hits).map_err(|failure| self.fail(failure))
    }
}
