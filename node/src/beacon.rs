//! The beacon: four bytes that nobody could know, agreed on an epoch ahead (NODE.md section 6).

mod message;

pub use message::{BeaconMessage, BeaconVote, Candidate, MAX_CANDIDATES};
