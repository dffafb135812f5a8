//! A node or a prover that ends in the middle of a proof.

use crate::data::{CHALLENGE, Set};
use crate::node::Node;
use crate::worker::Worker;

#[test]
fn a_node_that_starts_again_finds_the_proof_under_way_then_done() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let (mut node, worker) = (Node::start(), Worker::holding());
    let program = set.serve(&node.url()).set("--remote-k2pow", worker.url()).start();
    node.registered().is_under_way(&CHALLENGE);
    node.restart();
    node.registered().is_under_way(&CHALLENGE);
    // It is finished while nobody listens.
    node.stop();
    worker.release();
    program.says(&["proof found and verified"]);
    node.resume();
    let mut prover = node.registered();
    let answer = prover.ask(&CHALLENGE);
    set.assert_proven(CHALLENGE, &answer);
    assert_eq!(program.count(" begins"), 1);
    assert_eq!(program.count("registered with"), 3);
}

#[test]
fn a_prover_that_starts_again_loses_neither_pows_nor_the_proof() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let (mut node, worker) = (Node::start(), Worker::start(|group| (if group < 3 { 200 } else { 201 }, "1".into())));
    let run = set.serve(&node.url()).set("--remote-k2pow", worker.url());
    let program = run.start();
    // It is not hung up on: a program that is gone must not have registered again.
    let mut first = node.registered();
    first.is_under_way(&CHALLENGE);
    crate::until("the worker is asked for the group that it holds", || {
        worker.asked().iter().any(|question| question.group == 3).then_some(())
    });
    program.kill();

    worker.asked();
    worker.answers(|_| (200, "1".into()));
    let program = run.start();
    let mut prover = node.registered();
    let answer = prover.proof(&CHALLENGE);
    set.assert_proven(CHALLENGE, &answer);
    program.says(&["continuing", "3 k2pows are kept"]);
    let asked: Vec<u8> = worker.asked().iter().map(|question| question.group).collect();
    assert_eq!(asked.iter().copied().min(), Some(3), "{asked:?}");
    program.kill();

    // Killed after the proof was made, even delivered: a node may ask again, and nothing is searched twice.
    let program = run.start();
    let again = node.registered().proof(&CHALLENGE);
    assert_eq!(again, answer);
    assert_eq!(worker.asked(), []);
    program.signal("TERM");
    assert_eq!(program.end().code, Some(130));
}
