//! Interrupted, damaged, shared and foreign sets: whatever happened before, the end is the same bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod util;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use post_core::backend::Cpu;
use post_core::drive::{Drive, FaultyDrive, MemoryDrive, Record};
use post_core::identity::{AtxId, Commitment, NodeId};
use post_core::init::{InitError, Outcome, Request, init};
use post_core::label::{reference, stored};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::set::{DataSet, Problem, SetError};
use post_core::watch::{Event, Silent, Watch};
use proptest::prelude::*;
use util::Batches;

/// 3 units of 700 labels in files of 300: seven files.
fn request(node: u8) -> Request {
    let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
    Request {
        params: NetworkParams { labels_per_unit: 700, scrypt, ..NetworkParams::devnet() },
        node_id: NodeId([node; 32]),
        commitment_atx_id: AtxId([9; 32]),
        units: 3,
        max_file_size: 4800,
        files: None,
        broken: Vec::new(),
        checkpoint_every: Duration::ZERO,
    }
}

/// What the set must look like, from the judge alone.
fn expected(request: &Request) -> BTreeMap<u32, Vec<u8>> {
    let commitment = Commitment::new(&request.node_id, &request.commitment_atx_id);
    let label = |index| stored(&reference::full_label(&commitment, index, request.params.scrypt).unwrap());
    let labels: Vec<_> = (0..2100).map(label).collect();
    labels.chunks(300).zip(0..).map(|(labels, file)| (file, labels.as_flattened().to_vec())).collect()
}

fn smallest(request: &Request) -> u64 {
    let commitment = Commitment::new(&request.node_id, &request.commitment_atx_id);
    let full = |index: &u64| reference::full_label(&commitment, *index, request.params.scrypt).unwrap();
    (0..2100).min_by_key(full).unwrap()
}

/// Batches that end in the middle of files, and a checkpoint after each.
fn backend() -> Batches {
    Batches { cpu: Cpu::new(2).unwrap(), size: 37 }
}

fn run(request: &Request, drives: &[MemoryDrive], watch: &dyn Watch) -> Result<Outcome, InitError> {
    let drives: Vec<Box<dyn Drive>> = drives.iter().map(|drive| Box::new(drive.clone()) as Box<dyn Drive>).collect();
    init(request, &drives, &[], &mut backend(), watch)
}

fn files(drives: &[MemoryDrive]) -> BTreeMap<u32, Vec<u8>> {
    drives.iter().flat_map(MemoryDrive::files).collect()
}

fn assert_whole(request: &Request, drives: &[MemoryDrive]) {
    assert_eq!(files(drives), expected(request));
    for drive in drives.iter().filter(|drive| !drive.files().is_empty()) {
        assert_eq!(drive.metadata().unwrap().unwrap().nonce, Some(smallest(request)));
    }
}

#[test]
fn a_drive_that_fails_at_any_operation_and_then_loses_power_ends_in_the_same_bytes() {
    let request = request(1);
    let (mut failures, mut kept) = (0, 0);
    for budget in 0.. {
        let drives = [MemoryDrive::default(), MemoryDrive::default()];
        let faulty: Vec<Box<dyn Drive>> =
            vec![Box::new(FaultyDrive::new(drives[0].clone(), budget)), Box::new(drives[1].clone())];
        let result = init(&request, &faulty, &[], &mut backend(), &Silent);
        if result.is_ok() {
            break;
        }
        failures += 1;
        drives.iter().for_each(MemoryDrive::crash);
        let outcome = run(&request, &drives, &Silent).unwrap();
        kept += u32::from(outcome.made < 2100);
        assert_whole(&request, &drives);
    }
    assert!(failures > 100 && kept > 80, "{failures} places to fail, work kept after {kept} of them");
}

#[test]
fn a_set_of_another_tool_is_taken_over_and_its_nonce_found() {
    let request = request(2);
    let whole = [MemoryDrive::default()];
    run(&request, &whole, &Silent).unwrap();
    // A whole set and an interrupted one, in the middle of a file and of a label; neither has our journal or a nonce.
    for cut in [4800, 1000, 1003] {
        let drive = MemoryDrive::default();
        for (file, bytes) in whole[0].files() {
            drive.set_file(file, if file == 6 { bytes[..cut.min(bytes.len())].to_vec() } else { bytes });
        }
        drive.replace_metadata(&request.metadata()).unwrap();
        let outcome = run(&request, std::slice::from_ref(&drive), &Silent).unwrap();
        assert_eq!(outcome.made, if cut == 4800 { 0 } else { 300 - 1000 / 16 });
        assert_whole(&request, &[drive]);
    }
}

