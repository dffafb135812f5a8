//! A node that comes and goes for months leaves nothing behind.
#![cfg(target_os = "linux")]

use std::fs;

use crate::data::{CHALLENGE, Set};
use crate::node::Node;
use crate::until;

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    files: usize,
    threads: usize,
    memory_kib: u64,
}

impl Held {
    fn by(pid: u32) -> Self {
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory_kib = memory.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap();
        Self { files: count("fd"), threads: count("task"), memory_kib }
    }
}

/// Both ways a node goes: it ends the conversation, or it is cut off.
fn come_and_go(node: &mut Node, times: usize) {
    for time in 0..times {
        let mut prover = node.registered();
        prover.metadata();
        prover.ask(&CHALLENGE);
        if time % 5 == 4 {
            node.restart();
        }
    }
}

#[test]
fn a_hundred_reconnects_leak_nothing() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let mut node = Node::start();
    let program = set.serve(&node.url()).set("--reconnect-interval-s", 0.01).start();
    node.registered().proof(&CHALLENGE);
    come_and_go(&mut node, 20);
    let prover = node.registered();
    let before = Held::by(program.id());
    drop(prover);
    come_and_go(&mut node, 100);
    let _prover = node.registered();
    // A connection's end may be a moment behind the next one's beginning.
    until("files and threads are as before", || {
        let after = Held::by(program.id());
        (after.files <= before.files + 1 && after.threads <= before.threads + 1).then_some(())
    });
    let after = Held::by(program.id());
    assert!(after.memory_kib <= before.memory_kib + 4096, "{before:?}, then {after:?}");
    assert!(program.count("registered with") >= 120);
    assert_eq!(program.count(" begins"), 1);
}
