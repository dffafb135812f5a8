//! Who is drawn, and Hare: many machines, a network that delays, and liars. Everything follows from a seed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod eligibility;
mod grades;
mod honest;
mod liars;
mod world;
