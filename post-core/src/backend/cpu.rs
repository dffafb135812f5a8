//! The CPU: a rayon pool of its own, one scratch a worker.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Backend, Error, Info, LabelJob, Labels, Sink};
use crate::label::tier::Tier;
use crate::label::worker::{Method, Worker, WorkerError};
use crate::label::{Label, stored};
use crate::params::ScryptParams;
use crate::scan::{Hit, ScanJob};

/// Rows of scratch a worker fills per batch: about a third of a second's work.
const ROWS_PER_BATCH: u64 = 1 << 21;

/// Labels per worker and batch at most, so that a cheap label function does not ask for much memory.
const MAX_LABELS_PER_BATCH: u64 = 1 << 14;

/// Batches that a worker computes in one go.
const TASK_BATCHES: usize = 4;

/// Labels a worker scans at a time.
const SCAN_CHUNK: usize = 1 << 12;

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
}

impl Cpu {
    /// A pool of `threads` workers; 0 means one for each core.
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
        Ok(Self {
            info: Info { kind: "cpu", name: "CPU".into(), threads },
            pool,
            method: Method::new(Tier::best()),
            workers: Vec::new(),
            cost: None,
        })
    }

    /// Labels of one task of one worker: several batches, so that one can overlap the next.
    fn task_labels(&self) -> usize {
        self.method.batch() * TASK_BATCHES
    }

    fn batch_labels(&self, n: u32) -> u64 {
        let task = self.task_labels() as u64;
        let each = (ROWS_PER_BATCH / u64::from(n)).min(MAX_LABELS_PER_BATCH).next_multiple_of(task);
        each * self.info.threads as u64
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
        let task = self.task_labels();
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
        let batch = this.batch_labels(job.scrypt.n);
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
        let scan_chunk = |(chunk, labels): (usize, &[Label])| {
            let mut hits = Vec::new();
            crate::scan::portable::scan(job, first + (chunk * SCAN_CHUNK) as u64, labels, &mut hits);
            hits
        };
        // An ordered collect: chunks come back in the order of their labels, whichever worker was first.
        let found: Vec<Vec<Hit>> =
            self.pool.install(|| labels.par_chunks(SCAN_CHUNK).enumerate().map(scan_chunk).collect());
        hits.extend(found.into_iter().flatten());
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
