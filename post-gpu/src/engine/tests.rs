//! The engine on a device that is honest, and on devices that lie, die, stall or have too little memory: whatever they do
//! comes back as a typed error, in time, and no wrong batch is handed on.

mod fake;

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use post_core::backend::{Backend, Error, LabelJob, Labels, suite};
use post_core::difficulty::Difficulty;
use post_core::identity::{Challenge, Commitment};
use post_core::label::{Label, reference, stored};
use post_core::params::ScryptParams;
use post_core::scan::{Hit, NonceGroup, ScanJob};

use self::fake::{At, Fake, Faults, Log};
use super::{GpuBackend, Limits, Settings};
use crate::cache::Tuning;
use crate::device::Trouble;
use crate::{Forced, Tune};

const COMMITMENT: Commitment = Commitment([0x42; 32]);

/// Batches of 64 labels and pieces that the self-test takes: its hits are too many at first, so one piece becomes two.
const SELF_TEST_BATCHES: usize = 3;
const SELF_TEST_PIECES: usize = 3;

/// Everything that hangs is noticed after this.
const PATIENCE: Duration = Duration::from_millis(400);

/// And nothing here may take longer than this, on a machine that has other things to do.
const IN_TIME: Duration = Duration::from_secs(4);

fn settings(labels: Option<u32>) -> Settings {
    let layout =
        |labels: u32| Forced { gap: 2, labels, labels_per_buffer: (labels / 2).max(64), steps_per_submit: Some(1000) };
    let forced = labels.map(layout);
    let limits = Some(Limits { compile: PATIENCE, patience: PATIENCE });
    Settings { gpu_memory: None, cache: None, tune: Tune::Never, forced, limits }
}

fn open_logged(faults: Faults, settings: Settings) -> (Result<GpuBackend, Error>, Arc<Log>) {
    let log = Arc::new(Log::default());
    let seen = Arc::clone(&log);
    let maker = Box::new(move || Ok(Box::new(Fake::new(faults, seen)) as Box<dyn crate::device::Device>));
    (GpuBackend::open("fake", "fake:0", maker, settings), log)
}

/// A device whose batches are 64 labels.
fn open(faults: Faults) -> GpuBackend {
    open_logged(faults, settings(Some(64))).0.unwrap()
}

/// The labels that a job gave before it ended. None of them may be wrong, unless the device lies.
fn labels(backend: &mut dyn Backend, range: Range<u64>) -> (Vec<Label>, Result<(), Error>) {
    labels_of(backend, 2, range)
}

fn labels_of(backend: &mut dyn Backend, n: u32, range: Range<u64>) -> (Vec<Label>, Result<(), Error>) {
    let mut labels = Vec::new();
    let job = LabelJob { scrypt: ScryptParams { n, r: 1, p: 1 }, labels: Labels::Range(COMMITMENT, range) };
    let done = backend.label(&job, &mut |_, batch| {
        labels.extend_from_slice(batch);
        ControlFlow::Continue(())
    });
    (labels, done)
}

fn expected(range: Range<u64>) -> Vec<Label> {
    expected_of(2, range)
}

fn expected_of(n: u32, range: Range<u64>) -> Vec<Label> {
    let scrypt = ScryptParams { n, r: 1, p: 1 };
    range.map(|index| stored(&reference::full_label(&COMMITMENT, index, scrypt).unwrap())).collect()
}

/// 4000 labels under three groups, one of eight bytes a hit.
fn scan(backend: &mut dyn Backend) -> (Vec<Hit>, Result<(), Error>) {
    let (groups, labels) = scan_input();
    let groups: Vec<_> = groups.iter().collect();
    let mut hits = Vec::new();
    let done = backend.scan(&ScanJob { groups: &groups, difficulty: DIFFICULTY }, 77, &labels, &mut hits);
    (hits, done)
}

const DIFFICULTY: Difficulty = Difficulty { msb: 32, lsb: 5 };

fn scan_input() -> (Vec<NonceGroup>, Vec<Label>) {
    let groups = (3..6).map(|group| NonceGroup::new(&Challenge([8; 32]), group, 1)).collect();
    (groups, (0..4000_u128).map(|i| (i * 0x9e37_79b9_7f4a_7c15_f39c_c060).to_le_bytes()).collect())
}

