//! How it ends.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::data::{CHALLENGE, Set};
use crate::node::Node;
use crate::worker::Worker;

#[test]
fn a_signal_ends_it_even_in_the_middle_of_a_proof() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    for signal in ["INT", "TERM"] {
        let (mut node, worker) = (Node::start(), Worker::holding());
        let program = set.serve(&node.url()).set("--remote-k2pow", worker.url()).start();
        node.registered().is_under_way(&CHALLENGE);
        crate::until("the proof is under way", || (!worker.asked().is_empty()).then_some(()));
        program.signal(signal);
        let end = program.end();
        assert_eq!(end.code, Some(130), "{}", end.err);
        assert!(end.err.contains("the same command goes on"), "{}", end.err);
    }
}

/// Only what fails in a row counts: twice as many attempts as may fail do so, with a good one between them.
#[test]
fn retries_are_counted_in_a_row() {
    const FAILING: usize = 40;
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let mut node = Node::start();
    let program = set.serve(&node.url()).set("--max-retries", 60).set("--reconnect-interval-s", 0.02).start();
    for _ in 0..2 {
        let _prover = node.registered();
        node.stop();
        // Somebody else's listener has the address for a while.
        let listener = crate::until("the address is free", || TcpListener::bind(node.address()).ok());
        (0..FAILING).for_each(|_| drop(listener.accept().unwrap()));
        node.resume_on(listener);
    }
    let _prover = node.registered();
    node.stop();
    program.end().refused(&["could not be reached in 61 attempts", "--address"]);
}

#[test]
fn nobody_there_and_no_retries() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let mut node = Node::start();
    let url = node.url();
    node.stop();
    let end = set.serve(&url).set("--max-retries", 0).ends();
    end.refused(&["could not be reached in 1 attempts", &url, "Connection refused"]);
}

/// The process is this one's child and is not waited for at first: a zombie is no process to serve for.
#[test]
fn it_ends_with_the_process_that_it_watches() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let mut node = Node::start();
    let mut supervisor = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let run = set.serve(&node.url()).set("--watch-pid", supervisor.id());
    let program = run.start();
    node.registered();
    supervisor.kill().unwrap();
    let end = program.end();
    assert_eq!(end.code, Some(0), "{}", end.err);
    assert!(end.err.contains(&format!("process {} has ended", supervisor.id())), "{}", end.err);
    supervisor.wait().unwrap();
    run.ends().refused(&["--watch-pid", "no such process"]);
}
