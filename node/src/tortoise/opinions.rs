//! Opinions: what a ballot says of all layers before its own, as a chain of votes that its hash stands for.
//!
//! Ballots that say the same share the same chain, so it is kept once.

use std::collections::BTreeMap;

use crate::ballot::{LayerVote, Vote};
use crate::codec::{DecodeError, Reader, Scale};
use crate::ids::{Layer, Opinion};

/// The opinion of a ballot that has no layer before it.
pub const START: Opinion = Opinion([0; 32]);

/// A chain is followed no further than over so many layers.
const MAX_WALK: u32 = 1 << 14;

/// A chain's last vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// On which layer.
    pub layer: Layer,
    /// What.
    pub vote: Vote,
    /// The chain before it.
    pub before: Opinion,
}

/// The votes of a ballot from where it differs from its base.
#[derive(Debug, Default)]
pub struct Chain(Vec<Link>);

impl Link {
    /// The chain that ends with it.
    #[must_use]
    pub fn opinion(&self) -> Opinion {
        extend(self.before, self.vote)
    }
}

impl Scale for Link {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.layer.encode_to(out);
        self.vote.encode_to(out);
        self.before.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            layer: Layer::decode_from(input)?,
            vote: Vote::decode_from(input)?,
            before: Opinion::decode_from(input)?,
        })
    }
}

/// Why votes make no opinion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpinionError {
    /// They go back to layers that are long final.
    #[error("it differs from its base in layers that are long final, or its base is too far back")]
    TooOld,
    /// They come to another one than the ballot says.
    #[error("its votes do not come to the opinion it says")]
    Other,
}

/// The opinion after one more layer (NODE.md section 6). A chain begins with nothing.
#[must_use]
pub fn extend(before: Opinion, vote: Vote) -> Opinion {
    let mut hasher = blake3::Hasher::new();
    if before != START {
        hasher.update(&before.0);
    }
    match vote {
        Vote::Abstain => {
            hasher.update(&[0]);
        }
        Vote::Empty => {}
        Vote::Block { id, height } => {
            hasher.update(&id.0).update(&height.to_le_bytes());
        }
    }
    Opinion(hasher.finalize().into())
}

/// All chains that are known.
#[derive(Debug, Default)]
pub(super) struct Opinions {
    links: BTreeMap<Opinion, Link>,
    /// Those that are to be kept on disk.
    fresh: Vec<Link>,
}

impl Opinions {
    /// The last vote of a chain; none at its start, or where it is forgotten.
    pub(super) fn link(&self, opinion: Opinion) -> Option<&Link> {
        self.links.get(&opinion)
    }

    /// The votes of a chain, the latest first.
    pub(super) fn back(&self, opinion: Opinion) -> impl Iterator<Item = &Link> {
        std::iter::successors(self.link(opinion), |link| self.link(link.before))
    }

    /// Adds a vote on `layer` to a chain.
    pub(super) fn grow(&mut self, before: Opinion, layer: Layer, vote: Vote) -> Opinion {
        let link = Link { layer, vote, before };
        self.insert(link.opinion(), link);
        link.opinion()
    }

    fn insert(&mut self, opinion: Opinion, link: Link) {
        if self.links.insert(opinion, link).is_none() {
            self.fresh.push(link);
        }
    }

    /// Takes one back that was kept.
    pub(super) fn restore(&mut self, link: Link) {
        self.links.insert(link.opinion(), link);
    }

    /// Those that came since the last call.
    pub(super) fn take_fresh(&mut self) -> Vec<Link> {
        std::mem::take(&mut self.fresh)
    }

    /// The chain of a ballot of `layer`: that of its base of `base_layer`, with `differences`, ascending. Layers that are in
    /// neither are empty. It must come to `wanted`. Nothing of it is kept yet.
    pub(super) fn derive(
        &self,
        base: Opinion,
        base_layer: Layer,
        layer: Layer,
        differences: &[LayerVote],
        wanted: Opinion,
    ) -> Result<Chain, OpinionError> {
        let first = differences.first().map_or(base_layer, |first| first.layer.min(base_layer));
        if layer.since(first) > MAX_WALK {
            return Err(OpinionError::TooOld);
        }
        // Back to the layer before the first difference; what the base says from there on.
        let (mut at, mut said) = (base, Vec::new());
        let mut reached = base_layer;
        while reached > first {
            let link = self.link(at).ok_or(OpinionError::TooOld)?;
            said.push(link.vote);
            (at, reached) = (link.before, link.layer);
        }
        let mut differences = differences.iter().peekable();
        let mut links = Vec::new();
        let mut layer_at = first;
        while layer_at < layer {
            let base_vote = said.pop().unwrap_or(Vote::Empty);
            let vote = differences.next_if(|difference| difference.layer == layer_at).map_or(base_vote, |it| it.vote);
            let opinion = extend(at, vote);
            links.push(Link { layer: layer_at, vote, before: at });
            (at, layer_at) = (opinion, layer_at.next());
        }
        if at != wanted {
            return Err(OpinionError::Other);
        }
        Ok(Chain(links))
    }

