//! Makes a proof that a set is held. The only bulk reader of labels (POST.md section 5).
//!
//! A proof is a pure function of the data, the challenge, the parameters and the nonces per pass: whatever the backend
//! and the number of threads, hits are counted in the order of their labels.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc;

use crate::backend::{self, Backend};
use crate::cipher::{MAX_GROUPS, NONCES_PER_GROUP};
use crate::difficulty::{Difficulty, expected_hashes, pow_target};
use crate::drive::DriveError;
use crate::identity::Challenge;
use crate::index_packing::{TooWide, pack, required_bits};
use crate::label::{LABEL_BYTES, Label};
use crate::params::{NetworkParams, ParamsError};
use crate::pow::{PowError, PowInput, PowProver};
use crate::proof::{Proof, ProofFile, ProofMetadata};
use crate::scan::{Hit, NonceGroup, ScanJob};
use crate::set::DataSet;
use crate::watch::{Event, Watch};

/// Labels read at a time at least, 1 MiB.
const READ_LABELS: usize = 1 << 16;

/// Buffers between the reader and the scanner: one is read, one scanned, one waits.
const BUFFERS: usize = 3;

/// Bytes of all buffers at most, however many labels a device wants at a time.
const MAX_BUFFERED: usize = 48 << 20;

/// All nonces that exist.
const MAX_NONCES: u32 = MAX_GROUPS * NONCES_PER_GROUP;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The network's parameters are not usable.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The nonces of a pass come in whole groups.
    #[error("{nonces} nonces per pass are not possible; use a multiple of 16 from 16 to 4096")]
    Nonces {
        /// Asked for.
        nonces: u32,
    },
    /// The data was made for another network.
    #[error("the data has {there} labels per unit, the network {wanted}; give the --network the data was made for")]
    OtherNetwork {
        /// Of the data.
        there: u64,
        /// Of the network.
        wanted: u64,
    },
    /// No verifier would accept it.
    #[error("the data has {units} units, the network allows {min} to {max}; give the --network the data was made for")]
    Units {
        /// Of the data.
        units: u32,
        /// Fewest.
        min: u32,
        /// Most.
        max: u32,
    },
    /// No difficulty exists.
    #[error("{num_labels} labels are too few for a proof: more than k1 = {k1}, and k2 = {k2}, are needed")]
    TooFewLabels {
        /// Of the data.
        num_labels: u64,
        /// Expected hits.
        k1: u32,
        /// Hits in a proof.
        k2: u32,
    },
    /// A read failed: the labels behind it can't be left out.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// No k2pow.
    #[error(transparent)]
    Pow(#[from] PowError),
    /// No hits.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// The impossible: an index past the end of the set.
    #[error(transparent)]
    Packing(#[from] TooWide),
    /// All 4096 nonces were tried.
    #[error(
        "none of the {MAX_NONCES} nonces has {k2} hits; the data is most likely not what the metadata says, check it"
    )]
    NotFound {
        /// Hits needed.
        k2: u32,
    },
    /// Someone asked to stop.
    #[error("stopped before a proof was found; the same command starts again")]
    Stopped,
}

/// Proves that `set` is held, trying `nonces_per_pass` nonces at a time.
///
/// # Errors
/// Every [`ProveError`].
pub fn prove(
    set: &DataSet,
    params: &NetworkParams,
    challenge: &Challenge,
    nonces_per_pass: u32,
    backend: &mut dyn Backend,
    pow: &dyn PowProver,
    watch: &dyn Watch,
) -> Result<ProofFile, ProveError> {
    let prover = Prover::new(set, params, challenge, nonces_per_pass)?;
    let mut from = 0;
    let mut pass = 0;
    while from < MAX_NONCES {
        let nonces = from..(from + nonces_per_pass).min(MAX_NONCES);
        let groups = prover.open_groups(&nonces, pow, watch)?;
        watch.event(Event::PassStarted { pass, nonces: nonces.clone(), labels: set.layout().num_labels() });
        if let Some((nonce, indices)) = prover.scan_all(&groups, backend, watch)? {
            let group = &groups[((nonce - nonces.start) / NONCES_PER_GROUP) as usize];
            return prover.proof_file(nonce, &indices, group.pow);
        }
        from = nonces.end;
        pass += 1;
    }
    Err(ProveError::NotFound { k2: params.k2 })
}

