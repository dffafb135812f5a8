//! The device alone, without the engine above it, against the readable references.

use post_core::cipher::lazy_value;
use post_core::difficulty::Difficulty;
use post_core::identity::{Challenge, Commitment};
use post_core::label::{Label, reference, stored};
use post_core::params::ScryptParams;
use post_core::scan::{Hit, NonceGroup, ScanJob};

use super::*;
use crate::device::BLOCK;

/// A comma-separated list of APIs whose absence fails the tests.
const REQUIRED: &str = "POST_REQUIRE_DEVICES";

const COMMITMENTS: [Commitment; 2] = [Commitment([0x5a; 32]), Commitment([0xc3; 32])];

/// Every device found. Says so aloud if there is none.
fn every_device() -> Vec<Box<dyn Device>> {
    give_pocl_a_cache();
    let found: Vec<_> = devices().0.iter().map(|facts| open(&facts.id).unwrap()).collect();
    if found.is_empty() {
        let required = std::env::var(REQUIRED).is_ok_and(|list| list.split(',').any(|api| api.trim() == "opencl"));
        assert!(!required, "{REQUIRED} asks for opencl: {:?}", opencl_loader::library());
        eprintln!("SKIPPED: no OpenCL device; {:?}", opencl_loader::library());
    }
    found
}

fn judge((commitment, index): (Commitment, u64), n: u32) -> Label {
    stored(&reference::full_label(&commitment, index, ScryptParams { n, r: 1, p: 1 }).unwrap())
}

/// Jobs of both commitments, around `first`.
fn jobs(first: u64, count: usize) -> Vec<(Commitment, u64)> {
    (0..count).map(|i| (COMMITMENTS[i % 3 % 2], first.wrapping_add(i as u64))).collect()
}

/// Runs batches through both slots, two on their way at any time, and looks at every label.
fn check_labels(device: &mut dyn Device, shape: Shape, batches: &[Vec<(Commitment, u64)>], steps: u32) {
    device.prepare_labels(&shape).unwrap();
    let mut labels = Vec::new();
    for i in 0..=batches.len() {
        if let Some(batch) = batches.get(i) {
            device.submit_labels(i % 2, batch, steps).unwrap();
        }
        if i > 0 {
            device.collect_labels((i - 1) % 2, &mut labels).unwrap();
        }
    }
    let jobs: Vec<_> = batches.concat();
    assert_eq!(labels.len(), jobs.len());
    for (job, label) in jobs.into_iter().zip(labels) {
        assert_eq!(label, judge(job, shape.n), "{shape:?}, {steps} steps, index {}", job.1);
    }
}

#[test]
fn labels_equal_the_reference() {
    for mut device in every_device() {
        eprintln!("{:?}", device.facts());
        for gap in [1, 2, 4] {
            for n in [2, 4, 16, 128, 1024] {
                // Three buffers, the last one shorter; and a batch that fills all of it.
                let shape = Shape { n, gap, labels: 5 * BLOCK, labels_per_buffer: 2 * BLOCK };
                let full = if n <= 16 { 5 * BLOCK as usize } else { 2 * BLOCK as usize + 1 };
                let batches = [jobs(0, 1), jobs(u64::from(u32::MAX) - 2, 7), Vec::new(), jobs(u64::MAX - 3, full)];
                let batches = if n > 128 { &batches[..2] } else { &batches[..] };
                check_labels(&mut *device, shape, batches, n.div_ceil(3).next_multiple_of(2));
            }
        }
    }
}

#[test]
fn labels_of_the_real_cost_equal_the_reference() {
    for mut device in every_device() {
        for gap in [1, 2, 4] {
            let shape = Shape { n: 8192, gap, labels: BLOCK, labels_per_buffer: BLOCK };
            // One launch for all, and launches that don't start at a line that is kept.
            check_labels(&mut *device, shape, &[jobs(12_345_678_901, 3)], if gap == 1 { 8192 } else { 2731 });
        }
    }
}

