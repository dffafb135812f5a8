//! The server for provers against mock provers that know nothing but the .proto file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod cycle;
mod garbage;
mod leaks;
mod mock;
mod tls;
