//! How the functions behave where there is no library. A program of its own: the library is chosen once a process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::process::Command;
use std::time::{Duration, Instant};

use ocl::core;

/// Set in the process that this test starts again with another library.
const AGAIN: &str = "OPENCL_LOADER_TEST_AGAIN";

fn with_library(library: &str, again: &str) -> bool {
    let start = Instant::now();
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("--nocapture")
        .env(opencl_loader::LIBRARY_VARIABLE, library)
        .env(AGAIN, again)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(start.elapsed() < Duration::from_secs(2), "{text}");
    println!("{text}");
    output.status.success()
}

#[test]
fn without_a_library_there_are_no_platforms() {
    match std::env::var(AGAIN).as_deref() {
        Err(_) => {
            assert!(with_library("", "no library"));
            assert!(with_library("/no/such/library", "no library"));
            assert!(with_library("libc.so.6", "no functions"));
            assert!(!with_library("", "no functions"), "the process tells a difference");
        }
        Ok(again) => {
            assert_eq!(opencl_loader::library().is_ok(), again == "no functions", "{:?}", opencl_loader::library());
            assert_eq!(core::get_platform_ids().unwrap().len(), 0);
            // SAFETY: a null event is refused before anything is done with it: there is nothing that could be done.
            let refused = core::create_context(None, &[unsafe { core::DeviceId::null() }], None, None);
            assert_eq!(refused.unwrap_err().api_status(), Some(core::Status::CL_INVALID_OPERATION));
        }
    }
}
