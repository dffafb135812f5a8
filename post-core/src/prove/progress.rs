//! How far a proof has come, on a drive of the set: a restart costs seconds, not the epoch.
//!
//! The record says what it is of. Pows count for the same miner, challenge and target, whatever else has changed; labels that
//! were scanned only for the very same proof, from files that nobody wrote to since. Its first line carries a version and a checksum of the rest: a damaged record
//! is noticed, and counts as none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::MAX_NONCES;
use super::tally::Tally;
use crate::cipher::NONCES_PER_GROUP;
use crate::drive::{Drive, DriveError, Record, Role, Stamp};
use crate::ranges::Ranges;
use crate::sealed::{seal, unseal};
use crate::set::DataSet;
use crate::watch::{Event, Watch};

const MAGIC: &str = "post-proof-1";

/// A good interval for [`Progress::kept`]: what a crash may cost.
pub const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Saving waits for the disk, which the scan needs too: it takes at most this part of the time.
const SAVING_PART: u32 = 50;

/// What decides a pow, its group apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Work {
    #[serde(with = "hex::serde")]
    pub(super) node_id: [u8; 32],
    #[serde(with = "hex::serde")]
    pub(super) challenge: [u8; 32],
    #[serde(with = "hex::serde")]
    pub(super) target: [u8; 32],
}

/// What decides the hits, the pows apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Search {
    #[serde(with = "hex::serde")]
    pub(super) commitment: [u8; 32],
    pub(super) num_labels: u64,
    pub(super) k1: u32,
    pub(super) k2: u32,
    pub(super) nonces_per_pass: u32,
    /// Of the files' stamps, see [`data_hash`].
    #[serde(default, with = "hex::serde")]
    pub(super) data: [u8; 32],
}

/// Another one once somebody wrote to a data file, as far as drives tell. BLAKE3 of the stamps of all files, in their order.
pub(super) fn data_hash(set: &DataSet) -> Result<[u8; 32], DriveError> {
    let reader = set.reader();
    let mut hasher = blake3::Hasher::new();
    for (file, drive) in reader.place {
        hasher.update(&file.to_le_bytes());
        if let Some(Stamp { bytes, modified, inode }) = reader.drives[*drive].stamp(*file)? {
            hasher.update([bytes.to_le_bytes(), modified.to_le_bytes(), inode.to_le_bytes()].as_flattened());
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    work: Work,
    search: Search,
    /// Group → its smallest pow.
    pows: BTreeMap<u32, u64>,
    /// The pass at hand: 0, 1, …
    pass: u32,
    /// Labels that this pass has scanned, from … to.
    done: Vec<(u64, u64)>,
    /// Nonce → its lowest hits among these, ascending, at most K2.
    hits: BTreeMap<u32, Vec<u64>>,
}

impl Kept {
    fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        seal(MAGIC, self)
    }

    /// What the bytes say; `None` when they are damaged, of an unknown version, or say what can't be.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        unseal(MAGIC, bytes).filter(Self::makes_sense)
    }

    /// What the drive has kept; one that can't be read has kept nothing.
    fn of(drive: &dyn Drive) -> Option<Self> {
        Self::from_bytes(&drive.record(Record::Proof).ok()??)
    }

    fn makes_sense(&self) -> bool {
        let Search { num_labels, k2, nonces_per_pass, .. } = self.search;
        let labels = |from: u64, to: u64| from < to && to <= num_labels;
        let first = u64::from(self.pass) * u64::from(nonces_per_pass);
        let nonces = first..first + u64::from(nonces_per_pass);
        let done = self.scanned();
        first < u64::from(MAX_NONCES)
            && self.done.iter().all(|(from, to)| labels(*from, *to))
            && self.hits.iter().all(|(nonce, indices)| {
                nonces.contains(&u64::from(*nonce))
                    && self.pows.contains_key(&(nonce / NONCES_PER_GROUP))
                    && indices.len() as u64 <= u64::from(k2)
                    && indices.windows(2).all(|pair| pair[0] < pair[1])
                    && indices.iter().all(|index| done.contains(*index))
            })
    }

    fn scanned(&self) -> Ranges {
        self.done.iter().map(|(from, to)| *from..*to).collect()
    }
}

/// How far a proof has come.
pub(super) struct State {
    work: Work,
    search: Search,
    /// Group → its smallest pow.
    pub(super) pows: BTreeMap<u32, u64>,
    /// The pass at hand: 0, 1, …
    pub(super) pass: u32,
    /// Of that pass.
    pub(super) tally: Tally,
}

