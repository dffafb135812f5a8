//! What is done from time to time: calls, the address book, those who do nothing, what could not be sent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libp2p::swarm::dial_opts::DialOpts;

use super::{Task, Waiting, Weight, key, place};
use crate::env::net::gossip::GRAYLIST;
use crate::source::Peer;
use crate::wire::Request;

/// The address book is written so often, if it changed, and peers are asked for addresses.
const SAVE: Duration = Duration::from_secs(60);
/// Calls being made at the same time.
const MAX_CALLS: usize = 4;

impl Task {
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        self.swarm.behaviour_mut().gate.conduct.forget(now);
        for peer in self.swarm.behaviour().gate.parted(self.links.keys().copied()) {
            self.hang_up(peer);
        }
        self.call_some(now);
        self.drop_useless(now);
        for _ in 0..self.unsent.len() {
            if let Some((until, topic, data)) = self.unsent.pop_front()
                && until > now
            {
                self.publish(until, topic, data);
            }
        }
        if now.saturating_duration_since(self.saved) >= SAVE {
            self.saved = now;
            let called = self.links.iter().find(|(_, link)| link.called.is_some()).map(|(peer, _)| *peer);
            if let Some(peer) = called {
                self.ask_for_peers(peer);
            }
            if let Some(saved) = self.book.unsaved() {
                tokio::task::spawn_blocking(move || {
                    if let Err(error) = saved.write() {
                        tracing::warn!(%error, "the address book can't be written");
                    }
                });
            }
        }
    }

    /// Writes the address book, at the end.
    pub(super) fn save(&mut self) {
        if let Some(Err(error)) = self.book.unsaved().map(|saved| saved.write()) {
            tracing::warn!(%error, "the address book can't be written");
        }
    }

    /// Calls nodes as long as this one has made too few connections itself: who only waits to be called, can be called by
    /// liars alone.
    fn call_some(&mut self, now: Instant) {
        let called = self.links.values().filter(|link| link.called.is_some()).count();
        let missing = self.config.limits.outbound.saturating_sub(called + self.calls.len());
        let missing = missing.min(MAX_CALLS.saturating_sub(self.calls.len()));
        if missing == 0 {
            return;
        }
        let Self { book, links, swarm, .. } = &*self;
        let gate = &swarm.behaviour().gate;
        let due = book.due(now, |peer| links.contains_key(&peer) || gate.refuses(now, peer));
        let calls: Vec<SocketAddr> = self.calls.values().copied().collect();
        for address in due.into_iter().filter(|address| !calls.contains(address)).take(missing) {
            self.call(address);
        }
    }

    pub(super) fn call(&mut self, address: SocketAddr) {
        let options = DialOpts::unknown_peer_id().address(place::multiaddr(address)).build();
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.calls.insert(connection, address);
            }
            Err(error) => {
                tracing::debug!(%address, %error, "no call");
                self.book.failed(Instant::now(), address);
            }
        }
    }

    pub(super) fn ask_for_peers(&mut self, peer: Peer) {
        if let Some(id) = key::peer_id(peer) {
            let request = Request::Peers { port: self.port };
            let asked = self.swarm.behaviour_mut().requests.send_request(&id, Ok(request));
            self.waiting.insert(asked, Waiting::Book);
        }
    }

    /// Hangs up on those who don't join the gossip, and bans those to whom the gossip doesn't listen any more.
    fn drop_useless(&mut self, now: Instant) {
        let patience = self.config.limits.handshake_timeout;
        let (mut idle, mut bad) = (Vec::new(), Vec::new());
        for (peer, link) in &self.links {
            if !link.gossips && now.saturating_duration_since(link.since) > patience {
                idle.push(*peer);
            }
            let score = key::peer_id(*peer).and_then(|id| self.swarm.behaviour().gossip.peer_score(&id));
            if score.is_some_and(|score| score <= GRAYLIST) {
                bad.push(*peer);
            }
        }
        for peer in idle {
            self.hang_up(peer);
        }
        for peer in bad {
            self.offence(peer, Weight::UNBEARABLE);
        }
    }
}
