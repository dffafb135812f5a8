//! A lean node: takes proofs from provers, makes ATXs of them, agrees with other nodes on blocks, pays rewards.
//!
//! A node is one pure machine, [`node::Node`]: `step(now, input) → effects`, without clock, randomness or I/O. Around it is
//! a shell, [`run`], which owns clock, network and database ([`env`]).
//!
//! Imports point down this list.
#![forbid(unsafe_code)]

pub mod codec;

pub mod ids;

pub mod params;
pub mod time;

pub mod issuance;

pub mod vrf;

pub mod crypto;
pub mod signature;

pub mod atx;

pub mod archive;
pub mod source;

pub mod poet;

pub mod eligibility;

pub mod ballot;
pub mod block;
pub mod roster;
pub mod transaction;

pub mod beacon;
pub mod hare;
pub mod tortoise;

pub mod ledger;

pub mod mempool;

pub mod wallet;

pub mod fraud;

pub mod atxs;

pub mod wire;

pub mod reconcile;

pub mod sync;

pub mod layers;

pub mod consensus;

pub mod smeshing;

pub mod status;

pub mod fuzz;

pub mod node;
pub mod restore;

pub mod sim;

pub mod env;

pub mod run;
