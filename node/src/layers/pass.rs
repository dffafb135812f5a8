//! Comparing the layers that aren't final with one peer's.

use std::collections::VecDeque;

use super::deliveries::Deliveries;
use super::items::{Given, sort};
use super::{Lie, View};
use crate::archive::{Archive, ArchiveError};
use crate::ids::{BallotId, BlockId, Layer};
use crate::reconcile::{empty_layer, layer_fingerprint};
use crate::source::Peer;
use crate::time::Time;
use crate::wire::{Fingerprint, MAX_LAYERS, MAX_NAMES, Request, Response, Thing};

/// After so long a guide must have given so many things or fingerprints, or another one is tried.
const SLICE_MS: u64 = 60_000;
const SLICE_ITEMS: u64 = 64;
/// A guide that gives more useless things than this is left alone.
const MAX_USELESS: usize = 64;

/// Of what is missing so much is listed before it is fetched at first; then each time twice as much, up to a whole
/// request. What was only listed is lost when the guide is.
const FIRST_BATCH: usize = 32;

/// What is being waited for.
#[derive(Clone, Debug)]
enum Asked {
    Layers { first: Layer, count: u32 },
    Layer(Layer),
    Things(Vec<Thing>),
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Request(Request),
    /// Too much has no verdict yet.
    NoRoom,
    Done,
}

/// What an answer came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) things: Vec<(Thing, Vec<u8>)>,
    pub(super) lie: Option<Lie>,
}

/// What a pass has shown of its guide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Whether it had nothing of an earlier layer that this node hadn't.
    pub(super) clean: bool,
    /// The last layer that it has ballots of.
    pub(super) last: Option<Layer>,
}

/// A walk from the first layer that isn't final to the running one. Nothing of a layer is fetched before what is missing
/// in those before it.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub(super) guide: Peer,
    /// The first layer that was not compared.
    next: Layer,
    /// Layers that differ and were not listed.
    differ: VecDeque<Layer>,
    /// What is to be fetched.
    missing: VecDeque<Thing>,
    /// When there is so much of it.
    batch: usize,
    asked: Option<(u64, Asked)>,
    shown: Shown,
    useless: usize,
    /// Since when, and how much came since.
    slice: (Time, u64),
}

impl Pass {
    pub(super) fn new(now: Time, guide: Peer) -> Self {
        Self {
            guide,
            next: Layer(0),
            differ: VecDeque::new(),
            missing: VecDeque::new(),
            batch: FIRST_BATCH,
            asked: None,
            shown: Shown { clean: true, last: None },
            useless: 0,
            slice: (now, 0),
        }
    }

    pub(super) fn shown(&self) -> Shown {
        self.shown
    }

    /// How far it is.
    pub(super) fn layer(&self) -> Layer {
        self.differ.front().copied().unwrap_or(self.next)
    }

    /// Whether the guide gives too little for the time it takes.
    pub(super) fn is_slow(&mut self, now: Time) -> bool {
        let (since, count) = self.slice;
        if now.since(since) < SLICE_MS {
            return false;
        }
        self.slice = (now, 0);
        count < SLICE_ITEMS
    }

    /// Time in which the guide was not asked doesn't count.
    pub(super) fn waited(&mut self, now: Time) {
        self.slice = (now, 0);
    }

    /// Something that the guide gave was of no use; whether that is enough.
    pub(super) fn was_useless(&mut self) -> bool {
        self.useless += 1;
        self.useless > MAX_USELESS
    }

    /// Whether this is the request that is out.
    pub(super) fn is_asked(&self, id: u64) -> bool {
        self.asked.as_ref().is_some_and(|(asked, _)| *asked == id)
    }

    /// The next request, which gets this `id`.
    pub(super) fn next(&mut self, id: u64, view: &dyn View, deliveries: &Deliveries) -> Next {
        let asked = match self.choose(view, deliveries) {
            Ok(asked) => asked,
            Err(other) => return other,
        };
        let request = match &asked {
            Asked::Layers { first, count } => Request::Layers { first: *first, count: *count },
            Asked::Layer(layer) => Request::Layer(*layer),
            Asked::Things(things) => Request::Things(things.clone()),
        };
        self.asked = Some((id, asked));
        Next::Request(request)
    }