#[test]
fn foreign_labels_are_refused_and_left_alone() {
    let mine = request(3);
    let theirs = [MemoryDrive::default()];
    run(&request(4), &theirs, &Silent).unwrap();
    let drive = MemoryDrive::default();
    drive.set_file(2, theirs[0].files()[&2].clone());
    drive.replace_metadata(&mine.metadata()).unwrap();
    let before = drive.files();
    let refused = run(&mine, std::slice::from_ref(&drive), &Silent);
    assert!(matches!(refused, Err(InitError::WrongLabel { index: 600, .. })), "{refused:?}");
    assert_eq!(drive.files(), before);
}

#[test]
fn labels_of_another_cost_are_refused() {
    let request = request(5);
    let drive = [MemoryDrive::default()];
    run(&request, &drive, &Silent).unwrap();
    let mut dearer = request.clone();
    dearer.params.scrypt.n = 4;
    assert!(matches!(run(&dearer, &drive, &Silent), Err(InitError::OtherCost { wanted: 4, there: 2, .. })));
    drive[0].drop_journal();
    // The nonce was found, the files are whole, and still a label is looked at.
    assert!(matches!(run(&dearer, &drive, &Silent), Err(InitError::WrongLabel { .. })));
}

#[test]
fn what_is_in_the_way_is_named() {
    let request = request(6);
    let twice = [MemoryDrive::default(), MemoryDrive::default()];
    twice[0].set_file(0, vec![0; 16]);
    twice[1].set_file(0, vec![0; 16]);
    let left_over = [MemoryDrive::default()];
    left_over[0].set_file(7, vec![0; 16]);
    let too_long = [MemoryDrive::default()];
    too_long[0].set_file(1, vec![0; 4816]);
    for drives in [&twice[..], &left_over, &too_long] {
        let before = files(drives);
        let refused = run(&request, drives, &Silent);
        assert!(matches!(refused, Err(InitError::Set(SetError::Problems(_)))), "{refused:?}");
        assert_eq!(files(drives), before);
    }
}

#[test]
fn shards_made_in_turn_equal_the_whole() {
    let whole = request(7);
    let drives = [MemoryDrive::default(), MemoryDrive::default()];
    for (shard, complete) in [(4..7, false), (0..2, false), (2..4, true)] {
        let outcome = run(&Request { files: Some(shard), ..whole.clone() }, &drives, &Silent).unwrap();
        assert_eq!(outcome.complete, complete);
    }
    assert_whole(&whole, &drives);
}

