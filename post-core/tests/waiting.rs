//! Drives that are broken, not mounted or not named: the others go on, and what waits is named.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod util;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use post_core::backend::Cpu;
use post_core::drive::{DirDrive, Drive};
use post_core::identity::{AtxId, Commitment, NodeId};
use post_core::init::{InitError, Outcome, Request, Waiting, init, set_aside};
use post_core::label::{reference, stored};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::watch::{Event, Silent, Watch};
use tempfile::TempDir;
use util::Batches;

/// 3 units of 700 labels in files of 300: seven files, in turn on each drive.
fn request() -> Request {
    let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
    Request {
        params: NetworkParams { labels_per_unit: 700, scrypt, ..NetworkParams::devnet() },
        node_id: NodeId([5; 32]),
        commitment_atx_id: AtxId([9; 32]),
        units: 3,
        max_file_size: 4800,
        files: None,
        broken: Vec::new(),
        checkpoint_every: Duration::ZERO,
    }
}

fn expected(file: u64) -> Vec<u8> {
    let Request { node_id, commitment_atx_id, params, .. } = request();
    let commitment = Commitment::new(&node_id, &commitment_atx_id);
    let label = |index| stored(&reference::full_label(&commitment, index, params.scrypt).unwrap());
    (file * 300..2100.min(file * 300 + 300)).flat_map(label).collect()
}

/// As the program does it.
fn run(mut request: Request, dirs: &[&Path], watch: &dyn Watch) -> Result<Outcome, InitError> {
    let mut drives: Vec<Box<dyn Drive>> = dirs.iter().map(|dir| Box::new(DirDrive::planned(dir)) as _).collect();
    let mut quotas = vec![None; drives.len()];
    request.broken = set_aside(&mut drives, &mut quotas, request.files.as_ref())?;
    init(&request, &drives, &quotas, &mut Batches { cpu: Cpu::new(1).unwrap(), size: 37 }, watch)
}

/// Stops at the first look after so many labels.
struct StopAt(u64, AtomicU64);

