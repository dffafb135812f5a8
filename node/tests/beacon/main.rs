//! Machines that agree on a beacon, alone and among others, with liars.
#![allow(clippy::unwrap_used, clippy::panic)]

mod agreement;
mod liars;
mod rules;
mod world;
