//! The GPU kernels as text: WGSL for Vulkan and Metal, OpenCL C.
//!
//! The sources are a crate of their own, because a package can't include files of another one. Every kernel here has a
//! readable twin in `post-core` that judges it.
#![forbid(unsafe_code)]

/// OpenCL C 1.2, without extensions.
pub mod opencl {
    /// Kernels `expand` and `compress`: a job to its state, a state to its label.
    pub const KECCAK: &str = include_str!("opencl/keccak.cl");
    /// Kernels `fill` and `walk`: ROMix. `GAP` must be defined.
    pub const ROMIX: &str = include_str!("opencl/romix.cl");
    /// Kernel `scan`: labels to hits. `GROUP` and `COPIES` must be defined.
    pub const SCAN: &str = include_str!("opencl/scan.cl");
}

#[path = "wgsl/wgsl.rs"]
pub mod wgsl;
