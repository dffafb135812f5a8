//! A peer that speaks the protocols but not as it should.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Transport, gossipsub, identity, noise, tcp, yamux};
use node::env::net::NetLimits;
use node::wire;

use crate::nodes::{GENESIS, Node, eventually};

/// What goes onto a stream.
#[derive(Clone, Copy, Debug)]
enum Nonsense {
    Garbage,
    Oversized,
    /// Some bytes, then never an end.
    Slow,
}

#[derive(Clone)]
struct Codec;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Nonsense;
    type Response = Vec<u8>;

    fn read_request<'s, 'p, 'i, 'a, T>(&'s mut self, _: &'p StreamProtocol, _: &'i mut T) -> Boxed<'a, Nonsense>
    where
        T: AsyncRead + Unpin + Send + 'a,
        's: 'a,
        'p: 'a,
        'i: 'a,
        Self: 'a,
    {
        Box::pin(async { Ok(Nonsense::Garbage) })
    }

    fn read_response<'s, 'p, 'i, 'a, T>(&'s mut self, _: &'p StreamProtocol, io: &'i mut T) -> Boxed<'a, Vec<u8>>
    where
        T: AsyncRead + Unpin + Send + 'a,
        's: 'a,
        'p: 'a,
        'i: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let mut bytes = Vec::new();
            io.read_to_end(&mut bytes).await?;
            Ok(bytes)
        })
    }

    fn write_request<'s, 'p, 'i, 'a, T>(
        &'s mut self,
        _: &'p StreamProtocol,
        io: &'i mut T,
        nonsense: Nonsense,
    ) -> Boxed<'a, ()>
    where
        T: AsyncWrite + Unpin + Send + 'a,
        's: 'a,
        'p: 'a,
        'i: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            match nonsense {
                Nonsense::Garbage => io.write_all(&[0xff; 100]).await,
                // The other side stops reading, so the end is an error.
                Nonsense::Oversized => io.write_all(&[0; 10 << 20]).await,
                Nonsense::Slow => {
                    io.write_all(&[0]).await?;
                    io.flush().await?;
                    std::future::pending().await
                }
            }
        })
    }

    fn write_response<'s, 'p, 'i, 'a, T>(&'s mut self, _: &'p StreamProtocol, _: &'i mut T, _: Vec<u8>) -> Boxed<'a, ()>
    where
        T: AsyncWrite + Unpin + Send + 'a,
        's: 'a,
        'p: 'a,
        'i: 'a,
        Self: 'a,
    {
        Box::pin(async { Ok(()) })
    }
}

#[derive(NetworkBehaviour)]
struct Intruder {
    gossip: gossipsub::Behaviour,
    requests: request_response::Behaviour<Codec>,
}

fn intruder(key: &identity::Keypair, gossips: bool) -> Swarm<Intruder> {
    let noise = noise::Config::new(key).unwrap().with_prologue(format!("/post/{GENESIS}/1").into_bytes());
    let transport = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(libp2p::core::upgrade::Version::V1)
        .authenticate(noise)
        .multiplex(yamux::Config::default())
        .boxed();
    let prefix = if gossips { format!("/post/{GENESIS}/gossip") } else { "/nothing".into() };
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix(prefix)
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .build()
        .unwrap();
    let mut gossip = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config).unwrap();
    gossip.subscribe(&gossipsub::IdentTopic::new(format!("/post/{GENESIS}/atx/1"))).unwrap();
    let protocol = StreamProtocol::try_from_owned(wire::protocol(GENESIS)).unwrap();
    let settings = request_response::Config::default().with_request_timeout(Duration::from_secs(600));
    let requests = request_response::Behaviour::with_codec(Codec, [(protocol, ProtocolSupport::Full)], settings);
    let swarm = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(600));
    Swarm::new(transport, Intruder { gossip, requests }, PeerId::from(key.public()), swarm)
}

fn multiaddr(at: SocketAddr) -> Multiaddr {
    format!("/ip4/{}/tcp/{}", at.ip(), at.port()).parse().unwrap()
}

/// Connects, and says so many times the same; returns when the connection is closed.
async fn intrude(at: SocketAddr, nonsense: &[Nonsense], gossips: bool) {
    let mut swarm = intruder(&identity::Keypair::generate_ed25519(), gossips);
    swarm.dial(multiaddr(at)).unwrap();
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                for nonsense in nonsense {
                    swarm.behaviour_mut().requests.send_request(&peer_id, *nonsense);
                }
            }
            SwarmEvent::ConnectionClosed { .. } => return,
            SwarmEvent::OutgoingConnectionError { error, .. } => unreachable!("{error}"),
            _ => {}
        }
    }
}

/// A node that loses patience soon.
async fn node(change: impl FnOnce(&mut NetLimits)) -> Node {
    Node::start(|config| {
        config.limits.outbound = 0;
        config.limits.request_timeout = Duration::from_secs(1);
        change(&mut config.limits);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_banned() {
    for nonsense in [Nonsense::Garbage, Nonsense::Oversized] {
        let node = node(|_| {}).await;
        tokio::time::timeout(crate::nodes::PATIENCE, intrude(node.at(), &[nonsense; 2], true)).await.unwrap();
        eventually(|| node.net.counters().bans.get() == 1).await;
        // No more was read than a request may have, with what lay in the window.
        assert!(node.net.counters().socket_bytes_in.get() < 2 << 20);
        assert_eq!(node.net.counters().requests_in.get(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_never_end_are_banned() {
    let node = node(|limits| limits.offences = 3).await;
    let intruded = intrude(node.at(), &[Nonsense::Slow; 5], true);
    tokio::time::timeout(crate::nodes::PATIENCE, intruded).await.unwrap();
    eventually(|| node.net.counters().bans.get() == 1).await;
}

/// A connection without gossip, and one without a handshake.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_do_nothing_are_dropped() {
    let node = node(|limits| limits.handshake_timeout = Duration::from_secs(1)).await;
    tokio::time::timeout(crate::nodes::PATIENCE, intrude(node.at(), &[], false)).await.unwrap();
    node.peers(0).await;

    let mut silent = tokio::net::TcpStream::connect(node.at()).await.unwrap();
    let read = async {
        let mut bytes = Vec::new();
        // Reset or closed: either way it is over.
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut silent, &mut bytes).await;
    };
    tokio::time::timeout(crate::nodes::PATIENCE, read).await.unwrap();
    assert_eq!(node.net.counters().bans.get(), 0);
}
