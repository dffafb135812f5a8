//! The border between what we want of a GPU and how an API says it. Everything above it (batches, checks, tuning) is
//! written once in [`crate::engine`]; everything below it is one folder an API.

use post_core::identity::Commitment;
use post_core::label::Label;
use post_core::scan::ScanJob;

/// Labels of one workgroup: numbers of labels are multiples of it wherever memory is laid out.
pub const BLOCK: u32 = 64;

/// What a device is, as its driver tells.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `vulkan:0`, `metal:0`, `opencl:0:1` (platform, device). The same for the same device in every run.
    pub id: String,
    /// For people.
    pub name: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Whether the "device" is this machine's CPU (llvmpipe, PoCL on a CPU, …).
    pub software: bool,
    /// All of its memory; `None` where the API doesn't tell.
    pub memory_bytes: Option<u64>,
    /// Whether a screen may hang on it; false where unknown for server cards.
    pub has_display: bool,
    /// The largest buffer, and the largest part of one that a kernel may be given.
    pub max_buffer_bytes: u64,
    /// Buffers for scratch that one kernel can see, at least 1.
    pub max_buffers: u32,
}

/// How labels are laid out on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Cost of a label, a power of two.
    pub n: u32,
    /// Every `gap`-th line is kept, the others are recomputed: 1, 2 or 4.
    pub gap: u32,
    /// Labels in flight, a multiple of [`BLOCK`].
    pub labels: u32,
    /// A multiple of [`BLOCK`]; the scratch is ceil(labels / labels_per_buffer) buffers.
    pub labels_per_buffer: u32,
}

/// Why a device failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// A request for memory was refused.
    #[error("{bytes} more bytes of device memory were refused")]
    OutOfMemory {
        /// What the refused request was for.
        bytes: u64,
    },
    /// It stopped working.
    #[error("the device was lost: {reason}")]
    Lost {
        /// What its driver says.
        reason: String,
    },
    /// It can't do what is asked.
    #[error("{reason}")]
    Unavailable {
        /// Why, and what would help.
        reason: String,
    },
}

/// What one API does for us on one device. All calls come from one thread, the engine's device thread; a call may block
/// but must not spin.
pub(crate) trait Device {
    /// What it is.
    fn facts(&self) -> &Facts;

    /// Takes memory for labels of this shape (two slots of jobs and results), dropping what an earlier call took;
    /// compiles what is needed.
    ///
    /// # Errors
    /// Every [`Trouble`]. After [`Trouble::OutOfMemory`] a smaller shape may be asked for.
    fn prepare_labels(&mut self, shape: &Shape) -> Result<(), Trouble>;

    /// Queues all work of a batch (expand, fill, walk, compress, read-back) into slot 0 or 1, at most `steps_per_submit`
    /// of the N steps a submit, and returns without waiting for it. `jobs.len()` ≤ `shape.labels`. The other slot's batch
    /// may still be running: the queue is in order.
    ///
    /// # Errors
    /// Every [`Trouble`].
    fn submit_labels(&mut self, slot: usize, jobs: &[(Commitment, u64)], steps_per_submit: u32) -> Result<(), Trouble>;

    /// Waits for the batch of this slot and appends its labels.
    ///
    /// # Errors
    /// Every [`Trouble`]; `labels` is then of no use.
    fn collect_labels(&mut self, slot: usize, labels: &mut Vec<Label>) -> Result<(), Trouble>;

    /// Uploads keys and thresholds and takes memory for two slots of `labels` labels and `hits` hits each.
    ///
    /// # Errors
    /// Every [`Trouble`].
    fn prepare_scan(&mut self, job: &ScanJob<'_>, labels: usize, hits: usize) -> Result<(), Trouble>;

    /// Queues the scan of at most as many labels as were prepared for, and returns without waiting for it.
    ///
    /// # Errors
    /// Every [`Trouble`].
    fn submit_scan(&mut self, slot: usize, labels: &[Label]) -> Result<(), Trouble>;

    /// Waits for the scan of this slot; appends (offset of the label in the slot's labels, absolute nonce), in any order.
    /// Returns how many hits there were: if these are more than there was room for, `found` is of no use.
    ///
    /// # Errors
    /// Every [`Trouble`].
    fn collect_scan(&mut self, slot: usize, found: &mut Vec<(u32, u32)>) -> Result<u32, Trouble>;
}
