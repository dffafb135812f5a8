//! What a node has in a range.

use crate::archive::{Archive, ArchiveError};
use crate::ids::{AtxId, NodeId};
use crate::wire::{Fingerprint, Held, Key, Range, Set};

/// For one request no more ids are read than so many, and those of the range in which the limit is met.
pub const MAX_SCAN: u64 = 1 << 19;

/// Ids read at a time.
const CHUNK: usize = 4096;

/// The fingerprint of ids that are given in ascending order.
#[must_use]
pub fn fingerprint<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    for key in keys {
        hasher.update(key);
    }
    shortened(&hasher)
}

fn shortened(hasher: &blake3::Hasher) -> Fingerprint {
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    Fingerprint(half)
}

/// What is in a range; it is [`Held::Much`] when that is more than `scan` ids. Those read are taken off `scan`.
pub(super) fn held(archive: &dyn Archive, range: &Range, scan: &mut u64) -> Result<Held, ArchiveError> {
    let mut hasher = blake3::Hasher::new();
    let (mut count, mut after) = (0, None);
    loop {
        let chunk = keys(archive, range, after, CHUNK)?;
        for key in &chunk {
            hasher.update(key);
        }
        let len = chunk.len() as u64;
        if len > *scan {
            *scan = 0;
            return Ok(Held::Much);
        }
        *scan -= len;
        count += len;
        after = chunk.last().copied();
        if chunk.len() < CHUNK {
            return Ok(Held::Some { count, fingerprint: shortened(&hasher) });
        }
    }
}

/// The ids in a range that lie after `after`, ascending, no more than `limit`.
pub(super) fn keys(
    archive: &dyn Archive,
    range: &Range,
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<Key>, ArchiveError> {
    let last = range.last();
    // The last key that is not wanted; none if the first of all is.
    let after = after.max(before(range.first()));
    match range.set() {
        Set::Frauds => {
            let found = archive.frauds(after.map(NodeId), limit)?;
            Ok(found.into_iter().map(|node_id| node_id.0).take_while(|key| *key <= last).collect())
        }
        Set::Atxs(epoch) => {
            let from = match after {
                None => [0; 32],
                Some(after) => match next(after) {
                    Some(from) => from,
                    None => return Ok(Vec::new()),
                },
            };
            let found = archive.atx_ids(epoch, AtxId(from), AtxId(last), limit)?;
            Ok(found.into_iter().map(|id| id.0).collect())
        }
    }
}

/// Whether a key is in the archive.
pub(super) fn has(archive: &dyn Archive, set: Set, key: Key) -> Result<bool, ArchiveError> {
    Ok(match set {
        Set::Frauds => archive.fraud(NodeId(key))?.is_some(),
        Set::Atxs(epoch) => !archive.atx_ids(epoch, AtxId(key), AtxId(key), 1)?.is_empty(),
    })
}

/// The key after this one.
fn next(mut key: Key) -> Option<Key> {
    for byte in key.iter_mut().rev() {
        let (sum, over) = byte.overflowing_add(1);
        *byte = sum;
        if !over {
            return Some(key);
        }
    }
    None
}

/// The key before this one.
fn before(mut key: Key) -> Option<Key> {
    for byte in key.iter_mut().rev() {
        let (difference, under) = byte.overflowing_sub(1);
        *byte = difference;
        if !under {
            return Some(key);
        }
    }
    None
}
