//! RandomX against the vectors, in both modes, and the smallest pow for any number of threads.
#![allow(missing_docs, clippy::unwrap_used)]

use post_core::identity::NodeId;
use post_core::pow::{LazyRandomX, Mode, Options, PowError, PowInput, PowProver, PowVerifier};
use post_core::watch::{Event, Silent, Watch};

fn input(v: &fixtures::RandomXVector) -> PowInput {
    PowInput { group: v.nonce_group, challenge: v.challenge8.array(), node_id: NodeId(v.miner_id.array()) }
}

#[test]
fn hashes_and_solutions() {
    let vectors = fixtures::randomx();
    assert_eq!((vectors.hashes.len(), vectors.solutions.len()), (16, 6));
    let randomx = LazyRandomX::new(Options::new(Mode::Light, 2));
    for v in vectors.hashes.iter().chain(&vectors.solutions) {
        assert_eq!(input(v).bytes(v.pow).as_slice(), v.input.0);
        let hash = randomx.hash(&v.input.0).unwrap();
        assert_eq!(hash, v.hash.array::<32>());
        // Exactly the hash is not below itself; one more is.
        assert!(!randomx.verify(&input(v), v.pow, &hash).unwrap());
        let mut above = hash;
        let last = above.iter_mut().rev().find(|byte| **byte < 255).unwrap();
        *last += 1;
        assert!(randomx.verify(&input(v), v.pow, &above).unwrap());
    }
    for v in &vectors.solutions {
        let target = v.difficulty.as_ref().unwrap().array();
        for threads in [1, 3] {
            let randomx = LazyRandomX::new(Options::new(Mode::Light, threads));
            assert_eq!(randomx.prove(&input(v), &target, &Silent).unwrap(), v.pow, "{threads} threads");
        }
    }
}

/// Counts dataset builds and stops on demand.
struct Counter {
    datasets: std::sync::atomic::AtomicU32,
    stop_at: u64,
    hashes: std::sync::atomic::AtomicU64,
}

impl Watch for Counter {
    fn event(&self, event: Event) {
        use std::sync::atomic::Ordering::Relaxed;
        match event {
            Event::DatasetStarted => _ = self.datasets.fetch_add(1, Relaxed),
            Event::PowHashes { hashes } => _ = self.hashes.fetch_max(hashes, Relaxed),
            _ => {}
        }
    }
    fn stop(&self) -> bool {
        self.hashes.load(std::sync::atomic::Ordering::Relaxed) >= self.stop_at
    }
}

#[test]
fn a_small_job_builds_no_dataset_and_a_stop_ends_a_hopeless_one() {
    let vectors = fixtures::randomx();
    let v = &vectors.solutions[0];
    let watch = Counter { datasets: 0.into(), stop_at: u64::MAX, hashes: 0.into() };
    let randomx = LazyRandomX::new(Options::new(Mode::Fast, 2));
    let target = v.difficulty.as_ref().unwrap().array();
    assert_eq!(randomx.prove(&input(v), &target, &watch).unwrap(), v.pow);
    assert_eq!(watch.datasets.into_inner(), 0);

    let watch = Counter { datasets: 0.into(), stop_at: 64, hashes: 0.into() };
    let randomx = LazyRandomX::new(Options::new(Mode::Light, 2));
    let mut hopeless = [0; 32];
    assert!(matches!(randomx.prove(&input(v), &hopeless, &watch), Err(PowError::Exhausted)));
    hopeless[31] = 1;
    assert!(matches!(randomx.prove(&input(v), &hopeless, &watch), Err(PowError::Stopped)));
}

/// The full dataset takes 2.3 GiB and most of a minute on two cores; light mode is what the other tests use.
#[test]
fn fast_mode_gives_the_same_hashes() {
    let vectors = fixtures::randomx();
    let randomx = LazyRandomX::new(Options::new(Mode::Fast, 2));
    let v = &vectors.solutions[5];
    // A target this small is expected to take 2^16 hashes, so the dataset is built; the search is then stopped.
    let watch = Counter { datasets: 0.into(), stop_at: 64, hashes: 0.into() };
    let mut target = [0; 32];
    target[2] = 1;
    assert!(matches!(randomx.prove(&input(v), &target, &watch), Err(PowError::Stopped)));
    assert_eq!(watch.datasets.into_inner(), 1);
    for v in &vectors.hashes {
        assert_eq!(randomx.hash(&v.input.0).unwrap(), v.hash.array::<32>());
    }
    let target = v.difficulty.as_ref().unwrap().array();
    assert_eq!(randomx.prove(&input(v), &target, &Silent).unwrap(), v.pow);
}
