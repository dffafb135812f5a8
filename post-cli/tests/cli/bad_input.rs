//! Bad input: exit status 2, one line on stderr, nothing on stdout, nothing changed on disk.
//!
//! Every call starts from one that works, so that only the mistake in the name can be the reason.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::*;

type Prepare = Box<dyn Fn(&Path)>;

/// One mistake.
struct Bad {
    name: String,
    call: Call,
    prepare: Prepare,
    /// What the message must contain.
    says: &'static str,
}

fn bad(name: &str, call: Call) -> Bad {
    Bad { name: name.to_owned(), call, prepare: Box::new(|_| ()), says: "" }
}

impl Bad {
    /// Spoils the files first.
    fn after(mut self, prepare: impl Fn(&Path) + 'static) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    fn says(mut self, text: &'static str) -> Self {
        self.says = text;
        self
    }

    /// What is wrong with the program's answer.
    fn failures(&self) -> Vec<String> {
        let root = world();
        let root = root.path();
        (self.prepare)(root);
        let before = snapshot(root);
        let done = self.call.run(root);

        let mut wrong = Vec::new();
        if done.code != Some(2) {
            wrong.push(format!("exit {:?}", done.code));
        }
        if !done.out.is_empty() {
            wrong.push(format!("stdout {:?}", done.out));
        }
        if done.err.trim().is_empty() || done.err.trim_end_matches('\n').lines().count() != 1 {
            wrong.push(format!("not one line: stderr {:?}", done.err));
        } else if !done.err.contains(self.says) {
            wrong.push(format!("{:?} is missing: stderr {:?}", self.says, done.err));
        }
        let changed = changes(root, &before);
        if !changed.is_empty() {
            wrong.push(format!("on disk: {changed}"));
        }
        wrong.into_iter().map(|what| format!("{}: {what}", self.name)).collect()
    }
}

#[track_caller]
fn refuses(table: Vec<Bad>) {
    let failures: Vec<String> = table.iter().flat_map(Bad::failures).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// A directory with a good network, the good set of case a as a whole and in halves, and a good proof.
fn world() -> tempfile::TempDir {
    let case = case(0);
    let temp = temp();
    let root = temp.path();
    write(root, "net.toml", case.network_toml());
    write(root, "proof.json", proof_file(case, &case.deterministic_proof).to_string());
    copy_dir(&case.data_dir(), &root.join("set"));
    for (name, away) in [("low", [2, 3]), ("high", [0, 1])] {
        copy_dir(&root.join("set"), &root.join(name));
        for index in away {
            fs::remove_file(root.join(name).join(data_file(index))).unwrap();
        }
    }
    temp
}

fn init() -> Call {
    init_case(case(0)).add(&["--drive", "path=new"])
}

fn drives(drives: &[&str]) -> Call {
    drives.iter().fold(init().without("--drive"), |call, drive| call.add(&["--drive", drive]))
}

fn prove() -> Call {
    data(&["set"])
}

fn data(dirs: &[&str]) -> Call {
    prove_case(case(0)).add(&["--data"]).add(dirs)
}

fn verify() -> Call {
    Call::new(&["verify", "proof.json", "--network", "net.toml"])
}

/// Replaces one piece of the network file.
fn network_with(from: &'static str, to: &str) -> impl Fn(&Path) + use<> {
    let to = to.to_owned();
    move |root| {
        let text = fs::read_to_string(root.join("net.toml")).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from} is in the network file once");
        write(root, "net.toml", text.replace(from, &to));
    }
}

/// Sets one key of a set's metadata.
fn key(dir: &'static str, name: &'static str, value: Value) -> impl Fn(&Path) {
    move |root| {
        edit_metadata(&root.join(dir), |keys| {
            keys.insert(name.to_owned(), value.clone());
        });
    }
}

/// Changes a data file's length; new bytes are zeros.
fn resize(index: usize, by: i64) -> impl Fn(&Path) {
    move |root| {
        let path = root.join("set").join(data_file(index));
        let file = fs::File::options().write(true).open(path).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length.checked_add_signed(by).unwrap()).unwrap();
    }
}

