//! What a node hears, from registration to proof.

use post_service::v1::{GenProofStatus, NodeRequest, node_request};

use crate::data::{CHALLENGE, Known, OTHER, Set};
use crate::node::Node;
use crate::worker::Worker;

/// Everything the metadata, the parameters and the proof depend on comes by flags; the proof is known beforehand.
#[test]
fn metadata_then_the_proof_of_the_vectors() {
    let root = tempfile::tempdir().unwrap();
    let known = Known::copy("a_", root.path());
    let mut node = Node::start();
    let program = known.set.serve(&node.url()).start();
    let mut prover = node.registered();
    assert_eq!(prover.metadata, known.set.metadata);
    let answer = prover.proof(&known.challenge);
    known.set.assert_proven(known.challenge, &answer);
    assert_eq!(answer.proof.as_ref(), Some(&known.proof));
    // Whoever asks again gets it again, however often.
    for _ in 0..3 {
        assert_eq!(prover.ask(&known.challenge), answer);
    }
    assert_eq!(program.count(" begins"), 1);
    // A new challenge is a new proof.
    let other = prover.proof(&OTHER);
    known.set.assert_proven(OTHER, &other);
    assert_eq!(program.count(" begins"), 2);
}

#[test]
fn another_challenge_while_busy_is_an_error_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let (mut node, worker) = (Node::start(), Worker::holding());
    let program = set.serve(&node.url()).set("--remote-k2pow", worker.url()).start();
    let mut prover = node.registered();
    prover.is_under_way(&CHALLENGE);
    for _ in 0..3 {
        prover.is_error(&OTHER);
        prover.is_under_way(&CHALLENGE);
    }
    assert_eq!(prover.metadata(), set.metadata, "metadata is had at any time");
    worker.release();
    set.assert_proven(CHALLENGE, &prover.proof(&CHALLENGE));
    assert_eq!(program.count(" begins"), 1);
}

/// Nothing a node sends ends the conversation, and answers stay in step with questions.
#[test]
fn senseless_questions_are_answered() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let mut node = Node::start();
    let program = set.serve(&node.url()).start();
    let mut prover = node.registered();
    for length in [0, 31, 33, 10_000] {
        prover.is_error(&vec![1; length]);
    }
    assert_eq!(prover.send(None), None);
    assert_eq!(prover.metadata(), set.metadata);
    set.assert_proven(CHALLENGE, &prover.proof(&CHALLENGE));
    assert_eq!(program.count("registered"), 1);
}

/// A question far larger than any ends the connection, not the program.
#[test]
fn a_huge_question_costs_no_memory() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let mut node = Node::start();
    let program = set.serve(&node.url()).start();
    let prover = node.registered();
    prover.flood(NodeRequest {
        kind: Some(node_request::Kind::GenProof(post_service::v1::GenProofRequest { challenge: vec![0; 1 << 20] })),
    });
    program.says(&["no connection to", "too large"]);
    let mut prover = node.registered();
    set.assert_proven(CHALLENGE, &prover.proof(&CHALLENGE));
}

/// A failure is told once, and the next question begins the proof again.
#[test]
fn a_failed_proof_blocks_nothing() {
    let root = tempfile::tempdir().unwrap();
    let known = Known::copy("a_", root.path());
    let file = known.set.dirs[0].join("postdata_0.bin");
    let whole = std::fs::read(&file).unwrap();
    let mut node = Node::start();
    let program = known.set.serve(&node.url()).start();
    let mut prover = node.registered();
    // The last label of a file is looked at before the work.
    let mut rotten = whole.clone();
    let end = rotten.len() - 16;
    rotten[..end].fill(7);
    std::fs::write(&file, rotten).unwrap();
    prover.failure(&known.challenge);
    program.says(&["no proof", "would be refused", "post check --all --repair", "begins again"]);
    assert_eq!(prover.ask(&known.challenge).status(), GenProofStatus::Ok, "it is told once");
    prover.failure(&known.challenge);
    assert_eq!(program.count("no proof"), 1, "the same again is no news");

    std::fs::write(&file, whole).unwrap();
    // Whichever proof was begun before the file was whole again may fail once more.
    let proof = crate::until("a proof", || {
        let answer = prover.ask(&known.challenge);
        answer.proof.is_some().then_some(answer)
    });
    assert_eq!(proof.proof.as_ref(), Some(&known.proof));
    known.set.assert_proven(known.challenge, &proof);
}
