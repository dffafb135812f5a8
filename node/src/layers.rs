//! Getting from others what this node lacks of layers: ballots, blocks, proposals, transactions. A pure machine.
//!
//! What is needed is fetched by name ([`Input::Want`]), from who should have it first. Beside that one peer at a time is the
//! *guide*: the node compares with it all layers that aren't final, by fingerprints, and fetches what it lacks of ballots
//! and blocks, earlier layers first. That is a *pass*. The node is synced after passes that found nothing missing in
//! layers before the running one, with several peers if there are several; then there is a pass every layer, with each
//! peer in turn, so that what gossip lost is made up for, and so that parts of a network that were cut off exchange
//! everything.
//!
//! A peer has one request for things by name and one of the pass at a time. One that fails or is late is left alone for
//! a while, one that lies is punished as well.

mod deliveries;
mod hunts;
mod items;
mod messages;
mod pass;

use std::collections::BTreeMap;

use crate::archive::{Archive, ArchiveError};
use crate::ids::Layer;
use crate::params::Timing;
use crate::source::Peer;
use crate::time::Time;
use crate::wire::{Request, Response, Thing};
use deliveries::Deliveries;
pub use deliveries::{MAX_UNJUDGED, MAX_UNJUDGED_BYTES};
use hunts::Hunts;
pub use hunts::{MAX_WANTED, MAX_WANTED_OF_PEER};
pub use messages::{Effect, Input, Lie, View};
use pass::{Next, Outcome, Pass, Shown};

/// Requests of this machine have it in their ids, those of [`crate::sync`] haven't.
pub const REQUESTS: u64 = 1 << 63;

/// An answer takes no longer.
const TIMEOUT_MS: u64 = 20_000;
/// A peer that failed once is left alone for so long; with each time in a row for twice as long.
const PAUSE_MS: u64 = 5_000;
/// But no longer than this; one that lied ten times longer.
const SHUN_MS: u64 = 60_000;
/// So many failed peers are remembered.
const MAX_SHUNNED: usize = 1024;
/// A peer that failed so often in a row isn't waited for before the node is synced; one that lied isn't at all.
const STRIKES: u32 = 2;
/// So many peers are to have nothing new, or all that are connected.
const WITNESSES: usize = 3;
/// A peer's last ballots may be so many layers older than another's.
const BEHIND: u32 = 2;

/// How a node syncs layers.
#[derive(Clone, Debug)]
pub struct Config {
    /// From the end of a pass to the next, in milliseconds, once the node is synced.
    pub every_ms: u64,
    /// A node that has no peers for so long after its start counts as synced; only for the first node of a network,
    /// which has nobody to ask. `None` for all others.
    pub alone_ms: Option<u64>,
    /// Which peers are asked first; any bytes, other ones on each node.
    pub seed: [u8; 32],
}

impl Config {
    /// Every layer, with peers.
    #[must_use]
    pub fn new(timing: &Timing, seed: [u8; 32]) -> Self {
        Self { every_ms: timing.layer_ms.max(500), alone_ms: None, seed }
    }
}

/// A peer as somebody to ask.
#[derive(Clone, Debug, Default)]
struct Server {
    /// Of each kind one at most.
    out: Vec<Out>,
    /// When the last pass with it ended, in whatever manner.
    guided: Option<Time>,
    /// What the last whole pass has shown.
    shown: Option<Shown>,
    /// So often it failed in a row.
    strikes: u32,
}

