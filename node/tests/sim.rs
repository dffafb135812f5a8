//! Simulated networks: a seed is one story, and what must hold does.
#![allow(clippy::unwrap_used, clippy::panic)]

use node::sim::{Faults, Report, Rule, Settings, run};

fn report(settings: &Settings, seed: u64) -> Report {
    run(settings, seed, &mut ())
}

/// What broke, but for the rules that need layers to become final.
fn broken_of_atxs(report: &Report) -> Vec<String> {
    report.broken.iter().filter(|broken| broken.rule != Rule::Liveness).map(ToString::to_string).collect()
}

#[test]
fn a_seed_is_one_story() {
    let settings = Settings { nodes: 12, layers: 20, faults: Faults::all(), dishonest: 30, ..Settings::default() };
    let first = report(&settings, 5);
    assert_eq!(first, report(&settings, 5));
    assert_ne!(first.digest, report(&settings, 6).digest);
}

#[test]
fn all_nodes_know_the_same_atxs() {
    let settings = Settings { nodes: 20, layers: 20, ..Settings::default() };
    for seed in 0..5 {
        let report = report(&settings, seed);
        assert_eq!(broken_of_atxs(&report), [""; 0], "seed {seed}");
        assert!(report.traffic.keys().any(|(layer, _)| *layer >= 10), "somebody published an ATX");
    }
}

#[test]
fn whatever_happens_to_them_they_know_the_same_atxs_in_the_end() {
    let settings = Settings { nodes: 20, layers: 40, faults: Faults::all(), dishonest: 30, ..Settings::default() };
    for seed in 0..5 {
        assert_eq!(broken_of_atxs(&report(&settings, seed)), [""; 0], "seed {seed}");
    }
}
