//! Ctrl-C and termination: the first asks the work to end at a safe point, a second one ends the process by force.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Whether someone asked for the end.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Starts listening.
pub(crate) fn listen() -> Result<()> {
    // Exiting from here is the point of a second signal: whoever sends it has waited long enough.
    #[allow(clippy::exit)]
    let on_signal = || {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(crate::INTERRUPTED));
        }
    };
    ctrlc::set_handler(on_signal).context("cannot listen for Ctrl-C")
}
