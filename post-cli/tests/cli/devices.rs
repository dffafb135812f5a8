//! What computes: the list of devices, how they are named, and that the bytes don't depend on them.
//!
//! `POST_REQUIRE_DEVICES=vulkan,opencl` turns the absence of an API's devices into a failure; without it their part is
//! skipped aloud. Software devices (lavapipe, PoCL) are enough.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::*;

/// Into the log, whether a test fails or not.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// `post devices --json`, asked only once: software devices compile for it.
fn listed() -> &'static [Value] {
    static LISTED: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let done = post(temp().path(), &["devices", "--json"]).exits(0);
        assert_eq!(done.err, "", "nothing but data is said with --json");
        json_lines(&done.out)
    });
    &LISTED
}

fn ids() -> Vec<&'static str> {
    listed().iter().map(|device| device["id"].as_str().unwrap()).collect()
}

/// The first device of each API.
fn gpus() -> Vec<&'static str> {
    let required = std::env::var("POST_REQUIRE_DEVICES").unwrap_or_default();
    let mut found = Vec::new();
    for api in [if cfg!(target_os = "macos") { "metal" } else { "vulkan" }, "opencl"] {
        match ids().into_iter().find(|id| id.split(':').next() == Some(api)) {
            Some(id) => found.push(id),
            None if required.split(',').any(|required| required == api) => {
                panic!("POST_REQUIRE_DEVICES demands {api}, and there is only {:?}", ids())
            }
            None => say(&format!("SKIPPED: no {api} device, so nothing is computed on one")),
        }
    }
    found
}

/// Runs `post` where no driver can be found.
fn without_drivers(root: &Path, args: &[&str]) -> (Done, Duration) {
    write(root, "no-driver.json", "");
    let started = Instant::now();
    let output = assert_cmd::Command::new(program())
        .args(args)
        .current_dir(root)
        .env("VK_DRIVER_FILES", root.join("no-driver.json"))
        .env("VK_ICD_FILENAMES", root.join("no-driver.json"))
        .env("POST_OPENCL_LIBRARY", "")
        .env_remove("HOME")
        .env_remove("XDG_CACHE_HOME")
        .timeout(Duration::from_secs(60))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let done = Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    (done, started.elapsed())
}

fn init(drives: &[&str]) -> Call {
    let call = Call::new(&["init", "--network", "net.toml", "--units", "2", "--max-file-size", "16384"]).add(&[
        "--node-id",
        NODE_ID,
        "--commitment-atx",
        ATX_ID,
    ]);
    drives.iter().fold(call, |call, drive| call.add(&["--drive", drive]))
}

fn on(call: Call, devices: &[&str]) -> Call {
    devices.iter().fold(call, |call, device| call.add(&["--device", device]))
}

#[test]
fn every_device_is_listed_with_all_that_is_known_of_it() {
    assert_eq!(ids()[0], "cpu");
    for device in listed() {
        for key in ["id", "name", "driver"] {
            assert!(device[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {device}");
        }
        assert!(device["software"].is_boolean(), "{device}");
        assert!(device["memory_bytes"].is_null() || device["memory_bytes"].as_u64() > Some(0), "{device}");
        assert!(device["tuning"].is_null() || device["tuning"].is_object(), "{device}");
        assert_eq!(device["self_test"], "ok", "{device}");
    }
    let (mut once, all) = (ids(), ids().len());
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), all, "an id names two devices: {:?}", ids());
    assert!(listed()[0]["memory_bytes"].as_u64() > Some(1 << 27) && listed()[0]["software"] == false);
}

#[test]
fn people_are_shown_the_same() {
    let done = post(temp().path(), &["devices"]).exits(0);
    for id in ids() {
        assert!(done.out.lines().any(|line| line.split(' ').next() == Some(id)), "{id} in\n{}", done.out);
    }
    assert_eq!(done.out.matches("self-test: ok").count(), ids().len(), "{}", done.out);
}

#[test]
fn devices_that_cant_be_meant_are_refused_in_one_line() {
    let root = temp();
    write(root.path(), "net.toml", network(256, 16));
    let known = ids().join(", ");
    for (arguments, said) in [
        (vec!["--device", "abacus"], known.as_str()),
        (vec!["--device", "vulkan:99"], &known),
        (vec!["--device", "cpu", "--device", "opencl"], &known),
        (vec!["--device", "cpu", "--device", "cpu"], "given twice"),
        (vec!["--device", "cpu", "--gpu-memory", "1G"], "--gpu-memory"),
        (vec!["--gpu-memory", "much"], "much"),
    ] {
        let done = init(&["path=new"]).add(&arguments).run(root.path()).exits(2);
        assert!(done.err.contains(said) && done.err.lines().count() == 1, "{arguments:?}: {}", done.err);
        assert_eq!(done.out, "", "{arguments:?}");
        assert!(!root.path().join("new").exists(), "{arguments:?}: something was made");
    }
}

