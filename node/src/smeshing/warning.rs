//! What the operator should know.

use crate::ids::{AtxId, Epoch, PoetChallenge};

/// Something is not as it should be. Each says what to do about it, where there is something to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Warning {
    /// A proof is needed and there is no prover.
    #[error("a proof is needed and no prover is there; start the miner's prover")]
    NoProver,
    /// The prover went away while it was at work.
    #[error("the prover went away in the middle of a proof; it is asked again when it is back")]
    ProverGone,
    /// The prover holds data bound to another ATX than the miner's.
    #[error("the prover's data is bound to ATX {got}, the miner's to {wanted}; start the prover on the right data")]
    WrongCommitment {
        /// The miner's.
        wanted: AtxId,
        /// The prover's.
        got: AtxId,
    },
    /// The prover is set up for another network.
    #[error("the prover has {got} labels a unit, the network {wanted}; the data is of another network")]
    WrongLabelsPerUnit {
        /// The network's.
        wanted: u64,
        /// The prover's.
        got: u64,
    },
    /// The prover holds more or less than a miner may.
    #[error("the prover holds {got} units, where {min} to {max} may be")]
    WrongUnits {
        /// What it holds.
        got: u32,
        /// The least a miner may hold.
        min: u32,
        /// The most.
        max: u32,
    },
    /// The initial post and the first proof must be over the same units.
    #[error(
        "the initial post is over {wanted} units, the prover now holds {got}; bring the {wanted} back, or this epoch is lost"
    )]
    UnitsChanged {
        /// Those of the initial post.
        wanted: u32,
        /// What the prover holds.
        got: u32,
    },
    /// The prover knows no VRF nonce, and so neither does the node.
    #[error("the prover knows no VRF nonce; let it search for one")]
    NonceUnknown,
    /// The prover did not prove.
    #[error("the prover failed: {0}")]
    ProverFailed(String),
    /// A proof that nobody asked for: of another challenge, or come too late.
    #[error("the prover sent a proof that nobody waits for")]
    ProofNotAsked,
    /// A proof that can't be one, as a glance shows.
    #[error("the prover's proof can't hold: {0}; check prover and data")]
    ProofMalformed(&'static str),
    /// The PoET does not take the challenge.
    #[error("round {round}: the PoET takes no registration: {why}")]
    NotRegistered {
        /// The round.
        round: Epoch,
        /// What it says.
        why: String,
    },
    /// The round began without an answer to the registration.
    #[error("round {round} began before the PoET confirmed the registration; it will show whether it has it")]
    RoundMissed {
        /// The round.
        round: Epoch,
    },
    /// The round's output can't be had.
    #[error("round {round}: the PoET gives no proof: {why}")]
    NoPoetProof {
        /// The round.
        round: Epoch,
        /// What it says.
        why: String,
    },
    /// The round's output does not hold.
    #[error("round {round}: the PoET's proof does not hold: {why}")]
    WrongPoetProof {
        /// The round.
        round: Epoch,
        /// The reason.
        why: String,
    },
    /// The round ended without the miner.
    #[error("round {round} ended, and the miner's challenge {challenge} is not in it")]
    NotInRound {
        /// The round.
        round: Epoch,
        /// The miner's.
        challenge: PoetChallenge,
    },
    /// Too late for an epoch.
    #[error("no ATX in epoch {epoch}: too late")]
    EpochMissed {
        /// The epoch.
        epoch: Epoch,
    },
    /// The network has an ATX of this miner that this node did not make.
    #[error(
        "there is an ATX {id} of this miner in epoch {epoch} that this node did not make; never run one key on two nodes"
    )]
    Overtaken {
        /// Its id.
        id: AtxId,
        /// Where it was published.
        epoch: Epoch,
    },
    /// This node's own rules reject the ATX. There won't be another one in its epoch.
    #[error("no ATX in epoch {epoch}: the one made breaks a rule: {why}")]
    AtxRejected {
        /// The epoch.
        epoch: Epoch,
        /// The rule.
        why: String,
    },
    /// There is a fraud proof.
    #[error("there is a fraud proof of this miner; it has stopped for good")]
    Fraud,
}
