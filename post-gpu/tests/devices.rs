//! Every device of this machine against the suite that every backend must pass, and what is special to GPUs.
//!
//! Software devices are enough for that. `POST_REQUIRE_DEVICES=vulkan,opencl` turns the absence of an API's devices into
//! a failure.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::io::Write;
use std::ops::ControlFlow;
use std::time::Instant;

use post_core::backend::{Backend, LabelJob, Labels, suite};
use post_core::difficulty::Difficulty;
use post_core::identity::{Challenge, Commitment};
use post_core::label::{Label, reference, stored};
use post_core::params::ScryptParams;
use post_core::scan::{NonceGroup, ScanJob};
use post_gpu::{Facts, Forced, Options, Tune};

const COMMITMENT: Commitment = Commitment([0x42; 32]);

/// A line that is seen in any log: the test harness hides only what is printed.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The devices to test, each with a line in the log.
fn devices() -> Vec<Facts> {
    let found = post_gpu::devices();
    for absent in &found.absent {
        say(format_args!("SKIPPED: no {} device: {absent}", absent.api.name()));
    }
    for api in std::env::var("POST_REQUIRE_DEVICES").unwrap_or_default().split(',').filter(|api| !api.is_empty()) {
        let here = found.devices.iter().any(|device| device.id.split(':').next() == Some(api));
        assert!(here, "POST_REQUIRE_DEVICES demands {api}, and there is no such device: {:?}", found.absent);
    }
    for device in &found.devices {
        say(format_args!("testing {}: {} ({})", device.id, device.name, device.driver));
    }
    found.devices
}

fn open(id: &str, options: &Options) -> Box<dyn Backend> {
    post_gpu::open(id, options.clone()).unwrap_or_else(|e| panic!("{e}"))
}

fn open_default(id: &str) -> Box<dyn Backend> {
    open(id, &Options { tune: Tune::Never, ..Options::default() })
}

/// Many small batches in several buffers.
fn forced(gap: u32, labels: u32, labels_per_buffer: u32, steps: u32) -> Options {
    let forced = Forced { gap, labels, labels_per_buffer, steps_per_submit: Some(steps) };
    Options { forced: Some(forced), tune: Tune::Never, ..Options::default() }
}

