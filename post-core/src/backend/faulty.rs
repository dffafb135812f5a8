//! A backend with faults, for tests: it lies, dies, stalls, is slow, or has no memory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Backend, Error, Info, LabelJob, Labels, Sink};
use crate::label::Label;
use crate::scan::{Hit, ScanJob};

/// What a faulty device did; shared with the test.
#[derive(Debug, Default)]
pub struct Deeds {
    /// Batches computed.
    pub batches: AtomicU64,
    /// Labels computed.
    pub labels: AtomicU64,
    /// Labels scanned.
    pub scanned: AtomicU64,
    /// Wrong labels among those computed.
    pub lies: AtomicU64,
}

impl Deeds {
    /// Labels computed so far.
    #[must_use]
    pub fn labels(&self) -> u64 {
        self.labels.load(Ordering::Relaxed)
    }

    /// Batches computed so far.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }
}

/// What goes wrong with the next batch or scan.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Dies,
    NoMemory,
    Panics,
    Stalls(Duration),
}

/// How it lies.
#[derive(Clone, Copy, Debug)]
struct Lie {
    one_in: u64,
    seed: u64,
    /// A label of zeros, which every search for a small label meets; else a large one, which hides from it.
    zeros: bool,
}

/// A backend whose labels come from another one, batch by batch, and go wrong as told.
pub struct Faulty {
    inner: Box<dyn Backend>,
    info: Info,
    batch: u64,
    lie: Option<Lie>,
    /// After so many batches and scans.
    ending: Option<(u64, Ending)>,
    /// For each label.
    delay: Duration,
    done: u64,
    deeds: Arc<Deeds>,
}

impl Faulty {
    /// A device that works as `inner` does, in batches of `batch` labels.
    pub fn new(id: &str, inner: Box<dyn Backend>, batch: u64) -> Self {
        let info = Info {
            id: id.into(),
            name: format!("faulty {id}"),
            batch,
            scan_batch: batch as usize,
            ..inner.info().clone()
        };
        let deeds = Arc::default();
        Self { inner, info, batch: batch.max(1), lie: None, ending: None, delay: Duration::ZERO, done: 0, deeds }
    }

    /// One label in `one_in`, by chance but the same for the same seed, is larger than it should be.
    #[must_use]
    pub fn lies(self, one_in: u64, seed: u64) -> Self {
        Self { lie: Some(Lie { one_in, seed, zeros: false }), ..self }
    }

    /// One label in `one_in` is all zeros.
    #[must_use]
    pub fn gives_zeros(self, one_in: u64, seed: u64) -> Self {
        Self { lie: Some(Lie { one_in, seed, zeros: true }), ..self }
    }

    /// Is lost after so many batches or scans.
    #[must_use]
    pub fn dies_after(self, batches: u64) -> Self {
        Self { ending: Some((batches, Ending::Dies)), ..self }
    }

    /// Has no memory left after so many batches or scans.
    #[must_use]
    pub fn out_of_memory_after(self, batches: u64) -> Self {
        Self { ending: Some((batches, Ending::NoMemory)), ..self }
    }

    /// Panics after so many batches or scans.
    #[must_use]
    pub fn panics_after(self, batches: u64) -> Self {
        Self { ending: Some((batches, Ending::Panics)), ..self }
    }

    /// Does nothing for so long after so many batches or scans, then dies.
    #[must_use]
    pub fn stalls_after(self, batches: u64, time: Duration) -> Self {
        Self { ending: Some((batches, Ending::Stalls(time))), ..self }
    }

    /// Takes so much longer for each label.
    #[must_use]
    pub fn slow(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// What it does, to be looked at while and after it does it.
    #[must_use]
    pub fn deeds(&self) -> Arc<Deeds> {
        self.deeds.clone()
    }

    /// Whether the label at this index is wrong.
    #[must_use]
    pub fn lies_at(&self, index: u64) -> bool {
        self.lie.is_some_and(|Lie { one_in, seed, .. }| {
            let mut hasher = DefaultHasher::new();
            (seed, index).hash(&mut hasher);
            hasher.finish().is_multiple_of(one_in.max(1))
        })
    }

    /// One batch or scan more, unless that is one too many.
    fn step(&mut self, labels: u64) -> Result<(), Error> {
        let device = self.info.id.clone();
        if let Some((after, ending)) = self.ending
            && self.done >= after
        {
            return Err(match ending {
                Ending::NoMemory => Error::OutOfMemory { device, bytes: 1 << 40 },
                Ending::Dies => Error::DeviceLost { device },
                // What a test tests is that a panic of a driver does no harm.
                #[expect(clippy::panic)]
                Ending::Panics => panic!("the faulty device {device} panics as told"),
                Ending::Stalls(time) => {
                    std::thread::sleep(time);
                    Error::DeviceLost { device }
                }
            });
        }
        self.done += 1;
        std::thread::sleep(self.delay * u32::try_from(labels).unwrap_or(u32::MAX));
        Ok(())
    }

    /// The labels of one batch, some of them wrong.
    fn compute(&mut self, job: &LabelJob<'_>, positions: &Range<u64>) -> Result<Vec<Label>, Error> {
        self.step(positions.end - positions.start)?;
        let labels = match &job.labels {
            Labels::Range(commitment, _) => Labels::Range(*commitment, positions.clone()),
            Labels::List(list) => Labels::List(&list[positions.start as usize..positions.end as usize]),
        };
        let mut batch = Vec::new();
        self.inner.label(&LabelJob { scrypt: job.scrypt, labels }, &mut |_, labels| {
            batch.extend_from_slice(labels);
            ControlFlow::Continue(())
        })?;
        for (position, label) in positions.clone().zip(&mut batch) {
            if self.lies_at(job.labels.at(position).1) {
                self.deeds.lies.fetch_add(1, Ordering::Relaxed);
                match self.lie {
                    Some(Lie { zeros: true, .. }) => *label = [0; 16],
                    _ => {
                        label[0] |= 0x80;
                        label[15] ^= 1;
                    }
                }
            }
        }
        self.deeds.batches.fetch_add(1, Ordering::Relaxed);
        self.deeds.labels.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(batch)
    }
}

impl Backend for Faulty {
    fn info(&self) -> &Info {
        &self.info
    }

    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        job.scrypt.check()?;
        let Range { start, end } = job.labels.positions();
        let mut at = start;
        while at < end {
            let positions = at..end.min(at.saturating_add(self.batch));
            at = positions.end;
            let labels = self.compute(job, &positions)?;
            if sink(positions, &labels).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.step(labels.len() as u64)?;
        self.deeds.scanned.fetch_add(labels.len() as u64, Ordering::Relaxed);
        self.inner.scan(job, first, labels, hits)
    }
}
