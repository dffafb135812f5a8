//! The real world: what touches disks, clocks and networks.

pub mod provers;
pub mod store;
