//! Real filesystems that fill up or turn read-only while `init` is at work.
//!
//! Each test starts itself once more in mount namespaces of its own, so that nothing it mounts is seen by anybody else. Where
//! the system does not allow that, it says so and is skipped; `POST_REQUIRE_MOUNTS` turns that into a failure.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use post_core::drive::DirDrive;
use post_core::init::counted;
use tempfile::TempDir;

/// Set for a test that runs in its own mount namespace.
const INSIDE: &str = "POST_TEST_INSIDE_MOUNTS";

/// Labels of the set: a second or two of work for one thread, so that there are checkpoints on the way.
const LABELS: usize = 3600;

/// A drive that fills up under a running `init`: it says so, keeps everything, and goes on when there is room.
#[test]
fn a_filesystem_that_fills_up_costs_nothing() {
    if !inside("a_filesystem_that_fills_up_costs_nothing", &["-t", "tmpfs", "none"]) {
        return;
    }
    let root = Root::new();
    mount(&["-t", "tmpfs", "-o", "size=512k", "none"], &root.drive());
    let child = root.stopped_in_the_middle();
    let ballast = fill(&root.drive().join("ballast"));
    assert!(ballast > 0);
    let there = root.data_files();
    let told = root.refused(go_on(child));
    assert!(told.contains("No space left on device") && told.contains("free space there"), "{told}");
    root.assert_kept(&there);
    // As long as it is full, the same again; now it is known before anything is done.
    let told = root.refused(root.init());
    assert!(told.contains("no room for") || told.contains("free space there"), "{told}");
    root.assert_kept(&there);

    mount(&["-o", "remount,size=2m"], &root.drive());
    root.finishes();
    assert_eq!(fs::metadata(root.drive().join("ballast")).unwrap().len(), ballast, "other people's files stay");
}

/// A drive that is read-only when `init` is to go on.
#[test]
fn a_read_only_filesystem_is_left_alone() {
    if !inside("a_read_only_filesystem_is_left_alone", &["-t", "tmpfs", "none"]) {
        return;
    }
    let root = Root::new();
    mount(&["-t", "tmpfs", "none"], &root.drive());
    let mut child = root.stopped_in_the_middle();
    child.kill().unwrap();
    child.wait().unwrap();
    mount(&["-o", "remount,ro"], &root.drive());
    let there = root.data_files();
    let told = root.refused(root.init());
    assert!(told.contains("Read-only file system") && told.contains("remount it writable"), "{told}");
    root.assert_kept(&there);
    mount(&["-o", "remount,rw"], &root.drive());
    root.finishes();
    // What is whole can be looked at there.
    mount(&["-o", "remount,ro"], &root.drive());
    let inspected = post(root.path(), &["inspect", "--data", "drive"]);
    assert!(inspected.status.success(), "{inspected:?}");
}

/// A disk with errors: the system turns its filesystem read-only under a running `init`, and what was not synced is lost.
#[test]
fn a_filesystem_that_turns_read_only_loses_no_label_that_was_counted() {
    if !inside("a_filesystem_that_turns_read_only_loses_no_label_that_was_counted", &["-o", "loop"]) {
        return;
    }
    let root = Root::new();
    let image = image(root.path());
    mount(&["-o", "loop", image.to_str().unwrap()], &root.drive());
    let child = root.stopped_in_the_middle();
    let counted_before = root.counted();
    // As after an error in its own journal. An ordinary remount is not possible while files are open for writing.
    mount(&["-o", "remount,abort"], &root.drive());
    let told = root.refused(go_on(child));
    // The drive may be asked for space before it is written to.
    assert!(told.contains("Read-only file system") || told.contains("Input/output error"), "{told}");
    assert!(told.contains("drive"), "it says where: {told}");

    command("umount", &[root.drive().to_str().unwrap()]);
    mount(&["-o", "loop", image.to_str().unwrap()], &root.drive());
    let counted = root.counted();
    assert!(counted >= counted_before, "{counted_before} labels were counted, {counted} are left");
    assert_eq!(root.finishes(), LABELS - counted, "what is counted is not made again");
}

/// Whether this is the test inside its own mounts; if not, it is started there. `kind` is what it is going to mount.
fn inside(test: &str, kind: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // Root, or somebody who is root in a namespace of users.
    let ways: [&[&str]; 2] = [&["-m"], &["-U", "-r", "-m"]];
    let Some(way) = ways.iter().find(|way| can_mount(way, kind)) else {
        let why = format!("SKIPPED: {test}: this system does not let us mount {kind:?}");
        // Past the test harness, which keeps what it prints to itself.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "{why}").unwrap();
        assert!(std::env::var_os("POST_REQUIRE_MOUNTS").is_none(), "{why}, but POST_REQUIRE_MOUNTS demands it");
        return false;
    };
    let own = std::env::current_exe().unwrap();
    let mut again = Command::new("unshare");
    again.args(*way).arg("--").arg(own).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = again.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "inside: {text}");
    false
}

