//! `post check`: what it says, what it writes, how it ends.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::*;

/// A finished set of 3000 labels in six files on two drives, and the call that checks it.
fn made(root: &Path) -> Call {
    write(root, "net.toml", network(1000, 2));
    Call::new(&["init", "--network", "net.toml", "--units", "3", "--max-file-size", "8000"])
        .set("--commitment-atx", ATX_ID)
        .set("--node-id", NODE_ID)
        .add(&["--drive", "path=one", "--drive", "path=two"])
        .run(root)
        .exits(0);
    Call::new(&["check", "--network", "net.toml", "--data", "one", "two"])
}

/// Flips a bit of a label, counted from the set's beginning; returns the directory that it is in.
fn damage(root: &Path, label: usize) -> &'static str {
    let file = data_file(label / 500);
    let dir = if root.join("one").join(&file).exists() { "one" } else { "two" };
    let path = root.join(dir).join(&file);
    let mut bytes = fs::read(&path).unwrap();
    bytes[label % 500 * 16 + 9] ^= 0x10;
    fs::write(path, bytes).unwrap();
    dir
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[test]
fn a_sound_set_has_nothing_to_say() {
    let root = temp();
    let root = root.path();
    let call = made(root);
    let before = data_files(&[root.join("one"), root.join("two")]);
    for words in [&[][..], &["--fraction", "5"], &["--all"], &["--quick"], &["--all", "--repair"], &["--limit", "1G"]] {
        let done = call.clone().add(words).run(root).exits(0);
        assert_eq!(done.out, "", "{words:?}");
        assert!(done.err.contains("none is bad"), "{}", done.err);
        let events = json_lines(&call.clone().add(words).add(&["--json"]).run(root).exits(0).out);
        assert_eq!(of_kind(&events, "started").len(), 1);
        let finished = of_kind(&events, "finished")[0];
        assert_eq!((&finished["bad_labels"], &finished["complete"]), (&json!(0), &json!(true)));
        assert!(finished["labels_checked"].as_u64().unwrap() >= 12);
    }
    assert_same_files(&data_files(&[root.join("one"), root.join("two")]), &before);
}

#[test]
fn bad_labels_are_told_one_a_line_and_repaired() {
    let root = temp();
    let root = root.path();
    let call = made(root);
    let dirs = [root.join("one"), root.join("two")];
    let whole = data_files(&dirs);
    let places: Vec<_> = [0, 700, 701, 702, 2999].into_iter().map(|label| damage(root, label)).collect();
    let damaged = data_files(&dirs);

    let done = call.clone().add(&["--all"]).run(root).exits(1);
    let mut lines: Vec<_> = done.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{}", done.out);
    for (line, (place, what)) in lines.iter().zip([
        (places[0], "label 0 is bad"),
        (places[1], "labels 700 to 702 are bad"),
        (places[4], "label 2999 is bad"),
    ]) {
        assert!(line.contains(&format!("in {place}: {what} (cause: ")), "{line}");
    }
    assert!(done.err.contains("5 are bad"), "{}", done.err);
    // The first and the last label of each file belong to any fraction.
    call.run(root).exits(1);
    let snap = snapshot(root);
    call.clone().add(&["--all", "--repair", "--dry-run"]).run(root).exits(1);
    assert_eq!(changes(root, &snap), "");
    assert_same_files(&data_files(&dirs), &damaged);

    let events = json_lines(&call.clone().add(&["--all", "--repair", "--json"]).run(root).exits(0).out);
    let mut bad = of_kind(&events, "bad");
    bad.sort_by_key(|event| event["from"].as_u64());
    assert_eq!(bad.len(), 3);
    assert_eq!((&bad[1]["from"], &bad[1]["to"], &bad[1]["repaired"]), (&json!(700), &json!(703), &json!(true)));
    assert_eq!((&bad[1]["file"], &bad[1]["drive"]), (&json!("postdata_1.bin"), &json!(places[1])));
    assert!(["changed on disk", "unknown"].contains(&bad[1]["cause"].as_str().unwrap()));
    let finished = of_kind(&events, "finished")[0];
    assert_eq!(finished["repaired_labels"], 5);
    assert_same_files(&data_files(&dirs), &whole);
    call.add(&["--all"]).run(root).exits(0);
}

#[test]
fn quick_compares_checksums() {
    let root = temp();
    let root = root.path();
    let call = made(root);
    for dir in ["one", "two"] {
        // As on drives that were filled before there were checksums.
        let _ = fs::remove_dir_all(root.join(dir).join(".post/sums"));
    }
    let done = call.clone().add(&["--quick"]).run(root).exits(1);
    assert_eq!(done.out.lines().filter(|line| line.contains("`post check --all` makes them")).count(), 6);
    call.clone().add(&["--all"]).run(root).exits(0);
    call.clone().add(&["--quick"]).run(root).exits(0);
    damage(root, 1234);
    let events = json_lines(&call.clone().add(&["--quick", "--json"]).run(root).exits(1).out);
    let bad = of_kind(&events, "bad")[0];
    assert_eq!((&bad["from"], &bad["to"], &bad["cause"]), (&json!(1000), &json!(1500), &json!("changed on disk")));
    let events = json_lines(&call.clone().add(&["--quick", "--repair", "--json"]).run(root).exits(0).out);
    let bad = of_kind(&events, "bad")[0];
    assert_eq!((&bad["from"], &bad["to"], &bad["repaired"]), (&json!(1234), &json!(1235), &json!(true)));
    call.add(&["--quick"]).run(root).exits(0);
}

#[test]
fn problems_are_told_and_the_rest_is_checked() {
    let root = temp();
    let root = root.path();
    made(root);
    let dir = damage(root, 2600);
    let call = Call::new(&["check", "--network", "net.toml", "--data", dir]);
    let events = json_lines(&call.add(&["--all", "--json"]).run(root).exits(1).out);
    assert!(!of_kind(&events, "problem").is_empty());
    assert_eq!(of_kind(&events, "bad")[0]["from"], 2600);
    let finished = of_kind(&events, "finished")[0];
    assert_eq!(finished["labels_checked"].as_u64().unwrap() % 500, 0);
}

#[test]
fn wrong_calls_are_refused() {
    let root = temp();
    let root = root.path();
    let call = made(root);
    for words in [
        &["--fraction", "0"][..],
        &["--fraction", "101"],
        &["--fraction", "-5"],
        &["--fraction", "1", "--all"],
        &["--quick", "--all"],
        &["--limit", "0"],
        &["--limit", "fast"],
        &["--device", "nonsense"],
    ] {
        let done = call.clone().add(words).run(root).exits(2);
        assert_eq!((done.out.as_str(), done.err.lines().count()), ("", 1), "{words:?}: {}", done.err);
    }
    write(root, "other.toml", network(1000, 4));
    let done = call.set("--network", "other.toml").add(&["--all", "--repair"]).run(root).exits(2);
    assert!(done.err.contains("--network"), "{}", done.err);
}
