//! Start-up: the same state again from what was kept.

use super::Atxs;
use super::context::{Rules, Wrong};
use crate::atx::Received;
use crate::codec::{DecodeError, decode};
use crate::fraud::FraudProof;
use crate::ids::AtxId;
use crate::poet::PoetProof;
use crate::time::Time;

/// What was kept can't be what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// An ATX that was not accepted under these parameters.
    #[error("ATX {id} in the node's database: {wrong}; start with an empty one and sync")]
    Atx {
        /// Which.
        id: AtxId,
        /// The rule it breaks.
        wrong: Wrong,
    },
    /// A PoET proof.
    #[error("a PoET proof in the node's database: {0}; start with an empty one and sync")]
    Poet(DecodeError),
    /// A fraud proof.
    #[error("a fraud proof in the node's database: {0}; start with an empty one and sync")]
    Fraud(DecodeError),
}

impl Atxs {
    /// Takes a kept PoET proof back; those come before all ATXs. Trusts that it was checked.
    ///
    /// # Errors
    /// [`RestoreError::Poet`].
    pub fn restore_poet(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let proof: PoetProof = decode(bytes).map_err(RestoreError::Poet)?;
        self.records.insert_poet(proof.id(), self.poet_record(&proof));
        Ok(())
    }

    /// Takes a kept ATX back, epoch by epoch: all that an ATX names is older. Trusts signature, labels and VRF nonce.
    ///
    /// # Errors
    /// [`RestoreError::Atx`].
    pub fn restore(&mut self, received: Time, atx: &Received) -> Result<(), RestoreError> {
        let rules = Rules { params: &self.params, verifier: &self.verifier, seed: &self.seed, records: &self.records };
        let examined = rules.examine(atx, received).map_err(|wrong| RestoreError::Atx { id: atx.id, wrong })?;
        self.records.insert(examined.record);
        Ok(())
    }

    /// Takes a kept fraud proof back. Trusts that it was checked.
    ///
    /// # Errors
    /// [`RestoreError::Fraud`].
    pub fn restore_fraud(&mut self, received: Time, bytes: &[u8]) -> Result<(), RestoreError> {
        let proof: FraudProof = decode(bytes).map_err(RestoreError::Fraud)?;
        self.records.convict(proof.culprit, received);
        Ok(())
    }
}
