//! Who may use what next. Sets that share a drive wait for each other there, but not where they don't: while one set is
//! read, the k2pow of the next proof is searched.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A waiting thread looks this often whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What only one at a time may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// All processors, searching a pow.
    Pow,
    /// The devices that scan, for one stretch of labels.
    Device,
    /// A physical drive, or a filesystem where no more is known.
    Disk(u64),
    /// A drive that does not tell which disk it is: the path's number among those of its set.
    Unknown(usize),
}

/// First come, first served, at each place apart. Whoever needs several places gets them at once, so nobody waits in a circle.
#[derive(Default)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Default)]
struct Line {
    next: u64,
    /// In the order they came: those who have their places, and those who wait.
    tickets: Vec<(u64, BTreeSet<Place>)>,
}

impl Line {
    /// Nobody who came before needs one of its places.
    fn is_turn_of(&self, ticket: u64) -> bool {
        let Some((at, (_, places))) = self.tickets.iter().enumerate().find(|(_, (number, _))| *number == ticket) else {
            return false;
        };
        self.tickets.iter().take(at).all(|(_, before)| before.is_disjoint(places))
    }
}

impl Queue {
    /// Waits for all of `places`. They are free again when the turn is dropped. `None` when `stop` said so first.
    pub(crate) fn enter(&self, places: BTreeSet<Place>, stop: &dyn Fn() -> bool) -> Option<Turn<'_>> {
        let mut line = self.lock();
        let ticket = line.next;
        line.next += 1;
        line.tickets.push((ticket, places));
        // From here on it leaves the line in any case.
        let turn = Turn { queue: self, ticket };
        while !line.is_turn_of(ticket) {
            if stop() {
                drop(line);
                return None;
            }
            line = self.moved.wait_timeout(line, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(line);
        Some(turn)
    }

    /// Whether somebody has or waits for `place`.
    pub(crate) fn is_wanted(&self, place: Place) -> bool {
        self.lock().tickets.iter().any(|(_, places)| places.contains(&place))
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to be where one is.
pub(crate) struct Turn<'a> {
    queue: &'a Queue,
    ticket: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queue.lock().tickets.retain(|(ticket, _)| *ticket != self.ticket);
        self.queue.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const HANG: Duration = Duration::from_secs(60);

    fn disks(numbers: &[u64]) -> BTreeSet<Place> {
        numbers.iter().map(|number| Place::Disk(*number)).collect()
    }

    #[test]
    fn who_shares_a_place_waits_in_the_order_of_coming_and_others_do_not() {
        let queue = Queue::default();
        let never = || false;
        let (told, hears) = mpsc::channel();
        std::thread::scope(|scope| {
            let first = queue.enter(disks(&[1, 2]), &never).unwrap();
            let second = scope.spawn(|| {
                let turn = queue.enter(disks(&[2, 3]), &never).unwrap();
                told.send("second").unwrap();
                turn
            });
            while !queue.is_wanted(Place::Disk(3)) {
                std::thread::yield_now();
            }
            // Disk 3 is free, but promised.
            let third = scope.spawn(|| {
                let turn = queue.enter(disks(&[3]), &never).unwrap();
                told.send("third").unwrap();
                turn
            });
            drop(queue.enter(disks(&[4]), &never).unwrap());
            drop(queue.enter(BTreeSet::from([Place::Pow]), &never).unwrap());
            assert!(hears.try_recv().is_err());
            drop(first);
            assert_eq!(hears.recv_timeout(HANG), Ok("second"));
            assert!(hears.try_recv().is_err());
            drop(second.join().unwrap());
            assert_eq!(hears.recv_timeout(HANG), Ok("third"));
            drop(third.join().unwrap());
        });
        assert!(queue.lock().tickets.is_empty());
    }

    #[test]
    fn who_is_told_to_end_leaves_the_line() {
        let queue = Queue::default();
        let first = queue.enter(disks(&[1]), &|| false).unwrap();
        assert!(queue.enter(disks(&[1]), &|| true).is_none());
        drop(first);
        assert!(queue.enter(disks(&[1]), &|| true).is_some(), "a free place needs no waiting");
    }
}
