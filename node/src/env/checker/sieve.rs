//! The cheap checks: size, the very same bytes again, encoding, signature.
//!
//! Signatures are checked many at once. A wrong one among them costs a second look at all, so batches are made of peers
//! that have shown right ones (see [`super::standing`]), and one that fails is looked at again peer by peer: what a peer
//! sends makes its own messages dear, not those of the others. What is wrong is remembered, what is right too.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::event::{CheckerEvent, Why};
use super::meters::{Meters, add_time};
use super::recent::{Hash, Recent};
use super::standing::Standings;
use super::waiting::Message;
use crate::atx::{Junk, MAX_ATX_BYTES, Received};
use crate::ids::AtxId;
use crate::signature::{Signed, Verifier};
use crate::source::{Peer, Source};

/// Sorts good messages from junk.
pub struct Sieve {
    verifier: Verifier,
    recent: Recent,
    standings: Standings,
    meters: Arc<Meters>,
}

/// A message that got past the decoder, or is the same as one that did.
struct Candidate {
    source: Source,
    what: What,
}

enum What {
    /// Its signature is to be checked, or was found right before.
    Atx {
        received: Box<Received>,
        hash: Hash,
        known_right: bool,
    },
    /// The bytes of the candidate at this position.
    SameAs(usize, AtxId),
    Junk(Why, Option<AtxId>),
}

impl Sieve {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(verifier: Verifier, meters: Arc<Meters>) -> Self {
        Self { verifier, recent: Recent::default(), standings: Standings::default(), meters }
    }

    /// What is to be said of each message, in their order.
    #[must_use]
    pub fn sift(&mut self, messages: Vec<Message>) -> Vec<CheckerEvent> {
        let start = Instant::now();
        let candidates = self.decode(messages);
        let signing = Instant::now();
        let right = self.check_signatures(&candidates);
        add_time(&self.meters.signatures_us, signing);
        let events = self.sort(candidates, &right);
        add_time(&self.meters.sieve_us, start);
        events
    }

    /// Everything but the signatures.
    fn decode(&mut self, messages: Vec<Message>) -> Vec<Candidate> {
        let mut seen = HashMap::new();
        let candidate = |(position, Message { source, bytes }): (usize, Message)| {
            let what = self.look_at(source, &bytes, position, &mut seen);
            Candidate { source, what }
        };
        messages.into_iter().enumerate().map(candidate).collect()
    }

    fn look_at(&self, source: Source, bytes: &[u8], position: usize, seen: &mut HashMap<Hash, (usize, AtxId)>) -> What {
        let Meters { junk_too_large, junk_encoding, junk_known, known_good, .. } = &*self.meters;
        if bytes.len() > MAX_ATX_BYTES {
            junk_too_large.fetch_add(1, Relaxed);
            return What::Junk(Junk::TooLarge { len: bytes.len() }.into(), None);
        }
        let hash = *blake3::hash(bytes).as_bytes();
        if let Some((first, id)) = seen.get(&hash) {
            return What::SameAs(*first, *id);
        }
        let known = self.recent.get(&hash);
        if known == Some(false) {
            junk_known.fetch_add(1, Relaxed);
            // Decoded once more only if somebody waits for it.
            let id = is_answer(source).then(|| Received::decode(bytes).ok()).flatten().map(|received| received.id);
            return What::Junk(Why::Signature, id);
        }
        match Received::decode(bytes) {
            Ok(received) => {
                let received = Box::new(received);
                let known_right = known.is_some();
                known_good.fetch_add(u64::from(known_right), Relaxed);
                seen.insert(hash, (position, received.id));
                What::Atx { received, hash, known_right }
            }
            Err(junk) => {
                junk_encoding.fetch_add(1, Relaxed);
                What::Junk(junk.into(), None)
            }
        }
    }

