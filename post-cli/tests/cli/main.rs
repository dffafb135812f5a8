//! The whole program, run as a user runs it. Written from the contract alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

/// One test for each check and each case of the vectors, so that the name of a failure says both.
macro_rules! per_case {
    ($($check:ident),+) => {
        mod a {
            $(#[test] fn $check() { super::$check(crate::support::case(0)); })+
        }
        mod b {
            $(#[test] fn $check() { super::$check(crate::support::case(1)); })+
        }
        mod c {
            $(#[test] fn $check() { super::$check(crate::support::case(2)); })+
        }
        mod d {
            $(#[test] fn $check() { super::$check(crate::support::case(3)); })+
        }
    };
}

mod bad_input;
mod bench;
mod cases;
mod check;
mod devices;
mod identity;
mod link;
mod nonce;
mod output;
mod plan;
mod prove;
mod resize;
mod resume;
#[path = "../util/trace.rs"]
mod trace;
mod verdicts;

/// Helpers of all topics. Every call runs inside a temporary directory, with paths relative to it.
mod support {
    use std::collections::BTreeMap;
    use std::ffi::OsStr;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::LazyLock;
    use std::time::Duration;

    use assert_cmd::cargo::cargo_bin;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use fixtures::Case;
    use serde_json::Value;
    use tempfile::TempDir;

    use crate::trace::Trace;

    /// Only against a program that hangs; no verdict depends on it.
    const HANG: Duration = Duration::from_secs(300);

    /// The keys of the metadata that the parameters alone decide.
    pub(crate) const FIXED_KEYS: [&str; 5] = ["NodeId", "CommitmentAtxId", "LabelsPerUnit", "NumUnits", "MaxFileSize"];

    pub(crate) const NODE_ID: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    pub(crate) const OTHER_ID: &str = "3333333333333333333333333333333333333333333333333333333333333333";
    pub(crate) const ATX_ID: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    /// What one run of the program left behind.
    #[derive(Debug)]
    pub(crate) struct Done {
        pub(crate) code: Option<i32>,
        pub(crate) out: String,
        pub(crate) err: String,
    }

    impl Done {
        /// Panics with everything that was printed unless the exit status is `code`.
        #[track_caller]
        pub(crate) fn exits(self, code: i32) -> Self {
            assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
            self
        }
    }

    pub(crate) fn program() -> &'static Path {
        cargo_bin!("post")
    }

    /// Runs `post` in `root`.
    pub(crate) fn post<S: AsRef<OsStr>>(root: &Path, args: &[S]) -> Done {
        let trace = Trace::new();
        let output = trace.command(program()).args(args).current_dir(root).timeout(HANG).output();
        let output = output.expect("the program starts");
        trace.check(args);
        Done {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
            err: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
        }
    }

    pub(crate) fn temp() -> TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    /// The arguments of a call; a flag can be replaced, dropped or added.
    #[derive(Clone, Debug)]
    pub(crate) struct Call(pub(crate) Vec<String>);

    impl Call {
        pub(crate) fn new(words: &[&str]) -> Self {
            Self(words.iter().map(|word| (*word).to_owned()).collect())
        }

        /// The flag with this value, in place of every one that was there.
        pub(crate) fn set(self, flag: &str, value: &str) -> Self {
            self.without(flag).add(&[flag, value])
        }

        pub(crate) fn without(mut self, flag: &str) -> Self {
            while let Some(at) = self.0.iter().position(|word| word == flag) {
                self.0.drain(at..(at + 2).min(self.0.len()));
            }
            self
        }

        pub(crate) fn add(mut self, words: &[&str]) -> Self {
            self.0.extend(words.iter().map(|word| (*word).to_owned()));
            self
        }

        pub(crate) fn run(&self, root: &Path) -> Done {
            post(root, &self.0)
        }
    }

    /// `init` of a whole case; needs `net.toml`, and the drives are still to be added.
    pub(crate) fn init_case(case: &Case) -> Call {
        Call::new(&["init", "--network", "net.toml"])
            .set("--units", &case.init.num_units.to_string())
            .set("--commitment-atx", &hex::encode(&case.init.commitment_atx_id.0))
            .set("--node-id", &hex::encode(&case.init.node_id.0))
            .set("--max-file-size", &case.post_metadata["MaxFileSize"].to_string())
    }

    /// `prove` of a case; needs `net.toml`, and the data directories are still to be added.
    pub(crate) fn prove_case(case: &Case) -> Call {
        Call::new(&["prove", "--network", "net.toml", "--randomx", "light"])
            .set("--challenge", &hex::encode(&case.challenge.0))
            .set("--nonces", &case.prove.nonces_per_pass.to_string())
    }

    /// All cases by name, in the order that `case` counts.
    pub(crate) const CASES: [&str; 4] = [
        "a_n2_partial_last_file",
        "b_n16_files_not_multiple_of_8",
        "c_n4_single_file_msb0",
        "d_n8192_partial_last_file",
    ];

    /// One case; the vectors are read only once.
    pub(crate) fn case(at: usize) -> &'static Case {
        static ALL: LazyLock<Vec<Case>> = LazyLock::new(Case::all);
        ALL.iter().find(|case| case.name == CASES[at]).expect("a case of this name")
    }

    /// The text of a cheap network of our own: units of `labels_per_unit` labels, from 1 to 8 of them.
    pub(crate) fn network(labels_per_unit: u64, n: u32) -> String {
        format!(
            "labels_per_unit = {labels_per_unit}\nmin_units = 1\nmax_units = 8\nk1 = 26\nk2 = 37\nk3 = 1\n\
             pow_difficulty = \"{}\"\n[scrypt]\nn = {n}\nr = 1\np = 1\n",
            "ff".repeat(32)
        )
    }

    pub(crate) fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) {
        fs::write(root.join(name), content).expect("a file of the test is written");
    }

    pub(crate) fn copy_dir(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy_dir(&entry.path(), &target);
            } else {
                // Not fs::copy: a test may change its copy even where the vectors are read-only.
                fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
            }
        }
    }

    pub(crate) fn data_file(index: usize) -> String {
        format!("postdata_{index}.bin")
    }

    /// All data files of the directories, by index; one that two directories hold is a failure.
    pub(crate) fn data_files(dirs: &[PathBuf]) -> BTreeMap<usize, Vec<u8>> {
        let mut files = BTreeMap::new();
        for dir in dirs {
            // A program that was killed early may not have made the directory yet.
            let Ok(entries) = fs::read_dir(dir) else {
                continue;
            };
            for entry in entries {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let index = name.strip_prefix("postdata_").and_then(|name| name.strip_suffix(".bin"));
                if let Some(index) = index {
                    let content = fs::read(entry.path()).unwrap();
                    let before = files.insert(index.parse().unwrap(), content);
                    assert!(before.is_none(), "{name} is in two directories");
                }
            }
        }
        files
    }

    /// Compares contents without printing them.
    #[track_caller]
    pub(crate) fn assert_same_files(got: &BTreeMap<usize, Vec<u8>>, expected: &BTreeMap<usize, Vec<u8>>) {
        let sizes = |files: &BTreeMap<usize, Vec<u8>>| -> Vec<(usize, usize)> {
            files.iter().map(|(index, content)| (*index, content.len())).collect()
        };
        assert_eq!(sizes(got), sizes(expected), "data files: (index, size)");
        for (index, content) in expected {
            let at = content.iter().zip(&got[index]).position(|(a, b)| a != b);
            assert_eq!(at, None, "{} differs from this byte on", data_file(*index));
        }
    }

    pub(crate) fn metadata(dir: &Path) -> Value {
        let path = dir.join("postdata_metadata.json");
        let text = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub(crate) fn edit_metadata(dir: &Path, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) {
        let mut value = metadata(dir);
        edit(value.as_object_mut().unwrap());
        write(dir, "postdata_metadata.json", value.to_string());
    }

    /// The `NodeId` of a data directory, as hex.
    pub(crate) fn node_id(dir: &Path) -> String {
        hex::encode(STANDARD.decode(metadata(dir)["NodeId"].as_str().unwrap()).unwrap())
    }

    /// Every line as a JSON object.
    #[track_caller]
    pub(crate) fn json_lines(text: &str) -> Vec<Value> {
        text.lines()
            .map(|line| {
                let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in the line {line:?}"));
                assert!(value.is_object(), "not an object: {line}");
                value
            })
            .collect()
    }

    /// A proof file with the metadata of the case.
    pub(crate) fn proof_file(case: &Case, proof: &fixtures::ProofJson) -> Value {
        serde_json::json!({ "proof": proof, "metadata": case.proof_metadata })
    }

    /// Everything below a directory: kind, mode and content.
    pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
        let mut entries = BTreeMap::new();
        for path in walk(root) {
            let about = fs::symlink_metadata(&path).unwrap();
            let content = about.is_file().then(|| fs::read(&path).unwrap());
            entries.insert(path, (mode(&about), content));
        }
        entries
    }

    /// What changed since a snapshot, one path each.
    pub(crate) fn changes(root: &Path, before: &BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>) -> String {
        let after = snapshot(root);
        let mut changed: Vec<String> = Vec::new();
        for path in before.keys().chain(after.keys().filter(|path| !before.contains_key(*path))) {
            let word = match (before.get(path), after.get(path)) {
                (Some(_), None) => "removed",
                (None, Some(_)) => "made",
                (a, b) if a != b => "changed",
                _ => continue,
            };
            changed.push(format!("{word} {}", path.strip_prefix(root).unwrap().display()));
        }
        changed.join(", ")
    }

    /// All paths below a directory.
    pub(crate) fn walk(root: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                }
                found.push(entry.path());
            }
        }
        found
    }

    #[cfg(unix)]
    pub(crate) fn mode(about: &fs::Metadata) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        about.permissions().mode()
    }

    #[cfg(not(unix))]
    pub(crate) fn mode(about: &fs::Metadata) -> u32 {
        u32::from(about.permissions().readonly())
    }
}
