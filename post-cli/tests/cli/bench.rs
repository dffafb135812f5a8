//! `post bench` and forced tiers. Figures are not judged, only their form and the way from a call to them.

use std::fs;

use serde_json::Value;

use crate::support::{Call, Done, network, post, program, temp, write};

fn objects(done: Done) -> Vec<Value> {
    let done = done.exits(0);
    assert_eq!(done.err, "", "nothing but data is said with --json");
    done.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// Figures of a kind, which must all be positive numbers.
fn figures<'a>(objects: &'a [Value], bench: &str, figure: &str) -> Vec<(&'a Value, f64)> {
    let of_kind = objects.iter().filter(|object| object["bench"] == bench);
    let figures: Vec<_> = of_kind.map(|object| (object, object[figure].as_f64().unwrap())).collect();
    assert!(figures.iter().all(|(_, value)| *value > 0.0), "{objects:?}");
    figures
}

#[test]
fn labels_have_a_line_for_each_tier_and_one_is_chosen() {
    let root = temp();
    let objects =
        objects(post(root.path(), &["bench", "labels", "--quick", "--device", "cpu", "--threads", "1", "--json"]));
    let labels = figures(&objects, "labels", "labels_per_s");
    let tiers: Vec<_> = labels.iter().map(|(object, _)| object["tier"].as_str().unwrap()).collect();
    assert!(tiers.starts_with(&["scalar", "portable"]), "{tiers:?}");
    assert!(labels.iter().all(|(o, _)| o["n"] == 8192 && o["threads"] == 1 && o["device"] == "cpu"));
    assert_eq!(labels.iter().filter(|(object, _)| object["chosen"] == true).count(), 1);
    assert_eq!(figures(&objects, "summary", "fill_unit_s").len(), 1);
}

#[test]
fn scans_have_a_line_for_each_tier_and_number_of_groups() {
    let root = temp();
    let objects =
        objects(post(root.path(), &["bench", "scan", "--quick", "--device", "cpu", "--threads", "1", "--json"]));
    let scans = figures(&objects, "scan", "gib_per_s");
    assert!(scans.iter().all(|(object, _)| object["device"] == "cpu"));
    for groups in [1, 4, 8, 18] {
        let tiers: Vec<_> =
            scans.iter().filter(|(o, _)| o["groups"] == groups).map(|(o, _)| o["tier"].as_str().unwrap()).collect();
        assert!(tiers.contains(&"baseline") && tiers.contains(&"reference"), "{tiers:?}");
        let chosen = scans.iter().filter(|(o, _)| o["groups"] == groups && o["chosen"] == true);
        assert_eq!(chosen.count(), 1);
    }
}

#[test]
fn one_tier_can_be_named() {
    let root = temp();
    let call = |what: &str, tier: &str| {
        objects(post(root.path(), &["bench", what, "--quick", "--threads", "1", "--tier", tier, "--json"]))
    };
    let labels = call("labels", "portable");
    let labels = figures(&labels, "labels", "labels_per_s");
    assert!(labels.len() == 1 && labels[0].0["tier"] == "portable" && labels[0].0["chosen"] == true);
    let scans = call("scan", "baseline");
    assert!(figures(&scans, "scan", "gib_per_s").iter().all(|(object, _)| object["tier"] == "baseline"));
}

#[test]
fn a_drive_is_measured_and_nothing_is_left_on_it() {
    let root = temp();
    fs::create_dir(root.path().join("disk")).unwrap();
    let objects = objects(post(root.path(), &["bench", "drive", "--quick", "--drive", "disk", "--json"]));
    assert_eq!(figures(&objects, "drive", "read_gib_per_s").len(), 1);
    assert_eq!(figures(&objects, "drive", "write_gib_per_s").len(), 1);
    assert_eq!(fs::read_dir(root.path().join("disk")).unwrap().count(), 0);
}

#[test]
fn wrong_calls_are_refused_in_one_line() {
    let root = temp();
    let missing = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
    for (arguments, said) in [
        (vec!["labels", "--tier", "sse9"], "there is no tier"),
        (vec!["labels", "--tier", missing], "can't run tier"),
        (vec!["scan", "--tier", missing], "can't run tier"),
        (vec!["all", "--tier", "nothing"], "neither"),
        (vec!["pow", "--tier", "portable"], "--tier goes with"),
        (vec!["drive"], "--drive DIR"),
        (vec!["drive", "--drive", "not-there"], "not-there"),
        (vec!["labels", "--drive", "."], "--drive goes with"),
        (vec!["everything"], "everything"),
        (vec!["labels", "--threads", "0"], "0"),
        (vec!["labels", "--device", "gpu"], "unknown device"),
        (vec!["labels", "--device", "cpu", "--device", "cpu"], "given twice"),
    ] {
        let done = post(root.path(), &[&["bench"][..], &arguments].concat()).exits(2);
        assert!(done.err.contains(said) && done.err.lines().count() == 1, "{arguments:?}: {}", done.err);
        assert_eq!(done.out, "", "{arguments:?}");
    }
}

/// `init` and `prove` say which tiers they use, and every tier gives the same bytes.
#[test]
fn tiers_are_told_and_can_be_forced() {
    let root = temp();
    write(root.path(), "net.toml", network(512, 16));
    let run = |call: &Call, label: &str, scan: &str| {
        let output = assert_cmd::Command::new(program())
            .args(&call.0)
            .current_dir(root.path())
            .env("POST_LABEL_TIER", label)
            .env("POST_SCAN_TIER", scan)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    };
    let id = "11".repeat(32);
    let init = |dir: &str| {
        Call::new(&["init", "--network", "net.toml", "--units", "1", "--commitment-atx", &id, "--node-id", &id])
            .set("--drive", &format!("path={dir}"))
    };
    let prove = |dir: &str| {
        Call::new(&["prove", "--network", "net.toml", "--randomx", "light", "--challenge", &id]).set("--data", dir)
    };
    let mut seen = Vec::new();
    for tier in ["scalar", "portable"] {
        let done = run(&init(tier), tier, "").exits(0);
        assert!(done.err.contains(tier), "{}", done.err);
        seen.push(fs::read(root.path().join(tier).join("postdata_0.bin")).unwrap());
    }
    assert_eq!(seen[0], seen[1]);
    let mut proofs = Vec::new();
    for tier in ["reference", "baseline", ""] {
        let done = run(&prove("scalar"), "", tier).exits(0);
        assert!(done.err.contains(tier), "{}", done.err);
        proofs.push(done.out);
    }
    assert!(proofs.iter().all(|proof| *proof == proofs[0]));

    let missing = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
    for (label, scan, variable) in [("nope", "", "POST_LABEL_TIER"), ("", missing, "POST_SCAN_TIER")] {
        let done = run(&init("other"), label, scan).exits(2);
        assert!(done.err.contains(variable) && done.err.lines().count() == 1, "{}", done.err);
        assert!(!root.path().join("other").exists(), "nothing is made");
    }
}
