//! Getting from others what this node lacks: a pure machine (NODE.md section 7).
//!
//! One peer at a time is the *guide*: the node walks with it through all that it has ([`crate::reconcile`]), fraud proofs
//! first, then epoch by epoch, and fetches what is missing. That is a *pass*. The node is synced after passes in which no
//! ATX of an earlier epoch was missing, with several peers if there are several (`witness.rs`); passes go on from time to
//! time, with each peer in turn, so that lost gossip is made up for. Nothing is remembered of an unfinished pass: what was fetched and accepted isn't missing the next time.
//!
//! Beside that, what ATXs depend on is fetched by name ([`Input::Fetch`]), from who sent them first.
//!
//! A peer has one request at a time. One that fails or is late is left alone for a while, one that lies is punished as well.
//! No more is fetched than others have judged ([`Input::Judged`]), [`MAX_UNJUDGED`] items and
//! [`MAX_UNJUDGED_BYTES`] ahead.

mod fetch;
mod messages;
mod pass;
mod unjudged;
mod witness;

use std::collections::BTreeMap;

use crate::archive::{Archive, ArchiveError};
use crate::params::Timing;
use crate::reconcile::{Lie, WalkError};
use crate::source::Peer;
use crate::time::Time;
use crate::wire::{Request, Response};
use fetch::{Fetches, Wanted};
pub use messages::{Delivery, Effect, Input, Progress};
use pass::{Delivered, Next, Pass};
use unjudged::Unjudged;
pub use unjudged::{MAX_UNJUDGED, MAX_UNJUDGED_BYTES};
use witness::{Witness, are_enough};

/// An answer takes no longer.
const TIMEOUT_MS: u64 = 20_000;
/// A peer that failed is left alone for so long, one that lied ten times longer.
const SHUN_MS: u64 = 60_000;
/// So many failed peers are remembered.
const MAX_SHUNNED: usize = 1024;
/// A peer that failed so often in a row isn't waited for before the node is synced; one that lied isn't at all.
const STRIKES: u32 = 2;
/// After so long a guide must have given so much, or another one is tried.
const SLICE_MS: u64 = 60_000;
const SLICE_ITEMS: u64 = 64;

/// How a node syncs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which epochs there are.
    pub timing: Timing,
    /// From the end of a pass to the next, in milliseconds, once the node is synced.
    pub every_ms: u64,
    /// A node that has no peers for so long after its start counts as synced; only for the first node of a network,
    /// which has nobody to ask. `None` for all others.
    pub alone_ms: Option<u64>,
    /// Which peers are asked first; any bytes, other ones on each node.
    pub seed: [u8; 32],
}

impl Config {
    /// Every three layers, with peers.
    #[must_use]
    pub fn new(timing: Timing, seed: [u8; 32]) -> Self {
        let every_ms = timing.layer_ms.saturating_mul(3).max(1000);
        Self { timing, every_ms, alone_ms: None, seed }
    }
}

/// A peer as somebody to ask.
#[derive(Clone, Debug, Default)]
struct Server {
    out: Option<Out>,
    /// When the last pass with it ended.
    passed: Option<Time>,
    /// What that pass has shown.
    witness: Witness,
    /// So often it failed in a row.
    strikes: u32,
    /// Whether the last request was for something by name, so that a pass comes first now.
    fetched: bool,
}

