//! Proof of space-time: labels, the files they lie in, proofs that they are held, and verification.
//!
//! Data flows down this list, and so do imports:
//! identity → commitment → plan → labels (a backend) → drives → proof → verification.
#![deny(unsafe_code)]

pub mod params;

pub mod identity;

pub mod plan;

pub mod tier;

mod aligned;
pub mod cipher;
pub mod difficulty;
pub mod index_packing;
pub mod label;
pub mod odds;
mod prefetch;
mod ranges;
pub mod scan;
pub mod watch;

pub mod backend;

pub mod vrf;

pub mod metadata;

pub mod drive;
mod sealed;

mod journal;
mod map;
mod sums;

mod reader;
mod resize;
pub mod set;

pub mod link;

mod copying;
pub mod init;

pub mod merge;

pub mod grow;

pub mod prune;

pub mod check;
pub mod nonce;

pub mod pow;

pub mod proof;

pub mod prove;

mod choice;
pub mod verify;

mod sys;
