//! `grow` that is killed: in the labels, and where the new files take the place of the old ones.

use crate::harness::{Job, Loop, run};
use crate::sets::{DEAR, DEAR_SET, content, init, words, write_networks};

pub(crate) const LOOP: Loop = Loop {
    name: "grow",
    run: |kills, random| {
        let drives = |root: &std::path::Path| [root.join("a"), root.join("b")];
        // What it must come to: the set as if it had been that large from the beginning.
        let large = tempfile::tempdir().unwrap();
        write_networks(large.path());
        let made = words(&format!("{} --drive path=a --drive path=b", init(DEAR, 4)));
        run(large.path(), &made.iter().map(String::as_str).collect::<Vec<_>>());
        let expected = content(&drives(large.path()));
        let job = Job {
            args: words(&format!("grow --drive path=a --drive path=b --units 4 --network {DEAR}")),
            prepare: &|root| DEAR_SET.copy_to(root),
            progress: None,
            result: &|root| {
                let grown = content(&drives(root));
                assert!(grown == expected, "a set that grew is not the set that was made so large");
                grown
            },
            resumed: &|_, _, _| {},
        };
        job.kill_loop(kills, random)
    },
};
