//! The bytes of a chunk that a group's cipher picked out, listed by the nonce they stand for.
//!
//! Where bits are set is as random as the cipher's output, and a branch on it would be guessed wrong about as often as not.
//! So there is none: words wait in a queue, which every step takes a few bits of, whether there are any or not.
#![allow(unsafe_code)]

use super::blocks::{Blocks, DEPTH, LAZY, MAX_LABELS, MAX_WORDS, Row, words};
use super::kernel::CHUNK;
use crate::cipher::NONCES_PER_GROUP;

/// Steps between a step's ciphers and the listing of its bits, so that nothing waits for the ciphers.
pub(super) const LAG: usize = 8;

/// Rows that are kept.
const ROWS: usize = 2 * LAG;

const LANES: usize = NONCES_PER_GROUP as usize;

/// Words that may wait.
const QUEUE: usize = 64;

/// Words that wait at least, until the chunk ends: what was written just now is not read yet.
const BEHIND: usize = 16;

/// Words that a step appends at most, its own and what is left of those that it took bits of.
const STEP: usize = MAX_WORDS + taken(MAX_LABELS);

/// Bits that a step of registers of `labels` labels takes: one byte in 256 has one, and some more, so that few wait.
const fn taken(labels: usize) -> usize {
    16 * DEPTH * labels / 256 + 1
}

/// Bits that are not listed yet.
///
/// It lives on the stack, beside the keys: a load whose address ends like that of a store that waits for the ciphers would
/// wait as well.
pub(super) struct Waiting {
    /// Of the last steps.
    rows: [Row; ROWS],
    /// Of steps before these: a ring, from `next` to `end`.
    queue: Queue,
    next: usize,
    end: usize,
}

/// Words that have bits, and which of the chunk's words they are.
struct Queue {
    words: [u64; QUEUE],
    places: [u32; QUEUE],
}

/// Labels of a chunk, for each byte of a label those that were found at it: every list is a column.
pub(super) struct Lists {
    labels: Box<[[u16; LANES]]>,
    counts: [usize; LANES],
}

impl Waiting {
    /// Nothing, before step 0 of a chunk.
    #[inline(always)]
    pub(super) fn new() -> Self {
        let queue = Queue { words: [0; QUEUE], places: [0; QUEUE] };
        Self { rows: [Row::default(); ROWS], queue, next: 0, end: 0 }
    }

    /// Where step `step` puts its bits.
    #[inline(always)]
    pub(super) fn row(&mut self, step: usize) -> &mut Row {
        &mut self.rows[step % ROWS]
    }

    /// Queues the bits of the step that comes [`LAG`] before `step`, if there is one, and lists some of those that wait.
    ///
    /// # Safety
    /// The processor has the instructions of `B`. Steps come in turn, each once, and their rows have bits of the same at most
    /// CHUNK labels as all others that were listed since [`Lists::clear`].
    #[inline(always)]
    pub(super) unsafe fn list_behind<B: Blocks>(&mut self, step: usize, lists: &mut Lists) {
        // Rows before step 0 are empty.
        let step = step.wrapping_sub(LAG);
        // In registers while words and labels are written.
        let (mut next, mut end) = (self.next, self.end);
        for (i, word) in self.rows[step % ROWS][..words::<B>()].iter().enumerate() {
            let place = step.wrapping_mul(words::<B>()).wrapping_add(i) as u32;
            end += usize::from(self.queue.put(end, *word, place));
        }
        for _ in 0..taken(B::LABELS) {
            let real = next + BEHIND < end;
            let (word, place) = self.queue.get(next);
            // SAFETY: the caller's promise.
            unsafe { lists.append::<B>(place, word.trailing_zeros() as usize, real) };
            next += usize::from(real);
            end += usize::from(self.queue.put(end, word & word.wrapping_sub(1), place) & real);
        }
        (self.next, self.end) = (next, end);
        if end - next > QUEUE - STEP {
            // SAFETY: the caller's promise.
            unsafe { self.list_all::<B>(lists) };
        }
    }

    /// Lists all that is in the queue.
    ///
    /// # Safety
    /// As for [`Self::list_behind`].
    #[inline(always)]
    pub(super) unsafe fn list_all<B: Blocks>(&mut self, lists: &mut Lists) {
        for at in self.next..self.end {
            let (mut word, place) = self.queue.get(at);
            while word != 0 {
                // SAFETY: the caller's promise.
                unsafe { lists.append::<B>(place, word.trailing_zeros() as usize, true) };
                word &= word - 1;
            }
        }
        self.next = self.end;
    }
}

impl Queue {
    /// Writes a word to `end`, where it is to be counted unless it is 0.
    #[inline(always)]
    fn put(&mut self, end: usize, word: u64, place: u32) -> bool {
        (self.words[end % QUEUE], self.places[end % QUEUE]) = (word, place);
        word != 0
    }

    /// The word at `at`, and which it is.
    #[inline(always)]
    fn get(&self, at: usize) -> (u64, u32) {
        (self.words[at % QUEUE], self.places[at % QUEUE])
    }
}

impl Lists {
    pub(super) fn new() -> Self {
        // Zeroed memory is the system's until it is written to: of half a MiB a few KiB mostly.
        Self { labels: vec![[0; LANES]; CHUNK + LAZY].into(), counts: [0; LANES] }
    }

    /// Forgets the last chunk.
    pub(super) fn clear(&mut self) {
        self.counts = [0; LANES];
    }

    /// Writes the label of a bit at the end of its list, and counts it if it is `real`.
    ///
    /// # Safety
    /// There is room in the list.
    #[inline(always)]
    unsafe fn append<B: Blocks>(&mut self, place: u32, bit: usize, real: bool) {
        let (label, lane) = B::place(place as usize, bit);
        // SAFETY: a lane is below LANES, and the caller's promise.
        unsafe {
            let count = self.counts.get_unchecked_mut(lane);
            self.labels.get_unchecked_mut(*count)[lane] = label as u16;
            *count += usize::from(real);
        }
    }

    /// How many labels were found at byte `lane`. Label 0 is put behind them, to be read where there are none any more.
    #[inline(always)]
    pub(super) fn fill_up(&mut self, lane: usize) -> usize {
        let count = self.counts[lane];
        for row in &mut self.labels[count..][..LAZY] {
            row[lane] = 0;
        }
        count
    }

    /// The labels that were found at byte `lane`, from the `first`-th on.
    #[inline(always)]
    pub(super) fn some(&self, lane: usize, first: usize) -> [u16; LAZY] {
        let mut some = [0; LAZY];
        for (label, row) in some.iter_mut().zip(&self.labels[first..][..LAZY]) {
            *label = row[lane];
        }
        some
    }

    /// Moves the `from`-th label that was found at byte `lane` to the `to`-th place.
    #[inline(always)]
    pub(super) fn keep(&mut self, lane: usize, from: usize, to: usize) {
        self.labels[to][lane] = self.labels[from][lane];
    }

    /// Only the first `count` labels of those that were found at byte `lane` count.
    pub(super) fn truncate(&mut self, lane: usize, count: usize) {
        self.counts[lane] = count;
    }

    /// Every label, with the byte that it was found at.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u16)> {
        let lanes = self.counts.iter().enumerate();
        lanes.flat_map(|(lane, count)| self.labels[..*count].iter().map(move |row| (lane, row[lane])))
    }
}
