//! The machine that knows ATXs: which are valid, what they weigh, who is a fraud (NODE.md sections 1 and 3).
//!
//! Checks go from cheap to dear. What is known, malformed or from the future goes at once. What an ATX names has to be
//! known first: it is parked, and the sender is asked for what is missing. Then come the rules that look at what it names
//! ([`Wrong`]), then labels and hashes, which others compute ([`Dear`]). An ATX that holds is kept, and compared with what
//! its miners did before: who contradicts itself is convicted by a [`FraudProof`].
//!
//! An ATX without weight, because it came late or its miners are frauds, is kept all the same: honest ATXs may build on
//! it. But no more than two a miner and epoch, unless another ATX names it, and it is not handed on.
//!
//! Which ATXs are valid and who is a fraud does not depend on the order in which things come. Memory sets the bounds: of
//! what strangers can make at no cost, parked ATXs and fraud proofs of miners without an ATX, the oldest goes when there is
//! too much, and counts when it comes again.

mod accuse;
mod context;
pub mod judge;
mod messages;
mod records;
mod restore;
mod strangers;
mod waiting;
mod weight;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use context::{Need, Wrong};
pub use judge::{Dear, Judgement, PostClaim, VrfClaim};
pub use messages::{Effect, Input, Reason};
pub use records::{Part, PoetRecord, Record};
pub use restore::RestoreError;

use accuse::Accusation;
use context::{Rules, check_names, needs};
use records::Records;
use strangers::Strangers;
use waiting::{Key, Lost, Pool};

use crate::archive::{Archive, ArchiveError, Write};
use crate::atx::{Atx, Received};
use crate::codec::encode;
use crate::fraud::FraudProof;
use crate::ids::{AtxId, Epoch};
use crate::params::NodeParams;
use crate::poet::PoetProof;
use crate::signature::Verifier;
use crate::source::{Peer, Source, Topic, Verdict};
use crate::time::Time;

/// Of so many rejected ATXs it is remembered why, so that they are not judged again.
const MAX_REJECTED: usize = 4096;
/// So many ATXs of one miner and epoch show that it is a fraud; more are of no use.
const ENOUGH_OF_EPOCH: usize = 2;
/// So often it is looked for what was asked for too long ago.
const SWEEP_MS: u64 = 10_000;

/// All ATXs a node knows.
#[derive(Debug)]
pub struct Atxs {
    params: NodeParams,
    verifier: Verifier,
    /// This node's own peer id: no prover can know which labels are looked at here.
    seed: Vec<u8>,
    records: Records,
    pool: Pool,
    rejected: BTreeMap<Key, Reason>,
    /// The keys of `rejected`, the oldest first.
    rejected_order: VecDeque<Key>,
    /// Fraud proofs that wait for a label, by their hash.
    accusations: BTreeMap<AtxId, Accusation>,
    /// Fraud proofs of miners of whom no ATX is known.
    strangers: Strangers,
    listening_since: Option<Time>,
    swept: Time,
}

impl Atxs {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(params: &NodeParams, verifier: Verifier, own: Peer) -> Self {
        Self {
            params: params.clone(),
            verifier,
            seed: own.0.to_vec(),
            records: Records::default(),
            pool: Pool::default(),
            rejected: BTreeMap::new(),
            rejected_order: VecDeque::new(),
            accusations: BTreeMap::new(),
            strangers: Strangers::default(),
            listening_since: None,
            swept: Time(0),
        }
    }