fn remove(path: &'static str) -> impl Fn(&Path) {
    move |root| fs::remove_file(root.join(path)).unwrap()
}

fn put(path: &'static str, content: &'static str) -> impl Fn(&Path) {
    move |root| write(root, path, content)
}

#[test]
fn the_calls_without_a_mistake_work() {
    let root = world();
    let root = root.path();
    init().run(root).exits(0);
    drives(&["path=set"]).run(root).exits(0);
    drives(&["path=low", "path=high"]).run(root).exits(0);
    prove().run(root).exits(0);
    // The other form of --data is in the cases: the flag once for each directory.
    let proof = data(&["low", "high"]).run(root).exits(0).out;
    let proof: Value = serde_json::from_str(&proof).unwrap();
    assert_eq!(proof, proof_file(case(0), &case(0).deterministic_proof));
    verify().run(root).exits(0);
    Call::new(&["inspect", "--data", "set"]).run(root).exits(0);
}

#[test]
fn init_arguments() {
    let hex31 = "11".repeat(31);
    let hex33 = "11".repeat(33);
    let odd = "1".repeat(63);
    let digits = "z".repeat(64);
    let mut table = Vec::new();
    for flag in ["--node-id", "--commitment-atx"] {
        let values = [
            ("31 bytes", hex31.as_str()),
            ("33 bytes", &hex33),
            ("an odd number of digits", &odd),
            ("digits that are none", &digits),
            ("base64 of 3 bytes", "AAAA"),
            ("nothing", ""),
        ];
        for (name, value) in values {
            table.push(bad(&format!("{flag} of {name}"), init().set(flag, value)));
        }
    }
    for value in ["0", "7", "-1", "4294967296", "many", "1.5", ""] {
        table.push(bad(&format!("--units {value:?}"), init().set("--units", value)));
    }
    let sizes = [
        "0",
        "8",
        "16001",
        "-16",
        "1.5.5K",
        "16X",
        "K",
        "",
        "99999999999999999999",
        "20000000TiB",
        "18446744073709551616",
    ];
    for value in sizes {
        let call = init().set("--max-file-size", value);
        table.push(bad(&format!("--max-file-size {value:?}"), call));
    }
    // The set has files 0 to 3.
    for value in ["3..1", "0..5", "4..5", "7..9", "0", "..", "a..b", "-1..2", "0...2", "0..2..3"] {
        table.push(bad(&format!("--files {value:?}"), init().set("--files", value)));
    }
    for value in ["0", "-1", "two", ""] {
        table.push(bad(&format!("--threads {value:?}"), init().set("--threads", value)));
    }
    table.extend([
        bad("an unknown device", init().set("--device", "abacus")).says("abacus"),
        bad("an unknown flag", init().add(&["--frobnicate"])).says("--frobnicate"),
        bad("an unknown command", Call::new(&["mine"])).says("mine"),
        bad("no --units", init().without("--units")).says("--units"),
        bad("no --commitment-atx", init().without("--commitment-atx")).says("--commitment-atx"),
        bad("no --drive", init().without("--drive")).says("--drive"),
        bad("an id and a key", init().set("--key", "my.key")).after(put("my.key", "00")).says("--key"),
    ]);
    refuses(table);
}

#[test]
fn units_below_the_network_s_minimum() {
    let call = init().set("--units", "2");
    refuses(vec![bad("2 units of at least 3", call).after(network_with("min_units = 1", "min_units = 3"))]);
}

#[test]
fn key_files() {
    let call = || init().without("--node-id").set("--key", "my.key");
    let seed = "00".repeat(32);
    let mismatch = format!("{seed}{}", "58".repeat(32));
    let short = "0".repeat(127);
    let write_key = |text: String| move |root: &Path| write(root, "my.key", &text);
    refuses(vec![
        bad("no key file", call()).says("my.key"),
        bad("an empty key file", call()).after(write_key(String::new())),
        bad("only a seed", call()).after(write_key(seed)),
        bad("127 digits", call()).after(write_key(short)),
        bad("no hex", call()).after(write_key("x".repeat(128))),
        bad("a public half that is not the seed's", call()).after(write_key(mismatch)),
        bad("a directory", call()).after(|root| fs::create_dir(root.join("my.key")).unwrap()),
    ]);
}

