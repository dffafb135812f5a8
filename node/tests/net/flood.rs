//! Junk from many, and one honest peer whose messages still arrive.

use std::time::{Duration, Instant};

use node::env::net::{NetEvent, NetHandle};
use node::source::{Topic, Verdict};

use crate::nodes::Node;

const FLOODERS: usize = 50;
/// Of all flooders together.
const JUNK_PER_SECOND: usize = 10_000;

/// What the node under attack saw.
#[derive(Debug, Default)]
struct Seen {
    honest: Vec<Duration>,
    junk: usize,
    honest_down: bool,
}

/// Resident memory of this process in bytes: the node's, and that of all flooders.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Sends its share of the junk, whether anybody takes it or not.
async fn flood(net: NetHandle, number: usize, until: Instant) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let (mut sent, start) = (0, Instant::now());
    while Instant::now() < until {
        tick.tick().await;
        let due = start.elapsed().as_millis() as usize * JUNK_PER_SECOND / FLOODERS / 1000;
        while sent < due {
            sent += 1;
            let name = blake3::hash(format!("{number} {sent}").as_bytes());
            net.publish(Topic::Atx, name.as_bytes().repeat(10));
        }
    }
}

async fn watch(node: &mut Node, start: Instant, honest: &NetHandle, seen: &mut Seen) {
    while let Some(event) = node.events.recv().await {
        match event {
            NetEvent::Gossip { source, data, .. } => {
                let sent: Option<[u8; 8]> = data.strip_prefix(b"honest").and_then(|at| at.try_into().ok());
                match sent {
                    Some(sent) => {
                        let at = Duration::from_micros(u64::from_be_bytes(sent));
                        seen.honest.push(start.elapsed().saturating_sub(at));
                        node.net.verdict(source, Verdict::Accept);
                    }
                    None => {
                        seen.junk += 1;
                        node.net.verdict(source, Verdict::Reject);
                    }
                }
            }
            NetEvent::PeerDown(peer) => seen.honest_down |= peer == honest.own(),
            _ => {}
        }
    }
}

/// With or without bans; without, the node has to live with all of the junk.
async fn attack(seconds: u64, bans: bool) {
    let mut node = Node::start(|config| {
        config.limits.outbound = 0;
        config.limits.pending = 128;
        if !bans {
            config.limits.offences = u32::MAX;
        }
    })
    .await;
    let honest = Node::start(|config| config.bootstrap = vec![node.at()]).await;
    node.peers(1).await;
    let mut flooders = Vec::new();
    for _ in 0..FLOODERS {
        flooders.push(
            Node::start(|config| {
                config.bootstrap = vec![node.at()];
                config.limits.outbound = 1;
            })
            .await,
        );
    }
    node.peers(FLOODERS + 1).await;
    let before = resident();
    let start = Instant::now();
    let until = start + Duration::from_secs(seconds);
    for (number, flooder) in flooders.iter().enumerate() {
        tokio::spawn(flood(flooder.net.clone(), number, until));
    }
    // Flooders take no part: what they receive is thrown away.
    for flooder in &mut flooders {
        let (_, nobody) = tokio::sync::mpsc::channel(1);
        let mut events = std::mem::replace(&mut flooder.events, nobody);
        tokio::spawn(async move { while events.recv().await.is_some() {} });
    }
    let mut sent = 0;
    let speak = async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while Instant::now() < until {
            tick.tick().await;
            let at = start.elapsed().as_micros() as u64;
            honest.net.publish(Topic::Atx, [&b"honest"[..], &at.to_be_bytes()].concat());
            sent += 1;
        }
        // The last ones are on their way.
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    let mut seen = Seen::default();
    let listener = honest.net.clone();
    tokio::select! {
        () = speak => {}
        () = watch(&mut node, start, &listener, &mut seen) => unreachable!("the task ended"),
    }
    let grown = resident().zip(before).map(|(now, before)| now.saturating_sub(before) >> 20);
    let slowest = seen.honest.iter().max().copied().unwrap_or_default();
    let counters = node.net.counters();
    eprintln!(
        "bans {bans}: {seconds} s, junk {} looked at, {} in, {} dropped, {} MiB at the socket, bans {}; honest {} of {sent}, slowest {slowest:?}; \
         memory of all +{grown:?} MiB",
        seen.junk,
        counters.messages_in.get(),
        counters.messages_dropped.get(),
        counters.socket_bytes_in.get() >> 20,
        counters.bans.get(),
        seen.honest.len(),
    );
    assert_eq!(seen.honest.len(), sent);
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(!seen.honest_down && node.net.peers().contains(&honest.net.own()));
    assert!(seen.junk >= FLOODERS);
    if bans {
        assert_eq!(counters.bans.get(), FLOODERS as u64);
    }
    assert!(grown.is_none_or(|grown| grown < 300), "{grown:?} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_junk() {
    attack(4, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_junk_without_bans() {
    attack(4, false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes: the figures of the release"]
async fn a_minute_of_junk() {
    attack(60, true).await;
    attack(60, false).await;
}
