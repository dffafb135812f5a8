//! Who finds whom.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use node::env::net::{self, CutOff, NetError, NetEvent};
use node::ids::GenesisId;

use crate::nodes::{Node, config, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_two_networks_do_not_connect() {
    let here = Node::start(|_| {}).await;
    let there = Node::start(|config| {
        config.genesis = GenesisId([8; 20]);
        config.bootstrap = vec![here.at()];
    })
    .await;
    eventually(|| here.net.counters().connections_refused.get() >= 2).await;
    assert!(here.net.peers().is_empty() && there.net.peers().is_empty());
    let counters = here.net.counters();
    assert_eq!(counters.connections_in.get() + counters.connections_out.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_tell_each_other_of_others() {
    let hub = Node::start(|_| {}).await;
    let first = Node::start(|config| config.bootstrap = vec![hub.at()]).await;
    hub.peers(1).await;
    // The hub calls back only who it is told of and needs; one that works is handed on.
    let second = Node::start(|config| config.bootstrap = vec![hub.at(), first.at()]).await;
    second.peers(2).await;
    let third = Node::start(|config| config.bootstrap = vec![second.at()]).await;
    third.peers(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_finds_its_peers() {
    let dir = tempfile::tempdir().unwrap();
    let other = Node::start(|_| {}).await;
    let node = Node::start_in(dir.path().to_path_buf(), |config| config.bootstrap = vec![other.at()]).await;
    let name = node.net.own();
    node.peers(1).await;
    let directory = node.stop().await;
    other.peers(0).await;
    let node = Node::start_in(directory, |_| {}).await;
    assert_eq!(node.net.own(), name);
    node.peers(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_was_away_is_called_again() {
    let dir = tempfile::tempdir().unwrap();
    let other = Node::start_in(dir.path().to_path_buf(), |_| {}).await;
    let at = other.at();
    let node = Node::start(|config| config.bootstrap = vec![at]).await;
    node.peers(1).await;
    let directory = other.stop().await;
    node.peers(0).await;
    let other = Node::start_in(directory, |config| config.listen = vec![at]).await;
    node.peers(1).await;
    other.peers(1).await;
}

/// Its own address among those to begin with.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_connect_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let at = Node::start(|_| {}).await.stop_and_free().await;
    let node = Node::start_in(dir.path().to_path_buf(), |config| {
        config.listen = vec![at];
        config.bootstrap = vec![at];
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(node.net.peers().is_empty());
}

impl Node {
    async fn stop_and_free(self) -> std::net::SocketAddr {
        let at = self.at();
        self.stop().await;
        at
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_said() {
    let node = Node::start(|_| {}).await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path().to_path_buf());
    config.listen = vec![node.at()];
    let error = net::start(config).await.unwrap_err();
    assert!(matches!(error, NetError::Listen { address, .. } if address == node.at()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited() {
    let node = Node::start(|config| {
        config.limits.inbound = 3;
        config.limits.outbound = 0;
    })
    .await;
    let mut others = Vec::new();
    for _ in 0..6 {
        others.push(Node::start(|config| config.bootstrap = vec![node.at()]).await);
    }
    eventually(|| node.net.counters().connections_refused.get() >= 3).await;
    assert_eq!(node.net.peers().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_comes_back_afterwards() {
    let now_ms = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let here = Node::start(|_| {}).await;
    let bystander = Node::start(|config| config.bootstrap = vec![here.at()]).await;
    let (from_ms, to_ms) = (now_ms() + 1000, now_ms() + 2500);
    let peers = BTreeSet::from([here.net.own()]);
    let mut there = Node::start(|config| {
        config.bootstrap = vec![here.at()];
        config.cut_off = CutOff { peers, from_ms, to_ms };
    })
    .await;
    let other = here.net.own();
    let mut came_or_went = async |up: bool| {
        let wanted = |event| match event {
            NetEvent::PeerUp(peer) => (peer == other && up).then(now_ms),
            NetEvent::PeerDown(peer) => (peer == other && !up).then(now_ms),
            _ => None,
        };
        there.until(wanted).await
    };
    assert!(came_or_went(true).await < from_ms);
    let gone = came_or_went(false).await;
    assert!((from_ms..to_ms).contains(&gone));
    assert!(came_or_went(true).await >= to_ms);
    assert!(bystander.net.peers().contains(&here.net.own()));
}