#[test]
fn as_many_buffers_as_can_be_seen() {
    for mut device in every_device() {
        let buffers = device.facts().max_buffers;
        let shape = Shape { n: 8, gap: 1, labels: buffers * BLOCK, labels_per_buffer: BLOCK };
        check_labels(&mut *device, shape, &[jobs(99, shape.labels as usize - 5)], 3);
        let more = Shape { labels: shape.labels + BLOCK, ..shape };
        assert!(matches!(device.prepare_labels(&more), Err(Trouble::Unavailable { .. })));
    }
}

#[test]
fn too_large_a_shape_is_refused_and_a_smaller_one_works_after_it() {
    for mut device in every_device() {
        // A quarter of an exabyte.
        let huge = Shape { n: 1 << 31, gap: 1, labels: 1 << 20, labels_per_buffer: 1 << 18 };
        let refused = device.prepare_labels(&huge);
        assert!(matches!(refused, Err(Trouble::OutOfMemory { bytes }) if bytes > 1 << 40), "{refused:?}");
        let unprepared = device.submit_labels(0, &jobs(0, 1), 1);
        assert!(matches!(unprepared, Err(Trouble::Unavailable { .. })), "{unprepared:?}");
        let small = Shape { n: 2, gap: 1, labels: BLOCK, labels_per_buffer: BLOCK };
        check_labels(&mut *device, small, &[jobs(0, 1)], 1);
    }
}

/// What this thread has computed so far.
#[cfg(target_os = "linux")]
fn busy() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    std::time::Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn waiting_burns_no_processor() {
    for mut device in every_device() {
        let shape = Shape { n: 8192, gap: 1, labels: BLOCK, labels_per_buffer: BLOCK };
        device.prepare_labels(&shape).unwrap();
        let (start, before) = (std::time::Instant::now(), busy());
        for slot in [0, 1] {
            device.submit_labels(slot, &jobs(0, 64), 1024).unwrap();
        }
        for slot in [0, 1] {
            device.collect_labels(slot, &mut Vec::new()).unwrap();
        }
        let (waited, busy) = (start.elapsed(), busy() - before);
        eprintln!("two batches in {waited:.1?}, of which this thread was busy for {busy:.1?}");
        assert!(busy * 4 < waited, "{busy:?} of {waited:?}");
    }
}

/// Labels that look like chance.
fn some_labels(count: u128) -> Vec<Label> {
    const ODD: u128 = 0x1234_5678_9abc_def1_0fed_cba9_8765_4321;
    (1..=count).map(|i| i.wrapping_mul(ODD).rotate_left(i as u32).wrapping_mul(ODD).to_le_bytes()).collect()
}

/// Scans batches through both slots and compares hit for hit.
fn check_scan(device: &mut dyn Device, job: &ScanJob<'_>, batches: &[&[Label]], room: usize) {
    let most = batches.iter().map(|labels| labels.len()).max().unwrap_or(0);
    device.prepare_scan(job, most, room).unwrap();
    for i in 0..=batches.len() {
        if let Some(batch) = batches.get(i) {
            device.submit_scan(i % 2, batch).unwrap();
        }
        if i > 0 {
            let expected = expected_hits(job, batches[i - 1]);
            let mut found = Vec::new();
            let count = device.collect_scan((i - 1) % 2, &mut found).unwrap();
            assert_eq!(count as usize, expected.len(), "{:?}", job.difficulty);
            if expected.len() <= room {
                found.sort_unstable();
                assert!(found == expected, "{:?}", job.difficulty);
            }
        }
    }
}

/// The reference's hits in the shape of a device's.
fn expected_hits(job: &ScanJob<'_>, labels: &[Label]) -> Vec<(u32, u32)> {
    let mut hits: Vec<Hit> = Vec::new();
    post_core::scan::reference::scan(job, 0, labels, &mut hits);
    // A job of the tests may name a group twice.
    hits.sort_unstable();
    hits.into_iter().map(|hit| (hit.index as u32, hit.nonce)).collect()
}

