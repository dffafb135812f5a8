//! `post-node`: a lean node.
#![forbid(unsafe_code)]

fn main() {}
