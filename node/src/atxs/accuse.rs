//! Fraud proofs: made of what this node has, and taken from others.

use std::collections::BTreeSet;

use post_core::verify::{Invalid, Mode};

use super::Atxs;
use super::judge::{Dear, Judgement, PostClaim};
use super::messages::{Effect, Reason};
use super::records::{Conflict, ConflictKind, Part, Record};
use super::strangers::Stranger;
use super::waiting::{Key, MAX_SOURCES};
use crate::archive::{Archive, ArchiveError, Write};
use crate::atx::Atx;
use crate::codec::{decode, encode};
use crate::fraud::{
    Fraud, FraudProof, Guilt, InvalidPost, MAX_FRAUD_BYTES, NotProven, Participation, SharedMarriage, Suspect, Wedding,
};
use crate::ids::{AtxId, NodeId};
use crate::source::{Source, Topic, Verdict};
use crate::time::Time;

/// At most so many fraud proofs wait for a label.
const MAX_ACCUSATIONS: usize = 64;

/// Somebody else's fraud proof, which waits for a label.
#[derive(Debug)]
pub(super) struct Accusation {
    culprit: NodeId,
    bytes: Vec<u8>,
    at: Time,
    /// Nobody waits for the verdict on one that was remembered (see [`super::strangers`]).
    sources: Vec<Source>,
}

impl Atxs {
    /// A fraud proof came.
    pub(super) fn take_fraud(&mut self, now: Time, bytes: Vec<u8>, source: Source, out: &mut Vec<Effect>) {
        let mut verdict = |verdict, why| out.push(Effect::Verdict { source, verdict, why });
        if bytes.len() > MAX_FRAUD_BYTES {
            return verdict(Verdict::Reject, Reason::TooLarge { len: bytes.len() });
        }
        let proof: FraudProof = match decode(&bytes) {
            Ok(proof) => proof,
            Err(error) => return verdict(Verdict::Reject, error.into()),
        };
        let culprit = proof.culprit;
        if self.records.is_convicted(culprit) {
            return verdict(Verdict::Ignore, Reason::Known);
        }
        let name = AtxId(blake3::hash(&bytes).into());
        if let Some(accusation) = self.accusations.get_mut(&name) {
            if accusation.sources.len() >= MAX_SOURCES {
                return verdict(Verdict::Ignore, Reason::Crowded);
            }
            accusation.sources.push(source);
            return;
        }
        if self.strangers.has(name) {
            return verdict(Verdict::Ignore, Reason::Stranger);
        }
        let suspect = match proof.check(&self.verifier) {
            Err(error) => return verdict(Verdict::Reject, error.into()),
            Ok(Guilt::Proven) => None,
            Ok(Guilt::IfMisses(suspect)) => Some(suspect),
        };
        // What is fetched before the node listens counts as known all the time, as far as it could be.
        let fetched = matches!(source, Source::Answer { .. }) && self.listening_since.is_none();
        let at = if fetched { now.min(self.params.timing.epoch_starts(proof.epoch(&self.params.timing))) } else { now };
        if !self.records.has_miner(culprit) {
            self.strangers.put(Stranger { name, culprit, bytes, at, suspect });
            return verdict(Verdict::Ignore, Reason::Stranger);
        }
        self.pursue(name, Accusation { culprit, bytes, at, sources: vec![source] }, suspect, out);
    }

    /// Applies a proof that proves something, at once or once the label was looked at.
    fn pursue(&mut self, name: AtxId, accusation: Accusation, suspect: Option<Suspect>, out: &mut Vec<Effect>) {
        match suspect {
            None => self.apply(accusation, out),
            Some(_) if self.accusations.len() >= MAX_ACCUSATIONS => {
                let (verdict, why) = (Verdict::Ignore, Reason::Crowded);
                let sources = accusation.sources.into_iter();
                out.extend(sources.map(|source| Effect::Verdict { source, verdict, why: why.clone() }));
            }
            Some(Suspect { proof, metadata, position }) => {
                let posts = vec![PostClaim { proof, metadata, mode: Mode::One(position) }];
                out.push(Effect::Judge(Dear { id: name, posts, vrf: None }));
                self.accusations.insert(name, accusation);
            }
        }
    }

    /// An ATX of `miners` was accepted: what was remembered of them counts from now on.
    pub(super) fn accuse_known(&mut self, miners: &BTreeSet<NodeId>, out: &mut Vec<Effect>) {
        for Stranger { name, culprit, bytes, at, suspect } in self.strangers.take(miners) {
            self.pursue(name, Accusation { culprit, bytes, at, sources: Vec::new() }, suspect, out);
        }
    }

    /// The label that decides has been looked at.
    pub(super) fn sentence(&mut self, accusation: Accusation, judgement: &Judgement, out: &mut Vec<Effect>) {
        if matches!(judgement, Judgement::InvalidPost { invalid, .. } if missing_label(invalid).is_some()) {
            return self.apply(accusation, out);
        }
        for source in accusation.sources {
            let why = Reason::NotProven(NotProven::NoMiss);
            out.push(Effect::Verdict { source, verdict: Verdict::Reject, why });
        }
    }

