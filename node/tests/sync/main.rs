//! Catching up: reconciliation of two archives, and the machine that does it with several peers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod atxs;
mod bytes;
mod crowds;
mod liars;
mod machine;
mod many;
mod names;
mod union;
mod walking;
mod witnesses;
mod world;