    /// For each candidate whether its signature is right, as far as it has one of its own.
    fn check_signatures(&mut self, candidates: &[Candidate]) -> Vec<bool> {
        let mut right = vec![true; candidates.len()];
        let (mut common, mut single) = (Vec::new(), Vec::new());
        for (position, candidate) in candidates.iter().enumerate() {
            if let What::Atx { received, known_right: false, .. } = &candidate.what {
                let peer = candidate.source.peer();
                let checked = (position, peer, received.signed());
                if self.standings.trusted(peer) { common.push(checked) } else { single.push(checked) }
            }
        }
        self.meters.signatures_single.fetch_add(single.len() as u64, Relaxed);
        for (position, _, signed) in single {
            right[position] = self.verifier.holds(&signed);
        }
        for wrong in self.wrong_in_common(&common) {
            right[wrong] = false;
        }
        for (candidate, right) in candidates.iter().zip(&right) {
            if let What::Atx { hash, known_right: false, .. } = candidate.what {
                self.recent.put(hash, *right);
                self.standings.note(candidate.source.peer(), *right);
            }
        }
        right
    }

    /// The positions of the wrong ones among those of trusted peers.
    fn wrong_in_common(&self, common: &[(usize, Option<Peer>, Signed<'_>)]) -> Vec<usize> {
        let Meters { signatures_batched, signature_batches, signature_batches_failed, .. } = &*self.meters;
        if common.is_empty() {
            return Vec::new();
        }
        signatures_batched.fetch_add(common.len() as u64, Relaxed);
        signature_batches.fetch_add(1, Relaxed);
        let all: Vec<_> = common.iter().map(|(.., signed)| *signed).collect();
        if self.verifier.all_hold(&all) {
            return Vec::new();
        }
        signature_batches_failed.fetch_add(1, Relaxed);
        let mut by_peer: BTreeMap<_, (Vec<_>, Vec<_>)> = BTreeMap::new();
        for (position, peer, signed) in common {
            let (positions, its_own) = by_peer.entry(*peer).or_default();
            positions.push(*position);
            its_own.push(*signed);
        }
        let wrong_of_peer = |(positions, its_own): (Vec<usize>, Vec<Signed<'_>>)| {
            let wrong = self.verifier.wrong_among(&its_own);
            wrong.into_iter().filter_map(move |at| positions.get(at).copied())
        };
        by_peer.into_values().flat_map(wrong_of_peer).collect()
    }

    /// What to say of each candidate.
    fn sort(&mut self, candidates: Vec<Candidate>, right: &[bool]) -> Vec<CheckerEvent> {
        let mut events: Vec<CheckerEvent> = Vec::with_capacity(candidates.len());
        for (position, Candidate { source, what }) in candidates.into_iter().enumerate() {
            let event = match what {
                What::Junk(why, id) => CheckerEvent::Junk { source, id, why },
                What::Atx { received, .. } if right.get(position) == Some(&true) => {
                    self.meters.good.fetch_add(1, Relaxed);
                    CheckerEvent::Atx { received, source }
                }
                What::Atx { received, .. } => {
                    self.meters.junk_signature.fetch_add(1, Relaxed);
                    let id = is_answer(source).then_some(received.id);
                    CheckerEvent::Junk { source, id, why: Why::Signature }
                }
                // The first one came earlier in the list, so what is said of it is known.
                What::SameAs(first, id) => match events.get(first) {
                    Some(CheckerEvent::Atx { received, .. }) => {
                        self.meters.known_good.fetch_add(1, Relaxed);
                        self.meters.good.fetch_add(1, Relaxed);
                        CheckerEvent::Atx { received: received.clone(), source }
                    }
                    _ => {
                        self.meters.junk_known.fetch_add(1, Relaxed);
                        self.standings.note(source.peer(), false);
                        CheckerEvent::Junk { source, id: is_answer(source).then_some(id), why: Why::Signature }
                    }
                },
            };
            events.push(event);
        }
        events
    }
}

fn is_answer(source: Source) -> bool {
    matches!(source, Source::Answer { .. })
}
