//! Labels and scanning on GPUs, behind `post_core::backend::Backend`.
//!
//! Nothing is here yet. This crate will list the devices of a machine and open one of them as a backend, on Vulkan and
//! Metal through wgpu and on OpenCL. Until then the only device is `cpu`, which lives in `post-core`.
#![deny(unsafe_code)]

mod device;
#[allow(unsafe_code)]
#[allow(dead_code)]
mod opencl;
