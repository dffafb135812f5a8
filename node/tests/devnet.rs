//! A whole network of real processes: nodes, provers, a PoET.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs a devnet; its last line and whether it says that all went well.
fn devnet(args: &[&str]) -> (bool, Value) {
    let program = Path::new(env!("CARGO_BIN_EXE_post-node"));
    let post = program.with_file_name(format!("post{}", std::env::consts::EXE_SUFFIX));
    assert!(
        post.is_file(),
        "{} is missing: run all tests of the workspace, or cargo build -p post-cli",
        post.display()
    );
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("devnet");
    let output = Command::new(program).args(["devnet", "--json", "--dir"]).arg(&data).args(args).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let last = lines.last().cloned().unwrap_or_default();
    if last["ok"] != true {
        // Whoever reads the report has nothing but it.
        for log in walk(&data) {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let tail: Vec<_> = text.lines().rev().take(60).collect();
            println!("== {}\n{}", log.display(), tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        println!("== {stderr}\n{last:#}");
    }
    (output.status.success(), last)
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut logs: Vec<_> = entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    logs
}

#[test]
fn all_agree_though_one_is_killed_in_every_phase() {
    let (success, summary) = devnet(&["--nodes", "4", "--epochs", "2", "--seed", "1", "--crash-phases"]);
    assert!(success && summary["ok"] == true, "{summary:#}");
    assert!(summary["crashes"].as_u64().unwrap() >= 10, "{summary:#}");
    let epochs = summary["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 2);
    for epoch in epochs {
        let nodes = epoch["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 4);
        for node in nodes {
            assert_eq!(node["atxs"], 4, "{summary:#}");
            assert_eq!(node["weight"], nodes[0]["weight"], "{summary:#}");
        }
    }
}

/// Minutes, and no other devnet beside it: `cargo test --workspace --test devnet -- --ignored --test-threads=1`.
#[test]
#[ignore = "takes minutes"]
fn layers_are_the_same_everywhere_though_the_network_was_cut_and_one_comes_late() {
    let (success, summary) =
        devnet(&["--nodes", "4", "--layers", "6", "--seed", "2", "--partition", "2/2:1..3", "--late"]);
    assert!(success && summary["ok"] == true, "{summary:#}");
    assert!(summary["blocks"].as_u64().unwrap() >= 1, "{summary:#}");
    let last = summary["first_layer"].as_u64().unwrap() + 5;
    let nodes = summary["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 5);
    for node in nodes {
        assert_eq!((&node["last_final"], &node["frauds"]), (&last.into(), &0.into()), "{summary:#}");
    }
}

/// As above.
#[test]
#[ignore = "takes minutes"]
fn every_kind_of_two_words_convicts() {
    let lies = ["atx,ballot", "hare-preround,hare-propose", "hare-commit,hare-notify", "beacon-first,beacon-followup"];
    for lies in lies {
        let (success, summary) = devnet(&["--nodes", "7", "--layers", "12", "--seed", "3", "--liars", lies]);
        assert!(success && summary["ok"] == true, "{lies}: {summary:#}");
    }
}
