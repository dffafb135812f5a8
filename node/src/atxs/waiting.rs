//! ATXs that are not decided yet: parked until what they name is known, queued for a judge, or being judged.
//!
//! All that strangers can make a node hold is here, so all of it is bounded: in number and in bytes, in total and for each
//! peer. When it is too much, the greediest peer's oldest ATX goes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use post_core::verify::Mode;

use super::context::{Examined, Need};
use super::judge::Dear;
use crate::atx::Received;
use crate::ids::{AtxId, Epoch, NodeId};
use crate::source::{Peer, Source};
use crate::time::Time;

/// An id and who signed: a married miner can sign what another has signed under the same id (see node/README.md).
pub(super) type Key = (AtxId, NodeId);

/// At most so many undecided ATXs.
const MAX_ENTRIES: usize = 8192;
/// At most so many bytes of them.
const MAX_BYTES: usize = 64 << 20;
/// At most so many that came from one peer first.
const MAX_OF_PEER: usize = 2048;
/// At most so many bytes of those.
const MAX_BYTES_OF_PEER: usize = 16 << 20;
/// At most so many with the judge at a time.
const MAX_JUDGED: usize = 256;
/// At most so many of these of one peer.
const MAX_JUDGED_OF_PEER: usize = 64;
/// What was asked for so long ago does not come: four peers were asked in turn meanwhile, and each may take 20 s.
const ANSWER_MS: u64 = 120_000;
/// Of at most so many it is remembered that they sent an ATX.
pub(super) const MAX_SOURCES: usize = 32;
/// What is kept of an ATX beside its bytes, and of each thing it waits for.
const OVERHEAD: usize = 512;

/// An undecided ATX.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) received: Received,
    /// When it came.
    pub(super) at: Time,
    /// Everyone who waits for the verdict, the first one first.
    pub(super) sources: Vec<Source>,
    /// What it is parked for.
    missing: BTreeSet<Need>,
    /// Once nothing is missing.
    pub(super) examined: Option<Box<Examined>>,
    /// Bytes accounted for it.
    cost: usize,
    /// Its place among all, by age.
    order: u64,
}

impl Entry {
    /// Who is charged.
    fn payer(&self) -> Option<Peer> {
        self.sources.first().and_then(Source::peer)
    }

    pub(super) fn peers(&self) -> Vec<Peer> {
        self.sources.iter().filter_map(Source::peer).collect()
    }
}

/// Something that ATXs are parked for.
#[derive(Debug, Default)]
struct Wanted {
    waiters: BTreeSet<Key>,
    /// Who is being asked, and since when.
    asked: Option<(Peer, Time)>,
    /// Who had nothing.
    tried: BTreeSet<Peer>,
}

/// What a peer holds.
#[derive(Debug, Default)]
struct Account {
    bytes: usize,
    /// By age; those being judged are left out, they can't go.
    entries: BTreeMap<u64, Key>,
    /// How many are being judged.
    judged: usize,
}

/// What is to be done about something that did not come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nothing: nobody waits, or somebody else is still to answer.
    Wait,
    /// Ask this one.
    Ask(Peer),
    /// These wait in vain.
    Hopeless(Vec<Key>),
}

/// All undecided ATXs.
#[derive(Debug, Default)]
pub(super) struct Pool {
    entries: BTreeMap<Key, Entry>,
    wanted: BTreeMap<Need, Wanted>,
    accounts: BTreeMap<Option<Peer>, Account>,
    bytes: usize,
    next: u64,
    /// Examined ones by who is charged, each one's by age. None is empty.
    queues: BTreeMap<Option<Peer>, BTreeMap<u64, Key>>,
    /// Whose turn was the last.
    last: Option<Option<Peer>>,
    /// With the judge: one an id.
    judged: BTreeMap<AtxId, Key>,
    /// How many of these a miner signed for an epoch.
    signed: BTreeMap<(NodeId, Epoch), usize>,
    /// When the running step is.
    now: Time,
}

impl Pool {
    /// A step begins.
    pub(super) fn at(&mut self, now: Time) {
        self.now = now;
    }

