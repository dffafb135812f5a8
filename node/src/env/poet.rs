//! Somebody who makes PoET proofs: a server by HTTP, or this process (NODE.md section 4).
//!
//! All calls block. What a PoET answers is checked here: a [`RoundResult`] holds, whoever it came from.

mod http;
mod local;
mod pow;
mod rfc3339;
mod server;
mod store;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

pub use http::HttpPoet;
pub use local::{LocalPoet, LocalPoetConfig};
pub use server::serve;

use crate::ids::{Epoch, PoetChallenge};
use crate::poet::{MembershipError, PoetProof, ProofError};
use crate::signature::Signer;
use crate::time::Time;

/// A PoET.
pub trait Poet: Send + Sync {
    /// Who it is and what its calendar is like.
    ///
    /// # Errors
    /// It can't be asked, or answers nonsense.
    fn info(&self) -> Result<PoetInfo, PoetError>;

    /// Registers a challenge, signed, for the round that begins next. To do it again does no harm.
    ///
    /// `ends_by`: a round that ends later is of no use, and the registration is to be refused. Without that, a
    /// registration that comes a moment too late is in the next round, which takes no other of the same miner.
    ///
    /// # Errors
    /// It can't be asked, or refuses.
    fn submit(
        &self,
        signer: &Signer,
        challenge: PoetChallenge,
        ends_by: Option<Time>,
    ) -> Result<Registration, PoetError>;

    /// What came of a round: checked; `None` while there is nothing yet.
    ///
    /// # Errors
    /// It can't be asked, or what it says doesn't hold.
    fn proof(&self, round: Epoch) -> Result<Option<RoundResult>, PoetError>;
}

/// A PoET about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoetInfo {
    /// Its public key.
    pub service: [u8; 32],
    /// From the start of an epoch to the beginning of its round.
    pub phase_shift: Duration,
    /// From the end of a round to the beginning of the next.
    pub cycle_gap: Duration,
}

/// A challenge is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// For the round that begins in this epoch.
    pub round: Epoch,
    /// How long from now until it ends, where the PoET says so.
    pub ends_in: Option<Duration>,
}

/// What came of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundResult {
    /// The PoET's public key.
    pub service: [u8; 32],
    /// The epoch in which the round began.
    pub round: Epoch,
    /// The proof over the members' root.
    pub proof: PoetProof,
    /// The members, in the order of the tree.
    pub members: Vec<PoetChallenge>,
}

/// Why a PoET is of no help.
#[derive(Debug, thiserror::Error)]
pub enum PoetError {
    /// No answer in time.
    #[error("PoET {server}: {reason}; check that it is up and can be reached from here")]
    Unreachable {
        /// Its address.
        server: String,
        /// What happened.
        reason: String,
    },
    /// It says no.
    #[error("PoET {server} refuses ({status}): {reason}")]
    Refused {
        /// Its address.
        server: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        reason: String,
    },
    /// The round that is open ends too late.
    #[error("PoET {server}: too late for this round; the next epoch's is the next chance")]
    TooLate {
        /// Its address.
        server: String,
    },
    /// The miner has another challenge in the round that is open.
    #[error("PoET {server}: another challenge of this miner is registered already; one of its nodes did it")]
    AlreadyRegistered {
        /// Its address.
        server: String,
    },
    /// It wants more work for a registration than is reasonable.
    #[error("PoET {server} wants a proof of work of {difficulty} bits, more than {}; use another", pow::MAX_DIFFICULTY)]
    TooHard {
        /// Its address.
        server: String,
        /// Leading zero bits.
        difficulty: u32,
    },
    /// Not what a PoET answers.
    #[error("PoET {server} answers nonsense: {reason}; check the address")]
    Malformed {
        /// Its address.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Its members are no members.
    #[error("PoET {server}, round {round}: {source}; do not use it")]
    Members {
        /// Its address.
        server: String,
        /// Which round.
        round: Epoch,
        /// What is wrong.
        source: MembershipError,
    },
    /// Its proof is none.
    #[error("PoET {server}, round {round}: {source}; do not use it")]
    Proof {
        /// Its address.
        server: String,
        /// Which round.
        round: Epoch,
        /// What is wrong.
        source: ProofError,
    },
    /// A PoET in this process can't keep what it was told.
    #[error("PoET directory: {}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl PoetError {
    /// Whether it may go better a moment later, with the same question.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TooLate { .. } | Self::AlreadyRegistered { .. } | Self::TooHard { .. } => false,
            Self::Members { .. } | Self::Proof { .. } => false,
            Self::Unreachable { .. } | Self::Refused { .. } | Self::Malformed { .. } | Self::Store { .. } => true,
        }
    }
}
