//! What every backend must do, whatever it runs on. A test opens a backend and calls [`run`]; a failed check panics,
//! which is how a test reports.
#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use std::ops::{ControlFlow, Range};

use super::{Backend, LabelJob, Labels, label_list};
use crate::difficulty::Difficulty;
use crate::identity::{Challenge, Commitment};
use crate::label::{Label, reference, stored};
use crate::params::ScryptParams;
use crate::scan::{NonceGroup, ScanJob};

const ONE: Commitment = Commitment([0x5a; 32]);
const OTHER: Commitment = Commitment([0xc3; 32]);

/// Several batches of any backend known, if the label function is the cheapest one.
const LONG: u64 = 110_003;

/// Runs every check on fresh backends.
pub fn run(open: &mut dyn FnMut() -> Box<dyn Backend>) {
    ranges_equal_the_reference(&mut *open());
    lists_equal_the_reference(&mut *open());
    a_job_longer_than_a_batch_comes_in_order(&mut *open());
    a_sink_can_stop_the_job(&mut *open());
    undefined_costs_are_refused(&mut *open());
    scans_equal_the_reference(&mut *open());
    large_scans_equal_the_reference(&mut *open());
}

fn scrypt(n: u32) -> ScryptParams {
    ScryptParams { n, r: 1, p: 1 }
}

fn judge(commitment: &Commitment, index: u64, n: u32) -> Label {
    stored(&reference::full_label(commitment, index, scrypt(n)).expect("a defined cost"))
}

fn collect(backend: &mut dyn Backend, n: u32, range: Range<u64>) -> Vec<Label> {
    let mut labels = Vec::new();
    let mut expected = range.start;
    let job = LabelJob { scrypt: scrypt(n), labels: Labels::Range(ONE, range.clone()) };
    backend
        .label(&job, &mut |positions, batch| {
            assert_eq!(positions.start, expected, "batches follow each other");
            assert_eq!(positions.end - positions.start, batch.len() as u64);
            expected = positions.end;
            labels.extend_from_slice(batch);
            ControlFlow::Continue(())
        })
        .expect("labels");
    assert_eq!(expected, range.end.max(range.start), "the whole range was delivered");
    labels
}

fn ranges_equal_the_reference(backend: &mut dyn Backend) {
    let crossing = u64::from(u32::MAX) - 2;
    let last = u64::MAX - 3;
    // Every cost from 2 to 16384, odd counts. 0.6 million rows; 8 million for a device that works in blocks of 64 labels.
    for bits in 1..=14 {
        let n = 1 << bits;
        let count: u64 = ((1 << 13) >> bits).clamp(3, 67) | 1;
        for start in [0, 1, crossing, last] {
            let count = count.min(u64::MAX - start);
            equals_the_reference(backend, n, start..start + count);
        }
    }
    // Around the sizes that devices work in.
    for count in [1, 2, 63, 64, 65, 127, 129, 255, 257, 4097] {
        equals_the_reference(backend, 2, crossing..crossing + count);
    }
    // Back and forth between costs: what one left behind must not harm the other.
    for n in [1024, 4, 8192, 2, 1024] {
        equals_the_reference(backend, n, 5..8);
    }
    assert!(collect(backend, 2, 5..5).is_empty());
}

fn equals_the_reference(backend: &mut dyn Backend, n: u32, range: Range<u64>) {
    let labels = collect(backend, n, range.clone());
    for (index, label) in range.zip(labels) {
        assert_eq!(label, judge(&ONE, index, n), "n {n}, index {index}");
    }
}

fn lists_equal_the_reference(backend: &mut dyn Backend) {
    for count in [0, 1, 2, 3, 5, 37, 301] {
        let list = mixed(count);
        let labels = label_list(backend, scrypt(16), &list).expect("labels");
        let expected: Vec<_> = list.iter().map(|(commitment, index)| judge(commitment, *index, 16)).collect();
        assert_eq!(labels, expected, "{count} labels");
    }
    // Longer than a batch of any backend known.
    let list = mixed(LONG);
    let labels = label_list(backend, scrypt(2), &list).expect("labels");
    assert_eq!(labels.len(), list.len());
    for at in (0..list.len()).step_by(997).chain([list.len() - 1]) {
        let (commitment, index) = list[at];
        assert_eq!(labels[at], judge(&commitment, index, 2), "entry {at}");
    }
}

