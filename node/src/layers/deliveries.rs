//! What was delivered, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Peer;
use crate::time::Time;
use crate::wire::Thing;

/// No more is fetched by comparing while so many deliveries have no verdict, or so many bytes.
pub const MAX_UNJUDGED: usize = 1024;
/// See [`MAX_UNJUDGED`].
pub const MAX_UNJUDGED_BYTES: usize = 8 << 20;
/// A delivery without a verdict for so long counts as of no use: what it waits for doesn't come.
const UNJUDGED_MS: u64 = 60_000;
/// What was of no use isn't taken from anybody for a while when so many gave it.
const MAX_GIVERS: usize = 4;
/// So much useless is remembered; what is older gives way.
const MAX_USELESS: usize = 8192;

#[derive(Clone, Debug)]
struct Delivery {
    since: Time,
    /// Who gave it, and whether it was needed by name.
    from: (Peer, bool),
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Useless {
    until: Time,
    givers: BTreeSet<Peer>,
}

/// What was delivered of late.
#[derive(Clone, Debug)]
pub(super) struct Deliveries {
    /// How long something counts as of no use.
    useless_ms: u64,
    unjudged: BTreeMap<Thing, Delivery>,
    bytes: usize,
    useless: BTreeMap<Thing, Useless>,
    by_age: BTreeSet<(Time, Thing)>,
}

impl Deliveries {
    pub(super) fn new(useless_ms: u64) -> Self {
        Self { useless_ms, unjudged: BTreeMap::new(), bytes: 0, useless: BTreeMap::new(), by_age: BTreeSet::new() }
    }

    pub(super) fn add(&mut self, now: Time, from: (Peer, bool), thing: Thing, bytes: usize) {
        self.take(&thing);
        self.bytes += bytes;
        self.unjudged.insert(thing, Delivery { since: now, from, bytes });
    }

    fn take(&mut self, thing: &Thing) -> Option<(Peer, bool)> {
        let delivery = self.unjudged.remove(thing)?;
        self.bytes = self.bytes.saturating_sub(delivery.bytes);
        Some(delivery.from)
    }

    /// The node has it.
    pub(super) fn have(&mut self, thing: &Thing) {
        self.take(thing);
        if let Some(useless) = self.useless.remove(thing) {
            self.by_age.remove(&(useless.until, *thing));
        }
    }

    /// It was of no use; who gave it, if it was delivered at all, and whether it was needed by name.
    pub(super) fn settled(&mut self, now: Time, thing: Thing) -> Option<(Peer, bool)> {
        let from = self.take(&thing)?;
        let until = now.after(self.useless_ms);
        let useless = self.useless.entry(thing).or_insert_with(|| Useless { until, givers: BTreeSet::new() });
        self.by_age.remove(&(useless.until, thing));
        useless.until = until;
        useless.givers.insert(from.0);
        self.by_age.insert((until, thing));
        while self.by_age.len() > MAX_USELESS {
            self.drop_oldest();
        }
        Some(from)
    }

    fn drop_oldest(&mut self) {
        if let Some((_, thing)) = self.by_age.pop_first() {
            self.useless.remove(&thing);
        }
    }

    /// Drops what is over; gives who gave what got no verdict.
    pub(super) fn forget(&mut self, now: Time) -> Vec<(Peer, bool)> {
        while self.by_age.first().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
        let late = self.unjudged.iter().filter(|(_, delivery)| now.since(delivery.since) >= UNJUDGED_MS);
        let late: Vec<Thing> = late.map(|(thing, _)| *thing).collect();
        late.into_iter().filter_map(|thing| self.settled(now, thing)).collect()
    }

    /// Whether it was delivered, and has no verdict.
    pub(super) fn waits(&self, thing: &Thing) -> bool {
        self.unjudged.contains_key(thing)
    }

    /// Whether it is not to be asked for from this peer.
    pub(super) fn is_useless(&self, thing: &Thing, peer: Peer) -> bool {
        let given = |useless: &Useless| useless.givers.contains(&peer) || useless.givers.len() >= MAX_GIVERS;
        self.useless.get(thing).is_some_and(given)
    }

    /// Whether more may be fetched.
    pub(super) fn has_room(&self) -> bool {
        self.unjudged.len() < MAX_UNJUDGED && self.bytes < MAX_UNJUDGED_BYTES
    }
}
