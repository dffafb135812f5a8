//! Only benchmarks: `cargo bench -p benches`. Names read operation/key=value.
#![forbid(unsafe_code)]
