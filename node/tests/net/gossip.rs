//! Gossip waits for verdicts, and bad messages have their sender banned.

use node::env::net::NetEvent;
use node::source::{Source, Topic, Verdict};

use crate::nodes::{Node, eventually};

fn gossip(event: NetEvent) -> Option<(Topic, Source, Vec<u8>)> {
    match event {
        NetEvent::Gossip { topic, source, data } => Some((topic, source, data)),
        _ => None,
    }
}

/// A line of three: the middle hands on what it accepts, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_messages_are_handed_on() {
    let first = Node::start(|_| {}).await;
    let mut middle = Node::start(|config| config.bootstrap = vec![first.at()]).await;
    let mut last = Node::start(|config| {
        config.bootstrap = vec![middle.at()];
        config.limits.outbound = 1;
    })
    .await;
    middle.peers(2).await;
    // What is published before anybody listens, waits.
    first.net.publish(Topic::Atx, b"ignored".to_vec());
    first.net.publish(Topic::Atx, b"good".to_vec());
    first.net.publish(Topic::Fraud, b"good".to_vec());
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let (topic, source, data) = middle.until(gossip).await;
        assert_eq!(source.peer(), Some(first.net.own()));
        let verdict = if data == b"ignored" { Verdict::Ignore } else { Verdict::Accept };
        middle.net.verdict(source, verdict);
        seen.push((topic, data));
    }
    seen.sort_by_key(|(topic, data)| (topic.name(), data.clone()));
    let expected =
        [(Topic::Atx, b"good".to_vec()), (Topic::Atx, b"ignored".to_vec()), (Topic::Fraud, b"good".to_vec())];
    assert_eq!(seen, expected);
    for _ in 0..2 {
        let (_, source, data) = last.until(gossip).await;
        assert_eq!((source.peer(), &data[..]), (Some(middle.net.own()), &b"good"[..]));
    }
    assert_eq!(last.net.counters().messages_in.get(), 2);
    assert_eq!(middle.net.counters().messages_accepted.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_bad_messages_is_banned() {
    let mut node = Node::start(|_| {}).await;
    let bad = Node::start(|config| config.bootstrap = vec![node.at()]).await;
    node.peers(1).await;
    for i in 0..8u8 {
        assert_eq!(node.net.peers().len(), 1, "{i}");
        bad.net.publish(Topic::Atx, vec![i]);
        let (_, source, _) = node.until(gossip).await;
        node.net.verdict(source, Verdict::Reject);
    }
    node.until(|event| matches!(event, NetEvent::PeerDown(peer) if peer == bad.net.own()).then_some(())).await;
    // It calls again and again, in vain.
    let refused = node.net.counters().connections_refused.get();
    eventually(|| node.net.counters().connections_refused.get() >= refused + 2).await;
    assert!(node.net.peers().is_empty());
    assert_eq!(node.net.counters().bans.get(), 1);
    assert_eq!(node.net.counters().messages_rejected.get(), 8);
    // Others are welcome, and messages that they bring again are theirs.
    let good = Node::start(|config| config.bootstrap = vec![node.at()]).await;
    node.peers(1).await;
    good.net.publish(Topic::Atx, b"good".to_vec());
    assert_eq!(node.until(gossip).await.1.peer(), Some(good.net.own()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_ends() {
    let mut node = Node::start(|config| {
        config.limits.ban = std::time::Duration::from_secs(2);
        config.limits.offences = 1;
    })
    .await;
    let bad = Node::start(|config| config.bootstrap = vec![node.at()]).await;
    node.peers(1).await;
    bad.net.publish(Topic::Atx, vec![1]);
    let (_, source, _) = node.until(gossip).await;
    node.net.verdict(source, Verdict::Reject);
    node.peers(0).await;
    node.peers(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_long_a_message_is_not_sent() {
    let mut node = Node::start(|_| {}).await;
    let other = Node::start(|config| config.bootstrap = vec![node.at()]).await;
    node.peers(1).await;
    other.net.publish(Topic::Atx, vec![0; (2 << 20) + 4096]);
    other.net.publish(Topic::Atx, vec![0; 2 << 20]);
    assert_eq!(node.until(gossip).await.2.len(), 2 << 20);
}
