//! A node again from what was kept.

use crate::archive::{ArchiveError, Reload};
use crate::atx::{Junk, Received};
use crate::atxs;
use crate::consensus;
use crate::node::Node;
use crate::smeshing;

/// Why a node can't go on where it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The database failed.
    #[error("{0}; free space or mend the disk, then start again: nothing is lost")]
    Archive(#[from] ArchiveError),
    /// What is in the database can't be understood.
    #[error(transparent)]
    Atxs(#[from] atxs::RestoreError),
    /// What is in the database is no ATX.
    #[error("an ATX in the node's database: {0}; start with an empty one and sync")]
    Junk(#[from] Junk),
    /// What was kept of layers can't be understood.
    #[error(transparent)]
    Consensus(#[from] consensus::RestoreError),
    /// How far the miners were can't be understood.
    #[error(transparent)]
    Smeshing(#[from] smeshing::RestoreError),
}

/// Gives a new node back what its archive holds.
///
/// # Errors
/// [`RestoreError`].
pub fn restore(node: &mut Node, archive: &dyn Reload) -> Result<(), RestoreError> {
    let mut result: Result<(), RestoreError> = Ok(());
    let mut keep = |step: Result<(), RestoreError>| {
        if result.is_ok() {
            result = step;
        }
    };
    archive.each_poet(&mut |bytes| keep(node.restore_poet(bytes).map_err(Into::into)))?;
    archive.each_atx(&mut |received, bytes| {
        let step = Received::decode(bytes).map_err(RestoreError::from);
        keep(step.and_then(|atx| Ok(node.restore_atx(received, &atx)?)));
    })?;
    archive.each_fraud(&mut |received, bytes| keep(node.restore_fraud(received, bytes).map_err(Into::into)))?;
    result?;
    node.restore_consensus(archive)?;
    Ok(node.restore_smeshing(archive)?)
}
