//! Where a message came from, and what becomes of it (NODE.md section 7).

use std::fmt;

/// Another node: the Ed25519 key of its connections, which has nothing to do with a miner's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub [u8; 32]);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", hex::encode(&self.0[..4]))
    }
}

/// A gossiped message: BLAKE3 of topic and data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHash(pub [u8; 32]);

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// This node made it.
    Own,
    /// A peer gossiped it, and waits with handing it on until there is a verdict.
    Gossip {
        /// Who sent it.
        peer: Peer,
        /// Which message it was.
        message: MessageHash,
    },
    /// A peer answered a request with it.
    Answer {
        /// Who.
        peer: Peer,
    },
}

impl Source {
    /// The peer it came from.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        match *self {
            Self::Own => None,
            Self::Gossip { peer, .. } | Self::Answer { peer } => Some(peer),
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Good: hand it on.
    Accept,
    /// Of no use, and nobody's fault: don't hand it on.
    Ignore,
    /// Bad, and whoever sent it could know: its score sinks.
    Reject,
}

/// What is gossiped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// An [`crate::atx::Atx`].
    Atx,
    /// A fraud proof.
    Fraud,
    /// A [`crate::ballot::Proposal`].
    Proposal,
    /// A [`crate::hare::HareMessage`].
    Hare,
    /// A [`crate::beacon::BeaconMessage`].
    Beacon,
    /// A [`crate::transaction::Transaction`].
    Transaction,
}

impl Topic {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::Atx, Self::Fraud, Self::Proposal, Self::Hare, Self::Beacon, Self::Transaction];

    /// Its name on the wire, without the network's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Atx => "atx",
            Self::Fraud => "fraud",
            Self::Proposal => "proposal",
            Self::Hare => "hare",
            Self::Beacon => "beacon",
            Self::Transaction => "transaction",
        }
    }
}
