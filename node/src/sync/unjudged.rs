//! What was delivered and has no verdict yet: so much that whoever judges has room for it.

use std::collections::BTreeMap;

use crate::atx::MAX_ATX_BYTES;
use crate::time::Time;
use crate::wire::PAGE_BYTES;

/// So many items may be delivered and not judged yet.
pub const MAX_UNJUDGED: usize = 2048;
/// And so many bytes. The checker has room for 4 MiB of a peer's, those who know ATXs for 16 MiB, where each byte counts
/// twice.
pub const MAX_UNJUDGED_BYTES: usize = 2 << 20;
/// What an item takes beside its bytes.
const OVERHEAD: usize = 256;
/// No request for less than this, unless all is judged.
const LEAST_ROOM: usize = 256;
/// When nothing is judged for so long, what is out got lost.
const LOST_MS: u64 = 120_000;

/// How much is out. Verdicts don't say what they are about, so the smallest is taken to be judged first: what is counted
/// is never less than what is out.
#[derive(Clone, Debug, Default)]
pub(super) struct Unjudged {
    /// How many there are of each size.
    sizes: BTreeMap<usize, usize>,
    items: usize,
    bytes: usize,
    /// When the last verdict came, or it began.
    judged: Option<Time>,
}

impl Unjudged {
    pub(super) fn is_empty(&self) -> bool {
        self.items == 0
    }

    pub(super) fn add(&mut self, now: Time, len: usize) {
        if self.items == 0 {
            self.judged = Some(now);
        }
        let size = len + OVERHEAD;
        *self.sizes.entry(size).or_default() += 1;
        self.items += 1;
        self.bytes += size;
    }

    pub(super) fn judged(&mut self, now: Time, count: usize) {
        self.judged = Some(now);
        for _ in 0..count {
            let Some(mut smallest) = self.sizes.first_entry() else { return };
            self.items -= 1;
            self.bytes -= *smallest.key();
            *smallest.get_mut() -= 1;
            if *smallest.get() == 0 {
                smallest.remove();
            }
        }
    }

    /// Forgets what got lost.
    pub(super) fn forget(&mut self, now: Time) {
        if self.items > 0 && self.judged.is_some_and(|judged| now.since(judged) >= LOST_MS) {
            *self = Self::default();
        }
    }

    /// For so many items there is room; how long they are is not known before, but an answer is no more than a page.
    pub(super) fn room(&self) -> usize {
        if self.items == 0 {
            return MAX_UNJUDGED;
        }
        let room = MAX_UNJUDGED.saturating_sub(self.items);
        let fits = self.bytes + PAGE_BYTES + MAX_ATX_BYTES <= MAX_UNJUDGED_BYTES;
        if fits && room >= LEAST_ROOM { room } else { 0 }
    }
}
