//! All ATXs a node knows, and what it takes to know one.

mod judge;

pub use judge::{Dear, Judgement, PostClaim, VrfClaim};