    /// Undecided ATXs and the bytes accounted for them.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Those with this id, whoever signed.
    pub(super) fn of_id(&self, id: AtxId) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.range((id, NodeId([0; 32]))..=(id, NodeId([0xff; 32])))
    }

    /// Whether one with this id may yet be accepted.
    pub(super) fn has(&self, id: AtxId) -> bool {
        self.of_id(id).next().is_some()
    }

    pub(super) fn is_wanted(&self, need: &Need) -> bool {
        self.wanted.contains_key(need)
    }

    /// Whether a source waits for the verdict on an ATX already.
    pub(super) fn waits(&self, key: &Key, source: Source) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.sources.contains(&source))
    }

    /// Lets one more wait for a verdict; `None` when the ATX is not here, `Some(false)` when too many wait already.
    pub(super) fn join(&mut self, key: &Key, source: Source) -> Option<bool> {
        let entry = self.entries.get_mut(key)?;
        if entry.sources.contains(&source) {
            return Some(true);
        }
        let room = entry.sources.len() < MAX_SOURCES;
        if room {
            entry.sources.push(source);
        }
        Some(room)
    }

    /// Takes an ATX in, parked for `missing`.
    pub(super) fn add(&mut self, received: Received, at: Time, source: Source, missing: BTreeSet<Need>) {
        let key = (received.id, received.atx.smesher);
        // Decoded it takes about as much as its bytes.
        let cost = 2 * received.bytes.len() + OVERHEAD * (missing.len() + 1);
        let order = self.next;
        self.next += 1;
        for need in &missing {
            self.wanted.entry(*need).or_default().waiters.insert(key);
        }
        let account = self.accounts.entry(source.peer()).or_default();
        account.bytes += cost;
        account.entries.insert(order, key);
        self.bytes += cost;
        let entry = Entry { received, at, sources: vec![source], missing, examined: None, cost, order };
        self.entries.insert(key, entry);
    }

    /// Of what an ATX is parked for, what has to be asked for now: nobody was asked before, and it isn't here undecided.
    pub(super) fn ask_next(&mut self, key: &Key, peer: Peer) -> Vec<Need> {
        let Some(entry) = self.entries.get(key) else { return Vec::new() };
        let absent = |need: &&Need| match need {
            Need::Atx(id) => !self.has(*id),
            Need::Poet(_) => true,
        };
        let mut ask = Vec::new();
        for need in entry.missing.iter().filter(absent).copied().collect::<Vec<_>>() {
            let wanted = self.wanted.entry(need).or_default();
            if wanted.asked.is_none() && !wanted.tried.contains(&peer) {
                wanted.asked = Some((peer, self.now));
                ask.push(need);
            }
        }
        ask
    }

    /// Something became known; the ATXs that miss nothing more.
    pub(super) fn satisfy(&mut self, need: &Need) -> Vec<Key> {
        let Some(wanted) = self.wanted.remove(need) else { return Vec::new() };
        let mut complete = Vec::new();
        for key in wanted.waiters {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.missing.remove(need);
                if entry.missing.is_empty() {
                    complete.push(key);
                }
            }
        }
        complete
    }

    /// The ATXs that are parked for something.
    pub(super) fn waiters(&self, need: &Need) -> Vec<Key> {
        self.wanted.get(need).map_or_else(Vec::new, |wanted| wanted.waiters.iter().copied().collect())
    }

    /// Who was asked for something, and has not answered yet.
    pub(super) fn asked(&self, need: &Need) -> Option<Peer> {
        self.wanted.get(need)?.asked.map(|(peer, _)| peer)
    }

    /// What was asked for too long ago, and of whom.
    pub(super) fn overdue(&self) -> Vec<(Need, Peer)> {
        let overdue = |(need, wanted): (&Need, &Wanted)| {
            let (peer, since) = wanted.asked?;
            (self.now.since(since) >= ANSWER_MS).then_some((*need, peer))
        };
        self.wanted.iter().filter_map(overdue).collect()
    }

    /// Something did not come from `from`, or came and was no good. An answer that is still to come is waited for; when
    /// this was one there is none, whoever gave it: others are asked than one was told to ask.
    pub(super) fn lost(&mut self, need: &Need, from: &[Peer], answered: bool) -> Lost {
        if matches!(need, Need::Atx(id) if self.has(*id)) {
            return Lost::Wait;
        }
        let Some(wanted) = self.wanted.get_mut(need) else { return Lost::Wait };
        if let Some((asked, _)) = wanted.asked {
            if !answered && !from.contains(&asked) {
                return Lost::Wait;
            }
            wanted.tried.insert(asked);
        }
        wanted.tried.extend(from);
        // Whoever hands an ATX on has all that it names.
        let owners = wanted.waiters.iter().filter_map(|key| self.entries.get(key)).flat_map(Entry::peers);
        let next = owners.into_iter().find(|peer| !wanted.tried.contains(peer));
        wanted.asked = next.map(|peer| (peer, self.now));
        match next {
            Some(peer) => Lost::Ask(peer),
            None => Lost::Hopeless(wanted.waiters.iter().copied().collect()),
        }
    }

    /// Takes an ATX out; nothing waits on its behalf any more.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        for need in &entry.missing {
            if let Some(wanted) = self.wanted.get_mut(need) {
                wanted.waiters.remove(key);
                if wanted.waiters.is_empty() {
                    self.wanted.remove(need);
                }
            }
        }
        self.unqueue(entry.payer(), entry.order);
        let judged = self.judged.get(&key.0) == Some(key);
        if judged {
            self.judged.remove(&key.0);
            let signed = (key.1, entry.received.atx.publish_epoch);
            let left = self.signed(signed.0, signed.1).saturating_sub(1);
            if left == 0 {
                self.signed.remove(&signed)
            } else {
                self.signed.insert(signed, left)
            };
        }
        self.bytes = self.bytes.saturating_sub(entry.cost);
        if let Some(account) = self.accounts.get_mut(&entry.payer()) {
            account.bytes = account.bytes.saturating_sub(entry.cost);
            account.entries.remove(&entry.order);
            account.judged = account.judged.saturating_sub(usize::from(judged));
            if account.bytes == 0 {
                self.accounts.remove(&entry.payer());
            }
        }
        Some(entry)
    }

    /// An ATX that has to go because `peer`, who sent the last one, or all together hold too much.
    pub(super) fn surplus(&self, peer: Option<Peer>) -> Option<Key> {
        let oldest = |account: &Account| account.entries.first_key_value().map(|(_, key)| *key);
        let too_greedy = |account: &&Account| account.bytes > MAX_BYTES_OF_PEER || account.entries.len() > MAX_OF_PEER;
        if let Some(key) = peer.and_then(|_| self.accounts.get(&peer)).filter(too_greedy).and_then(oldest) {
            return Some(key);
        }
        if self.entries.len() <= MAX_ENTRIES && self.bytes <= MAX_BYTES {
            return None;
        }
        // What is one's own stays.
        let others = self.accounts.iter().filter(|(peer, account)| peer.is_some() && !account.entries.is_empty());
        others.map(|(_, account)| account).max_by_key(|account| account.bytes).and_then(oldest)
    }

    /// Puts an examined ATX into the queue.
    pub(super) fn enqueue(&mut self, key: Key, examined: Examined) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.examined = Some(Box::new(examined));
            self.queues.entry(entry.payer()).or_default().insert(entry.order, key);
        }
    }

    /// Puts the examined ones with this id into the queue again: the one that was judged is out.
    pub(super) fn requeue(&mut self, id: AtxId) {
        let rivals = self.of_id(id).filter(|(_, entry)| entry.examined.is_some());
        let rivals: Vec<_> = rivals.map(|(key, entry)| (entry.payer(), entry.order, *key)).collect();
        for (payer, order, key) in rivals {
            self.queues.entry(payer).or_default().insert(order, key);
        }
    }

    fn unqueue(&mut self, payer: Option<Peer>, order: u64) {
        if let Some(queue) = self.queues.get_mut(&payer) {
            queue.remove(&order);
            if queue.is_empty() {
                self.queues.remove(&payer);
            }
        }
    }

    /// Takes the next one for the judge out of the queues, if the judge has room: one of each peer in turn. Of several with
    /// one id only the first goes.
    pub(super) fn next_in_turn(&mut self) -> Option<Key> {
        while self.judged.len() < MAX_JUDGED {
            let payer = self.turn()?;
            self.last = Some(payer);
            let (order, key) = self.queues.get(&payer)?.first_key_value().map(|(order, key)| (*order, *key))?;
            self.unqueue(payer, order);
            if !self.judged.contains_key(&key.0) {
                return Some(key);
            }
        }
        None
    }

    /// Whose turn it is; whoever has enough with the judge is passed over.
    fn turn(&self) -> Option<Option<Peer>> {
        let may = |payer: &&Option<Peer>| {
            payer.is_none() || self.accounts.get(payer).is_none_or(|account| account.judged < MAX_JUDGED_OF_PEER)
        };
        let after = self.last.map_or(Unbounded, Excluded);
        let later = self.queues.range((after, Unbounded)).map(|(payer, _)| payer);
        later.chain(self.queues.keys()).find(may).copied()
    }

    /// Gives an examined ATX to the judge. This node looks at all the labels of its own: it alone suffers from a bad one.
    pub(super) fn give(&mut self, key: &Key) -> Option<Dear> {
        let entry = self.entries.get(key)?;
        let mut dear = entry.examined.as_deref()?.dear.clone();
        if entry.sources.contains(&Source::Own) {
            dear.posts.iter_mut().for_each(|claim| claim.mode = Mode::All);
        }
        let signed = (key.1, entry.received.atx.publish_epoch);
        *self.signed.entry(signed).or_default() += 1;
        if let Some(account) = self.accounts.get_mut(&entry.payer()) {
            account.entries.remove(&entry.order);
            account.judged += 1;
        }
        self.judged.insert(key.0, *key);
        Some(dear)
    }

    /// How many ATXs that a miner signed for an epoch are with the judge.
    pub(super) fn signed(&self, smesher: NodeId, epoch: Epoch) -> usize {
        self.signed.get(&(smesher, epoch)).copied().unwrap_or(0)
    }

    /// What waits for the judge and came from this peer alone.
    pub(super) fn queued_of(&self, peer: Peer) -> Vec<Key> {
        let queued = self.queues.get(&Some(peer)).into_iter().flat_map(BTreeMap::values);
        let alone = |key: &&Key| {
            let entry = self.entries.get(key);
            entry.is_some_and(|entry| entry.sources.iter().all(|source| source.peer() == Some(peer)))
        };
        // One that was queued again may be with the judge.
        queued.filter(alone).filter(|key| self.judged.get(&key.0) != Some(*key)).copied().collect()
    }

    /// What was judged.
    pub(super) fn judged(&self, id: AtxId) -> Option<(Key, &Examined)> {
        let key = self.judged.get(&id)?;
        self.entries.get(key)?.examined.as_deref().map(|examined| (*key, examined))
    }
}
