//! What `verify` says about every proof of the vectors, and about files that hold no proof.

use std::collections::HashMap;

use fixtures::{Case, Expected, Mode};
use serde_json::{Value, json};

use crate::support::*;

per_case!(vectors);

struct File {
    text: String,
    expected: Expected,
}

/// Files with the same network and mode go into one call, so that RandomX is set up once for all of them.
fn vectors(case: &Case) {
    let mut groups: HashMap<(String, Mode), Vec<File>> = HashMap::new();
    let good = proof_file(case, &case.proof).to_string();
    for verdict in &case.verdicts {
        let file = File { text: good.clone(), expected: verdict.expected.clone() };
        groups.entry((case.network_toml(), verdict.mode.clone())).or_default().push(file);
    }
    for proof in &case.mutated {
        let network = proof.init_config.network_toml(&proof.proof_config);
        let file = File { text: proof.proof_file(), expected: proof.expected.clone() };
        groups.entry((network, proof.mode.clone())).or_default().push(file);
    }
    let files: usize = groups.values().map(Vec::len).sum();
    assert_eq!(files, case.verdicts.len() + case.mutated.len());

    let failures: Vec<String> =
        groups.iter().flat_map(|((network, mode), files)| check(network, mode, files)).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn check(network: &str, mode: &Mode, files: &[File]) -> Vec<String> {
    let root = temp();
    let root = root.path();
    write(root, "net.toml", network);
    let mut call = with_mode(Call::new(&["verify", "--json", "--network", "net.toml"]), mode);
    // A name is given back as it was given, so every other one is written in a roundabout way.
    let name = |at: usize| format!("{}proof {at}.json", if at % 2 == 1 { "./" } else { "" });
    for (at, file) in files.iter().enumerate() {
        write(root, &name(at), &file.text);
        call = call.add(&[&name(at)]);
    }

    let done = call.run(root);
    let mut failures = Vec::new();
    let code = i32::from(files.iter().any(|file| !file.expected.ok));
    if done.code != Some(code) {
        failures.push(format!("{mode:?}: exit {:?} instead of {code}; stderr: {}", done.code, done.err));
    }
    let lines = json_lines(&done.out);
    if lines.len() != files.len() {
        failures.push(format!("{mode:?}: {} lines for {} files", lines.len(), files.len()));
    }
    for (at, (line, file)) in lines.iter().zip(files).enumerate() {
        if line["file"] != json!(name(at)) || !agrees(line, &file.expected) {
            failures.push(format!("{mode:?}: {line} but expected {:?}", file.expected));
        }
    }
    failures
}

fn with_mode(call: Call, mode: &Mode) -> Call {
    match mode {
        Mode::All => call.add(&["--all"]),
        Mode::One { index } => call.add(&["--one", &index.to_string()]),
        Mode::Subset { k3, seed } => call.add(&["--subset", &k3.to_string(), "--seed", seed]),
    }
}

fn agrees(line: &Value, expected: &Expected) -> bool {
    let error = &line["error"];
    if line["ok"] != json!(expected.ok) {
        return false;
    }
    if expected.ok {
        return error.is_null();
    }
    match &expected.error {
        Some(known) => {
            let fields = known["fields"].as_object().expect("fields");
            error["kind"] == known["kind"] && fields.iter().all(|(key, value)| &error[key] == value)
        }
        // A rule of this project's own: the kind has no fixed name.
        None => error["kind"].as_str().is_some_and(|kind| !kind.is_empty()),
    }
}

#[test]
fn a_mixed_call_gives_every_file_its_line() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    write(root, "good.json", proof_file(case, &case.deterministic_proof).to_string());
    write(root, "broken.json", "{\"proof\":");
    let invalid = case.mutated.iter().find(|proof| proof.name == "pow_invalid").unwrap();
    write(root, "invalid.json", invalid.proof_file());

    let files = ["good.json", "missing.json", "broken.json", "invalid.json"];
    let verify = Call::new(&["verify", "--network", "net.toml"]).add(&files);
    let done = verify.clone().add(&["--json"]).run(root).exits(2);
    let lines = json_lines(&done.out);
    let short: Vec<Value> = lines.iter().map(|line| json!([line["file"], line["ok"], line["error"]["kind"]])).collect();
    assert_eq!(
        short,
        [
            json!(["good.json", true, null]),
            json!(["missing.json", false, "Unreadable"]),
            json!(["broken.json", false, "Malformed"]),
            json!(["invalid.json", false, "InvalidPoW"]),
        ]
    );

    // The same for people: one line a file, in order.
    let done = verify.run(root).exits(2);
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(lines.len(), files.len(), "{lines:?}");
    for (line, file) in lines.iter().zip(files) {
        assert!(line.contains(file), "{line:?} does not name {file}");
    }
}

