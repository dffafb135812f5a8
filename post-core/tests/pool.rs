//! Many devices as one, some of them faulty: nothing is lost, nothing is made twice, and no wrong label stays.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::ops::{ControlFlow, Range};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use post_core::backend::checked::Checked;
use post_core::backend::faulty::{Deeds, Faulty};
use post_core::backend::pool::{Pool, Quarantine};
use post_core::backend::{Backend, Cpu, Error, Info, LabelJob, Labels, Sink, label_list, suite};
use post_core::difficulty::Difficulty;
use post_core::identity::{Challenge, Commitment};
use post_core::label::{Label, reference, stored};
use post_core::params::ScryptParams;
use post_core::scan::{Hit, NonceGroup, ScanJob};

const SCRYPT: ScryptParams = ScryptParams { n: 2, r: 1, p: 1 };
const SET: Commitment = Commitment([0x77; 32]);

fn cpu() -> Box<dyn Backend> {
    Box::new(Cpu::new(1).unwrap())
}

fn faulty(id: &str, batch: u64) -> Faulty {
    Faulty::new(id, cpu(), batch)
}

fn checked(device: Faulty) -> Box<dyn Backend> {
    Box::new(Checked::new(Box::new(device)))
}

fn pool(devices: Vec<Box<dyn Backend>>) -> Pool {
    Pool::new(devices, Box::new(|_| {})).unwrap()
}

fn judge(index: u64) -> Label {
    stored(&reference::full_label(&SET, index, SCRYPT).unwrap())
}

/// What a job handed on, and how it ended.
fn labels(backend: &mut dyn Backend, range: Range<u64>) -> (Vec<Label>, Result<(), Error>) {
    let mut labels = Vec::new();
    let mut next = range.start;
    let job = LabelJob { scrypt: SCRYPT, labels: Labels::Range(SET, range) };
    let result = backend.label(&job, &mut |positions, batch| {
        assert_eq!(positions.start, next, "in order");
        next = positions.end;
        labels.extend_from_slice(batch);
        assert_eq!(positions.end - positions.start, batch.len() as u64);
        ControlFlow::Continue(())
    });
    (labels, result)
}

fn assert_right(labels: &[Label], range: Range<u64>) {
    assert_eq!(labels.len() as u64, range.end - range.start);
    for (index, label) in range.zip(labels) {
        assert_eq!(*label, judge(index), "index {index}");
    }
}

#[test]
fn two_cpus_pass_the_suite() {
    suite::run(&mut || Box::new(pool(vec![cpu(), cpu()])));
}

#[test]
fn a_mix_with_a_slow_and_a_dying_device_passes_the_suite() {
    suite::run(&mut || {
        let slow = faulty("slow", 100).slow(Duration::from_micros(20));
        Box::new(pool(vec![cpu(), Box::new(slow), Box::new(faulty("dying", 300).dies_after(2))]))
    });
}

#[test]
fn one_device_in_a_pool_passes_the_suite() {
    suite::run(&mut || Box::new(pool(vec![Box::new(faulty("only", 5000))])));
}

#[test]
fn whatever_fails_the_others_go_on_and_it_is_told() {
    let bad = || faulty("bad", 50);
    let endings = [
        ("lost", bad().dies_after(3)),
        ("memory", bad().out_of_memory_after(3)),
        ("lost", bad().panics_after(3)),
        ("lost", bad().dies_after(0)),
    ];
    for (what, bad) in endings {
        let told: Arc<Mutex<Vec<Quarantine>>> = Arc::default();
        let hears = told.clone();
        let devices: Vec<Box<dyn Backend>> =
            vec![Box::new(bad), Box::new(faulty("good", 50).slow(Duration::from_micros(5)))];
        let mut pool = Pool::new(devices, Box::new(move |one| hears.lock().unwrap().push(one.clone()))).unwrap();
        let (made, result) = labels(&mut pool, 3..20_003);
        result.unwrap();
        assert_right(&made, 3..20_003);
        let [Quarantine { device, reason }] = pool.quarantined() else { panic!("{:?}", pool.quarantined()) };
        assert!(device == "bad" && reason.contains(what), "{reason}");
        assert_eq!(*told.lock().unwrap(), pool.quarantined());
        // Never asked again, and never told of again.
        let (made, result) = labels(&mut pool, 0..500);
        result.unwrap();
        assert_right(&made, 0..500);
        assert_eq!(told.lock().unwrap().len(), 1);
    }
}

