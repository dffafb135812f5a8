//! A batch of labels: jobs up, four kernels, labels down.

use post_core::identity::Commitment;
use post_core::label::{LABEL_BYTES, Label};
use wgpu::{BindGroup, Buffer, BufferUsages, ComputePipeline};

use super::gpu::{Download, Gpu};
use super::kernels::{Kernel, Kernels, dispatch, words};
use crate::budget::{JOB_BYTES, LINE_BYTES};
use crate::device::{BLOCK, Shape, Trouble};

/// Permutations of `expand` and `compress`, and rounds of each.
const EXPAND_STEPS: u32 = 6;
const COMPRESS_STEPS: u32 = 5;
const KECCAK_ROUNDS: u32 = 24;

/// Memory for batches of one shape.
pub(super) struct Labels {
    shape: Shape,
    params: Buffer,
    jobs: Buffer,
    labels: Buffer,
    hash: Kernel,
    romix: Kernel,
    hash_buffers: BindGroup,
    romix_buffers: BindGroup,
    /// The only thing that two batches need twice: they run one after the other.
    downloads: [Download; 2],
    /// Jobs as the device wants them, kept to be filled again.
    packed: Vec<u8>,
}

impl Labels {
    /// `most` is the number of scratch buffers that all of the device's memory would be. There is a kernel for one buffer and
    /// one for that many, so that not every shape is compiled for.
    pub(super) fn new(gpu: &Gpu, kernels: &mut Kernels, shape: &Shape, most: u32) -> Result<Self, Trouble> {
        let buffers = shape.labels.div_ceil(shape.labels_per_buffer);
        let seen = if buffers == 1 { 1 } else { most.max(buffers) };
        let (hash, romix) = (kernels.hash(gpu)?, kernels.romix(gpu, seen, shape.gap)?);

        let written = BufferUsages::STORAGE | BufferUsages::COPY_DST;
        let count = u64::from(shape.labels);
        let mut scratch = scratch_labels(shape)
            .map(|labels| gpu.buffer("scratch", labels * lines(shape) * LINE_BYTES, BufferUsages::STORAGE))
            .collect::<Result<Vec<_>, _>>()?;
        for _ in buffers..seen {
            scratch.push(gpu.buffer("no scratch", LINE_BYTES, BufferUsages::STORAGE)?);
        }
        let states = gpu.buffer("states", count * LINE_BYTES, BufferUsages::STORAGE)?;
        let jobs = gpu.buffer("jobs", count * JOB_BYTES, written)?;
        let labels =
            gpu.buffer("labels", count * LABEL_BYTES as u64, BufferUsages::STORAGE | BufferUsages::COPY_SRC)?;
        let params = gpu.buffer("params", 32, BufferUsages::UNIFORM | BufferUsages::COPY_DST)?;
        let downloads =
            [Download::new(gpu, count * LABEL_BYTES as u64)?, Download::new(gpu, count * LABEL_BYTES as u64)?];

        let hash_buffers = hash.bind(gpu, &[&params, &states, &jobs, &labels])?;
        let mut bound = vec![&params, &states];
        bound.extend(&scratch);
        let romix_buffers = romix.bind(gpu, &bound)?;
        let shape = *shape;
        let packed = Vec::new();
        Ok(Self { shape, params, jobs, labels, hash, romix, hash_buffers, romix_buffers, downloads, packed })
    }

    pub(super) fn submit(
        &mut self,
        gpu: &Gpu,
        slot: usize,
        jobs: &[(Commitment, u64)],
        steps_per_submit: u32,
    ) -> Result<(), Trouble> {
        let count = jobs.len().min(self.shape.labels as usize) as u32;
        self.packed.clear();
        for (commitment, index) in &jobs[..count as usize] {
            self.packed.extend_from_slice(&commitment.0);
            self.packed.extend_from_slice(&index.to_le_bytes());
        }
        gpu.checked(self.packed.len() as u64, || gpu.queue.write_buffer(&self.jobs, 0, &self.packed))?;

        self.steps(gpu, count, &self.hash.first, &self.hash_buffers, EXPAND_STEPS, EXPAND_STEPS)?;
        self.steps(gpu, count, &self.romix.first, &self.romix_buffers, self.shape.n, steps_per_submit)?;
        self.steps(gpu, count, &self.romix.second, &self.romix_buffers, self.shape.n, steps_per_submit)?;

        self.set_params(gpu, count, 0, COMPRESS_STEPS)?;
        let bytes = u64::from(count) * LABEL_BYTES as u64;
        let (compress, buffers) = (&self.hash.second, &self.hash_buffers);
        self.downloads[slot % 2].start(gpu, &self.labels, bytes, |encoder| {
            dispatch(encoder, compress, buffers, count.div_ceil(BLOCK));
        })
    }

    pub(super) fn collect(&mut self, gpu: &Gpu, slot: usize, labels: &mut Vec<Label>) -> Result<(), Trouble> {
        self.downloads[slot % 2].finish(gpu, |bytes| labels.extend_from_slice(bytes.as_chunks().0))
    }

    /// All steps of a kernel, some a submit, so that the device can serve others (and the driver's watchdog) in between.
    fn steps(
        &self,
        gpu: &Gpu,
        count: u32,
        kernel: &ComputePipeline,
        buffers: &BindGroup,
        steps: u32,
        steps_per_submit: u32,
    ) -> Result<(), Trouble> {
        for first in (0..steps).step_by(steps_per_submit.max(1) as usize) {
            self.set_params(gpu, count, first, first.saturating_add(steps_per_submit.max(1)).min(steps))?;
            gpu.submit(|encoder| dispatch(encoder, kernel, buffers, count.div_ceil(BLOCK)))?;
        }
        Ok(())
    }

    /// The order of the fields is that of `Params` in common.wgsl.
    fn set_params(&self, gpu: &Gpu, count: u32, first: u32, end: u32) -> Result<(), Trouble> {
        let mask = self.shape.n.wrapping_sub(1);
        let groups_per_buffer = self.shape.labels_per_buffer / BLOCK;
        let params =
            words([count, first, end, mask, lines(&self.shape) as u32, groups_per_buffer.max(1), KECCAK_ROUNDS, 0]);
        gpu.checked(0, || gpu.queue.write_buffer(&self.params, 0, &params))
    }
}

/// Lines kept for a label.
fn lines(shape: &Shape) -> u64 {
    u64::from(shape.n.div_ceil(shape.gap))
}

/// Labels whose lines are in each buffer: as many as fit, the last one the rest.
fn scratch_labels(shape: &Shape) -> impl Iterator<Item = u64> {
    let (labels, each) = (shape.labels, shape.labels_per_buffer.max(1));
    (0..labels).step_by(each as usize).map(move |first| u64::from(each.min(labels - first)))
}
