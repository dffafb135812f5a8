//! What is needed by name, and who may still be asked for it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Delivery, Effect};
use crate::atx::Received;
use crate::codec::decode;
use crate::ids::{AtxId, Challenge};
use crate::poet::PoetProof;
use crate::reconcile::Lie;
use crate::source::Peer;
use crate::time::Time;
use crate::wire::{Item, Request, Response};

/// So many are remembered; of what is more it is said at once that it was not found.
const MAX_WANTED: usize = 8192;
/// And so many on behalf of one peer, so that no peer takes the room of all.
const MAX_WANTED_OF_PEER: usize = 1024;
/// So many ATXs are asked for at once.
const MAX_ASKED: usize = 64;
/// So many peers are asked, then it is given up.
const MAX_ASKED_PEERS: usize = 4;
/// Who should have something is waited for so long, then others are asked.
const PATIENCE_MS: u64 = 20_000;

/// And who is shunned for so long.
const SHUNNED_MS: u64 = 120_000;

/// Something needed by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Poet(Challenge),
    Atx(AtxId),
}

#[derive(Clone, Debug)]
struct Hunt {
    since: Time,
    /// Its place in the queue of `payer`.
    order: u64,
    /// On whose behalf it is.
    payer: Option<Peer>,
    /// Who should have it, and was not asked yet.
    from: Option<Peer>,
    /// Who was asked in vain.
    asked: BTreeSet<Peer>,
    /// Whether somebody is being asked.
    out: bool,
}

/// What is needed on behalf of one peer, in the order in which it was asked for.
#[derive(Clone, Debug, Default)]
struct Queue {
    names: BTreeMap<u64, Wanted>,
    /// When something of it was asked for last, on a clock that counts requests.
    served: u64,
}

/// All that is needed by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Fetches {
    hunts: BTreeMap<Wanted, Hunt>,
    /// None is empty.
    queues: BTreeMap<Option<Peer>, Queue>,
    /// Counts hunts and requests.
    clock: u64,
    /// What there was no room for.
    dropped: Vec<Wanted>,
}

impl Fetches {
    /// `payer` is who sent what needs these; it is asked first if it is to be `trusted`.
    pub(super) fn add(
        &mut self,
        now: Time,
        (atxs, poets): (&[AtxId], &[Challenge]),
        payer: Option<Peer>,
        trusted: bool,
    ) {
        let first = payer.filter(|_| trusted);
        let wanted = poets.iter().map(|id| Wanted::Poet(*id)).chain(atxs.iter().map(|id| Wanted::Atx(*id)));
        for name in wanted {
            if let Some(hunt) = self.hunts.get_mut(&name) {
                hunt.from = hunt.from.or(first.filter(|peer| !hunt.asked.contains(peer)));
                continue;
            }
            let of_payer = self.queues.get(&payer).map_or(0, |queue| queue.names.len());
            if self.hunts.len() >= MAX_WANTED || of_payer >= MAX_WANTED_OF_PEER {
                self.dropped.push(name);
                continue;
            }
            self.clock += 1;
            let order = self.clock;
            self.queues.entry(payer).or_default().names.insert(order, name);
            let hunt = Hunt { since: now, order, payer, from: first, asked: BTreeSet::new(), out: false };
            self.hunts.insert(name, hunt);
        }
    }

    /// Nothing is to be done any more.
    fn remove(&mut self, name: &Wanted) {
        let Some(hunt) = self.hunts.remove(name) else { return };
        if let Some(queue) = self.queues.get_mut(&hunt.payer) {
            queue.names.remove(&hunt.order);
            if queue.names.is_empty() {
                self.queues.remove(&hunt.payer);
            }
        }
    }

    /// What to ask a peer for: what it should have itself, then in turn what is needed on behalf of others, in the order
    /// in which it was asked for. A request is for one PoET proof or some ATXs.
    pub(super) fn next(&mut self, peer: Peer) -> Option<(Request, Vec<Wanted>)> {
        let mut turns: Vec<_> =
            self.queues.iter().map(|(payer, queue)| (*payer != Some(peer), queue.served, *payer)).collect();
        turns.sort_unstable();
        let (payer, wanted) = turns.into_iter().find_map(|(_, _, payer)| {
            let wanted = self.fitting(peer, self.queues.get(&payer)?);
            (!wanted.is_empty()).then_some((payer, wanted))
        })?;
        self.clock += 1;
        if let Some(queue) = self.queues.get_mut(&payer) {
            queue.served = self.clock;
        }
        for name in &wanted {
            if let Some(hunt) = self.hunts.get_mut(name) {
                hunt.out = true;
            }
        }
        let id = |wanted: &Wanted| match wanted {
            Wanted::Atx(id) => Some(*id),
            Wanted::Poet(_) => None,
        };
        let request = match wanted.first()? {
            Wanted::Poet(id) => Request::Poet(*id),
            Wanted::Atx(_) => Request::Atxs(wanted.iter().filter_map(id).collect()),
        };
        Some((request, wanted))
    }