#[test]
fn without_a_device_the_job_fails_with_the_first_error() {
    let first = faulty("first", 50).out_of_memory_after(1);
    let second = faulty("second", 50).slow(Duration::from_micros(200)).dies_after(5);
    let mut pool = pool(vec![Box::new(first), Box::new(second)]);
    let (made, result) = labels(&mut pool, 0..20_000);
    assert!(matches!(&result, Err(Error::OutOfMemory { device, .. }) if device == "first"), "{result:?}");
    assert_right(&made, 0..made.len() as u64);
    assert!(!pool.others_left());
    let (none, result) = labels(&mut pool, 0..10);
    let reason = result.unwrap_err().to_string();
    assert!(none.is_empty() && reason.contains("first") && reason.contains("second"), "{reason}");
    assert!(Pool::new(Vec::new(), Box::new(|_| {})).is_err());
}

#[test]
fn a_device_that_hangs_is_given_up() {
    // Longer than anybody would wait for a test; nobody does.
    let stalls = faulty("stalls", 50).stalls_after(3, Duration::from_secs(300));
    let mut pool = pool(vec![Box::new(stalls), Box::new(faulty("good", 50))]);
    pool.set_patience(Duration::from_millis(300));
    let (made, result) = labels(&mut pool, 0..20_000);
    result.unwrap();
    assert_right(&made, 0..20_000);
    assert_eq!(pool.quarantined()[0].device, "stalls");
    // It is still in its sleep.
    let (made, result) = labels(&mut pool, 5..3000);
    result.unwrap();
    assert_right(&made, 5..3000);
}

/// The small one is far ahead when the big one fails, and its own window is short.
#[test]
fn a_device_that_fails_behind_another_holds_nobody_up() {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let big = faulty("big", 40_000).stalls_after(0, Duration::from_millis(500));
        let small = faulty("small", 500).slow(Duration::from_micros(2));
        let mut pool = pool(vec![Box::new(big), Box::new(small)]);
        let (made, result) = labels(&mut pool, 0..500_000);
        sender.send((made.len(), result.is_ok())).unwrap();
    });
    assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok((500_000, true)));
}

