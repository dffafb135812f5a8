//! `prove` that is killed: in the search for pows, in a pass, in the verification.

use crate::harness::{Job, Loop};
use crate::sets::{CHEAP, CHEAP_SET, content, words};

pub(crate) const LOOP: Loop = Loop {
    name: "prove",
    run: |kills, random| {
        let challenge = "07".repeat(32);
        let job = Job {
            args: words(&format!(
                "prove --network {CHEAP} --data set --randomx light --threads 2 --nonces 128 --challenge {challenge}"
            )),
            prepare: &|root| CHEAP_SET.copy_to(root),
            progress: None,
            result: &|root| content(&[root.join("set")]),
            resumed: &|_, _, _| {},
        };
        job.kill_loop(kills, random)
    },
};
