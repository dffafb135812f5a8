//! Sets for the loops to work on, and looking at them.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::run;

pub(crate) const LABEL: u64 = 16;

/// Dear labels: a second or two of work is a small set.
pub(crate) const DEAR: &str = "dear.toml";
pub(crate) const DEAR_UNIT: u64 = 1500;

/// Cheap labels: a set that takes a while to read is made in a moment.
pub(crate) const CHEAP: &str = "cheap.toml";
pub(crate) const CHEAP_UNIT: u64 = 1_200_000;

/// Files of a dear set, which end nowhere in particular.
pub(crate) const DEAR_FILE: &str = "12800";
pub(crate) const CHEAP_FILE: &str = "4000000";

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The parameters of both networks, in a directory.
pub(crate) fn write_networks(root: &Path) {
    for (name, labels_per_unit, n) in [(DEAR, DEAR_UNIT, 8192), (CHEAP, CHEAP_UNIT, 2)] {
        let text = format!(
            "labels_per_unit = {labels_per_unit}\nmin_units = 1\nmax_units = 8\nk1 = 26\nk2 = 37\nk3 = 1\n\
             pow_difficulty = \"{}\"\n[scrypt]\nn = {n}\nr = 1\np = 1\n",
            "ff".repeat(32)
        );
        fs::write(root.join(name), text).unwrap();
    }
}

/// `init` of a set, but for its drives and files.
pub(crate) fn init(network: &str, units: u64) -> String {
    let file = if network == DEAR { DEAR_FILE } else { CHEAP_FILE };
    format!(
        "init --network {network} --units {units} --max-file-size {file} --node-id {} --commitment-atx {}",
        "11".repeat(32),
        "22".repeat(32)
    )
}

/// A set that is made once and copied by whoever needs it.
pub(crate) struct Master(TempDir);

impl Master {
    fn new(commands: &[String]) -> Self {
        let root = tempfile::tempdir().unwrap();
        write_networks(root.path());
        for command in commands {
            run(root.path(), &command.split_whitespace().collect::<Vec<_>>());
        }
        Self(root)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn copy_to(&self, root: &Path) {
        copy(self.path(), root);
    }
}

/// Two dear units on the drives `a` and `b`.
pub(crate) static DEAR_SET: LazyLock<Master> =
    LazyLock::new(|| Master::new(&[format!("{} --drive path=a --drive path=b", init(DEAR, 2))]));

/// A cheap unit in `set`.
pub(crate) static CHEAP_SET: LazyLock<Master> =
    LazyLock::new(|| Master::new(&[format!("{} --drive path=set", init(CHEAP, 1))]));

/// The same in two shards, made apart, in `one` and `two`.
pub(crate) static SHARDS: LazyLock<Master> = LazyLock::new(|| {
    let shard = |files: &str, drive: &str| format!("{} --files {files} --drive path={drive}", init(CHEAP, 1));
    Master::new(&[shard("0..3", "one"), shard("3..5", "two")])
});

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All data files below a directory, but for what lies in a drive's own folder and is not in its place yet. One that is gone
/// before it was looked at is none.
pub(crate) fn data_files(root: &Path) -> Vec<(PathBuf, Metadata)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            let name = entry.file_name().into_string().unwrap();
            let is_data = name.starts_with("postdata_") && name.ends_with(".bin");
            if about.is_dir() && name != ".post" {
                open.push(entry.path());
            } else if is_data {
                found.push((entry.path(), about));
            }
        }
    }
    found
}

/// Bytes of all data files below a directory.
pub(crate) fn bytes(root: &Path) -> u64 {
    data_files(root).iter().map(|(_, about)| about.len()).sum()
}

/// All data files and what the metadata says, by name: the same set on other drives is the same.
pub(crate) fn content(drives: &[PathBuf]) -> BTreeMap<String, Vec<u8>> {
    let mut content = BTreeMap::new();
    for drive in drives {
        let files = data_files(drive);
        for (path, _) in &files {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let before = content.insert(name.clone(), fs::read(path).unwrap());
            assert!(before.is_none(), "{name} is on two drives");
        }
        if files.is_empty() {
            continue;
        }
        let metadata: Value = serde_json::from_slice(&fs::read(drive.join("postdata_metadata.json")).unwrap()).unwrap();
        for key in ["NodeId", "CommitmentAtxId", "LabelsPerUnit", "NumUnits", "MaxFileSize", "Nonce", "NonceValue"] {
            let value = metadata[key].to_string().into_bytes();
            let before = content.insert(key.into(), value.clone());
            assert!(before.is_none_or(|before| before == value), "{key} differs between drives");
        }
    }
    content
}