impl State {
    fn new(work: Work, search: Search) -> Self {
        let tally = Tally::new(search.k2);
        Self { work, search, pows: BTreeMap::new(), pass: 0, tally }
    }

    fn kept(&self) -> Kept {
        Kept {
            work: self.work.clone(),
            search: self.search.clone(),
            pows: self.pows.clone(),
            pass: self.pass,
            done: self.tally.done().iter().map(|range| (range.start, range.end)).collect(),
            hits: self.tally.hits().clone(),
        }
    }
}

/// Where the progress of a proof is kept.
pub struct Progress<'a> {
    drives: &'a [Box<dyn Drive>],
    save_every: Duration,
    /// The drive it is kept on: the first that does not refuse. Past the last one when all did.
    keeper: usize,
    /// Why the first one refused.
    refusal: Option<String>,
    last_saved: Instant,
    last_cost: Duration,
    /// Of the proof that was begun.
    work: Option<Work>,
}

impl<'a> Progress<'a> {
    /// Kept on the first drive of the set that allows it, at least this often, unless the drive is so slow that it would
    /// cost more than a fiftieth of the time. Nothing is read or written before a proof begins.
    #[must_use]
    pub fn kept(set: &'a DataSet, save_every: Duration) -> Self {
        Self::on(set.drives(), save_every)
    }

