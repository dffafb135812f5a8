//! What connections bring.

use std::io::ErrorKind;
use std::time::Instant;

use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::request_response::{self, OutboundFailure, ResponseChannel};
use libp2p::swarm::{DialError, SwarmEvent};

use super::{Asked, Gossiped, Link, Task, Waiting, Weight, key, place};
use crate::env::net::RequestError;
use crate::env::net::behaviour::PartsEvent;
use crate::env::net::codec::{Came, Nonsense};
use crate::env::net::gossip::message_hash;
use crate::env::net::inbox::Refused;
use crate::source::Peer;
use crate::wire::{PeerAddress, Request, Response};

impl Task {
    pub(super) fn swarm_event(&mut self, event: SwarmEvent<PartsEvent>) {
        match event {
            SwarmEvent::Behaviour(PartsEvent::Gossip(event)) => self.gossip_event(event),
            SwarmEvent::Behaviour(PartsEvent::Requests(event)) => self.request_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let called = self.calls.remove(&connection_id);
                self.connected(peer_id, &endpoint, called);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => self.disconnected(&peer_id),
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "no connection from outside");
                self.counters.connections_refused.add(1);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(address) = self.calls.remove(&connection_id) {
                    tracing::debug!(%address, %error, "no connection");
                    match error {
                        DialError::LocalPeerId { .. } => self.book.useless(Instant::now(), address),
                        _ => self.book.failed(Instant::now(), address),
                    }
                }
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listening"),
            SwarmEvent::ListenerClosed { reason, .. } => tracing::error!(?reason, "no longer listening"),
            _ => {}
        }
    }

    fn connected(&mut self, id: PeerId, endpoint: &ConnectedPoint, called: Option<std::net::SocketAddr>) {
        let (Some(peer), Some(at)) = (key::peer(&id), place::address(endpoint.get_remote_address())) else {
            // The gate lets nobody in without; hang up all the same.
            let _ = self.swarm.disconnect_peer_id(id);
            return;
        };
        if endpoint.is_dialer() {
            self.counters.connections_out.add(1);
        } else {
            self.counters.connections_in.add(1);
        }
        if let Some(address) = called {
            self.book.connected(address, peer, seconds());
        }
        let new = Link { ip: at.ip(), since: Instant::now(), gossips: false, called: None };
        let is_new = !self.links.contains_key(&peer);
        let link = self.links.entry(peer).or_insert(new);
        link.called = link.called.or(called);
        if is_new {
            tracing::debug!(%peer, %at, "connected");
            self.peers.send_replace(self.links.keys().copied().collect());
        }
        if called.is_some() {
            self.ask_for_peers(peer);
        }
    }

    fn disconnected(&mut self, id: &PeerId) {
        let Some(peer) = key::peer(id) else { return };
        let now = Instant::now();
        if let Some(Link { called: Some(address), .. }) = self.links.remove(&peer) {
            self.book.failed(now, address);
        }
        tracing::debug!(%peer, "disconnected");
        self.peers.send_replace(self.links.keys().copied().collect());
        let left: Vec<Gossiped> = self.inbox.gone(now, peer).collect();
        for Gossiped { message, .. } in left {
            self.counters.messages_dropped.add(1);
            self.report(peer, message, MessageAcceptance::Ignore);
        }
    }

    fn gossip_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message, .. } => {
                let (Some(peer), Some(topic)) = (key::peer(&propagation_source), self.topics.topic(&message.topic))
                else {
                    return;
                };
                let hash = message_hash(&message.topic, &message.data);
                self.gossiped(peer, Gossiped { topic, message: hash, data: message.data });
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                if let Some(link) = key::peer(&peer_id).and_then(|peer| self.links.get_mut(&peer))
                    && self.topics.topic(&topic).is_some()
                {
                    link.gossips = true;
                }
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                // It may be gone already.
                let _ = self.swarm.disconnect_peer_id(peer_id);
            }
            gossipsub::Event::Unsubscribed { .. } | gossipsub::Event::SlowPeer { .. } => {}
        }
    }

    fn gossiped(&mut self, peer: Peer, gossiped: Gossiped) {
        let now = Instant::now();
        self.counters.messages_in.add(1);
        self.counters.message_bytes_in.add(gossiped.data.len());
        let (topic, message, bytes) = (gossiped.topic, gossiped.message, gossiped.data.len());
        let banned = self.swarm.behaviour().gate.conduct.is_banned(now, peer);
        let taken = if banned || !self.links.contains_key(&peer) {
            Err(Refused::NoRoom(gossiped))
        } else {
            self.inbox.message(now, peer, topic, (gossiped, bytes))
        };
        if let Err(refused) = taken {
            self.counters.messages_dropped.add(1);
            self.report(peer, message, MessageAcceptance::Ignore);
            if let Refused::TooFast(_) = refused {
                self.offence(peer, Weight::EXCESS);
            }
        }
    }

    fn request_event(&mut self, event: request_response::Event<Came, Response>) {
        use request_response::{Event, Message};
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                if let Some(peer) = key::peer(&peer) {
                    self.asked(peer, request, channel);
                }
            }
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                match (self.waiting.remove(&request_id), response) {
                    (Some(Waiting::Node(reply)), response) => {
                        // Who asked may have stopped waiting.
                        let _ = reply.send(Ok(response));
                    }
                    (Some(Waiting::Book), Response::Peers(addresses)) => {
                        let from = key::peer(&peer).and_then(|peer| self.links.get(&peer)).map(|link| link.ip);
                        if let Some(from) = from {
                            self.book.learn(from, self.own, &addresses);
                        }
                    }
                    (Some(Waiting::Book), _) => self.offence_of(&peer, Weight::LIE),
                    (None, _) => {}
                }
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                if let OutboundFailure::Io(error) = &error
                    && error.kind() == ErrorKind::InvalidData
                {
                    self.offence_of(&peer, Weight::LIE);
                }
                if let Some(Waiting::Node(reply)) = self.waiting.remove(&request_id) {
                    // As above.
                    let _ = reply.send(Err(match error {
                        OutboundFailure::Timeout => RequestError::Timeout,
                        OutboundFailure::ConnectionClosed | OutboundFailure::DialFailure => RequestError::Gone,
                        error => RequestError::Refused(error.to_string()),
                    }));
                }
            }
            // It was this node that was too slow, or the peer went.
            Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    fn asked(&mut self, peer: Peer, request: Came, channel: ResponseChannel<Response>) {
        match request {
            Err(Nonsense::Garbage) => self.offence(peer, Weight::LIE),
            Err(Nonsense::Slow) => self.offence(peer, Weight::SLOW),
            Ok(Request::Peers { port }) => self.share_peers(peer, port, channel),
            Ok(request) => {
                let asked = Asked { request, channel };
                // With the channel the stream is closed.
                if !self.links.contains_key(&peer) || self.inbox.request(Instant::now(), peer, asked).is_err() {
                    self.counters.requests_dropped.add(1);
                    self.offence(peer, Weight::EXCESS);
                }
            }
        }
    }

    fn offence_of(&mut self, id: &PeerId, weight: Weight) {
        if let Some(peer) = key::peer(id) {
            self.offence(peer, weight);
        }
    }

    /// Tells a peer some addresses, and notes its own: the one it is seen at, with the port it names.
    fn share_peers(&mut self, peer: Peer, port: Option<u16>, channel: ResponseChannel<Response>) {
        let Some(ip) = self.links.get(&peer).map(|link| link.ip) else { return };
        if let Some(port) = port {
            let address = std::net::SocketAddr::new(ip, port);
            self.book.learn(ip, self.own, &[PeerAddress { peer, address }]);
        }
        let mut known = self.book.share(ip);
        known.retain(|known| known.peer != peer);
        // Too late is too late.
        let _ = self.swarm.behaviour_mut().requests.send_response(channel, Response::Peers(known));
    }
}

/// Seconds since 1970.
fn seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