#[test]
fn an_honest_device_passes_the_suite() {
    // The judge is no fast device, and other tests run beside it.
    let limits = Some(Limits { compile: Duration::from_secs(60), patience: Duration::from_secs(60) });
    let patient = |labels| Settings { limits, ..settings(labels) };
    for labels in [Some(4096), Some(128)] {
        suite::run(&mut || Box::new(open_logged(Faults::default(), patient(labels)).0.unwrap()));
    }
}

#[test]
fn wrong_labels_in_the_self_test_close_the_device() {
    let faults = Faults { lies: At::From(0), lie_every: 2, ..Faults::default() };
    match open_logged(faults, settings(Some(64))).0.map(|_| ()) {
        Err(Error::Wrong { device, .. }) => assert_eq!(device, "fake:0"),
        other => panic!("{other:?}"),
    }
    let faults = Faults { hides_hits: At::From(0), ..Faults::default() };
    assert!(open_logged(faults, settings(Some(64))).0.is_err_and(|e| e.is_fatal()));
}

#[test]
fn a_wrong_batch_is_not_handed_on_and_the_device_is_not_asked_again() {
    let mut backend = open(Faults { lies: At::From(SELF_TEST_BATCHES + 2), lie_every: 1, ..Faults::default() });
    let (got, done) = labels(&mut backend, 0..1000);
    assert!(got == expected(0..128), "two right batches, then none");
    let Err(Error::Wrong { index, .. }) = done else { panic!("{done:?}") };
    assert!((128..192).contains(&index));
    let (got, again) = labels(&mut backend, 0..1);
    assert!(got.is_empty() && matches!(again, Err(Error::Wrong { index: same, .. }) if same == index));
    assert!(matches!(scan(&mut backend).1, Err(Error::Wrong { .. })));
}

/// One label of 16 is wrong and one of 64 is looked at: half of all liars get past 11 batches, one of 10^11 past 400.
#[test]
fn a_seldom_liar_is_caught_before_long() {
    let mut backend = open(Faults { lies: At::From(SELF_TEST_BATCHES), lie_every: 16, ..Faults::default() });
    let (got, done) = labels(&mut backend, 0..400 * 64);
    assert!(matches!(done, Err(Error::Wrong { index, .. }) if index % 16 == 0), "{} labels, {done:?}", got.len());
}

#[test]
fn too_few_labels_are_no_labels() {
    let mut backend = open(Faults { loses_a_label: At::From(SELF_TEST_BATCHES + 1), ..Faults::default() });
    let (got, done) = labels(&mut backend, 5..1000);
    assert!(got == expected(5..69), "{} labels", got.len());
    assert!(matches!(done, Err(Error::Unavailable { .. })), "{done:?}");
}

#[test]
fn a_lost_device_is_a_typed_error_and_what_came_before_is_right() {
    let dead = Faults { is_lost: At::From(SELF_TEST_BATCHES + 3), ..Faults::default() };
    let panicking = Faults { panics: At::From(SELF_TEST_BATCHES + 3), ..Faults::default() };
    for faults in [dead, panicking] {
        let start = Instant::now();
        let mut backend = open(faults);
        let (got, done) = labels(&mut backend, 0..1000);
        assert!(matches!(done, Err(Error::DeviceLost { .. })), "{done:?}");
        assert!(got == expected(0..got.len() as u64), "{} labels", got.len());
        assert!(got.len() >= 64, "two batches at most are lost with the device");
        assert!(matches!(labels(&mut backend, 0..1).1, Err(Error::DeviceLost { .. })));
        drop(backend);
        assert!(start.elapsed() < IN_TIME);
    }
}

