//! `post plan` and `init --dry-run`: what they show, and that they write nothing. Rates are not judged, only what follows
//! from them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::*;

/// A network of cheap labels, 16 KiB a unit.
const UNIT: u64 = 1024 * 16;

fn plan() -> Call {
    Call::new(&["plan", "--network", "net.toml", "--device", "cpu", "--threads", "1", "--randomx", "light"])
        .set("--units", "3")
        .set("--max-file-size", "16000")
}

/// Runs it with `--json` and expects one object, nothing else, and nothing written.
#[track_caller]
fn object(root: &Path, call: &Call, code: i32) -> Value {
    let before = snapshot(root);
    let done = call.clone().add(&["--json"]).run(root).exits(code);
    assert_eq!(changes(root, &before), "");
    assert_eq!((done.err.as_str(), done.out.lines().count()), ("", 1));
    json_lines(&done.out).remove(0)
}

fn number(object: &Value, key: &str) -> f64 {
    object[key].as_f64().unwrap_or_else(|| panic!("{key} is no number in {object}"))
}

#[test]
fn a_plan_of_empty_drives() {
    let root = temp();
    write(root.path(), "net.toml", network(1024, 2));
    let call = plan().add(&["--drive", "path=a,size=33K", "--drive", "path=new/b", "--nonces", "64"]);
    let got = object(root.path(), &call, 0);
    for (key, expected) in [
        ("units", json!(3)),
        ("labels", json!(3 * 1024)),
        ("bytes", json!(3 * UNIT)),
        ("files", json!(4)),
        ("labels_there", json!(0)),
        ("missing_bytes", json!(0)),
        ("fits", json!(true)),
        // The network has 8 units at most.
        ("units_that_fit", json!(8)),
        ("window_s", json!(12 * 3600)),
        ("fits_window", json!(true)),
        ("read_gib_per_s", json!([])),
    ] {
        assert_eq!(got[key], expected, "{key}");
    }
    // Both fill up together until the limit of the first: files of 16000, 16000, 16000 and 1152 bytes.
    let drives = got["drives"].as_array().unwrap();
    assert_eq!((&drives[0]["path"], &drives[1]["path"]), (&json!("a"), &json!("new/b")));
    assert_eq!((&drives[0]["quota"], &drives[1]["quota"]), (&json!(33_000), &Value::Null));
    let new: u64 = drives.iter().map(|drive| drive["new_bytes"].as_u64().unwrap()).sum();
    assert_eq!(new, 3 * UNIT);
    assert!(drives.iter().all(|drive| drive["held_bytes"] == 0 && drive["files"] == drive["new_files"]));

    // The times follow from the rates.
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-6, "{a} and {b} in {got}");
    close(number(&got, "fill_s"), 3072.0 / number(&got, "labels_per_s"));
    close(number(&got, "pass_s"), 3.0 * UNIT as f64 / f64::from(1 << 30) / number(&got, "scan_gib_per_s"));
    // Almost every hash meets the target of one unit, and a third of them that of three; there are 4 groups.
    assert!((number(&got, "pow_s") * number(&got, "hashes_per_s") - 12.0).abs() < 0.1, "{got}");
    close(number(&got, "proof_s"), number(&got, "pow_s") + number(&got, "pass_s"));
    assert_eq!(number(&got, "most_units_in_window"), (43_200.0 / number(&got, "proof_s") * 3.0).floor());
    assert!((number(&got, "one_pass") - 0.794).abs() < 0.001);
}

#[test]
fn too_little_room_is_told_with_the_plan() {
    let root = temp();
    write(root.path(), "net.toml", network(1024, 2));
    // One file and a part of one, which is of no use.
    let call = plan().add(&["--drive", "path=a,size=17000", "--drive", "path=b,size=1200"]);
    let before = snapshot(root.path());
    let done = call.run(root.path()).exits(1);
    assert_eq!(changes(root.path(), &before), "");
    // Files of 16000, 16000, 16000 and 1152 bytes: the first and the last have room, and so has a single unit.
    assert!(done.out.contains("31.25 KiB have NO room; units that would fit: 1"), "{}", done.out);
    for word in ["units: 3", "files there", "fill ", "proof ", "window "] {
        assert!(done.out.contains(word), "{word}: {}", done.out);
    }
    assert!(done.err.contains("not counted is how fast a, b can be read"), "{}", done.err);
}

#[test]
fn a_plan_of_drives_that_hold_a_part() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    copy_dir(&case.data_dir(), &root.join("a"));
    fs::remove_file(root.join("a").join(data_file(2))).unwrap();
    // File size and identity are those of the drives.
    let call = plan().without("--max-file-size").add(&["--drive", "path=a", "--drive", "path=b"]);
    let got = object(root, &call, 0);
    assert_eq!((&got["labels_there"], &got["labels"]), (&json!(2072), &json!(3072)));
    let drives = got["drives"].as_array().unwrap();
    assert_eq!(drives[0]["files"], json!(["0..2", "3..4"]));
    assert_eq!(drives[0]["held_bytes"], json!(3 * UNIT - 16_000));
    assert_eq!((&drives[1]["files"], &drives[1]["new_bytes"]), (&json!(["2..3"]), &json!(16_000)));
    assert!((number(&got, "fill_s") * number(&got, "labels_per_s") - 1000.0).abs() < 0.01);
    // Only the part asked for.
    let got = object(root, &call.add(&["--files", "0..2"]), 0);
    assert_eq!((&got["labels_of_run"], &got["labels_there"]), (&json!(2000), &json!(2000)));
    assert_eq!((&got["fill_s"], &got["units_that_fit"]), (&json!(0.0), &Value::Null));
}

