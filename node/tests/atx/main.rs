//! ATXs: what their bytes and ids are, and what breaks them.
#![allow(clippy::unwrap_used)]

mod golden;
mod id;
mod mutations;
mod samples;
mod syntax;