#[test]
fn scans_equal_the_reference() {
    let challenge = Challenge([9; 32]);
    let labels = some_labels(2003);
    let batches = [&labels[..], &labels[..1], &[], &labels[7..520]];
    for mut device in every_device() {
        // None, few, many; the last two: every byte but those that equal 255 and miss, and every single byte.
        let difficulties = [(0, 0), (0, 1 << 55), (2, 77), (128, 0), (255, 1 << 55), (255, (1 << 56) - 1)];
        for (msb, lsb) in difficulties {
            for numbers in [&[0][..], &[3, 4], &[7, 254, 255]] {
                let groups: Vec<_> =
                    numbers.iter().map(|g| NonceGroup::new(&challenge, *g, u64::from(*g) * 3)).collect();
                let groups: Vec<_> = groups.iter().collect();
                let job = ScanJob { groups: &groups, difficulty: Difficulty { msb, lsb } };
                check_scan(&mut *device, &job, &batches, labels.len() * groups.len() * 16);
            }
        }
    }
}

/// What `tuning` chooses for GPUs of several kinds, on whatever device is here.
#[test]
fn every_tuning_scans_right() {
    let groups: Vec<_> = [0, 9].iter().map(|g| NonceGroup::new(&Challenge([4; 32]), *g, 1)).collect();
    let groups: Vec<_> = groups.iter().collect();
    let job = ScanJob { groups: &groups, difficulty: Difficulty { msb: 1, lsb: 1 << 55 } };
    let labels = some_labels(40_000);
    give_pocl_a_cache();
    for found in find::all().unwrap() {
        // Memory of a workgroup, its most work items, compute units: the last makes for many rounds.
        for (local_bytes, largest_group, compute_units) in [(65_536, 1024, 2), (32_768, 256, 1), (16_384, 64, 1000)] {
            let mut queue = Queue::new(&found).unwrap();
            (queue.software, queue.compute_units) = (false, compute_units);
            (queue.local_bytes, queue.largest_group) = (local_bytes, largest_group);
            let mut device = OpenCl { facts: found.facts.clone(), queue: Rc::new(queue), labels: None, scan: None };
            check_scan(&mut device, &job, &[&labels, &labels[..39_999]], labels.len());
        }
    }
}

#[test]
fn hits_beyond_the_room_are_counted_and_left_out() {
    let groups = NonceGroup::new(&Challenge([1; 32]), 0, 0);
    let job = ScanJob { groups: &[&groups], difficulty: Difficulty { msb: 100, lsb: 0 } };
    let labels = some_labels(300);
    for mut device in every_device() {
        check_scan(&mut *device, &job, &[&labels, &labels[..1], &labels], 20);
    }
}

/// One label again and again, with a threshold that three of its bytes equal: every round leaves more cases open than
/// there is room for.
#[test]
fn a_flood_of_open_cases() {
    let group = NonceGroup::new(&Challenge([1; 32]), 5, 0);
    let encrypted = |label: &Label| group.cipher.encrypt(label);
    let (label, msb) = some_labels(10_000)
        .into_iter()
        .find_map(|label| {
            let often = |byte: &u8| encrypted(&label).iter().filter(|other| *other == byte).count() >= 3;
            encrypted(&label).into_iter().find(often).map(|byte| (label, byte))
        })
        .unwrap();
    let lane = encrypted(&label).iter().position(|byte| *byte == msb).unwrap();
    let value = lazy_value(&group.lazy[lane].encrypt(&label));
    for mut device in every_device() {
        // The lazy cipher of the first of them just misses, just hits; all hit.
        for lsb in [value, value + 1, (1 << 56) - 1] {
            let job = ScanJob { groups: &[&group; 5], difficulty: Difficulty { msb, lsb } };
            check_scan(&mut *device, &job, &[&[label; 1000]], 5 * 16 * 1000);
        }
    }
}
