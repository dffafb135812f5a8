//! Simulated networks: a seed is one story, and what must hold does.
#![allow(clippy::unwrap_used, clippy::panic)]

use node::params::RewardRule;
use node::sim::{Faults, Keys, Report, Rule, Settings, run};

/// Runs seeds on two threads; the reports in the order of the seeds.
fn reports(settings: &Settings, seeds: std::ops::Range<u64>) -> Vec<Report> {
    let half = |odd: u64| seeds.clone().filter(move |seed| seed % 2 == odd).map(|seed| run(settings, seed, &mut ()));
    let mut reports: Vec<Report> = std::thread::scope(|scope| {
        let halves = [scope.spawn(|| half(0).collect::<Vec<_>>()), scope.spawn(|| half(1).collect())];
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    reports.sort_by_key(|report| report.seed);
    reports
}

fn broken(reports: &[Report]) -> Vec<String> {
    let all = reports.iter().flat_map(|report| report.broken.iter().map(|broken| (report.seed, broken)));
    all.map(|(seed, broken)| format!("seed {seed}: {broken}")).collect()
}

fn breaks_agreement(report: &Report) -> bool {
    report.broken.iter().any(|broken| broken.rule == Rule::Agreement)
}

#[test]
fn a_seed_is_one_story() {
    let settings = Settings { nodes: 12, layers: 20, faults: Faults::all(), dishonest: 30, ..Settings::default() };
    let first = run(&settings, 5, &mut ());
    assert_eq!(first, run(&settings, 5, &mut ()));
    assert_ne!(first.digest, run(&settings, 6, &mut ()).digest);
}

#[test]
fn without_faults_each_layer_has_a_block_and_is_final_soon() {
    let settings = Settings { nodes: 20, layers: 20, ..Settings::default() };
    for report in reports(&settings, 0..6) {
        assert_eq!(broken(std::slice::from_ref(&report)), [""; 0]);
        assert!(report.final_layers >= 17 && report.empty_layers == 0 && report.worst_lag <= 3, "{report:?}");
    }
}

/// Latency, loss, partitions, clocks, crashes, late nodes, nodes that go, and liars of all kinds.
#[test]
fn a_hundred_networks_with_all_faults_and_three_tenths_dishonest_agree() {
    let settings = Settings { faults: Faults::all(), dishonest: 30, ..Settings::default() };
    assert_eq!((settings.nodes, settings.layers), (50, 40));
    let reports = reports(&settings, 0..100);
    assert_eq!(broken(&reports), [""; 0]);
    let layers: u32 = reports.iter().map(|report| report.final_layers).sum();
    let convicted: usize = reports.iter().map(|report| report.convicted).sum();
    assert!(layers > 3000 && convicted > 100, "{layers} layers are final, {convicted} liars convicted");
}

/// Where three tenths lie and others crash, too little weight is up most of the time for layers to have to become final; here
/// there is enough of it, and time.
#[test]
fn networks_keep_up_for_long() {
    let settings = Settings { nodes: 20, layers: 120, faults: Faults::all(), dishonest: 20, ..Settings::default() };
    let reports = reports(&settings, 0..12);
    assert_eq!(broken(&reports), [""; 0]);
    let sum = |of: &dyn Fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let (judged, voices) = (sum(&|report| report.judged), sum(&|report| report.voices as u64));
    assert!(judged > 8000 && voices > 100, "{judged} times a node's lag was judged, {voices} miners had to speak");
    let (layers, empty) = (sum(&|report| report.final_layers.into()), sum(&|report| report.empty_layers.into()));
    assert!(layers > 1300 && empty < layers / 10, "of {layers} final layers {empty} are empty");
    assert!(reports.iter().all(|report| report.worst_lag <= 10 && report.transfers > 50), "{reports:?}");
}

#[test]
fn the_linear_rule_holds_too() {
    let rule = RewardRule::Linear { proposers_permille: 100 };
    let settings =
        Settings { nodes: 20, layers: 30, faults: Faults::all(), dishonest: 30, rule, ..Settings::default() };
    let reports = reports(&settings, 0..6);
    assert_eq!(broken(&reports), [""; 0]);
    let layers: u32 = reports.iter().map(|report| report.final_layers).sum();
    assert!(layers > 120, "{layers} layers are final");
}

/// Liars with two nodes each, in both parts of a network: a third of the weight is what it takes, and the judge sees it.
#[test]
fn who_is_in_both_parts_of_a_network_can_break_it_only_with_a_third_of_the_weight() {
    let twins = |dishonest| Settings { nodes: 20, layers: 20, dishonest, twins: true, ..Settings::default() };
    assert_eq!(broken(&reports(&twins(30), 0..10)), [""; 0]);
    let broken = reports(&twins(60), 0..10).iter().filter(|report| breaks_agreement(report)).count();
    assert!(broken >= 7, "only {broken} of 10 networks are broken");
}

/// What is decided doesn't depend on signatures being keyed hashes.
#[test]
fn twenty_networks_with_real_signatures_decide_the_same() {
    let with =
        |keys| Settings { nodes: 8, layers: 10, faults: Faults::all(), dishonest: 30, keys, ..Settings::default() };
    let (real, hashed) = (reports(&with(Keys::Real), 0..20), reports(&with(Keys::RealDraws), 0..20));
    for (real, hashed) in real.iter().zip(&hashed) {
        assert_eq!((real.seed, real.decisions), (hashed.seed, hashed.decisions));
    }
    assert_eq!(broken(&real), [""; 0]);
    let layers: u32 = real.iter().map(|report| report.final_layers).sum();
    assert!(layers > 50, "{layers} layers are final");
}
