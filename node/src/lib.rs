//! A lean node: takes proofs from provers, makes ATXs of them, agrees with other nodes on blocks, pays rewards.
//!
//! Today it holds what nodes say to each other: bytes, ids, signatures, the VRF, ATXs, PoETs. All of it is pure: no clock,
//! no randomness, no I/O. What will come is a state machine, `step(now, input) → effects`, with a shell around it that
//! owns clock, network and store.
//!
//! Imports point down this list.
#![forbid(unsafe_code)]

pub mod codec;

pub mod ids;

pub mod params;
pub mod time;

pub mod signature;

pub mod vrf;

pub mod atx;

pub mod archive;
pub mod source;

pub mod poet;

pub mod fraud;

pub mod atxs;

pub mod wire;

pub mod reconcile;

pub mod sync;

pub mod status;

pub mod fuzz;

pub mod env;
