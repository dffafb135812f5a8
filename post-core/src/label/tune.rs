//! Which way of computing labels is fastest on this machine, measured.
//!
//! It can't be told from the processor's name: wide registers lower the clock, tables of all threads share a cache and a
//! memory, and other people's machines may run beside this one.

use std::time::{Duration, Instant};

use rayon::ThreadPool;

use super::tier::Tier;
use super::worker::{Method, Worker};
use crate::identity::Commitment;
use crate::params::ScryptParams;

/// What all measurements together may take.
const BUDGET: Duration = Duration::from_millis(450);

/// Rounds over the candidates; the best of each counts, since what disturbs a measurement only ever slows it.
const ROUNDS: usize = 8;

/// Candidates that far behind the best one after a round are not measured again.
const HOPELESS: f64 = 0.92;

/// Candidates that far behind the best one are as good, and the one that takes the least memory is taken.
const EQUAL: f64 = 0.985;

/// The tiers that may be the fastest, the likeliest first. A narrower one can win where wide registers lower the clock, but
/// not one narrower still.
pub(crate) fn likely() -> Vec<Tier> {
    Tier::available().into_iter().rev().take(2).filter(|tier| *tier != Tier::Scalar).collect()
}

/// The fastest way of `tiers` for labels of cost `scrypt` on all threads of `pool` at once. Where time or memory run out, the
/// best of what was measured until then.
pub(crate) fn fastest(pool: &ThreadPool, tiers: &[Tier], scrypt: ScryptParams) -> Method {
    let usual = Method::new(tiers.first().copied().unwrap_or(Tier::Portable));
    let mut candidates: Vec<(f64, Method)> =
        tiers.iter().flat_map(|tier| Method::all(*tier)).map(|method| (0.0, method)).collect();
    let deadline = Instant::now() + BUDGET;
    let mut longest = Duration::ZERO;
    let top = |candidates: &[(f64, Method)]| candidates.iter().map(|(speed, _)| *speed).fold(0.0, f64::max);
    let best = |candidates: &[(f64, Method)]| {
        let enough = top(candidates) * EQUAL;
        let equal = candidates.iter().filter(|(speed, _)| *speed > 0.0 && *speed >= enough);
        let bytes = |method: &Method| method.table_bytes(scrypt.n);
        let least = equal.min_by(|(a, x), (b, y)| bytes(x).cmp(&bytes(y)).then(b.total_cmp(a)));
        least.map_or(usual, |(_, method)| *method)
    };
    for _ in 0..ROUNDS {
        for at in 0..candidates.len() {
            let start = Instant::now();
            // The next one may take as long as the longest so far.
            if start + longest > deadline {
                return best(&candidates);
            }
            let (speed, method) = &mut candidates[at];
            *speed = speed.max(labels_per_second(pool, *method, scrypt));
            longest = longest.max(start.elapsed());
        }
        let enough = top(&candidates) * HOPELESS;
        candidates.retain(|(speed, _)| *speed >= enough);
    }
    best(&candidates)
}

/// The speeds of all threads together, each with memory of its own; 0 where there was not enough.
fn labels_per_second(pool: &ThreadPool, method: Method, scrypt: ScryptParams) -> f64 {
    let speeds = pool.broadcast(|_| {
        let Ok(mut worker) = Worker::new(method, scrypt) else {
            return 0.0;
        };
        // Half of what a call is given later: there is not much time, and it favours no way by much.
        let count = method.task() / 2;
        let jobs: Vec<_> = (0..count as u64).map(|index| (Commitment([0x5e; 32]), index)).collect();
        let mut labels = vec![[0; 32]; count];
        let start = Instant::now();
        worker.full_labels(&jobs, &mut labels);
        count as f64 / start.elapsed().as_secs_f64()
    });
    if speeds.contains(&0.0) { 0.0 } else { speeds.iter().sum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_way_of_this_machine_is_found_for_any_cost() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for n in [2, 512] {
            let method = fastest(&pool, &likely(), ScryptParams { n, r: 1, p: 1 });
            assert!(method.tier().is_available() && method.tier() != Tier::Scalar);
        }
    }
}
