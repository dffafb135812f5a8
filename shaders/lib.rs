//! The GPU kernels as text: WGSL for Vulkan and Metal, OpenCL C.
//!
//! Nothing is here yet. The sources are a crate of their own, because a package can't include files of another one, and
//! because every kernel here will have a readable twin in `post-core` that judges it.
#![forbid(unsafe_code)]
