//! `post serve` against a node, a k2pow worker and an operator that were written from POST.md section 7 and the .proto alone.
#![cfg(unix)]
#![allow(
    missing_docs,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod data;
mod node;
mod program;
mod worker;

mod calls;
mod conversation;
mod endings;
mod operator;
mod reconnects;
mod remote_pow;
mod restarts;
mod sets;
mod tls;

use std::time::{Duration, Instant};

/// Only against a program that hangs; no verdict depends on it.
const HANG: Duration = Duration::from_secs(120);

/// Asks until there is an answer.
#[track_caller]
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < HANG, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