fn check_range(backend: &mut dyn Backend, n: u32, first: u64, count: u64) {
    let scrypt = ScryptParams { n, r: 1, p: 1 };
    let job = LabelJob { scrypt, labels: Labels::Range(COMMITMENT, first..first + count) };
    let mut labels: Vec<Label> = Vec::new();
    backend
        .label(&job, &mut |_, batch| {
            labels.extend_from_slice(batch);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(labels.len() as u64, count);
    for (index, label) in (first..).zip(labels) {
        let expected = stored(&reference::full_label(&COMMITMENT, index, scrypt).unwrap());
        assert_eq!(label, expected, "n {n}, index {index}");
    }
}

#[test]
fn every_device_passes_the_suite() {
    for device in devices() {
        let start = Instant::now();
        suite::run(&mut || open_default(&device.id));
        say(format_args!("{} passed the suite in {:.1?}", device.id, start.elapsed()));
    }
}

/// A workgroup may be the last of one buffer or the first of the next, a batch full or not, a submit any number of steps.
#[test]
fn any_layout_gives_the_same_labels() {
    for device in devices() {
        let start = Instant::now();
        let mut checked = 0;
        for (gap, labels, labels_per_buffer, steps) in
            [(1, 192, 64, 3), (2, 320, 128, 1 << 20), (4, 256, 64, 5), (1, 64, 640, 64), (4, 128, 128, 1)]
        {
            let mut backend = open(&device.id, &forced(gap, labels, labels_per_buffer, steps));
            for (n, first, count) in [
                (2, u64::from(u32::MAX) - 100, 500),
                (4, 0, 1),
                (8, 0, 63),
                (16, 7, 65),
                (128, u64::from(u32::MAX) - 128, 257),
            ] {
                check_range(&mut *backend, n, first, count);
                checked += count;
            }
        }
        say(format_args!("{}: {checked} labels in forced layouts in {:.1?}", device.id, start.elapsed()));
    }
}

#[test]
fn mainnet_labels_in_every_gap() {
    for device in devices() {
        let start = Instant::now();
        for gap in [1, 2, 4] {
            // Two buffers, so that the second workgroup's lines are in another one than the first's.
            let mut backend = open(&device.id, &forced(gap, 128, 64, 2048));
            check_range(&mut *backend, 8192, (1 << 40) - 2, 67);
        }
        say(format_args!("{}: N = 8192 in {:.1?}", device.id, start.elapsed()));
    }
}

/// The tune of about a second: what it finds is used, and remembered for the next time.
#[test]
fn a_tune_is_made_once_and_remembered() {
    for device in devices() {
        let start = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let options = |tune| Options { tune, cache_dir: Some(folder.path().to_owned()), ..Options::default() };
        let mut backend = open(&device.id, &options(Tune::Always));
        check_range(&mut *backend, 512, 3, 100);
        let tuning = post_gpu::tuning(&device, folder.path()).unwrap();
        assert!(tuning.steps_per_second > 0.0 && matches!(tuning.gap, 1 | 2 | 4), "{tuning:?}");
        say(format_args!("{}: {tuning:?} in {:.1?}", device.id, start.elapsed()));

        // Of part of the memory nothing is remembered.
        let mut small = open(&device.id, &Options { gpu_memory: Some(70 << 20), ..options(Tune::Always) });
        check_range(&mut *small, 512, 3, 100);
        let mut again = open(&device.id, &options(Tune::Auto));
        check_range(&mut *again, 512, 3, 100);
        assert_eq!(post_gpu::tuning(&device, folder.path()), Some(tuning));
    }
}

/// More hits than there is room for at once, over several pieces: every byte of every label but one in 256.
#[test]
fn a_flood_of_hits_loses_none() {
    let labels: Vec<Label> = (0..9001_u128).map(|i| (i * 0x1234_5678_9abc_def1_0fed_cba9).to_le_bytes()).collect();
    let challenge = Challenge([9; 32]);
    let groups: Vec<_> = [0, 17, 255].map(|group| NonceGroup::new(&challenge, group, 3)).into();
    let groups: Vec<_> = groups.iter().collect();
    let job = ScanJob { groups: &groups, difficulty: Difficulty { msb: 255, lsb: 1 << 54 } };
    let mut expected = Vec::new();
    post_core::scan::reference::scan(&job, 5, &labels, &mut expected);
    for device in devices() {
        let mut backend = open_default(&device.id);
        let mut hits = Vec::new();
        backend.scan(&job, 5, &labels, &mut hits).unwrap();
        assert!(hits == expected, "{}: {} hits, expected {}", device.id, hits.len(), expected.len());
    }
}

/// Thresholds at, just above and far from the value that a lazy cipher gives, in the low word and in the high one.
#[test]
fn the_last_bit_of_a_lazy_value_decides() {
    let group = NonceGroup::new(&Challenge([5; 32]), 9, 1);
    let labels: Vec<Label> = (0..2000_u128).map(|i| (i * 0x1357_9bdf_0246_8ace_1111_7777).to_le_bytes()).collect();
    let msb = 100;
    let open = labels.iter().flat_map(|label| {
        let code = group.cipher.encrypt(label);
        let lanes = (0..16).filter(move |lane| code[*lane] == msb);
        lanes.map(|lane| post_core::cipher::lazy_value(&group.lazy[lane].encrypt(label)))
    });
    let values: Vec<u64> = open.take(5).collect();
    assert_eq!(values.len(), 5);
    for device in devices() {
        let mut backend = open_default(&device.id);
        for value in &values {
            for lsb in [*value, value + 1, value ^ 1 << 31, value ^ 1 << 32, value ^ 1 << 55] {
                let job = ScanJob { groups: &[&group], difficulty: Difficulty { msb, lsb } };
                let (mut expected, mut hits) = (Vec::new(), Vec::new());
                post_core::scan::reference::scan(&job, 0, &labels, &mut expected);
                backend.scan(&job, 0, &labels, &mut hits).unwrap();
                assert!(hits == expected, "{}: lsb {lsb:#x}, value {value:#x}", device.id);
            }
        }
    }
}

#[test]
fn ids_and_facts_are_the_same_in_every_listing() {
    let (first, second) = (devices(), post_gpu::devices().devices);
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    for device in &first {
        assert!(device.max_buffers >= 1 && device.max_buffer_bytes > 0, "{device:?}");
    }
}

#[test]
fn what_does_not_exist_is_a_typed_error() {
    for id in ["", "vulkan:999", "opencl:9:9", "metal:0:0:0", "cpu", "toaster:0"] {
        match post_gpu::open(id, Options::default()).map(|_| ()) {
            Err(post_core::backend::Error::Unavailable { device, reason }) => {
                assert_eq!(device, id);
                assert!(!reason.is_empty());
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}
