//! `init` that was stopped, split or run again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::support::*;

/// A small generator with a fixed seed (splitmix64), so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 33) as u32 % limit
    }
}

#[test]
fn stopped_many_times_then_finished() {
    const SEED: u64 = 20_240_229;
    let root = temp();
    let root = root.path();
    write(root, "net.toml", network(1200, 8192));
    // 4800 labels in 6 files; no drive has room for all of them.
    let init = |one: &str, two: &str| {
        Call::new(&["init", "--network", "net.toml", "--units", "4", "--max-file-size", "12800"])
            .set("--commitment-atx", ATX_ID)
            .set("--node-id", NODE_ID)
            .add(&["--drive", &format!("path={one},size=43K")])
            .add(&["--drive", &format!("path={two},size=43K")])
    };

    let start = Instant::now();
    init("one", "two").run(root).exits(0);
    let whole_time = start.elapsed();
    let expected = data_files(&[root.join("one"), root.join("two")]);
    assert_eq!(expected.values().map(Vec::len).sum::<usize>(), 4800 * 16);
    println!("seed {SEED}; uninterrupted {whole_time:?}");

    let drives = [root.join("stopped_one"), root.join("stopped_two")];
    let call = init("stopped_one", "stopped_two");
    let mut random = Random(SEED);
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    for round in 0..6 {
        // The time only picks the moment. Where it comes too late, the run simply was not stopped.
        let wait = whole_time * (5 + random.below(30)) / 100;
        let mut child = start_in(root, &call.clone().set("--threads", ["1", "2"][round % 2]));
        sleep(wait);
        if round == 2 {
            interrupt(&mut child);
        } else {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();

        let files = data_files(&drives);
        let bytes: usize = files.values().map(Vec::len).sum();
        println!("round {round}: stopped after {wait:?}, {status}, {bytes} bytes");
        for (index, before) in &lengths {
            let now = files.get(index).map_or(0, Vec::len);
            assert!(now >= *before, "{}: {before} bytes became {now}", data_file(*index));
        }
        if status.success() {
            assert_same_files(&files, &expected);
        }
        lengths = files.into_iter().map(|(index, content)| (index, content.len())).collect();
    }

    call.run(root).exits(0);
    assert_same_files(&data_files(&drives), &expected);
    let whole = metadata(&root.join("one"));
    for drive in &drives {
        let got = metadata(drive);
        for key in FIXED_KEYS.iter().chain(&["Nonce", "NonceValue"]) {
            assert_eq!(got[key], whole[key], "{key}");
        }
        assert!(whole["Nonce"].is_u64());
    }
}

fn start_in(root: &Path, call: &Call) -> Child {
    std::process::Command::new(program())
        .args(&call.0)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// What Ctrl-C does.
#[cfg(unix)]
pub(crate) fn interrupt(child: &mut Child) {
    // The shell's own kill: a small system may have no other. It fails when the child has ended.
    let command = format!("kill -INT {}", child.id());
    std::process::Command::new("sh").args(["-c", &command]).output().expect("a shell");
}

#[cfg(not(unix))]
pub(crate) fn interrupt(child: &mut Child) {
    child.kill().unwrap();
}

#[test]
fn a_finished_set_is_left_untouched() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let call = init_case(case).add(&["--drive", "path=drive"]);
    call.run(root).exits(0);
    let drive = root.join("drive");
    // A time long ago: any write would show.
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for index in 0..4 {
        let file = fs::File::options().write(true).open(drive.join(data_file(index))).unwrap();
        file.set_modified(old).unwrap();
    }
    let keys = metadata(&drive);

    call.run(root).exits(0);
    for index in 0..4 {
        let about = fs::metadata(drive.join(data_file(index))).unwrap();
        assert_eq!(about.modified().unwrap(), old, "{} was written", data_file(index));
    }
    assert_same_files(&data_files(std::slice::from_ref(&drive)), &data_files(&[case.data_dir()]));
    assert_eq!(metadata(&drive), keys);
}

/// Another program made the set and never looked for a nonce: `init` completes the metadata and keeps foreign keys.
#[test]
fn a_set_without_a_nonce_gets_one() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let drive = root.join("drive");
    copy_dir(&case.data_dir(), &drive);
    edit_metadata(&drive, |keys| {
        keys.insert("Nonce".to_owned(), Value::Null);
        keys.insert("MadeBy".to_owned(), json!("someone else"));
    });

    init_case(case).add(&["--drive", "path=drive"]).run(root).exits(0);
    let got = metadata(&drive);
    assert_eq!(got["Nonce"], json!(case.vrf_nonce));
    assert_eq!(got["MadeBy"], json!("someone else"));
    assert_same_files(&data_files(&[drive]), &data_files(&[case.data_dir()]));
}

