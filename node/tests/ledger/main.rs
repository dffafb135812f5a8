//! The ledger, as whoever applies blocks sees it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod conservation;
mod kept;
mod linear;
mod rules;
mod share;
mod speed;
mod world;
