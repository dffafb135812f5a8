//! Where the identity comes from, and that a key is never lost or made twice.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::support::*;

/// Two units of 64 labels in four files of 512 B; no identity, no drive.
fn init() -> Call {
    Call::new(&["init", "--network", "net.toml", "--units", "2", "--max-file-size", "512"])
        .set("--commitment-atx", ATX_ID)
}

fn root() -> TempDir {
    let root = temp();
    write(root.path(), "net.toml", network(64, 2));
    root
}

/// A set with a made key in the directory `name`; gives the key's text.
fn make_set(root: &Path, name: &str) -> String {
    init().add(&["--drive", &format!("path={name}")]).run(root).exits(0);
    fs::read_to_string(root.join(name).join("identity.key")).expect("a key was made")
}

/// The public half of a key, which is the node id.
fn public(key: &str) -> &str {
    &key.trim()[64..]
}

/// Every file named `identity.key`, wherever it is.
fn keys(root: &Path) -> Vec<PathBuf> {
    walk(root).into_iter().filter(|path| path.ends_with("identity.key")).collect()
}

#[test]
fn a_made_key_goes_to_the_first_drive_only() {
    let root = root();
    let root = root.path();
    // Each drive has room for two files and not for three.
    let drives = ["--drive", "path=one,size=1500", "--drive", "path=two,size=1500"];
    init().add(&drives).run(root).exits(0);

    let path = root.join("one").join("identity.key");
    assert_eq!(keys(root), std::slice::from_ref(&path));
    #[cfg(unix)]
    assert_eq!(mode(&fs::metadata(&path).unwrap()) & 0o777, 0o600);
    let key = fs::read_to_string(&path).unwrap();
    let key = key.trim();
    assert_eq!(key.len(), 128, "{key:?}");
    assert!(key.bytes().all(|digit| digit.is_ascii_hexdigit()), "{key:?}");
    for drive in ["one", "two"] {
        assert_eq!(node_id(&root.join(drive)), public(key), "{drive}");
        assert_eq!(data_files(&[root.join(drive)]).len(), 2, "{drive}");
    }
}

#[test]
fn a_second_run_goes_on_with_the_same_identity() {
    let root = root();
    let root = root.path();
    let first = ["--drive", "path=one,size=1500", "--drive", "path=two,size=1500"];
    init().add(&first).add(&["--files", "0..1"]).run(root).exits(0);
    let path = root.join("one").join("identity.key");
    let key = fs::read_to_string(&path).expect("a key on the first drive");

    // The other order: the key now lies on the drive that is named last.
    let other = ["--drive", "path=two,size=1500", "--drive", "path=one,size=1500"];
    init().add(&other).run(root).exits(0);
    assert_eq!(keys(root), std::slice::from_ref(&path), "a second key");
    assert_eq!(fs::read_to_string(&path).unwrap(), key, "the key changed");

    // The labels of both runs belong to this identity.
    let whole = init().set("--node-id", public(&key)).add(&["--drive", "path=whole"]);
    whole.run(root).exits(0);
    let drives = [root.join("one"), root.join("two")];
    assert_same_files(&data_files(&drives), &data_files(&[root.join("whole")]));
    for drive in drives {
        assert_eq!(node_id(&drive), public(&key));
    }
}

#[test]
fn a_drive_of_a_set_without_its_key_gets_no_second_one() {
    let root = root();
    let root = root.path();
    let drives = ["--drive", "path=one,size=1500", "--drive", "path=two,size=1500"];
    init().add(&drives).run(root).exits(0);
    let before = node_id(&root.join("two"));

    // The second drive alone. Whether the rest may be made there is not the question here.
    init().add(&["--drive", "path=two"]).run(root);
    assert_eq!(keys(root), [root.join("one").join("identity.key")]);
    assert_eq!(node_id(&root.join("two")), before);
}

