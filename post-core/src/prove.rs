//! Makes a proof that a set is held (POST.md section 5).
//!
//! A proof is a pure function of the data, the challenge, the parameters and the nonces per pass: whatever the backend, the
//! number of threads and of disks, and however often it was interrupted, hits count as if they came in the order of their
//! labels (see `tally`). Labels are read from all disks at once (`pass`), and how far it has come is kept (`progress`).

mod pass;
mod progress;
mod tally;

use std::ops::Range;

use crate::backend::{self, Backend};
use crate::cipher::{MAX_GROUPS, NONCES_PER_GROUP};
use crate::difficulty::{Difficulty, expected_hashes, pow_target};
use crate::drive::DriveError;
use crate::identity::Challenge;
use crate::index_packing::{TooWide, pack, required_bits};
use crate::params::{NetworkParams, ParamsError};
use crate::pow::{PowError, PowInput, PowProver};
use crate::proof::{Proof, ProofFile, ProofMetadata};
use crate::scan::{NonceGroup, ScanJob};
use crate::set::DataSet;
use crate::watch::{Event, Watch};
pub use progress::{Progress, SAVE_EVERY};
use progress::{Search, State, Work, data_hash};
use tally::Tally;

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
    /// Somebody wrote to a data file while it was scanned.
    #[error(
        "data files changed while they were scanned, so the proof is one of no data; run the same command again once nothing writes to them: the scan begins again, all k2pows are kept"
    )]
    DataChanged,
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
    #[error("stopped before a proof was found; the same command {}", if *.kept { "continues" } else { "starts again" })]
    Stopped {
        /// Whether progress was kept.
        kept: bool,
    },
}

/// What is to be proven.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The data.
    pub set: &'a DataSet,
    /// The network.
    pub params: &'a NetworkParams,
    /// What the proof answers.
    pub challenge: Challenge,
    /// Nonces that one pass over the data tries, a multiple of 16 up to 4096.
    pub nonces_per_pass: u32,
}

/// Proves that `set` is held, trying `nonces_per_pass` nonces at a time. Progress is kept nowhere: for data that is read in
/// minutes, and for tests.
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
    let request = Request { set, params, challenge: *challenge, nonces_per_pass };
    prove_keeping(&request, &mut Progress::not_kept(), backend, pow, watch)
}

/// Proves that the set is held. Goes on where an earlier run for the same request ended, if `progress` was kept; the proof
/// is the same. Whoever gets it verifies it, and calls [`Progress::forget`] once it is safe, or [`Progress::forget_scan`] if
/// it is invalid.
///
/// # Errors
/// Every [`ProveError`]. Progress up to there is kept.
pub fn prove_keeping(
    request: &Request<'_>,
    progress: &mut Progress<'_>,
    backend: &mut dyn Backend,
    pow: &dyn PowProver,
    watch: &dyn Watch,
) -> Result<ProofFile, ProveError> {
    let prover = Prover::new(request)?;
    let data = data_hash(request.set)?;
    let mut state = progress.begin(prover.work(), prover.search(data), watch);
    while let Some(nonces) = prover.nonces(state.pass) {
        let groups = prover.open_groups(&nonces, &mut state, progress, pow, watch)?;
        let (pass, done) = (state.pass, state.tally.done().len());
        watch.event(Event::PassStarted {
            pass,
            nonces: nonces.clone(),
            labels: request.set.layout().num_labels(),
            done,
        });
        let job = ScanJob { groups: &groups.iter().collect::<Vec<_>>(), difficulty: prover.difficulty };
        pass::scan(&request.set.reader(), &job, &mut state, progress, backend, watch)?;
        if let Some((nonce, indices)) = state.tally.winner() {
            // The proof is one of the data as it was at one moment. The record names the old data, so nobody takes it up.
            if data_hash(request.set)? != data {
                return Err(ProveError::DataChanged);
            }
            let group = &groups[((nonce - nonces.start) / NONCES_PER_GROUP) as usize];
            return prover.proof_file(nonce, indices, group.pow);
        }
        (state.pass, state.tally) = (state.pass + 1, Tally::new(request.params.k2));
    }
    // Whoever mends the data wants it to be read again. Where that can't be noted, this error says enough.
    let _ = progress.forget_scan();
    Err(ProveError::NotFound { k2: request.params.k2 })
}

