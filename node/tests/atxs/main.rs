//! The machine that knows ATXs: real ATXs of a small network, good ones and bad ones.
#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod bad;
mod contradiction;
mod desk;
mod flood;
mod fraud;
mod golden;
mod good;
mod order;
mod world;
