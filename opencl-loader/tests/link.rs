//! This test program uses `ocl`: that it links shows what the crate is for.
//!
//! One test only: what it says about the loaded libraries must be said before anything loads one.

use std::time::{Duration, Instant};

/// What OpenCL library this process has in memory.
#[cfg(target_os = "linux")]
fn in_memory() -> bool {
    std::fs::read_to_string("/proc/self/maps").is_ok_and(|maps| maps.contains("libOpenCL"))
}

#[test]
fn the_library_is_found_at_run_time_or_missed_quickly() {
    #[cfg(target_os = "linux")]
    assert!(!in_memory(), "the linker bound this program to the library");

    let start = Instant::now();
    let platforms = ocl::core::get_platform_ids().unwrap();
    let took = start.elapsed();
    match opencl_loader::library() {
        Ok(name) => println!("{name}: {} platforms", platforms.len()),
        Err(reason) => {
            println!("no library: {reason}");
            assert!(platforms.is_empty());
        }
    }
    // A driver may take its time to wake up; finding that there is none may not.
    assert!(!platforms.is_empty() || took < Duration::from_secs(2), "{took:?}");
    #[cfg(target_os = "linux")]
    assert_eq!(in_memory(), opencl_loader::library().is_ok());
}
