//! What the operator sees.

use serde_json::json;

use crate::data::{CHALLENGE, Known, OTHER, Set};
use crate::node::Node;
use crate::until;
use crate::worker::{Worker, get_json};

/// A port that was free a moment ago.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn status_goes_from_idle_over_proving_to_done() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let (mut node, worker, address) = (Node::start(), Worker::holding(), free_address());
    let run = set.serve(&node.url()).set("--remote-k2pow", worker.url()).set("--operator-address", &address);
    let program = run.start();
    let status = || get_json(&format!("http://{address}/status"));
    let mut prover = node.registered();
    assert_eq!(status(), json!("Idle"));
    prover.is_under_way(&CHALLENGE);
    assert_eq!(status(), json!({ "Proving": { "nonces": { "start": 0, "end": 128 }, "position": 0 } }));

    let identities = get_json(&format!("http://{address}/identities"));
    let expected = json!([{
        "node_id": hex::encode([1; 32]), "commitment_atx_id": hex::encode([0xaa; 32]), "num_units": 1,
        "dirs": set.dirs, "connected": true, "status": status(), "error": null,
    }]);
    assert_eq!(identities, expected);
    worker.release();
    prover.proof(&CHALLENGE);
    assert_eq!(status(), json!("DoneProving"));
    drop(prover);
    node.stop();
    until("the operator sees that the node is gone", || {
        (get_json(&format!("http://{address}/identities"))[0]["connected"] == json!(false)).then_some(())
    });

    // Someone else's address.
    run.ends().refused(&["--operator-address", &address]);
    assert!(!program.said().contains("warning"), "{}", program.said());
}

#[test]
fn a_failure_is_shown_until_a_proof_succeeds() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let (mut node, address) = (Node::start(), free_address());
    let worker = Worker::start(|_| (404, "who?".into()));
    let run = set.serve(&node.url()).set("--remote-k2pow", worker.url()).set("--operator-address", &address);
    let _program = run.start();
    let mut prover = node.registered();
    prover.failure(&CHALLENGE);
    let first = || get_json(&format!("http://{address}/identities"))[0].clone();
    assert!(first()["error"].as_str().unwrap().contains("404"), "{}", first());
    assert_eq!(get_json(&format!("http://{address}/status")), json!("Idle"));
    worker.release();
    prover.proof(&OTHER);
    assert_eq!(first()["error"], json!(null));
}

/// The position counts bytes of the set.
#[test]
fn the_position_is_in_bytes() {
    let root = tempfile::tempdir().unwrap();
    // Many passes: the only nonces that a pass tries are few.
    let known = Known::copy("d_", root.path());
    let (mut node, address) = (Node::start(), free_address());
    let _program = known.set.serve(&node.url()).set("--operator-address", &address).start();
    let mut prover = node.registered();
    prover.is_under_way(&known.challenge);
    let bytes = known.set.metadata.labels_per_unit * u64::from(known.set.metadata.num_units) * 16;
    until("the proof is done", || {
        let status = get_json(&format!("http://{address}/status"));
        if status == json!("DoneProving") {
            return Some(());
        }
        let position = status["Proving"]["position"].as_u64().unwrap_or_else(|| panic!("{status}"));
        assert!(position <= bytes && position.is_multiple_of(16), "{status}");
        None
    });
    assert_eq!(prover.ask(&known.challenge).proof, Some(known.proof));
}