    /// One step. `out` gets what is to be done, in this order.
    ///
    /// # Errors
    /// Evidence could not be read from the archive. The state is as if the input had not come; a node can't go on.
    pub fn step(
        &mut self,
        now: Time,
        archive: &dyn Archive,
        input: Input,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        self.pool.at(now);
        match input {
            Input::Atx { received, source } => self.take_atx(now, received, source, out),
            Input::Poet { proof, source } => self.take_poet(&proof, source, out),
            Input::Fraud { bytes, source } => self.take_fraud(now, bytes, source, out),
            Input::Judged { id, judgement } => self.take_judgement(archive, id, judgement, out)?,
            Input::Missing { what, from } => self.lost(what, &[from], false, out),
            Input::PeerGone { peer } => {
                let queued = self.pool.queued_of(peer).into_iter();
                self.fail(queued.map(|key| (key, Verdict::Ignore, Reason::Gone)).collect(), out);
            }
            Input::Tick => self.sweep(now, out),
            Input::Listening => self.listening_since = self.listening_since.or(Some(now)),
        }
        while let Some(key) = self.pool.next_in_turn() {
            // It may have queued for long.
            let examined = self.pool.get(&key).and_then(|entry| entry.examined.as_deref());
            if examined.is_some_and(|examined| self.is_superfluous(&examined.record)) {
                self.fail(vec![(key, Verdict::Ignore, Reason::Fraud)], out);
            } else {
                out.extend(self.pool.give(&key).map(Effect::Judge));
            }
        }
        Ok(())
    }

    /// Gives up answers that don't come, whoever forgot them.
    fn sweep(&mut self, now: Time, out: &mut Vec<Effect>) {
        if now.since(self.swept) < SWEEP_MS {
            return;
        }
        self.swept = now;
        for (need, asked) in self.pool.overdue() {
            self.lost(need, &[asked], false, out);
        }
    }

    /// The checks that need nothing but the ATX; parks it, or goes on.
    fn take_atx(&mut self, now: Time, received: Received, source: Source, out: &mut Vec<Effect>) {
        let key = (received.id, received.atx.smesher);
        if let Some((verdict, why)) = self.at_once(now, &received) {
            if source == Source::Own && verdict == Verdict::Reject {
                out.push(Effect::Refused { id: received.id, why: why.clone() });
            }
            out.push(Effect::Verdict { source, verdict, why });
            self.lost(Need::Atx(received.id), source.peer().as_slice(), is_answer(&source), out);
            return;
        }
        // Each delivery is counted, and two may be on their way: one by its name, one in a range.
        if is_answer(&source) && self.pool.waits(&key, source) {
            out.push(Effect::Verdict { source, verdict: Verdict::Ignore, why: Reason::Known });
            return;
        }
        match self.pool.join(&key, source) {
            Some(true) => return,
            Some(false) => {
                out.push(Effect::Verdict { source, verdict: Verdict::Ignore, why: Reason::Crowded });
                return;
            }
            None => {}
        }
        let missing = self.missing(&received.atx);
        let at = self.arrival(now, source, received.atx.publish_epoch);
        let complete = missing.is_empty();
        self.pool.add(received, at, source, missing);
        if complete {
            self.examine(vec![key], out);
        } else if let Some(from) = source.peer() {
            let ask = self.pool.ask_next(&key, from);
            fetch(ask, from, out);
        }
        while let Some(key) = self.pool.surplus(source.peer()) {
            self.fail(vec![(key, Verdict::Ignore, Reason::Crowded)], out);
        }
    }

    /// The verdict on an ATX that needs nothing else, if there is one.
    fn at_once(&self, now: Time, received: &Received) -> Option<(Verdict, Reason)> {
        let Received { atx, id, .. } = received;
        if self.records.has(*id) {
            return Some((Verdict::Ignore, Reason::Known));
        }
        // Before all that goes by the id: an ATX that breaks these rules may bear the id of one that doesn't.
        if let Err(error) = atx.check() {
            return Some((Verdict::Reject, error.into()));
        }
        if let Some(why) = self.rejected.get(&(*id, atx.smesher)) {
            return Some((Verdict::Reject, why.clone()));
        }
        if let Err(wrong) = check_names(atx, self.params.golden_atx()) {
            return Some((Verdict::Reject, wrong.into()));
        }
        let timing = &self.params.timing;
        let epoch = atx.publish_epoch;
        // Clocks may differ a little; by more than an epoch they don't.
        let ahead = |epochs: u32, epoch: Epoch| {
            timing.epoch_at(now.after(timing.delta_ms)).is_none_or(|now| epoch.0 > now.0.saturating_add(epochs))
        };
        let why = Reason::Early { epoch };
        if ahead(1, epoch) {
            return Some((Verdict::Reject, why));
        }
        ahead(0, epoch).then_some((Verdict::Ignore, why))
    }

