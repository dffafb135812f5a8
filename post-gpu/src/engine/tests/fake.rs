//! A device that is this CPU, and fails in the ways that devices do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use post_core::difficulty::Difficulty;
use post_core::identity::Commitment;
use post_core::label::{Label, reference, stored};
use post_core::params::ScryptParams;
use post_core::scan::{self, NonceGroup, ScanJob};

use crate::budget::shape_bytes;
use crate::device::{Device, Facts, Shape, Trouble};

/// When something happens, counted in batches (or pieces of a scan) since the device was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum At {
    #[default]
    Never,
    From(usize),
}

impl At {
    fn is(self, batch: usize) -> bool {
        matches!(self, Self::From(first) if batch >= first)
    }
}

/// What is wrong with the device.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// Every label is wrong whose index is a multiple of `lie_every`.
    pub(super) lies: At,
    pub(super) lie_every: u64,
    pub(super) loses_a_label: At,
    pub(super) is_lost: At,
    pub(super) panics: At,
    pub(super) hangs_in_submit: At,
    pub(super) hangs_in_collect: At,
    /// It has this much memory, and says so when it is asked to prepare.
    pub(super) memory: Option<u64>,
    /// It has this much memory, and says so not before it is to work.
    pub(super) memory_at_work: Option<u64>,
    pub(super) hides_hits: At,
    pub(super) invents_hits: At,
    pub(super) counts_too_many_hits: At,
    /// The first batch, or piece, after each preparation takes longer by this.
    pub(super) compiles_at_work: Duration,
    /// Time of one label at gap 1, 2 and 4.
    pub(super) label_time: [Duration; 3],
}

/// What the test may look at.
#[derive(Default)]
pub(super) struct Log {
    /// Batches submitted.
    pub(super) submitted: AtomicUsize,
    /// Every shape that was prepared.
    pub(super) shapes: Mutex<Vec<Shape>>,
    /// What the longest submit kept the device busy for.
    pub(super) longest_submit: Mutex<Duration>,
}

pub(super) struct Fake {
    facts: Facts,
    faults: Faults,
    log: Arc<Log>,
    shape: Option<Shape>,
    /// What was prepared has not been used yet.
    fresh: bool,
    batches: usize,
    labels: [Vec<Label>; 2],
    scan: Option<(Vec<NonceGroup>, Difficulty, usize)>,
    pieces: usize,
    hits: [Vec<(u32, u32)>; 2],
}

/// Jobs of this commitment are those of a tune: nobody looks at the labels.
const TUNE: [Commitment; 2] = [Commitment([1; 32]), Commitment([2; 32])];

impl Fake {
    pub(super) fn new(faults: Faults, log: Arc<Log>) -> Self {
        let facts = Facts {
            id: "fake:0".into(),
            name: "a fake".into(),
            driver: "1.0".into(),
            software: false,
            memory_bytes: Some(1 << 40),
            has_display: false,
            max_buffer_bytes: (1 << 31) - 1,
            max_buffers: 128,
        };
        let (labels, hits) = Default::default();
        Self { facts, faults, log, shape: None, fresh: false, batches: 0, labels, scan: None, pieces: 0, hits }
    }

    fn compile(&mut self) {
        if std::mem::take(&mut self.fresh) {
            std::thread::sleep(self.faults.compiles_at_work);
        }
    }

    fn strike(&self, batch: usize) -> Result<(), Trouble> {
        if self.faults.is_lost.is(batch) {
            return Err(Trouble::Lost { reason: "it fell off the bus".into() });
        }
        // As a driver would: on the device's thread, in the middle of the work.
        assert!(!self.faults.panics.is(batch), "the fake driver panics");
        Ok(())
    }

    fn label(&self, batch: usize, n: u32, (commitment, index): &(Commitment, u64)) -> Label {
        if TUNE.contains(commitment) {
            return [0; 16];
        }
        let mut label = stored(&reference::full_label(commitment, *index, ScryptParams { n, r: 1, p: 1 }).unwrap());
        if self.faults.lies.is(batch) && index.is_multiple_of(self.faults.lie_every) {
            label[15] ^= 1;
        }
        label
    }
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

impl Device for Fake {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn prepare_labels(&mut self, shape: &Shape) -> Result<(), Trouble> {
        assert!(matches!(shape.gap, 1 | 2 | 4));
        assert!(shape.labels.is_multiple_of(64) && shape.labels_per_buffer.is_multiple_of(64));
        assert!(shape.labels.div_ceil(shape.labels_per_buffer) <= self.facts.max_buffers);
        self.shape = None;
        let bytes = shape_bytes(shape);
        if self.faults.memory.is_some_and(|memory| bytes > memory) {
            return Err(Trouble::OutOfMemory { bytes });
        }
        self.log.shapes.lock().unwrap().push(*shape);
        self.shape = Some(*shape);
        self.fresh = true;
        Ok(())
    }

