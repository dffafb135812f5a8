//! Vulkan, and Metal on macOS, through wgpu.
//!
//! wgpu loads the API's library when it is first asked, so a machine without one is no error at start. Errors reach us by
//! scopes and a callback; what still panics in there unwinds the device thread, and no further.

mod adapters;
mod gpu;
mod kernels;
mod labels;
mod scan;

use post_core::identity::Commitment;
use post_core::label::Label;
use post_core::scan::ScanJob;

pub(crate) use self::adapters::{API, devices, leave_the_order_alone, open};
use self::gpu::Gpu;
use self::kernels::Kernels;
use self::labels::Labels;
use self::scan::Scan;
use crate::device::{Device, Facts, Shape, Trouble};

/// One adapter, opened.
struct Wgpu {
    facts: Facts,
    gpu: Gpu,
    kernels: Kernels,
    labels: Option<Labels>,
    scan: Option<Scan>,
}

impl Wgpu {
    fn labels(&mut self) -> Result<(&Gpu, &mut Labels), Trouble> {
        let labels = self.labels.as_mut().ok_or_else(|| unprepared("labels"))?;
        Ok((&self.gpu, labels))
    }

    fn scan(&mut self) -> Result<(&Gpu, &mut Scan), Trouble> {
        let scan = self.scan.as_mut().ok_or_else(|| unprepared("a scan"))?;
        Ok((&self.gpu, scan))
    }
}

fn unprepared(what: &str) -> Trouble {
    Trouble::Unavailable { reason: format!("{what} were asked of a device that was not prepared for them") }
}

impl Device for Wgpu {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn prepare_labels(&mut self, shape: &Shape) -> Result<(), Trouble> {
        // The old memory goes first: both together might not fit.
        self.labels = None;
        self.gpu.settle()?;
        let memory = self.facts.memory_bytes.unwrap_or(u64::MAX);
        let most = memory.div_ceil(self.facts.max_buffer_bytes.max(1)).min(self.facts.max_buffers.into());
        self.labels = Some(Labels::new(&self.gpu, &mut self.kernels, shape, most as u32)?);
        Ok(())
    }

    fn submit_labels(&mut self, slot: usize, jobs: &[(Commitment, u64)], steps_per_submit: u32) -> Result<(), Trouble> {
        let (gpu, labels) = self.labels()?;
        labels.submit(gpu, slot, jobs, steps_per_submit)
    }

    fn collect_labels(&mut self, slot: usize, labels: &mut Vec<Label>) -> Result<(), Trouble> {
        let (gpu, device) = self.labels()?;
        device.collect(gpu, slot, labels)
    }

    fn prepare_scan(&mut self, job: &ScanJob<'_>, labels: usize, hits: usize) -> Result<(), Trouble> {
        self.scan = None;
        self.gpu.settle()?;
        self.scan = Some(Scan::new(&self.gpu, &mut self.kernels, job, labels, hits)?);
        Ok(())
    }

    fn submit_scan(&mut self, slot: usize, labels: &[Label]) -> Result<(), Trouble> {
        let (gpu, scan) = self.scan()?;
        scan.submit(gpu, slot, labels)
    }

    fn collect_scan(&mut self, slot: usize, found: &mut Vec<(u32, u32)>) -> Result<u32, Trouble> {
        let (gpu, scan) = self.scan()?;
        scan.collect(gpu, slot, found)
    }
}
