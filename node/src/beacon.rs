//! The beacon: four bytes that nobody could know, agreed on an epoch ahead (NODE.md section 6).
//!
//! In every epoch some miners are drawn to propose, and the first bytes of their draws are the candidates for the next
//! epoch's beacon. What came late is known in time to some miners only, so they vote, round after round, on every candidate:
//! first by what they got in time, then as the weight of the round before says, and where that is undecided as a coin falls
//! that nobody could know when that round's votes were cast. The beacon is the hash of the candidates that are left.
//!
//! A node that was not there from the epoch's start follows and says nothing: it can't know what it missed, and may have
//! voted before it was started again. It learns the beacon from what the others' ballots say.

mod calendar;
mod draws;
mod message;
mod run;
mod tally;

use std::collections::BTreeMap;

pub use draws::{fallback, genesis_beacon};
pub use message::{BeaconMessage, BeaconVote, Candidate, MAX_CANDIDATES};

use calendar::Calendar;
use run::Run;

use crate::codec::{DecodeError, decode};
use crate::ids::{Beacon, Epoch, NodeId};
use crate::params::{ConsensusParams, NodeParams, Timing};
use crate::roster::Roster;
use crate::signature::{Signer, Verifier};
use crate::source::{Source, Verdict};
use crate::time::Time;
use crate::vrf::VrfError;

/// The first epoch in which miners have weight. They vote on the beacon of the next.
const FIRST: Epoch = Epoch(2);

/// What the machine asks about miners.
pub trait View {
    /// Who takes part in an epoch; `None` while that isn't known.
    fn roster(&self, epoch: Epoch) -> Option<&Roster>;

    /// Whether this node's miners may say anything in an epoch.
    fn may_speak(&self, epoch: Epoch) -> bool;

    /// Whether a miner is known to be a fraud by now.
    fn is_fraud(&self, node_id: NodeId) -> bool;
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; wanted several times in a round.
    Tick,
    /// The bytes of a [`BeaconMessage`] came.
    Message {
        /// Its encoding.
        bytes: Vec<u8>,
        /// From whom.
        source: Source,
    },
    /// A miner was found out to be a fraud: its votes count no more.
    Convicted(NodeId),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell everyone.
    Gossip(BeaconMessage),
    /// What becomes of a message.
    Verdict {
        /// Whose.
        source: Source,
        /// What.
        verdict: Verdict,
        /// Why.
        why: Reason,
    },
    /// Two votes of one miner and round, which prove that it is a fraud.
    Contradiction(Box<[BeaconVote; 2]>),
    /// A beacon was agreed on; there may be none for an epoch.
    Decided {
        /// Whose beacon it is.
        epoch: Epoch,
        /// The beacon.
        beacon: Beacon,
    },
}

/// Why a message has its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is good.
    #[error("good")]
    Good,
    /// It is here already.
    #[error("known already")]
    Known,
    /// Nobody votes on the beacon in its epoch now.
    #[error("it is of epoch {0}, in which nobody votes now")]
    Epoch(Epoch),
    /// Its time has not come, or is over.
    #[error("it came too early or too late")]
    Time,
    /// The network has no such round.
    #[error("there is no round {0}")]
    Round(u8),
    /// Whoever said it takes no part in the epoch, as far as is known.
    #[error("the sender takes no part in the epoch")]
    NoMember,
    /// Whoever said it is a fraud.
    #[error("the sender is a fraud")]
    Fraud,
    /// A proposal of a miner that was not drawn, as far as is known.
    #[error("the sender was not drawn to propose")]
    NotDrawn,
    /// There is more than can be kept.
    #[error("there are too many proposals")]
    Crowded,
    /// The candidates of a vote don't ascend, or it isn't signed.
    #[error("the candidates are not in order, or the signature is not the sender's")]
    Unsound,
    /// A draw.
    #[error("the draw: {0}")]
    Draw(#[from] VrfError),
    /// It contradicts another vote of the sender's.
    #[error("it contradicts another vote of the sender's")]
    Contradiction,
    /// Bytes that are no message.
    #[error("no beacon message: {0}")]
    Encoding(#[from] DecodeError),
}

/// What all runs of a node share.
#[derive(Debug)]
struct Common {
    timing: Timing,
    consensus: ConsensusParams,
    verifier: Verifier,
    signers: Vec<Signer>,
}

impl Common {
    /// A vote names no more candidates: many times as many as are drawn.
    fn most_candidates(&self) -> usize {
        (self.consensus.beacon_candidates as usize).saturating_mul(8).clamp(64, MAX_CANDIDATES)
    }
}

/// The machine.
#[derive(Debug)]
pub struct Beacons {
    common: Common,
    /// The running epoch's; towards its end, the next one's too.
    runs: BTreeMap<Epoch, Run>,
    /// When the first step was.
    since: Option<Time>,
}

impl Beacons {
    /// For a node with the miners of `signers`.
    #[must_use]
    pub fn new(params: &NodeParams, verifier: Verifier, signers: Vec<Signer>) -> Self {
        let (timing, consensus) = (params.timing.clone(), params.consensus.clone());
        Self { common: Common { timing, consensus, verifier, signers }, runs: BTreeMap::new(), since: None }
    }

    /// One step. `out` gets what is to be done, in this order.
    pub fn step(&mut self, now: Time, view: &dyn View, input: Input, out: &mut Vec<Effect>) {
        self.open_runs(now);
        for run in self.runs.values_mut() {
            run.advance(now, view, &self.common, out);
        }
        self.close_runs(now);
        match input {
            Input::Tick => {}
            Input::Message { bytes, source } => {
                let (verdict, why) = self.take(now, view, &bytes, out);
                out.push(Effect::Verdict { source, verdict, why });
            }
            Input::Convicted(node_id) => self.runs.values_mut().for_each(|run| run.exclude(node_id)),
        }
    }

    /// Messages of the next epoch are taken one round before it begins: clocks differ.
    fn open_runs(&mut self, now: Time) {
        let since = *self.since.get_or_insert(now);
        let soon = self.common.timing.epoch_at(now.after(self.common.consensus.beacon_round_ms));
        for epoch in self.common.timing.epoch_at(now).into_iter().chain(soon) {
            if epoch >= FIRST && !self.runs.contains_key(&epoch) {
                let calendar = Calendar::new(&self.common.timing, &self.common.consensus, epoch);
                self.runs.insert(epoch, Run::new(epoch, since <= calendar.start(), calendar));
            }
        }
    }

    fn close_runs(&mut self, now: Time) {
        if let Some(epoch) = self.common.timing.epoch_at(now) {
            self.runs.retain(|of, _| *of >= epoch);
        }
    }

    fn take(&mut self, now: Time, view: &dyn View, bytes: &[u8], out: &mut Vec<Effect>) -> (Verdict, Reason) {
        let message: BeaconMessage = match decode(bytes) {
            Ok(message) => message,
            Err(error) => return (Verdict::Reject, error.into()),
        };
        let epoch = message.epoch();
        let Some(run) = self.runs.get_mut(&epoch) else { return (Verdict::Ignore, Reason::Epoch(epoch)) };
        let taken = match message {
            BeaconMessage::Proposal { sender, proof, .. } => {
                run.take_proposal(now, view, &self.common, (sender, proof))
            }
            BeaconMessage::Vote(vote) => run.take_vote(now, view, &self.common, vote, out),
        };
        taken.map_or_else(|refused| refused, |why| (Verdict::Accept, why))
    }
}
