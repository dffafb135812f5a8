//! When the service ends: a signal, the process that it serves is gone, or it gave up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

use crate::stop;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks at signals between two looks at a process.
const PID_EVERY: u32 = 5;

/// Tells all threads that it is time.
#[derive(Default)]
pub(crate) struct Ending(AtomicBool);

impl Ending {
    /// Whether all work is to end, at the next safe point.
    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) || stop::requested()
    }

    /// Asks for it.
    pub(crate) fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Ctrl-C, or a request to terminate.
    Signal,
    /// The process that was watched.
    ProcessGone(u32),
}

/// Returns when there is a cause.
pub(crate) async fn cause(mut watched: Option<Watched>) -> Cause {
    for look in (0..PID_EVERY).cycle() {
        if stop::requested() {
            break;
        }
        if let Some(watched) = &mut watched
            && look == 0
            && !watched.is_running()
        {
            return Cause::ProcessGone(watched.pid);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Cause::Signal
}

/// A process without which there is nothing to do.
pub(crate) struct Watched {
    pid: u32,
    /// Numbers are given to new processes again; their start tells them apart. Seconds since 1970.
    started: u64,
    system: System,
}

impl Watched {
    /// A process that must be there.
    pub(crate) fn new(pid: u32) -> Result<Self> {
        let system = System::new().context("the system does not tell of its processes; leave --watch-pid out")?;
        let mut watched = Self { pid, started: 0, system };
        watched.started = watched
            .start()
            .with_context(|| format!("--watch-pid {pid}: there is no such process (any more), so nothing to serve"))?;
        Ok(watched)
    }

    fn is_running(&mut self) -> bool {
        self.start() == Some(self.started)
    }

    /// When it started; `None` for one that has ended, though its parent may not have asked for its end yet.
    fn start(&mut self) -> Option<u64> {
        let pid = Pid::from_u32(self.pid);
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
        let process = self.system.process(pid)?;
        let ended = matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead);
        (!ended).then(|| process.start_time())
    }
}
