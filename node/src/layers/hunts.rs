//! Things that are needed by name, and who may still be asked for them.

use std::collections::{BTreeMap, BTreeSet};

use super::Effect;
use super::deliveries::Deliveries;
use crate::source::Peer;
use crate::time::Time;
use crate::wire::{MAX_NAMES, Thing};

/// So many are remembered; of what is more it is said at once that it was not found.
pub const MAX_WANTED: usize = 8192;
/// And so many on behalf of one peer, so that no peer takes the room of all.
pub const MAX_WANTED_OF_PEER: usize = 1024;
/// So many peers are asked, then it is given up.
const MAX_ASKED_PEERS: usize = 4;
/// Who should have something is waited for so long, then others are asked.
const PATIENCE_MS: u64 = 20_000;
/// And who is shunned so long.
const SHUNNED_MS: u64 = 120_000;

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
    things: BTreeMap<u64, Thing>,
    /// When something of it was asked for last, on a clock that counts requests.
    served: u64,
}

/// All that is needed by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Hunts {
    hunts: BTreeMap<Thing, Hunt>,
    /// None is empty.
    queues: BTreeMap<Option<Peer>, Queue>,
    /// Counts hunts and requests.
    clock: u64,
}

impl Hunts {
    /// `payer` is who sent what needs it; it is asked first if it is to be `trusted`. `false` when there is no room.
    pub(super) fn add(&mut self, now: Time, thing: Thing, payer: Option<Peer>, trusted: bool) -> bool {
        let first = payer.filter(|_| trusted);
        if let Some(hunt) = self.hunts.get_mut(&thing) {
            hunt.from = hunt.from.or(first.filter(|peer| !hunt.asked.contains(peer)));
            return true;
        }
        let of_payer = self.queues.get(&payer).map_or(0, |queue| queue.things.len());
        if self.hunts.len() >= MAX_WANTED || of_payer >= MAX_WANTED_OF_PEER {
            return false;
        }
        self.clock += 1;
        let order = self.clock;
        self.queues.entry(payer).or_default().things.insert(order, thing);
        let hunt = Hunt { since: now, order, payer, from: first, asked: BTreeSet::new(), out: false };
        self.hunts.insert(thing, hunt);
        true
    }

    /// Nothing is to be done any more; whether something was.
    pub(super) fn remove(&mut self, thing: &Thing) -> bool {
        let Some(hunt) = self.hunts.remove(thing) else { return false };
        if let Some(queue) = self.queues.get_mut(&hunt.payer) {
            queue.things.remove(&hunt.order);
            if queue.things.is_empty() {
                self.queues.remove(&hunt.payer);
            }
        }
        true
    }

    /// What to ask a peer for: what it should have itself, then in turn what is needed on behalf of others.
    pub(super) fn next(&mut self, peer: Peer, deliveries: &Deliveries) -> Vec<Thing> {
        let mut turns: Vec<_> =
            self.queues.iter().map(|(payer, queue)| (*payer != Some(peer), queue.served, *payer)).collect();
        turns.sort_unstable();
        for (_, _, payer) in turns {
            let Some(queue) = self.queues.get_mut(&payer) else { continue };
            let fits = |thing: &&Thing| {
                self.hunts.get(thing).is_some_and(|hunt| {
                    !hunt.out
                        && hunt.from.is_none_or(|from| from == peer)
                        && !hunt.asked.contains(&peer)
                        && hunt.asked.len() < MAX_ASKED_PEERS
                        && !deliveries.is_useless(thing, peer)
                })
            };
            let things: Vec<Thing> = queue.things.values().filter(fits).take(MAX_NAMES).copied().collect();
            if !things.is_empty() {
                self.clock += 1;
                queue.served = self.clock;
                for thing in &things {
                    if let Some(hunt) = self.hunts.get_mut(thing) {
                        hunt.out = true;
                    }
                }
                return things;
            }
        }
        Vec::new()
    }

    /// A peer did not give these.
    pub(super) fn in_vain(&mut self, peer: Peer, things: &[Thing]) {
        for thing in things {
            if let Some(hunt) = self.hunts.get_mut(thing) {
                hunt.out = false;
                hunt.asked.insert(peer);
                hunt.from.take_if(|from| *from == peer);
            }
        }
    }

    /// These were not looked up.
    pub(super) fn again(&mut self, things: &[Thing]) {
        for thing in things {
            if let Some(hunt) = self.hunts.get_mut(thing) {
                hunt.out = false;
            }
        }
    }

    /// A peer is not to be waited for.
    pub(super) fn not_from(&mut self, peer: Peer) {
        for hunt in self.hunts.values_mut() {
            hunt.from.take_if(|from| *from == peer);
        }
    }

    /// Gives up what nobody of `peers` can be asked for any more. Who is gone or takes too long doesn't count as who should
    /// have it. `peers` says who is shunned as well: that one is waited for a while only.
    pub(super) fn give_up(
        &mut self,
        now: Time,
        peers: &BTreeMap<Peer, bool>,
        deliveries: &Deliveries,
        out: &mut Vec<Effect>,
    ) {
        let mut given_up = Vec::new();
        for (thing, hunt) in &mut self.hunts {
            let age = now.since(hunt.since);
            hunt.from.take_if(|from| !peers.contains_key(from) || age >= PATIENCE_MS);
            let may_ask = |(peer, shunned): (&Peer, &bool)| {
                !hunt.asked.contains(peer) && (!shunned || age < SHUNNED_MS) && !deliveries.is_useless(thing, *peer)
            };
            if !hunt.out && (hunt.asked.len() >= MAX_ASKED_PEERS || !peers.iter().any(may_ask)) {
                given_up.push(*thing);
            }
        }
        for thing in given_up {
            self.remove(&thing);
            out.push(Effect::NotFound { thing });
        }
    }
}
