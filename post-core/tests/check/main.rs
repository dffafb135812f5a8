//! Checks and repairs of sets that disks, devices and people damaged.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod finds;
mod repairs;
mod support;