#[test]
fn init_drives() {
    refuses(vec![
        bad("no path=", drives(&["size=1M"])).says("path="),
        bad("a bare path", drives(&["new"])).says("path="),
        bad("an empty path", drives(&["path="])),
        bad("an unknown drive key", drives(&["path=new,sise=1M"])).says("sise"),
        bad("a size that is none", drives(&["path=new,size=lots"])).says("lots"),
        bad("an empty size", drives(&["path=new,size="])),
        bad("a negative size", drives(&["path=new,size=-1"])),
        bad("a size that overflows", drives(&["path=new,size=20000000TiB"])),
        bad("a drive that is a file", drives(&["path=net.toml"])).says("net.toml"),
        bad("a drive below a file", drives(&["path=net.toml/new"])).says("net.toml"),
        bad("a drive that is too small", drives(&["path=new,size=20000"])),
        bad("two drives that are too small", drives(&["path=new,size=20000", "path=more,size=20000"])),
        // Room for all bytes together, but no single file fits.
        bad(
            "four drives, each smaller than a file",
            drives(&["path=new,size=15000", "path=b,size=15000", "path=c,size=15000", "path=d,size=15000"]),
        ),
        bad("the same drive twice", drives(&["path=new", "path=new"])),
        bad("the same drive by two names", drives(&["path=low", "path=./low"])),
        bad("the same file on two drives", drives(&["path=set", "path=low"])),
    ]);
}

/// Everybody who reads the network must see these.
#[test]
fn networks() {
    let edits = [
        ("N = 1", "\nn = 2\n", "\nn = 1\n", ""),
        ("N = 0", "\nn = 2\n", "\nn = 0\n", ""),
        ("N no power of two", "\nn = 2\n", "\nn = 12\n", ""),
        ("N negative", "\nn = 2\n", "\nn = -2\n", ""),
        ("N of 2^32", "\nn = 2\n", "\nn = 4294967296\n", ""),
        ("r = 2", "\nr = 1\n", "\nr = 2\n", ""),
        ("p = 2", "\np = 1\n", "\np = 2\n", ""),
        ("K1 = 0", "k1 = 26", "k1 = 0", ""),
        ("K2 = 0", "k2 = 37", "k2 = 0", ""),
        ("K2 of 65536", "k2 = 37", "k2 = 65536", ""),
        ("no K2", "k2 = 37\n", "", "k2"),
        ("no N", "\nn = 2\n", "\n", ""),
        ("no scrypt", "[scrypt]\nn = 2\nr = 1\np = 1\n", "", "scrypt"),
        ("an unknown key", "k3 = 1\n", "k3 = 1\nk4 = 1\n", "k4"),
        ("a misspelled key", "labels_per_unit", "lables_per_unit", "lables_per_unit"),
        ("an unknown scrypt key", "[scrypt]\n", "[scrypt]\nrounds = 8\n", "rounds"),
        ("an unknown table", "[scrypt]\n", "[bcrypt]\n[scrypt]\n", "bcrypt"),
        ("a pow_difficulty of 31 bytes", "pow_difficulty = \"40", "pow_difficulty = \"", ""),
        ("a pow_difficulty that is no hex", "pow_difficulty = \"40", "pow_difficulty = \"zz", ""),
        ("no TOML", "k1 = 26", "k1 := 26", ""),
    ];
    let mut table = Vec::new();
    for (command, call) in [("init", init()), ("prove", prove()), ("verify", verify())] {
        for (name, from, to, says) in edits {
            let bad = bad(&format!("{command}, {name}"), call.clone());
            table.push(bad.after(network_with(from, to)).says(says));
        }
        let unknown = call.clone().set("--network", "testnet");
        table.push(bad(&format!("{command}, an unknown network"), unknown).says("testnet"));
        let missing = call.clone().set("--network", "none.toml");
        table.push(bad(&format!("{command}, no network file"), missing).says("none.toml"));
    }
    refuses(table);
}

