//! Ballots that wait for what they name: their base, their smesher's ATX.
//!
//! Anybody can make ballots that wait for ever. Who gives the most of them has to make room for what others give.

use std::collections::{BTreeMap, BTreeSet};

use crate::ballot::{Ballot, Content};
use crate::ids::{AtxId, BallotId, Layer, NodeId};
use crate::source::{Peer, Source};

/// No more ballots wait, and no more bytes of them.
const MAX_PARKED: usize = 4096;
const MAX_PARKED_BYTES: usize = 32 << 20;
/// Ballots that one peer gave wait for no more ATXs.
pub(super) const MAX_ATXS_OF_PEER: usize = 64;

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

impl Waiting {
    /// What it takes in memory, roughly.
    fn bytes(&self) -> usize {
        let content = self.content.as_ref().map_or(0, |it| 32 * (it.atxs.len() + it.revoked.len() + it.txs.len()));
        size_of::<Self>()
            + size_of_val(self.ballot.slots.as_slice())
            + size_of_val(self.ballot.differences.as_slice())
            + content
    }
}

/// What one peer gave.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    ballots: BTreeSet<(Layer, BallotId)>,
}

#[derive(Debug, Default)]
pub(super) struct Parked {
    waiting: BTreeMap<BallotId, (Need, Waiting)>,
    needs: BTreeSet<(Need, BallotId)>,
    by_smesher: BTreeSet<(Layer, NodeId, BallotId)>,
    /// None is empty.
    shares: BTreeMap<Option<Peer>, Share>,
    bytes: usize,
}

impl Parked {
    /// Lets a ballot wait that doesn't yet; who had to give way for it.
    pub(super) fn park(&mut self, id: BallotId, need: Need, waiting: Waiting) -> Vec<(BallotId, Waiting)> {
        let (layer, bytes) = (waiting.ballot.layer, waiting.bytes());
        self.needs.insert((need, id));
        self.by_smesher.insert((layer, waiting.ballot.smesher, id));
        let share = self.shares.entry(waiting.source.peer()).or_default();
        share.bytes += bytes;
        share.ballots.insert((layer, id));
        self.bytes += bytes;
        self.waiting.insert(id, (need, waiting));
        let mut evicted = Vec::new();
        while (self.waiting.len() > MAX_PARKED || self.bytes > MAX_PARKED_BYTES)
            && let Some(id) = self.least_welcome()
            && let Some(waiting) = self.take(id)
        {
            evicted.push((id, waiting));
        }
        evicted
    }

    /// The latest layer's of who gave the most.
    fn least_welcome(&self) -> Option<BallotId> {
        let share = self.shares.values().max_by_key(|share| share.bytes)?;
        share.ballots.last().map(|(_, id)| *id)
    }

    pub(super) fn has(&self, id: BallotId) -> bool {
        self.waiting.contains_key(&id)
    }

    /// How many of a miner's ballots of a layer wait.
    pub(super) fn of(&self, layer: Layer, smesher: NodeId) -> usize {
        let range = (layer, smesher, BallotId([0; 20]))..=(layer, smesher, BallotId([0xff; 20]));
        self.by_smesher.range(range).count()
    }

    fn take(&mut self, id: BallotId) -> Option<Waiting> {
        let (need, waiting) = self.waiting.remove(&id)?;
        let (layer, bytes) = (waiting.ballot.layer, waiting.bytes());
        self.needs.remove(&(need, id));
        self.by_smesher.remove(&(layer, waiting.ballot.smesher, id));
        self.bytes = self.bytes.saturating_sub(bytes);
        let peer = waiting.source.peer();
        if let Some(share) = self.shares.get_mut(&peer) {
            share.bytes = share.bytes.saturating_sub(bytes);
            share.ballots.remove(&(layer, id));
            if share.ballots.is_empty() {
                self.shares.remove(&peer);
            }
        }
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
        let old = self.by_smesher.range(..(before, NodeId([0; 32]), BallotId([0; 20]))).map(|(.., id)| *id);
        let old: Vec<BallotId> = old.collect();
        old.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect()
    }

