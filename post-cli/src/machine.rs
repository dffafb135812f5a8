//! What this machine offers beside its GPUs: instructions, threads, memory.

use std::env::VarError;
use std::str::FromStr;

use anyhow::{Context, Result};
use post_core::backend::Cpu;
use post_core::label;
use post_core::label::worker::Method;
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

/// Threads for what runs on the CPU whatever device computes: as asked for, else one for each core.
pub(crate) fn threads(compute: &Compute) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    compute.threads.map_or_else(cores, usize::from)
}

/// The CPU, with the tiers that the environment forces.
pub(crate) fn open_cpu(compute: &Compute) -> Result<Cpu> {
    let (label_tier, scan_tier) = (forced_label_tier()?, forced_scan_tier()?);
    let mut cpu = Cpu::new(threads(compute))?;
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

/// RandomX on so many threads; `mode` as asked for, else by free memory. Also says why.
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

/// All memory of this machine, or of this container; unknown where the system does not tell.
pub(crate) fn all_memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let all = system.total_memory();
    let all = system.cgroup_limits().map_or(all, |limits| all.min(limits.total_memory));
    (all > 0).then_some(all)
}

/// What the processor calls itself.
pub(crate) fn cpu_name() -> String {
    let name = System::new().ok().and_then(|mut system| {
        system.refresh_cpu_all();
        system.cpus().first().map(|cpu| cpu.brand().trim().to_owned())
    });
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "CPU".into())
}