#[test]
fn two_ranges_of_files_make_the_whole() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let drive = root.join("drive");
    let call = init_case(case).add(&["--drive", "path=drive"]);
    call.clone().set("--files", "2..4").run(root).exits(0);
    let files: Vec<usize> = data_files(std::slice::from_ref(&drive)).into_keys().collect();
    assert_eq!(files, [2, 3], "the range is half-open");
    call.set("--files", "0..2").run(root).exits(0);
    assert_same_files(&data_files(std::slice::from_ref(&drive)), &data_files(&[case.data_dir()]));
    assert_eq!(metadata(&drive)["Nonce"], json!(case.vrf_nonce));
}

/// Parts that were made apart, each on its own drive, become one set.
#[test]
fn two_drives_made_apart_become_one_set() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let drives = [root.join("one"), root.join("two")];
    let call = init_case(case);
    call.clone().add(&["--drive", "path=one", "--files", "0..2"]).run(root).exits(0);
    call.clone().add(&["--drive", "path=two", "--files", "2..4"]).run(root).exits(0);
    call.add(&["--drive", "path=one", "--drive", "path=two"]).run(root).exits(0);
    assert_same_files(&data_files(&drives), &data_files(&[case.data_dir()]));
    assert_eq!(metadata(&drives[0]), metadata(&drives[1]));
    assert_eq!(metadata(&drives[0])["Nonce"], json!(case.vrf_nonce));
}

/// A set that another program left unfinished, in the middle of a label: go on or refuse, but never cut.
#[test]
fn an_unfinished_foreign_set_is_finished_or_refused() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let drive = root.join("drive");
    copy_dir(&case.data_dir(), &drive);
    for index in [2, 3] {
        fs::remove_file(drive.join(data_file(index))).unwrap();
    }
    let file = fs::File::options().write(true).open(drive.join(data_file(1))).unwrap();
    file.set_len(700 * 16 + 5).unwrap();
    drop(file);

    let before = snapshot(root);
    let done = init_case(case).add(&["--drive", "path=drive"]).run(root);
    if done.code == Some(0) {
        assert_same_files(&data_files(&[drive]), &data_files(&[case.data_dir()]));
        return;
    }
    assert_eq!(changes(root, &before), "", "refused, yet changed");
    done.exits(2);
}

#[test]
fn other_parameters_on_a_set_are_refused() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let call = init_case(case).add(&["--drive", "path=drive"]);
    call.run(root).exits(0);
    write(root, "bigger.toml", case.network_toml().replace("= 1024", "= 2048"));
    assert_refused(
        root,
        &[
            call.clone().set("--units", "2"),
            call.clone().set("--units", "4"),
            call.clone().set("--max-file-size", "8000"),
            call.clone().set("--max-file-size", "32000"),
            call.clone().set("--commitment-atx", ATX_ID),
            call.clone().set("--node-id", OTHER_ID),
            call.clone().set("--network", "bigger.toml"),
            call.clone().set("--units", "4").set("--files", "0..1"),
        ],
    );
}

/// The same while the set is still unfinished.
#[test]
fn other_parameters_on_a_part_are_refused() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let call = init_case(case).add(&["--drive", "path=drive"]);
    call.clone().set("--files", "0..1").run(root).exits(0);
    assert_refused(
        root,
        &[
            call.clone().set("--units", "2"),
            call.clone().set("--max-file-size", "32000"),
            call.clone().set("--commitment-atx", ATX_ID),
            call.clone().set("--node-id", OTHER_ID),
        ],
    );
    // The right ones still work.
    call.run(root).exits(0);
    let drive: PathBuf = root.join("drive");
    assert_same_files(&data_files(&[drive]), &data_files(&[case.data_dir()]));
}

#[track_caller]
fn assert_refused(root: &Path, calls: &[Call]) {
    let before = snapshot(root);
    let mut failures = Vec::new();
    for call in calls {
        let done = call.run(root);
        let changed = changes(root, &before);
        if done.code != Some(2) || !changed.is_empty() {
            failures.push(format!("{:?}: {done:?}, changed: {changed}", call.0));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