#[test]
fn a_stalled_device_is_given_up_in_time() {
    let submit = Faults { hangs_in_submit: At::From(SELF_TEST_BATCHES + 1), ..Faults::default() };
    let collect = Faults { hangs_in_collect: At::From(SELF_TEST_BATCHES), ..Faults::default() };
    for faults in [submit, collect] {
        let start = Instant::now();
        let mut backend = open(faults);
        let (got, done) = labels(&mut backend, 0..1000);
        assert!(matches!(done, Err(Error::DeviceLost { .. })), "{done:?}");
        assert!(got == expected(0..got.len() as u64), "{} labels", got.len());
        assert!(matches!(scan(&mut backend).1, Err(Error::DeviceLost { .. })), "nobody waits for it again");
        drop(backend);
        assert!(start.elapsed() < IN_TIME, "took {:?}", start.elapsed());
    }
}

#[test]
fn a_device_that_does_not_open_is_a_typed_error_in_time() {
    let open = |maker: super::Maker| {
        let start = Instant::now();
        let opened = GpuBackend::open("fake", "fake:0", maker, settings(None)).map(|_| ());
        assert!(start.elapsed() < IN_TIME);
        opened
    };
    let refused = open(Box::new(|| Err(Trouble::Unavailable { reason: "no driver".into() })));
    assert!(matches!(refused, Err(Error::Unavailable { reason, .. }) if reason == "no driver"));
    assert!(matches!(open(Box::new(|| panic!("the fake driver panics"))), Err(Error::DeviceLost { .. })));
    let hung = open(Box::new(|| {
        loop {
            std::thread::park();
        }
    }));
    assert!(matches!(hung, Err(Error::DeviceLost { .. })));
}

/// 64 labels at N = 8192, the self-test's, need 64 MiB; with one line of four kept they need 16.
#[test]
fn fewer_lines_are_kept_when_memory_is_short() {
    let prepared = Faults { memory: Some(40 << 20), ..Faults::default() };
    let at_work = Faults { memory_at_work: Some(40 << 20), ..Faults::default() };
    for faults in [prepared, at_work] {
        let (backend, log) = open_logged(faults, settings(None));
        let mut backend = backend.unwrap();
        let (got, done) = labels(&mut backend, 0..2000);
        done.unwrap();
        assert!(got == expected(0..2000), "{} labels", got.len());
        assert!(log.shapes.lock().unwrap().iter().any(|shape| shape.n == 8192 && shape.gap == 4));
    }
}

#[test]
fn a_job_goes_on_with_less_memory_after_a_refusal() {
    // Enough for the self-test (64 labels at N = 8192), not for the 160 MiB that the job's shape would take.
    for (memory, memory_at_work) in [(Some(70 << 20), None), (None, Some(70 << 20))] {
        let faults = Faults { memory, memory_at_work, ..Faults::default() };
        let (backend, log) = open_logged(faults, settings(None));
        let mut backend = backend.unwrap();
        let scrypt = ScryptParams { n: 2048, r: 1, p: 1 };
        let list: Vec<_> = (0..600_u64).map(|i| (COMMITMENT, i << 32)).collect();
        let got = post_core::backend::label_list(&mut backend, scrypt, &list).unwrap();
        for at in (0..600).step_by(59) {
            assert_eq!(got[at], stored(&reference::full_label(&COMMITMENT, list[at].1, scrypt).unwrap()), "{at}");
        }
        let last = *log.shapes.lock().unwrap().last().unwrap();
        assert!(last.labels < 600 && last.labels >= 64, "{last:?}");
    }
}

#[test]
fn no_memory_at_all_is_a_typed_error() {
    let (opened, _) = open_logged(Faults { memory: Some(1000), ..Faults::default() }, settings(None));
    assert!(matches!(opened.map(|_| ()), Err(Error::OutOfMemory { bytes, .. }) if bytes > 1000));
    let tiny = Settings { gpu_memory: Some(1000), ..settings(None) };
    assert!(matches!(open_logged(Faults::default(), tiny).0.map(|_| ()), Err(Error::OutOfMemory { .. })));
}

