//! Labels: jobs go up, ROMix runs over the scratch in launches of bounded length, labels come down.

use std::rc::Rc;

use ocl::core::{Kernel, Mem};
use post_core::identity::Commitment;
use post_core::label::{LABEL_BYTES, Label};
use shaders::opencl::{KECCAK, ROMIX};

use super::find::MAX_BUFFERS;
use super::queue::{Arg, Pending, Pinned, Queue};
use crate::device::{BLOCK, Shape, Trouble};

/// A commitment and an index.
const JOB_BYTES: usize = 40;

/// What ROMix works on, and a line of its table.
const STATE_BYTES: u64 = 128;

/// Rounds of Keccak's permutation, which its kernels are told so that no compiler unrolls them.
const KECCAK_ROUNDS: u32 = 24;

/// A device that was prepared for labels of one shape.
pub(super) struct Labels {
    queue: Rc<Queue>,
    shape: Shape,
    /// Of each label's table.
    lines: u32,
    expand: Kernel,
    fill: Kernel,
    walk: Kernel,
    compress: Kernel,
    scratch: Vec<Mem>,
    states: Mem,
    slots: [Slot; 2],
}

/// What one batch has for itself while the next one uses the same scratch.
struct Slot {
    jobs: Pinned,
    jobs_on_device: Mem,
    labels_on_device: Mem,
    labels: Pinned,
    /// The batch on its way: what to wait for, and how many labels it has.
    pending: Option<(Pending, usize)>,
}

impl Labels {
    /// Takes the memory and builds the kernels.
    pub(super) fn new(queue: &Rc<Queue>, shape: &Shape) -> Result<Self, Trouble> {
        check(shape)?;
        let lines = shape.n.div_ceil(shape.gap);
        let mut scratch = Vec::new();
        let mut left = shape.labels;
        while left > 0 {
            let labels = left.min(shape.labels_per_buffer);
            scratch.push(queue.buffer(u64::from(labels) * u64::from(lines) * STATE_BYTES)?);
            left -= labels;
        }
        let states = queue.buffer(u64::from(shape.labels) * STATE_BYTES)?;
        let slots = [Slot::new(queue, shape.labels)?, Slot::new(queue, shape.labels)?];
        let gap = format!("-D GAP={}", shape.gap);
        Ok(Self {
            queue: queue.clone(),
            shape: *shape,
            lines,
            expand: queue.kernel(KECCAK, "", "expand")?,
            fill: queue.kernel(ROMIX, &gap, "fill")?,
            walk: queue.kernel(ROMIX, &gap, "walk")?,
            compress: queue.kernel(KECCAK, "", "compress")?,
            scratch,
            states,
            slots,
        })
    }

    /// Queues a batch.
    pub(super) fn submit(
        &mut self,
        slot: usize,
        jobs: &[(Commitment, u64)],
        steps_per_submit: u32,
    ) -> Result<(), Trouble> {
        let at = slot;
        let slot = self.slots.get_mut(at).ok_or_else(super::unprepared)?;
        if jobs.len() > self.shape.labels as usize {
            return Err(super::unprepared());
        }
        if let Some((earlier, _)) = slot.pending.take() {
            earlier.wait()?;
        }
        slot.write_jobs(jobs);
        // An empty batch is a block of whatever jobs are there, of which none is handed out.
        let items = jobs.len().next_multiple_of(BLOCK as usize).max(BLOCK as usize);
        self.enqueue(at, items, jobs.len(), steps_per_submit.max(1)).inspect_err(|_| self.queue.finish())
    }