    /// The ATXs that are waited for.
    pub(super) fn atxs(&self) -> BTreeSet<AtxId> {
        self.needs.iter().filter_map(|(need, _)| if let Need::Atx(id) = need { Some(*id) } else { None }).collect()
    }

    /// How many ATXs ballots wait for that a peer gave.
    pub(super) fn atxs_of(&self, peer: Option<Peer>) -> usize {
        let ballots = self.shares.get(&peer).into_iter().flat_map(|share| &share.ballots);
        let needs = ballots.filter_map(|(_, id)| self.waiting.get(id)).map(|(need, _)| *need);
        needs.filter(|need| matches!(need, Need::Atx(_))).collect::<BTreeSet<_>>().len()
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

    /// Whether a ballot of somebody who counts waits for this one.
    pub(super) fn is_needed(&self, id: BallotId, counts: impl Fn(NodeId) -> bool) -> bool {
        let need = Need::Base(id);
        let waiting = self.needs.range((need, BallotId([0; 20]))..=(need, BallotId([0xff; 20])));
        waiting.filter_map(|(_, id)| self.waiting.get(id)).any(|(_, waiting)| counts(waiting.ballot.smesher))
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Beacon, Opinion, Signature};

    fn waiting(peer: u8, layer: u32, id: u8, differences: usize) -> (BallotId, Waiting) {
        let difference = crate::ballot::LayerVote { layer: Layer(1), vote: crate::ballot::Vote::Empty };
        let ballot = Ballot {
            layer: Layer(layer),
            atx: AtxId([1; 32]),
            beacon: Beacon([0; 4]),
            total_weight: 1,
            slots: Vec::new(),
            base: None,
            differences: vec![difference; differences],
            opinion: Opinion([0; 32]),
            content: [0; 32],
            smesher: NodeId([peer; 32]),
            signature: Signature([0; 64]),
        };
        let mut name = BallotId([peer; 20]);
        name.0[..4].copy_from_slice(&layer.to_be_bytes());
        name.0[4] = id;
        (name, Waiting { ballot, content: None, source: Source::Answer { peer: Peer([peer; 32]) } })
    }

    /// Who fills the room gives way to others, the latest first.
    #[test]
    fn who_gives_the_most_gives_way() {
        let mut parked = Parked::default();
        let need = Need::Base(BallotId([9; 20]));
        let (honest, ballot) = waiting(1, 7, 0, 3);
        assert!(parked.park(honest, need, ballot).is_empty());
        let mut evicted = Vec::new();
        for i in 0..2000 {
            let (id, ballot) = waiting(2, 10 + i, 0, 1000);
            evicted.extend(parked.park(id, need, ballot).into_iter().map(|(_, waiting)| waiting.ballot.layer));
            assert!(parked.bytes <= MAX_PARKED_BYTES);
        }
        assert!(evicted.len() > 1000 && evicted.iter().all(|layer| *layer >= Layer(10)));
        assert!(parked.has(honest));
        assert_eq!(parked.of(Layer(7), NodeId([1; 32])), 1);
        assert!(parked.is_needed(BallotId([9; 20]), |by| by == NodeId([1; 32])));
        let all = parked.len();
        assert_eq!(parked.older(Layer(8)).len(), 1);
        assert!(!parked.is_needed(BallotId([9; 20]), |by| by == NodeId([1; 32])));
        assert_eq!(parked.released(need).len(), all - 1);
        assert_eq!((parked.len(), parked.bytes, parked.shares.len(), parked.by_smesher.len()), (0, 0, 0, 0));
    }

    #[test]
    fn atxs_are_counted_by_peer() {
        let mut parked = Parked::default();
        for i in 0..10 {
            let (id, ballot) = waiting(1 + i % 2, 7, i, 0);
            parked.park(id, Need::Atx(AtxId([i / 4; 32])), ballot);
        }
        assert_eq!((parked.atxs_of(Some(Peer([1; 32]))), parked.atxs_of(Some(Peer([3; 32])))), (3, 0));
        assert_eq!(parked.atxs().len(), 3);
    }
}
