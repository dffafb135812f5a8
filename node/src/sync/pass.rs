//! One walk with one peer through all that it has.

use std::collections::{BTreeMap, BTreeSet};

use super::{Delivery, Progress, SLICE_ITEMS, SLICE_MS};
use crate::archive::{Archive, ArchiveError};
use crate::ids::{AtxId, Epoch, NodeId};
use crate::params::Timing;
use crate::reconcile::{Ask, Lie, Walk, WalkError};
use crate::source::Peer;
use crate::time::Time;
use crate::wire::{Key, Request, Response, Set};

/// Older epochs are not asked about.
const MAX_EPOCHS: u32 = 1 << 16;
/// So many deliveries are remembered, for so long.
const MAX_DELIVERED: usize = 1 << 16;
const REMEMBERED_MS: u64 = 3_600_000;
/// What was not accepted after so many deliveries isn't asked for by name any more.
const TRIES: u8 = 2;

/// A pass.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub(super) guide: Peer,
    since: Time,
    walk: Walk,
    /// The epoch it began in.
    now: Option<Epoch>,
    delivered: u64,
    /// Of these, ATXs of earlier epochs.
    late: u64,
    slice: Slice,
}

/// What a guide is measured by.
#[derive(Clone, Debug)]
struct Slice {
    since: Time,
    /// Items delivered when it began.
    delivered: u64,
    /// Whether the guide had to wait for this node.
    waited: bool,
}

/// What a pass does next.
pub(super) enum Next {
    Request(Request),
    NoRoom,
    Done,
    Lie(Lie),
}

impl Pass {
    pub(super) fn new(since: Time, guide: Peer, timing: &Timing) -> Self {
        let now = timing.epoch_at(since);
        let epochs = now.map(|now| now.0.saturating_sub(MAX_EPOCHS)..=now.0).into_iter().flatten();
        let sets: Vec<Set> = std::iter::once(Set::Frauds).chain(epochs.map(|e| Set::Atxs(Epoch(e)))).collect();
        let slice = Slice { since, delivered: 0, waited: false };
        Self { guide, since, walk: Walk::new(&sets), now, delivered: 0, late: 0, slice }
    }

    pub(super) fn next(&mut self, now: Time, room: usize) -> Next {
        if now.since(self.slice.since) >= 2 * SLICE_MS {
            self.slice = Slice { since: now, delivered: self.delivered, waited: false };
        }
        match self.walk.next(room) {
            Ok(Ask::Request(request)) => Next::Request(request),
            Ok(Ask::NoRoom) => {
                self.slice.waited = true;
                Next::NoRoom
            }
            Ok(Ask::Done) => Next::Done,
            Err(lie) => Next::Lie(lie),
        }
    }

    /// Whether a whole slice brought too little, and that wasn't for lack of room.
    pub(super) fn is_slow(&mut self, now: Time) -> bool {
        if now.since(self.slice.since) < SLICE_MS {
            return false;
        }
        let slow = !self.slice.waited && self.delivered - self.slice.delivered < SLICE_ITEMS;
        self.slice = Slice { since: now, delivered: self.delivered, waited: false };
        slow
    }

    pub(super) fn answered(
        &mut self,
        archive: &dyn Archive,
        delivered: &mut Delivered,
        response: Response,
    ) -> Result<Vec<Delivery>, WalkError> {
        let found = self.walk.answer(archive, &delivered.settled, response)?;
        let mut items = Vec::new();
        for found in found {
            self.delivered += 1;
            if let Some(key) = found.key {
                delivered.add(found.set, key);
            }
            items.push(match found.set {
                Set::Frauds => Delivery::Fraud(found.item.0),
                Set::Atxs(epoch) => {
                    self.late += u64::from(Some(epoch) != self.now);
                    Delivery::Atx(found.item.0)
                }
            });
        }
        Ok(items)
    }

    /// Whether no ATX of an earlier epoch was missing; asked at its end.
    pub(super) fn was_clean(&self) -> bool {
        self.late == 0
    }

    /// The epoch it began in.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.now
    }

    /// Whether the guide has any ATXs, and whether this node had any.
    pub(super) fn atxs(&self) -> (bool, bool) {
        self.walk.atxs()
    }

    pub(super) fn progress(&self, synced: bool) -> Progress {
        let (before, delivered, total) = (self.walk.ours(), self.delivered, self.walk.total());
        Progress { since: self.since, before, delivered, total, synced }
    }
}

/// What was delivered lately. Something that this node does not accept would be missing for ever.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivered {
    tries: BTreeMap<Key, (Set, u8)>,
    settled: BTreeSet<Key>,
    since: Option<Time>,
    /// What the running pass delivered.
    running: BTreeMap<Key, Set>,
    /// Its guide.
    guide: Option<Peer>,
    /// Whether some of it got no verdict.
    crowded: bool,
}

impl Delivered {
    fn add(&mut self, set: Set, key: Key) {
        if self.running.len() < MAX_DELIVERED {
            self.running.insert(key, set);
        }
    }

    /// For want of room, something that a peer gave was not judged. Which it was isn't known, so nothing of the pass counts
    /// as tried; it is for a peer to spoil its own passes only.
    pub(super) fn crowded(&mut self, peer: Peer) {
        self.crowded |= self.guide == Some(peer);
    }

    /// Before a pass with `guide`, when all is judged: forgets what was accepted, and settles what was refused often enough.
    pub(super) fn settle(&mut self, now: Time, archive: &dyn Archive, guide: Peer) -> Result<(), ArchiveError> {
        if now.since(*self.since.get_or_insert(now)) >= REMEMBERED_MS {
            *self = Self { since: Some(now), ..Self::default() };
        }
        let running = std::mem::take(&mut self.running);
        let crowded = std::mem::replace(&mut self.crowded, false);
        self.guide = Some(guide);
        for (key, set) in running.into_iter().filter(|_| !crowded) {
            if self.tries.len() < MAX_DELIVERED || self.tries.contains_key(&key) {
                let tries = self.tries.entry(key).or_insert((set, 0));
                tries.1 = tries.1.saturating_add(1);
            }
        }
        let mut refused = BTreeMap::new();
        for (key, (set, tries)) in std::mem::take(&mut self.tries) {
            let accepted = match set {
                Set::Frauds => archive.fraud(NodeId(key))?.is_some(),
                Set::Atxs(_) => archive.atx(AtxId(key))?.is_some(),
            };
            if !accepted {
                refused.insert(key, (set, tries));
            }
        }
        self.settled = refused.iter().filter(|(_, (_, tries))| *tries >= TRIES).map(|(key, _)| *key).collect();
        self.tries = refused;
        Ok(())
    }
}