#[test]
fn products_that_overflow() {
    let labels = "labels_per_unit = 1024";
    refuses(vec![
        // 3 · (2^63 − 1) labels
        bad("the number of labels", init()).after(network_with(labels, "labels_per_unit = 9223372036854775807")),
        // 3 · 2^60 labels fit, their bytes don't
        bad("the number of bytes", init()).after(network_with(labels, "labels_per_unit = 1152921504606846976")),
        bad("no labels at all", init()).after(network_with(labels, "labels_per_unit = 0")),
    ]);
}

#[test]
fn prove_arguments() {
    let mut table = Vec::new();
    let challenges = [
        ("31 bytes", "11".repeat(31)),
        ("33 bytes", "11".repeat(33)),
        ("an odd number of digits", "1".repeat(63)),
        ("digits that are none", "z".repeat(64)),
        ("nothing", String::new()),
    ];
    for (name, value) in challenges {
        table.push(bad(&format!("a challenge of {name}"), prove().set("--challenge", &value)));
    }
    for value in ["0", "8", "15", "17", "4112", "65536", "-16", "all"] {
        table.push(bad(&format!("--nonces {value}"), prove().set("--nonces", value)));
    }
    table.extend([
        bad("no challenge", prove().without("--challenge")).says("--challenge"),
        bad("no data", prove().without("--data")).says("--data"),
        bad("an unknown device", prove().set("--device", "abacus")).says("abacus"),
        bad("--threads 0", prove().set("--threads", "0")),
        bad("--randomx medium", prove().set("--randomx", "medium")).says("medium"),
        bad("a network of other units", prove().set("--network", "mainnet")),
        bad("K1 not below the number of labels", prove()).after(network_with("k1 = 26", "k1 = 3072")),
        bad("--out in no directory", prove().set("--out", "nowhere/proof.json")).says("nowhere"),
    ]);
    refuses(table);
}

#[test]
fn data_files_on_disk() {
    let mut table = vec![
        bad("no such directory", data(&["nowhere"])).says("nowhere"),
        bad("no such second directory", data(&["set", "nowhere"])).says("nowhere"),
        bad("a file for a directory", data(&["net.toml"])).says("net.toml"),
        bad("an empty directory", data(&["empty"])).after(|root| fs::create_dir(root.join("empty")).unwrap()),
        bad("no metadata", prove()).after(remove("set/postdata_metadata.json")),
        bad("half of the set", data(&["low"])),
        bad("the other half of the set", data(&["high"])),
        bad("the same file twice", data(&["set", "low"])),
        bad("a label too few in file 0", prove()).after(resize(0, -16)),
        bad("a byte too few in file 1", prove()).after(resize(1, -1)),
        bad("nothing in file 2", prove()).after(resize(2, -16000)),
        bad("a label too few in the last file", prove()).after(resize(3, -16)),
        bad("a label too many in file 1", prove()).after(resize(1, 16)),
        bad("a label too many in the last file", prove()).after(resize(3, 16)),
        bad("a left-over file", prove()).after(put("set/postdata_4.bin", "0123456789abcdef")),
        bad("a left-over file far away", prove()).after(put("set/postdata_99.bin", "0123456789abcdef")),
        bad("a directory for a file", prove()).after(|root| {
            remove("set/postdata_1.bin")(root);
            fs::create_dir(root.join("set/postdata_1.bin")).unwrap();
        }),
    ];
    let missing = [
        ("set/postdata_0.bin", "postdata_0.bin"),
        ("set/postdata_1.bin", "postdata_1.bin"),
        ("set/postdata_3.bin", "postdata_3.bin"),
    ];
    for (path, name) in missing {
        table.push(bad(&format!("no {name}"), prove()).after(remove(path)).says(name));
    }
    refuses(table);
}

