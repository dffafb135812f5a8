//! The real world around the machines: threads, sockets, files, clocks.

pub mod checker;