    fn apply(&mut self, accusation: Accusation, out: &mut Vec<Effect>) {
        let Accusation { culprit, bytes, at, sources } = accusation;
        // Another proof may have come first.
        let known = self.records.is_convicted(culprit);
        if !known {
            self.records.convict(culprit, at);
            // Those who gossip hand it on by themselves once there is a verdict; nobody does it for what is remembered, or
            // made by this node.
            let ours = sources.iter().all(|source| *source == Source::Own);
            let gossip = ours.then(|| Effect::Gossip { topic: Topic::Fraud, bytes: bytes.clone() });
            out.push(Effect::Persist(vec![Write::Fraud { node_id: culprit, received: at, bytes }]));
            out.push(Effect::Accused { node_id: culprit });
            out.extend(gossip);
        }
        let (verdict, why) = if known { (Verdict::Ignore, Reason::Known) } else { (Verdict::Accept, Reason::Good) };
        out.extend(sources.into_iter().map(|source| Effect::Verdict { source, verdict, why: why.clone() }));
    }

    /// Convicts by this node's own proofs and keeps them together with `writes`. What is to be gossiped after the verdicts.
    pub(super) fn convict_all(
        &mut self,
        proofs: Vec<(FraudProof, Time)>,
        mut writes: Vec<Write>,
        out: &mut Vec<Effect>,
    ) -> Vec<Effect> {
        let mut gossip = Vec::new();
        for (proof, at) in proofs {
            let node_id = proof.culprit;
            if self.records.is_convicted(node_id) {
                continue;
            }
            let bytes = encode(&proof);
            if !self.records.has_miner(node_id) {
                let name = AtxId(blake3::hash(&bytes).into());
                self.strangers.put(Stranger { name, culprit: node_id, bytes, at, suspect: None });
                continue;
            }
            self.records.convict(node_id, at);
            writes.push(Write::Fraud { node_id, received: at, bytes: bytes.clone() });
            gossip.push(Effect::Accused { node_id });
            gossip.push(Effect::Gossip { topic: Topic::Fraud, bytes });
        }
        if !writes.is_empty() {
            out.push(Effect::Persist(writes));
        }
        gossip
    }

    /// The proof that the ATX of `key` contradicts an accepted one, and when that could be known.
    pub(super) fn contradiction(
        &self,
        archive: &dyn Archive,
        key: &Key,
        new: &Record,
        conflict: Conflict,
    ) -> Result<(FraudProof, Time), ArchiveError> {
        let Conflict { culprit, kind, other } = conflict;
        let (Some(entry), Some(old)) = (self.pool.get(key), self.records.atx(other)) else { return Err(gone(other)) };
        let both = [(read(archive, other)?, old), ((*entry.received.atx).clone(), new)];
        let fraud = match kind {
            ConflictKind::DoubleMarriage => Fraud::DoubleMarriage(Box::new(
                both.map(|(atx, record)| Wedding { atx, index: index_of(record, culprit) }),
            )),
            ConflictKind::SameEpoch | ConflictKind::SamePrevious => {
                let [old, new] = both.map(|(atx, record)| self.participation(archive, atx, record, culprit));
                let both = Box::new([old?, new?]);
                if kind == ConflictKind::SameEpoch { Fraud::SameEpoch(both) } else { Fraud::SamePrevious(both) }
            }
        };
        Ok((FraudProof { culprit, fraud }, old.received.max(new.received)))
    }

    fn participation(
        &self,
        archive: &dyn Archive,
        atx: Atx,
        record: &Record,
        miner: NodeId,
    ) -> Result<Participation, ArchiveError> {
        let Some(id) = record.marriage else { return Ok(Participation { atx, marriage: None }) };
        let married = self.records.atx(id).ok_or_else(|| gone(id))?;
        let (miner, signer) = (index_of(married, miner), index_of(married, record.smesher));
        let marriage = read(archive, id)?;
        Ok(Participation { atx, marriage: Some(SharedMarriage { marriage, miner, signer }) })
    }

    /// The proof that a label of the ATX being judged misses; `None` when something else is wrong with the post.
    pub(super) fn invalid_post(
        &self,
        archive: &dyn Archive,
        id: AtxId,
        post: Option<usize>,
        invalid: &Invalid,
    ) -> Result<Option<FraudProof>, ArchiveError> {
        let Some((key, examined)) = self.pool.judged(id) else { return Ok(None) };
        let (Some(entry), record) = (self.pool.get(&key), &examined.record) else { return Ok(None) };
        let (Some(position), Some(part)) = (missing_label(invalid), record.parts.get(post.unwrap_or(0))) else {
            return Ok(None);
        };
        let &Part { node_id: miner, initial, .. } = part;
        let fraud = Fraud::InvalidPost(Box::new(InvalidPost {
            atx: (*entry.received.atx).clone(),
            post: post.and_then(|post| u32::try_from(post).ok()),
            position,
            miner,
            marriage: record.marriage.map(|id| read(archive, id)).transpose()?,
            initial: if initial == id { None } else { Some(read(archive, initial)?) },
        }));
        Ok(Some(FraudProof { culprit: record.smesher, fraud }))
    }
}

/// The position of the label, if it is one that makes a proof invalid.
fn missing_label(invalid: &Invalid) -> Option<u32> {
    match *invalid {
        Invalid::InvalidMsb { index_id, .. } | Invalid::InvalidLsb { index_id, .. } => Some(index_id),
        _ => None,
    }
}

/// The number of a miner's marriage; it is there.
fn index_of(marriage: &Record, miner: NodeId) -> u32 {
    let index = marriage.married.iter().position(|node_id| *node_id == miner);
    index.and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX)
}

fn gone(id: AtxId) -> ArchiveError {
    ArchiveError(format!("ATX {id} was kept and is gone"))
}

fn read(archive: &dyn Archive, id: AtxId) -> Result<Atx, ArchiveError> {
    let kept = archive.atx(id)?.ok_or_else(|| gone(id))?;
    decode(&kept.bytes).map_err(|error| ArchiveError(format!("ATX {id}: {error}")))
}
