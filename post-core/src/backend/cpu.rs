//! The CPU: a rayon pool of its own, one scratch a worker.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Backend, Error, Info, LabelJob, Labels, Sink};
use crate::label::worker::{Method, Worker, WorkerError};
use crate::label::{self, Label, stored};
use crate::params::ScryptParams;
use crate::scan::tier::Scanner;
use crate::scan::{self, Hit, ScanJob};

/// Rows of scratch a worker fills per batch at least: about a third of a second's work without wide registers.
const ROWS_PER_BATCH: u64 = 1 << 21;

/// Rows that it may fill for the sake of several tasks: a fifth of a second's work with the widest registers, which have the
/// longest tasks.
const MAX_ROWS_PER_BATCH: u64 = 1 << 23;

/// Labels per worker and batch at most, so that a cheap label function does not ask for much memory.
const MAX_LABELS_PER_BATCH: u64 = 1 << 14;

/// Tasks that a worker gets of each batch, if they are not too long: they even out what else the machine does.
const LABEL_TASKS: u64 = 4;

/// Labels of a scan that keep a thread busy, 2 MiB: to hand a scan to the threads and back takes a tenth of a millisecond.
const SCAN_BATCH: usize = 1 << 17;

/// More are not read at a time, so that of many threads each gets less.
const MAX_SCAN_BATCH: usize = 1 << 20;

/// Tasks a scan is cut into, for each thread.
const SCAN_TASKS: usize = 4;

/// Labels of such a task at least: fewer aren't worth the hand-over.
const MIN_SCAN_TASK: usize = 1 << 12;

impl From<WorkerError> for Error {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Params(error) => Self::Params(error),
            WorkerError::OutOfMemory { bytes } => Self::OutOfMemory { device: "cpu".into(), bytes },
        }
    }
}

/// All labels and hits on the CPU.
pub struct Cpu {
    info: Info,
    pool: ThreadPool,
    method: Method,
    /// One for each thread, which only ever takes its own. They fit the cost of the last job.
    workers: Vec<Mutex<Worker>>,
    cost: Option<ScryptParams>,
    /// One for each task of a scan, with the list of its hits.
    scanners: Vec<(Scanner, Vec<Hit>)>,
}

impl Cpu {
    /// A pool of `threads` workers, 0 meaning one for each core, that uses the widest instructions of this machine.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the system refuses the threads.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("label-{i}"))
            .build()
            .map_err(|e| Error::Unavailable { device: "cpu".into(), reason: format!("{e}; use fewer threads") })?;
        let threads = pool.current_num_threads();
        let (method, scan) = (Method::new(label::tier::Tier::best()), scan::tier::Tier::best());
        let info = Info {
            kind: "cpu",
            id: "cpu".into(),
            name: "CPU".into(),
            threads,
            batch: batch_labels(method, threads, ScryptParams::MAINNET.n),
            scan_batch: (SCAN_BATCH * threads).min(MAX_SCAN_BATCH),
            labels: method.to_string(),
            scan: scan.to_string(),
        };
        let mut cpu = Self { info, pool, method, workers: Vec::new(), cost: None, scanners: Vec::new() };
        cpu.set_scan_tier(scan);
        Ok(cpu)
    }

    /// Computes labels this way from now on.
    pub fn set_method(&mut self, method: Method) {
        (self.workers, self.cost) = (Vec::new(), None);
        self.info.labels = method.to_string();
        self.info.batch = batch_labels(method, self.info.threads, ScryptParams::MAINNET.n);
        self.method = method;
    }

    /// Scans with this tier from now on.
    pub fn set_scan_tier(&mut self, tier: scan::tier::Tier) {
        self.info.scan = tier.to_string();
        self.scanners =
            std::iter::repeat_with(|| (Scanner::new(tier), Vec::new())).take(self.info.threads * SCAN_TASKS).collect();
    }

    /// How it computes labels.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Measures the ways this machine can compute labels of cost `scrypt`, all threads at once, and takes the fastest from
    /// now on. At most about half a second; worth it before minutes of work. Only ways of `tier`, if one is named.
    ///
    /// # Errors
    /// [`Error::Params`] when the label function is not defined for `scrypt`.
    pub fn tune(&mut self, scrypt: ScryptParams, tier: Option<label::tier::Tier>) -> Result<(), Error> {
        scrypt.check()?;
        // The memory of the ways that are measured comes and goes; nothing else is held meanwhile.
        (self.workers, self.cost) = (Vec::new(), None);
        let method = match tier {
            Some(label::tier::Tier::Scalar) => Method::new(label::tier::Tier::Scalar),
            Some(tier) => label::tune::fastest(&self.pool, &[tier], scrypt),
            None => label::tune::fastest(&self.pool, &label::tune::likely(), scrypt),
        };
        self.set_method(method);
        Ok(())
    }

    /// Makes the scratch of every worker, so that a lack of memory is an error here and not an abort later.
    fn prepare(&mut self, cost: ScryptParams) -> Result<(), Error> {
        if self.cost != Some(cost) {
            // The old ones go first: both together might not fit.
            (self.workers, self.cost) = (Vec::new(), None);
            let workers: Result<Vec<_>, _> =
                (0..self.info.threads).map(|_| Worker::new(self.method, cost).map(Mutex::new)).collect();
            (self.workers, self.cost) = (workers?, Some(cost));
        }
        Ok(())
    }

    /// Computes the labels at `positions` into `labels`. Runs on the pool.
    fn fill(&self, what: &Labels<'_>, positions: Range<u64>, labels: &mut Vec<Label>) {
        labels.clear();
        labels.resize((positions.end - positions.start) as usize, [0; 16]);
        let task = self.method.task();
        labels.par_chunks_mut(task).enumerate().for_each(|(number, labels)| {
            let first = positions.start + (number * task) as u64;
            // Every closure of this loop runs on the pool, so the index is there and names this worker alone.
            let worker = rayon::current_thread_index().unwrap_or(0) % self.workers.len();
            let mut worker = self.workers[worker].lock().unwrap_or_else(PoisonError::into_inner);
            let jobs: Vec<_> = (first..).take(labels.len()).map(|position| what.at(position)).collect();
            let mut full = vec![[0; 32]; labels.len()];
            worker.full_labels(&jobs, &mut full);
            for (label, full) in labels.iter_mut().zip(&full) {
                *label = stored(full);
            }
        });
    }
}

