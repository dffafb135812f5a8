//! All ATXs a node knows, and what it takes to know one.

pub mod judge;
