//! What the network did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Its value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// Counts since the start.
        #[derive(Debug, Default)]
        pub struct NetCounters {
            $($(#[doc = $doc])* pub $name: Count,)*
        }

        impl NetCounters {
            /// All of them: name, what it means, value.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),*).trim_ascii(), self.$name.get())),*]
            }
        }
    };
}

counters! {
    /// Bytes read from sockets, everything included but TCP's own.
    socket_bytes_in,
    /// Bytes written to sockets, everything included but TCP's own.
    socket_bytes_out,
    /// Requests read.
    requests_in,
    /// Requests written.
    requests_out,
    /// Bytes of requests read.
    request_bytes_in,
    /// Bytes of requests written.
    request_bytes_out,
    /// Bytes of answers read.
    response_bytes_in,
    /// Bytes of answers written.
    response_bytes_out,
    /// Gossiped messages received, each once.
    messages_in,
    /// Their bytes.
    message_bytes_in,
    /// Messages that this node published.
    messages_out,
    /// Gossiped messages accepted.
    messages_accepted,
    /// Gossiped messages rejected.
    messages_rejected,
    /// Gossiped messages dropped before anybody looked at them: too many from one peer.
    messages_dropped,
    /// Requests dropped: too many from one peer.
    requests_dropped,
    /// Connections made by this node.
    connections_out,
    /// Connections made by others.
    connections_in,
    /// Connections refused to others: limits, bans, other networks, no handshake.
    connections_refused,
    /// Bans.
    bans,
}