    /// What of a queue to ask a peer for in one request.
    fn fitting(&self, peer: Peer, queue: &Queue) -> Vec<Wanted> {
        let may_ask = |name: &&Wanted| {
            self.hunts.get(name).is_some_and(|hunt| {
                !hunt.out && hunt.from.is_none_or(|from| from == peer) && !hunt.asked.contains(&peer)
            })
        };
        let mut names = queue.names.values().filter(may_ask).copied();
        let Some(first) = names.next() else { return Vec::new() };
        let more = match first {
            Wanted::Poet(_) => 0,
            Wanted::Atx(_) => MAX_ASKED - 1,
        };
        std::iter::once(first).chain(names.filter(|name| matches!(name, Wanted::Atx(_))).take(more)).collect()
    }

    /// A peer did not answer.
    pub(super) fn failed(&mut self, peer: Peer, wanted: Vec<Wanted>) {
        for name in wanted {
            self.in_vain(peer, name);
        }
    }

    /// A peer is not to be waited for.
    pub(super) fn not_from(&mut self, peer: Peer) {
        for hunt in self.hunts.values_mut() {
            hunt.from.take_if(|from| *from == peer);
        }
    }

    fn in_vain(&mut self, peer: Peer, name: Wanted) {
        if let Some(hunt) = self.hunts.get_mut(&name) {
            hunt.out = false;
            hunt.asked.insert(peer);
            hunt.from.take_if(|from| *from == peer);
        }
    }

    /// What a peer gave of what it was asked for.
    pub(super) fn answered(
        &mut self,
        peer: Peer,
        wanted: Vec<Wanted>,
        response: Response,
    ) -> Result<Vec<Delivery>, Lie> {
        let (Response::Items { items, last }, Some(first)) = (response, wanted.first().copied()) else {
            self.failed(peer, wanted);
            return Err(Lie::Kind);
        };
        if let Wanted::Poet(_) = first {
            return self.poet(peer, first, items);
        }
        let mut given = BTreeMap::new();
        for item in items {
            match Received::decode(&item.0) {
                Ok(received) if wanted.contains(&Wanted::Atx(received.id)) => {
                    given.insert(received.id, item.0);
                }
                other => {
                    self.failed(peer, wanted);
                    return Err(match other {
                        Ok(received) => Lie::Outside { key: received.id.0 },
                        Err(junk) => junk.into(),
                    });
                }
            }
        }
        // The names after `last` were not looked up: the answer was full.
        let looked_up = match last {
            None => wanted.len(),
            Some(last) => wanted.iter().position(|name| *name == Wanted::Atx(AtxId(last))).map_or(0, |at| at + 1),
        };
        for (i, name) in wanted.into_iter().enumerate() {
            let Wanted::Atx(id) = name else { continue };
            if given.contains_key(&id) {
                self.remove(&name);
            } else if i < looked_up || given.is_empty() {
                self.in_vain(peer, name);
            } else if let Some(hunt) = self.hunts.get_mut(&name) {
                hunt.out = false;
            }
        }
        Ok(given.into_values().map(Delivery::Atx).collect())
    }

    /// One PoET proof or none. Only the one that was asked for ends the hunt.
    fn poet(&mut self, peer: Peer, name: Wanted, items: Vec<Item>) -> Result<Vec<Delivery>, Lie> {
        let given = match &items[..] {
            [] => {
                self.in_vain(peer, name);
                return Ok(Vec::new());
            }
            [item] => decode::<PoetProof>(&item.0).map_err(Lie::Poet).and_then(|proof| match proof.id() {
                id if name == Wanted::Poet(id) => Ok(proof),
                id => Err(Lie::Outside { key: id.0 }),
            }),
            _ => Err(Lie::Kind),
        };
        match &given {
            Ok(_) => self.remove(&name),
            Err(_) => self.in_vain(peer, name),
        }
        Ok(vec![Delivery::Poet(given?)])
    }

    /// Gives up what nobody of `peers` can be asked for any more, and says what was dropped. Who is gone or takes too long
    /// doesn't count as who should have it. `peers` says who is shunned as well: that one is waited for a while only.
    pub(super) fn give_up(&mut self, now: Time, peers: impl Iterator<Item = (Peer, bool)>, out: &mut Vec<Effect>) {
        if self.hunts.is_empty() && self.dropped.is_empty() {
            return;
        }
        let peers: BTreeMap<Peer, bool> = peers.collect();
        let mut given_up = std::mem::take(&mut self.dropped);
        for (name, hunt) in &mut self.hunts {
            let age = now.since(hunt.since);
            hunt.from.take_if(|from| !peers.contains_key(from) || age >= PATIENCE_MS);
            let may_ask =
                |(peer, shunned): (&Peer, &bool)| !hunt.asked.contains(peer) && (!shunned || age < SHUNNED_MS);
            if !hunt.out && (hunt.asked.len() >= MAX_ASKED_PEERS || !peers.iter().any(may_ask)) {
                given_up.push(*name);
            }
        }
        let (mut atxs, mut poets) = (Vec::new(), Vec::new());
        for name in given_up {
            self.remove(&name);
            match name {
                Wanted::Atx(id) => atxs.push(id),
                Wanted::Poet(id) => poets.push(id),
            }
        }
        if !atxs.is_empty() || !poets.is_empty() {
            out.push(Effect::NotFound { atxs, poets });
        }
    }
}