#[test]
fn metadata_on_disk() {
    let mut table = vec![
        bad("no JSON", prove()).after(put("set/postdata_metadata.json", "{\"NodeId\":")),
        bad("an empty file", prove()).after(put("set/postdata_metadata.json", "")),
        bad("a list", prove()).after(put("set/postdata_metadata.json", "[]")),
        bad("a directory", prove()).after(|root| {
            remove("set/postdata_metadata.json")(root);
            fs::create_dir(root.join("set/postdata_metadata.json")).unwrap();
        }),
    ];
    let keys = [
        ("NodeId", json!("AAAA")),
        ("NodeId", json!("*")),
        ("NodeId", json!(null)),
        ("CommitmentAtxId", json!("AAAA")),
        ("CommitmentAtxId", json!(7)),
        // There are 3 units on disk.
        ("NumUnits", json!(2)),
        ("NumUnits", json!(4)),
        ("NumUnits", json!(0)),
        ("NumUnits", json!(-1)),
        ("NumUnits", json!(4_294_967_296_u64)),
        ("NumUnits", json!("3")),
        ("LabelsPerUnit", json!(1023)),
        ("LabelsPerUnit", json!(u64::MAX)),
        ("LabelsPerUnit", json!(0)),
        ("MaxFileSize", json!(0)),
        ("MaxFileSize", json!(8000)),
        ("MaxFileSize", json!(16001)),
        ("MaxFileSize", json!(u64::MAX)),
    ];
    for (name, value) in keys {
        table.push(bad(&format!("{name}: {value}"), prove()).after(key("set", name, value)));
    }
    let other = || json!("MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM=");
    for (name, value) in
        [("NodeId", other()), ("CommitmentAtxId", other()), ("NumUnits", json!(4)), ("MaxFileSize", json!(32000))]
    {
        let call = data(&["low", "high"]);
        table.push(bad(&format!("two directories differ in {name}"), call).after(key("high", name, value)));
    }
    refuses(table);
}

/// `init` on a set that is broken refuses; it repairs nothing by cutting or guessing.
#[test]
fn init_on_a_broken_set() {
    let call = || drives(&["path=set"]);
    refuses(vec![
        bad("metadata that is no JSON", call()).after(put("set/postdata_metadata.json", "{\"NodeId\":")),
        bad("metadata of another node", call()).after(key(
            "set",
            "NodeId",
            json!("MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM="),
        )),
        bad("a label too many in file 1", call()).after(resize(1, 16)),
        bad("a label too many in the last file", call()).after(resize(3, 16)),
        bad("a left-over file", call()).after(put("set/postdata_4.bin", "0123456789abcdef")),
        bad("a directory for a file", call()).after(|root| {
            remove("set/postdata_1.bin")(root);
            fs::create_dir(root.join("set/postdata_1.bin")).unwrap();
        }),
    ]);
}

#[test]
fn verify_arguments() {
    let with = |words: &[&str]| verify().add(words);
    refuses(vec![
        bad("no file", Call::new(&["verify", "--network", "net.toml"])),
        bad("--all and --one", with(&["--all", "--one", "0"])),
        bad("--all and --subset", with(&["--all", "--subset", "1", "--seed", "00"])),
        bad("--one and --subset", with(&["--one", "0", "--subset", "1", "--seed", "00"])),
        bad("--subset without --seed", with(&["--subset", "1"])).says("--seed"),
        bad("--seed without --subset", with(&["--seed", "00"])).says("--subset"),
        bad("half a byte of seed", with(&["--subset", "1", "--seed", "0"])),
        bad("a seed that is no hex", with(&["--subset", "1", "--seed", "zz"])),
        bad("--subset many", with(&["--subset", "many", "--seed", "00"])),
        bad("--one -1", with(&["--one", "-1"])),
        bad("--one first", with(&["--one", "first"])),
    ]);
}

#[test]
fn inspect_arguments() {
    let inspect = |dir: &str| Call::new(&["inspect", "--data", dir]);
    refuses(vec![
        bad("no data", Call::new(&["inspect"])).says("--data"),
        bad("no such directory", inspect("nowhere")).says("nowhere"),
        bad("a file for a directory", inspect("net.toml")).says("net.toml"),
        bad("metadata that is no JSON", inspect("set")).after(put("set/postdata_metadata.json", "{\"NodeId\":")),
    ]);
}