impl Watch for StopAt {
    fn event(&self, event: Event) {
        if let Event::Labels { done, .. } = event {
            self.1.store(done, Ordering::Relaxed);
        }
    }
    fn stop(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}

struct Place {
    _root: TempDir,
    a: PathBuf,
    b: PathBuf,
    aside: PathBuf,
}

/// A set over `a` and `b`, stopped after so many labels.
fn begun(labels: u64) -> Place {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let (a, b, aside) = (at("a"), at("b"), at("aside"));
    let stopped = run(request(), &[&a, &b], &StopAt(labels, AtomicU64::new(0)));
    assert!(matches!(stopped, Err(InitError::Stopped { .. })), "{stopped:?}");
    Place { _root: root, a, b, aside }
}

fn assert_file(dir: &Path, file: u64) {
    assert!(std::fs::read(dir.join(format!("postdata_{file}.bin"))).unwrap() == expected(file), "file {file}");
}

fn waiting(result: Result<Outcome, InitError>) -> Vec<Waiting> {
    match result {
        Err(InitError::Waiting { waiting, .. }) => waiting,
        other => panic!("{other:?}"),
    }
}

fn assert_mended(place: &Place) {
    // In another order.
    let outcome = run(request(), &[&place.b, &place.a], &Silent).unwrap();
    assert!(outcome.complete && outcome.nonce.is_some());
    (0..7).for_each(|file| assert_file(if file % 2 == 0 { &place.a } else { &place.b }, file));
}

#[test]
fn a_drive_that_is_not_mounted_waits_and_nothing_is_made_in_its_place() {
    let place = begun(800);
    std::fs::rename(&place.b, &place.aside).unwrap();
    // Its mount point is empty, or not there at all.
    for mount_point in [true, false] {
        if mount_point {
            std::fs::create_dir(&place.b).unwrap();
        }
        let waiting = waiting(run(request(), &[&place.a, &place.b], &Silent));
        assert_eq!(waiting[0].files, [1, 3, 5]);
        assert!(waiting[0].reason.contains("not mounted") && waiting[0].drive.ends_with("/b"), "{waiting:?}");
        [0, 2, 4, 6].iter().for_each(|file| assert_file(&place.a, *file));
        if mount_point {
            assert_eq!(std::fs::read_dir(&place.b).unwrap().count(), 0);
            std::fs::remove_dir(&place.b).unwrap();
        }
    }
    assert!(!place.b.exists());
    std::fs::rename(&place.aside, &place.b).unwrap();
    assert_mended(&place);
}

#[test]
fn a_drive_that_cannot_be_read_waits() {
    let place = begun(800);
    std::fs::rename(&place.b, &place.aside).unwrap();
    std::fs::write(&place.b, "no directory").unwrap();
    let waiting = waiting(run(request(), &[&place.a, &place.b], &Silent));
    assert_eq!(waiting[0].files, [1, 3, 5]);
    assert!(waiting[0].reason.contains("a directory is needed"), "{waiting:?}");
    std::fs::remove_file(&place.b).unwrap();
    std::fs::rename(&place.aside, &place.b).unwrap();
    assert_mended(&place);
    // Nobody knows this one: a mistake in the call.
    let wrong = place.a.join("postdata_0.bin");
    let refused = run(request(), &[&place.a, &place.b, &wrong], &Silent);
    assert!(matches!(refused, Err(InitError::Set(_))), "{refused:?}");
}

#[test]
fn a_drive_that_is_not_named_waits_unless_its_files_are() {
    let place = begun(800);
    let waiting = waiting(run(request(), &[&place.a], &Silent));
    assert_eq!(waiting[0].files, [1, 3, 5]);
    assert!(waiting[0].reason.contains("--files"), "{waiting:?}");
    // Its disk is lost for good: what it held is made again, on another one.
    let again = Request { files: Some(1..6), ..request() };
    run(again, &[&place.a, &place.aside], &Silent).unwrap();
    let outcome = run(request(), &[&place.a, &place.aside], &Silent).unwrap();
    assert!(outcome.complete);
    // The old one is not waited for any more, and what it has is not wanted.
    let refused = run(request(), &[&place.a, &place.aside, &place.b], &Silent);
    assert!(refused.unwrap_err().to_string().contains("both in"));
}

/// A drive that fails from some operation on.
#[test]
fn a_drive_that_fails_in_the_middle_does_not_stop_the_others() {
    use post_core::drive::{FaultyDrive, MemoryDrive};
    let mut waited = 0;
    for budget in (0..400).step_by(3) {
        let memory = [MemoryDrive::default(), MemoryDrive::default()];
        let drives: Vec<Box<dyn Drive>> =
            vec![Box::new(FaultyDrive::new(memory[0].clone(), budget)), Box::new(memory[1].clone())];
        let mut backend = Batches { cpu: Cpu::new(1).unwrap(), size: 37 };
        match init(&request(), &drives, &[], &mut backend, &Silent) {
            Ok(_) => break,
            Err(InitError::Waiting { waiting, done, .. }) => {
                waited += 1;
                assert_eq!(waiting[0].drive, "faulty");
                assert!(waiting[0].files.iter().all(|file| [0, 2, 4, 6].contains(file)), "{waiting:?}");
                assert!(done >= 900);
                for file in [1, 3, 5] {
                    assert!(memory[1].files()[&file] == expected(u64::from(file)));
                }
            }
            // It failed before anything was decided.
            Err(InitError::Set(_)) => assert!(memory[1].files().is_empty()),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(waited > 30, "{waited}");
}

/// Moves a file away once, in the middle of the work.
struct MovesAway<'a>(&'a Path, &'a Path);

impl Watch for MovesAway<'_> {
    fn event(&self, event: Event) {
        if matches!(event, Event::Labels { done: 100.., .. }) && !self.1.exists() {
            std::fs::rename(self.0.join("postdata_0.bin"), self.1).unwrap();
        }
    }
}

#[test]
fn a_file_that_is_moved_away_does_not_come_back_as_a_hole() {
    let root = tempfile::tempdir().unwrap();
    let (a, aside) = (root.path().join("a"), root.path().join("aside"));
    let failed = run(request(), &[&a], &MovesAway(&a, &aside));
    assert!(matches!(failed, Err(InitError::Set(_))), "{failed:?}");
    assert!(!a.join("postdata_0.bin").exists());
    std::fs::rename(&aside, a.join("postdata_0.bin")).unwrap();
    run(request(), &[&a], &Silent).unwrap();
    (0..7).for_each(|file| assert_file(&a, file));
}

#[test]
fn a_new_disk_in_the_place_of_a_lost_one_gets_what_is_named() {
    let place = begun(800);
    std::fs::rename(&place.b, &place.aside).unwrap();
    std::fs::create_dir(&place.b).unwrap();
    let named = Request { files: Some(1..2), ..request() };
    run(named, &[&place.a, &place.b], &Silent).unwrap();
    assert_file(&place.b, 1);
    // The rest is not made unasked.
    let waiting = waiting(run(request(), &[&place.a, &place.b], &Silent));
    assert_eq!(waiting[0].files, [3, 5]);
    assert!(waiting[0].reason.contains("another one is in its place"), "{waiting:?}");
    run(Request { files: Some(3..6), ..request() }, &[&place.a, &place.b], &Silent).unwrap();
    assert!(run(request(), &[&place.a, &place.b], &Silent).unwrap().complete);
}
