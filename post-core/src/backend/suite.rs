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

/// Runs every check on fresh backends.
pub fn run(open: &mut dyn FnMut() -> Box<dyn Backend>) {
    ranges_equal_the_reference(&mut *open());
    lists_equal_the_reference(&mut *open());
    a_job_longer_than_a_batch_comes_in_order(&mut *open());
    a_sink_can_stop_the_job(&mut *open());
    undefined_costs_are_refused(&mut *open());
    scans_equal_the_reference(&mut *open());
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
    for (n, count) in [(2, 67), (4, 33), (16, 1), (128, 17), (1024, 5), (8192, 3)] {
        for start in [0, 1, crossing, last] {
            let count = count.min(u64::MAX - start);
            let labels = collect(backend, n, start..start + count);
            for (index, label) in (start..start + count).zip(labels) {
                assert_eq!(label, judge(&ONE, index, n), "n {n}, index {index}");
            }
        }
    }
    assert!(collect(backend, 2, 5..5).is_empty());
}

fn lists_equal_the_reference(backend: &mut dyn Backend) {
    for count in [0, 1, 2, 3, 5, 37] {
        let list: Vec<_> =
            (0..count).map(|i| (if i % 3 == 0 { ONE } else { OTHER }, (count - i) << (i % 60))).collect();
        let labels = label_list(backend, scrypt(16), &list).expect("labels");
        let expected: Vec<_> = list.iter().map(|(commitment, index)| judge(commitment, *index, 16)).collect();
        assert_eq!(labels, expected, "{count} labels");
    }
}

fn a_job_longer_than_a_batch_comes_in_order(backend: &mut dyn Backend) {
    // Several batches of any backend known: 110,003 labels of the cheapest function.
    let count = 110_003;
    let labels = collect(backend, 2, 7..7 + count);
    assert_eq!(labels.len() as u64, count);
    for position in (0..count).step_by(997).chain([count - 1]) {
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
    let challenge = Challenge([9; 32]);
    let labels: Vec<Label> = (0..5003_u128).map(|i| (i * 0x1234_5678_9abc_def1_0fed_cba9).to_le_bytes()).collect();
    // No hit possible, sparse, dense, nearly every byte a hit; borders that only the lazy ciphers decide.
    let difficulties = [(0, 0), (0, 1 << 55), (2, 77), (128, 0), (255, (1 << 56) - 1)];
    for (msb, lsb) in difficulties {
        for groups in [0..1, 3..5, 254..256] {
            let groups: Vec<_> = groups.map(|g| NonceGroup::new(&challenge, g, u64::from(g) * 3)).collect();
            let groups: Vec<_> = groups.iter().collect();
            let job = ScanJob { groups: &groups, difficulty: Difficulty { msb, lsb } };
            for labels in [&labels[..], &labels[..1], &labels[..513], &[]] {
                let (mut expected, mut found) = (Vec::new(), Vec::new());
                crate::scan::reference::scan(&job, 1 << 33, labels, &mut expected);
                backend.scan(&job, 1 << 33, labels, &mut found).expect("a scan");
                assert!(found == expected, "msb {msb}, lsb {lsb}, {} labels", labels.len());
                assert!(found.is_sorted());
            }
        }
    }
}