#[test]
fn a_stop_does_not_wait_for_the_slow() {
    let slow = faulty("slow", 1000).slow(Duration::from_millis(2));
    let mut pool = pool(vec![Box::new(slow), Box::new(faulty("fast", 10))]);
    let began = Instant::now();
    let list: Vec<_> = (0..1_000_000).map(|i| (SET, i)).collect();
    let job = LabelJob { scrypt: SCRYPT, labels: Labels::List(&list) };
    let mut calls = 0;
    // The first labels may be those of the slow one: then there is nothing to hand on for two seconds.
    pool.label(&job, &mut |_, _| {
        calls += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(calls, 1);
    assert!(began.elapsed() < Duration::from_secs(60), "a million labels would take half an hour");
}

/// Counted work, not time: while the slow one makes a batch the fast one makes whatever else there is.
#[test]
fn a_slow_device_delays_a_fast_one_by_one_of_its_batches_at_most() {
    let slow = faulty("slow", 100).slow(Duration::from_millis(2));
    let fast = faulty("fast", 100);
    let (slow_deeds, fast_deeds) = (slow.deeds(), fast.deeds());
    let mut pool = pool(vec![Box::new(slow), Box::new(fast)]);
    let total = 60_000;
    let (made, result) = labels(&mut pool, 0..total);
    result.unwrap();
    assert_right(&made, 0..total);
    // All that was to be made, and what the slow one began and nobody wanted any more.
    assert!(fast_deeds.labels() + slow_deeds.labels() <= total + 200);
    // The slow one takes a fifth of a second for a batch, in which the fast one makes at least 20,000 labels even on a
    // machine that does other things: more batches would mean that the fast one waited.
    assert!(slow_deeds.batches() <= 6, "{slow_deeds:?}, {fast_deeds:?}");
    assert!(fast_deeds.labels() >= total - 600, "{slow_deeds:?}, {fast_deeds:?}");
}

fn lies(deeds: &Deeds) -> u64 {
    deeds.lies.load(Ordering::Relaxed)
}

/// Takes what a job hands on, and what has to be made again, until all is there. Returns the labels.
fn until_all_is_right(pool: &mut Pool, total: u64) -> Vec<Label> {
    let mut all: Vec<Option<Label>> = vec![None; total as usize];
    while let Some(from) = all.iter().position(Option::is_none) {
        let to = all[from..].iter().position(Option::is_some).map_or(total, |length| (from + length) as u64);
        let job = LabelJob { scrypt: SCRYPT, labels: Labels::Range(SET, from as u64..to) };
        let result = pool.label(&job, &mut |positions, batch| {
            for (index, label) in positions.zip(batch) {
                all[index as usize] = Some(*label);
            }
            ControlFlow::Continue(())
        });
        match result {
            Ok(()) => {}
            Err(Error::Wrong { .. }) => {
                assert!(pool.others_left());
                for suspects in pool.suspects(&SET).unwrap() {
                    all[suspects.start as usize..suspects.end as usize].fill(None);
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    all.into_iter().flatten().collect()
}

/// One wrong label in 1000, one label of a batch looked at: whatever the size of a batch, it is caught with a chance of
/// 1 in 1000. So 20,000 batches pass with a chance of e^-20.
#[test]
fn a_rare_liar_is_caught_within_the_expected_number_of_batches() {
    let mut batches = 0;
    for seed in 0..5 {
        let liar = faulty("liar", 10).lies(1000, seed);
        let deeds = liar.deeds();
        let (made, result) = labels(&mut *checked(liar), 0..1_000_000);
        assert!(matches!(&result, Err(Error::Wrong { device, .. }) if device == "liar"), "{result:?}");
        assert!(deeds.batches() < 20_000 && lies(&deeds) > 0, "{deeds:?}");
        // The batch it was caught at was held back.
        assert_eq!(made.len() as u64, deeds.labels() - 10);
        batches += deeds.batches();
    }
    // And not by chance of something else: five in less than 200 batches together have a chance of 3e-6.
    assert!(batches > 200, "{batches}");
}

#[test]
fn all_that_a_liar_made_is_named() {
    for seed in 0..3 {
        let liar = faulty("liar", 10).lies(200, seed);
        let deeds = liar.deeds();
        let mut pool = pool(vec![checked(liar), Box::new(faulty("good", 10))]);
        // About 10,000 of the batches are the liar's; all of them pass with a chance of e^-50.
        let labels = until_all_is_right(&mut pool, 200_000);
        assert!(lies(&deeds) > 0);
        assert_eq!(pool.quarantined()[0].device, "liar");
        assert_right(&labels, 0..200_000);
    }
}

#[test]
fn two_liars_are_caught_one_after_the_other() {
    let (one, two) = (faulty("one", 10).lies(100, 1), faulty("two", 10).lies(100, 2));
    let mut pool = pool(vec![checked(one), checked(two), Box::new(faulty("good", 10))]);
    let labels = until_all_is_right(&mut pool, 200_000);
    assert_right(&labels, 0..200_000);
    assert_eq!(pool.quarantined().len(), 2);
}

#[test]
fn lists_are_made_again_when_a_device_lies() {
    let mut pool = pool(vec![checked(faulty("liar", 10).lies(1, 1)), Box::new(faulty("good", 10))]);
    let list: Vec<_> = (0..300).map(|i| (SET, i * 7)).collect();
    let labels = label_list(&mut pool, SCRYPT, &list).unwrap();
    assert!(list.iter().zip(&labels).all(|((_, index), label)| *label == judge(*index)));
    assert_eq!(pool.quarantined()[0].device, "liar");
    let mut only = Checked::new(Box::new(faulty("liar", 10).lies(1, 1)));
    assert!(matches!(label_list(&mut only, SCRYPT, &list), Err(Error::Wrong { .. })));
}

#[test]
fn who_is_accused_is_found() {
    let (left, right) = (faulty("left", 10), faulty("right", 10));
    let mut pool = pool(vec![Box::new(left.lies(1, 1)), Box::new(right.lies(1, 1))]);
    let mut wrong = Vec::new();
    labels(&mut pool, 0..1000).1.unwrap();
    wrong.push(pool.accuse(&SET, 500).to_string());
    assert!(pool.others_left());
    let suspects = pool.suspects(&SET).unwrap();
    assert!(suspects.iter().any(|range| range.contains(&500)));
    assert_eq!(pool.suspects(&SET).unwrap(), [], "told once only");
    let other = (0..1000).find(|index| !suspects.iter().any(|range| range.contains(index)));
    if let Some(index) = other {
        wrong.push(pool.accuse(&SET, index).to_string());
        assert_ne!(wrong[0], wrong[1]);
        assert!(!pool.others_left());
    }
    assert!(matches!(pool.accuse(&Commitment([1; 32]), 0), Error::Wrong { .. }), "nobody made it");
}

#[test]
fn scans_survive_failures_and_keep_their_order() {
    let labels: Vec<Label> = (0..300_000_u128).map(|i| (i * 0x1234_5678_9abc_def1).to_le_bytes()).collect();
    let group = NonceGroup::new(&Challenge([9; 32]), 3, 5);
    let job = ScanJob { groups: &[&group], difficulty: Difficulty { msb: 1, lsb: 99 } };
    let mut expected = Vec::new();
    cpu().scan(&job, 7, &labels, &mut expected).unwrap();
    assert!(expected.len() > 10_000);
    let scans = |devices| {
        let mut pool = pool(devices);
        for _ in 0..20 {
            let mut hits = Vec::new();
            pool.scan(&job, 7, &labels, &mut hits).unwrap();
            assert!(hits == expected);
        }
        pool
    };
    assert!(scans(vec![cpu(), cpu(), cpu()]).quarantined().is_empty());
    let bad: Vec<Box<dyn Backend>> = vec![
        Box::new(faulty("dies", 1000).dies_after(4)),
        Box::new(faulty("panics", 1000).panics_after(2)),
        Box::new(faulty("memory", 1000).out_of_memory_after(0)),
        Box::new(faulty("good", 1000)),
    ];
    assert_eq!(scans(bad).quarantined().len(), 3);
    let mut dead = pool(vec![Box::new(faulty("dies", 1000).dies_after(0))]);
    assert!(matches!(dead.scan(&job, 7, &labels, &mut Vec::new()), Err(Error::DeviceLost { .. })));
    assert!(dead.scan(&job, 7, &labels, &mut Vec::new()).is_err());
}

/// Finds nothing, and is caught at the second scan.
struct LiesInScans(Faulty, u32);

impl Backend for LiesInScans {
    fn info(&self) -> &Info {
        self.0.info()
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        self.0.label(job, sink)
    }
    fn scan(&mut self, _: &ScanJob<'_>, first: u64, _: &[Label], _: &mut Vec<Hit>) -> Result<(), Error> {
        self.1 += 1;
        if self.1 == 2 { Err(Error::Wrong { device: "liar".into(), index: first }) } else { Ok(()) }
    }
}

#[test]
fn what_a_liar_found_in_a_scan_is_not_kept() {
    let labels: Vec<Label> = (0..300_000_u128).map(|i| (i * 0x1234_5678_9abc_def1).to_le_bytes()).collect();
    let group = NonceGroup::new(&Challenge([9; 32]), 3, 5);
    let job = ScanJob { groups: &[&group], difficulty: Difficulty { msb: 1, lsb: 99 } };
    let mut expected = Vec::new();
    cpu().scan(&job, 7, &labels, &mut expected).unwrap();
    let liar = || Box::new(LiesInScans(faulty("liar", 1000), 0));
    let good = Box::new(faulty("good", 1000).slow(Duration::from_micros(1)));
    let mut mixed = pool(vec![good, liar()]);
    let mut hits = Vec::new();
    mixed.scan(&job, 7, &labels, &mut hits).unwrap();
    assert_eq!(mixed.quarantined().len(), 1);
    assert!(hits == expected);
    let mut alone = pool(vec![liar()]);
    alone.scan(&job, 7, &labels, &mut Vec::new()).unwrap();
    let mut hits = Vec::new();
    assert!(matches!(alone.scan(&job, 7, &labels, &mut hits), Err(Error::Wrong { .. })));
    assert!(hits.is_empty());
}

#[test]
fn a_scan_gives_each_device_what_it_can_do() {
    let labels = vec![[0; 16]; 1 << 18];
    let group = NonceGroup::new(&Challenge([9; 32]), 3, 5);
    let job = ScanJob { groups: &[&group], difficulty: Difficulty { msb: 0, lsb: 0 } };
    // The slow one takes a microsecond a label, a quarter of a second for all.
    let (fast, slow) = (faulty("fast", 1 << 17), faulty("slow", 1 << 17).slow(Duration::from_micros(1)));
    let (fast_deeds, slow_deeds) = (fast.deeds(), slow.deeds());
    let mut pool = pool(vec![Box::new(fast), Box::new(slow)]);
    for _ in 0..10 {
        pool.scan(&job, 0, &labels, &mut Vec::new()).unwrap();
    }
    let scanned = |deeds: &Deeds| deeds.scanned.load(Ordering::Relaxed);
    assert_eq!(scanned(&fast_deeds) + scanned(&slow_deeds), 10 << 18);
    assert!(scanned(&slow_deeds) < scanned(&fast_deeds) / 2, "{slow_deeds:?}, {fast_deeds:?}");
}