#[test]
fn too_little_memory_is_told_with_the_cure() {
    let root = temp();
    write(root.path(), "net.toml", network(256, 16));
    for id in gpus() {
        let call = on(init(&["path=new"]), &[id]).add(&["--gpu-memory", "1K"]);
        let done = call.run(root.path()).exits(2);
        assert!(done.err.contains("--gpu-memory") && done.err.lines().count() == 1, "{}", done.err);
        assert!(!root.path().join("new").exists(), "something was made");
    }
}

#[test]
fn the_doctor_looks_at_every_part() {
    let root = temp();
    let done = post(root.path(), &["doctor", "--json"]).exits(0);
    assert_eq!(done.err, "");
    let parts = json_lines(&done.out);
    let names: Vec<_> = parts.iter().map(|part| part["part"].as_str().unwrap()).collect();
    let first = if cfg!(target_os = "macos") { "metal" } else { "vulkan" };
    assert_eq!(names, ["cpu", first, "opencl", "randomx"]);
    assert_eq!(parts[0]["works"], true);

    let (done, _) = without_drivers(root.path(), &["doctor", "--json"]);
    let parts = json_lines(&done.exits(0).out);
    for part in &parts[1..3] {
        assert_eq!(part["works"], false, "{part}");
        let missing = part["missing"].as_array().unwrap();
        assert!(!missing.is_empty(), "{part}");
        assert!(missing.iter().all(|missing| missing["what"].is_string() && missing["cure"].is_string()), "{part}");
    }
    if cfg!(target_os = "linux") {
        assert!(told(&parts).contains("mesa-vulkan-drivers") && told(&parts).contains("ocl-icd-libopencl1"));
    }
    let (people, _) = without_drivers(root.path(), &["doctor"]);
    assert!(people.exits(0).out.contains("vulkan") || first == "metal");
}

fn told(parts: &[Value]) -> String {
    parts.iter().map(Value::to_string).collect()
}

/// Where there is neither Vulkan nor OpenCL the same program does everything, on the CPU, and says so quickly.
#[cfg(not(target_os = "macos"))]
#[test]
fn without_drivers_the_cpu_does_it_all() {
    let root = temp();
    let root = root.path();
    let (done, took) = without_drivers(root, &["devices", "--json"]);
    let devices = json_lines(&done.exits(0).out);
    assert!(devices.len() == 1 && devices[0]["id"] == "cpu", "{devices:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let (done, _) = without_drivers(root, &["devices"]);
    assert_eq!(done.err.lines().count(), 2, "{}", done.err);

    without_drivers(root, &["demo"]).0.exits(0);
    // Here GPUs are looked for by default.
    let (done, _) = without_drivers(root, &["bench", "labels", "--quick", "--threads", "1", "--json"]);
    let labels = json_lines(&done.exits(0).out);
    assert!(labels.iter().all(|line| line["bench"] != "labels" || line["device"] == "cpu"), "{labels:?}");
}

/// Every device, and all of them at once, make the same files, metadata and proofs.
#[test]
fn the_bytes_do_not_depend_on_the_device() {
    let root = temp();
    let root = root.path();
    // More than 64 workgroups, in files that don't end with one.
    write(root, "net.toml", network(2085, 128));
    let gpus = gpus();
    let mut sets = vec![vec!["cpu"]];
    sets.extend(gpus.iter().map(|id| vec![*id]));
    if !gpus.is_empty() {
        sets.push([&["cpu"], &gpus[..]].concat());
    }
    let mut expected = None;
    for devices in &sets {
        let name = devices.join("+").replace(':', "-");
        let drives = [format!("{name}/a"), format!("{name}/b")];
        let specs = [format!("path={},size=33000", drives[0]), format!("path={}", drives[1])];
        let done = on(init(&[&specs[0], &specs[1]]), devices).run(root).exits(0);
        let lines = done.err.lines().filter(|line| line.starts_with("labels on ")).count();
        assert_eq!(lines, devices.len(), "{}", done.err);

        let data = [root.join(&drives[0]), root.join(&drives[1])];
        assert!(data.iter().all(|dir| !data_files(std::slice::from_ref(dir)).is_empty()), "a drive is empty");
        let call = Call::new(&["prove", "--network", "net.toml", "--randomx", "light", "--challenge", OTHER_ID])
            .add(&["--data", &drives[0], &drives[1]]);
        let proof = on(call, devices).run(root).exits(0).out;
        write(root, "proof.json", &proof);
        on(Call::new(&["verify", "proof.json", "--network", "net.toml"]), devices).run(root).exits(0);

        let metadata = fs::read(data[0].join("postdata_metadata.json")).unwrap();
        assert_eq!(metadata, fs::read(data[1].join("postdata_metadata.json")).unwrap(), "{devices:?}");
        let files = data_files(&data);
        let (metadata, proof) = (String::from_utf8(metadata).unwrap(), proof);
        match &expected {
            None => expected = Some((files, metadata, proof)),
            Some((expected_files, expected_metadata, expected_proof)) => {
                assert_same_files(&files, expected_files);
                assert_eq!(&metadata, expected_metadata, "{devices:?}");
                assert_eq!(&proof, expected_proof, "{devices:?}");
            }
        }
    }
    say(&format!("the same bytes on {sets:?}"));
}
