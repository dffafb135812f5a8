//! What a check finds, and where it goes on.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use post_core::backend::faulty::Faulty;
use post_core::check::{Cause, CheckError, Depth, Found, Request};
use post_core::drive::{Drive, DriveError, MemoryDrive, Record, Role};
use post_core::init::{self, init};
use post_core::set::{Problem, SetError};
use post_core::watch::Silent;

use crate::support::*;

#[test]
fn an_interrupted_check_goes_on_where_it_was_and_forgets_nothing() {
    let set = made_of(3000, 100);
    for (depth, labels) in [(Depth::All, 3000), (Depth::Fraction(0.1), 300)] {
        for stop_at in [1, labels / 3, labels * 2 / 3] {
            let drive = in_memory(&set);
            // The first label of each of these files is always looked at.
            for file in [0, 7, 12, 29] {
                damage(&drive, file, 3);
            }
            let device = |seed| Faulty::new("honest", Box::new(cpu()), 10).lies(u64::MAX, seed);
            let request = Request { seed: stop_at, ..request(&set, depth) };
            let mut first = device(1);
            let watch = StopAt { at: stop_at, checked: AtomicU64::new(0) };
            let (result, found) = run_with(&request, &[Box::new(drive.clone())], &mut first, &watch);
            let Err(CheckError::Stopped { checked, total, kept: true }) = result else { panic!("{result:?}") };
            assert!(checked >= stop_at && checked < labels && total == labels, "{checked} of {total}");
            let told_before = told(&found);

            // Another check is another one, and does not disturb this one's end.
            let mut second = device(2);
            let again = Request { seed: 77, ..request };
            let (result, found) = run_with(&again, &[Box::new(drive.clone())], &mut second, &Silent);
            let outcome = result.unwrap();
            assert_eq!((outcome.checked, outcome.bad), (labels, 4));
            let expected: Vec<_> = [0, 700, 1200, 2900].map(|at| (at..at + 1, Cause::Unknown, false)).into();
            assert_eq!(told(&found), expected);
            assert!(told_before.iter().all(|bad| expected.contains(bad)));
            let computed = first.deeds().labels() + second.deeds().labels();
            // A batch that was under way when the stop came is the only one that is done again.
            assert!(computed >= labels && computed < labels + 100, "{computed} labels computed for {labels}");
            assert_eq!(drive.record(Record::Check).unwrap(), None);
        }
    }
}

/// A set of files of 100 labels in a directory, all written long ago.
fn in_directory(set: &init::Request) -> (tempfile::TempDir, [PathBuf; 1]) {
    let root = tempfile::tempdir().unwrap();
    let dirs = [root.path().to_path_buf()];
    init(set, &open(&dirs), &[], &mut cpu(), &Silent).unwrap();
    for (path, (bytes, _)) in snapshot(&dirs) {
        write_bytes(&path, &bytes, seconds(1000));
    }
    (root, dirs)
}