/// A file that is long enough tells how fast its drive is.
#[test]
fn a_drive_with_data_is_read() {
    let root = temp();
    write(root.path(), "net.toml", network(1 << 20, 2));
    fs::create_dir(root.path().join("a")).unwrap();
    write(&root.path().join("a"), "postdata_0.bin", vec![7; 16 << 20]);
    let call = plan().set("--units", "1").set("--max-file-size", "16MiB").add(&["--drive", "path=a"]);
    let got = object(root.path(), &call, 0);
    let reads = got["read_gib_per_s"].as_array().unwrap();
    assert!(reads.len() == 1 && reads[0].as_f64().unwrap() > 0.0, "{got}");
    // The slower of reading and scanning decides.
    let slower = reads[0].as_f64().unwrap().min(number(&got, "scan_gib_per_s"));
    assert!((number(&got, "pass_s") * slower * 64.0 - 1.0).abs() < 1e-6, "{got}");
}

#[test]
fn wrong_plans_are_refused_in_one_line() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    copy_dir(&case.data_dir(), &root.join("set"));
    let good = || plan().add(&["--drive", "path=new"]);
    let before = snapshot(root);
    for (call, says) in [
        (good().set("--units", "0"), "0 units"),
        (good().set("--units", "9999"), "9999 units"),
        (good().set("--units", "many"), "many"),
        (good().set("--nonces", "17"), "17 nonces"),
        (good().set("--nonces", "0"), "0 nonces"),
        (good().set("--nonces", "4112"), "4112 nonces"),
        (good().set("--files", "0..9"), "0..9"),
        (good().set("--max-file-size", "17"), "17"),
        (good().set("--network", "none.toml"), "none.toml"),
        (good().set("--device", "abacus"), "abacus"),
        (good().set("--drive", "path=net.toml"), "net.toml"),
        (good().add(&["--drive", "path=./new"]), "twice"),
        (good().without("--drive"), "--drive"),
        (good().set("--drive", "path=set").set("--units", "2"), "post grow"),
        (good().set("--drive", "path=set").set("--max-file-size", "8000"), "MaxFileSize"),
    ] {
        let done = call.run(root).exits(2);
        assert!(done.err.contains(says) && done.err.lines().count() == 1, "{says}: {}", done.err);
        assert_eq!((done.out.as_str(), changes(root, &before)), ("", String::new()), "{says}");
    }
}

fn dry_run() -> Call {
    Call::new(&["init", "--network", "net.toml", "--units", "3", "--commitment-atx", ATX_ID, "--dry-run"])
        .set("--max-file-size", "16000")
}

#[test]
fn a_dry_run_shows_what_init_then_does() {
    let root = temp();
    let root = root.path();
    write(root, "net.toml", network(1024, 2));
    let call = dry_run().add(&["--drive", "path=a,size=20K", "--drive", "path=new/b"]);
    let got = object(root, &call, 0);
    assert_eq!((&got["event"], &got["makes_key"], &got["labels_there"]), (&json!("dry_run"), &json!(true), &json!(0)));
    let table = call.run(root).exits(0).out;
    assert!(table.lines().count() == 3 && table.contains("new/b"), "{table}");

    let mut init = call.clone();
    init.0.retain(|word| word != "--dry-run");
    init.run(root).exits(0);
    for (dir, drive) in ["a", "new/b"].iter().zip(got["drives"].as_array().unwrap()) {
        let there = data_files(&[root.join(dir)]);
        let shown = drive["files"].as_array().unwrap().iter().flat_map(|range| {
            let (from, to) = range.as_str().unwrap().split_once("..").unwrap();
            from.parse::<usize>().unwrap()..to.parse::<usize>().unwrap()
        });
        assert_eq!(there.keys().copied().collect::<Vec<_>>(), shown.collect::<Vec<_>>(), "{dir}");
    }
    // Again there is nothing left to do, and no key to make.
    let got = object(root, &call, 0);
    assert_eq!((&got["labels_there"], &got["makes_key"]), (&got["labels"], &json!(false)));
}

#[test]
fn a_dry_run_refuses_what_init_refuses() {
    let root = temp();
    let root = root.path();
    write(root, "net.toml", network(1024, 2));
    let before = snapshot(root);
    for (call, says) in [
        (dry_run().add(&["--drive", "path=a,size=20000"]), "no room"),
        (dry_run().add(&["--drive", "path=a", "--files", "0..9"]), "0..9"),
        (dry_run().add(&["--drive", "path=net.toml"]), "net.toml"),
    ] {
        let done = call.run(root).exits(2);
        assert!(done.err.contains(says) && done.err.lines().count() == 1, "{says}: {}", done.err);
        assert_eq!((done.out.as_str(), changes(root, &before)), ("", String::new()), "{says}");
    }
}