    /// When an ATX counts as received. One that is fetched was published before, nobody knows when; it could have come in
    /// time if the node had listened then.
    fn arrival(&self, now: Time, source: Source, epoch: Epoch) -> Time {
        let timing = &self.params.timing;
        let deadline = timing.epoch_starts(epoch.next()).before(timing.delta_ms.saturating_mul(4));
        let listened = self.listening_since.is_some_and(|since| since < deadline);
        match source {
            Source::Answer { .. } if !listened => now.min(timing.epoch_starts(epoch)),
            _ => now,
        }
    }

    /// What an ATX names that is not known.
    fn missing(&self, atx: &Atx) -> BTreeSet<Need> {
        let mut missing = needs(atx, self.params.golden_atx());
        missing.retain(|need| match need {
            Need::Atx(id) => !self.records.has(*id),
            Need::Poet(id) => self.records.poet(*id).is_none(),
        });
        missing
    }

    fn take_poet(&mut self, proof: &PoetProof, source: Source, out: &mut Vec<Effect>) {
        let id = proof.id();
        let need = Need::Poet(id);
        let mut verdict = |verdict, why| out.push(Effect::Verdict { source, verdict, why });
        if self.records.poet(id).is_some() {
            return verdict(Verdict::Ignore, Reason::Known);
        }
        // Anybody can make small PoETs, so nobody is made to keep them.
        if source != Source::Own && !self.pool.is_wanted(&need) {
            return verdict(Verdict::Ignore, Reason::Unasked);
        }
        let poet = self.poet_record(proof);
        let wrong = proof.verify().err().map(Reason::Poet).or((poet.ticks == 0).then_some(Reason::NoTicks));
        if let Some(why) = wrong {
            verdict(Verdict::Reject, why);
            // The id is that of all its bytes: there is no better one.
            let waiters = self.pool.waiters(&need);
            let of_waiter = |key: Key| {
                let nipost = self.pool.get(&key)?.received.atx.niposts.iter().position(|n| n.challenge == id)?;
                Some((key, Verdict::Reject, Wrong::NoTicks { nipost }.into()))
            };
            let failing = waiters.into_iter().filter_map(of_waiter).collect();
            return self.fail(failing, out);
        }
        out.push(Effect::Persist(vec![Write::Poet { id, bytes: encode(proof) }]));
        out.push(Effect::Verdict { source, verdict: Verdict::Accept, why: Reason::Good });
        self.records.insert_poet(id, poet);
        let complete = self.pool.satisfy(&need);
        self.examine(complete, out);
    }

    fn poet_record(&self, proof: &PoetProof) -> PoetRecord {
        PoetRecord { statement: proof.statement, ticks: proof.leaves / self.params.tick_size.max(1) }
    }

    /// The rules that look at what an ATX names; then it queues for the judge.
    fn examine(&mut self, complete: Vec<Key>, out: &mut Vec<Effect>) {
        for key in complete {
            let Some(entry) = self.pool.get(&key) else { continue };
            let rules =
                Rules { params: &self.params, verifier: &self.verifier, seed: &self.seed, records: &self.records };
            match rules.examine(&entry.received, entry.at) {
                Err(wrong) => self.fail(vec![(key, Verdict::Reject, wrong.into())], out),
                Ok(examined) if self.is_superfluous(&examined.record) => {
                    self.fail(vec![(key, Verdict::Ignore, Reason::Fraud)], out);
                }
                Ok(examined) => self.pool.enqueue(key, examined),
            }
        }
    }

