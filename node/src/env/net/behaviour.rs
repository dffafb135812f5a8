//! All that goes on over a connection.

use std::sync::Arc;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{StreamProtocol, connection_limits as limits};

use super::codec::Codec;
use super::conduct::Conduct;
use super::counters::NetCounters;
use super::gate::Gate;
use super::gossip::{Gossip, gossip};
use super::{NetConfig, NetError};
use crate::wire;

/// Two nodes may call each other at the same time; neither call has to fail.
const MAX_PER_PEER: u32 = 2;
/// Requests of a connection, those of both sides together.
const MAX_REQUESTS: usize = 16;

/// The parts; each may refuse a connection.
#[derive(NetworkBehaviour)]
pub(super) struct Parts {
    pub(super) gate: Gate,
    limits: limits::Behaviour,
    pub(super) gossip: Gossip,
    pub(super) requests: request_response::Behaviour<Codec>,
}

pub(super) fn parts(config: &NetConfig, counters: Arc<NetCounters>) -> Result<Parts, NetError> {
    let NetConfig { genesis, limits, cut_off, .. } = config;
    let outbound = u32::try_from(limits.outbound).unwrap_or(u32::MAX).saturating_mul(2).max(4);
    let connections = ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.pending))
        .with_max_pending_outgoing(Some(outbound))
        .with_max_established_incoming(Some(limits.inbound))
        .with_max_established_outgoing(Some(outbound))
        .with_max_established_per_peer(Some(MAX_PER_PEER));
    let protocol = StreamProtocol::try_from_owned(wire::protocol(*genesis))
        .map_err(|error| NetError::Settings(error.to_string()))?;
    let settings = request_response::Config::default()
        .with_request_timeout(limits.request_timeout)
        .with_max_concurrent_streams(MAX_REQUESTS);
    Ok(Parts {
        gate: Gate::new(Conduct::new(limits.offences, limits.ban), limits.neighbours, cut_off.clone()),
        limits: connection_limits::Behaviour::new(connections),
        gossip: gossip(*genesis)?,
        requests: request_response::Behaviour::with_codec(
            Codec { counters, patience: limits.request_timeout / 2 },
            [(protocol, ProtocolSupport::Full)],
            settings,
        ),
    })
}