/// About one set in 3000 has no label below the threshold; of sets of 40 labels, one in 7500.
#[test]
fn a_set_without_a_nonce_finds_one_past_its_end() {
    let mut found = None;
    for seed in 0..60_000_u32 {
        let mut request = request(8);
        request.params.labels_per_unit = 40;
        request.units = 1;
        request.node_id.0[..4].copy_from_slice(&seed.to_le_bytes());
        let commitment = Commitment::new(&request.node_id, &request.commitment_atx_id);
        let threshold = post_core::difficulty::vrf_threshold(40);
        let scrypt = request.params.scrypt;
        let below = |index: &u64| reference::full_label(&commitment, *index, scrypt).unwrap() < threshold;
        if !(0..40).any(|index| below(&index)) {
            found = Some((request, (40..).find(below).unwrap()));
            break;
        }
    }
    let (request, nonce) = found.unwrap();
    // Stopped in the search after every batch, the search continues where it was.
    let drive = [MemoryDrive::default()];
    let mut stops = 0;
    loop {
        match init(&request, &[Box::new(drive[0].clone())], &[], &mut Batches { size: 1, ..backend() }, &StopAlways) {
            Ok(outcome) => break assert_eq!(outcome.nonce, Some(nonce)),
            Err(InitError::Stopped { .. }) => stops += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(stops, nonce - 1, "one stop a label, but for the last of the set and the one that is found");

    let drive = [MemoryDrive::default()];
    let outcome = run(&request, &drive, &Silent).unwrap();
    assert_eq!((outcome.nonce, outcome.made), (Some(nonce), 40));
    let again = run(&request, &drive, &Silent).unwrap();
    assert_eq!((again.nonce, again.made), (Some(nonce), 0));
}

/// Two machines, a shard each; then everything is put on one.
#[test]
fn shards_made_apart_have_the_smallest_nonce_when_brought_together() {
    let whole = request(12);
    for keep_metadata_of in [0, 1] {
        for with_journals in [true, false] {
            let shards = [MemoryDrive::default(), MemoryDrive::default()];
            for (shard, drive) in [0..3, 3..7].into_iter().zip(&shards) {
                let part = Request { files: Some(shard), ..whole.clone() };
                run(&part, std::slice::from_ref(drive), &Silent).unwrap();
                if !with_journals {
                    drive.drop_journal();
                }
            }
            // On one drive, with the metadata of either; and as two drives of one set.
            let target = &shards[keep_metadata_of];
            let both = [MemoryDrive::default(), MemoryDrive::default()];
            for (from, to) in shards.iter().zip(&both) {
                from.files().into_iter().for_each(|(file, bytes)| to.set_file(file, bytes));
                to.replace_metadata(&from.metadata().unwrap().unwrap()).unwrap();
            }
            for (file, bytes) in files(&both) {
                target.set_file(file, bytes);
            }
            let outcome = run(&whole, std::slice::from_ref(target), &Silent).unwrap();
            assert_eq!(outcome.made, 0);
            assert_whole(&whole, std::slice::from_ref(target));
            run(&whole, &both, &Silent).unwrap();
            assert_whole(&whole, &both);
        }
    }
}

/// The nonce of a part is in the metadata when the rest is finished, and the crash comes before the metadata.
#[test]
fn a_nonce_of_a_part_does_not_pass_for_that_of_the_whole() {
    let whole = (13..).map(request).find(|request| smallest(request) >= 600).unwrap();
    let drive = MemoryDrive::default();
    let part = |files| Request { files: Some(files), ..whole.clone() };
    run(&part(0..2), std::slice::from_ref(&drive), &Silent).unwrap();
    let of_part = drive.metadata().unwrap().unwrap();
    run(&part(2..7), std::slice::from_ref(&drive), &Silent).unwrap();
    assert_whole(&whole, std::slice::from_ref(&drive));
    drive.replace_metadata(&of_part).unwrap();
    run(&whole, std::slice::from_ref(&drive), &Silent).unwrap();
    assert_whole(&whole, std::slice::from_ref(&drive));
    // Adopted, then the nonce is lost.
    drive.drop_journal();
    run(&whole, std::slice::from_ref(&drive), &Silent).unwrap();
    drive.replace_metadata(&whole.metadata()).unwrap();
    run(&whole, std::slice::from_ref(&drive), &Silent).unwrap();
    assert_whole(&whole, std::slice::from_ref(&drive));
}

#[test]
fn zeros_in_an_adopted_file_are_noticed() {
    let request = request(14);
    let drive = MemoryDrive::default();
    run(&request, std::slice::from_ref(&drive), &Silent).unwrap();
    let mut bytes = drive.files()[&3].clone();
    bytes[16 * 100..16 * 103].fill(0);
    drive.set_file(3, bytes);
    drive.drop_journal();
    let refused = run(&request, std::slice::from_ref(&drive), &Silent);
    assert!(matches!(refused, Err(InitError::WrongLabel { index: 1000, .. })), "{refused:?}");
}

#[test]
fn files_of_a_complete_set_that_are_gone_are_not_made_again_unasked() {
    let request = request(17);
    let drives = [MemoryDrive::default(), MemoryDrive::default()];
    run(&request, &drives, &Silent).unwrap();
    // The second drive is not mounted; its mount point is empty.
    let without = [drives[0].clone(), MemoryDrive::default()];
    let refused = run(&request, &without, &Silent);
    assert!(matches!(refused, Err(InitError::Waiting { .. })), "{refused:?}");
    // Nor where no map tells of it.
    without[0].forget_record(Record::Map).unwrap();
    let refused = run(&request, &without, &Silent);
    assert!(matches!(refused, Err(InitError::Gone { .. })), "{refused:?}");
    assert!(without[1].files().is_empty());
    let lost: Vec<u32> = drives[1].files().into_keys().collect();
    for file in lost {
        run(&Request { files: Some(file..file + 1), ..request.clone() }, &without, &Silent).unwrap();
    }
    assert_whole(&request, &without);
}

#[test]
fn a_foreign_file_is_not_written_over_because_a_journal_counts_less() {
    let request = request(18);
    let drive = MemoryDrive::default();
    let watch = StopAt { at: 1000, done: AtomicU64::new(0) };
    assert!(matches!(run(&request, std::slice::from_ref(&drive), &watch), Err(InitError::Stopped { .. })));
    // The journal knows files 4 to 6 with no labels yet.
    let foreign: Vec<u8> = (0..4800_u32).map(|i| (i * 7 + 1) as u8).collect();
    drive.set_file(5, foreign.clone());
    let refused = run(&request, std::slice::from_ref(&drive), &Silent);
    assert!(matches!(refused, Err(InitError::WrongLabel { index: 1500, .. })), "{refused:?}");
    assert_eq!(drive.files()[&5], foreign);
}

/// Looks at the request and refuses: the drives stay as they were.
#[test]
fn a_refusal_claims_nothing() {
    let mine = request(15);
    let dir = tempfile::tempdir().unwrap();
    let theirs = MemoryDrive::default();
    run(&request(16), std::slice::from_ref(&theirs), &Silent).unwrap();
    std::fs::write(dir.path().join("postdata_0.bin"), &theirs.files()[&0]).unwrap();
    let drive = post_core::drive::DirDrive::existing(dir.path()).unwrap();
    let refused = init(&mine, &[Box::new(drive)], &[], &mut backend(), &Silent);
    assert!(matches!(refused, Err(InitError::WrongLabel { index: 0, .. })), "{refused:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_nonce_that_is_none_is_replaced_and_foreign_keys_stay_where_they_are() {
    let request = request(9);
    let drives = [MemoryDrive::default(), MemoryDrive::default()];
    run(&request, &drives, &Silent).unwrap();
    for (key, drive) in ["a", "b"].iter().zip(&drives) {
        let mut metadata = drive.metadata().unwrap().unwrap();
        metadata.nonce = Some(smallest(&request) + 1);
        metadata.other.insert((*key).into(), 1.into());
        drive.replace_metadata(&metadata).unwrap();
        drive.drop_journal();
    }
    run(&request, &drives, &Silent).unwrap();
    assert_whole(&request, &drives);
    for (key, drive) in ["a", "b"].iter().zip(&drives) {
        let metadata = drive.metadata().unwrap().unwrap();
        assert_eq!(metadata.other.keys().collect::<Vec<_>>(), [key]);
    }
}

#[test]
fn files_of_the_right_size_that_no_checkpoint_covers_are_not_proven_from() {
    // One checkpoint, after everything: it never comes.
    let request = Request { checkpoint_every: Duration::MAX, ..request(11) };
    // The operation to fail at is the one after the last write.
    let all_written = |budget: &i64| {
        let drive = MemoryDrive::default();
        let faulty: Vec<Box<dyn Drive>> = vec![Box::new(FaultyDrive::new(drive.clone(), *budget))];
        init(&request, &faulty, &[], &mut backend(), &Silent).unwrap_err();
        (files(std::slice::from_ref(&drive)) == expected(&request)).then_some(drive)
    };
    let drive = (0..).find_map(|budget| all_written(&budget)).unwrap();
    match DataSet::open(vec![Box::new(drive.clone())]) {
        Err(SetError::Problems(problems)) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| matches!(problem, Problem::Unfinished { .. })), "{problems:?}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("opened"),
    }
    run(&request, std::slice::from_ref(&drive), &Silent).unwrap();
    assert!(DataSet::open(vec![Box::new(drive)]).is_ok());
}

struct StopAlways;

impl Watch for StopAlways {
    fn event(&self, _event: Event) {}
    fn stop(&self) -> bool {
        true
    }
}

/// Stops at the first look after so many labels.
struct StopAt {
    at: u64,
    done: AtomicU64,
}

impl Watch for StopAt {
    fn event(&self, event: Event) {
        if let Event::Labels { done, .. } = event {
            self.done.store(done, Ordering::Relaxed);
        }
    }
    fn stop(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.at
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any number of stops and lost journals, drives in any order.
    #[test]
    fn stopped_runs_continue(stops in prop::collection::vec((0_u64..2100, any::<bool>(), any::<bool>()), 0..4)) {
        let request = request(10);
        let mut drives = vec![MemoryDrive::default(), MemoryDrive::default()];
        for (at, swap, lose_journal) in stops {
            let watch = StopAt { at, done: AtomicU64::new(0) };
            match run(&request, &drives, &watch) {
                Ok(_) | Err(InitError::Stopped { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            if swap {
                drives.swap(0, 1);
            }
            if lose_journal {
                drives[0].drop_journal();
            }
        }
        run(&request, &drives, &Silent).unwrap();
        assert_whole(&request, &drives);
    }
}