    fn choose(&mut self, view: &dyn View, deliveries: &Deliveries) -> Result<Asked, Next> {
        if self.missing.len() >= self.batch || (self.differ.is_empty() && !self.missing.is_empty()) {
            // Some may have come otherwise.
            let guide = self.guide;
            self.missing.retain(|thing| is_missing(thing, guide, view, deliveries));
        }
        if self.missing.len() < self.batch
            && let Some(layer) = self.differ.pop_front()
        {
            return Ok(Asked::Layer(layer));
        }
        if !self.missing.is_empty() {
            if !deliveries.has_room() {
                return Err(Next::NoRoom);
            }
            self.batch = self.batch.saturating_mul(2).min(MAX_NAMES);
            return Ok(Asked::Things(self.missing.drain(..MAX_NAMES.min(self.missing.len())).collect()));
        }
        let (first, running) = (self.next.max(view.frontier()), view.running());
        match running.filter(|running| *running >= first) {
            None => Err(Next::Done),
            Some(running) => {
                // No more than 256.
                let count = running.since(first).saturating_add(1).min(MAX_LAYERS as u32);
                Ok(Asked::Layers { first, count })
            }
        }
    }

    /// Takes the answer to the request that is out.
    pub(super) fn answered(
        &mut self,
        archive: &dyn Archive,
        view: &dyn View,
        deliveries: &Deliveries,
        response: Response,
    ) -> Result<Outcome, ArchiveError> {
        let lie = |lie| Outcome { things: Vec::new(), lie: Some(lie) };
        let result = match (self.asked.take(), response) {
            (Some((_, Asked::Layers { first, count })), Response::Layers { last, layers }) => {
                self.layers(archive, view, (first, count), last, &layers)?
            }
            (Some((_, Asked::Layer(layer))), Response::Layer { ballots, blocks }) => {
                self.layer_listed(view, deliveries, layer, &ballots, &blocks)
            }
            (Some((_, Asked::Things(things))), response) => return Ok(self.given(&things, response)),
            _ => Err(Lie::Kind),
        };
        Ok(result.map_or_else(lie, |()| Outcome::default()))
    }

    fn layers(
        &mut self,
        archive: &dyn Archive,
        view: &dyn View,
        (first, count): (Layer, u32),
        last: Option<Layer>,
        layers: &[Fingerprint],
    ) -> Result<Result<(), Lie>, ArchiveError> {
        // No more than 256.
        let asked = count as usize;
        if layers.len() != asked {
            return Ok(Err(Lie::Layers { asked, got: layers.len() }));
        }
        for (i, theirs) in (0..count).zip(layers) {
            let layer = first.after(i);
            if *theirs == empty_layer() {
                if last == Some(layer) {
                    return Ok(Err(Lie::Empty(layer)));
                }
            } else if *theirs != layer_fingerprint(archive, layer)? {
                self.differ.push_back(layer);
            }
        }
        self.next = first.after(count);
        // A layer to come shows nothing.
        self.shown.last = last.filter(|last| view.running().is_some_and(|running| *last <= running));
        self.slice.1 += u64::from(count);
        Ok(Ok(()))
    }

    fn layer_listed(
        &mut self,
        view: &dyn View,
        deliveries: &Deliveries,
        layer: Layer,
        ballots: &[BallotId],
        blocks: &[BlockId],
    ) -> Result<(), Lie> {
        let ascend =
            ballots.windows(2).all(|pair| pair[0] < pair[1]) && blocks.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascend {
            return Err(Lie::Order);
        }
        if ballots.is_empty() && blocks.is_empty() {
            return Err(Lie::Empty(layer));
        }
        let blocks = blocks.iter().filter(|id| view.wants_block(layer, **id));
        let things = ballots.iter().map(|id| Thing::Ballot(*id)).chain(blocks.map(|id| Thing::Block(*id)));
        let before = self.missing.len();
        let guide = self.guide;
        // What was delivered and waits for something is missing as well, but there is no use in asking for it again.
        let waits = things.clone().any(|thing| deliveries.waits(&thing));
        self.missing.extend(things.filter(|thing| is_missing(thing, guide, view, deliveries)));
        if (waits || self.missing.len() > before) && view.running().is_none_or(|running| layer < running) {
            self.shown.clean = false;
        }
        self.slice.1 += 1;
        Ok(())
    }

    /// What a layer's list named must be there.
    fn given(&mut self, asked: &[Thing], response: Response) -> Outcome {
        let Given { things, missing, unread } = match sort(asked, response) {
            Ok(given) => given,
            Err(lie) => return Outcome { things: Vec::new(), lie: Some(lie) },
        };
        self.slice.1 += things.len() as u64;
        for thing in unread.into_iter().rev() {
            self.missing.push_front(thing);
        }
        let lie = (!missing.is_empty()).then_some(Lie::Withheld { missing: missing.len() });
        Outcome { things, lie }
    }
}

/// Whether the node lacks it, and this peer may be asked.
fn is_missing(thing: &Thing, guide: Peer, view: &dyn View, deliveries: &Deliveries) -> bool {
    !view.has(thing) && !deliveries.waits(thing) && !deliveries.is_useless(thing, guide)
}
