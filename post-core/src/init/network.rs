//! Whether data that is there belongs to the network of the call. Labels of another network are wrong labels.

use super::InitError;
use crate::drive::Drive;
use crate::identity::Commitment;
use crate::journal::Journal;
use crate::metadata::Metadata;
use crate::params::NetworkParams;

/// Labels of another cost are wrong labels; only journals tell it.
pub(crate) fn refuse_other_cost(
    drives: &[Box<dyn Drive>],
    commitment: &Commitment,
    wanted: u32,
) -> Result<(), InitError> {
    for drive in drives {
        let journal = Journal::of(&**drive)?.filter(|journal| journal.commitment == commitment.0);
        let there = journal.filter(|journal| !journal.files.is_empty()).map(|journal| journal.scrypt_n);
        if let Some(there) = there.filter(|there| *there != wanted) {
            return Err(InitError::OtherCost { drive: drive.name(), wanted, there });
        }
    }
    Ok(())
}

/// Units of another size make another set.
pub(crate) fn refuse_other_units(metadata: &Metadata, params: &NetworkParams) -> Result<(), InitError> {
    let (there, wanted) = (metadata.labels_per_unit, params.labels_per_unit);
    if there == wanted {
        return Ok(());
    }
    Err(InitError::OtherSet { key: "LabelsPerUnit", wanted: wanted.to_string(), there: there.to_string() })
}
