//! Where other nodes are.

use std::net::{IpAddr, SocketAddr};

use crate::codec::{DecodeError, Reader, Scale};
use crate::source::Peer;

/// At most so many addresses in an answer.
pub const MAX_ADDRESSES: usize = 32;

/// A node and where it takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerAddress {
    /// Who.
    pub peer: Peer,
    /// Where.
    pub address: SocketAddr,
}

impl Scale for PeerAddress {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.peer.0.encode_to(out);
        match self.address.ip() {
            IpAddr::V4(ip) => {
                0u8.encode_to(out);
                ip.octets().encode_to(out);
            }
            IpAddr::V6(ip) => {
                1u8.encode_to(out);
                ip.octets().encode_to(out);
            }
        }
        self.address.port().encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let peer = Peer(input.array()?);
        let ip = match input.compact(1)? {
            0 => IpAddr::from(input.array::<4>()?),
            _ => IpAddr::from(input.array::<16>()?),
        };
        Ok(Self { peer, address: SocketAddr::new(ip, u16::decode_from(input)?) })
    }
}
