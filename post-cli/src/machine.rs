//! What this machine offers: devices, threads, memory.

use anyhow::{Result, bail};
use post_core::backend::{Backend, Cpu};
use post_core::pow::{LazyRandomX, Mode, Options};
use sysinfo::System;

use crate::args::Compute;

/// Fast mode needs 2080 MiB for its dataset, 256 MiB for the cache, and the system should keep some.
const FAST_NEEDS: u64 = 3 << 30;

/// Opens the devices asked for; none asked for means the CPU.
pub(crate) fn open_backend(compute: &Compute) -> Result<Box<dyn Backend>> {
    if let Some(unknown) = compute.devices.iter().find(|device| *device != "cpu") {
        bail!("unknown device `{unknown}`; this version computes on `cpu` only");
    }
    Ok(Box::new(Cpu::new(usize::from(compute.threads.unwrap_or(0)))?))
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
    (LazyRandomX::new(Options { mode, threads }), format!("RandomX {name}: {why}"))
}

/// Bytes that can be had without swapping; inside a container, of its share.
fn free_memory() -> u64 {
    // A system that does not tell counts as one that has none free: light mode works everywhere.
    let Ok(mut system) = System::new() else {
        return 0;
    };
    system.refresh_memory();
    let free = system.available_memory();
    system.cgroup_limits().map_or(free, |limits| free.min(limits.free_memory))
}
