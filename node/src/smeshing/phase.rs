//! How far a miner is, for people and tests.

use std::fmt;

use super::warning::Warning;
use crate::ids::{Epoch, NodeId};
use crate::time::Time;

/// A miner's place in the cycle, in the order of the cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The node waits until it knows the network's ATXs.
    Syncing,
    /// A first proof is needed, and there is no prover that could make it.
    NoProver,
    /// The prover makes the initial post.
    InitialProving,
    /// The initial post is there.
    InitialProved,
    /// The challenge is fixed and being registered with the PoET.
    ChallengeFixed,
    /// The PoET has it; its round has not begun.
    Registered,
    /// The round has begun.
    RoundRunning,
    /// The round should have ended; its proof is being fetched.
    RoundEnded,
    /// The PoET's proof is there, and nobody is proving space yet.
    PoetProofThere,
    /// The prover makes the proof of space.
    Proving,
    /// The proof of space is there.
    Proved,
    /// The ATX is signed and being judged, then gossiped.
    Signed,
    /// The ATX is out; the next challenge is not fixed yet.
    Published,
    /// A fraud proof has ended it.
    Stopped,
}

impl Phase {
    /// All there are.
    pub const ALL: [Self; 14] = [
        Self::Syncing,
        Self::NoProver,
        Self::InitialProving,
        Self::InitialProved,
        Self::ChallengeFixed,
        Self::Registered,
        Self::RoundRunning,
        Self::RoundEnded,
        Self::PoetProofThere,
        Self::Proving,
        Self::Proved,
        Self::Signed,
        Self::Published,
        Self::Stopped,
    ];

    /// Its name in snake_case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Syncing => "syncing",
            Self::NoProver => "no_prover",
            Self::InitialProving => "initial_proving",
            Self::InitialProved => "initial_proved",
            Self::ChallengeFixed => "challenge_fixed",
            Self::Registered => "registered",
            Self::RoundRunning => "round_running",
            Self::RoundEnded => "round_ended",
            Self::PoetProofThere => "poet_proof_there",
            Self::Proving => "proving",
            Self::Proved => "proved",
            Self::Signed => "signed",
            Self::Published => "published",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What there is to say about a miner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinerStatus {
    /// Which.
    pub node_id: NodeId,
    /// Its place in the cycle.
    pub phase: Phase,
    /// The epoch of the ATX it is working on; in [`Phase::Published`] of the last one.
    pub publish_epoch: Option<Epoch>,
    /// When the phase began, or this process.
    pub since: Time,
    /// When the phase should be over: what is late after that is lost.
    pub deadline: Option<Time>,
    /// Whether there is a prover, fit or not.
    pub prover: bool,
    /// The last thing the operator was told, and when.
    pub warning: Option<(Time, Warning)>,
}