    fn submit_labels(&mut self, slot: usize, jobs: &[(Commitment, u64)], steps_per_submit: u32) -> Result<(), Trouble> {
        let shape = self.shape.expect("the engine prepares before it submits");
        assert!(jobs.len() <= shape.labels as usize && !jobs.is_empty() && steps_per_submit > 0);
        assert!(self.labels[slot].is_empty(), "the engine collects before it submits to a slot again");
        let bytes = shape_bytes(&shape);
        if self.faults.memory_at_work.is_some_and(|memory| bytes > memory) {
            return Err(Trouble::OutOfMemory { bytes });
        }
        self.compile();
        let batch = self.batches;
        self.batches += 1;
        self.strike(batch)?;
        if self.faults.hangs_in_submit.is(batch) {
            hang();
        }
        self.labels[slot] = jobs.iter().map(|job| self.label(batch, shape.n, job)).collect();
        if self.faults.loses_a_label.is(batch) {
            self.labels[slot].pop();
        }
        let batch_time = self.faults.label_time[shape.gap.ilog2() as usize] * jobs.len() as u32;
        let submit = batch_time.mul_f64((f64::from(steps_per_submit) / (2.0 * f64::from(shape.n))).min(1.0));
        let mut longest = self.log.longest_submit.lock().unwrap();
        *longest = submit.max(*longest);
        self.log.submitted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn collect_labels(&mut self, slot: usize, labels: &mut Vec<Label>) -> Result<(), Trouble> {
        if self.faults.hangs_in_collect.is(self.batches - 1) {
            hang();
        }
        let gap = self.shape.map_or(1, |shape| shape.gap);
        let batch_time = self.faults.label_time[gap.ilog2() as usize] * self.labels[slot].len() as u32;
        // In parts: a process that is stopped while it sleeps does not sleep the longer for it.
        for _ in 0..16 {
            std::thread::sleep(batch_time / 16);
        }
        labels.append(&mut self.labels[slot]);
        Ok(())
    }

    fn prepare_scan(&mut self, job: &ScanJob<'_>, _labels: usize, hits: usize) -> Result<(), Trouble> {
        self.scan = Some((job.groups.iter().map(|group| (*group).clone()).collect(), job.difficulty, hits));
        self.fresh = true;
        Ok(())
    }

    fn submit_scan(&mut self, slot: usize, labels: &[Label]) -> Result<(), Trouble> {
        self.compile();
        let piece = self.pieces;
        self.pieces += 1;
        self.strike(piece)?;
        let (groups, difficulty, _) = self.scan.as_ref().expect("the engine prepares before it submits");
        let groups: Vec<_> = groups.iter().collect();
        let mut hits = Vec::new();
        scan::reference::scan(&ScanJob { groups: &groups, difficulty: *difficulty }, 0, labels, &mut hits);
        // A device is done with one label before another; the order is nobody's.
        self.hits[slot] = hits.iter().rev().map(|hit| (hit.index as u32, hit.nonce)).collect();
        if self.faults.hides_hits.is(piece) {
            self.hits[slot].clear();
        }
        if self.faults.invents_hits.is(piece) {
            self.hits[slot].push((labels.len() as u32, 0));
        }
        Ok(())
    }

    fn collect_scan(&mut self, slot: usize, found: &mut Vec<(u32, u32)>) -> Result<u32, Trouble> {
        if self.faults.hangs_in_collect.is(self.pieces - 1) {
            hang();
        }
        let (.., room) = self.scan.as_ref().expect("the engine prepares before it collects");
        let hits = std::mem::take(&mut self.hits[slot]);
        let count = if self.faults.counts_too_many_hits.is(self.pieces - 1) { usize::MAX } else { hits.len() };
        found.extend(hits.into_iter().take(*room));
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}