/// Checks that `set` and `params` fit together, before anything costly.
///
/// # Errors
/// Those [`ProveError`]s that need no work.
pub fn check(set: &DataSet, params: &NetworkParams, nonces_per_pass: u32) -> Result<(), ProveError> {
    Prover::new(set, params, &Challenge([0; 32]), nonces_per_pass).map(|_| ())
}

struct Prover<'a> {
    set: &'a DataSet,
    params: &'a NetworkParams,
    challenge: Challenge,
    difficulty: Difficulty,
}

impl<'a> Prover<'a> {
    fn new(
        set: &'a DataSet,
        params: &'a NetworkParams,
        challenge: &Challenge,
        nonces_per_pass: u32,
    ) -> Result<Self, ProveError> {
        params.check()?;
        if nonces_per_pass == 0 || nonces_per_pass > MAX_NONCES || !nonces_per_pass.is_multiple_of(NONCES_PER_GROUP) {
            return Err(ProveError::Nonces { nonces: nonces_per_pass });
        }
        let NetworkParams { labels_per_unit, min_units, max_units, k1, k2, .. } = *params;
        let metadata = set.metadata();
        if metadata.labels_per_unit != labels_per_unit {
            return Err(ProveError::OtherNetwork { there: metadata.labels_per_unit, wanted: labels_per_unit });
        }
        let units = metadata.num_units;
        if !(min_units.max(1)..=max_units).contains(&units) {
            return Err(ProveError::Units { units, min: min_units.max(1), max: max_units });
        }
        let num_labels = set.layout().num_labels();
        let too_few = ProveError::TooFewLabels { num_labels, k1, k2 };
        let difficulty = Difficulty::new(k1, num_labels).filter(|_| num_labels >= u64::from(k2)).ok_or(too_few)?;
        Ok(Self { set, params, challenge: *challenge, difficulty })
    }

    /// Finds the k2pow of each group of a pass and derives its ciphers.
    fn open_groups(
        &self,
        nonces: &Range<u32>,
        pow: &dyn PowProver,
        watch: &dyn Watch,
    ) -> Result<Vec<NonceGroup>, ProveError> {
        let metadata = self.set.metadata();
        let target = pow_target(&self.params.pow_difficulty, metadata.num_units);
        let groups = nonces.start / NONCES_PER_GROUP..nonces.end / NONCES_PER_GROUP;
        watch.event(Event::PowStarted { groups: groups.clone(), expected_hashes: expected_hashes(&target) });
        let mut opened = Vec::new();
        for group in groups {
            // `nonces` ends at MAX_NONCES, so a group fits a byte.
            let input = PowInput::new(group as u8, &self.challenge, metadata.node_id);
            let pow = pow.prove(&input, &target, watch)?;
            watch.event(Event::PowFound { group, pow });
            opened.push(NonceGroup::new(&self.challenge, group, pow));
        }
        Ok(opened)
    }

