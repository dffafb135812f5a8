#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| assert!(node::fuzz::decode_transaction(bytes)));
