//! The gRPC server to which provers register (POST.md section 7).
//!
//! A prover dials, opens a stream and is asked who it is. From then on the node asks and the prover answers: while a proof
//! is wanted, the same question again and again. A stream ends when its prover says anything else than it was asked,
//! or nothing for too long; a good prover dials again.
//!
//! What is wanted of a miner's prover stays wanted while it is away, and is asked for again when it is back. A second
//! stream of one miner takes the place of the first: when a connection breaks, the prover knows long before the node
//! does. Two provers of one miner take turns then, and the log says so.
//!
//! On loopback the server speaks plainly; anywhere else only with those who show a certificate by its own authority.

mod desk;
mod incoming;
mod session;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use self::desk::Desk;
use self::session::Door;
use post_service::v1::post_service_server::PostServiceServer;

use crate::ids::{Challenge, NodeId};
use crate::smeshing::{ProverEvent, ProverMetadata};

/// Events that wait for the node; when there are more, the provers wait.
const MOST_EVENTS: usize = 256;

/// Connections beyond those that may have a stream, so that whoever is refused can be told why.
const SPARE_CONNECTIONS: usize = 16;

/// Whoever does not end a TLS handshake by then is cut off.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// PEM texts for mutual TLS.
#[derive(Clone)]
pub struct Tls {
    /// The authority that has signed the provers' certificates.
    pub ca: Vec<u8>,
    /// The server's certificate.
    pub cert: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// How the server is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Needed on any address that is not loopback.
    pub tls: Option<Tls>,
    /// The miners of this node. Provers of others are refused.
    pub miners: BTreeSet<NodeId>,
    /// Between two questions how a proof is coming along.
    pub poll_interval: Duration,
    /// A prover that takes longer for an answer is cut off.
    pub answer_timeout: Duration,
    /// Between two questions whether the prover knows its VRF nonce by now.
    pub nonce_interval: Duration,
    /// At most so many streams; the default is twice the number of miners, and 16.
    pub max_streams: usize,
}

impl Config {
    /// With the intervals of POST.md section 7.
    #[must_use]
    pub fn new(listen: SocketAddr, miners: BTreeSet<NodeId>) -> Self {
        Self {
            listen,
            tls: None,
            max_streams: 2 * miners.len() + 16,
            miners,
            poll_interval: Duration::from_secs(2),
            answer_timeout: Duration::from_secs(30),
            nonce_interval: Duration::from_secs(60),
        }
    }
}

/// Why provers can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ProversError {
    /// Anybody could register there.
    #[error(
        "provers at {listen}: without certificates only loopback is served; listen on 127.0.0.1, or give ca, cert and key"
    )]
    NotLoopback {
        /// The address.
        listen: SocketAddr,
    },
    /// The address can't be had.
    #[error("provers at {listen}: {source}; choose another address, or end what listens there")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Certificates or key are not usable.
    #[error(
        "the certificates for provers are not usable: {0}; ca, cert and key must be PEM files that belong together"
    )]
    Tls(#[source] tonic::transport::Error),
}

/// A miner as its prover sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProverStatus {
    /// Whose.
    pub node_id: NodeId,
    /// The prover that is there: what it says, and where it dialled from.
    pub prover: Option<(ProverMetadata, Option<SocketAddr>)>,
    /// The proof that is wanted.
    pub asked: Option<Challenge>,
}

/// The running server. When this is dropped, it ends with all its streams.
#[derive(Debug)]
pub struct Provers {
    desks: Arc<BTreeMap<NodeId, Desk>>,
    /// Whoever watches this ends when it is dropped.
    _open: watch::Sender<()>,
}

impl Provers {
    /// Listens. Must be called within a tokio runtime.
    ///
    /// Returns the handle, what the provers say, and the address.
    ///
    /// # Errors
    /// [`ProversError`].
    pub async fn start(config: Config) -> Result<(Self, mpsc::Receiver<ProverEvent>, SocketAddr), ProversError> {
        let Config { listen, tls, miners, poll_interval, answer_timeout, nonce_interval, max_streams } = config;
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(600)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .max_concurrent_streams(u32::try_from(max_streams).unwrap_or(u32::MAX))
            .http2_max_header_list_size(wire::MAX_MESSAGE as u32);
        match tls {
            Some(tls) => server = server.tls_config(mutual(&tls)).map_err(ProversError::Tls)?,
            None if listen.ip().to_canonical().is_loopback() => {}
            None => return Err(ProversError::NotLoopback { listen }),
        }
        let failed = |source| ProversError::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let desks = Arc::new(miners.into_iter().map(|node_id| (node_id, Desk::new(node_id))).collect());
        let (events, received) = mpsc::channel(MOST_EVENTS);
        let (open, closed) = watch::channel(());
        let door = Door {
            desks: Arc::clone(&desks),
            events,
            closed: closed.clone(),
            streams: Arc::new(Semaphore::new(max_streams)),
            poll_interval,
            answer_timeout,
            nonce_interval,
        };
        let service = PostServiceServer::new(door).max_decoding_message_size(wire::MAX_MESSAGE);
        let connections = incoming::connections(listener, max_streams + SPARE_CONNECTIONS);
        tokio::spawn(async move {
            let shut = incoming::until_dropped(closed);
            if let Err(error) = server.add_service(service).serve_with_incoming_shutdown(connections, shut).await {
                tracing::error!("the server for provers ended: {error}");
            }
        });
        Ok((Self { desks, _open: open }, received, address))
    }

    /// Wants a proof of a miner's prover, in place of any other, until it answers. Its answer is a
    /// [`ProverEvent::Proof`] or a [`ProverEvent::Failed`]; after that nothing is wanted.
    pub fn ask(&self, node_id: NodeId, challenge: Challenge) {
        if let Some(desk) = self.desks.get(&node_id) {
            desk.want(Some(challenge));
        }
    }

    /// Wants nothing any more of a miner's prover.
    pub fn cancel(&self, node_id: NodeId) {
        if let Some(desk) = self.desks.get(&node_id) {
            desk.want(None);
        }
    }

    /// Every miner of this node.
    #[must_use]
    pub fn list(&self) -> Vec<ProverStatus> {
        self.desks.values().map(Desk::status).collect()
    }
}

fn mutual(tls: &Tls) -> ServerTlsConfig {
    ServerTlsConfig::new()
        .identity(Identity::from_pem(&tls.cert, &tls.key))
        .client_ca_root(Certificate::from_pem(&tls.ca))
        .timeout(HANDSHAKE)
}
