//! The smeshing machine in a small simulated world: fake provers, a fake PoET, virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod calendar;
mod crashes;
mod disturbances;
mod known;
mod misfits;
mod provers;
mod weather;
mod world;