fn can_mount(way: &[&str], kind: &[&str]) -> bool {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("target");
    fs::create_dir(&target).unwrap();
    let mut mount = Command::new("unshare");
    mount.args(way).args(["--", "mount"]).args(kind);
    if kind.contains(&"loop") {
        let Some(image) = try_image(root.path()) else { return false };
        mount.arg(image);
    }
    mount.arg(target).output().is_ok_and(|output| output.status.success())
}

/// An empty ext4 of 16 MiB.
fn image(root: &Path) -> PathBuf {
    try_image(root).expect("it could be made a moment ago")
}

fn try_image(root: &Path) -> Option<PathBuf> {
    let image = root.join("image");
    fs::File::create_new(&image).unwrap().set_len(16 << 20).unwrap();
    let made = Command::new("mkfs.ext4").arg("-q").arg(&image).output();
    made.is_ok_and(|output| output.status.success()).then_some(image)
}

#[track_caller]
fn command(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

#[track_caller]
fn mount(how: &[&str], target: &Path) {
    command("mount", &[how, &[target.to_str().unwrap()]].concat());
}

/// Writes into a file until there is no room for another byte; how many there were room for.
fn fill(path: &Path) -> u64 {
    let mut file = fs::File::create_new(path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    file.metadata().unwrap().len()
}

/// Lets a stopped process go on to its end.
fn go_on(child: Child) -> Output {
    command("kill", &["-CONT", &child.id().to_string()]);
    child.wait_with_output().unwrap()
}

fn post(root: &Path, args: &[&str]) -> Output {
    Command::new(cargo_bin!("post")).args(args).current_dir(root).stdin(Stdio::null()).output().unwrap()
}

/// A directory with a network, and `drive` in it to mount something on.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let network = format!(
            "labels_per_unit = {LABELS}\nmin_units = 1\nmax_units = 8\nk1 = 26\nk2 = 37\nk3 = 1\n\
             pow_difficulty = \"{}\"\n[scrypt]\nn = 8192\nr = 1\np = 1\n",
            "ff".repeat(32)
        );
        fs::write(root.path().join("net.toml"), network).unwrap();
        fs::create_dir(root.path().join("drive")).unwrap();
        Self(root)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn drive(&self) -> PathBuf {
        self.path().join("drive")
    }

    fn args(drive: &str) -> Vec<String> {
        let (node, atx) = ("11".repeat(32), "22".repeat(32));
        let text = format!(
            "init --json --threads 1 --network net.toml --units 1 --max-file-size 12800 --node-id {node} \
             --commitment-atx {atx} --drive path={drive}"
        );
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn init_on(&self, drive: &str) -> Output {
        let args = Self::args(drive);
        post(self.path(), &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn init(&self) -> Output {
        self.init_on("drive")
    }

    /// How many labels the journal counts.
    fn counted(&self) -> usize {
        let drive = DirDrive::existing(&self.drive()).unwrap();
        let counted = counted(&drive).unwrap();
        counted.values().flatten().map(|stretch| (stretch.end - stretch.start) as usize).sum()
    }

    /// `init` that stands still when a third of the bytes is written and some of them count.
    fn stopped_in_the_middle(&self) -> Child {
        let mut child = Command::new(cargo_bin!("post"))
            .args(Self::args("drive"))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let written = || self.data_files().values().map(Vec::len).sum::<usize>();
        while written() < LABELS * 16 / 3 || self.counted() == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it ended: {:?}", child.wait_with_output());
            sleep(Duration::from_millis(2));
        }
        command("kill", &["-STOP", &child.id().to_string()]);
        assert!(child.try_wait().unwrap().is_none(), "it was too fast");
        child
    }

    fn data_files(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.drive())
    }

    /// Exit code 2 and one line, which is returned.
    #[track_caller]
    fn refused(&self, output: Output) -> String {
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.starts_with("error: ") && told.lines().count() == 1, "{told}");
        told
    }

    /// What was there is still there, and right.
    #[track_caller]
    fn assert_kept(&self, before: &BTreeMap<String, Vec<u8>>) {
        let now = self.data_files();
        for (name, bytes) in before {
            assert!(now.get(name).is_some_and(|now| now.starts_with(bytes)), "{name} is not what it was");
        }
    }

    /// The same command comes to the end, and to the same bytes as on an ordinary directory; labels it had to make.
    #[track_caller]
    fn finishes(&self) -> usize {
        let output = self.init();
        assert!(output.status.success(), "{output:?}");
        assert!(self.init_on("judge").status.success());
        let judge = files(&self.path().join("judge"));
        assert_eq!(judge.values().map(Vec::len).sum::<usize>(), LABELS * 16);
        assert!(self.data_files() == judge, "other bytes");
        let metadata = |drive: &str| fs::read(self.path().join(drive).join("postdata_metadata.json")).unwrap();
        assert!(metadata("drive") == metadata("judge"), "other metadata");
        let events = String::from_utf8(output.stdout).unwrap();
        let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let finished = events.into_iter().find(|event| event["event"] == "finished").unwrap();
        finished["labels_made"].as_u64().unwrap() as usize
    }
}

/// The data files of a directory by name.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let data = named.filter(|(name, _)| name.starts_with("postdata_") && name.ends_with(".bin"));
    data.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}
