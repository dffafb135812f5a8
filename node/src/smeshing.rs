//! Smeshing: the cycle in which this node's miners turn proofs of space into ATXs, one an epoch (NODE.md sections 1, 3).
//!
//! ```text
//! initial post ─► challenge fixed ─► registered with the PoET ─► round over ─► proof of space ─► ATX signed ─► out
//!                        ▲                                                                                      │
//!                        └──────────────────── the next one's previous ATX ────────────────────────────────────┘
//! ```
//! Round r takes registrations until it opens; it ends in epoch r+1, where its ATX is published; in the gap between
//! there and the opening of round r+1 the proof is made, the ATX published and the next challenge registered. Whoever
//! is late takes the next round that is open; the previous ATX stays the last one that was published.
//!
//! What must never happen, whenever the process dies: two ATXs in one epoch, or two with one previous ATX. Both are
//! frauds, for good. So
//! - every step is in the archive before anything comes of it; what is not there never happened;
//! - a signed ATX goes out as the same bytes, again and again, until this node itself has judged it; nothing else is
//!   signed before;
//! - no challenge is fixed and no ATX signed before the node knows the network's ATXs. If there is one of this miner
//!   that the machine didn't make (its database is lost, or the key is in use elsewhere too), it goes on from there.
//!
//! A pure machine: the shell gives time and events, and does what comes out in order.

mod activation;
mod io;
mod miner;
mod phase;
mod record;
mod rules;
mod warning;

use std::collections::BTreeMap;

pub use io::{Effect, Input, OwnAtx, PoetCommand, PoetEvent, ProverEvent, ProverMetadata, View};
pub use phase::{MinerStatus, Phase};
pub use record::RecordError;
pub use warning::Warning;

use miner::{Miner, Moment, Outbox};
use record::Record;
use rules::Rules;

use crate::archive::{Archive, ArchiveError, Write};
use crate::codec::encode;
use crate::ids::{Address, Epoch, NodeId, PoetChallenge};
use crate::params::NodeParams;
use crate::poet::{Members, PoetProof};
use crate::signature::Signer;
use crate::time::Time;

/// Why smeshing can't go on where it was left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A miner's record is there, and not readable. Without it a second ATX might be signed.
    #[error("cannot tell how far miner {node_id} was: {source}")]
    Record {
        /// Whose.
        node_id: NodeId,
        /// What is wrong with it.
        source: RecordError,
    },
}

/// The machine of all miners of this node.
#[derive(Debug)]
pub struct Smesher {
    rules: Rules,
    miners: BTreeMap<NodeId, Miner>,
    /// The rounds whose output is waited for, and when it is asked for again.
    rounds: BTreeMap<Epoch, Time>,
}

impl Smesher {
    /// New miners; [`Smesher::restore`] must follow wherever there may be an archive from before.
    #[must_use]
    pub fn new(params: NodeParams, coinbase: Address, signers: Vec<Signer>) -> Self {
        let miners = signers.into_iter().map(|signer| (signer.node_id(), Miner::new(signer, Record::NEW))).collect();
        Self { rules: Rules { params, coinbase }, miners, rounds: BTreeMap::new() }
    }

    /// Goes on where the miners were when the archive was last written.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing may be done with the machine then.
    pub fn restore(&mut self, archive: &dyn Archive) -> Result<(), RestoreError> {
        for (&node_id, miner) in &mut self.miners {
            if let Some(bytes) = archive.smeshing(node_id)? {
                let record = Record::decode(&bytes).map_err(|source| RestoreError::Record { node_id, source })?;
                miner.restore(record);
            }
        }
        Ok(())
    }