/// Labels of cost `n` that all threads compute before they are handed on.
fn batch_labels(method: Method, threads: usize, n: u32) -> u64 {
    let (task, n) = (method.task() as u64, u64::from(n));
    let several = (task * LABEL_TASKS).min(MAX_ROWS_PER_BATCH / n).max(1);
    let each = (ROWS_PER_BATCH / n).min(MAX_LABELS_PER_BATCH).max(several);
    each.next_multiple_of(task) * threads as u64
}

impl Backend for Cpu {
    fn info(&self) -> &Info {
        &self.info
    }

    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        job.scrypt.check()?;
        let Range { start, end } = job.labels.positions();
        if start >= end {
            return Ok(());
        }
        self.prepare(job.scrypt)?;
        let this = &*self;
        let batch = batch_labels(this.method, this.info.threads, job.scrypt.n);
        let batch_from = |from: u64| from..from.saturating_add(batch).min(end);

        let (mut ready, mut next) = (Vec::new(), Vec::new());
        let mut positions = batch_from(start);
        this.pool.install(|| this.fill(&job.labels, positions.clone(), &mut ready));
        loop {
            let following = batch_from(positions.end);
            // The pool computes the next batch while this thread hands on the one that is ready.
            let flow = this.pool.in_place_scope(|scope| {
                if !following.is_empty() {
                    let (following, next) = (following.clone(), &mut next);
                    scope.spawn(move |_| this.fill(&job.labels, following, next));
                }
                sink(positions.clone(), &ready)
            });
            if flow.is_break() || following.is_empty() {
                return Ok(());
            }
            std::mem::swap(&mut ready, &mut next);
            positions = following;
        }
    }

    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        // A few tasks a thread even out what else the machine does; each has a scanner and a list of its own.
        let task = labels.len().div_ceil(self.scanners.len()).max(1).next_multiple_of(MIN_SCAN_TASK);
        let tasks = labels.par_chunks(task).zip(&mut self.scanners).enumerate();
        self.pool.install(|| {
            tasks.for_each(|(number, (labels, (scanner, found)))| {
                found.clear();
                scanner.scan(job, first + (number * task) as u64, labels, found);
            });
        });
        // In the order of the labels, whichever task was done first.
        for (_, found) in &mut self.scanners[..labels.len().div_ceil(task)] {
            hits.append(found);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn passes_the_suite_with_any_number_of_threads() {
        for threads in [1, 2, 3] {
            crate::backend::suite::run(&mut || Box::new(super::Cpu::new(threads).unwrap()));
        }
    }
}
