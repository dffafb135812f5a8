//! The program is killed at any moment, and the same command goes on to the same bytes as if nothing had happened.
//!
//! `POST_KILLS` is how often in all (200 unless told), `POST_KILLS_SEED` picks other moments.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod check;
mod grow;
mod harness;
mod init;
mod merge;
mod prove;
mod sets;
#[path = "../util/trace.rs"]
mod trace;

use std::io::Write as _;

use harness::{Histogram, Loop, Random};

/// Commands that POST_KILLS is shared between.
const COMMANDS: u64 = 5;

/// One loop a command.
const LOOPS: &[Loop] = &[init::LOOP, grow::LOOP, check::LOOP, merge::LOOP, prove::LOOP];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

/// One test, so that the loops don't disturb each other's clocks.
#[test]
fn killed_anywhere_the_same_command_ends_in_the_same_bytes() {
    let kills = number("POST_KILLS", 200).div_ceil(COMMANDS);
    let seed = number("POST_KILLS_SEED", 20_260_101);
    let mut all = Histogram::default();
    for Loop { name, run } in LOOPS {
        let histogram = run(kills, &mut Random(seed));
        // Past the test harness, which keeps what it prints to itself: how kills were spread is worth seeing each time.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "kills: {name}, seed {seed}: {histogram}").unwrap();
        assert_eq!(histogram.kills(), kills);
        all.add(&histogram);
    }
    let (within, total) = (all.within(), all.kills());
    assert!(within * 100 >= total * 75, "only {within} of {total} kills fell into the work: {all}");
}
