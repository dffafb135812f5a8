//! A label job in batches: while one is handed on, the next one runs and the one after it is queued.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use post_core::backend::checked::spot_check;
use post_core::backend::{Error, LabelJob, Sink};
use post_core::identity::Commitment;
use post_core::label::Label;

use super::thread::Answer;
use super::{Failure, GpuBackend, PreparedLabels, Timing};
use crate::budget::{self, SHORTEST_MEASURE};
use crate::device::{BLOCK, Shape, Trouble};

/// Batches that the device knows of at a time, one a slot.
const SLOTS: usize = 2;

/// Memory is taken anew in the middle of a job when batches turn out so many times too small.
const OUTGROWN: u32 = 2;

/// One batch on its way.
struct Batch {
    positions: Range<u64>,
    slot: usize,
    submitted: Answer<Instant>,
    /// Asked for when it is the oldest one.
    labels: Option<Answer<(Vec<Label>, Instant)>>,
}

/// What is on its way, and what is still to be sent.
struct Flight<'a, 'b> {
    job: &'a LabelJob<'b>,
    batches: VecDeque<Batch>,
    next: u64,
    end: u64,
    sent: usize,
    /// When the first batch began.
    begun: Option<Instant>,
}

impl GpuBackend {
    /// Computes the job's labels, with less memory each time the device runs out of it, and with more when it turns out
    /// to be fast.
    pub(super) fn run_labels(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let Range { start, end } = job.labels.positions();
        let mut delivered = start;
        loop {
            let shape = self.prepare_labels(job.scrypt.n, end - delivered)?;
            match self.run_batches(job, &mut delivered, end, sink) {
                Err(Failure::Trouble(trouble @ Trouble::OutOfMemory { .. })) => self.shrink(&shape, trouble)?,
                Err(failure) => return Err(failure),
                Ok(ControlFlow::Continue(())) if delivered < end => {}
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Memory for at least `count` labels, or for as many as a batch should have.
    pub(super) fn prepare_labels(&mut self, n: u32, count: u64) -> Result<Shape, Failure> {
        loop {
            let wanted = self.wanted_shape(n, count)?;
            if let Some(PreparedLabels { shape, .. }) = &self.labels
                && (shape.n, shape.gap, shape.labels_per_buffer) == (n, wanted.gap, wanted.labels_per_buffer)
                && shape.labels >= wanted.labels
            {
                return Ok(*shape);
            }
            match self.take_memory(wanted) {
                Err(trouble @ Trouble::OutOfMemory { .. }) => self.shrink(&wanted, trouble)?,
                done => return Ok(done.map(|()| wanted)?),
            }
        }
    }

    /// Prepares the device for exactly this shape.
    pub(super) fn take_memory(&mut self, shape: Shape) -> Result<(), Trouble> {
        self.labels = None;
        self.thread.call(self.limits.compile, move |device| device.prepare_labels(&shape))?;
        self.labels = Some(PreparedLabels { shape, pace: None, fresh: true });
        Ok(())
    }

    fn wanted_shape(&self, n: u32, count: u64) -> Result<Shape, Trouble> {
        if let Some(forced) = self.settings.forced {
            let labels = forced.labels.min(u32::try_from(count).unwrap_or(u32::MAX)).next_multiple_of(BLOCK);
            return Ok(Shape { n, gap: forced.gap, labels, labels_per_buffer: forced.labels_per_buffer });
        }
        let most = self.tuning.as_ref().map_or(u64::MAX, |tuning| tuning.labels_at(n));
        let labels = count.min(most).min(self.rates.batch_labels(n));
        // Where N is so large that a workgroup's lines don't fit, fewer lines may.
        let gaps = [self.gap(), 2, 4];
        gaps.iter().find_map(|gap| budget::shape(&self.facts, self.memory, n, *gap, labels)).ok_or_else(|| {
            let bytes = u64::from(n) / 4 * u64::from(BLOCK) * budget::LINE_BYTES;
            Trouble::OutOfMemory { bytes }
        })
    }

    /// Runs the batches from `delivered` on, and moves it along. Whatever happens, no batch is left in the device. `Break`
    /// if the sink wants no more; `Continue` before `end` if there should be more labels in flight.
    fn run_batches(
        &mut self,
        job: &LabelJob<'_>,
        delivered: &mut u64,
        end: u64,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>, Failure> {
        let mut flight = Flight { job, batches: VecDeque::new(), next: *delivered, end, sent: 0, begun: None };
        let done = self.deliver(&mut flight, delivered, sink);
        let lost = matches!(done, Err(Failure::Trouble(Trouble::Lost { .. })));
        for batch in flight.batches.drain(..).filter(|_| !lost) {
            // Its labels are of no use any more; only a device that does not even end its work is worth a word.
            let expected = self.batch_time(&batch.positions);
            if let Err(trouble @ Trouble::Lost { .. }) = self.land(batch, expected) {
                return done.and(Err(trouble.into()));
            }
        }
        done
    }

    fn deliver(
        &mut self,
        flight: &mut Flight<'_, '_>,
        delivered: &mut u64,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>, Failure> {
        let (n, first) = (flight.job.scrypt.n, *delivered);
        let mut before = None;
        loop {
            self.send(flight);
            let Some(batch) = flight.batches.pop_front() else { return Ok(ControlFlow::Continue(())) };
            let positions = batch.positions.clone();
            let (labels, timing) = self.land(batch, self.batch_time(&positions))?;
            self.note_pace(timing.taken(before), labels.len());
            before = Some(timing.done);
            // All of the flight is measured: when one batch ends is often told late, and then the next one looks short.
            let begun = *flight.begun.get_or_insert(timing.begun);
            self.rates.raise_steps(n, positions.end - first, timing.done.saturating_duration_since(begun));
            if self.outgrown(n, flight.end - flight.next) {
                flight.end = flight.next;
            }
            // The device gets its next work before this thread turns to anything else.
            self.send(flight);
            check(flight.job, &positions, &labels)?;
            *delivered = positions.end;
            if sink(positions, &labels).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Whether a batch of the `count` labels that are still to be sent should have far more of them than there is memory for.
    fn outgrown(&self, n: u32, count: u64) -> bool {
        let now = self.labels.as_ref().map_or(u32::MAX, |prepared| prepared.shape.labels);
        self.wanted_shape(n, count).is_ok_and(|wanted| wanted.labels / OUTGROWN >= now)
    }

    /// Fills the slots, and asks for the labels of the oldest batch.
    fn send(&self, flight: &mut Flight<'_, '_>) {
        let Some(prepared) = &self.labels else { return };
        let (shape, n) = (prepared.shape, flight.job.scrypt.n);
        let forced = self.settings.forced.and_then(|forced| forced.steps_per_submit);
        while flight.batches.len() < SLOTS && flight.next < flight.end {
            let positions = flight.next..flight.next.saturating_add(shape.labels.into()).min(flight.end);
            let jobs: Vec<(Commitment, u64)> = positions.clone().map(|at| flight.job.labels.at(at)).collect();
            let steps = forced.unwrap_or_else(|| self.steps_per_submit(n, jobs.len() as u32));
            let slot = flight.sent % SLOTS;
            let submitted = self.thread.begin(move |device| {
                let begun = Instant::now();
                device.submit_labels(slot, &jobs, steps).map(|()| begun)
            });
            flight.next = positions.end;
            flight.sent += 1;
            flight.batches.push_back(Batch { positions, slot, submitted, labels: None });
        }
        if let Some(oldest) = flight.batches.front_mut() {
            let slot = oldest.slot;
            oldest.labels.get_or_insert_with(|| self.ask(slot));
        }
    }

    fn ask(&self, slot: usize) -> Answer<(Vec<Label>, Instant)> {
        self.thread.begin(move |device| {
            let mut labels = Vec::new();
            device.collect_labels(slot, &mut labels)?;
            Ok((labels, Instant::now()))
        })
    }

    /// Waits for a batch that should take `expected`.
    fn land(&mut self, batch: Batch, expected: Duration) -> Result<(Vec<Label>, Timing), Trouble> {
        let mut left = self.patience(expected);
        if let Some(prepared) = &mut self.labels
            && std::mem::take(&mut prepared.fresh)
        {
            left += self.limits.compile;
        }
        let begun = self.thread.wait(batch.submitted, &mut left)?;
        let labels = batch.labels.unwrap_or_else(|| self.ask(batch.slot));
        let (labels, done) = self.thread.wait(labels, &mut left)?;
        let expected = batch.positions.end - batch.positions.start;
        if labels.len() as u64 != expected {
            let reason = format!("it gave {} labels where {expected} were asked for", labels.len());
            return Err(Trouble::Unavailable { reason });
        }
        Ok((labels, Timing { begun, done }))
    }

    /// How long these labels should take.
    fn batch_time(&self, positions: &Range<u64>) -> Duration {
        match &self.labels {
            Some(PreparedLabels { pace: Some(pace), .. }) => *pace,
            Some(PreparedLabels { shape, .. }) => self.rates.batch_time(shape.n, positions.end - positions.start),
            None => Duration::ZERO,
        }
    }

    fn steps_per_submit(&self, n: u32, labels: u32) -> u32 {
        let mut rates = self.rates;
        if let Some(PreparedLabels { pace: Some(pace), shape, .. }) = &self.labels {
            rates.steps = f64::from(shape.labels) * f64::from(n) / pace.as_secs_f64();
        }
        rates.steps_per_submit(n, labels)
    }

    fn note_pace(&mut self, taken: Duration, labels: usize) {
        if let Some(prepared) = &mut self.labels
            && labels == prepared.shape.labels as usize
            && taken >= SHORTEST_MEASURE
        {
            prepared.pace = Some(taken);
        }
    }
}

/// Recomputes one of the labels on this CPU.
pub(super) fn check(job: &LabelJob<'_>, positions: &Range<u64>, labels: &[Label]) -> Result<(), Failure> {
    // Which device it was is said by `error`, once for all failures.
    spot_check(job, positions, labels, "").map_err(|error| match error {
        Error::Wrong { index, .. } => Failure::Wrong(index),
        other => Trouble::Unavailable { reason: other.to_string() }.into(),
    })
}