fn seconds(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Changes one bit of a file.
fn flip(root: &tempfile::TempDir, file: u32, byte: usize, time: u64) {
    let path = root.path().join(format!("postdata_{file}.bin"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[byte] ^= 1;
    write_bytes(&path, &bytes, seconds(time));
}

fn stop_at(request: &Request, dirs: &[PathBuf], at: u64) -> u64 {
    let watch = StopAt { at, checked: AtomicU64::new(0) };
    let mut device = Faulty::new("honest", Box::new(cpu()), 10);
    match run_with(request, &open(dirs), &mut device, &watch).0 {
        Err(CheckError::Stopped { checked, kept: true, .. }) => checked,
        result => panic!("{result:?}"),
    }
}

/// Somebody writes to files between two runs: what was said of them counts no more, that of the others does.
#[test]
fn a_continued_check_looks_again_at_files_that_changed() {
    let set = made_of(3000, 100);
    for depth in [Depth::All, Depth::Fraction(0.1), Depth::Quick] {
        let labels = if depth == Depth::Fraction(0.1) { 300 } else { 3000 };
        let (root, dirs) = in_directory(&set);
        flip(&root, 1, 0, 1000);
        flip(&root, 2, 0, 1000);
        let request = request(&set, depth);
        let checked = stop_at(&request, &dirs, labels * 2 / 3);
        // One that was right is damaged, a bad one is mended, another bad one stays as it is.
        flip(&root, 0, 0, 1001);
        flip(&root, 1, 0, 1001);
        let mut device = Faulty::new("honest", Box::new(cpu()), 10);
        let (result, found) = run_with(&request, &open(&dirs), &mut device, &Silent);
        let outcome = result.unwrap();
        let block = if depth == Depth::Quick { 100 } else { 1 };
        let bad = [0..block, 200..200 + block].map(|labels| (labels, Cause::ChangedOnDisk, false));
        assert_eq!(told(&found), bad, "{depth:?}");
        assert_eq!((outcome.checked, outcome.bad), (labels, 2 * block));
        let notes = found.iter().filter(|found| matches!(found, Found::Note(note) if note.contains("looked at anew")));
        assert_eq!(notes.count(), 2);
        if depth == Depth::All {
            let again = device.deeds().labels();
            assert!(again >= 3000 - checked + 200 && again < 3000 - checked + 300, "{again} labels looked at");
        }
    }
}

/// Its own repairs change files too, but make it look at nothing twice.
#[test]
fn a_continued_repair_does_not_look_again_at_what_it_wrote() {
    let set = made_of(3000, 100);
    let (root, dirs) = in_directory(&set);
    let whole: Vec<_> = snapshot(&dirs).into_values().map(|(bytes, _)| bytes).collect();
    (0..30).for_each(|file| flip(&root, file, 0, 1000));
    let checked = stop_at(&repair(&set, Depth::All), &dirs, 2000);
    let mut device = Faulty::new("honest", Box::new(cpu()), 10);
    let (result, found) = run_with(&repair(&set, Depth::All), &open(&dirs), &mut device, &Silent);
    let outcome = result.unwrap();
    assert_eq!((outcome.checked, outcome.bad, outcome.repaired), (3000, 30, 30));
    assert!(found.iter().all(|found| matches!(found, Found::Bad(_))), "{found:?}");
    let again = device.deeds().labels();
    assert!(again >= 3000 - checked && again < 3000 - checked + 100, "{again} labels looked at");
    let after: Vec<_> = snapshot(&dirs).into_values().map(|(bytes, _)| bytes).collect();
    assert!(after == whole);
}

#[test]
fn a_check_of_one_kind_leaves_the_progress_of_others_alone() {
    let set = made_of(3000, 100);
    let (_root, dirs) = in_directory(&set);
    let checked = stop_at(&request(&set, Depth::All), &dirs, 2000);
    let (outcome, _) = run(&request(&set, Depth::Quick), &open(&dirs));
    assert!(outcome.is_sound());
    stop_at(&request(&set, Depth::Fraction(0.1)), &dirs, 100);
    assert!(run(&request(&set, Depth::Fraction(0.1)), &open(&dirs)).0.is_sound());
    let mut device = Faulty::new("honest", Box::new(cpu()), 10);
    let (result, _) = run_with(&request(&set, Depth::All), &open(&dirs), &mut device, &Silent);
    assert_eq!(result.unwrap().checked, 3000);
    let again = device.deeds().labels();
    assert!(again < 3000 - checked + 100, "{again} labels looked at");
    assert_eq!(open(&dirs)[0].record(Record::Check).unwrap(), None);
}

#[test]
fn blocks_of_large_files_are_looked_at_and_noted_one_by_one() {
    const BLOCK: u64 = 1 << 16;
    let set = made_of(3 * BLOCK, 5 * BLOCK / 2 + 7);
    let drive = in_memory(&set);
    let whole = drive.files();
    let file_end = 5 * BLOCK / 2 + 7;
    // Bad from the end of a block into the next one, and where a file ends and the next begins.
    let bad_labels = [BLOCK - 1, BLOCK, BLOCK + 1, file_end - 1, file_end];
    for index in bad_labels {
        damage(&drive, u32::from(index >= file_end), (index % file_end * 16) as usize);
    }
    let spy = Spy::new(&drive);
    let watch = StopAt { at: BLOCK + 1, checked: AtomicU64::new(0) };
    let (result, found) = run_with(&request(&set, Depth::All), &spy.boxed(), &mut cpu(), &watch);
    assert!(matches!(result, Err(CheckError::Stopped { checked, .. }) if checked == 2 * BLOCK), "{result:?}");
    assert_eq!(told(&found), [(BLOCK - 1..BLOCK + 2, Cause::Unknown, false)]);
    let (outcome, found) = run(&request(&set, Depth::All), &spy.boxed());
    assert_eq!((outcome.checked, outcome.bad), (3 * BLOCK, 5));
    let ends = [file_end - 1..file_end, file_end..file_end + 1].map(|labels| (labels, Cause::Unknown, false));
    assert_eq!(told(&found)[1..], ends);
    // No block is right but what is between: the third one of the first file ends with a bad label, the second file begins
    // with one.
    let (outcome, _) = run(&request(&set, Depth::Quick), &spy.boxed());
    assert_eq!((outcome.checked, outcome.not_judged), (0, 3 * BLOCK));

    let (outcome, _) = run(&repair(&set, Depth::All), &spy.boxed());
    assert!(outcome.is_sound() && outcome.repaired == 5 && drive.files() == whole);
    damage(&drive, 0, (BLOCK * 16 + 80) as usize);
    let (outcome, found) = run(&request(&set, Depth::Quick), &spy.boxed());
    assert_eq!((outcome.checked, outcome.not_judged), (3 * BLOCK, 0));
    assert_eq!(told(&found), [(BLOCK..2 * BLOCK, Cause::ChangedOnDisk, false)]);
    let (outcome, found) = run(&repair(&set, Depth::Fraction(0.9999)), &spy.boxed());
    assert!(outcome.bad <= 1 && told(&found).iter().all(|(.., cause, _)| *cause == Cause::ChangedOnDisk));
}

#[test]
fn quick_finds_what_changed_where_there_are_checksums_and_says_where_there_are_none() {
    let set = made_of(3000, 1000);
    let drive = in_memory(&set);
    let whole = drive.files();
    let drives: Vec<Box<dyn Drive>> = vec![Box::new(drive.clone())];
    let (outcome, found) = run(&request(&set, Depth::Quick), &drives);
    assert_eq!((outcome.checked, outcome.not_judged), (0, 3000));
    assert!(!outcome.is_sound(), "a check that judged nothing must not say that all is well");
    assert_eq!(found.iter().filter(|found| matches!(found, Found::NoSums { labels: 1000, .. })).count(), 3);

    // A look at all labels makes them, but not for what is bad.
    damage(&drive, 2, 16);
    run(&request(&set, Depth::All), &drives);
    let (outcome, found) = run(&request(&set, Depth::Quick), &drives);
    assert_eq!((outcome.checked, outcome.not_judged, outcome.bad), (2000, 1000, 0));
    assert!(matches!(&found[..], [Found::NoSums { file: 2, .. }]), "{found:?}");
    run(&repair(&set, Depth::All), &drives);
    let (outcome, found) = run(&request(&set, Depth::Quick), &drives);
    assert!(outcome.is_sound() && outcome.checked == 3000 && found.is_empty(), "{found:?}");

    damage(&drive, 1, 500);
    damage(&drive, 2, 999 * 16);
    let spy = Spy::new(&drive);
    let mut device = Faulty::new("idle", Box::new(cpu()), 100);
    let (result, found) = run_with(&request(&set, Depth::Quick), &spy.boxed(), &mut device, &Silent);
    assert_eq!(device.deeds().labels(), 0, "a quick check computes nothing");
    assert_eq!(result.unwrap().bad, 2000);
    let block = |file: u64| (file * 1000..(file + 1) * 1000, Cause::ChangedOnDisk, false);
    assert_eq!(told(&found), [block(1), block(2)]);

    let (result, found) = run_with(&repair(&set, Depth::Quick), &spy.boxed(), &mut device, &Silent);
    assert_eq!(device.deeds().labels(), 2000, "only the labels of bad blocks are computed");
    let outcome = result.unwrap();
    assert!(outcome.is_sound() && outcome.repaired == 2);
    assert_eq!(told(&found), [(1031..1032, Cause::ChangedOnDisk, true), (2999..3000, Cause::ChangedOnDisk, true)]);
    assert_eq!(spy.written(), [(1, 31 * 16, 16), (2, 999 * 16, 16)]);
    assert_eq!(drive.files(), whole);
}

#[test]
fn a_fraction_is_never_nothing() {
    let set = made_of(2000, 500);
    let drive = in_memory(&set);
    let drives: Vec<Box<dyn Drive>> = vec![Box::new(drive.clone())];
    for (fraction, labels) in [(1e-9, 8), (0.001, 8), (0.1, 200), (1.0, 2000)] {
        let (outcome, found) = run(&request(&set, Depth::Fraction(fraction)), &drives);
        assert!(outcome.is_sound() && found.is_empty(), "{found:?}");
        assert_eq!(outcome.checked, labels, "{fraction}");
    }
    // Its first and last label are looked at in every file.
    for byte in [0, 499 * 16] {
        damage(&drive, 2, byte);
        let (outcome, found) = run(&repair(&set, Depth::Fraction(1e-9)), &drives);
        let index = 1000 + byte as u64 / 16;
        assert_eq!((outcome.bad, told(&found)), (1, vec![(index..index + 1, Cause::Unknown, true)]));
    }
    for fraction in [0.0, -1.0, 1.1, f64::NAN, f64::INFINITY] {
        let (result, _) = run_with(&request(&set, Depth::Fraction(fraction)), &drives, &mut cpu(), &Silent);
        assert!(matches!(result, Err(CheckError::Fraction { .. })), "{fraction}");
    }
}

#[test]
fn a_set_with_gaps_is_checked_as_far_as_it_is_there() {
    let set = made_of(2000, 500);
    let drive = MemoryDrive::default();
    let whole = in_memory(&set).files();
    // One file is missing, one is cut in the middle of a label, one has grown; no journal, as of another tool.
    drive.set_file(0, whole[&0].clone());
    drive.set_file(1, whole[&1][..1003].to_vec());
    drive.set_file(3, [whole[&3].clone(), vec![5; 40]].concat());
    drive.replace_metadata(&set.metadata()).unwrap();
    damage(&drive, 1, 61 * 16);
    damage(&drive, 3, 499 * 16);
    let (outcome, found) = run(&repair(&set, Depth::All), &[Box::new(drive.clone())]);
    assert_eq!((outcome.checked, outcome.bad, outcome.repaired, outcome.problems), (1062, 2, 2, 3));
    assert!(!outcome.is_sound(), "what is missing stays a problem");
    let problems = found.iter().filter_map(|found| if let Found::Problem(p) = found { Some(p) } else { None });
    let missing = problems.filter(|problem| **problem == Problem::Missing(vec![2])).count();
    assert_eq!(missing, 1);
    let after = drive.files();
    assert_eq!(after[&1], whole[&1][..1003], "what is missing at the end is not made up");
    assert_eq!((&after[&3][..8000], &after[&3][8000..]), (&whole[&3][..], &[5; 40][..]));
}

#[test]
fn a_drive_that_another_process_writes_to_is_only_read() {
    let set = made_of(2000, 500);
    let root = tempfile::tempdir().unwrap();
    let dirs = [root.path().to_path_buf()];
    init(&set, &open(&dirs), &[], &mut cpu(), &Silent).unwrap();
    let writer = open(&dirs);
    writer[0].claim(Role::Writer).unwrap();
    let (outcome, found) = run(&request(&set, Depth::All), &open(&dirs));
    assert!(outcome.is_sound() && outcome.checked == 2000);
    assert!(matches!(&found[..], [Found::Note(_)]), "{found:?}");
    let (result, _) = run_with(&repair(&set, Depth::All), &open(&dirs), &mut cpu(), &Silent);
    assert!(matches!(result, Err(CheckError::Set(SetError::Drive(DriveError::Busy { .. })))), "{result:?}");
}
