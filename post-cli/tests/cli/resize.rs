//! `post grow`, `post merge` and `post prune`: what they say, what they refuse, and that only `prune` deletes.

use std::path::{Path, PathBuf};

use crate::support::*;

/// Units of 700 labels in files of 300.
fn init(drives: &[&str], units: &str) -> Call {
    let call = Call::new(&["init", "--network", "net.toml", "--max-file-size", "4800", "--units", units])
        .set("--node-id", NODE_ID)
        .set("--commitment-atx", ATX_ID);
    drives.iter().fold(call, |call, drive| call.add(&["--drive", drive]))
}

fn grow(units: &str) -> Call {
    Call::new(&["grow", "--network", "net.toml", "--drive", "path=a", "--drive", "path=b", "--units", units])
}

fn prune() -> Call {
    Call::new(&["prune", "--network", "net.toml", "--data", "a", "b"])
}

/// A set of three units on two drives, and one of five made at once.
fn world() -> tempfile::TempDir {
    let temp = temp();
    write(temp.path(), "net.toml", network(700, 2));
    init(&["path=a", "path=b"], "3").run(temp.path()).exits(0);
    init(&["path=whole"], "5").run(temp.path()).exits(0);
    temp
}

fn files(root: &Path, dirs: &[&str]) -> std::collections::BTreeMap<usize, Vec<u8>> {
    data_files(&dirs.iter().map(|dir| root.join(dir)).collect::<Vec<PathBuf>>())
}

fn prove(root: &Path, dirs: &[&str]) -> String {
    let call = Call::new(&["prove", "--network", "net.toml", "--randomx", "light", "--nonces", "16", "--data"]);
    call.add(dirs).set("--challenge", &"ab".repeat(32)).run(root).exits(0).out
}

#[test]
fn a_set_grows_and_shrinks() {
    let root = world();
    let root = root.path();
    let before = snapshot(root);
    let shown = grow("5").add(&["--dry-run"]).run(root).exits(0);
    assert!(shown.out.contains("to make") && shown.err.contains("0 of 1400 new labels"), "{shown:?}");
    assert_eq!(changes(root, &before), "");

    let grown = grow("5").add(&["--json"]).run(root).exits(0);
    let end = json_lines(&grown.out).pop().unwrap();
    assert_eq!((&end["event"], &end["complete"]), (&"finished".into(), &true.into()));
    assert_same_files(&files(root, &["a", "b"]), &files(root, &["whole"]));
    assert_eq!(metadata(&root.join("a"))["Nonce"], metadata(&root.join("whole"))["Nonce"]);
    assert_eq!(prove(root, &["b", "a"]), prove(root, &["whole"]));

    // Nothing is deleted before the set is named.
    let before = snapshot(root);
    let asked = prune().add(&["--units", "2"]).run(root).exits(2);
    assert!(asked.out.contains("a: postdata_6.bin, 4800 bytes"), "{asked:?}");
    let id = asked.err.trim_end().rsplit(' ').next().unwrap().to_owned();
    prune().add(&["--units", "2", "--set", &id, "--dry-run"]).run(root).exits(0);
    let wrong = prune().add(&["--units", "2", "--set", "0123456789abcdef"]).run(root).exits(2);
    assert!(wrong.err.contains("nothing was deleted"), "{wrong:?}");
    assert_eq!(changes(root, &before), "");
    let inspected = Call::new(&["inspect", "--json", "--data", "a", "b"]).run(root).exits(0);
    assert_eq!(json_lines(&inspected.out)[0]["set_id"], id.as_str());

    prune().add(&["--units", "2", "--set", &id]).run(root).exits(0);
    init(&["path=small"], "2").run(root).exits(0);
    assert_same_files(&files(root, &["a", "b"]), &files(root, &["small"]));
    assert_eq!(metadata(&root.join("a"))["Nonce"], metadata(&root.join("small"))["Nonce"]);
    assert!(prune().run(root).exits(0).err.contains("nothing is to be deleted"));
}