    /// Keeps a chain.
    pub(super) fn keep(&mut self, Chain(links): Chain) {
        links.into_iter().for_each(|link| self.insert(link.opinion(), link));
    }

    /// What has to be said beyond `base`, a chain of a ballot of `base_layer`, to come to `own`, the chain of a ballot of a
    /// later or the same layer; `None` when that is unknown or too much.
    pub(super) fn differences(
        &self,
        base: Opinion,
        base_layer: Layer,
        own: Opinion,
        most: usize,
    ) -> Option<Vec<LayerVote>> {
        let mut differences = Vec::new();
        let (mut ours, mut theirs) = (own, base);
        loop {
            if ours == theirs {
                break;
            }
            let link = self.link(ours)?;
            let said = if link.layer >= base_layer {
                Vote::Empty
            } else {
                let said = self.link(theirs)?;
                theirs = said.before;
                said.vote
            };
            if link.vote != said {
                if differences.len() >= most {
                    return None;
                }
                differences.push(LayerVote { layer: link.layer, vote: link.vote });
            }
            ours = link.before;
        }
        differences.reverse();
        Some(differences)
    }

    /// Forgets all votes on layers before `before`.
    pub(super) fn forget(&mut self, before: Layer) {
        self.links.retain(|_, link| link.layer >= before);
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::BlockId;

    fn block(i: u8) -> Vote {
        Vote::Block { id: BlockId([i; 20]), height: 10 }
    }

    #[test]
    fn check_values_of_one_layer() {
        let hex = |vote| hex::encode(&extend(START, vote).0[..5]);
        assert_eq!(hex(Vote::Empty), "af1349b9f5");
        assert_eq!(hex(Vote::Abstain), "2d3adedff1");
        // Pinned: the id's 20 bytes, then 10 as eight bytes, little-endian.
        let bytes = [&[1; 20][..], &10u64.to_le_bytes()].concat();
        assert_eq!(extend(START, block(1)).0, *blake3::hash(&bytes).as_bytes());
        assert_eq!(hex(block(1)), "8051351e67");
    }

    /// Any two chains: the differences of one from the other bring it back.
    #[test]
    fn differences_bring_a_chain_back() {
        let votes = [Vote::Abstain, Vote::Empty, block(1), block(2)];
        let first = Layer(20);
        let chain = |opinions: &mut Opinions, number: usize, len: u32| {
            let mut opinion = START;
            for i in 0..len {
                opinion = opinions.grow(opinion, first.after(i), votes[number >> (2 * i) & 3]);
            }
            opinion
        };
        for base in 0..64 {
            for own in (0..256).step_by(3) {
                for len in [3, 4] {
                    let mut all = Opinions::default();
                    let (theirs, ours) = (chain(&mut all, base, 3), chain(&mut all, own, len));
                    let differences = all.differences(theirs, first.after(3), ours, 10).unwrap();
                    let mut others = Opinions::default();
                    assert_eq!(chain(&mut others, base, 3), theirs);
                    let layer = first.after(len);
                    let derived = others.derive(theirs, first.after(3), layer, &differences, ours).unwrap();
                    others.keep(derived);
                    assert!(others.back(ours).eq(all.back(ours)));
                    let mut wrong = Opinions::default();
                    chain(&mut wrong, base, 3);
                    let before = wrong.len();
                    let error = wrong.derive(theirs, first.after(3), layer, &differences, Opinion([9; 32]));
                    assert_eq!((error.unwrap_err(), wrong.len()), (OpinionError::Other, before));
                }
            }
        }
    }

    #[test]
    fn what_is_forgotten_or_far_is_too_old() {
        let mut all = Opinions::default();
        let mut opinion = START;
        for i in 0..10 {
            opinion = all.grow(opinion, Layer(i), block(1));
        }
        all.forget(Layer(5));
        let late = [LayerVote { layer: Layer(3), vote: Vote::Empty }];
        assert_eq!(all.derive(opinion, Layer(10), Layer(11), &late, START).unwrap_err(), OpinionError::TooOld);
        assert_eq!(all.derive(opinion, Layer(10), Layer(u32::MAX), &[], START).unwrap_err(), OpinionError::TooOld);
        assert_eq!(all.back(opinion).count(), 5);
    }
}
