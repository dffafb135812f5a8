//! What this machine offers: devices, instructions, threads, memory.

use std::env::VarError;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use post_core::backend::{Backend, Cpu};
use post_core::label;
use post_core::label::worker::Method;
use post_core::params::ScryptParams;
use post_core::pow::{LazyRandomX, Mode, Options};
use post_core::scan;
use sysinfo::System;

use crate::args::Compute;

/// Fast mode needs 2080 MiB for its dataset, 256 MiB for the cache, and the system should keep some.
pub(crate) const FAST_NEEDS: u64 = 3 << 30;

/// Forces the instructions that labels are computed with.
const LABEL_TIER: &str = "POST_LABEL_TIER";

/// Forces the instructions that labels are scanned with.
const SCAN_TIER: &str = "POST_SCAN_TIER";

/// Rows of ROMix from which measuring the best way pays: about ten seconds' work of one core.
const TUNE_FROM: u64 = 1 << 28;

/// Opens the devices asked for; none asked for means the CPU.
pub(crate) fn open_backend(compute: &Compute) -> Result<Box<dyn Backend>> {
    Ok(Box::new(open_cpu(compute)?))
}

/// The same, measured first if it is to compute many labels.
pub(crate) fn open_for_labels(compute: &Compute, scrypt: ScryptParams, labels: u64) -> Result<Box<dyn Backend>> {
    let mut cpu = open_cpu(compute)?;
    if labels.saturating_mul(u64::from(scrypt.n)) >= TUNE_FROM {
        cpu.tune(scrypt, forced_label_tier()?)?;
    }
    Ok(Box::new(cpu))
}

/// What computes labels, for people.
pub(crate) fn labels_with(backend: &dyn Backend) -> String {
    let info = backend.info();
    format!("labels on {}, threads: {}, instructions: {}", info.name, info.threads, info.labels)
}

/// What scans labels, for people.
pub(crate) fn scans_with(backend: &dyn Backend) -> String {
    let info = backend.info();
    format!("scanning on {}, threads: {}, instructions: {}", info.name, info.threads, info.scan)
}

/// The CPU, with the tiers that the environment forces.
pub(crate) fn open_cpu(compute: &Compute) -> Result<Cpu> {
    if let Some(unknown) = compute.devices.iter().find(|device| *device != "cpu") {
        bail!("unknown device `{unknown}`; this version computes on `cpu` only");
    }
    let (label_tier, scan_tier) = (forced_label_tier()?, forced_scan_tier()?);
    let mut cpu = Cpu::new(usize::from(compute.threads.unwrap_or(0)))?;
    if let Some(tier) = label_tier {
        cpu.set_method(Method::new(tier));
    }
    if let Some(tier) = scan_tier {
        cpu.set_scan_tier(tier);
    }
    Ok(cpu)
}

/// The tier that the environment names for labels.
pub(crate) fn forced_label_tier() -> Result<Option<label::tier::Tier>> {
    forced(LABEL_TIER)
}

/// The tier that the environment names for scans.
pub(crate) fn forced_scan_tier() -> Result<Option<scan::tier::Tier>> {
    forced(SCAN_TIER)
}

fn forced<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(variable: &str) -> Result<Option<T>> {
    match std::env::var(variable) {
        Err(VarError::NotPresent) => Ok(None),
        Ok(name) if name.is_empty() => Ok(None),
        Ok(name) => name.parse().map(Some).with_context(|| format!("{variable} can't be followed")),
        Err(error) => Err(error).with_context(|| format!("{variable} can't be read")),
    }
}

/// RandomX on as many threads as the backend; `mode` as asked for, else by free memory. Also says why.
pub(crate) fn randomx(mode: Option<Mode>, threads: usize) -> (LazyRandomX, String) {
    let free = free_memory();
    let gib = free as f64 / f64::from(1 << 30);
    let (mode, why) = match mode {
        Some(mode) => (mode, "as asked for".to_owned()),
        None if free >= FAST_NEEDS => (Mode::Fast, format!("{gib:.1} GiB of memory are free")),
        None => (Mode::Light, format!("only {gib:.1} GiB of memory are free, fast mode wants 3")),
    };
    let name = match mode {
        Mode::Fast => "fast mode (its dataset is built when the work is worth it)",
        Mode::Light => "light mode",
    };
    (LazyRandomX::new(Options::new(mode, threads)), format!("RandomX {name}: {why}"))
}

/// Bytes that can be had without swapping; inside a container, of its share.
pub(crate) fn free_memory() -> u64 {
    // A system that does not tell counts as one that has none free: light mode works everywhere.
    let Ok(mut system) = System::new() else {
        return 0;
    };
    system.refresh_memory();
    let free = system.available_memory();
    system.cgroup_limits().map_or(free, |limits| free.min(limits.free_memory))
}