/// A set over five directories proves as in one, in whatever order and wherever they are mounted.
#[test]
fn drives_may_move() {
    let root = world();
    let root = root.path();
    init(&["path=d0", "path=d1", "path=d2", "path=d3", "path=d4"], "5").run(root).exits(0);
    let proof = prove(root, &["whole"]);
    assert_eq!(prove(root, &["d0", "d1", "d2", "d3", "d4"]), proof);
    assert_eq!(prove(root, &["d3", "d1", "d4", "d0", "d2"]), proof);
    std::fs::create_dir(root.join("mnt")).unwrap();
    for (from, to) in [("d0", "mnt/x"), ("d1", "y"), ("d2", "d0"), ("d4", "d1")] {
        std::fs::rename(root.join(from), root.join(to)).unwrap();
    }
    assert_eq!(prove(root, &["d1", "mnt/x", "d0", "y", "d3"]), proof);
    // Without one of them the others tell what is missing, and where it was.
    let refused = Call::new(&["prove", "--network", "net.toml", "--challenge", &"ab".repeat(32), "--data"])
        .add(&["mnt/x", "y", "d0", "d3"])
        .run(root)
        .exits(2);
    let was = root.canonicalize().unwrap().join("d4");
    assert!(refused.err.contains("postdata_4.bin") && refused.err.contains(was.to_str().unwrap()), "{refused:?}");
}

#[test]
fn shards_are_merged() {
    let root = world();
    let root = root.path();
    init(&["path=x"], "5").add(&["--files", "0..7"]).run(root).exits(0);
    init(&["path=y"], "5").add(&["--files", "7..12"]).run(root).exits(0);
    write(&root.join("x"), "identity.key", "no key");
    let merge = Call::new(&["merge", "--network", "net.toml", "x", "y", "--into", "path=out"]);
    let before = snapshot(root);
    merge.clone().add(&["--dry-run"]).run(root).exits(0);
    let gap = Call::new(&["merge", "--network", "net.toml", "x", "--into", "path=out"]).run(root).exits(2);
    assert!(gap.err.contains("postdata_7.bin to postdata_11.bin are missing"), "{gap:?}");
    let overlap = merge.clone().add(&["whole"]).run(root).exits(2);
    assert!(overlap.err.contains("postdata_0.bin to postdata_6.bin are both in x and in whole"), "{overlap:?}");
    let other = Call::new(&["merge", "--network", "net.toml", "x", "a", "--into", "path=out"]).run(root).exits(2);
    assert!(other.err.contains("NumUnits is 5 in one and 3 in the other"), "{other:?}");
    assert_eq!(changes(root, &before), "");

    // A broken key is refused after the work, and the same command goes on when it is mended.
    merge.run(root).exits(2);
    std::fs::remove_file(root.join("x/identity.key")).unwrap();
    merge.run(root).exits(0);
    assert_same_files(&files(root, &["out"]), &files(root, &["whole"]));
    assert_eq!(metadata(&root.join("out")), metadata(&root.join("whole")));
    assert_same_files(&files(root, &["x", "y"]), &files(root, &["whole"]));
}

#[test]
fn wrong_calls_change_nothing() {
    let root = world();
    let root = root.path();
    let before = snapshot(root);
    let merge = |words: &[&str]| Call::new(&["merge", "--network", "net.toml"]).add(words);
    for (call, says) in [
        (grow("2"), "post prune --units 2"),
        (grow("0"), "no growth"),
        (grow("100"), "units are not allowed"),
        (grow("5").without("--drive").add(&["--drive", "path=a"]), "on the drive that was"),
        (grow("5").without("--drive").add(&["--drive", "path=empty"]), "has no postdata_metadata.json"),
        (grow("5").without("--drive").add(&["--drive", "path=a,size=15K", "--drive", "path=b,size=15K"]), "no room"),
        (grow("5").without("--units"), "--units"),
        (prune().add(&["--units", "4"]), "post grow --units 4"),
        (prune().add(&["--units", "0"]), "can't be pruned to 0"),
        (Call::new(&["prune", "--data", "empty"]), "cannot read the directory empty"),
        (merge(&["a", "b"]), "--into"),
        (merge(&["--into", "path=out"]), "DIR"),
        (merge(&["a", "nowhere", "--into", "path=out"]), "nowhere"),
        (merge(&["a", "b", "--into", "path=whole"]), "NumUnits"),
        (merge(&["a", "b", "--into", "path=out,size=20K"]), "no room"),
    ] {
        let done = call.run(root).exits(2);
        assert!(done.err.contains(says) && done.err.lines().count() == 1, "{call:?}: {done:?}");
        assert_eq!(changes(root, &before), "", "{call:?}");
    }
}