/// Checks that the set and the network fit together, before anything costly.
///
/// # Errors
/// Those [`ProveError`]s that need no work.
pub fn check(request: &Request<'_>) -> Result<(), ProveError> {
    Prover::new(request).map(|_| ())
}

struct Prover<'a> {
    request: &'a Request<'a>,
    difficulty: Difficulty,
    pow_target: [u8; 32],
}

impl<'a> Prover<'a> {
    fn new(request: &'a Request<'a>) -> Result<Self, ProveError> {
        let Request { set, params, nonces_per_pass, .. } = *request;
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
        Ok(Self { request, difficulty, pow_target: pow_target(&params.pow_difficulty, units) })
    }

    fn work(&self) -> Work {
        let node_id = self.request.set.metadata().node_id;
        Work { node_id: node_id.0, challenge: self.request.challenge.0, target: self.pow_target }
    }

    fn search(&self, data: [u8; 32]) -> Search {
        let Request { set, params, nonces_per_pass, .. } = *self.request;
        Search {
            commitment: set.metadata().commitment().0,
            num_labels: set.layout().num_labels(),
            k1: params.k1,
            k2: params.k2,
            nonces_per_pass,
            data,
        }
    }

    /// The nonces of a pass; none when all were tried before it.
    fn nonces(&self, pass: u32) -> Option<Range<u32>> {
        let per_pass = self.request.nonces_per_pass;
        let first = pass.checked_mul(per_pass).filter(|first| *first < MAX_NONCES)?;
        Some(first..(first + per_pass).min(MAX_NONCES))
    }

    /// Derives the ciphers of a pass, for which the k2pow of each of its groups is needed.
    fn open_groups(
        &self,
        nonces: &Range<u32>,
        state: &mut State,
        progress: &mut Progress<'_>,
        pow: &dyn PowProver,
        watch: &dyn Watch,
    ) -> Result<Vec<NonceGroup>, ProveError> {
        let groups = nonces.start / NONCES_PER_GROUP..nonces.end / NONCES_PER_GROUP;
        if let Some(first) = groups.clone().find(|group| !state.pows.contains_key(group)) {
            let expected_hashes = expected_hashes(&self.pow_target);
            watch.event(Event::PowStarted { groups: first..groups.end, expected_hashes });
        }
        let mut opened = Vec::new();
        for group in groups {
            let known = state.pows.get(&group).copied();
            let pow = known.map_or_else(|| self.find_pow(group, state, progress, pow, watch), Ok)?;
            opened.push(NonceGroup::new(&self.request.challenge, group, pow));
        }
        Ok(opened)
    }

    /// Finds the k2pow of a group, and keeps it.
    fn find_pow(
        &self,
        group: u32,
        state: &mut State,
        progress: &mut Progress<'_>,
        pow: &dyn PowProver,
        watch: &dyn Watch,
    ) -> Result<u64, ProveError> {
        let Request { set, challenge, .. } = self.request;
        // Nonces end at MAX_NONCES, so a group fits a byte.
        let input = PowInput::new(group as u8, challenge, set.metadata().node_id);
        let pow = pow.prove(&input, &self.pow_target, watch).map_err(|error| match error {
            PowError::Stopped => ProveError::Stopped { kept: progress.is_kept() },
            error => error.into(),
        })?;
        watch.event(Event::PowFound { group, pow });
        state.pows.insert(group, pow);
        progress.save(state, watch);
        Ok(pow)
    }

    fn proof_file(&self, nonce: u32, indices: &[u64], pow: u64) -> Result<ProofFile, ProveError> {
        let Request { set, challenge, .. } = self.request;
        let metadata = set.metadata();
        let bits = required_bits(set.layout().num_labels());
        Ok(ProofFile {
            proof: Proof { nonce, indices: pack(indices, bits)?, pow },
            metadata: ProofMetadata {
                node_id: metadata.node_id,
                commitment_atx_id: metadata.commitment_atx_id,
                challenge: *challenge,
                num_units: metadata.num_units,
            },
        })
    }
}
