//! What a node has of a layer, as a fingerprint.

use crate::archive::{Archive, ArchiveError};
use crate::ids::{BallotId, BlockId, Layer};
use crate::wire::{Fingerprint, MAX_LAYER_BALLOTS, MAX_LAYER_BLOCKS};

/// Of a layer's ballots, then its blocks, both ascending, as many as an answer names.
///
/// # Errors
/// [`ArchiveError`].
pub fn layer_fingerprint(archive: &dyn Archive, layer: Layer) -> Result<Fingerprint, ArchiveError> {
    Ok(fingerprint(&archive.ballots(layer)?, &archive.blocks(layer)?))
}

/// That of a layer without ballots and blocks.
#[must_use]
pub fn empty_layer() -> Fingerprint {
    fingerprint(&[], &[])
}

fn fingerprint(ballots: &[BallotId], blocks: &[BlockId]) -> Fingerprint {
    let ballots = &ballots[..ballots.len().min(MAX_LAYER_BALLOTS)];
    let mut hasher = blake3::Hasher::new();
    // So that no name counts as one of the other kind.
    hasher.update(&(ballots.len() as u64).to_le_bytes());
    for id in ballots {
        hasher.update(&id.0);
    }
    for id in blocks.iter().take(MAX_LAYER_BLOCKS) {
        hasher.update(&id.0);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Fingerprint(half)
}
