//! Calls that are refused, and flags that are followed.

use crate::data::Set;
use crate::node::Node;
use crate::program::post;

#[test]
fn what_can_not_be_meant_is_refused_in_one_line() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let good = set.serve("http://127.0.0.1:1");
    for (flag, value, said) in [
        ("--address", "127.0.0.1:1", "--address"),
        ("--address", "ftp://127.0.0.1:1", "http://"),
        ("-n", "3", "power of two"),
        ("-r", "2", "r = 2"),
        ("--k2", "0", "k2 = 0"),
        ("--min-num-units", "9", "max_units"),
        ("--pow-difficulty", "00", "64 hex digits"),
        ("--reconnect-interval-s", "0", "0.01"),
        ("--reconnect-interval-s", "inf", "0.01"),
        ("--reconnect-interval-s", "NaN", "0.01"),
        ("--max-retries", "often", "--max-retries"),
        ("--watch-pid", "4294967295", "--watch-pid"),
        ("--operator-address", "8080", "--operator-address"),
        ("--remote-k2pow", "worker:1", "--remote-k2pow"),
        ("--pinned-cores", "3-1", "cores"),
        ("--randomx-mode", "heavy", "fast"),
        ("--device", "nothing:0", "nothing:0"),
    ] {
        good.clone().set(flag, value).ends().refused(&[said]);
    }
}

/// The set and the network don't fit: noticed before a node asks.
#[test]
fn the_values_are_held_against_the_set() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let good = set.serve("http://127.0.0.1:1");
    for (flag, value, said) in [
        ("-n", "4", "is not one of this set"),
        ("--min-num-units", "2", "allows 2 to 8"),
        ("--nonces", "100", "multiple of 16"),
        ("--k1", "5000", "too few"),
    ] {
        let end = good.clone().set(flag, value).ends();
        end.refused(&["none of the directories can be served"]);
        assert!(end.err.contains(said), "{flag} {value}: {}", end.err);
    }
}

#[test]
fn the_help_names_every_flag_of_the_protocol() {
    let root = tempfile::tempdir().unwrap();
    let output = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("post")).args(["serve", "--help"]).unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--address",
        "--dir",
        "--min-num-units",
        "--max-num-units",
        "--k1",
        "--k2",
        "--pow-difficulty",
        "-n",
        "-r",
        "-p",
        "--threads",
        "--nonces",
        "--randomx-mode",
        "--watch-pid",
        "--max-retries",
        "--reconnect-interval-s",
        "--ca-cert",
        "--cert",
        "--key",
        "--domain",
        "--pinned-cores",
        "--operator-address",
        "--remote-k2pow",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
    assert_eq!(post(root.path(), &["serve", "--help"]).err, "");
}

#[cfg(target_os = "linux")]
#[test]
fn it_keeps_to_its_cores() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let mut node = Node::start();
    let status = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let allowed = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        line.trim().to_owned()
    };
    // The first core that this test may use.
    let own = allowed(&status("self"));
    let core = own.split([',', '-']).next().unwrap();
    let program = set.serve(&node.url()).set("--pinned-cores", core).start();
    node.registered();
    for task in std::fs::read_dir(format!("/proc/{}/task", program.id())).unwrap() {
        let task = task.unwrap().file_name().into_string().unwrap();
        assert_eq!(allowed(&status(&format!("{}/task/{task}", program.id()))), core);
    }
}
