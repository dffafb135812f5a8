//! The smeshing machine in a small simulated world: fake provers, a fake PoET, virtual time.

mod calendar;
mod crashes;
mod disturbances;
mod misfits;
mod provers;
mod world;