/// More files than are judged together.
#[test]
fn many_files_keep_their_order() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    write(root, "good.json", proof_file(case, &case.deterministic_proof).to_string());
    write(root, "broken.json", "{}");
    let invalid = case.mutated.iter().find(|proof| proof.name == "pow_invalid").unwrap();
    write(root, "invalid.json", invalid.proof_file());

    let files: Vec<&str> = (0..600_usize)
        .map(|at| match at {
            _ if at.is_multiple_of(7) => "invalid.json",
            _ if at.is_multiple_of(11) => "broken.json",
            _ => "good.json",
        })
        .collect();
    let done = Call::new(&["verify", "--network", "net.toml", "--json"]).add(&files).run(root).exits(2);
    let got: Vec<Value> =
        json_lines(&done.out).iter().map(|line| json!([line["file"], line["error"]["kind"]])).collect();
    let kind = |file: &str| match file {
        "invalid.json" => json!("InvalidPoW"),
        "broken.json" => json!("Malformed"),
        _ => Value::Null,
    };
    assert_eq!(got, files.iter().map(|file| json!([file, kind(file)])).collect::<Vec<_>>());
}

#[test]
fn without_a_mode_all_positions_are_checked() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    // Bad at one position in the middle, so any other mode would likely miss it.
    let bad = case.mutated.iter().find(|proof| proof.name == "index_18_msb_too_big").unwrap();
    write(root, "bad.json", bad.proof_file());
    let done = post(root, &["verify", "bad.json", "--network", "net.toml", "--json"]).exits(1);
    let lines = json_lines(&done.out);
    assert_eq!(lines.len(), 1);
    assert!(agrees(&lines[0], &bad.expected), "{}", lines[0]);
}

#[test]
fn a_file_that_is_no_proof_is_malformed() {
    let case = case(0);
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let good = proof_file(case, &case.deterministic_proof);
    let with = |section: &str, key: &str, value: Value| {
        let mut file = good.clone();
        file[section][key] = value;
        file.to_string().into_bytes()
    };
    let without = |section: &str, key: &str| {
        let mut file = good.clone();
        file[section].as_object_mut().unwrap().remove(key);
        file.to_string().into_bytes()
    };
    let huge_pow = good.to_string().replace("\"pow\":16", "\"pow\":18446744073709551616");
    assert_ne!(huge_pow, good.to_string());
    let long = "A".repeat(44);
    let texts = [
        ("empty", Vec::new()),
        ("not_json", b"hello".to_vec()),
        ("not_utf8", vec![0xff, 0xfe, 0x00]),
        ("list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("no_fields", b"{}".to_vec()),
        ("two_objects", format!("{good}{good}").into_bytes()),
        ("no_nonce", without("proof", "nonce")),
        ("no_challenge", without("metadata", "challenge")),
        ("nonce_negative", with("proof", "nonce", json!(-1))),
        ("nonce_text", with("proof", "nonce", json!("1"))),
        ("nonce_2_32", with("proof", "nonce", json!(4_294_967_296_u64))),
        ("pow_negative", with("proof", "pow", json!(-1))),
        ("pow_fraction", with("proof", "pow", json!(1.5))),
        ("pow_2_64", huge_pow.into_bytes()),
        ("indices_no_base64", with("proof", "indices", json!("!!!!"))),
        ("indices_list", with("proof", "indices", json!([1, 2, 3]))),
        ("node_id_33_bytes", with("metadata", "node_id", json!(long))),
        ("node_id_no_base64", with("metadata", "node_id", json!("*"))),
        ("atx_id_3_bytes", with("metadata", "commitment_atx_id", json!("AAAA"))),
        ("challenge_empty", with("metadata", "challenge", json!(""))),
        ("challenge_33_bytes", with("metadata", "challenge", json!(long))),
        ("units_negative", with("metadata", "num_units", json!(-1))),
        ("units_2_32", with("metadata", "num_units", json!(4_294_967_296_u64))),
    ];
    let mut call = Call::new(&["verify", "--network", "net.toml", "--json"]);
    for (name, text) in &texts {
        write(root, name, text);
        call = call.add(&[name]);
    }
    std::fs::create_dir(root.join("directory")).unwrap();
    let lines = json_lines(&call.add(&["directory"]).run(root).exits(2).out);

    let got: Vec<Value> = lines.iter().map(|line| json!([line["file"], line["ok"], line["error"]["kind"]])).collect();
    let mut expected: Vec<Value> = texts.iter().map(|(name, _)| json!([name, false, "Malformed"])).collect();
    expected.push(json!(["directory", false, "Unreadable"]));
    assert_eq!(got, expected);
}