/// A request that is out.
#[derive(Clone, Debug)]
struct Out {
    id: u64,
    since: Time,
    /// What is needed by name; `None` when it belongs to a pass.
    wanted: Option<Vec<Thing>>,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    All,
    One(Peer),
    /// Only for what the pass needs.
    Guide,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Layers {
    config: Config,
    peers: BTreeMap<Peer, Server>,
    /// Until when whom not to ask.
    shunned: BTreeMap<Peer, Time>,
    /// When those guided last who are not connected any more.
    gone: BTreeMap<Peer, Time>,
    pass: Option<Pass>,
    hunts: Hunts,
    deliveries: Deliveries,
    next_id: u64,
    started: Option<Time>,
    /// Since when there are peers.
    met: Option<Time>,
    /// When the last pass ended.
    passed: Option<Time>,
    synced: bool,
}

impl Layers {
    /// Nothing known yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            // What was of no use may be of use later; after ten passes it is tried again.
            deliveries: Deliveries::new(config.every_ms.saturating_mul(10)),
            config,
            peers: BTreeMap::new(),
            shunned: BTreeMap::new(),
            gone: BTreeMap::new(),
            pass: None,
            hunts: Hunts::default(),
            next_id: 0,
            started: None,
            met: None,
            passed: None,
            synced: false,
        }
    }

    /// Whether passes found that nothing was missing before the running layer. Once true it stays so.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// The layer that is being compared; `None` between two passes.
    #[must_use]
    pub fn comparing(&self) -> Option<Layer> {
        self.pass.as_ref().map(Pass::layer)
    }

    /// One step.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn step(
        &mut self,
        now: Time,
        archive: &dyn Archive,
        view: &dyn View,
        input: Input,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        let started = *self.started.get_or_insert(now);
        // Who may have something to do now; most inputs concern few, and come often.
        let whom = match input {
            Input::Want { from: Some(peer), .. } => Whom::One(peer),
            Input::Have(_) | Input::Settled(_) => Whom::Guide,
            _ => Whom::All,
        };
        match input {
            Input::PeerUp(peer) => {
                let guided = self.gone.remove(&peer);
                self.peers.entry(peer).or_default().guided = guided;
            }
            Input::PeerDown(peer) => self.gone(now, peer),
            Input::Timer => self.timer(now, out),
            Input::Response { peer, id, response } => self.response(now, (archive, view), (peer, id), response, out)?,
            Input::Want { thing, from } => self.want(now, view, thing, from, out),
            Input::Have(thing) => {
                self.hunts.remove(&thing);
                self.deliveries.have(&thing);
            }
            Input::Settled(thing) => {
                if let Some((peer, wanted)) = self.deliveries.settled(now, thing) {
                    self.useless(now, peer);
                    // Somebody else may have the right one.
                    if wanted {
                        self.want(now, view, thing, None, out);
                    }
                }
            }
        }
        self.met = if self.peers.is_empty() { None } else { self.met.or(Some(now)) };
        self.begin(now, view);
        self.ask(now, view, whom, out);
        self.synced = self.synced || self.knows_enough(now, started);
        Ok(())
    }

    fn want(&mut self, now: Time, view: &dyn View, thing: Thing, from: Option<Peer>, out: &mut Vec<Effect>) {
        let trusted = from.is_some_and(|peer| !self.shunned.contains_key(&peer));
        if !view.has(&thing) && !self.hunts.add(now, thing, from, trusted) {
            out.push(Effect::NotFound { thing });
        }
    }

    /// Drops what is over: requests without answer, old grudges, deliveries without verdict, what nobody has.
    fn timer(&mut self, now: Time, out: &mut Vec<Effect>) {
        let late = |server: &Server| server.out.iter().any(|out| now.since(out.since) >= TIMEOUT_MS);
        let late: Vec<Peer> = self.peers.iter().filter(|(_, server)| late(server)).map(|(peer, _)| *peer).collect();
        for peer in late {
            self.failed(now, peer);
        }
        self.shunned.retain(|_, until| *until > now);
        self.gone.retain(|_, guided| now.since(*guided) < 10 * SHUN_MS);
        for (peer, _) in self.deliveries.forget(now) {
            self.useless(now, peer);
        }
        let peers = self.peers.keys().map(|peer| (*peer, self.shunned.contains_key(peer))).collect();
        self.hunts.give_up(now, &peers, &self.deliveries, out);
    }

    fn gone(&mut self, now: Time, peer: Peer) {
        let guide = self.pass.take_if(|pass| pass.guide == peer).is_some();
        if let Some(server) = self.peers.remove(&peer) {
            // Whoever comes and goes must not guide each time.
            if let Some(guided) = if guide { Some(now) } else { server.guided }
                && self.gone.len() < MAX_SHUNNED
            {
                self.gone.insert(peer, guided);
            }
            self.in_vain(peer, server.out);
        }
    }

    fn in_vain(&mut self, peer: Peer, out: Vec<Out>) {
        for things in out.into_iter().filter_map(|out| out.wanted) {
            self.hunts.in_vain(peer, &things);
        }
    }

    /// There was no answer.
    fn failed(&mut self, now: Time, peer: Peer) {
        let strikes = self.peers.get(&peer).map_or(0, |server| server.strikes);
        self.leave_alone(now, peer, (PAUSE_MS << strikes.min(8)).min(SHUN_MS), 1);
    }

    fn lied(&mut self, now: Time, peer: Peer, why: Lie, out: &mut Vec<Effect>) {
        self.leave_alone(now, peer, 10 * SHUN_MS, STRIKES);
        out.push(Effect::Punish { peer, why });
    }

    /// Something that a peer gave was of no use: who guides must not give only that.
    fn useless(&mut self, now: Time, peer: Peer) {
        if self.pass.as_mut().is_some_and(|pass| pass.guide == peer && pass.was_useless()) {
            self.leave_alone(now, peer, SHUN_MS, STRIKES);
        }
    }

    /// Leaves a peer alone for a while.
    fn leave_alone(&mut self, now: Time, peer: Peer, ms: u64, strikes: u32) {
        if let Some(server) = self.peers.get_mut(&peer) {
            server.strikes = server.strikes.saturating_add(strikes);
            let out = std::mem::take(&mut server.out);
            if self.pass.take_if(|pass| pass.guide == peer).is_some() {
                server.guided = Some(now);
            }
            self.in_vain(peer, out);
        }
        self.hunts.not_from(peer);
        if self.shunned.len() < MAX_SHUNNED {
            self.shunned.insert(peer, now.after(ms));
        }
    }

    fn response(
        &mut self,
        now: Time,
        (archive, view): (&dyn Archive, &dyn View),
        (peer, id): (Peer, u64),
        response: Option<Response>,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        // One that was given up long ago has no place any more.
        let Some(server) = self.peers.get_mut(&peer) else { return Ok(()) };
        let Some(at) = server.out.iter().position(|sent| sent.id == id) else { return Ok(()) };
        let Some(response) = response else {
            self.failed(now, peer);
            return Ok(());
        };
        let Out { wanted, .. } = server.out.remove(at);
        let by_name = wanted.is_some();
        let Outcome { things, lie } = match (wanted, &mut self.pass) {
            (Some(wanted), _) => self.wanted(peer, &wanted, response),
            (None, Some(pass)) if pass.is_asked(id) => pass.answered(archive, view, &self.deliveries, response)?,
            // Of a pass that is over.
            (None, _) => Outcome::default(),
        };
        for (thing, bytes) in things {
            // The same may have come from another one.
            if !view.has(&thing) {
                let wanted = self.hunts.remove(&thing) || by_name;
                self.deliveries.add(now, (peer, wanted), thing, bytes.len());
                out.push(Effect::Deliver { peer, thing, bytes });
            }
        }
        match (lie, self.peers.get_mut(&peer)) {
            (Some(why), _) => self.lied(now, peer, why, out),
            (None, Some(server)) => server.strikes = 0,
            (None, None) => {}
        }
        Ok(())
    }

    /// What a peer gave of what is needed by name. What came otherwise meanwhile is of no interest.
    fn wanted(&mut self, peer: Peer, wanted: &[Thing], response: Response) -> Outcome {
        match items::sort(wanted, response) {
            Err(lie) => {
                self.hunts.in_vain(peer, wanted);
                Outcome { things: Vec::new(), lie: Some(lie) }
            }
            Ok(mut given) => {
                self.hunts.in_vain(peer, &given.missing);
                self.hunts.again(&given.unread);
                given.things.retain(|(thing, _)| self.hunts.remove(thing));
                Outcome { things: given.things, lie: None }
            }
        }
    }

    /// Has peers do something.
    fn ask(&mut self, now: Time, view: &dyn View, whom: Whom, out: &mut Vec<Effect>) {
        let guide = self.pass.as_ref().map(|pass| pass.guide);
        let fits = |peer: &&Peer| match whom {
            Whom::All => true,
            Whom::One(one) => **peer == one,
            Whom::Guide => guide == Some(**peer),
        };
        let peers: Vec<Peer> =
            self.peers.keys().filter(|peer| !self.shunned.contains_key(peer)).filter(fits).copied().collect();
        for peer in peers {
            if whom != Whom::Guide && !self.is_asked(peer, true) {
                let things = self.hunts.next(peer, &self.deliveries);
                if !things.is_empty() {
                    self.send(now, peer, Request::Things(things.clone()), Some(things), out);
                }
            }
            if guide == Some(peer)
                && !self.is_asked(peer, false)
                && let Some(request) = self.walk_on(now, view, peer)
            {
                self.send(now, peer, request, None, out);
            }
        }
    }

    /// Whether a request by name, or one of a pass, is out.
    fn is_asked(&self, peer: Peer, by_name: bool) -> bool {
        self.peers.get(&peer).is_some_and(|server| server.out.iter().any(|out| out.wanted.is_some() == by_name))
    }

    fn send(&mut self, now: Time, peer: Peer, request: Request, wanted: Option<Vec<Thing>>, out: &mut Vec<Effect>) {
        let id = REQUESTS | self.next_id;
        self.next_id += 1;
        if let Some(server) = self.peers.get_mut(&peer) {
            server.out.push(Out { id, since: now, wanted });
            out.push(Effect::Request { peer, id, request });
        }
    }

    /// The next request of the pass, if the peer is its guide and there is room.
    fn walk_on(&mut self, now: Time, view: &dyn View, peer: Peer) -> Option<Request> {
        let others = self.peers.keys().any(|other| *other != peer && !self.shunned.contains_key(other));
        let pass = self.pass.as_mut().filter(|pass| pass.guide == peer)?;
        if others && pass.is_slow(now) {
            self.leave_alone(now, peer, SHUN_MS, 1);
            return None;
        }
        match pass.next(REQUESTS | self.next_id, view, &self.deliveries) {
            Next::Request(request) => return Some(request),
            Next::NoRoom => pass.waited(now),
            Next::Done => {
                let shown = pass.shown();
                self.pass = None;
                self.passed = Some(now);
                if let Some(server) = self.peers.get_mut(&peer) {
                    (server.guided, server.shown) = (Some(now), Some(shown));
                }
            }
        }
        None
    }

    /// Begins a pass when it is time for one, with whom none was begun for the longest time.
    fn begin(&mut self, now: Time, view: &dyn View) {
        // A pass over no layers would show that nothing is missing.
        if self.pass.is_some() || view.running().is_none() {
            return;
        }
        let seed = self.config.seed;
        let order = |peer: &Peer| -> [u8; 32] { std::array::from_fn(|i| peer.0[i] ^ seed[i]) };
        let candidates = self.peers.iter().filter(|(peer, _)| !self.shunned.contains_key(peer));
        let Some((guide, server)) = candidates.min_by_key(|(peer, server)| (server.guided, order(peer))) else {
            return;
        };
        let pause = match (self.synced, server.guided) {
            (false, None) => 0,
            (false, Some(_)) => 1000.min(self.config.every_ms),
            (true, _) => self.config.every_ms,
        };
        if self.passed.is_none_or(|passed| now.since(passed) >= pause) {
            self.pass = Some(Pass::new(now, *guide));
        }
    }

    /// Whether it may count as synced: enough peers have nothing new, and are not behind others themselves.
    fn knows_enough(&self, now: Time, started: Time) -> bool {
        let Some(met) = self.met else {
            return self.config.alone_ms.is_some_and(|alone| now.since(started) >= alone);
        };
        let awaited = self.peers.values().filter(|server| server.strikes < STRIKES).count();
        // More may be about to come; a network in a hurry has short layers.
        let hurry = met.after(self.config.every_ms.clamp(1000, 30_000));
        if awaited < WITNESSES && now < hurry {
            return false;
        }
        let shown = || self.peers.values().filter_map(|server| server.shown);
        let newest = shown().filter_map(|shown| shown.last).max();
        let is_behind =
            |shown: &Shown| newest.is_some_and(|newest| shown.last.is_none_or(|last| last.after(BEHIND) < newest));
        shown().filter(|shown| shown.clean && !is_behind(shown)).count() >= awaited.clamp(1, WITNESSES)
    }
}