#[test]
fn a_key_that_already_lies_on_a_drive_is_used() {
    let root = root();
    let root = root.path();
    let key = make_set(root, "made");
    fs::create_dir(root.join("two")).unwrap();
    write(root, "two/identity.key", &key);
    let before = keys(root);

    init().add(&["--drive", "path=one", "--drive", "path=two"]).run(root).exits(0);
    assert_eq!(keys(root).len(), before.len(), "a second key was made");
    assert_eq!(fs::read_to_string(root.join("two/identity.key")).unwrap(), key);
    for drive in ["one", "two"].map(|name| root.join(name)) {
        if !data_files(std::slice::from_ref(&drive)).is_empty() {
            assert_eq!(node_id(&drive), public(&key));
        }
    }
    assert_eq!(data_files(&[root.join("one"), root.join("two")]).len(), 4);
}

#[test]
fn a_key_file_gives_its_identity() {
    let root = root();
    let root = root.path();
    let key = make_set(root, "made");
    write(root, "my.key", &key);
    init().add(&["--key", "my.key", "--drive", "path=again"]).run(root).exits(0);
    assert_eq!(node_id(&root.join("again")), public(&key));
    assert_eq!(fs::read_to_string(root.join("my.key")).unwrap(), key);
    assert_same_files(&data_files(&[root.join("again")]), &data_files(&[root.join("made")]));
}

#[test]
fn a_node_id_may_be_hex_or_base64() {
    let root = root();
    let root = root.path();
    // Base64 of these bytes has '+', '/' and '=' in it.
    let id = [0xfb_u8; 31].iter().copied().chain([0xff]).collect::<Vec<u8>>();
    let base64 = STANDARD.encode(&id);
    assert!(base64.contains('/') && base64.contains('+') && base64.ends_with('='), "{base64}");
    for (name, text) in [("hex", hex::encode(&id)), ("base64", base64)] {
        let init = init().set("--node-id", &text).add(&["--drive", &format!("path={name}")]);
        init.run(root).exits(0);
        assert_eq!(node_id(&root.join(name)), hex::encode(&id), "{name}");
    }
    assert_eq!(keys(root), Vec::<PathBuf>::new(), "a key was made though an id was given");
    assert_same_files(&data_files(&[root.join("hex")]), &data_files(&[root.join("base64")]));
}

#[test]
fn a_conflicting_identity_is_refused() {
    let root = root();
    let root = root.path();
    let key = make_set(root, "set");
    let other = make_set(root, "other");
    assert_ne!(public(&key), public(&other), "two made keys are equal");
    // A set under a node id, where somebody put another identity's key.
    copy_dir(&root.join("set"), &root.join("swapped"));
    write(root, "swapped/identity.key", &other);
    for (name, text) in [("key_a", key.as_str()), ("key_b", &other), ("garbage", "hello\n")] {
        fs::create_dir(root.join(name)).unwrap();
        write(root, &format!("{name}/identity.key"), text);
    }

    let calls = [
        ("another node id", init().add(&["--drive", "path=set", "--node-id", NODE_ID])),
        ("another key", init().add(&["--drive", "path=set", "--key", "other/identity.key"])),
        ("two sets", init().add(&["--drive", "path=set", "--drive", "path=other"])),
        ("key and metadata disagree", init().add(&["--drive", "path=swapped"])),
        ("two keys", init().add(&["--drive", "path=key_a", "--drive", "path=key_b"])),
        ("no key in the key file", init().add(&["--drive", "path=garbage"])),
    ];
    let before = snapshot(root);
    let mut failures = Vec::new();
    for (name, call) in calls {
        let done = call.run(root);
        let changed = changes(root, &before);
        if done.code != Some(2) || !changed.is_empty() {
            failures.push(format!("{name}: {done:?}, changed: {changed}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_key_is_never_overwritten() {
    let root = root();
    let root = root.path();
    let key = make_set(root, "made");
    fs::create_dir(root.join("drive")).unwrap();
    write(root, "drive/identity.key", &key);
    // The exit status is free here: only the key counts.
    init().add(&["--drive", "path=drive", "--node-id", NODE_ID]).run(root);
    assert_eq!(fs::read_to_string(root.join("drive/identity.key")).unwrap(), key);
    make_set(root, "second");
    init().add(&["--drive", "path=drive", "--key", "second/identity.key"]).run(root);
    assert_eq!(fs::read_to_string(root.join("drive/identity.key")).unwrap(), key);
}