/// A request that is out.
#[derive(Clone, Debug)]
struct Out {
    id: u64,
    since: Time,
    /// What was asked for by name; `None` when it belongs to the pass.
    wanted: Option<Vec<Wanted>>,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Sync {
    config: Config,
    peers: BTreeMap<Peer, Server>,
    /// Until when whom not to ask.
    shunned: BTreeMap<Peer, Time>,
    pass: Option<Pass>,
    fetches: Fetches,
    delivered: Delivered,
    next_id: u64,
    unjudged: Unjudged,
    started: Option<Time>,
    /// Since when there are peers.
    met: Option<Time>,
    /// When the last pass ended.
    passed: Option<Time>,
    synced: bool,
}

impl Sync {
    /// Nothing known yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            peers: BTreeMap::new(),
            shunned: BTreeMap::new(),
            pass: None,
            fetches: Fetches::default(),
            delivered: Delivered::default(),
            next_id: 0,
            unjudged: Unjudged::default(),
            started: None,
            met: None,
            passed: None,
            synced: false,
        }
    }

    /// Whether passes found that no ATX of an earlier epoch was missing. Once true it stays so.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// One step. What is in `archive` isn't fetched.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn step(
        &mut self,
        now: Time,
        archive: &dyn Archive,
        input: Input,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        let started = *self.started.get_or_insert(now);
        match input {
            Input::PeerUp(peer) => {
                self.peers.entry(peer).or_default();
            }
            Input::PeerDown(peer) => self.gone(peer),
            Input::Response { peer, id, response } => self.response(now, archive, (peer, id), response, out)?,
            Input::Fetch { atxs, poets, from } => {
                let trusted = from.is_some_and(|peer| !self.shunned.contains_key(&peer));
                self.fetches.add(now, (&atxs, &poets), from, trusted);
            }
            Input::Judged(count) => self.unjudged.judged(now, count),
            Input::Crowded(peer) => {
                self.unjudged.judged(now, 1);
                self.delivered.crowded(peer);
            }
            Input::Timer => {}
        }
        self.forget(now);
        self.met = if self.peers.is_empty() { None } else { self.met.or(Some(now)) };
        self.go_on(now, archive, out)?;
        self.synced = self.synced || self.knows_enough(now, started);
        let peers = self.peers.keys().map(|peer| (*peer, self.shunned.contains_key(peer)));
        self.fetches.give_up(now, peers, out);
        Ok(())
    }

    /// Whether it may count as synced.
    fn knows_enough(&self, now: Time, started: Time) -> bool {
        let Some(met) = self.met else {
            return self.config.alone_ms.is_some_and(|alone| now.since(started) >= alone);
        };
        let peers: Vec<_> = self.peers.values().map(|server| (server.witness, server.strikes < STRIKES)).collect();
        // More may be about to come; a network in a hurry has short layers.
        are_enough(&peers, now, met.after((self.config.every_ms / 8).clamp(1000, 30_000)))
    }

    /// Drops what is over: requests without answer, old grudges, deliveries that nobody will judge.
    fn forget(&mut self, now: Time) {
        let late = |server: &Server| server.out.as_ref().is_some_and(|out| now.since(out.since) >= TIMEOUT_MS);
        let late: Vec<Peer> = self.peers.iter().filter(|(_, server)| late(server)).map(|(peer, _)| *peer).collect();
        for peer in late {
            self.failed(now, peer);
        }
        self.shunned.retain(|_, until| *until > now);
        self.unjudged.forget(now);
    }

    fn gone(&mut self, peer: Peer) {
        if let Some(Out { wanted: Some(wanted), .. }) = self.peers.remove(&peer).and_then(|server| server.out) {
            self.fetches.failed(peer, wanted);
        }
        self.pass.take_if(|pass| pass.guide == peer);
    }

    /// There was no answer.
    fn failed(&mut self, now: Time, peer: Peer) {
        self.leave_alone(now, peer, SHUN_MS, 1);
    }

    fn lied(&mut self, now: Time, peer: Peer, why: Lie, out: &mut Vec<Effect>) {
        self.leave_alone(now, peer, 10 * SHUN_MS, STRIKES);
        out.push(Effect::Punish { peer, why });
    }

    /// Leaves a peer alone for a while.
    fn leave_alone(&mut self, now: Time, peer: Peer, ms: u64, strikes: u32) {
        if let Some(server) = self.peers.get_mut(&peer) {
            server.strikes = server.strikes.saturating_add(strikes);
            if let Some(Out { wanted: Some(wanted), .. }) = server.out.take() {
                self.fetches.failed(peer, wanted);
            }
        }
        self.fetches.not_from(peer);
        self.pass.take_if(|pass| pass.guide == peer);
        if self.shunned.len() < MAX_SHUNNED {
            self.shunned.insert(peer, now.after(ms));
        }
    }

    fn response(
        &mut self,
        now: Time,
        archive: &dyn Archive,
        (peer, id): (Peer, u64),
        response: Option<Response>,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        // One that was given up long ago has no place any more.
        let Some(server) = self.peers.get_mut(&peer) else { return Ok(()) };
        if server.out.as_ref().is_none_or(|sent| sent.id != id) {
            return Ok(());
        }
        let Some(response) = response else {
            self.failed(now, peer);
            return Ok(());
        };
        server.strikes = 0;
        let wanted = server.out.take().and_then(|sent| sent.wanted);
        server.fetched = wanted.is_some();
        let judgement = match wanted {
            Some(wanted) => self.fetches.answered(peer, wanted, response).map_err(WalkError::Lie),
            None => match &mut self.pass {
                Some(pass) if pass.guide == peer => pass.answered(archive, &mut self.delivered, response),
                _ => return Ok(()),
            },
        };
        match judgement {
            Ok(items) => self.deliver(now, peer, items, out),
            Err(WalkError::Archive(error)) => return Err(error),
            Err(WalkError::Lie(why)) => self.lied(now, peer, why, out),
        }
        if let Some(progress) = self.progress() {
            out.push(Effect::Progress(progress));
        }
        Ok(())
    }

    fn deliver(&mut self, now: Time, peer: Peer, items: Vec<Delivery>, out: &mut Vec<Effect>) {
        for item in items {
            self.unjudged.add(now, item.bytes());
            out.push(Effect::Deliver { peer, item });
        }
    }

    /// How far the pass is; `None` between two.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.pass.as_ref().map(|pass| pass.progress(self.synced))
    }

    /// Has every idle peer do something.
    fn go_on(&mut self, now: Time, archive: &dyn Archive, out: &mut Vec<Effect>) -> Result<(), ArchiveError> {
        self.begin(now, archive)?;
        let was_running = self.pass.is_some();
        self.ask(now, out);
        if was_running && self.pass.is_none() {
            // The next one may begin at once.
            self.begin(now, archive)?;
            self.ask(now, out);
        }
        Ok(())
    }

    fn ask(&mut self, now: Time, out: &mut Vec<Effect>) {
        let idle = |(peer, server): (&Peer, &Server)| server.out.is_none().then_some((*peer, server.fetched));
        let idle: Vec<(Peer, bool)> = self.peers.iter().filter_map(idle).collect();
        for (peer, fetched) in idle.into_iter().filter(|(peer, _)| !self.shunned.contains_key(peer)).collect::<Vec<_>>()
        {
            let first = if fetched { self.walk_on(now, peer, out) } else { None };
            let request = match first {
                Some(request) => Some((request, None)),
                None => match self.fetches.next(peer) {
                    Some((request, wanted)) => Some((request, Some(wanted))),
                    None if fetched => None,
                    None => self.walk_on(now, peer, out).map(|request| (request, None)),
                },
            };
            if let (Some((request, wanted)), Some(server)) = (request, self.peers.get_mut(&peer)) {
                let id = self.next_id;
                self.next_id += 1;
                server.out = Some(Out { id, since: now, wanted });
                out.push(Effect::Request { peer, id, request });
            }
        }
    }

    /// The next request of the pass, if the peer is its guide and there is room.
    fn walk_on(&mut self, now: Time, peer: Peer, out: &mut Vec<Effect>) -> Option<Request> {
        let others = self.peers.keys().any(|other| *other != peer && !self.shunned.contains_key(other));
        let room = self.unjudged.room();
        let pass = self.pass.as_mut().filter(|pass| pass.guide == peer)?;
        match pass.next(now, room) {
            Next::Request(request) if !(others && pass.is_slow(now)) => return Some(request),
            Next::NoRoom => return None,
            Next::Lie(why) => {
                self.lied(now, peer, why, out);
                return None;
            }
            Next::Request(_) => {}
            Next::Done => {
                let witness = Witness::of(pass);
                self.peers.entry(peer).and_modify(|server| server.witness = witness);
                self.passed = Some(now);
            }
        }
        out.extend(self.progress().map(Effect::Progress));
        self.pass = None;
        if let Some(server) = self.peers.get_mut(&peer) {
            server.passed = Some(now);
        }
        None
    }

    /// Begins a pass when it is time for one, with whom none was made for the longest time.
    fn begin(&mut self, now: Time, archive: &dyn Archive) -> Result<(), ArchiveError> {
        if self.pass.is_some() || !self.unjudged.is_empty() {
            return Ok(());
        }
        let seed = self.config.seed;
        let order = |peer: &Peer| -> [u8; 32] { std::array::from_fn(|i| peer.0[i] ^ seed[i]) };
        let candidates = self.peers.iter().filter(|(peer, _)| !self.shunned.contains_key(peer));
        let Some((guide, server)) = candidates.min_by_key(|(peer, server)| (server.passed, order(peer))) else {
            return Ok(());
        };
        let pause = match (self.synced, server.passed) {
            (false, None) => 0,
            (false, Some(_)) => 1000.min(self.config.every_ms),
            (true, None) => 10_000.min(self.config.every_ms),
            (true, Some(_)) => self.config.every_ms,
        };
        if self.passed.is_none_or(|passed| now.since(passed) >= pause) {
            self.delivered.settle(now, archive, *guide)?;
            self.pass = Some(Pass::new(now, *guide, &self.config.timing));
        }
        Ok(())
    }
}
