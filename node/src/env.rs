//! The real world: what touches disks, clocks and networks.

pub mod checker;
pub mod net;
pub mod poet;
pub mod provers;
pub mod store;
