//! Where labels come from and hits are found: one trait for the CPU and every GPU.
//!
//! A backend is a pure function, (commitment, index) → 16 B, and (labels, ciphers) → hits. What is decided from these,
//! the VRF nonce, spot checks, resuming, is written once above it.

pub mod checked;
pub mod cpu;
#[cfg(any(test, feature = "suite"))]
pub mod faulty;
pub mod pool;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

use std::ops::{ControlFlow, Range};

pub use crate::backend::cpu::Cpu;
use crate::identity::Commitment;
use crate::label::Label;
use crate::params::{ParamsError, ScryptParams};
use crate::scan::{Hit, ScanJob};

/// What a backend tells about itself.
#[derive(Clone, Debug)]
pub struct Info {
    /// `cpu`, `vulkan`, …
    pub kind: &'static str,
    /// Names the device on this machine, in messages and options: `cpu`, `vulkan:0`, `opencl:0:1`.
    pub id: String,
    /// For people: the device's name.
    pub name: String,
    /// Worker threads on this machine.
    pub threads: usize,
    /// Labels of mainnet's cost that it computes in one go. A hint: any job is right, but shorter ones may take as long.
    pub batch: u64,
    /// Labels that one scan should be given to keep it busy. A hint too.
    pub scan_batch: usize,
    /// For people: how labels are computed.
    pub labels: String,
    /// For people: how labels are scanned.
    pub scan: String,
}

/// Which labels to compute, and how costly they are.
pub struct LabelJob<'a> {
    /// Cost parameters of the network.
    pub scrypt: ScryptParams,
    /// The labels.
    pub labels: Labels<'a>,
}

/// A stretch of one set, or any labels of any sets.
pub enum Labels<'a> {
    /// The labels of one commitment with these indices.
    Range(Commitment, Range<u64>),
    /// Labels one by one; a verifier pools those of many proofs.
    List(&'a [(Commitment, u64)]),
}

impl Labels<'_> {
    /// The positions a sink is told: indices for a range, 0 … len for a list.
    #[must_use]
    pub fn positions(&self) -> Range<u64> {
        match self {
            Self::Range(_, indices) => indices.clone(),
            Self::List(list) => 0..list.len() as u64,
        }
    }

    /// What to compute at a position, which must be in [`Self::positions`].
    #[must_use]
    pub fn at(&self, position: u64) -> (Commitment, u64) {
        match self {
            Self::Range(commitment, _) => (*commitment, position),
            Self::List(list) => list[position as usize],
        }
    }
}

/// Why a device gave no labels or hits.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be opened.
    #[error("device {device} is not available: {reason}")]
    Unavailable {
        /// The device's id.
        device: String,
        /// Why, and what would help.
        reason: String,
    },
    /// It has less memory than the job needs.
    #[error(
        "device {device} has too little memory: {bytes} more bytes were needed; use fewer threads or another device"
    )]
    OutOfMemory {
        /// The device's id.
        device: String,
        /// What the failed request was for.
        bytes: u64,
    },
    /// It stopped answering.
    #[error(
        "device {device} was lost in the middle of the work; check its driver and power, then run the same command again"
    )]
    DeviceLost {
        /// The device's id.
        device: String,
    },
    /// It computed a label that the CPU computes differently.
    #[error(
        "device {device} computed a wrong label at index {index}; run the same command with another device, which replaces what this one made in this run; what it made in earlier runs is not known"
    )]
    Wrong {
        /// The device's id.
        device: String,
        /// Index of the wrong label.
        index: u64,
    },
    /// Labels that were to be copied can't be read, or are wrong.
    #[error("labels can't be copied: {reason}")]
    Source {
        /// Why, and what would help.
        reason: String,
    },
    /// The label function is not defined for these parameters.
    #[error(transparent)]
    Params(#[from] ParamsError),
}

impl Error {
    /// Whether the device must not be asked again in this process.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::DeviceLost { .. } | Self::Wrong { .. })
    }
}

/// Receives labels batch by batch: their positions (see [`Labels::positions`]) and the labels. `Break` ends the job early.
pub type Sink<'a> = dyn FnMut(Range<u64>, &[Label]) -> ControlFlow<()> + 'a;

/// A device that computes labels and scans them.
pub trait Backend: Send {
    /// What it is.
    fn info(&self) -> &Info;

    /// Computes the labels of `job` and hands them to `sink` in order, each batch while the next one is computed.
    ///
    /// # Errors
    /// Every [`Error`]. What `sink` got before is right nevertheless, unless it is [`Error::Wrong`]: then the batch with that
    /// label was held back, but what the same device made earlier is suspect, see [`Backend::suspects`].
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error>;

    /// Appends the hits of `labels` (the first has index `first`) in ascending order of (index, nonce).
    ///
    /// # Errors
    /// Every [`Error`]; `hits` is then of no use.
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error>;

    /// Says that the label at `index` of `commitment`, handed on just now, is wrong. Whoever made it is not asked again.
    /// Returns what [`Backend::label`] would have returned had it noticed.
    fn accuse(&mut self, commitment: &Commitment, index: u64) -> Error {
        let _ = commitment;
        Error::Wrong { device: self.info().id.clone(), index }
    }

    /// Waits for what is still under way though its job is over, and says whether a device lied in it: to be asked before
    /// what was handed on is said to be right. The error is told once only.
    ///
    /// # Errors
    /// [`Error::Wrong`].
    fn settle(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// After [`Error::Wrong`]: whether devices are left that did not lie. The same job may then be asked for again.
    fn others_left(&self) -> bool {
        false
    }

    /// After [`Error::Wrong`]: which labels of `commitment` the liars made, as indices, ascending; of all [`Labels::Range`]
    /// jobs, and told once only. They may be wrong and have to be made again. `None` means all that was handed on.
    fn suspects(&mut self, commitment: &Commitment) -> Option<Vec<Range<u64>>> {
        let _ = commitment;
        None
    }
}

/// The labels of a list, all at once. For the few labels of a proof or a spot check. When a device lies and others are
/// left, these make the whole list again.
///
/// # Errors
/// Every [`Error`] of the backend.
pub fn label_list(
    backend: &mut dyn Backend,
    scrypt: ScryptParams,
    list: &[(Commitment, u64)],
) -> Result<Vec<Label>, Error> {
    let mut labels = Vec::with_capacity(list.len());
    loop {
        labels.clear();
        let result = backend.label(&LabelJob { scrypt, labels: Labels::List(list) }, &mut |_, batch| {
            labels.extend_from_slice(batch);
            ControlFlow::Continue(())
        });
        match result {
            Ok(()) => return Ok(labels),
            Err(Error::Wrong { .. }) if backend.others_left() => {}
            Err(error) => return Err(error),
        }
    }
}
