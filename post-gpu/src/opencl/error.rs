//! A driver's refusals in our words. The texts of `ocl` itself fill a screen and name no cure.

use ocl::core::{Error, Status};

use crate::device::Trouble;

/// A step failed that takes no memory.
pub(super) fn failed(doing: &str) -> impl Fn(Error) -> Trouble {
    move |error| match error.api_status() {
        Some(Status::CL_MEM_OBJECT_ALLOCATION_FAILURE | Status::CL_OUT_OF_HOST_MEMORY) => {
            Trouble::OutOfMemory { bytes: 0 }
        }
        _ => lost(doing, &describe(&error)),
    }
}

/// A step failed that takes this much memory. Drivers call that by several names.
pub(super) fn refused(doing: &str, bytes: u64) -> impl Fn(Error) -> Trouble {
    move |error| match error.api_status() {
        Some(
            Status::CL_MEM_OBJECT_ALLOCATION_FAILURE
            | Status::CL_OUT_OF_RESOURCES
            | Status::CL_OUT_OF_HOST_MEMORY
            | Status::CL_INVALID_BUFFER_SIZE,
        ) => Trouble::OutOfMemory { bytes },
        _ => lost(doing, &describe(&error)),
    }
}

/// The device can't be used at all.
pub(super) fn unusable(doing: &str) -> impl Fn(Error) -> Trouble {
    move |error| Trouble::Unavailable {
        reason: format!(
            "{doing} failed: {}; update the device's OpenCL driver, or use another device",
            describe(&error)
        ),
    }
}

/// A command ended with an error of this number.
pub(super) fn ended(doing: &str, status: i32) -> Trouble {
    match status {
        // What the standard calls MEM_OBJECT_ALLOCATION_FAILURE.
        -4 => Trouble::OutOfMemory { bytes: 0 },
        _ => lost(doing, &format!("OpenCL error {status}")),
    }
}

fn lost(doing: &str, what: &str) -> Trouble {
    Trouble::Lost {
        reason: format!("{doing} failed: {what}; look into the system's log for its driver, then start again"),
    }
}

/// One line, or for a kernel that doesn't compile, what the compiler said.
fn describe(error: &Error) -> String {
    match error.api_status() {
        Some(status) => format!("{status:?}"),
        None => error.to_string().trim().to_owned(),
    }
}
