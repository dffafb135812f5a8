//! `post link`: a view of a split set that is read as the set itself, made without touching anything that is there.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use crate::support::*;

/// The set of case a, in two directories, and its network.
fn world() -> tempfile::TempDir {
    let case = case(0);
    let temp = temp();
    let root = temp.path();
    write(root, "net.toml", case.network_toml());
    for (name, away) in [("low", [2, 3]), ("high", [0, 1])] {
        copy_dir(&case.data_dir(), &root.join(name));
        for index in away {
            fs::remove_file(root.join(name).join(data_file(index))).unwrap();
        }
    }
    temp
}

fn link() -> Call {
    Call::new(&["link", "--data", "low", "high", "--into", "views/all"])
}

#[test]
fn a_view_proves_what_the_set_proves() {
    let root = world();
    let root = root.path();
    write(&root.join("high"), "identity.key", "not read");
    link().run(root).exits(0);
    let view = root.join("views/all");
    for (name, target) in
        [(data_file(0), "low"), (data_file(1), "low"), (data_file(2), "high"), ("identity.key".into(), "high")]
    {
        let shown = fs::read_link(view.join(&name)).unwrap();
        assert_eq!(shown, root.canonicalize().unwrap().join(target).join(&name));
    }
    assert!(fs::symlink_metadata(view.join("postdata_metadata.json")).unwrap().is_file());
    assert_eq!(metadata(&view), metadata(&root.join("low")));

    Call::new(&["inspect", "--data", "views/all"]).run(root).exits(0);
    let prove = |dirs: &[&str]| prove_case(case(0)).add(&["--data"]).add(dirs).run(root).exits(0).out;
    assert_eq!(prove(&["views/all"]), prove(&["low", "high"]));

    // Again, in another order and by another name, there is nothing to do.
    let before = snapshot(root);
    let done = Call::new(&["link", "--data", "high", "./low/", "--into", "views/all", "--json"]).run(root).exits(0);
    assert_eq!(changes(root, &before), "");
    let got = json_lines(&done.out).remove(0);
    let links = got["links"].as_array().unwrap();
    assert!(links.len() == 5 && links.iter().all(|link| link["was_there"] == true), "{got}");
    assert_eq!(got["metadata_was_there"], true);
}

#[test]
fn a_dry_run_makes_nothing() {
    let root = world();
    let before = snapshot(root.path());
    let done = link().add(&["--dry-run"]).run(root.path()).exits(0);
    assert_eq!(changes(root.path(), &before), "");
    assert_eq!(done.out.lines().filter(|line| line.ends_with("(to be made)")).count(), 5, "{}", done.out);
}

/// What an earlier call left unfinished is finished.
#[test]
fn a_part_of_a_view_is_completed() {
    let root = world();
    let root = root.path();
    link().run(root).exits(0);
    let view = root.join("views/all");
    let whole = snapshot(&view);
    for name in ["postdata_1.bin", "postdata_metadata.json"] {
        fs::remove_file(view.join(name)).unwrap();
    }
    link().run(root).exits(0);
    assert_eq!(changes(&view, &whole), "");
}

type Spoil = Box<dyn Fn(&Path)>;

#[test]
fn what_is_in_the_way_is_named_and_nothing_is_made() {
    let into = |root: &Path| {
        fs::create_dir_all(root.join("views/all")).unwrap();
        root.join("views/all")
    };
    let other_metadata = |root: &Path| {
        fs::create_dir_all(root.join("views/all")).unwrap();
        fs::copy(root.join("low/postdata_metadata.json"), root.join("views/all/postdata_metadata.json")).unwrap();
        edit_metadata(&root.join("views/all"), |keys| _ = keys.insert("NumUnits".into(), json!(4)));
    };
    let cases: [(&str, &str, Spoil); 9] = [
        ("a file", "postdata_1.bin", Box::new(move |root| write(&into(root), "postdata_1.bin", "mine"))),
        (
            "a link elsewhere",
            "postdata_2.bin",
            Box::new(move |root| {
                symlink(root.join("low/postdata_0.bin"), into(root).join("postdata_2.bin")).unwrap();
            }),
        ),
        (
            "a link to nothing",
            "postdata_3.bin",
            Box::new(move |root| {
                symlink(root.join("nothing"), into(root).join("postdata_3.bin")).unwrap();
            }),
        ),
        (
            "a file of a larger set",
            "postdata_9.bin",
            Box::new(move |root| {
                write(&into(root), "postdata_9.bin", "");
            }),
        ),
        ("another set's metadata", "NumUnits", Box::new(other_metadata)),
        (
            "no metadata",
            "postdata_metadata.json",
            Box::new(move |root| {
                write(&into(root), "postdata_metadata.json", "{");
            }),
        ),
        (
            "metadata that links to nothing",
            "postdata_metadata.json",
            Box::new(move |root| {
                symlink(root.join("nothing"), into(root).join("postdata_metadata.json")).unwrap();
            }),
        ),
        (
            "a file for a directory",
            "views/all",
            Box::new(|root| {
                fs::create_dir(root.join("views")).unwrap();
                write(root, "views/all", "");
            }),
        ),
        (
            "a file that is missing",
            "postdata_3.bin",
            Box::new(|root| {
                fs::remove_file(root.join("high/postdata_3.bin")).unwrap();
            }),
        ),
    ];
    for (name, says, spoil) in cases {
        let root = world();
        spoil(root.path());
        refused(root.path(), &link(), says, name);
    }
}

#[test]
fn wrong_calls_are_refused() {
    let root = world();
    let root = root.path();
    symlink(root.join("low"), root.join("alias")).unwrap();
    for (call, says) in [
        (link().set("--into", "low"), "low is one of the set's own"),
        (link().set("--into", "alias"), "alias is one of the set's own"),
        (link().without("--into"), "--into"),
        (Call::new(&["link", "--into", "views/all"]), "--data"),
        (Call::new(&["link", "--data", "low", "--into", "views/all"]), "missing"),
        (Call::new(&["link", "--data", "low", "nowhere", "--into", "views/all"]), "nowhere"),
    ] {
        refused(root, &call, says, says);
    }
}

#[track_caller]
fn refused(root: &Path, call: &Call, says: &str, name: &str) {
    let before = snapshot(root);
    let done = call.run(root).exits(2);
    assert!(done.err.contains(says) && done.err.lines().count() == 1, "{name}: {}", done.err);
    assert_eq!((done.out.as_str(), changes(root, &before)), ("", String::new()), "{name}");
}
