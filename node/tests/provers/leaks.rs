//! Nothing is left of what has ended.

use std::time::{Duration, Instant};

use node::ids::Challenge;
use node::smeshing::ProverEvent;
use tokio::runtime::Handle;

use crate::mock::{MINER, Mock, Node, PATIENCE, config, dial};

/// What a process may leak.
#[derive(Clone, Copy, Debug)]
struct Usage {
    files: usize,
    threads: usize,
    tasks: usize,
    resident_kib: usize,
}

fn usage() -> Usage {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    Usage {
        files: std::fs::read_dir("/proc/self/fd").unwrap().count(),
        threads: field("Threads:"),
        tasks: Handle::current().metrics().num_alive_tasks(),
        resident_kib: field("VmRSS:"),
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}: {:?}", usage());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Other tests of this file's process have their own files and threads open: this one runs in a process of its own.
#[cfg(target_os = "linux")]
#[test]
fn reconnects_leak_nothing() {
    if std::env::var_os("LEAKS_ALONE").is_none() {
        let me = std::env::current_exe().unwrap();
        let alone = std::process::Command::new(me)
            .args(["--exact", "leaks::reconnects_leak_nothing", "--nocapture"])
            .env("LEAKS_ALONE", "1")
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&alone.stdout), String::from_utf8_lossy(&alone.stderr));
        assert!(alone.status.success(), "{out}{err}");
        print!("{out}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let empty = usage();
        let mut node = Node::start(config()).await;
        // What is set aside once, for the first few, is no leak.
        reconnect(&mut node, 20).await;
        let before = usage();
        reconnect(&mut node, 100).await;
        until("files", || usage().files <= before.files).await;
        until("tasks", || usage().tasks <= before.tasks).await;
        let after = usage();
        println!("100 reconnects: {before:?} → {after:?}");
        assert!(after.threads <= before.threads);
        assert!(after.resident_kib <= before.resident_kib + 4096);

        // The server ends with its handle, a stream that is open with it.
        let stream = dial(node.address, &Mock::new(0));
        node.registered().await;
        let address = node.address;
        drop(node);
        stream.await.unwrap();
        until("tasks of a dropped server", || usage().tasks <= empty.tasks).await;
        until("files of a dropped server", || usage().files <= empty.files).await;
        std::net::TcpListener::bind(address).unwrap();
    });
}

/// Half of them go by themselves, half in the middle of a proof; some are cut off by the next.
async fn reconnect(node: &mut Node, times: usize) {
    for i in 0..times {
        let mock = Mock::new(if i % 2 == 0 { 0 } else { u32::MAX });
        let stream = dial(node.address, &mock);
        node.registered().await;
        let challenge = Challenge([i as u8 + 1; 32]);
        node.provers.ask(MINER, challenge);
        if i % 2 == 0 {
            assert!(matches!(node.event().await, ProverEvent::Proof { .. }));
        }
        if i % 3 == 0 {
            let second = dial(node.address, &Mock::new(u32::MAX));
            node.registered().await;
            stream.await.unwrap();
            second.abort();
        } else {
            stream.abort();
        }
        node.gone().await;
        node.provers.cancel(MINER);
    }
}
