//! The real world: what touches disks, clocks and networks.

pub mod net;
pub mod store;
