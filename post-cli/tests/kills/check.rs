//! `check --repair` that is killed: all labels that were damaged are right in the end, and no other is touched.

use std::fs;
use std::path::Path;

use crate::harness::{Job, Loop};
use crate::sets::{DEAR, DEAR_SET, LABEL, content, data_files, words};

pub(crate) const LOOP: Loop = Loop {
    name: "check --repair",
    run: |kills, random| {
        let drives = |root: &Path| [root.join("a"), root.join("b")];
        let expected = content(&drives(DEAR_SET.path()));
        let job = Job {
            args: words(&format!("check --data a b --all --repair --threads 2 --network {DEAR}")),
            prepare: &|root| {
                DEAR_SET.copy_to(root);
                damage(root);
            },
            progress: None,
            result: &|root| {
                let repaired = content(&drives(root));
                assert!(repaired == expected, "a set that was repaired is not what it was");
                repaired
            },
            resumed: &|_, _, _| {},
        };
        job.kill_loop(kills, random)
    },
};

/// A bit in every tenth label of every file is another.
fn damage(root: &Path) {
    for (path, _) in data_files(root) {
        let mut bytes = fs::read(&path).unwrap();
        bytes.chunks_mut(LABEL as usize).step_by(10).for_each(|label| label[5] ^= 1);
        fs::write(path, bytes).unwrap();
    }
}
