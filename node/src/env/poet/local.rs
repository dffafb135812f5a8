//! A PoET in this process, for devnets. Its proofs are real; only their length is fixed, whatever the machine can do.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::store::{Registrations, Store};
use super::wire::{Bytes, PowParams};
use super::{Poet, PoetError, PoetInfo, Registration, RoundResult};
use crate::ids::{Epoch, GenesisId, NodeId, PoetChallenge};
use crate::params::Timing;
use crate::poet::{Members, MembershipError, Prover};
use crate::signature::Signer;
use crate::time::Time;

/// What it calls itself in errors.
const NAME: &str = "of this process";

/// At most so many members in a round.
const MAX_REGISTRATIONS: usize = 1 << 16;

/// So many rounds are remembered.
const MAX_ROUNDS: usize = 256;

/// How a [`LocalPoet`] is to be.
pub struct LocalPoetConfig {
    /// The network whose miners may register.
    pub genesis_id: GenesisId,
    /// When rounds begin and end.
    pub timing: Timing,
    /// How many leaves a round's proof has. 2^16 take half a second.
    pub leaves: u64,
    /// Leading zero bits of the work that comes with a registration over HTTP; 0 for none.
    pub pow_difficulty: u32,
    /// What time it is.
    pub clock: Box<dyn Fn() -> Time + Send + Sync>,
    /// Where to keep registrations and proofs; without one they end with the process.
    pub dir: Option<PathBuf>,
}

/// A PoET in this process.
pub struct LocalPoet {
    config: LocalPoetConfig,
    service: [u8; 32],
    store: Option<Store>,
    rounds: Mutex<BTreeMap<Epoch, Round>>,
}

#[derive(Default)]
struct Round {
    members: Registrations,
    /// Once the round is over and somebody asked. Its own lock, so that nobody makes the proof a second time.
    result: Arc<Mutex<Option<RoundResult>>>,
}

impl fmt::Debug for LocalPoet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalPoet({})", hex::encode(self.service))
    }
}

/// What a panic elsewhere left behind is whole: every change is a single one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LocalPoet {
    /// Begins, or goes on with what is in the directory.
    ///
    /// # Errors
    /// The directory can't be used.
    pub fn new(config: LocalPoetConfig) -> Result<Self, PoetError> {
        let service = blake3::hash(&[b"PoET of ", &config.genesis_id.0[..]].concat()).into();
        let (store, members) = match &config.dir {
            Some(dir) => Store::open(dir).map(|(store, members)| (Some(store), members))?,
            None => (None, BTreeMap::new()),
        };
        let rounds = members.into_iter().map(|(round, members)| (round, Round { members, ..Round::default() }));
        let rounds = Mutex::new(rounds.collect());
        Ok(Self { config, service, store, rounds })
    }

    /// The network whose miners may register.
    pub(super) fn genesis_id(&self) -> GenesisId {
        self.config.genesis_id
    }

    /// What has to be worked for a registration over HTTP.
    pub(super) fn pow_params(&self) -> PowParams {
        PowParams { difficulty: self.config.pow_difficulty, challenge: Bytes(self.service.to_vec()) }
    }

    /// The round that takes registrations: the next to begin.
    fn open_round(&self, now: Time) -> Epoch {
        let timing = &self.config.timing;
        match timing.epoch_at(now) {
            None => Epoch(0),
            Some(epoch) if now < timing.round_opens(epoch) => epoch,
            Some(epoch) => epoch.next(),
        }
    }

    /// Registers a miner whose signature has been checked.
    ///
    /// # Errors
    /// As [`Poet::submit`].
    pub(super) fn register(
        &self,
        node_id: NodeId,
        challenge: PoetChallenge,
        ends_by: Option<Time>,
    ) -> Result<Registration, PoetError> {
        // The clock is read under the lock: whoever is in a round's list was there before anybody could see it closed.
        let mut rounds = lock(&self.rounds);
        let now = (self.config.clock)();
        let round = self.open_round(now);
        let ends = self.config.timing.round_ends(round);
        if ends_by.is_some_and(|ends_by| ends_by < ends) {
            return Err(PoetError::TooLate { server: NAME.into() });
        }
        if challenge == PoetChallenge([0; 32]) {
            return Err(PoetError::Members { server: NAME.into(), round, source: MembershipError::Zeros { index: 0 } });
        }
        let Round { members, .. } = rounds.entry(round).or_default();
        let full = members.len() >= MAX_REGISTRATIONS;
        match members.entry(node_id) {
            Entry::Occupied(entry) if *entry.get() == challenge => {}
            Entry::Occupied(_) => return Err(PoetError::AlreadyRegistered { server: NAME.into() }),
            Entry::Vacant(_) if full => {
                let reason = "the round is full".into();
                return Err(PoetError::Refused { server: NAME.into(), status: 429, reason });
            }
            Entry::Vacant(entry) => {
                entry.insert(challenge);
                if let Some(store) = &self.store
                    && let Err(error) = store.keep_members(round, members)
                {
                    members.remove(&node_id);
                    return Err(error);
                }
            }
        }
        while rounds.len() > MAX_ROUNDS {
            rounds.pop_first();
        }
        Ok(Registration { round, ends_in: Some(Duration::from_millis(ends.since(now))) })
    }

    /// A round's proof, kept or made now.
    fn make(&self, round: Epoch, members: &Registrations) -> Result<RoundResult, PoetError> {
        let wrong = |source| PoetError::Members { server: NAME.into(), round, source };
        let members: Vec<_> = members.values().copied().collect();
        let statement = Members::new(&members).map_err(wrong)?.root();
        let kept = match &self.store {
            Some(store) => store.read_proof(round)?,
            None => None,
        };
        let proof = match kept.filter(|proof| proof.statement == statement && proof.verify().is_ok()) {
            Some(kept) => kept,
            None => {
                let mut prover = Prover::new(statement);
                prover.work(self.config.leaves.max(1));
                let proof = prover.prove().ok_or_else(|| wrong(MembershipError::Nobody))?;
                if let Some(store) = &self.store {
                    store.keep_proof(round, &proof)?;
                }
                proof
            }
        };
        Ok(RoundResult { service: self.service, round, proof, members })
    }
}

impl Poet for LocalPoet {
    fn info(&self) -> Result<PoetInfo, PoetError> {
        Ok(PoetInfo {
            service: self.service,
            phase_shift: Duration::from_millis(self.config.timing.poet_phase_shift_ms),
            cycle_gap: Duration::from_millis(self.config.timing.poet_cycle_gap_ms),
        })
    }

    fn submit(
        &self,
        signer: &Signer,
        challenge: PoetChallenge,
        ends_by: Option<Time>,
    ) -> Result<Registration, PoetError> {
        self.register(signer.node_id(), challenge, ends_by)
    }

    fn proof(&self, round: Epoch) -> Result<Option<RoundResult>, PoetError> {
        if (self.config.clock)() < self.config.timing.round_ends(round) {
            return Ok(None);
        }
        let (members, result) = match lock(&self.rounds).get(&round) {
            Some(round) => (round.members.clone(), Arc::clone(&round.result)),
            None => return Ok(None),
        };
        let mut result = lock(&result);
        if result.is_none() {
            *result = Some(self.make(round, &members)?);
        }
        Ok(result.clone())
    }
}
