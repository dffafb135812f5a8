//! A piece of a scan: labels up, one kernel, hits down.

use post_core::cipher::S_BOX;
use post_core::label::{LABEL_BYTES, Label};
use post_core::scan::ScanJob;
use wgpu::{BindGroup, Buffer, BufferUsages};

use super::gpu::{Download, Gpu};
use super::kernels::{Kernel, Kernels, dispatch, words};
use crate::device::Trouble;

/// Threads of a workgroup, as scan.wgsl has it.
const THREADS: u32 = 256;

/// Workgroups at most, enough for the largest device. Each fills its table once, and with many labels a thread takes
/// several, one after the other: lanes of different fortune even out.
const MAX_WORKGROUPS: u32 = 512;

/// Rounds of AES-128, without the last, which is another one.
const AES_ROUNDS: u32 = 9;

/// A hit, and what stands before the first: the count and a word of padding.
const HIT_BYTES: u64 = 8;

/// Memory and keys for pieces of one job.
pub(super) struct Scan {
    kernel: Kernel,
    groups: u32,
    msb: u32,
    lsb: u64,
    capacity: u32,
    slots: [Slot; 2],
}

/// What a piece needs for itself, so that the next one's labels can come up while it runs.
struct Slot {
    params: Buffer,
    labels: Buffer,
    room: usize,
    hits: Buffer,
    buffers: BindGroup,
    download: Download,
}

impl Scan {
    pub(super) fn new(
        gpu: &Gpu,
        kernels: &mut Kernels,
        job: &ScanJob<'_>,
        labels: usize,
        hits: usize,
    ) -> Result<Self, Trouble> {
        let kernel = kernels.scan(gpu)?;
        let written = BufferUsages::STORAGE | BufferUsages::COPY_DST;
        let (constants, keys) = (constants(job), keys(job));
        let upload = |name, bytes: &[u8]| {
            let buffer = gpu.buffer(name, bytes.len() as u64, written)?;
            gpu.checked(bytes.len() as u64, || gpu.queue.write_buffer(&buffer, 0, bytes))?;
            Ok(buffer)
        };
        let (constants, keys) = (upload("constants", &constants)?, upload("keys", &keys)?);
        let slot = || {
            let params = gpu.buffer("params", 32, BufferUsages::UNIFORM | BufferUsages::COPY_DST)?;
            let texts = gpu.buffer("labels", (labels.max(1) * LABEL_BYTES) as u64, written)?;
            let bytes = HIT_BYTES * (hits as u64 + 1);
            let hits = gpu.buffer("hits", bytes, written | BufferUsages::COPY_SRC)?;
            let buffers = kernel.bind(gpu, &[&params, &constants, &keys, &texts, &hits])?;
            Ok(Slot { params, labels: texts, room: labels, hits, buffers, download: Download::new(gpu, bytes)? })
        };
        let slots = [slot()?, slot()?];
        let difficulty = job.difficulty;
        Ok(Self {
            kernel,
            groups: job.groups.len() as u32,
            msb: difficulty.msb.into(),
            lsb: difficulty.lsb,
            capacity: hits as u32,
            slots,
        })
    }

    pub(super) fn submit(&mut self, gpu: &Gpu, slot: usize, labels: &[Label]) -> Result<(), Trouble> {
        let slot = &mut self.slots[slot % 2];
        let labels = &labels[..labels.len().min(slot.room)];
        let count = labels.len() as u32;
        let workgroups = count.div_ceil(THREADS).clamp(1, MAX_WORKGROUPS);
        // The order of the fields is that of `Params` in scan.wgsl.
        let params = words([
            count,
            workgroups * THREADS,
            self.groups,
            self.msb,
            self.lsb as u32,
            (self.lsb >> 32) as u32,
            self.capacity,
            AES_ROUNDS,
        ]);
        gpu.checked(labels.as_flattened().len() as u64, || {
            gpu.queue.write_buffer(&slot.params, 0, &params);
            gpu.queue.write_buffer(&slot.labels, 0, labels.as_flattened());
        })?;
        let (hits, buffers, pipeline) = (&slot.hits, &slot.buffers, &self.kernel.first);
        let groups = self.groups;
        slot.download.start(gpu, hits, hits.size(), |encoder| {
            encoder.clear_buffer(hits, 0, Some(HIT_BYTES));
            if groups > 0 {
                dispatch(encoder, pipeline, buffers, workgroups);
            }
        })
    }

    pub(super) fn collect(&mut self, gpu: &Gpu, slot: usize, found: &mut Vec<(u32, u32)>) -> Result<u32, Trouble> {
        let capacity = self.capacity;
        self.slots[slot % 2].download.finish(gpu, |bytes| {
            let mut pairs = bytes.as_chunks::<4>().0.as_chunks::<2>().0.iter().map(|pair| pair.map(u32::from_le_bytes));
            let count = pairs.next().map_or(0, |[count, _]| count);
            found.extend(pairs.take(count.min(capacity) as usize).map(|[offset, nonce]| (offset, nonce)));
            count
        })
    }
}

/// The AES table and the first nonce of each group.
fn constants(job: &ScanJob<'_>) -> Vec<u8> {
    let nonces = job.groups.iter().map(|group| group.group * post_core::cipher::NONCES_PER_GROUP);
    S_BOX.iter().map(|byte| table_word(*byte)).chain(nonces).flat_map(u32::to_le_bytes).collect()
}

/// What a byte of the first row adds to its column in MixColumns (FIPS 197, section 5.1.3): 2, 1, 1 and 3 times.
fn table_word(s: u8) -> u32 {
    let double = (s << 1) ^ ((s >> 7) * 0x1b);
    u32::from_le_bytes([double, s, s, double ^ s])
}

/// The expanded keys of each group's cipher and its lazy ones.
fn keys(job: &ScanJob<'_>) -> Vec<u8> {
    let ciphers =
        job.groups.iter().flat_map(|group| std::iter::once(group.cipher.round_keys()).chain(&group.lazy_keys));
    let mut keys = ciphers.flatten().flatten().copied().collect::<Vec<_>>();
    // A buffer can't be empty.
    keys.resize(keys.len().max(16), 0);
    keys
}
