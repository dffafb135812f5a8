//! Ballots that wait for what they name: their base, their smesher's ATX.

use std::collections::{BTreeMap, BTreeSet};

use crate::ballot::{Ballot, Content};
use crate::ids::{AtxId, BallotId, Layer};
use crate::source::{Peer, Source};

/// No more ballots wait; the oldest layer's give way.
const MAX_PARKED: usize = 4096;

/// What a ballot waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    Base(BallotId),
    Atx(AtxId),
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ballot: Ballot,
    pub(super) content: Option<Content>,
    pub(super) source: Source,
}

#[derive(Debug, Default)]
pub(super) struct Parked {
    waiting: BTreeMap<BallotId, (Need, Waiting)>,
    needs: BTreeSet<(Need, BallotId)>,
}

impl Parked {
    /// Lets a ballot wait; who had to give way for it.
    pub(super) fn park(&mut self, id: BallotId, need: Need, waiting: Waiting) -> Option<(BallotId, Waiting)> {
        self.needs.insert((need, id));
        if let Some((old, _)) = self.waiting.insert(id, (need, waiting))
            && old != need
        {
            self.needs.remove(&(old, id));
        }
        if self.waiting.len() <= MAX_PARKED {
            return None;
        }
        let oldest = self.waiting.iter().min_by_key(|(id, (_, waiting))| (waiting.ballot.layer, **id));
        let oldest = *oldest?.0;
        Some((oldest, self.take(oldest)?))
    }

    pub(super) fn has(&self, id: BallotId) -> bool {
        self.waiting.contains_key(&id)
    }

    fn take(&mut self, id: BallotId) -> Option<Waiting> {
        let (need, waiting) = self.waiting.remove(&id)?;
        self.needs.remove(&(need, id));
        Some(waiting)
    }

    /// Those that waited for something, in the order of their layers.
    pub(super) fn released(&mut self, need: Need) -> Vec<(BallotId, Waiting)> {
        let range = (need, BallotId([0; 20]))..=(need, BallotId([0xff; 20]));
        let ids: Vec<BallotId> = self.needs.range(range).map(|(_, id)| *id).collect();
        let mut released: Vec<_> = ids.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect();
        released.sort_by_key(|(id, waiting)| (waiting.ballot.layer, *id));
        released
    }

    /// Those of layers before this one, which nothing will come for any more.
    pub(super) fn older(&mut self, before: Layer) -> Vec<(BallotId, Waiting)> {
        let old = self.waiting.iter().filter(|(_, (_, waiting))| waiting.ballot.layer < before).map(|(id, _)| *id);
        let old: Vec<BallotId> = old.collect();
        old.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect()
    }

    /// The ATXs that are waited for.
    pub(super) fn atxs(&self) -> BTreeSet<AtxId> {
        self.needs.iter().filter_map(|(need, _)| if let Need::Atx(id) = need { Some(*id) } else { None }).collect()
    }

    /// Bases that are waited for and don't wait themselves, each with who gave a ballot that waits for it.
    pub(super) fn bases(&self) -> BTreeMap<BallotId, Option<Peer>> {
        let missing = |(need, id): &(Need, BallotId)| match need {
            Need::Base(base) if !self.has(*base) => {
                Some((*base, self.waiting.get(id).and_then(|(_, waiting)| waiting.source.peer())))
            }
            _ => None,
        };
        self.needs.iter().filter_map(missing).collect()
    }

    /// Whether a ballot waits for this one.
    pub(super) fn is_needed(&self, id: BallotId) -> bool {
        let need = Need::Base(id);
        self.needs.range((need, BallotId([0; 20]))..=(need, BallotId([0xff; 20]))).next().is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
