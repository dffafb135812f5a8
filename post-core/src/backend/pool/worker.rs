//! A device's thread: takes pieces, computes them, tells.

use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::queue::{Next, Queue};
use crate::backend::{Backend, Error, LabelJob, Labels};
use crate::identity::Commitment;
use crate::label::Label;
use crate::params::ScryptParams;

/// A device, and why it ended if it did. Whoever holds the lock is using it. The failure lies here and not in a message, so
/// that a lie is not forgotten because the job was over already: the next job finds it.
pub(super) struct Slot {
    pub(super) backend: Box<dyn Backend>,
    pub(super) failure: Option<Error>,
}

/// What a thread tells the caller's.
pub(super) enum Message {
    /// Labels, the first of which is at position `first`.
    Made { lane: usize, first: u64, labels: Vec<Label> },
    /// The device ended; why is in its slot.
    Failed { lane: usize },
}

/// A job that outlives its caller's borrow: a thread may still be at its last batch when the job is over.
pub(super) struct Work {
    scrypt: ScryptParams,
    labels: Owned,
}

enum Owned {
    Range(Commitment),
    List(Vec<(Commitment, u64)>),
}

impl Work {
    pub(super) fn of(job: &LabelJob<'_>) -> Self {
        let labels = match &job.labels {
            Labels::Range(commitment, _) => Owned::Range(*commitment),
            Labels::List(list) => Owned::List(list.to_vec()),
        };
        Self { scrypt: job.scrypt, labels }
    }

    /// A piece of the job as a job, and where its positions begin in the whole.
    fn piece(&self, positions: &Range<u64>) -> (LabelJob<'_>, u64) {
        let (labels, shift) = match &self.labels {
            Owned::Range(commitment) => (Labels::Range(*commitment, positions.clone()), 0),
            Owned::List(list) => {
                (Labels::List(&list[positions.start as usize..positions.end as usize]), positions.start)
            }
        };
        (LabelJob { scrypt: self.scrypt, labels }, shift)
    }
}

/// The queue, for threads.
pub(super) struct Shared {
    pub(super) queue: Mutex<Queue>,
    changed: Condvar,
    began: Instant,
}

impl Shared {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue: Mutex::new(queue), changed: Condvar::new(), began: Instant::now() }
    }

    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// The next piece, as soon as there is one; `None` when there will be none.
    fn take(&self, lane: usize) -> Option<Range<u64>> {
        let mut queue = lock(&self.queue);
        loop {
            match queue.take(lane, self.now()) {
                Next::Piece(piece) => return Some(piece),
                Next::Over => return None,
                Next::Wait => queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Tells of labels. That they are sent and that they count as made is one step: a device that is given up between the
    /// two would leave a hole, or labels that are made twice.
    fn made(&self, lane: usize, positions: Range<u64>, labels: &[Label], sender: &Sender<Message>) -> ControlFlow<()> {
        let mut labels = labels.to_vec();
        let mut queue = lock(&self.queue);
        while queue.too_early(lane, positions.start) {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let (wanted, more) = queue.made(lane, positions, self.now());
        // Somebody else may have taken the end of the piece over.
        labels.truncate((wanted.end - wanted.start) as usize);
        let sent = wanted.is_empty() || sender.send(Message::Made { lane, first: wanted.start, labels }).is_ok();
        if sent && more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn finish(&self, lane: usize) -> bool {
        let finished = lock(&self.queue).finish(lane);
        self.changed.notify_all();
        finished
    }

    fn give_back(&self, lane: usize) {
        lock(&self.queue).give_back(lane);
        self.changed.notify_all();
    }

    /// A device is to get nothing more; what it had goes to the others.
    pub(super) fn give_up(&self, lane: usize) {
        lock(&self.queue).give_up(lane);
        self.changed.notify_all();
    }

    /// Nobody could be heard of for so long.
    pub(super) fn excuse(&self, time: Duration) {
        lock(&self.queue).excuse(time.as_secs_f64(), self.now());
    }

    /// Gives up the devices that have hung, and names them.
    pub(super) fn give_up_silent(&self, patience: Duration) -> Vec<usize> {
        let silent = lock(&self.queue).silent(patience.as_secs_f64(), self.now());
        silent.iter().for_each(|lane| self.give_up(*lane));
        silent
    }

    pub(super) fn deliver(&self, position: u64) {
        lock(&self.queue).deliver(position);
        self.changed.notify_all();
    }

    fn is_over(&self) -> bool {
        lock(&self.queue).is_over()
    }

    pub(super) fn end(&self) {
        lock(&self.queue).end();
        self.changed.notify_all();
    }
}

/// Ends the job when it is dropped.
pub(super) struct Ending<'a>(pub(super) &'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The lock; a thread that panicked with it has left nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Computes pieces of `work` until there are none or the device ends.
pub(super) fn label(lane: usize, id: &str, slot: &Mutex<Slot>, shared: &Shared, work: &Work, sender: &Sender<Message>) {
    let compute = |backend: &mut dyn Backend, piece: &Range<u64>| {
        let (job, shift) = work.piece(piece);
        backend.label(&job, &mut |positions, labels| {
            shared.made(lane, positions.start + shift..positions.end + shift, labels, sender)
        })
    };
    if run(lane, id, slot, shared, compute).is_break() {
        _ = sender.send(Message::Failed { lane });
    }
}

/// Has pieces scanned until there are none or the device ends.
pub(super) fn scan(
    lane: usize,
    id: &str,
    slot: &Mutex<Slot>,
    shared: &Shared,
    scan: impl Fn(&Range<u64>, &mut dyn Backend) -> Result<(), Error>,
) {
    let compute = |backend: &mut dyn Backend, piece: &Range<u64>| {
        scan(piece, backend)?;
        lock(&shared.queue).made(lane, piece.clone(), shared.now());
        Ok(())
    };
    _ = run(lane, id, slot, shared, compute);
}

/// Takes pieces and computes them. `Break` when the device ended; why is in its slot.
fn run(
    lane: usize,
    id: &str,
    slot: &Mutex<Slot>,
    shared: &Shared,
    mut compute: impl FnMut(&mut dyn Backend, &Range<u64>) -> Result<(), Error>,
) -> ControlFlow<()> {
    let mut slot = lock(slot);
    let mut tried_again = false;
    while slot.failure.is_none() {
        let Some(piece) = shared.take(lane) else { return ControlFlow::Continue(()) };
        let lost = || Error::DeviceLost { device: id.into() };
        // A driver that panics is as good as lost.
        let result = catch_unwind(AssertUnwindSafe(|| compute(&mut *slot.backend, &piece)));
        match result.unwrap_or_else(|_| Err(lost())) {
            Ok(()) if shared.finish(lane) => tried_again = false,
            // Cut short because nobody wants it any more, or without a word.
            Ok(()) if shared.is_over() => return ControlFlow::Continue(()),
            Ok(()) => slot.failure = Some(lost()),
            // Other programs use memory too: once more.
            Err(Error::OutOfMemory { .. }) if !tried_again => {
                tried_again = true;
                shared.give_back(lane);
            }
            Err(error) => slot.failure = Some(error),
        }
    }
    shared.give_up(lane);
    ControlFlow::Break(())
}
