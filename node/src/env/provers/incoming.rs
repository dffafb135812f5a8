//! Connections, counted.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// After a failed accept: most likely there are no file descriptors left, and at once there won't be any either.
const PAUSE: Duration = Duration::from_millis(100);

/// Ends when the sender is dropped.
pub(super) async fn until_dropped(mut sender: watch::Receiver<()>) {
    while sender.changed().await.is_ok() {}
}

/// All connections, at most so many at a time; others wait at the door.
pub(super) fn connections(listener: TcpListener, most: usize) -> impl Stream<Item = io::Result<Connection>> {
    let free = Arc::new(Semaphore::new(most));
    futures::stream::unfold((listener, free), |(listener, free)| async move {
        let permit = Arc::clone(&free).acquire_owned().await.ok()?;
        let (stream, peer) = accept(&listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, "no TCP_NODELAY: {error}");
        }
        Some((Ok(Connection { stream, _permit: permit }), (listener, free)))
    })
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => tracing::warn!("cannot take a prover's connection: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A connection that is counted while it is open.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
