//! A lean node: takes proofs from provers, makes ATXs of them, agrees with other nodes on blocks, pays rewards.
//!
//! Nothing is here yet. It will be a pure state machine, `step(now, input) → effects`, with a shell around it that owns
//! clock, network and store.
#![forbid(unsafe_code)]
