//! What simulated nodes cost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use node::sim::{Meter, Work};

/// Adds up what is spent at each kind of work.
pub(super) struct Stopwatch {
    started: Instant,
    begun: Instant,
    spent: BTreeMap<Work, (u64, Duration)>,
}

impl Stopwatch {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), begun: Instant::now(), spent: BTreeMap::new() }
    }

    /// Since it was made until the last piece of work ended.
    pub(super) fn total(&self) -> Duration {
        self.begun.duration_since(self.started)
    }

    /// How often each kind of work was done, and how long it took in all.
    pub(super) fn spent(&self) -> &BTreeMap<Work, (u64, Duration)> {
        &self.spent
    }
}

impl Meter for Stopwatch {
    fn begin(&mut self) {
        self.begun = Instant::now();
    }

    fn end(&mut self, work: Work) {
        let now = Instant::now();
        let (times, spent) = self.spent.entry(work).or_default();
        *times += 1;
        *spent += now.duration_since(self.begun);
        self.begun = now;
    }
}
