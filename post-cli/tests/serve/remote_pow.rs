//! k2pows from a worker on another machine.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::data::{CHALLENGE, OTHER, Set};
use crate::node::Node;
use crate::worker::{Question, Worker};

/// Each group is asked for until there is an answer: pending, busy and one bad day are passed over.
#[test]
fn the_worker_is_asked_until_it_has_one() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let mut node = Node::start();
    let calls = AtomicU32::new(0);
    let worker = Worker::start(move |group| match (group, calls.fetch_add(1, Ordering::Relaxed)) {
        (0, 0) => (201, "pending".into()),
        (0, 1) => (429, String::new()),
        (0, 2) => (500, "a bad day".into()),
        _ => (200, format!(" {} \n", u64::from(group) + 5)),
    });
    let program = set.serve(&node.url()).set("--nonces", 64).set("--remote-k2pow", worker.url()).start();
    let answer = node.registered().proof(&CHALLENGE);
    set.assert_proven(CHALLENGE, &answer);
    let proof = answer.proof.unwrap();
    assert_eq!(proof.pow, u64::from(proof.nonce / 16) + 5, "the worker's pow, not the smallest");
    let asked = worker.asked();
    assert_eq!(asked.iter().filter(|question| question.group == 0).count(), 4);
    let expected = Question {
        miner: hex::encode([1; 32]),
        group: 0,
        challenge: hex::encode([CHALLENGE[0]; 8]),
        target: hex::encode([0xff; 32]),
    };
    assert_eq!(asked[0], expected);
    assert_eq!(program.count("no proof"), 0);
}

/// Mainnet's target lets one of some thousands pass, and this one doesn't.
#[test]
fn a_wrong_pow_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let (mut node, worker) = (Node::start(), Worker::start(|_| (200, "0".into())));
    let run = set.serve(&node.url()).without("--pow-difficulty").set("--remote-k2pow", worker.url());
    let program = run.start();
    let mut prover = node.registered();
    prover.failure(&CHALLENGE);
    program.says(&["no proof", &worker.url(), "pow 0 of group 0 is wrong", "name another worker"]);
    assert_eq!(worker.asked().len(), 1);
}

#[test]
fn a_worker_that_keeps_failing_fails_the_proof_and_no_more() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let (mut node, worker) = (Node::start(), Worker::start(|_| (500, "out of order".into())));
    let program = set.serve(&node.url()).set("--remote-k2pow", worker.url()).start();
    let mut prover = node.registered();
    prover.failure(&CHALLENGE);
    program.says(&["no proof", "status 500 `out of order`"]);
    assert_eq!(worker.asked().len(), 6);
    for (status, text) in [(200, "no number"), (200, "72057594037927936"), (404, "")] {
        worker.answers(move |_| (status, text.into()));
        prover.failure(&OTHER);
        program.says(&["no proof", "check that --remote-k2pow is a k2pow worker"]);
        assert_eq!(worker.asked().len(), 1, "it would say {text} again");
    }
    worker.release();
    set.assert_proven(OTHER, &prover.proof(&OTHER));
}
