//! Measurements for people who choose hardware; `cmd/bench.rs` is the command.

pub(crate) mod backend;
pub(crate) mod drive;
pub(crate) mod forecast;
pub(crate) mod gpu;
pub(crate) mod labels;
pub(crate) mod pow;
pub(crate) mod scan;
pub(crate) mod summary;
pub(crate) mod verify;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{report, stop};

/// How much is measured, and where results go.
pub(crate) struct Settings {
    pub(crate) quick: bool,
    pub(crate) threads: usize,
    pub(crate) json: bool,
}

impl Settings {
    /// Measurements of each candidate, of which the median counts.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 3 } else { 7 }
    }

    /// How long one measurement takes, about.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_millis(if self.quick { 60 } else { 250 })
    }

    /// One result: an object for programs, a row for people.
    pub(crate) fn result(&self, object: &Value, row: &str) {
        let _ = report::print(&if self.json { object.to_string() } else { row.to_owned() });
    }

    /// Talk, and headings of tables, for people only.
    pub(crate) fn heading(&self, text: &str) {
        if !self.json {
            let _ = report::print(text);
        }
    }
}

/// Work that can be measured: does some, returns how much.
pub(crate) trait Work: Send {
    fn run(&mut self) -> f64;
}

impl<F: FnMut() -> f64 + Send> Work for F {
    fn run(&mut self) -> f64 {
        self()
    }
}

/// Work per second of each candidate, on as many threads as it has workers: medians over rounds that take all candidates in
/// turn, so that what else the machine does hits all alike. None when the user stops it.
pub(crate) fn interleaved(settings: &Settings, candidates: &mut [Vec<Box<dyn Work + '_>>]) -> Option<Vec<f64>> {
    let mut rates = vec![Vec::new(); candidates.len()];
    // The first round warms up and doesn't count.
    for round in 0..=settings.rounds() {
        for (workers, rates) in candidates.iter_mut().zip(&mut rates) {
            let time = if round == 0 { settings.time() / 4 } else { settings.time() };
            let rate = together(workers, time);
            if round > 0 {
                rates.push(rate);
            }
            if stop::requested() {
                return None;
            }
        }
    }
    Some(rates.into_iter().map(median).collect())
}

/// The speeds of all workers, a thread each, at the same time.
fn together(workers: &mut [Box<dyn Work + '_>], time: Duration) -> f64 {
    let barrier = &Barrier::new(workers.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|work| {
                scope.spawn(move || {
                    barrier.wait();
                    let (start, mut done) = (Instant::now(), 0.0);
                    while start.elapsed() < time {
                        done += work.run();
                    }
                    done / start.elapsed().as_secs_f64()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0.0)).sum()
    })
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}
