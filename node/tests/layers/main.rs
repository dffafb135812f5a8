//! What nodes lack of layers: requests, answers, and the machine that asks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod answers;
mod exchange;
mod liars;
mod names;
mod things;
mod world;
