//! The bytes of a chunk that a group's cipher picked out, listed by the nonce they stand for.
//!
//! Where bits are set is as random as the cipher's output, and a branch on it would be guessed wrong about as often as not.
//! So there is none where few are set: words wait in a queue, which every row takes a few bits of, whether there are any or not.
#![allow(unsafe_code)]

use super::blocks::{Bits, Blocks, LAZY, ROW};
use super::kernel::CHUNK;
use crate::cipher::NONCES_PER_GROUP;

/// Rows between the ciphers of a row of labels and the listing of its bits, so that nothing waits for the ciphers.
pub(super) const LAG: usize = 4;

/// Rows whose bits are kept.
const ROWS: usize = 2 * LAG;

const LANES: usize = NONCES_PER_GROUP as usize;
const _: () = assert!(CHUNK <= 1 << 16);

/// Bits that are listed with each row: one byte in 256 has one, and one more, so that few wait.
const TAKEN: usize = ROW * 16 / 256 + 1;

/// Words that wait at least, until the chunk ends: what was written just now is not read yet.
const BEHIND: usize = 8;

/// Words that are moved to the front when the queue's end is reached. Mostly fewer wait.
const MOVED: usize = 2 * BEHIND;

/// Room for words that wait.
const QUEUE: usize = 128;

/// Bits that are not listed yet.
///
/// It lives on the stack, beside the keys: a load whose address ends like that of a store that waits for the ciphers would
/// wait as well.
pub(super) struct Waiting {
    /// Of the last rows.
    bits: [Bits; ROWS],
    /// Of rows before these, from `next` to `end`.
    queue: Queue,
    next: usize,
    end: usize,
}

/// Words that have bits, and which of the chunk's words they are.
struct Queue {
    words: [u64; QUEUE + MOVED],
    places: [u32; QUEUE + MOVED],
}

/// Labels of a chunk, for each byte of a label those that were found at it: every list is a column.
pub(super) struct Lists {
    labels: Box<[[u16; LANES]]>,
    counts: [usize; LANES],
}

impl Waiting {
    /// Nothing, before row 0 of a chunk.
    #[inline(always)]
    pub(super) fn new() -> Self {
        let queue = Queue { words: [0; QUEUE + MOVED], places: [0; QUEUE + MOVED] };
        Self { bits: [Bits::default(); ROWS], queue, next: 0, end: 0 }
    }

    /// Where row `row` of labels puts its bits.
    #[inline(always)]
    pub(super) fn bits(&mut self, row: usize) -> &mut Bits {
        &mut self.bits[row % ROWS]
    }

    /// Queues the bits of the row that comes [`LAG`] before `row`, if there is one, and lists some of those that wait.
    ///
    /// # Safety
    /// The processor has the instructions of `B`. Rows come in turn, each once, and have bits of the same at most CHUNK labels
    /// as all others that were listed since [`Lists::clear`].
    #[inline(always)]
    pub(super) unsafe fn list_behind<B: Blocks>(&mut self, row: usize, lists: &mut Lists) {
        // Before row 0 there are no bits.
        let row = row.wrapping_sub(LAG);
        let bits = &self.bits[row % ROWS];
        // In registers while words and labels are written.
        let (mut next, mut end) = (self.next, self.end);
        for (i, word) in bits.iter().enumerate() {
            let place = row.wrapping_mul(bits.len()).wrapping_add(i) as u32;
            // SAFETY: the queue was left with room for a row.
            end += usize::from(unsafe { self.queue.put(end, *word, place) });
        }
        for _ in 0..TAKEN {
            let real = next + BEHIND < end;
            // SAFETY: as above; the lists have room, as the caller promises.
            unsafe {
                let (word, place) = self.queue.get(next);
                lists.append::<B>(place, word.trailing_zeros() as usize, real);
                next += usize::from(real);
                end += usize::from(self.queue.put(end, word & word.wrapping_sub(1), place) & real);
            }
        }
        (self.next, self.end) = (next, end);
        if end > QUEUE - bits.len() - TAKEN {
            // SAFETY: the caller's promise.
            unsafe { self.make_room::<B>(lists) };
        }
    }

    /// Moves what waits to the front of the queue, or lists it if that is too much.
    ///
    /// # Safety
    /// As for [`Self::list_behind`].
    #[inline(always)]
    unsafe fn make_room<B: Blocks>(&mut self, lists: &mut Lists) {
        if self.end - self.next > MOVED {
            // SAFETY: the caller's promise.
            unsafe { self.list_all::<B>(lists) };
        } else {
            to_front(&mut self.queue.words, self.next);
            to_front(&mut self.queue.places, self.next);
            (self.next, self.end) = (0, self.end - self.next);
        }
    }

    /// Lists all that is in the queue.
    ///
    /// # Safety
    /// As for [`Self::list_behind`].
    #[inline(always)]
    pub(super) unsafe fn list_all<B: Blocks>(&mut self, lists: &mut Lists) {
        for at in self.next..self.end {
            // SAFETY: the caller's promise; all that waits is in the queue.
            unsafe {
                let (mut word, place) = self.queue.get(at);
                while word != 0 {
                    lists.append::<B>(place, word.trailing_zeros() as usize, true);
                    word &= word - 1;
                }
            }
        }
        (self.next, self.end) = (0, 0);
    }
}

impl Queue {
    /// Writes a word to `end`, where it is to be counted unless it is 0.
    ///
    /// # Safety
    /// `end` is at most QUEUE.
    #[inline(always)]
    unsafe fn put(&mut self, end: usize, word: u64, place: u32) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            *self.words.get_unchecked_mut(end) = word;
            *self.places.get_unchecked_mut(end) = place;
        }
        word != 0
    }

    /// The word at `at`, and which it is.
    ///
    /// # Safety
    /// `at` is at most QUEUE.
    #[inline(always)]
    unsafe fn get(&self, at: usize) -> (u64, u32) {
        // SAFETY: the caller's promise.
        unsafe { (*self.words.get_unchecked(at), *self.places.get_unchecked(at)) }
    }
}

/// Moves as many as mostly wait: a fixed number needs no call.
#[inline(always)]
fn to_front<T: Copy>(queue: &mut [T; QUEUE + MOVED], from: usize) {
    if let Some(waiting) = queue[from..].first_chunk::<MOVED>().copied() {
        queue[..MOVED].copy_from_slice(&waiting);
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
