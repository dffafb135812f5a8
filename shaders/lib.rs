//! The GPU kernels as text: WGSL for Vulkan and Metal, OpenCL C.
//!
//! The sources are a crate of their own, because a package can't include files of another one. Every kernel here has a
//! readable twin in `post-core` that judges it.
#![forbid(unsafe_code)]

#[path = "wgsl/wgsl.rs"]
pub mod wgsl;
