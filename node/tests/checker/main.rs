//! The checker: what it says of messages and jobs, one by one, together, and under a flood.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod flood;
mod jobs;
mod judge;
#[path = "../atx/samples.rs"]
#[allow(dead_code)]
mod samples;
mod sieve;
mod support;
mod threads;
