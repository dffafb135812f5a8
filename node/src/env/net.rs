//! Connections to other nodes: libp2p over TCP, Noise and yamux, gossip, requests (NODE.md section 7).
//!
//! [`start`] makes a task that owns all connections. The node talks to it through a [`NetHandle`], and reads what others
//! send as [`NetEvent`]s. Whatever a peer does costs this node little, and other peers nothing:
//!
//! - The handshake is bound to the network, so nodes of others don't get a connection ([`mod@transport`]).
//! - Connections are limited: all, those being made, those of a peer and of a neighbourhood ([`gate`]).
//! - What a peer sends waits in a queue of its own, and queues are emptied in turn; what is too much is dropped ([`inbox`]).
//! - Messages found bad, lies and nonsense count against a peer, which is banned for an hour ([`conduct`]).
//! - Messages, requests, answers and the time for each are limited ([`gossip`], [`codec`]).

mod behaviour;
mod book;
mod codec;
mod conduct;
mod counters;
mod cut_off;
mod gate;
mod gossip;
mod inbox;
mod key;
mod place;
mod task;
mod transport;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libp2p::request_response::ResponseChannel;
use post_core::identity::KeyError;
use tokio::sync::{mpsc, oneshot, watch};

pub use counters::NetCounters;
pub use cut_off::CutOff;
pub use key::FILE_NAME as KEY_FILE_NAME;

use crate::ids::GenesisId;
use crate::source::{Peer, Source, Topic, Verdict};
use crate::wire::{Request, Response};

/// Events that wait for the node beside what waits in the peers' own queues.
const EVENTS: usize = 64;

/// Where and how to connect.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The network.
    pub genesis: GenesisId,
    /// An existing folder for the node's key and the address book.
    pub directory: PathBuf,
    /// Where to take connections; port 0 is any free one.
    pub listen: Vec<SocketAddr>,
    /// Nodes to begin with.
    pub bootstrap: Vec<SocketAddr>,
    /// How much is too much.
    pub limits: NetLimits,
    /// For tests: who is out of reach for a while.
    pub cut_off: CutOff,
}

/// How much is too much.
#[derive(Clone, Debug)]
pub struct NetLimits {
    /// So many connections the node makes itself, if it finds the peers.
    pub outbound: usize,
    /// At most so many connections made by others.
    pub inbound: u32,
    /// At most so many connections being made by others.
    pub pending: u32,
    /// At most so many connections made by others from one neighbourhood (IPv4: /24, IPv6: /48); loopback is none.
    pub neighbours: usize,
    /// A peer may gossip so many messages a second for long.
    pub messages_per_second: u32,
    /// And so many at once.
    pub messages_burst: u32,
    /// Offences that have a peer banned; a rejected message is one. One is forgiven a minute.
    pub offences: u32,
    /// How long a ban lasts.
    pub ban: Duration,
    /// How long a request may take, and how long a peer may take to send one.
    pub request_timeout: Duration,
    /// How long a handshake may take, and how long a new peer may take to join the gossip.
    pub handshake_timeout: Duration,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            outbound: 8,
            inbound: 64,
            pending: 32,
            neighbours: 8,
            messages_per_second: 200,
            messages_burst: 2000,
            offences: 8,
            ban: Duration::from_secs(3600),
            request_timeout: Duration::from_secs(15),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// Why there are no connections.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The node's key.
    #[error("the node's key: {0}")]
    Key(#[from] KeyError),
    /// An address can't be listened at.
    #[error("cannot listen at {address}: {reason}; choose another address or free it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        reason: String,
    },
    /// The network library refused its settings: a defect.
    #[error("the network's settings: {0}")]
    Settings(String),
}

