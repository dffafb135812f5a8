//! `post nonce`: a nonce that was lost is found again.

use std::fs;

use serde_json::{Value, json};

use crate::support::*;

#[test]
fn a_lost_nonce_is_found_again() {
    let root = temp();
    let root = root.path();
    write(root, "net.toml", network(1000, 2));
    Call::new(&["init", "--network", "net.toml", "--units", "3", "--max-file-size", "8000"])
        .set("--commitment-atx", ATX_ID)
        .set("--node-id", NODE_ID)
        .add(&["--drive", "path=one", "--drive", "path=two"])
        .run(root)
        .exits(0);
    let dirs = ["one", "two"].map(|dir| root.join(dir));
    let before = dirs.each_ref().map(|dir| metadata(dir));
    for dir in &dirs {
        edit_metadata(dir, |keys| {
            keys.remove("Nonce");
            keys.remove("NonceValue");
            keys.insert("Foreign".into(), json!([1]));
        });
    }
    let call = Call::new(&["nonce", "--network", "net.toml", "--data", "one", "two"]);
    let dry = call.clone().add(&["--dry-run"]).run(root).exits(0);
    assert_eq!(dry.out.trim(), before[0]["Nonce"].to_string());
    assert_eq!(metadata(&dirs[0]).get("Nonce"), None);

    let done = call.clone().add(&["--json"]).run(root).exits(0);
    let found: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&found["nonce"], &found["nonce_value"]), (&before[0]["Nonce"], &before[0]["NonceValue"]));
    assert_eq!(found["written"], true);
    for (dir, before) in dirs.iter().zip(before) {
        let now = metadata(dir);
        assert_eq!((&now["Nonce"], &now["NonceValue"]), (&before["Nonce"], &before["NonceValue"]));
        assert_eq!(now["Foreign"], json!([1]));
    }

    // A label of zeros is smaller than all others, and wrong.
    let path = dirs.iter().map(|dir| dir.join(data_file(4))).find(|path| path.exists()).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[160..176].fill(0);
    fs::write(path, bytes).unwrap();
    let done = call.run(root).exits(1);
    assert_eq!(done.out.trim(), found["nonce"].to_string());
    assert!(done.err.contains("index 2010") && done.err.contains("post check --all --repair"), "{}", done.err);
}

#[test]
fn a_part_of_a_set_has_no_nonce() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    copy_dir(&case.data_dir(), &root.join("data"));
    let call = Call::new(&["nonce", "--network", "net.toml", "--data", "data"]);
    let found = call.run(root).exits(0);
    assert_eq!(found.out.trim(), case.post_metadata["Nonce"].to_string());
    fs::remove_file(root.join("data").join(data_file(1))).unwrap();
    let done = call.run(root).exits(2);
    assert!(done.out.is_empty() && done.err.contains("missing"), "{}", done.err);
}
