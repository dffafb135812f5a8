//! What a repair writes, and what it must not.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use post_core::backend::faulty::Faulty;
use post_core::backend::{self, Backend, Cpu, Info, LabelJob, Sink};
use post_core::check::{Cause, CheckError, Depth, Found, Request, check};
use post_core::drive::{Drive, MemoryDrive, Record};
use post_core::identity::NodeId;
use post_core::init::{self, init};
use post_core::label::{Label, reference};
use post_core::scan::{Hit, ScanJob};
use post_core::set::SetError;
use post_core::watch::Silent;

use crate::support::*;

#[test]
fn a_hundred_flipped_bits_in_a_hundred_files_are_found_and_repaired_and_nothing_else_is_written() {
    let set = made_of(4800, 40);
    let root = tempfile::tempdir().unwrap();
    let dirs = [root.path().join("a"), root.path().join("b")];
    init(&set, &open(&dirs), &[], &mut cpu(), &Silent).unwrap();
    forget_sums(&open(&dirs));
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let whole = snapshot(&dirs);
    assert_eq!(whole.len(), 120);
    let mut flipped = BTreeSet::new();
    for (path, (bytes, _)) in &whole {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let file: usize = name.strip_prefix("postdata_").unwrap().parse().unwrap();
        let mut bytes = bytes.clone();
        if file < 100 {
            let bit = file * 7919 % (640 * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            flipped.insert((file * 40 + bit / 128) as u64);
        }
        write_bytes(path, &bytes, long_ago);
    }
    assert_eq!(flipped.len(), 100);
    let damaged = snapshot(&dirs);

    let (outcome, found) = run(&request(&set, Depth::All), &open(&dirs));
    assert_eq!((outcome.checked, outcome.bad, outcome.repaired, outcome.problems), (4800, 100, 0, 0));
    assert!(!outcome.is_sound());
    let singles: Vec<_> = flipped.iter().map(|index| (*index..index + 1, Cause::Unknown, false)).collect();
    assert_eq!(told(&found), singles);
    for bad in bad(&found) {
        assert!(Path::new(&bad.drive).join(format!("postdata_{}.bin", bad.file)).exists());
        assert_eq!(u64::from(bad.file), bad.labels.start / 40);
    }
    assert!(snapshot(&dirs) == damaged, "a check without repair wrote to the data");

    let (outcome, found) = run(&repair(&set, Depth::All), &open(&dirs));
    assert_eq!((outcome.bad, outcome.repaired), (100, 100));
    assert!(outcome.is_sound() && told(&found).iter().all(|(.., repaired)| *repaired));
    for (path, (bytes, modified)) in snapshot(&dirs) {
        assert!(bytes == whole[&path].0, "{}", path.display());
        let was_damaged = damaged[&path].0 != whole[&path].0;
        assert_eq!(modified != long_ago, was_damaged, "{}", path.display());
    }
    let (outcome, found) = run(&request(&set, Depth::All), &open(&dirs));
    assert!(outcome.is_sound() && found.is_empty(), "{found:?}");
    assert!(open(&dirs).iter().all(|drive| drive.record(Record::Check).unwrap().is_none()));
}

#[test]
fn exactly_the_bad_labels_are_written() {
    let set = made_of(2000, 1000);
    let drive = in_memory(&set);
    let whole = drive.files();
    for label in [0, 3, 4, 5, 999] {
        damage(&drive, 1, label * 16 + 5);
    }
    // Pows cost hours; what a proof has scanned it forgets itself.
    drive.replace_record(Record::Proof, b"a proof under way").unwrap();
    let spy = Spy::new(&drive);
    let (outcome, found) = run(&repair(&set, Depth::All), &spy.boxed());
    assert_eq!(spy.written(), [(1, 0, 16), (1, 48, 48), (1, 999 * 16, 16)]);
    assert_eq!(drive.files(), whole);
    assert_eq!((outcome.bad, outcome.repaired), (5, 5));
    assert!(drive.record(Record::Proof).unwrap().is_some());
    let labels: Vec<_> = told(&found).into_iter().map(|(labels, ..)| labels).collect();
    assert_eq!(labels, [1000..1001, 1003..1006, 1999..2000]);
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let set = made_of(2000, 1000);
    let drive = in_memory(&set);
    damage(&drive, 0, 100);
    let before = drive.files();
    let spy = Spy::new(&drive);
    for depth in [Depth::All, Depth::Fraction(1.0)] {
        let (outcome, found) = run(&Request { dry_run: true, ..repair(&set, depth) }, &spy.boxed());
        assert_eq!((outcome.bad, outcome.repaired), (1, 0));
        assert_eq!(told(&found), [(6..7, Cause::Unknown, false)]);
    }
    assert!(spy.written().is_empty() && drive.files() == before);
    assert_eq!(spy.records.load(Ordering::Relaxed), 0);
}

#[test]
fn what_cannot_be_read_is_told_by_the_sector_and_written_anew() {
    let set = made_of(4000, 2000);
    let drive = in_memory(&set);
    let whole = drive.files();
    damage(&drive, 1, 1900 * 16);
    let spy = Spy::new(&drive);
    spy.unreadable.lock().unwrap().extend([(1, 5000..5100), (0, 0..1)]);
    for depth in [Depth::All, Depth::Fraction(0.5)] {
        let (outcome, found) = run(&request(&set, depth), &spy.boxed());
        let unreadable = [(0..256, Cause::Unreadable, false), (2256..2512, Cause::Unreadable, false)];
        assert_eq!(told(&found)[..2], unreadable);
        assert!(outcome.bad >= 512 && outcome.problems == 0 && !outcome.is_sound());
    }
    // One label of a sector was asked for.
    let (outcome, found) = run(&request(&set, Depth::Fraction(1e-9)), &spy.boxed());
    assert_eq!((outcome.bad, told(&found)), (256, vec![(0..256, Cause::Unreadable, false)]));
    // The disk takes nothing: told, and gone past.
    let broken = Spy { is_broken: true, ..spy.clone() };
    let (outcome, found) = run(&repair(&set, Depth::All), &broken.boxed());
    assert_eq!((outcome.bad, outcome.repaired), (513, 0));
    assert!(found.iter().any(|found| matches!(found, Found::Note(note) if note.contains("could not be repaired"))));

    let (outcome, found) = run(&repair(&set, Depth::All), &spy.boxed());
    assert_eq!((outcome.bad, outcome.repaired), (513, 513));
    assert_eq!(told(&found)[2], (3900..3901, Cause::Unknown, true));
    assert_eq!(drive.files(), whole);
    assert!(run(&request(&set, Depth::All), &spy.boxed()).0.is_sound());
}

/// A file that is lost costs the CPU alone a day: a device makes its labels.
#[test]
fn a_lost_file_is_made_by_the_device_and_not_by_the_judge() {
    let set = made_of(12_000, 4000);
    let drive = in_memory(&set);
    let whole = drive.files();
    let spy = Spy::new(&drive);
    spy.unreadable.lock().unwrap().push((1, 0..64_000));
    for repairs in [false, true] {
        let request = Request { repair: repairs, ..request(&set, Depth::All) };
        let mut device = Faulty::new("device", Box::new(cpu()), 512);
        let mut judge = Faulty::new("judge", Box::new(cpu()), 512);
        let outcome = check(&request, &spy.boxed(), &mut device, &mut judge, &Silent, &mut |_| {}).unwrap();
        assert_eq!((outcome.bad, outcome.repaired), (4000, if repairs { 4000 } else { 0 }));
        assert_eq!(device.deeds().labels(), if repairs { 12_000 } else { 8000 });
        assert_eq!(judge.deeds().labels(), 0);
    }
    assert_eq!(spy.written(), [(1, 0, 64_000)]);
    assert_eq!(drive.files(), whole);
}

/// Makes right labels in its first jobs, wrong ones from then on.
struct Turns {
    cpu: Cpu,
    jobs: usize,
}

impl Backend for Turns {
    fn info(&self) -> &Info {
        self.cpu.info()
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> std::result::Result<(), backend::Error> {
        let lies = self.jobs == 0;
        self.jobs = self.jobs.saturating_sub(1);
        self.cpu.label(job, &mut |positions, labels| match lies {
            true => sink(positions, &vec![[1; 16]; labels.len()]),
            false => sink(positions, labels),
        })
    }
    fn scan(
        &mut self,
        job: &ScanJob<'_>,
        first: u64,
        labels: &[Label],
        hits: &mut Vec<Hit>,
    ) -> std::result::Result<(), backend::Error> {
        self.cpu.scan(job, first, labels, hits)
    }
}

/// Its labels stand on no disk to compare with: those that it made before count no more, and `init` makes them again.
#[test]
fn what_a_liar_put_in_the_place_of_lost_labels_is_suspect() {
    let set = made_of(12_000, 4000);
    let drive = in_memory(&set);
    let whole = drive.files();
    let spy = Spy::new(&drive);
    spy.unreadable.lock().unwrap().extend([(0, 0..64_000), (2, 0..64_000)]);
    // The first file, the second one, and lies for the third.
    let mut liar = Turns { cpu: cpu(), jobs: 2 };
    let (result, found) = run_with(&repair(&set, Depth::All), &spy.boxed(), &mut liar, &Silent);
    let Err(CheckError::Backend(backend::Error::Wrong { index, .. })) = result else { panic!("{result:?}") };
    assert!(index >= 8000);
    assert_eq!(spy.written(), [(0, 0, 64_000)], "nothing that was made when it was caught");
    let suspects = found.iter().filter(|found| matches!(found, Found::Note(note) if note.contains("may be wrong too")));
    assert_eq!(suspects.count(), 1, "{found:?}");
    let counted = init::counted(&drive).unwrap();
    let counted = |file: u32| counted[&file].iter().map(|range| range.end - range.start).sum::<u64>();
    assert_eq!((counted(0), counted(1)), (0, 4000));

    let (outcome, _) = run(&repair(&set, Depth::All), &spy.boxed());
    assert_eq!((outcome.checked, outcome.bad, outcome.repaired), (12_000, 4000, 4000));
    assert_eq!(drive.files(), whole);
    let made = init(&set, &spy.boxed(), &[], &mut cpu(), &Silent).unwrap();
    assert!(made.complete);
    assert!(run(&request(&set, Depth::All), &spy.boxed()).0.is_sound());
}

#[test]
fn a_device_that_lies_is_named_and_writes_nothing() {
    let set = made_of(2000, 500);
    for depth in [Depth::All, Depth::Fraction(0.9)] {
        let drive = in_memory(&set);
        damage(&drive, 3, 0);
        let before = drive.files();
        let spy = Spy::new(&drive);
        let mut liar = Faulty::new("liar", Box::new(cpu()), 64).lies(40, 3);
        let (result, found) = run_with(&repair(&set, depth), &spy.boxed(), &mut liar, &Silent);
        let Err(CheckError::Backend(backend::Error::Wrong { device, index })) = result else { panic!("{result:?}") };
        assert_eq!(device, "liar");
        assert!(liar.lies_at(index));
        assert!(bad(&found).is_empty(), "{found:?}");
        assert!(spy.written().is_empty() && drive.files() == before);
        // Nothing that the liar said is right counts.
        let (outcome, found) = run(&repair(&set, depth), &spy.boxed());
        assert_eq!((outcome.bad, outcome.repaired), (1, 1));
        assert_eq!(told(&found), [(1500..1501, Cause::Unknown, true)]);
    }
}

#[test]
fn files_of_another_set_are_told_and_never_written_over() {
    let set = made_of(2000, 500);
    let other = init::Request { node_id: NodeId([8; 32]), ..set.clone() };
    let drive = without_records(&set);
    drive.set_file(2, in_memory(&other).files()[&2].clone());
    damage(&drive, 1, 0);
    let spy = Spy::new(&drive);
    let (outcome, found) = run(&repair(&set, Depth::All), &spy.boxed());
    assert_eq!((outcome.bad, outcome.repaired), (501, 1));
    assert_eq!(spy.written(), [(1, 0, 16)]);
    assert!(told(&found).contains(&(1000..1500, Cause::Unknown, false)));
    assert!(found.iter().any(|found| matches!(found, Found::Note(note) if note.contains("another set"))));
}

/// The data, as another tool left it: without a journal.
fn without_records(set: &init::Request) -> MemoryDrive {
    let drive = MemoryDrive::default();
    for (file, bytes) in in_memory(set).files() {
        drive.set_file(file, bytes);
    }
    drive.replace_metadata(&set.metadata()).unwrap();
    drive
}

fn zero(drive: &MemoryDrive, file: u32, labels: Range<usize>) {
    let mut bytes = drive.files()[&file].clone();
    bytes[labels.start * 16..labels.end * 16].fill(0);
    drive.set_file(file, bytes);
}

/// Without a journal nothing says for which n labels were made. A hole among them must not make right labels look wrong.
#[test]
fn under_the_wrong_cost_nothing_is_written_whatever_holes_there_are() {
    let set = made_of(2000, 500);
    let drive = without_records(&set);
    zero(&drive, 0, 0..500);
    zero(&drive, 2, 0..1);
    zero(&drive, 3, 0..499);
    let before = drive.files();
    let spy = Spy::new(&drive);
    for depth in [Depth::All, Depth::Fraction(0.5)] {
        let mut dearer = repair(&set, depth);
        dearer.params.scrypt.n = 4;
        let (outcome, found) = run(&dearer, &spy.boxed());
        assert_eq!(outcome.repaired, 0);
        assert!(spy.written().is_empty() && drive.files() == before);
        let notes = found.iter().filter(|found| matches!(found, Found::Note(note) if note.contains("is not repaired")));
        assert_eq!(notes.count(), 4, "{found:?}");
    }
    // Under the right cost other files vouch for the one that is a hole.
    let (outcome, _) = run(&repair(&set, Depth::All), &spy.boxed());
    assert_eq!((outcome.bad, outcome.repaired), (1000, 1000));
    assert_eq!(drive.files(), in_memory(&set).files());
}

#[test]
fn another_network_is_refused() {
    let set = made_of(2000, 500);
    let drives: Vec<Box<dyn Drive>> = vec![Box::new(in_memory(&set))];
    let mut dearer = repair(&set, Depth::All);
    dearer.params.scrypt.n = 4;
    let (result, _) = run_with(&dearer, &drives, &mut cpu(), &Silent);
    assert!(matches!(result, Err(CheckError::OtherCost { wanted: 4, there: 2, .. })), "{result:?}");
    let mut larger = repair(&set, Depth::All);
    larger.params.labels_per_unit = 4000;
    let (result, _) = run_with(&larger, &drives, &mut cpu(), &Silent);
    assert!(matches!(result, Err(CheckError::OtherNetwork { there: 2000, wanted: 4000 })), "{result:?}");
    let nothing: Vec<Box<dyn Drive>> = vec![Box::new(MemoryDrive::default())];
    let (result, _) = run_with(&request(&set, Depth::All), &nothing, &mut cpu(), &Silent);
    assert!(matches!(result, Err(CheckError::Set(SetError::NoMetadata { .. }))), "{result:?}");
}

#[test]
fn a_label_that_was_bad_may_be_the_nonce() {
    let set = made_of(2000, 500);
    let drive = in_memory(&set);
    let full = |index: &u64| reference::full_label(&commitment(&set), *index, set.params.scrypt).unwrap();
    let mut indices: Vec<u64> = (0..2000).collect();
    indices.sort_by_key(full);
    // Whoever looked before saw a wrong label where the smallest should be.
    let mut metadata = drive.metadata().unwrap().unwrap();
    assert_eq!(metadata.nonce, Some(indices[0]));
    metadata.nonce = Some(indices[1]);
    metadata.other.insert("Foreign".into(), 1.into());
    drive.replace_metadata(&metadata).unwrap();
    damage(&drive, (indices[0] / 500) as u32, (indices[0] % 500 * 16) as usize);
    let second = MemoryDrive::default();
    second.replace_metadata(&metadata).unwrap();
    run(&repair(&set, Depth::All), &[Box::new(drive.clone()), Box::new(second.clone())]);
    for drive in [drive, second] {
        let metadata = drive.metadata().unwrap().unwrap();
        assert_eq!(metadata.nonce, Some(indices[0]));
        assert_eq!(metadata.nonce_value, Some(hex::encode(label(&set, indices[0]))));
        assert_eq!(metadata.other["Foreign"], 1);
    }
}