/// Two sets in turn, indices of every size.
fn mixed(count: u64) -> Vec<(Commitment, u64)> {
    (0..count).map(|i| (if i % 3 == 0 { ONE } else { OTHER }, (count - i) << (i % 47))).collect()
}

fn a_job_longer_than_a_batch_comes_in_order(backend: &mut dyn Backend) {
    let labels = collect(backend, 2, 7..7 + LONG);
    assert_eq!(labels.len() as u64, LONG);
    for position in (0..LONG).step_by(997).chain([LONG - 1]) {
        assert_eq!(labels[position as usize], judge(&ONE, 7 + position, 2), "index {}", 7 + position);
    }
}

fn a_sink_can_stop_the_job(backend: &mut dyn Backend) {
    let mut calls = 0;
    let job = LabelJob { scrypt: scrypt(2), labels: Labels::Range(ONE, 0..u64::MAX) };
    backend
        .label(&job, &mut |_, _| {
            calls += 1;
            if calls < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .expect("stopping is no error");
    assert_eq!(calls, 2);
}

fn undefined_costs_are_refused(backend: &mut dyn Backend) {
    for (n, r, p) in [(0, 1, 1), (1, 1, 1), (3, 1, 1), (2, 2, 1), (2, 1, 0), (u32::MAX, 1, 1)] {
        let job = LabelJob { scrypt: ScryptParams { n, r, p }, labels: Labels::Range(ONE, 0..1) };
        let refused = backend.label(&job, &mut |_, _| panic!("no label exists for n {n}, r {r}, p {p}"));
        assert!(refused.is_err());
    }
}

fn scans_equal_the_reference(backend: &mut dyn Backend) {
    let labels: Vec<Label> = (0..5003_u128).map(|i| (i * 0x1234_5678_9abc_def1_0fed_cba9).to_le_bytes()).collect();
    // No hit possible, sparse, dense, nearly every byte a hit; borders that only the lazy ciphers decide.
    let difficulties = [(0, 0), (0, 1 << 55), (2, 77), (128, 0), (255, (1 << 56) - 1)];
    for difficulty in difficulties {
        for groups in [0..1, 3..5, 254..256] {
            for labels in [&labels[..], &labels[..1], &labels[..513], &[]] {
                scan_equals_the_reference(backend, difficulty, groups.clone(), labels);
            }
        }
    }
    // As many groups as a pass has at most.
    scan_equals_the_reference(backend, (2, 77), 7..25, &labels);
}

fn large_scans_equal_the_reference(backend: &mut dyn Backend) {
    let labels: Vec<Label> = (0..65_551_u128).map(|i| (i * 0xfedc_ba98_7654_3210_0123_4567).to_le_bytes()).collect();
    scan_equals_the_reference(backend, (0, 1 << 50), 0..18, &labels);
    // A million hits: wherever they are gathered, there is room, or somebody notices that there isn't.
    scan_equals_the_reference(backend, (255, (1 << 56) - 1), 9..10, &labels);
    // And few again, after many.
    scan_equals_the_reference(backend, (0, 1 << 50), 0..2, &labels);
}

fn scan_equals_the_reference(backend: &mut dyn Backend, (msb, lsb): (u8, u64), groups: Range<u32>, labels: &[Label]) {
    let challenge = Challenge([9; 32]);
    let opened: Vec<_> = groups.clone().map(|g| NonceGroup::new(&challenge, g, u64::from(g) * 3)).collect();
    let opened: Vec<_> = opened.iter().collect();
    let job = ScanJob { groups: &opened, difficulty: Difficulty { msb, lsb } };
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    crate::scan::reference::scan(&job, 1 << 33, labels, &mut expected);
    backend.scan(&job, 1 << 33, labels, &mut found).expect("a scan");
    assert!(found.is_sorted());
    assert!(found == expected, "groups {groups:?}, msb {msb}, lsb {lsb}, {} labels", labels.len());
}