    /// Reads all labels once, in order, and returns the first nonce to reach K2 hits, with their indices.
    fn scan_all(
        &self,
        groups: &[NonceGroup],
        backend: &mut dyn Backend,
        watch: &dyn Watch,
    ) -> Result<Option<(u32, Vec<u64>)>, ProveError> {
        let job_groups: Vec<&NonceGroup> = groups.iter().collect();
        let job = ScanJob { groups: &job_groups, difficulty: self.difficulty };
        let (full_sender, full) = mpsc::sync_channel::<Result<(u64, Buffer), DriveError>>(BUFFERS);
        let (empty_sender, empty) = mpsc::channel::<Buffer>();
        let labels_at_a_time = read_labels(backend.info().scan_batch);
        for _ in 0..BUFFERS {
            // The receiver lives until the scope's end.
            let _ = empty_sender.send(Buffer { labels: vec![[0; LABEL_BYTES]; labels_at_a_time], filled: 0 });
        }
        // The closure owns its ends of the channels: leaving it early hangs up on the reader, which then ends too.
        std::thread::scope(move |scope| {
            scope.spawn(move || {
                let mut first = 0;
                while let Ok(mut buffer) = empty.recv() {
                    match self.set.read(first, &mut buffer.labels) {
                        Ok(0) => break,
                        Ok(filled) => buffer.filled = filled,
                        Err(error) => {
                            let _ = full_sender.send(Err(error));
                            break;
                        }
                    }
                    if full_sender.send(Ok((first, buffer))).is_err() {
                        break;
                    }
                    first += labels_at_a_time as u64;
                }
            });
            let mut tally = Tally::new(self.params.k2);
            let mut hits = Vec::new();
            for read in full {
                let (first, buffer) = read?;
                let labels = &buffer.labels[..buffer.filled];
                hits.clear();
                backend.scan(&job, first, labels, &mut hits)?;
                if let Some(winner) = tally.count(&hits) {
                    return Ok(Some(winner));
                }
                watch.event(Event::Scanned { labels: first + labels.len() as u64 });
                if watch.stop() {
                    return Err(ProveError::Stopped);
                }
                let _ = empty_sender.send(buffer);
            }
            Ok(None)
        })
    }

    fn proof_file(&self, nonce: u32, indices: &[u64], pow: u64) -> Result<ProofFile, ProveError> {
        let metadata = self.set.metadata();
        let bits = required_bits(self.set.layout().num_labels());
        Ok(ProofFile {
            proof: Proof { nonce, indices: pack(indices, bits)?, pow },
            metadata: ProofMetadata {
                node_id: metadata.node_id,
                commitment_atx_id: metadata.commitment_atx_id,
                challenge: self.challenge,
                num_units: metadata.num_units,
            },
        })
    }
}

/// Labels to read at a time for a backend that wants `wanted`.
fn read_labels(wanted: usize) -> usize {
    wanted.clamp(READ_LABELS, MAX_BUFFERED / BUFFERS / LABEL_BYTES)
}

struct Buffer {
    labels: Vec<Label>,
    filled: usize,
}

/// Hits by nonce, in the order of their labels.
struct Tally {
    k2: usize,
    hits: BTreeMap<u32, Vec<u64>>,
}

impl Tally {
    fn new(k2: u32) -> Self {
        Self { k2: k2 as usize, hits: BTreeMap::new() }
    }

    /// Hits must come in ascending order of (index, nonce): then the first nonce to be full is the one whose K2-th hit has
    /// the lowest index, and of two at the same label the lower nonce.
    fn count(&mut self, hits: &[Hit]) -> Option<(u32, Vec<u64>)> {
        for hit in hits {
            let indices = self.hits.entry(hit.nonce).or_default();
            indices.push(hit.index);
            if indices.len() == self.k2 {
                return Some((hit.nonce, std::mem::take(indices)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_suit_the_device_within_bounds() {
        assert_eq!(read_labels(1), READ_LABELS);
        assert_eq!(read_labels(READ_LABELS + 7), READ_LABELS + 7);
        assert_eq!(read_labels(usize::MAX) * LABEL_BYTES * BUFFERS, MAX_BUFFERED);
    }

    #[test]
    fn the_first_full_nonce_wins_and_the_lower_of_two() {
        let hit = |index, nonce| Hit { index, nonce };
        let mut tally = Tally::new(2);
        assert_eq!(tally.count(&[hit(1, 5), hit(1, 9), hit(4, 7)]), None);
        assert_eq!(tally.count(&[hit(6, 5), hit(6, 9)]), Some((5, vec![1, 6])));
        let mut tally = Tally::new(1);
        assert_eq!(tally.count(&[hit(3, 2), hit(3, 4)]), Some((2, vec![3])));
    }
}
