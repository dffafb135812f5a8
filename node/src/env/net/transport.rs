//! TCP, Noise, yamux. Bytes are counted at the socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport, noise, tcp, yamux};

use super::NetError;
use super::counters::NetCounters;
use crate::ids::GenesisId;

/// Bytes that a peer may send on a stream before they are read.
const WINDOW: u32 = 256 << 10;
/// Streams of one connection. Gossip has one each way, requests one each.
const MAX_STREAMS: usize = 64;

/// The network's name is part of the handshake: with a node of another one it fails.
pub(super) fn transport(
    genesis: GenesisId,
    key: &Keypair,
    timeout: Duration,
    counters: Arc<NetCounters>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetError> {
    let noise = noise::Config::new(key).map_err(|error| NetError::Settings(error.to_string()))?;
    let noise = noise.with_prologue(format!("/post/{genesis}/1").into_bytes());
    let transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(move |stream, _| Counted { stream, counters })
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(yamux())
        .timeout(timeout)
        .boxed();
    Ok(transport)
}

/// Windows of a fixed size: those that grow with speed may grow to a gigabyte a connection.
#[allow(deprecated)]
fn yamux() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_receive_window_size(WINDOW);
    config.set_max_buffer_size(WINDOW as usize);
    config.set_max_num_streams(MAX_STREAMS);
    config
}

/// A stream whose bytes are counted.
struct Counted<S> {
    stream: S,
    counters: Arc<NetCounters>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(bytes)) = read {
            self.counters.socket_bytes_in.add(bytes);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = written {
            self.counters.socket_bytes_out.add(bytes);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
