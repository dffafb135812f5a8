//! Nodes to test with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use node::env::net::{self, CutOff, NetConfig, NetEvent, NetHandle, NetLimits};
use node::ids::GenesisId;
use tokio::sync::mpsc;

pub(crate) const GENESIS: GenesisId = GenesisId([7; 20]);
/// Far more than anything takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Node {
    pub(crate) net: NetHandle,
    pub(crate) events: mpsc::Receiver<NetEvent>,
    directory: PathBuf,
    _kept: Option<tempfile::TempDir>,
}

pub(crate) fn config(directory: PathBuf) -> NetConfig {
    NetConfig {
        genesis: GENESIS,
        directory,
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        bootstrap: vec![],
        limits: NetLimits::default(),
        cut_off: CutOff::default(),
    }
}

impl Node {
    pub(crate) async fn start(change: impl FnOnce(&mut NetConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut node = Self::start_in(dir.path().to_path_buf(), change).await;
        node._kept = Some(dir);
        node
    }

    pub(crate) async fn start_in(directory: PathBuf, change: impl FnOnce(&mut NetConfig)) -> Self {
        let mut config = config(directory.clone());
        change(&mut config);
        let (net, events) = net::start(config).await.unwrap();
        Self { net, events, directory, _kept: None }
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.net.listening()[0]
    }

    pub(crate) async fn event(&mut self) -> NetEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap()
    }

    /// The first event that is wanted; others are lost.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(NetEvent) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.event().await) {
                return found;
            }
        }
    }

    /// Until the node has so many peers.
    pub(crate) async fn peers(&self, count: usize) {
        eventually(|| self.net.peers().len() == count).await;
    }

    pub(crate) async fn stop(self) -> PathBuf {
        self.net.shutdown().await;
        self.directory
    }
}

/// Asks again and again.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    let asked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
}
