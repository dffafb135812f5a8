//! Hundreds of whole nodes in one process, from one seed: the very machine that a real node runs, with time, network,
//! disks, provers and a PoET that are simulated, and with liars among them.
//!
//! ```text
//! seed ─► plan ─► world: the next event ─► a node's step ─► effects ─► network, disk, miner's work ─► later events
//!                   │                                          ▲
//!                   └─► invariants, from what honest nodes     └ a liar's are changed on the way
//!                       keep, after every layer
//! ```
//! A seed means one story and no other: it gives the same digest over all that nodes did whenever it is run, so whatever
//! went wrong can be looked at again.

mod disk;
mod invariants;
pub(crate) mod liars;
mod member;
mod miner;
mod network;
mod plan;
mod report;
mod rng;
mod settings;
mod spending;
mod world;

pub use invariants::{Broken, Rule};
pub use report::{Meter, Report, Traffic, Work};
pub use settings::{Fault, Faults, Keys, NoFault, Settings};

/// Runs the world of a seed to its end. `meter` is told what is worked at, so that somebody with a clock can measure it.
#[must_use]
pub fn run(settings: &Settings, seed: u64, meter: &mut dyn Meter) -> Report {
    world::World::new(settings, seed).run(meter)
}

/// What a seed means, for people.
#[must_use]
pub fn story(settings: &Settings, seed: u64) -> Vec<String> {
    plan::Plan::new(settings, seed).story()
}