#[test]
fn the_device_has_work_while_a_batch_is_handed_on() {
    let (backend, log) = open_logged(Faults::default(), settings(Some(64)));
    let mut backend = backend.unwrap();
    let before = log.submitted.load(Ordering::SeqCst);
    let job = LabelJob { scrypt: ScryptParams { n: 2, r: 1, p: 1 }, labels: Labels::Range(COMMITMENT, 0..640) };
    let mut handed = 0;
    backend
        .label(&job, &mut |_, _| {
            handed += 1;
            // While this one is handed on, the next one runs and the one after it is queued, as long as there are any.
            let ahead = (handed + 2).min(10);
            let start = Instant::now();
            while log.submitted.load(Ordering::SeqCst) - before < ahead {
                assert!(start.elapsed() < IN_TIME, "batch {handed} is handed on and the device idles");
                std::thread::yield_now();
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(handed, 10);
}

#[test]
fn a_stopped_job_leaves_nothing_behind() {
    let mut backend = open(Faults::default());
    for stop in 1..4 {
        let job = LabelJob { scrypt: ScryptParams { n: 2, r: 1, p: 1 }, labels: Labels::Range(COMMITMENT, 0..9999) };
        let mut calls = 0;
        let sink = &mut |_: Range<u64>, _: &[Label]| {
            calls += 1;
            if calls == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        backend.label(&job, sink).unwrap();
        let (got, done) = labels(&mut backend, 1000..1130);
        done.unwrap();
        assert!(got == expected(1000..1130), "{} labels", got.len());
    }
}

#[test]
fn scans_that_are_wrong_are_typed_errors() {
    let mut backend = open(Faults::default());
    let (hits, done) = scan(&mut backend);
    done.unwrap();
    let (groups, texts) = scan_input();
    let groups: Vec<_> = groups.iter().collect();
    let mut expected = Vec::new();
    let job = ScanJob { groups: &groups, difficulty: DIFFICULTY };
    post_core::scan::reference::scan(&job, 77, &texts, &mut expected);
    assert_eq!(hits, expected);

    let from = At::From(SELF_TEST_PIECES);
    let hiding = Faults { hides_hits: from, ..Faults::default() };
    let inventing = Faults { invents_hits: from, ..Faults::default() };
    let counting = Faults { counts_too_many_hits: from, ..Faults::default() };
    for faults in [hiding, inventing, counting] {
        let mut backend = open(faults);
        let (hits, done) = scan(&mut backend);
        assert!(matches!(done, Err(Error::Wrong { .. })), "{done:?}");
        assert!(hits.is_empty());
    }
    for faults in
        [Faults { is_lost: from, ..Faults::default() }, Faults { hangs_in_collect: from, ..Faults::default() }]
    {
        let start = Instant::now();
        let mut backend = open(faults);
        assert!(matches!(scan(&mut backend).1, Err(Error::DeviceLost { .. })));
        assert!(start.elapsed() < IN_TIME);
    }
}

#[test]
fn the_fastest_gap_is_found_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("tuning.json");
    const N: u32 = 16384;
    // Gap 4 is by far the fastest.
    let label_time = [20, 15, 2].map(Duration::from_micros);
    let faults = Faults { label_time, ..Faults::default() };
    let settings = |tune| Settings { tune, cache: Some(cache.clone()), ..settings(None) };
    let patient = Settings {
        limits: Some(Limits { compile: Duration::from_secs(10), patience: Duration::from_secs(10) }),
        ..settings(Tune::Always)
    };
    let (backend, log) = open_logged(faults.clone(), patient);
    let mut backend = backend.unwrap();
    let (got, done) = labels_of(&mut backend, N, 0..3);
    done.unwrap();
    assert!(got == expected_of(N, 0..3), "{} labels", got.len());
    assert!([1, 2, 4].iter().all(|gap| log.shapes.lock().unwrap().iter().any(|shape| shape.gap == *gap)));
    let tuning = backend.tuning.clone().unwrap();
    assert_eq!(tuning.gap, 4);
    assert!(tuning.labels.is_none_or(|labels| labels > 1000), "{tuning:?}");
    assert_eq!(Tuning::recall(&cache, &backend.facts), Some(tuning));

    let (again, log) = open_logged(faults, settings(Tune::Auto));
    let mut again = again.unwrap();
    assert_eq!(labels_of(&mut again, N, 0..3).0, expected_of(N, 0..3));
    assert!(log.shapes.lock().unwrap().iter().all(|shape| shape.gap == 4), "it uses what is remembered");
    assert!(again.info().labels.contains("one line of 4"));
}

/// Half of what a watchdog allows; eight million steps a second is a small GPU of a laptop.
#[test]
fn no_submit_is_long_on_a_slow_device_that_nothing_is_known_of() {
    let faults = Faults { label_time: [Duration::from_millis(1); 3], ..Faults::default() };
    let limits = Some(Limits { compile: Duration::from_secs(30), patience: Duration::from_secs(30) });
    let (backend, log) = open_logged(faults, Settings { limits, tune: Tune::Always, ..settings(None) });
    backend.unwrap().tune_if_worth_it(8192, 1).unwrap();
    let longest = *log.longest_submit.lock().unwrap();
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    assert!(log.shapes.lock().unwrap().iter().any(|shape| shape.labels > 64), "it looked further than the first try");
}

#[test]
fn batches_grow_on_a_device_that_is_faster_than_was_believed() {
    let (backend, log) = open_logged(Faults::default(), settings(None));
    let mut backend = backend.unwrap();
    backend.rates.steps = 1e4;
    let (got, done) = labels(&mut backend, 7..20_007);
    done.unwrap();
    assert!(got == expected(7..20_007), "{} labels", got.len());
    let shapes: Vec<_> =
        log.shapes.lock().unwrap().iter().filter(|shape| shape.n == 2).map(|shape| shape.labels).collect();
    assert!(shapes.is_sorted() && shapes[0] < 500 && shapes.last().is_some_and(|last| *last > 2000), "{shapes:?}");
}

/// As a pool does it: no call alone is worth a tune.
#[test]
fn a_long_job_in_short_calls_is_tuned_too() {
    let limits = Some(Limits { compile: Duration::from_secs(30), patience: Duration::from_secs(30) });
    // Memory for 64 labels.
    let settings = Settings { gpu_memory: Some(70 << 20), tune: Tune::Auto, limits, ..settings(None) };
    let mut backend = open_logged(Faults::default(), settings).0.unwrap();
    let scrypt = ScryptParams { n: 8192, r: 1, p: 1 };
    let job = LabelJob { scrypt, labels: Labels::Range(COMMITMENT, 0..300_000) };
    backend.label(&job, &mut |_, _| ControlFlow::Break(())).unwrap();
    assert_eq!(backend.tuning, None, "a few seconds of a fast card");
    backend.label(&job, &mut |_, _| ControlFlow::Break(())).unwrap();
    assert!(backend.tuning.is_some());
}

/// Ctrl-Z, a paused virtual machine: the device stood still with everybody else. This test starts itself again, alone, and
/// stops that process for longer than the device is waited for.
#[cfg(unix)]
#[test]
fn a_device_survives_that_the_process_is_stopped() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    const CHILD: &str = "POST_GPU_TEST_STOPPED";
    const ME: &str = "engine::tests::a_device_survives_that_the_process_is_stopped";
    if std::env::var_os(CHILD).is_some() {
        let limits = Some(Limits { compile: Duration::from_secs(1), patience: Duration::from_secs(1) });
        let faults = Faults { label_time: [Duration::from_millis(12); 3], ..Faults::default() };
        let mut backend = open_logged(faults, Settings { limits, ..settings(Some(64)) }).0.unwrap();
        writeln!(std::io::stdout(), "\nready").unwrap();
        return labels(&mut backend, 0..64).1.unwrap();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([ME, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id().to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    };
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line == "ready"));
    std::thread::sleep(Duration::from_millis(200));
    signal("-STOP");
    std::thread::sleep(Duration::from_millis(2500));
    signal("-CONT");
    let said: Vec<_> = lines.collect();
    assert!(child.wait().unwrap().success(), "{said:#?}");
}

/// Drivers of real GPUs do it too.
#[test]
fn a_device_may_compile_during_its_first_work() {
    let faults = Faults { compiles_at_work: PATIENCE + PATIENCE / 4, ..Faults::default() };
    let limits = Some(Limits { compile: Duration::from_secs(20), patience: PATIENCE });
    let mut backend = open_logged(faults, Settings { limits, ..settings(Some(64)) }).0.unwrap();
    labels(&mut backend, 0..64).1.unwrap();
    scan(&mut backend).1.unwrap();
}
