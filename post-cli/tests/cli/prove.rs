//! `prove` that was stopped, killed, or could keep no progress.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::resume::interrupt;
use crate::support::*;

/// Where a drive keeps how far a proof has come.
const RECORD: &str = ".post/proof";

/// Starts `prove` with the slowest scan there is.
fn start_slowly(root: &Path, call: &Call) -> Child {
    std::process::Command::new(program())
        .args(&call.0)
        .current_dir(root)
        .env("POST_SCAN_TIER", "reference")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// Waits until the record says that more was scanned than before.
#[track_caller]
fn wait_for_progress(child: &mut Child, record: &Path, before: &[u8]) {
    let start = Instant::now();
    let scanned = |record: &[u8]| record != before && String::from_utf8_lossy(record).contains("\"done\":[[");
    while !fs::read(record).is_ok_and(|record| scanned(&record)) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it had saved anything");
        assert!(start.elapsed() < Duration::from_secs(200), "nothing was saved");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn interrupted_and_killed_in_mid_scan_then_finished() {
    let root = temp();
    let root = root.path();
    // 32 MiB and so many nonces that the slowest scan takes many times as long as it takes to save something.
    write(root, "net.toml", network(1 << 21, 2).replace("k2 = 37", "k2 = 42"));
    Call::new(&["init", "--network", "net.toml", "--units", "1", "--max-file-size", "256KiB", "--device", "cpu"])
        .set("--commitment-atx", ATX_ID)
        .set("--node-id", NODE_ID)
        .add(&["--drive", "path=one", "--drive", "path=two"])
        .run(root)
        .exits(0);
    let prove = Call::new(&["prove", "--network", "net.toml", "--randomx", "light", "--nonces", "512"])
        .set("--challenge", OTHER_ID)
        .add(&["--device", "cpu", "--threads", "1", "--data", "two", "--data", "one"]);
    let undisturbed = prove.run(root).exits(0).out;
    let record = root.join("two").join(RECORD);
    assert!(!record.exists(), "a proof that is safe needs no progress");

    // What Ctrl-C does.
    let mut child = start_slowly(root, &prove);
    wait_for_progress(&mut child, &record, b"");
    interrupt(&mut child);
    let output = child.wait_with_output().unwrap();
    if cfg!(unix) {
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{err}");
        assert!(err.contains("the same command continues"), "{err}");
    }
    assert!(output.stdout.is_empty());

    // What a power cut does.
    let kept = fs::read(&record).unwrap();
    let mut child = start_slowly(root, &prove);
    wait_for_progress(&mut child, &record, &kept);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty());
    assert_continues(&String::from_utf8(output.stderr).unwrap(), 1);

    let done = prove.run(root).exits(0);
    assert_eq!(done.out, undisturbed);
    assert_continues(&done.err, 1);
    assert!(!record.exists());
}

/// That stderr says that all 32 pows and at least this much of the first pass are there already.
#[track_caller]
fn assert_continues(err: &str, percent: u32) {
    let line = err.lines().find_map(|line| line.strip_prefix("continuing: "));
    let (done, rest) =
        line.and_then(|line| line.split_once(" % of pass 1 is done, ")).unwrap_or_else(|| panic!("{err}"));
    assert!(done.parse::<u32>().unwrap() >= percent, "{err}");
    assert_eq!(rest, "32 k2pows are kept", "{err}");
    assert!(!err.contains("k2pow for"), "{err}");
}

/// Where nothing can be written, a proof is made all the same.
#[test]
fn a_drive_that_keeps_nothing_is_good_for_a_proof() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let expected = proof_file(case, &case.deterministic_proof);
    copy_dir(&case.data_dir(), &root.join("file"));
    write(root, "file/.post", "no folder");
    copy_dir(&case.data_dir(), &root.join("lock"));
    fs::create_dir_all(root.join("lock/.post/lock.proof")).unwrap();
    copy_dir(&case.data_dir(), &root.join("record"));
    fs::create_dir_all(root.join("record").join(RECORD).join("full")).unwrap();
    for dir in ["file", "lock", "record"] {
        let done = prove_case(case).add(&["--data", dir]).run(root).exits(0);
        assert_eq!(serde_json::from_str::<Value>(&done.out).unwrap(), expected);
        let told = done.err.lines().filter(|line| line.starts_with("progress is not kept")).count();
        assert_eq!(told, 1, "{}", done.err);
    }
    assert_eq!(fs::read(root.join("file/.post")).unwrap(), b"no folder");
}

/// A disk that gave wrong labels once: the proof is refused, and the next one is made from what is there by then.
#[test]
fn a_refused_proof_is_not_found_again() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    copy_dir(&case.data_dir(), &root.join("set"));
    let path = root.join("set").join(data_file(0));
    let whole = fs::read(&path).unwrap();
    let mut rotten = whole.clone();
    // The last label is looked at before the work.
    let end = rotten.len() - 16;
    rotten[..end].fill(7);
    fs::write(&path, rotten).unwrap();
    let prove = prove_case(case).add(&["--data", "set"]);
    let refused = prove.run(root).exits(2);
    assert!(refused.err.contains("would be refused") && refused.out.is_empty(), "{refused:?}");

    fs::write(&path, whole).unwrap();
    let done = prove.run(root).exits(0);
    assert_eq!(serde_json::from_str::<Value>(&done.out).unwrap(), proof_file(case, &case.deterministic_proof));
    assert!(done.err.contains("continuing: 0 % of pass 1 is done, "), "{}", done.err);
}
