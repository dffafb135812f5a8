//! Real connections on loopback: gossip, requests, limits, bans, the address book, a flood.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod addresses;
#[path = "../sync/atxs.rs"]
mod atxs;
mod bytes;
mod flood;
mod gossip;
mod intruder;
mod nodes;
mod requests;