    /// Queues all commands of a batch whose jobs are in the slot.
    fn enqueue(&mut self, slot: usize, items: usize, count: usize, steps: u32) -> Result<(), Trouble> {
        let slot = self.slots.get_mut(slot).ok_or_else(super::unprepared)?;
        let queue = &self.queue;
        // SAFETY: this slot's memory isn't touched before its batch was waited for, and all of it is dropped only when
        // nothing is queued. Every buffer has room for `shape.labels` labels, which `items` doesn't exceed, since both are
        // multiples of a block; a line is below `lines`, since `walk` masks with n − 1 and `fill` stops at n.
        unsafe {
            let run = |kernel: &Kernel, args: &[Arg<'_>]| queue.run(kernel, args, items, BLOCK as usize);
            let (jobs, states) = (Arg::Buffer(&slot.jobs_on_device), Arg::Buffer(&self.states));
            queue.upload(&slot.jobs, &slot.jobs_on_device, count * JOB_BYTES)?;
            run(&self.expand, &[jobs, states, Arg::U32(KECCAK_ROUNDS)])?;
            for (kernel, mask) in [(&self.fill, None), (&self.walk, Some(self.shape.n - 1))] {
                for first in (0..self.shape.n).step_by(steps as usize) {
                    let end = first.saturating_add(steps).min(self.shape.n);
                    // Arguments that the scratch leaves over are given its first buffer and never used.
                    let tables = (0..MAX_BUFFERS).filter_map(|i| self.scratch.get(i).or(self.scratch.first()));
                    let mut args: Vec<_> = tables.map(Arg::Buffer).collect();
                    args.extend([states, Arg::U32(self.lines), Arg::U32(self.shape.labels_per_buffer)]);
                    args.extend([Arg::U32(first), Arg::U32(end)]);
                    args.extend(mask.map(Arg::U32));
                    run(kernel, &args)?;
                    queue.flush()?;
                }
            }
            let labels = Arg::Buffer(&slot.labels_on_device);
            run(&self.compress, &[jobs, states, labels, Arg::U32(KECCAK_ROUNDS)])?;
            let pending = queue.download(&slot.labels_on_device, &mut slot.labels, count.max(1) * LABEL_BYTES)?;
            slot.pending = Some((pending, count));
        }
        Ok(())
    }

    /// Waits for a batch.
    pub(super) fn collect(&mut self, slot: usize, labels: &mut Vec<Label>) -> Result<(), Trouble> {
        let slot = self.slots.get_mut(slot).ok_or_else(super::unprepared)?;
        let (pending, count) = slot.pending.take().ok_or_else(super::unprepared)?;
        pending.wait()?;
        labels.extend(slot.labels.bytes().as_chunks().0.iter().take(count));
        Ok(())
    }
}

impl Drop for Labels {
    fn drop(&mut self) {
        self.queue.finish();
    }
}

impl Slot {
    fn new(queue: &Rc<Queue>, labels: u32) -> Result<Self, Trouble> {
        let bytes = |each: usize| u64::from(labels) * each as u64;
        Ok(Self {
            jobs: queue.pinned(bytes(JOB_BYTES))?,
            jobs_on_device: queue.buffer(bytes(JOB_BYTES))?,
            labels_on_device: queue.buffer(bytes(LABEL_BYTES))?,
            labels: queue.pinned(bytes(LABEL_BYTES))?,
            pending: None,
        })
    }

    fn write_jobs(&mut self, jobs: &[(Commitment, u64)]) {
        let places = self.jobs.bytes_mut().as_chunks_mut::<JOB_BYTES>().0;
        for (place, (commitment, index)) in places.iter_mut().zip(jobs) {
            place[..32].copy_from_slice(&commitment.0);
            place[32..].copy_from_slice(&index.to_le_bytes());
        }
    }
}

/// Refuses what the kernels weren't written for.
fn check(shape: &Shape) -> Result<(), Trouble> {
    let blocks = |labels: u32| labels > 0 && labels.is_multiple_of(BLOCK);
    let fits = shape.n.is_power_of_two()
        && shape.n >= 2
        && matches!(shape.gap, 1 | 2 | 4)
        && blocks(shape.labels)
        && blocks(shape.labels_per_buffer)
        && shape.labels.div_ceil(shape.labels_per_buffer) as usize <= MAX_BUFFERS;
    if fits { Ok(()) } else { Err(Trouble::Unavailable { reason: format!("no kernel was written for {shape:?}") }) }
}
