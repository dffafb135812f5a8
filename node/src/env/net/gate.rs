//! Who gets a connection: refuses the banned, those without an Ed25519 key, and too many from one neighbourhood;
//! and for tests, who is to be out of reach.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, ListenFailure, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::conduct::Conduct;
use super::cut_off::CutOff;
use super::{key, place};
use crate::source::Peer;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// For offences.
    #[error("the peer is banned")]
    Banned,
    /// Its name is none of ours.
    #[error("the peer's key is not an Ed25519 key")]
    Key,
    /// Somebody wants to be many.
    #[error("too many connections from one neighbourhood")]
    Neighbours,
    /// A test wants it.
    #[error("the peer is out of reach")]
    CutOff,
}

/// A behaviour that opens no streams.
pub(super) struct Gate {
    pub(super) conduct: Conduct,
    max_neighbours: usize,
    cut_off: CutOff,
    /// Inbound connections, made or being made.
    neighbours: BTreeMap<[u8; 6], usize>,
    inbound: HashMap<ConnectionId, [u8; 6]>,
}

impl Gate {
    pub(super) fn new(conduct: Conduct, max_neighbours: usize, cut_off: CutOff) -> Self {
        Self { conduct, max_neighbours, cut_off, neighbours: BTreeMap::new(), inbound: HashMap::new() }
    }

    fn enter(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), Refused> {
        let Some(neighbourhood) = place::address(remote).and_then(|at| place::neighbourhood(at.ip())) else {
            return Ok(());
        };
        let neighbours = self.neighbours.entry(neighbourhood).or_default();
        if *neighbours >= self.max_neighbours {
            return Err(Refused::Neighbours);
        }
        *neighbours += 1;
        self.inbound.insert(connection, neighbourhood);
        Ok(())
    }

    fn leave(&mut self, connection: ConnectionId) {
        let Some(neighbourhood) = self.inbound.remove(&connection) else { return };
        if let Some(neighbours) = self.neighbours.get_mut(&neighbourhood) {
            *neighbours -= 1;
            if *neighbours == 0 {
                self.neighbours.remove(&neighbourhood);
            }
        }
    }

    fn judge(&self, id: &PeerId) -> Result<(), Refused> {
        let peer = key::peer(id).ok_or(Refused::Key)?;
        if self.conduct.is_banned(Instant::now(), peer) {
            return Err(Refused::Banned);
        }
        if self.cut_off.parts_now(peer) { Err(Refused::CutOff) } else { Ok(()) }
    }

    /// Whether no call would lead to a connection.
    pub(super) fn refuses(&self, now: Instant, peer: Peer) -> bool {
        self.conduct.is_banned(now, peer) || self.cut_off.parts_now(peer)
    }

    /// Those that were in reach when they were connected, and are not any more.
    pub(super) fn parted(&self, connected: impl Iterator<Item = Peer>) -> Vec<Peer> {
        connected.filter(|peer| self.cut_off.parts_now(*peer)).collect()
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.enter(connection, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.judge(&peer).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.judge(&peer).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => self.leave(connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn neighbours_are_few() {
        let mut gate = Gate::new(Conduct::new(1, Duration::from_secs(1)), 2, CutOff::default());
        let from = |text: &str| text.parse::<Multiaddr>().unwrap();
        let id = ConnectionId::new_unchecked;
        gate.enter(id(1), &from("/ip4/9.9.9.1/tcp/1")).unwrap();
        gate.enter(id(2), &from("/ip4/9.9.9.2/tcp/1")).unwrap();
        assert_eq!(gate.enter(id(3), &from("/ip4/9.9.9.3/tcp/1")), Err(Refused::Neighbours));
        gate.leave(id(3));
        assert_eq!(gate.enter(id(3), &from("/ip4/9.9.9.3/tcp/1")), Err(Refused::Neighbours));
        gate.enter(id(4), &from("/ip4/9.9.8.3/tcp/1")).unwrap();
        gate.leave(id(1));
        gate.enter(id(5), &from("/ip4/9.9.9.3/tcp/1")).unwrap();
        for i in 10..100 {
            gate.enter(id(i), &from("/ip4/127.0.0.1/tcp/1")).unwrap();
        }
        for i in 1..100 {
            gate.leave(id(i));
        }
        assert!(gate.neighbours.is_empty() && gate.inbound.is_empty());
    }
}
