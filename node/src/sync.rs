//! Getting from others what this node lacks: a pure machine (NODE.md section 7).
//!
//! One peer at a time is the *guide*: the node walks with it through all that it has ([`crate::reconcile`]), fraud proofs
//! first, then epoch by epoch, and fetches what is missing. That is a *pass*. The node is synced after a pass in which no
//! ATX of an earlier epoch was missing; passes go on from time to time, with each peer in turn, so that lost gossip is made up
//! for. Nothing is remembered of an unfinished pass: what was fetched and accepted isn't missing the next time.
//!
//! Beside that, what ATXs depend on is fetched by name ([`Input::Fetch`]), from who sent them first.
//!
//! A peer has one request at a time. One that fails or is late is left alone for a while, one that lies is punished as well.
//! No more is fetched than others have judged ([`Input::Judged`]), [`MAX_UNJUDGED`] items ahead.

mod fetch;
mod pass;

use std::collections::BTreeMap;

use crate::archive::{Archive, ArchiveError};
use crate::ids::{AtxId, Challenge};
use crate::params::Timing;
use crate::reconcile::{Lie, WalkError};
use crate::source::Peer;
use crate::time::Time;
use crate::wire::{Request, Response};
use fetch::{Fetches, Wanted};
use pass::{Delivered, Next, Pass};

/// So many ATXs and fraud proofs may be delivered and not judged yet.
pub const MAX_UNJUDGED: usize = 2048;
/// No request for less than this, unless all is judged.
const LEAST_ROOM: usize = 256;
/// An answer takes no longer.
const TIMEOUT_MS: u64 = 20_000;
/// A peer that failed is left alone for so long, one that lied ten times longer.
const SHUN_MS: u64 = 60_000;
/// So many failed peers are remembered.
const MAX_SHUNNED: usize = 1024;
/// When nothing is judged for so long, what is out got lost.
const LOST_MS: u64 = 120_000;
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

/// What happens to it.
#[derive(Clone, Debug)]
pub enum Input {
    /// There is a connection.
    PeerUp(Peer),
    /// There is none any more.
    PeerDown(Peer),
    /// What became of a request.
    Response {
        /// Who was asked.
        peer: Peer,
        /// Which request.
        id: u64,
        /// `None` when there was no answer.
        response: Option<Response>,
    },
    /// Things that are needed by name. Asking twice is no harm.
    Fetch {
        /// ATXs.
        atxs: Vec<AtxId>,
        /// PoET proofs.
        poets: Vec<Challenge>,
        /// Who should have them.
        from: Option<Peer>,
    },
    /// So many of the delivered ATXs and fraud proofs have got their verdict, whatever it was.
    Judged(usize),
    /// Time has passed; wanted about once a second.
    Timer,
}

/// What it wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask a peer; the answer comes back with the same `id`.
    Request {
        /// Whom.
        peer: Peer,
        /// Which request.
        id: u64,
        /// What.
        request: Request,
    },
    /// Judge what a peer answered.
    Deliver {
        /// Who.
        peer: Peer,
        /// What.
        item: Delivery,
    },
    /// Nobody here has these.
    NotFound {
        /// ATXs.
        atxs: Vec<AtxId>,
        /// PoET proofs.
        poets: Vec<Challenge>,
    },
    /// A peer lied.
    Punish {
        /// Who.
        peer: Peer,
        /// How.
        why: Lie,
    },
    /// How far it is.
    Progress(Progress),
}

/// An encoding from a peer, not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Of an ATX; it decodes.
    Atx(Vec<u8>),
    /// Of a PoET proof.
    Poet(Vec<u8>),
    /// Of a fraud proof.
    Fraud(Vec<u8>),
}

/// How far a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When the pass began.
    pub since: Time,
    /// What was there when it began.
    pub before: u64,
    /// What was delivered in it.
    pub delivered: u64,
    /// What the guide has; 0 as long as it has not said.
    pub total: u64,
    /// Whether the node is synced.
    pub synced: bool,
}

