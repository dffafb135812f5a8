//! `init` that is killed. A resumed run computes again what was made in half a second, no more.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Job, Loop};
use crate::sets::{DEAR, DEAR_UNIT, LABEL, bytes, content, init, words, write_networks};

pub(crate) const LOOP: Loop = Loop {
    name: "init",
    run: |kills, random| {
        let job = Job {
            args: words(&format!(
                "{} --drive path=a,size=60K --drive path=b,size=60K --threads 2 --json",
                init(DEAR, UNITS)
            )),
            prepare: &write_networks,
            progress: Some(&|root| bytes(root) as f64 / (TOTAL * LABEL) as f64),
            result: &|root| content(&[root.join("a"), root.join("b")]),
            resumed: &assert_little_is_lost,
        };
        job.kill_loop(kills, random)
    },
};

const UNITS: u64 = 3;
const TOTAL: u64 = UNITS * DEAR_UNIT;

/// What a crash may cost.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);

/// The bound is twice what an undisturbed run makes between two checkpoints, or 40 % of all: how fast the machine is at
/// the moment is not to be relied on.
fn assert_little_is_lost(whole: Duration, written: f64, stdout: &str) {
    let mut events = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    // It may have been killed before it looked.
    let Some(started) = events.find(|event| event["event"] == "started") else { return };
    let there = started["labels"].as_u64().unwrap() as f64 / TOTAL as f64;
    let interval = CHECKPOINT_EVERY.as_secs_f64() / whole.as_secs_f64();
    let lost = written - there;
    assert!(lost <= (2.0 * interval).max(0.4), "{written:.2} of the labels were on disk, {there:.2} counted");
}
