//! One open device: memory, submits and waits, with wgpu's ways of failing turned into [`Trouble`].

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wgpu::{Buffer, BufferUsages, CommandEncoder, ErrorFilter, PollType, SubmissionIndex};

use crate::device::Trouble;

/// A wait ends after this at the latest. The engine gives up on a device much earlier; this only frees the thread.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The device and its one queue.
pub(super) struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// What the driver said when it lost the device, or of an error that no scope caught.
    lost: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Opens the adapter with all the room its driver offers.
    pub(super) fn open(adapter: &wgpu::Adapter) -> Result<Self, Trouble> {
        let wanted = wgpu::DeviceDescriptor {
            label: None,
            required_features: wgpu::Features::empty(),
            required_limits: adapter.limits(),
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&wanted))
            .map_err(|e| Trouble::Unavailable { reason: format!("its driver refused to open it: {e}") })?;
        let lost = Arc::new(Mutex::new(None));
        let note = |lost: &Mutex<Option<String>>, reason: String| {
            lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        };
        let told = Arc::clone(&lost);
        device.set_device_lost_callback(move |_, reason| note(&told, reason));
        let told = Arc::clone(&lost);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| note(&told, error.to_string())));
        Ok(Self { device, queue, lost })
    }

    /// Does something that may ask for `bytes` of memory, with its errors caught.
    pub(super) fn checked<T>(&self, bytes: u64, action: impl FnOnce() -> T) -> Result<T, Trouble> {
        let memory = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(ErrorFilter::Internal);
        let invalid = self.device.push_error_scope(ErrorFilter::Validation);
        let done = action();
        let invalid = pollster::block_on(invalid.pop());
        let internal = pollster::block_on(internal.pop());
        if pollster::block_on(memory.pop()).is_some() {
            return Err(Trouble::OutOfMemory { bytes });
        }
        self.alive()?;
        match invalid.or(internal) {
            Some(error) => Err(Trouble::Unavailable { reason: error.to_string() }),
            None => Ok(done),
        }
    }

    fn alive(&self) -> Result<(), Trouble> {
        match &*self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(reason) => Err(Trouble::Lost { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    pub(super) fn buffer(&self, label: &str, bytes: u64, usage: BufferUsages) -> Result<Buffer, Trouble> {
        let wanted = wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
        self.checked(bytes, || self.device.create_buffer(&wanted))
    }

    /// Records commands and queues them. What was written to buffers before is seen by them.
    pub(super) fn submit(&self, record: impl FnOnce(&mut CommandEncoder)) -> Result<SubmissionIndex, Trouble> {
        self.checked(0, || {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
            record(&mut encoder);
            self.queue.submit([encoder.finish()])
        })
    }

    /// Sleeps until this submission is done.
    fn wait(&self, submission: SubmissionIndex) -> Result<(), Trouble> {
        let wait = PollType::Wait { submission_index: Some(submission), timeout: Some(LONGEST_WAIT) };
        let waited = self.checked(0, || self.device.poll(wait))?;
        waited.map(|_| ()).map_err(|e| Trouble::Lost { reason: e.to_string() })
    }

    /// Waits for all that is queued, and frees the memory of what was dropped.
    pub(super) fn settle(&self) -> Result<(), Trouble> {
        let wait = PollType::Wait { submission_index: None, timeout: Some(LONGEST_WAIT) };
        let waited = self.checked(0, || self.device.poll(wait))?;
        waited.map(|_| ()).map_err(|e| Trouble::Lost { reason: e.to_string() })
    }
}

/// Memory through which results come back.
pub(super) struct Download {
    buffer: Buffer,
    pending: Option<Pending>,
}

/// What is on its way.
struct Pending {
    submission: SubmissionIndex,
    bytes: u64,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Download {
    pub(super) fn new(gpu: &Gpu, bytes: u64) -> Result<Self, Trouble> {
        let buffer = gpu.buffer("download", bytes, BufferUsages::COPY_DST | BufferUsages::MAP_READ)?;
        Ok(Self { buffer, pending: None })
    }

    /// Queues the copy of the first `bytes` of `from`, after `record`ing what makes them.
    pub(super) fn start(
        &mut self,
        gpu: &Gpu,
        from: &Buffer,
        bytes: u64,
        record: impl FnOnce(&mut CommandEncoder),
    ) -> Result<(), Trouble> {
        // A buffer that is still mapped can't be written to. What nobody collected is of no use to anybody.
        if self.pending.is_some() {
            self.finish(gpu, |_| ())?;
        }
        let submission = gpu.submit(|encoder| {
            record(encoder);
            encoder.copy_buffer_to_buffer(from, 0, &self.buffer, 0, bytes);
        })?;
        let (told, mapped) = mpsc::channel();
        gpu.checked(0, || {
            self.buffer.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| {
                // Nobody listens any more if the device was given up meanwhile.
                let _ = told.send(result);
            });
        })?;
        self.pending = Some(Pending { submission, bytes, mapped });
        Ok(())
    }

    /// Waits for the bytes and shows them to `read`.
    pub(super) fn finish<T>(&mut self, gpu: &Gpu, read: impl FnOnce(&[u8]) -> T) -> Result<T, Trouble> {
        let Pending { submission, bytes, mapped } = self
            .pending
            .take()
            .ok_or_else(|| Trouble::Unavailable { reason: "results were asked for that were never queued".into() })?;
        gpu.wait(submission)?;
        match mapped.try_recv() {
            Ok(Ok(())) => {}
            _ => return Err(Trouble::Lost { reason: "its results could not be read back".into() }),
        }
        let read = gpu.checked(0, || self.buffer.slice(..bytes).get_mapped_range().map(|bytes| read(&bytes)))?;
        self.buffer.unmap();
        read.map_err(|e| Trouble::Lost { reason: format!("its results could not be read back: {e}") })
    }
}