/// A peer as somebody to ask.
#[derive(Clone, Debug, Default)]
struct Server {
    out: Option<Out>,
    /// When the last pass with it ended.
    passed: Option<Time>,
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
    unjudged: usize,
    judged_at: Time,
    started: Option<Time>,
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
            unjudged: 0,
            judged_at: Time(0),
            started: None,
            passed: None,
            synced: false,
        }
    }

    /// Whether a pass found that no ATX of an earlier epoch was missing. Once true it stays so.
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
            Input::Fetch { atxs, poets, from } => self.fetches.add(&atxs, &poets, from),
            Input::Judged(count) => {
                self.unjudged = self.unjudged.saturating_sub(count);
                self.judged_at = now;
            }
            Input::Timer => {}
        }
        self.forget(now);
        if self.peers.is_empty() && self.config.alone_ms.is_some_and(|alone| now.since(started) >= alone) {
            self.synced = true;
        }
        self.go_on(now, archive, out)?;
        self.fetches.give_up(self.peers.keys(), out);
        Ok(())
    }

    /// Drops what is over: requests without answer, old grudges, deliveries that nobody will judge.
    fn forget(&mut self, now: Time) {
        let late = |server: &Server| server.out.as_ref().is_some_and(|out| now.since(out.since) >= TIMEOUT_MS);
        let late: Vec<Peer> = self.peers.iter().filter(|(_, server)| late(server)).map(|(peer, _)| *peer).collect();
        for peer in late {
            self.failed(now, peer, SHUN_MS);
        }
        self.shunned.retain(|_, until| *until > now);
        if self.unjudged > 0 && now.since(self.judged_at) >= LOST_MS {
            self.unjudged = 0;
        }
    }

    fn gone(&mut self, peer: Peer) {
        if let Some(Out { wanted: Some(wanted), .. }) = self.peers.remove(&peer).and_then(|server| server.out) {
            self.fetches.failed(peer, wanted);
        }
        self.pass.take_if(|pass| pass.guide == peer);
    }

    /// Leaves a peer alone for a while.
    fn failed(&mut self, now: Time, peer: Peer, ms: u64) {
        if let Some(server) = self.peers.get_mut(&peer)
            && let Some(Out { wanted: Some(wanted), .. }) = server.out.take()
        {
            self.fetches.failed(peer, wanted);
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
            self.failed(now, peer, SHUN_MS);
            return Ok(());
        };
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
            Err(WalkError::Lie(why)) => {
                self.failed(now, peer, 10 * SHUN_MS);
                out.push(Effect::Punish { peer, why });
            }
        }
        if let Some(progress) = self.progress() {
            out.push(Effect::Progress(progress));
        }
        Ok(())
    }

    fn deliver(&mut self, now: Time, peer: Peer, items: Vec<Delivery>, out: &mut Vec<Effect>) {
        for item in items {
            if !matches!(item, Delivery::Poet(_)) {
                if self.unjudged == 0 {
                    self.judged_at = now;
                }
                self.unjudged += 1;
            }
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
        if self.pass.is_none() && self.unjudged == 0 {
            self.begin(now, archive)?;
        }
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
        Ok(())
    }

    /// The next request of the pass, if the peer is its guide and there is room.
    fn walk_on(&mut self, now: Time, peer: Peer, out: &mut Vec<Effect>) -> Option<Request> {
        let others = self.peers.keys().any(|other| *other != peer && !self.shunned.contains_key(other));
        let room = match MAX_UNJUDGED.saturating_sub(self.unjudged) {
            room if room < LEAST_ROOM && self.unjudged > 0 => 0,
            room => room,
        };
        let pass = self.pass.as_mut().filter(|pass| pass.guide == peer)?;
        match pass.next(now, room) {
            Next::Request(request) if !(others && pass.is_slow(now)) => return Some(request),
            Next::NoRoom => return None,
            Next::Lie(why) => {
                out.push(Effect::Punish { peer, why });
                self.failed(now, peer, 10 * SHUN_MS);
                return None;
            }
            Next::Request(_) => {}
            Next::Done => {
                self.synced |= pass.was_clean();
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
        let seed = self.config.seed;
        let order = |peer: &Peer| -> [u8; 32] { std::array::from_fn(|i| peer.0[i] ^ seed[i]) };
        let candidates = self.peers.iter().filter(|(peer, _)| !self.shunned.contains_key(peer));
        let Some((guide, server)) = candidates.min_by_key(|(peer, server)| (server.passed, order(peer))) else {
            return Ok(());
        };
        let pause = match (self.synced, server.passed) {
            (false, _) => 1000.min(self.config.every_ms),
            (true, None) => 10_000.min(self.config.every_ms),
            (true, Some(_)) => self.config.every_ms,
        };
        if self.passed.is_none_or(|passed| now.since(passed) >= pause) {
            self.delivered.settle(now, archive)?;
            self.pass = Some(Pass::new(now, *guide, &self.config.timing));
        }
        Ok(())
    }
}
