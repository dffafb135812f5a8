//! What is needed by name, and who may still be asked for it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Delivery, Effect};
use crate::atx::Received;
use crate::ids::{AtxId, Challenge};
use crate::reconcile::Lie;
use crate::source::Peer;
use crate::wire::{Request, Response};

/// So many are remembered; who needs more asks again.
const MAX_WANTED: usize = 8192;
/// So many ATXs are asked for at once.
const MAX_ASKED: usize = 64;
/// So many peers are asked, then it is given up.
const MAX_ASKED_PEERS: usize = 4;

/// Something needed by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// PoET proofs first: many ATXs wait for one.
    Poet(Challenge),
    Atx(AtxId),
}

#[derive(Clone, Debug, Default)]
struct Hunt {
    /// Who should have it, and was not asked yet.
    from: Option<Peer>,
    /// Who was asked in vain.
    asked: BTreeSet<Peer>,
    /// Whether somebody is being asked.
    out: bool,
}

/// All that is needed by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Fetches {
    hunts: BTreeMap<Wanted, Hunt>,
}

impl Fetches {
    pub(super) fn add(&mut self, atxs: &[AtxId], poets: &[Challenge], from: Option<Peer>) {
        let wanted = poets.iter().map(|id| Wanted::Poet(*id)).chain(atxs.iter().map(|id| Wanted::Atx(*id)));
        for wanted in wanted {
            if self.hunts.len() < MAX_WANTED || self.hunts.contains_key(&wanted) {
                let hunt = self.hunts.entry(wanted).or_default();
                hunt.from = from.filter(|peer| !hunt.asked.contains(peer)).or(hunt.from);
            }
        }
    }

    /// What to ask a peer for. Who should have something is asked before all others, as long as it is there.
    pub(super) fn next(&mut self, peer: Peer) -> Option<(Request, Vec<Wanted>)> {
        let mut wanted = Vec::new();
        for (name, hunt) in &mut self.hunts {
            let fits = match (wanted.first(), name) {
                (None, _) => true,
                (Some(Wanted::Poet(_)), _) | (Some(Wanted::Atx(_)), Wanted::Poet(_)) => break,
                (Some(Wanted::Atx(_)), Wanted::Atx(_)) => wanted.len() < MAX_ASKED,
            };
            if !fits {
                break;
            }
            if !hunt.out && hunt.from.is_none_or(|from| from == peer) && !hunt.asked.contains(&peer) {
                hunt.out = true;
                wanted.push(*name);
            }
        }
        let request = match wanted.first()? {
            Wanted::Poet(id) => Request::Poet(*id),
            Wanted::Atx(_) => {
                let id = |wanted: &Wanted| match wanted {
                    Wanted::Atx(id) => Some(*id),
                    Wanted::Poet(_) => None,
                };
                Request::Atxs(wanted.iter().filter_map(id).collect())
            }
        };
        Some((request, wanted))
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
            return self.poet(peer, first, items.into_iter().map(|item| item.0).collect());
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
                self.hunts.remove(&name);
            } else if i < looked_up || given.is_empty() {
                self.in_vain(peer, name);
            } else if let Some(hunt) = self.hunts.get_mut(&name) {
                hunt.out = false;
            }
        }
        Ok(given.into_values().map(Delivery::Atx).collect())
    }

    fn poet(&mut self, peer: Peer, name: Wanted, items: Vec<Vec<u8>>) -> Result<Vec<Delivery>, Lie> {
        match items.len() {
            0 => self.in_vain(peer, name),
            1 => {
                self.hunts.remove(&name);
            }
            _ => {
                self.in_vain(peer, name);
                return Err(Lie::Kind);
            }
        }
        Ok(items.into_iter().map(Delivery::Poet).collect())
    }

    /// Gives up what nobody of `peers` can be asked for any more; who is gone doesn't count as who should have it.
    pub(super) fn give_up<'a>(&mut self, peers: impl Iterator<Item = &'a Peer>, out: &mut Vec<Effect>) {
        if self.hunts.is_empty() {
            return;
        }
        let peers: BTreeSet<Peer> = peers.copied().collect();
        let (mut atxs, mut poets) = (Vec::new(), Vec::new());
        self.hunts.retain(|name, hunt| {
            hunt.from.take_if(|from| !peers.contains(from));
            if hunt.out || (hunt.asked.len() < MAX_ASKED_PEERS && !peers.is_subset(&hunt.asked)) {
                return true;
            }
            match name {
                Wanted::Atx(id) => atxs.push(*id),
                Wanted::Poet(id) => poets.push(*id),
            }
            false
        });
        if !atxs.is_empty() || !poets.is_empty() {
            out.push(Effect::NotFound { atxs, poets });
        }
    }
}
