//! Several identities in one process, and sets that can't be served.

use std::collections::BTreeMap;
use std::fs;

use crate::data::{CHALLENGE, OTHER, Set};
use crate::node::{Node, Registered};
use crate::worker::Worker;

/// Both drives of both sets, mixed.
fn both(root: &std::path::Path) -> (Set, Set, Set) {
    let (a, b) = (Set::init(root, "a", 1), Set::init(root, "b", 2));
    let mut all = Set::init(root, "a", 1);
    all.dirs = vec![b.dirs[1].clone(), a.dirs[0].clone(), b.dirs[0].clone(), a.dirs[1].clone(), a.dirs[0].clone()];
    (a, b, all)
}

/// A connection an identity, whichever comes first.
fn two_registered(node: &mut Node) -> [Registered; 2] {
    let mut provers: BTreeMap<Vec<u8>, Registered> = BTreeMap::new();
    for _ in 0..2 {
        let prover = node.registered();
        provers.insert(prover.metadata.node_id.clone(), prover);
    }
    provers.into_values().collect::<Vec<_>>().try_into().expect("two identities")
}

#[test]
fn two_identities_register_apart_and_are_proven_at_once() {
    let root = tempfile::tempdir().unwrap();
    let (a, b, all) = both(root.path());
    let (mut node, worker) = (Node::start(), Worker::holding());
    let program = all.serve(&node.url()).set("--remote-k2pow", worker.url()).start();
    let [mut one, mut two] = two_registered(&mut node);
    assert_eq!((&one.metadata, &two.metadata), (&a.metadata, &b.metadata));
    // Each has its own challenge, and knows nothing of the other's.
    one.is_under_way(&CHALLENGE);
    two.is_under_way(&OTHER);
    one.is_error(&OTHER);
    two.is_error(&CHALLENGE);
    worker.release();
    a.assert_proven(CHALLENGE, &one.proof(&CHALLENGE));
    b.assert_proven(OTHER, &two.proof(&OTHER));
    assert_eq!(program.count(" begins"), 2);
    let miners: std::collections::BTreeSet<_> = worker.asked().into_iter().map(|question| question.miner).collect();
    assert_eq!(miners.len(), 2);
}

/// With pows searched here, both proofs want the same processors and the same drive.
#[test]
fn two_proofs_that_share_everything_are_both_made() {
    let root = tempfile::tempdir().unwrap();
    let (a, b, all) = both(root.path());
    let mut node = Node::start();
    let _program = all.serve(&node.url()).start();
    let [mut one, mut two] = two_registered(&mut node);
    for challenge in [CHALLENGE, OTHER] {
        one.ask(&challenge);
        two.ask(&challenge);
        b.assert_proven(challenge, &two.proof(&challenge));
        a.assert_proven(challenge, &one.proof(&challenge));
    }
}

#[test]
fn a_broken_set_is_told_of_and_served_once_it_is_mended() {
    let root = tempfile::tempdir().unwrap();
    let (a, b, mut all) = both(root.path());
    all.dirs.push(root.path().join("nowhere"));
    let file = b.dirs[1].join("postdata_7.bin");
    let aside = root.path().join("aside");
    fs::rename(&file, &aside).unwrap();
    let mut node = Node::start();
    let program = all.serve(&node.url()).start();
    let mut one = node.registered();
    assert_eq!(one.metadata, a.metadata);
    program.says(&["can't be served", b.dirs[0].to_str().unwrap(), "postdata_7.bin"]);
    program.says(&["nowhere", "can't be served", "check the path"]);
    a.assert_proven(CHALLENGE, &one.proof(&CHALLENGE));

    fs::rename(&aside, &file).unwrap();
    let mut two = node.registered();
    assert_eq!(two.metadata, b.metadata);
    b.assert_proven(CHALLENGE, &two.proof(&CHALLENGE));
    assert_eq!(program.count("can't be served"), 2, "nothing is told twice");
    assert_eq!(one.metadata(), a.metadata, "the other one was not disturbed");
}

#[test]
fn a_set_that_grows_says_so_without_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let mut node = Node::start();
    let _program = set.serve(&node.url()).start();
    let mut prover = node.registered();
    assert_eq!(prover.metadata().num_units, 1);
    let call = ["grow", "--network", "net.toml", "--units", "2", "--drive", "path=set-one", "--drive", "path=set-two"];
    let done = crate::program::post(root.path(), &[&call[..], &["--device", "cpu"]].concat());
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(prover.metadata().num_units, 2);
    let answer = prover.proof(&CHALLENGE);
    let grown = Set { metadata: prover.metadata(), ..set };
    grown.assert_proven(CHALLENGE, &answer);
}

#[test]
fn where_nothing_can_be_served_it_ends() {
    let root = tempfile::tempdir().unwrap();
    let mut set = Set::init(root.path(), "set", 1);
    let node = Node::start();
    fs::remove_file(set.dirs[0].join("postdata_0.bin")).unwrap();
    let end = set.serve(&node.url()).ends();
    end.refused(&["none of the directories can be served"]);
    assert!(end.err.contains("postdata_0.bin is missing"), "{}", end.err);
    set.dirs = vec![root.path().join("nowhere")];
    set.serve(&node.url()).ends().refused(&["none of the directories can be served"]);
}

/// A node knows an identity by its id alone.
#[test]
fn two_sets_of_one_identity_are_not_served_both() {
    let root = tempfile::tempdir().unwrap();
    let (a, _, mut all) = both(root.path());
    for dir in &all.dirs {
        let path = dir.join("postdata_metadata.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["NodeId"] = serde_json::to_value(post_core::identity::NodeId([1; 32])).unwrap();
        fs::write(&path, value.to_string()).unwrap();
    }
    all.dirs.sort();
    // Their ATXs differ, and the second one's labels would be wrong; it isn't looked at so far.
    for dir in &all.dirs[3..] {
        let path = dir.join("postdata_metadata.json");
        let mut value: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        value["CommitmentAtxId"] = serde_json::to_value(post_core::identity::AtxId([9; 32])).unwrap();
        fs::write(&path, value.to_string()).unwrap();
    }
    let mut node = Node::start();
    let program = all.serve(&node.url()).start();
    assert_eq!(node.registered().metadata, a.metadata);
    program.says(&["can't be served", "only one set of an identity"]);
}