    /// Whether there are enough ATXs of a fraud's, and nobody needs this one. Those with the judge count for who signed
    /// them, not for those in whose name they are: these may be no frauds.
    fn is_superfluous(&self, record: &Record) -> bool {
        let accepted = |node_id| self.records.of_epoch(node_id, record.epoch).take(ENOUGH_OF_EPOCH).count();
        let enough = |part: &Part| accepted(part.node_id) >= ENOUGH_OF_EPOCH;
        let signed = self.pool.signed(record.smesher, record.epoch) + accepted(record.smesher);
        let wanted = self.pool.is_wanted(&Need::Atx(record.id));
        !wanted && (signed >= ENOUGH_OF_EPOCH || record.parts.iter().any(enough))
    }

    fn take_judgement(
        &mut self,
        archive: &dyn Archive,
        id: AtxId,
        judgement: Judgement,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        if let Some(accusation) = self.accusations.remove(&id) {
            self.sentence(accusation, &judgement, out);
            return Ok(());
        }
        let Some((key, examined)) = self.pool.judged(id) else { return Ok(()) };
        match judgement {
            Judgement::Valid => self.accept(archive, id, None, out)?,
            Judgement::InvalidVrf => self.fail(vec![(key, Verdict::Reject, Reason::Vrf)], out),
            Judgement::InvalidPost { post, invalid } => {
                let initial = usize::from(examined.record.parts.iter().any(|part| part.previous.is_none()));
                let why = Reason::Post { post: post.checked_sub(initial), invalid: invalid.clone() };
                // Nobody but this node has its own ATX: a bad label costs an epoch, and no conviction.
                let own = self.pool.get(&key).is_some_and(|entry| entry.sources.contains(&Source::Own));
                let proof = match own {
                    true => None,
                    false => self.invalid_post(archive, id, post.checked_sub(initial), &invalid)?,
                };
                // Who looks at some of the labels only could not know of a bad one: nobody is blamed for handing the ATX
                // on, and honest ATXs may build on it.
                let examined = self.pool.judged(id).map(|(_, examined)| examined);
                let mode = examined.and_then(|examined| examined.dear.posts.get(post)).map(|claim| &claim.mode);
                let could_know =
                    !matches!(mode, Some(post_core::verify::Mode::Subset { k3, .. }) if *k3 < self.params.post.k2);
                match proof {
                    Some(proof) if !could_know => self.accept(archive, id, Some((proof, why)), out)?,
                    proof => {
                        let at = self.pool.get(&key).map(|entry| entry.at);
                        let proofs = proof.zip(at).into_iter().collect();
                        let gossip = self.convict_all(proofs, Vec::new(), out);
                        self.fail(vec![(key, Verdict::Reject, why)], out);
                        out.extend(gossip);
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps a valid ATX; or one with a bad label, without weight.
    fn accept(
        &mut self,
        archive: &dyn Archive,
        id: AtxId,
        bad_label: Option<(FraudProof, Reason)>,
        out: &mut Vec<Effect>,
    ) -> Result<(), ArchiveError> {
        let Some((key, examined)) = self.pool.judged(id) else { return Ok(()) };
        let record = examined.record.clone();
        let (bad_label, why_bad) = bad_label.unzip();
        let mut proofs: Vec<_> = bad_label.map(|proof| (proof, record.received)).into_iter().collect();
        for conflict in self.records.conflicts(&record) {
            proofs.push(self.contradiction(archive, &key, &record, conflict)?);
        }
        let Some(entry) = self.pool.remove(&key) else { return Ok(()) };
        let (epoch, received) = (record.epoch, record.received);
        let bytes = entry.received.bytes.to_vec();
        // Who marries a fraud is one, of which there is no other proof: all must know.
        let marries = proofs.is_empty() && record.married.len() > 1;
        let miners = record.parts.iter().map(|part| part.node_id).collect();
        self.records.insert(record);
        let mut gossip = self.convict_all(proofs, vec![Write::Atx { id, epoch, received, bytes: bytes.clone() }], out);
        self.accuse_known(&miners, &mut gossip);
        out.push(Effect::Accepted { id });
        let fraud = self.records.atx(id).and_then(|record| self.records.fraud_of_atx(record)).is_some();
        let why = why_bad.unwrap_or(if fraud { Reason::Fraud } else { Reason::Good });
        let verdict = if fraud && !marries { Verdict::Ignore } else { Verdict::Accept };
        for source in &entry.sources {
            out.push(Effect::Verdict { source: *source, verdict, why: why.clone() });
        }
        if !fraud && entry.sources.contains(&Source::Own) {
            out.push(Effect::Gossip { topic: Topic::Atx, bytes });
        }
        out.extend(gossip);
        let complete = self.pool.satisfy(&Need::Atx(id));
        let rivals = self.pool.of_id(id).map(|(key, _)| (*key, Verdict::Ignore, Reason::Known)).collect();
        self.fail(rivals, out);
        self.examine(complete, out);
        Ok(())
    }

    /// Ends ATXs that are not accepted, and those that only waited for them.
    fn fail(&mut self, failing: Vec<(Key, Verdict, Reason)>, out: &mut Vec<Effect>) {
        let mut failing = VecDeque::from(failing);
        while let Some((key, verdict, why)) = failing.pop_front() {
            let Some(entry) = self.pool.remove(&key) else { continue };
            for source in &entry.sources {
                out.push(Effect::Verdict { source: *source, verdict, why: why.clone() });
            }
            if verdict == Verdict::Reject {
                if entry.sources.contains(&Source::Own) {
                    out.push(Effect::Refused { id: key.0, why: why.clone() });
                }
                self.remember(key, why);
            }
            self.pool.requeue(key.0);
            let answered = entry.sources.iter().any(is_answer);
            failing.extend(self.hopeless(Need::Atx(key.0), &entry.peers(), answered, out));
        }
    }

    /// Something did not come from `from`, or was no good; `answered`: although it was asked for.
    fn lost(&mut self, need: Need, from: &[Peer], answered: bool, out: &mut Vec<Effect>) {
        let failing = self.hopeless(need, from, answered, out);
        self.fail(failing, out);
    }

    /// Asks somebody else for what `from` had not; if there is nobody, those that wait for it.
    fn hopeless(
        &mut self,
        need: Need,
        from: &[Peer],
        answered: bool,
        out: &mut Vec<Effect>,
    ) -> Vec<(Key, Verdict, Reason)> {
        match self.pool.lost(&need, from, answered) {
            Lost::Wait => Vec::new(),
            Lost::Ask(peer) => {
                fetch(vec![need], peer, out);
                Vec::new()
            }
            Lost::Hopeless(keys) => keys.into_iter().map(|key| (key, Verdict::Ignore, Reason::Missing(need))).collect(),
        }
    }

    fn remember(&mut self, key: Key, why: Reason) {
        if self.rejected.insert(key, why).is_none() {
            self.rejected_order.push_back(key);
        }
        if self.rejected_order.len() > MAX_REJECTED {
            self.rejected_order.pop_front().and_then(|key| self.rejected.remove(&key));
        }
    }
}

fn is_answer(source: &Source) -> bool {
    matches!(source, Source::Answer { .. })
}

/// Asks a peer.
fn fetch(needs: Vec<Need>, from: Peer, out: &mut Vec<Effect>) {
    let (mut atxs, mut poets) = (Vec::new(), Vec::new());
    for need in needs {
        match need {
            Need::Atx(id) => atxs.push(id),
            Need::Poet(id) => poets.push(id),
        }
    }
    if !atxs.is_empty() || !poets.is_empty() {
        out.push(Effect::Fetch { atxs, poets, from });
    }
}