    /// Kept nowhere: a proof that is interrupted begins again.
    #[must_use]
    pub fn not_kept() -> Progress<'static> {
        Progress::on(&[], SAVE_EVERY)
    }

    fn on(drives: &'a [Box<dyn Drive>], save_every: Duration) -> Self {
        let (last_saved, last_cost) = (Instant::now(), Duration::ZERO);
        Self { drives, save_every, keeper: 0, refusal: None, last_saved, last_cost, work: None }
    }

    /// Whether the same proof would go on where this one ended.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.keeper < self.drives.len()
    }

    /// Takes up what the drives have kept of this proof, the scan that came furthest and all pows, and makes sure of a place
    /// to keep what follows.
    pub(super) fn begin(&mut self, work: Work, search: Search, watch: &dyn Watch) -> State {
        let kept = self.drives.iter().map(|drive| Kept::of(&**drive).filter(|kept| kept.work == work));
        let mut found: Vec<(usize, Kept)> =
            kept.enumerate().filter_map(|(number, kept)| Some((number, kept?))).collect();
        found.sort_by_key(|(_, kept)| (kept.search == search, kept.pass, kept.scanned().len()));
        let mut state = State::new(work.clone(), search);
        for (_, kept) in &found {
            // The pows that belong to the hits come last and stay.
            state.pows.extend(&kept.pows);
        }
        if let Some((_, furthest)) = found.last().filter(|(_, kept)| kept.search == state.search) {
            state.pass = furthest.pass;
            state.tally = Tally::of(state.search.k2, furthest.hits.clone(), furthest.scanned());
        }
        if !state.pows.is_empty() {
            let (pass, done) = (state.pass, state.tally.done().len());
            watch.event(Event::ProofContinued { pass, done, labels: state.search.num_labels, pows: state.pows.len() });
        }
        self.work = Some(work);
        self.save(&state, watch);
        // One record holds it all now. Others would be found again when they are out of date.
        if self.is_kept() {
            for (number, _) in found.into_iter().filter(|(number, _)| *number != self.keeper) {
                let drive = &self.drives[number];
                let _ = drive.claim(Role::Prover).and_then(|()| drive.forget_record(Record::Proof));
            }
        }
        state
    }

    /// Saves if the last time is long enough ago.
    pub(super) fn save_in_time(&mut self, state: &State, watch: &dyn Watch) {
        if self.last_saved.elapsed() >= self.save_every.max(self.last_cost * SAVING_PART) {
            self.save(state, watch);
        }
    }

    /// Writes everything down. A drive that refuses is left for the next one; when none is left, that is told once, and the
    /// work goes on.
    pub(super) fn save(&mut self, state: &State, watch: &dyn Watch) {
        // Numbers and text always have a JSON form.
        let Ok(bytes) = state.kept().to_bytes() else { return };
        let started = Instant::now();
        while let Some(drive) = self.drives.get(self.keeper) {
            let Err(error) = drive.claim(Role::Prover).and_then(|()| drive.replace_record(Record::Proof, &bytes))
            else {
                (self.last_saved, self.last_cost) = (Instant::now(), started.elapsed());
                return;
            };
            // Elsewhere, two who prove the same at once would write over each other's progress in turns.
            self.keeper = if matches!(error, DriveError::Busy { .. }) { self.drives.len() } else { self.keeper + 1 };
            let reason = self.refusal.get_or_insert(error.to_string()).clone();
            if !self.is_kept() {
                watch.event(Event::ProgressNotKept { reason });
            }
        }
    }

    /// Forgets all about the proof, on all drives: to be called when it is verified and safe. What another process is at
    /// work on stays.
    ///
    /// # Errors
    /// [`DriveError`] of a record that can't be removed.
    pub fn forget(&self) -> Result<(), DriveError> {
        self.on_each_record(|drive, _| drive.forget_record(Record::Proof))
    }

    /// Forgets what was scanned, but no pow: when a proof turns out to be invalid since a label was not what it should be.
    /// The next run scans everything again.
    ///
    /// # Errors
    /// [`DriveError`] of a record that can't be replaced.
    pub fn forget_scan(&self) -> Result<(), DriveError> {
        self.on_each_record(|drive, kept| {
            let kept = Kept { pass: 0, done: Vec::new(), hits: BTreeMap::new(), ..kept };
            kept.to_bytes().map_or(Ok(()), |bytes| drive.replace_record(Record::Proof, &bytes))
        })
    }

    /// All records of this proof are dealt with, whatever one of them says.
    fn on_each_record(&self, deal: impl Fn(&dyn Drive, Kept) -> Result<(), DriveError>) -> Result<(), DriveError> {
        let mut result = Ok(());
        for drive in self.drives {
            let Some(kept) = Kept::of(&**drive).filter(|kept| Some(&kept.work) == self.work.as_ref()) else { continue };
            match drive.claim(Role::Prover).and_then(|()| deal(&**drive, kept)) {
                Ok(()) | Err(DriveError::Busy { .. }) => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        Kept {
            work: Work { node_id: [1; 32], challenge: [2; 32], target: [3; 32] },
            search: Search { commitment: [4; 32], num_labels: 1000, k1: 5, k2: 3, nonces_per_pass: 32, data: [5; 32] },
            pows: BTreeMap::from([(0, 7), (1, 8), (2, 9), (3, 1 << 55)]),
            pass: 1,
            done: vec![(0, 100), (200, 1000)],
            hits: BTreeMap::from([(32, vec![5, 99, 200]), (63, vec![999])]),
        }
    }

    #[test]
    fn a_damaged_record_is_not_believed() {
        let bytes = kept().to_bytes().unwrap();
        assert_eq!(Kept::from_bytes(&bytes), Some(kept()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Kept::from_bytes(&damaged), None, "byte {at}");
            assert_eq!(Kept::from_bytes(&bytes[..at]), None, "cut at {at}");
        }
        let later = [b"post-proof-2", &bytes[MAGIC.len()..]].concat();
        assert_eq!(Kept::from_bytes(&later), None, "an unknown version");
    }

    /// What no scan leaves behind would lead to wrong proofs, or out of bounds.
    #[test]
    fn a_record_that_makes_no_sense_is_not_believed() {
        let edits: [fn(&mut Kept); 11] = [
            |kept| kept.hits = BTreeMap::from([(31, vec![5])]),
            |kept| kept.hits = BTreeMap::from([(64, vec![5])]),
            |kept| kept.hits = BTreeMap::from([(40, vec![5, 6, 7, 8])]),
            |kept| kept.hits = BTreeMap::from([(40, vec![6, 5])]),
            |kept| kept.hits = BTreeMap::from([(40, vec![5, 5])]),
            |kept| kept.hits = BTreeMap::from([(40, vec![150])]),
            |kept| kept.pows = BTreeMap::from([(0, 1), (1, 1), (2, 1)]),
            |kept| kept.done.push((1000, 1001)),
            |kept| kept.done.push((8, 7)),
            |kept| kept.done.clear(),
            |kept| (kept.pass, kept.hits) = (128, BTreeMap::new()),
        ];
        for (number, edit) in edits.into_iter().enumerate() {
            let mut kept = kept();
            edit(&mut kept);
            assert_eq!(Kept::from_bytes(&kept.to_bytes().unwrap()), None, "{number}");
        }
    }
}
