//! The whole job on the data directories of the vectors: the same files, the same proof, a good verdict.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fixtures::Case;
use serde_json::{Value, json};

use crate::support::*;

per_case!(one_drive, two_drives, own_data, interrupted_data);

#[test]
fn no_case_is_left_out() {
    let names: Vec<String> = Case::all().into_iter().map(|case| case.name).collect();
    assert_eq!(names, CASES);
}

/// One drive gets exactly the files of the case.
fn one_drive(case: &Case) {
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    init_case(case).add(&["--drive", "path=drive"]).run(root).exits(0);

    let drive = root.join("drive");
    assert_same_files(&data_files(std::slice::from_ref(&drive)), &expected_files(case));
    check_metadata(case, &drive);
    for entry in fs::read_dir(&drive).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let ours = name == ".post" || name == "postdata_metadata.json";
        assert!(ours || name.starts_with("postdata_"), "{name} does not belong in a drive");
    }
}

/// Two drives with quotas hold each file once, and a proof from both is the same one.
fn two_drives(case: &Case) {
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let (first, second) = quotas(case);
    let node_id = case.post_metadata["NodeId"].as_str().unwrap();
    let atx_id = case.post_metadata["CommitmentAtxId"].as_str().unwrap();
    init_case(case)
        .set("--node-id", node_id)
        .set("--commitment-atx", atx_id)
        .add(&["--drive", &format!("path=one,size={first}")])
        .add(&["--drive", &format!("path=two,size={second}")])
        .run(root)
        .exits(0);

    let drives = [root.join("one"), root.join("two")];
    let files = expected_files(case);
    assert_same_files(&data_files(&drives), &files);
    let mut holders: Vec<&PathBuf> = Vec::new();
    for (drive, quota) in drives.iter().zip([first, second]) {
        let held = data_files(std::slice::from_ref(drive));
        let bytes: usize = held.values().map(Vec::len).sum();
        assert!(bytes <= quota, "{bytes} bytes on a drive of {quota}");
        if !held.is_empty() {
            check_metadata(case, drive);
            holders.push(drive);
        }
    }
    assert_eq!(holders.len(), files.len().min(2), "drives that hold a file");
    assert_eq!(metadata(holders[0]), metadata(holders[holders.len() - 1]));

    // The second drive comes first: the place of a file comes from its name alone.
    let mut prove = prove_case(case).set("--threads", "2");
    for drive in holders.iter().rev() {
        prove = prove.add(&["--data", drive.file_name().unwrap().to_str().unwrap()]);
    }
    check_proof(case, &prove.run(root).exits(0).out);
}

/// Data that another program made gives the proof of the vectors with any number of threads.
fn own_data(case: &Case) {
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    copy_dir(&case.data_dir(), &root.join("data"));

    let prove = prove_case(case).add(&["--data", "data"]);
    check_proof(case, &prove.clone().set("--threads", "1").run(root).exits(0).out);

    // A proof needs no VRF nonce, and keys that we don't know are no reason to refuse.
    edit_metadata(&root.join("data"), |keys| {
        keys.remove("Nonce");
        keys.remove("LastPosition");
        keys.insert("MadeBy".to_owned(), json!("someone else"));
    });
    let before = snapshot(&root.join("data"));
    let done = prove.set("--threads", "2").set("--out", "proof.json").run(root).exits(0);
    assert_eq!(done.out, "", "stdout with --out");
    check_proof(case, &fs::read_to_string(root.join("proof.json")).unwrap());
    assert_eq!(changes(&root.join("data"), &before), "", "prove changed the data");

    write(root, "other.json", proof_file(case, &case.proof).to_string());
    let verify = Call::new(&["verify", "proof.json", "other.json", "--network", "net.toml"]);
    let lines = json_lines(&verify.add(&["--all", "--json"]).run(root).exits(0).out);
    let files: Vec<&Value> = lines.iter().map(|line| &line["file"]).collect();
    assert_eq!(files, ["proof.json", "other.json"]);
    assert!(lines.iter().all(|line| line["ok"] == true), "{lines:?}");
}

/// Data that another program left in the middle of a label, without a nonce, is taken over, finished and proven.
fn interrupted_data(case: &Case) {
    let root = temp();
    let root = root.path();
    write(root, "net.toml", case.network_toml());
    let drive = root.join("drive");
    copy_dir(&case.data_dir(), &drive);
    edit_metadata(&drive, |keys| keys.retain(|key, _| FIXED_KEYS.contains(&key.as_str())));
    let whole = expected_files(case);
    let last = whole.len() - 1;
    let cut = (whole[&last].len() as u64 * 2 / 3) | 7;
    fs::File::options().write(true).open(drive.join(data_file(last))).unwrap().set_len(cut).unwrap();
    if last > 1 {
        fs::remove_file(drive.join(data_file(last - 1))).unwrap();
    }
    let events = init_case(case).add(&["--drive", "path=drive", "--json"]).run(root).exits(0).out;
    let started = json_lines(&events).into_iter().find(|event| event["event"] == "started").unwrap();
    let missing = if last > 1 { whole[&(last - 1)].len() as u64 / 16 } else { 0 };
    let kept = whole.values().map(|file| file.len() as u64 / 16).sum::<u64>() - missing;
    let kept = kept - (whole[&last].len() as u64 / 16 - cut / 16);
    assert_eq!(started["labels"], kept, "whole labels are kept, and nothing else");
    assert_same_files(&data_files(std::slice::from_ref(&drive)), &whole);
    check_metadata(case, &drive);
    check_proof(case, &prove_case(case).add(&["--data", "drive"]).run(root).exits(0).out);
}

fn expected_files(case: &Case) -> BTreeMap<usize, Vec<u8>> {
    data_files(&[case.data_dir()])
}

/// Room for about half of the files each, so that a case of several files needs both drives.
///
/// The slack is smaller than a file; it is there for whatever else a program counts.
fn quotas(case: &Case) -> (usize, usize) {
    const SLACK: usize = 4096;
    let sizes: Vec<usize> = expected_files(case).values().map(Vec::len).collect();
    let (first, second) = sizes.split_at(sizes.len() / 2);
    if first.is_empty() {
        return (1 << 20, 1 << 20);
    }
    (first.iter().sum::<usize>() + SLACK, second.iter().sum::<usize>() + SLACK)
}

fn check_metadata(case: &Case, drive: &Path) {
    let got = metadata(drive);
    for key in FIXED_KEYS {
        assert_eq!(got[key], case.post_metadata[key], "{key}");
    }
    let (nonce, label) = smallest_label(case);
    assert_eq!(got["Nonce"], json!(nonce), "Nonce");
    let value = hex::decode(got["NonceValue"].as_str().expect("NonceValue is text")).unwrap();
    assert_eq!(value, label, "NonceValue");
}

/// The VRF nonce: each case has one within its labels, and no two labels share their first 16 bytes.
fn smallest_label(case: &Case) -> (u64, Vec<u8>) {
    let all: Vec<u8> = expected_files(case).into_values().flatten().collect();
    let (index, label) = all.chunks(16).enumerate().min_by_key(|(_, label)| *label).expect("some label");
    let index = index as u64;
    assert!(case.vrf_nonce.is_none_or(|known| known == index), "the vectors disagree");
    (index, label.to_vec())
}

/// The text is one JSON object, the deterministic proof, and nothing else.
#[track_caller]
fn check_proof(case: &Case, text: &str) {
    let got: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text:?}"));
    assert_eq!(got, proof_file(case, &case.deterministic_proof));
}
