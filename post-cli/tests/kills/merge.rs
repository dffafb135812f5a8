//! `merge` that is killed: the set is whole in its new place.

use crate::harness::{Job, Loop};
use crate::sets::{CHEAP, CHEAP_SET, CHEAP_UNIT, LABEL, SHARDS, bytes, content, words};

pub(crate) const LOOP: Loop = Loop {
    name: "merge",
    run: |kills, random| {
        let expected = content(&[CHEAP_SET.path().join("set")]);
        let job = Job {
            args: words(&format!("merge one two --into path=out --network {CHEAP}")),
            prepare: &|root| SHARDS.copy_to(root),
            progress: Some(&|root| bytes(&root.join("out")) as f64 / (CHEAP_UNIT * LABEL) as f64),
            result: &|root| {
                let merged = content(&[root.join("out")]);
                assert!(merged == expected, "a set that was merged is not the set that was made whole");
                merged
            },
            resumed: &|_, _, _| {},
        };
        job.kill_loop(kills, random)
    },
};