    /// Takes one step; `out` gets what the shell shall do. `now` must not go back.
    pub fn step(&mut self, now: Time, view: &dyn View, input: Input, out: &mut Vec<Effect>) {
        let Self { rules, miners, rounds } = self;
        let at = &Moment { now, view, rules };
        let mut done = Outbox::default();
        match input {
            Input::Tick => {
                miners.values_mut().for_each(|miner| miner.tick(at, &mut done));
                fetch(rounds, miners, at, &mut done);
            }
            Input::Prover(event) => {
                if let Some(miner) = miners.get_mut(&event.node_id()) {
                    miner.prover(event, at, &mut done);
                }
            }
            Input::Poet(event) => poet(event, rounds, miners, at, &mut done),
            Input::AtxJudged { id, ok, why } => {
                miners.values_mut().for_each(|miner| miner.judged(id, ok, why.clone(), at, &mut done));
            }
        }
        miners.values_mut().for_each(|miner| miner.note_phase(at));
        if !done.writes.is_empty() {
            out.push(Effect::Persist(done.writes));
        }
        out.append(&mut done.effects);
    }

    /// How far each miner is, as of the last step.
    #[must_use]
    pub fn phases(&self) -> Vec<MinerStatus> {
        self.miners.values().map(|miner| miner.status(&self.rules)).collect()
    }
}

/// Asks for the output of rounds that should be over.
fn fetch(rounds: &mut BTreeMap<Epoch, Time>, miners: &BTreeMap<NodeId, Miner>, at: &Moment<'_>, out: &mut Outbox) {
    let waiting = miners.values().filter_map(|miner| miner.waits_for(at));
    *rounds = waiting.map(|round| (round, rounds.get(&round).copied().unwrap_or(Time(0)))).collect();
    for (&round, due) in rounds.iter_mut().filter(|(_, due)| at.now >= **due) {
        out.effects.push(Effect::Poet(PoetCommand::Fetch { round }));
        *due = at.now.after(at.rules.patience_ms());
    }
}

fn poet(
    event: PoetEvent,
    rounds: &mut BTreeMap<Epoch, Time>,
    miners: &mut BTreeMap<NodeId, Miner>,
    at: &Moment<'_>,
    out: &mut Outbox,
) {
    let (round, problem) = match event {
        PoetEvent::Registered { node_id, round, challenge } => {
            if let Some(miner) = miners.get_mut(&node_id) {
                miner.registered((round, challenge), at, out);
            }
            return;
        }
        PoetEvent::Refused { node_id, round, challenge, retryable, why } => {
            if let Some(miner) = miners.get_mut(&node_id) {
                miner.refused((round, challenge), retryable, why, at, out);
            }
            return;
        }
        PoetEvent::Result { round, proof, members } => match judge(&proof, &members) {
            Ok(members) => {
                let poet = proof.id();
                let mut used = false;
                for miner in miners.values_mut() {
                    used |= miner.round_ended((round, poet), &members, at, out);
                }
                if used {
                    // The ATX can't be judged without, neither now nor after a crash.
                    out.writes.push(Write::Poet { id: poet, bytes: encode(&proof) });
                }
                return;
            }
            Err(why) => (round, Some(Warning::WrongPoetProof { round, why })),
        },
        PoetEvent::NoResult { round, why } => (round, Some(Warning::NoPoetProof { round, why })),
        PoetEvent::NotYet { round } => (round, None),
    };
    if let Some(due) = rounds.get_mut(&round) {
        *due = at.now.after(at.rules.retry_ms());
    }
    for miner in miners.values_mut().filter(|miner| miner.waits_for(at) == Some(round)) {
        if let Some(problem) = &problem {
            miner.warn(problem.clone(), at, out);
        }
    }
}

/// The members of a round, if they and its proof hold.
fn judge(proof: &PoetProof, members: &[PoetChallenge]) -> Result<Members, String> {
    proof.verify().map_err(|error| error.to_string())?;
    let members = Members::new(members).map_err(|error| error.to_string())?;
    if members.root() != proof.statement {
        return Err("its statement is not the root of its members".into());
    }
    Ok(members)
}
