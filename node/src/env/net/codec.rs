//! Requests and answers on a stream of their own: the encoding, then the end of the stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};

use super::counters::NetCounters;
use crate::codec::{Scale, decode, encode};
use crate::wire::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Request, Response};

/// Reads and writes, and counts the bytes.
#[derive(Clone)]
pub(super) struct Codec {
    pub(super) counters: Arc<NetCounters>,
    /// A request must have come whole after so long.
    pub(super) patience: Duration,
}

/// A request as it came. libp2p tells nobody when reading one fails, so this is no failure.
pub(super) type Came = Result<Request, Nonsense>;

/// What is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nonsense {
    /// Bytes that are none, or too many.
    Garbage,
    /// It never came to its end.
    Slow,
}

async fn read<T: Scale>(io: impl AsyncRead + Unpin, max: usize) -> io::Result<(T, usize)> {
    let mut bytes = Vec::new();
    // Grows with what comes; what is too long is not read to its end.
    io.take(max as u64 + 1).read_to_end(&mut bytes).await?;
    let nonsense = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
    if bytes.len() > max {
        return Err(nonsense(format!("more than {max} bytes")));
    }
    let value = decode(&bytes).map_err(|error| nonsense(error.to_string()))?;
    Ok((value, bytes.len()))
}

async fn write(mut io: impl AsyncWrite + Unpin, value: &impl Scale, max: usize) -> io::Result<usize> {
    let bytes = encode(value);
    if bytes.len() > max {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} bytes are too long", bytes.len())));
    }
    io.write_all(&bytes).await?;
    Ok(bytes.len())
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// The signatures are those that the trait's macro makes of async functions.
impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Came;
    type Response = Response;

    fn read_request<'s, 'p, 'i, 'a, T>(&'s mut self, _: &'p StreamProtocol, io: &'i mut T) -> Boxed<'a, Came>
    where
        T: AsyncRead + Unpin + Send + 'a,
        's: 'a,
        'p: 'a,
        'i: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            match tokio::time::timeout(self.patience, read(io, MAX_REQUEST_BYTES)).await {
                Err(_) => Ok(Err(Nonsense::Slow)),
                Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Ok(Err(Nonsense::Garbage)),
                Ok(Err(error)) => Err(error),
                Ok(Ok((request, bytes))) => {
                    self.counters.requests_in.add(1);
                    self.counters.request_bytes_in.add(bytes);
                    Ok(Ok(request))
                }
            }
        })
    }

    fn read_response<'s, 'p, 'i, 'a, T>(&'s mut self, _: &'p StreamProtocol, io: &'i mut T) -> Boxed<'a, Response>
    where
        T: AsyncRead + Unpin + Send + 'a,
        's: 'a,
        'p: 'a,
        'i: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let (response, bytes) = read(io, MAX_RESPONSE_BYTES).await?;
            self.counters.response_bytes_in.add(bytes);
            Ok(response)
        })
    }

    fn write_request<'s, 'p, 'i, 'a, T>(
        &'s mut self,
        _: &'p StreamProtocol,
        io: &'i mut T,
        request: Came,
    ) -> Boxed<'a, ()>
    where
        T: AsyncWrite + Unpin + Send + 'a,
        's: 'a,
        'p: 'a,
        'i: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let request = request.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            let bytes = write(io, &request, MAX_REQUEST_BYTES).await?;
            self.counters.requests_out.add(1);
            self.counters.request_bytes_out.add(bytes);
            Ok(())
        })
    }

    fn write_response<'s, 'p, 'i, 'a, T>(
        &'s mut self,
        _: &'p StreamProtocol,
        io: &'i mut T,
        response: Response,
    ) -> Boxed<'a, ()>
    where
        T: AsyncWrite + Unpin + Send + 'a,
        's: 'a,
        'p: 'a,
        'i: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let bytes = write(io, &response, MAX_RESPONSE_BYTES).await?;
            self.counters.response_bytes_out.add(bytes);
            Ok(())
        })
    }
}