/// What happens on the network.
#[derive(Debug)]
pub enum NetEvent {
    /// There is a connection to a peer.
    PeerUp(Peer),
    /// There is none any more.
    PeerDown(Peer),
    /// A peer gossips; [`NetHandle::verdict`] is due.
    Gossip {
        /// What it is about.
        topic: Topic,
        /// Who, and which message.
        source: Source,
        /// The message.
        data: Vec<u8>,
    },
    /// A peer asks; never [`Request::Peers`].
    Request {
        /// Who.
        peer: Peer,
        /// What.
        request: Request,
        /// Takes the answer.
        responder: Responder,
    },
}

/// Takes the answer to one request; dropped, the peer gets none.
#[derive(Debug)]
pub struct Responder {
    peer: Peer,
    channel: ResponseChannel<Response>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Responder {
    /// Answers.
    pub fn respond(self, response: Response) {
        // If the task is gone, so is the peer.
        let _ = self.commands.send(Command::Respond { peer: self.peer, channel: self.channel, response });
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No connection, or it broke.
    #[error("the peer is not connected")]
    Gone,
    /// It took too long.
    #[error("the peer did not answer in time")]
    Timeout,
    /// It closed the stream, or sent what is no answer.
    #[error("no answer: {0}")]
    Refused(String),
}

/// What the task is told.
#[derive(Debug)]
enum Command {
    Publish { topic: Topic, data: Vec<u8> },
    Verdict { source: Source, verdict: Verdict },
    Request { peer: Peer, request: Request, reply: oneshot::Sender<Result<Response, RequestError>> },
    Respond { peer: Peer, channel: ResponseChannel<Response>, response: Response },
    Punish { peer: Peer, why: String },
    Dial(SocketAddr),
    Shutdown(oneshot::Sender<()>),
}

/// Talks to the task. When the last handle and [`Responder`] are gone, the task ends and closes all connections.
#[derive(Clone, Debug)]
pub struct NetHandle {
    own: Peer,
    listening: Arc<[SocketAddr]>,
    commands: mpsc::UnboundedSender<Command>,
    peers: watch::Receiver<BTreeSet<Peer>>,
    counters: Arc<NetCounters>,
}

impl NetHandle {
    /// This node's name.
    #[must_use]
    pub fn own(&self) -> Peer {
        self.own
    }

    /// Where connections are taken.
    #[must_use]
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Who is connected.
    #[must_use]
    pub fn peers(&self) -> BTreeSet<Peer> {
        self.peers.borrow().clone()
    }

    /// Counts of messages, bytes, connections.
    #[must_use]
    pub fn counters(&self) -> &NetCounters {
        &self.counters
    }

    /// Gossips; while there are no peers it waits for some, a few minutes at most.
    pub fn publish(&self, topic: Topic, data: Vec<u8>) {
        self.send(Command::Publish { topic, data });
    }

    /// What becomes of a message: an accepted one is handed on, a rejected one counts against who sent it.
    pub fn verdict(&self, source: Source, verdict: Verdict) {
        self.send(Command::Verdict { source, verdict });
    }

    /// Asks a peer. The request is out when this returns; the future gives the answer.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn request(
        &self,
        peer: Peer,
        request: Request,
    ) -> impl Future<Output = Result<Response, RequestError>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Request { peer, request, reply });
        async move { answer.await.unwrap_or(Err(RequestError::Gone)) }
    }

    /// A peer lied in an answer.
    pub fn punish(&self, peer: Peer, why: String) {
        self.send(Command::Punish { peer, why });
    }

    /// Connects to a node, once.
    pub fn dial(&self, address: SocketAddr) {
        self.send(Command::Dial(address));
    }

    /// Closes all connections, and writes the address book.
    pub async fn shutdown(&self) {
        let (done, ended) = oneshot::channel();
        self.send(Command::Shutdown(done));
        // Either way it is over.
        let _ = ended.await;
    }

    /// A task that ended needs no more commands.
    fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

/// Begins to listen and to connect. Must be called in a tokio runtime.
///
/// # Errors
/// [`NetError`].
pub async fn start(config: NetConfig) -> Result<(NetHandle, mpsc::Receiver<NetEvent>), NetError> {
    task::start(config).await
}
