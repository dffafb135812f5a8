//! The real world: what touches disks, clocks and networks.

pub mod checker;
pub mod store;
