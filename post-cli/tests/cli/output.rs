//! What the program prints, and the forms of sizes that it takes.

use std::fs;

use serde_json::Value;

use crate::support::*;

const COMMANDS: [&str; 11] =
    ["init", "prove", "serve", "verify", "inspect", "check", "nonce", "bench", "devices", "doctor", "demo"];

#[test]
fn help_and_version() {
    let root = temp();
    let mut calls = vec![vec!["--help"], vec!["--version"]];
    for command in COMMANDS {
        calls.push(vec![command, "--help"]);
        calls.push(vec![command, "--version"]);
    }
    let mut failures = Vec::new();
    for call in calls {
        let done = post(root.path(), &call);
        if done.code != Some(0) || done.out.trim().is_empty() || !done.err.is_empty() {
            failures.push(format!("{call:?}: {done:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let help = post(root.path(), &["--help"]).out;
    for command in COMMANDS {
        assert!(help.contains(command), "--help does not name {command}");
    }
    assert_eq!(snapshot(root.path()).len(), 0, "help made files");
}

#[test]
fn init_prints_json_events_only() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let call = init_case(case).add(&["--drive", "path=drive", "--json"]);
    // The second run has nothing to do and keeps to the same form.
    for run in 0..2 {
        let done = call.run(root).exits(0);
        assert_eq!(done.err, "", "stderr of run {run}");
        let events = json_lines(&done.out);
        assert!(run == 1 || !events.is_empty(), "no event at all");
    }
}

#[test]
fn plain_output_has_no_terminal_codes() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let init = init_case(case).add(&["--drive", "path=drive"]).run(root).exits(0);
    let inspect = post(root, &["inspect", "--data", "drive"]).exits(0);
    let refused = post(root, &["inspect", "--data", "nowhere"]).exits(2);
    for done in [init, inspect, refused] {
        for text in [&done.out, &done.err] {
            assert!(!text.contains(['\r', '\x1b']), "{text:?}");
        }
        assert!(!done.out.is_empty() || !done.err.is_empty(), "no output at all");
    }
}

#[test]
fn inspect_shows_a_whole_set() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    copy_dir(&case.data_dir(), &root.join("set"));
    let before = snapshot(root);
    let done = post(root, &["inspect", "--data", "set", "--json"]).exits(0);
    let values = json_values(&done.out);
    assert!(!values.is_empty() && values.iter().all(Value::is_object), "{values:?}");
    assert_eq!(done.err, "");
    assert!(!post(root, &["inspect", "--data", "set"]).exits(0).out.is_empty());
    assert_eq!(changes(root, &before), "");
}

/// `inspect` is what a miner runs when something is wrong.
#[test]
fn inspect_survives_a_broken_set() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    copy_dir(&case.data_dir(), &root.join("set"));
    fs::remove_file(root.join("set").join(data_file(1))).unwrap();
    write(root, "set/postdata_2.bin", "short");
    write(root, "set/postdata_9.bin", "left over");
    let before = snapshot(root);
    for json in [false, true] {
        let mut call = Call::new(&["inspect", "--data", "set"]);
        if json {
            call = call.add(&["--json"]);
        }
        let done = call.run(root);
        assert!(matches!(done.code, Some(0..=2)), "{done:?}");
        assert!(!done.err.contains("panicked"), "{}", done.err);
        assert!(!done.out.is_empty() || !done.err.is_empty(), "no output at all");
        if json {
            json_values(&done.out);
        }
    }
    assert_eq!(changes(root, &before), "");
}

/// All values of a text that holds JSON and nothing else.
#[track_caller]
fn json_values(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .map(|value| value.unwrap_or_else(|e| panic!("{e}: {text:?}")))
        .collect()
}

#[test]
fn demo_works_and_keeps_its_files_when_asked() {
    let root = temp();
    let root = root.path();
    let done = post(root, &["demo", "--keep", "kept"]).exits(0);
    assert!(!done.out.trim().is_empty(), "no table");
    let mut drives: Vec<_> = walk(&root.join("kept"))
        .into_iter()
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(".bin")))
        .map(|path| path.parent().expect("a directory").to_owned())
        .collect();
    drives.sort();
    drives.dedup();
    assert_eq!(drives.len(), 2, "drives with data: {drives:?}");
}

#[test]
fn file_sizes_in_all_units() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let sizes: [(&str, u64); 10] = [
        ("16000", 16_000),
        ("16K", 16_000),
        ("1KiB", 1 << 10),
        ("2M", 2_000_000),
        ("1MiB", 1 << 20),
        ("1G", 1_000_000_000),
        ("4GiB", 4 << 30),
        ("1T", 1_000_000_000_000),
        ("1TiB", 1 << 40),
        ("49152", 49_152),
    ];
    for (text, bytes) in sizes {
        let drive = format!("path={text}");
        let init = init_case(case).set("--max-file-size", text).add(&["--drive", &drive]);
        init.run(root).exits(0);
        assert_eq!(metadata(&root.join(text))["MaxFileSize"], bytes, "{text}");
        let files = data_files(&[root.join(text)]);
        assert_eq!(files.len() as u64, 49_152_u64.div_ceil(bytes), "files of {text}");
    }
}

#[test]
fn drive_sizes_in_all_units() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    for text in ["60000", "60K", "60KiB", "1M", "1MiB", "1G", "1GiB"] {
        let drive = format!("path={text},size={text}");
        init_case(case).add(&["--drive", &drive]).run(root).exits(0);
        assert_eq!(data_files(&[root.join(text)]).len(), 4, "{text}");
    }
    // 47 · 1000 bytes are too few for 49152, 60 of anything larger are enough.
    let before = snapshot(root);
    init_case(case).add(&["--drive", "path=small,size=47K"]).run(root).exits(2);
    assert_eq!(changes(root, &before), "");
}
