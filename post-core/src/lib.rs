//! Proof of space-time: labels, the files they lie in, proofs that they are held, and verification.
//!
//! Data flows down this list, and so do imports:
//! identity → commitment → plan → labels (a backend) → drives → proof → verification.
#![deny(unsafe_code)]

pub mod params;

pub mod identity;

pub mod cipher;
pub mod difficulty;
pub mod index_packing;
pub mod label;
pub mod scan;
pub mod watch;

pub mod backend;

mod sys;
