//! Sets that grow, are merged and are pruned: whatever fails on the way, the end is what a set made at once looks like.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod util;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use post_core::backend::{Cpu, Error};
use post_core::drive::{DirDrive, Drive, DriveError, Record, Remove, Role};
use post_core::grow::{GrowError, Growth};
use post_core::identity::{AtxId, NodeId};
use post_core::init::{InitError, Outcome, Request, init};
use post_core::merge::Shards;
use post_core::metadata::Metadata;
use post_core::params::{NetworkParams, ScryptParams};
use post_core::prune::{PruneError, Pruning};
use post_core::set::{DataSet, SetError};
use post_core::watch::Silent;
use util::Batches;

/// Units of 700 labels in files of 300: three of four sizes end in the middle of a file.
fn params() -> NetworkParams {
    let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
    NetworkParams { labels_per_unit: 700, scrypt, ..NetworkParams::devnet() }
}

fn request(units: u32) -> Request {
    Request {
        params: params(),
        node_id: NodeId([5; 32]),
        commitment_atx_id: AtxId([9; 32]),
        units,
        max_file_size: 4800,
        files: None,
        broken: Vec::new(),
        checkpoint_every: Duration::ZERO,
    }
}

fn backend() -> Batches {
    Batches { cpu: Cpu::new(1).unwrap(), size: 97 }
}

fn open(dirs: &[PathBuf]) -> Vec<Box<dyn Drive>> {
    dirs.iter().map(|dir| Box::new(DirDrive::planned(dir)) as _).collect()
}

fn make(dirs: &[PathBuf], request: &Request) -> Outcome {
    init(request, &open(dirs), &[], &mut backend(), &Silent).unwrap()
}

fn dirs(root: &Path, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| root.join(name)).collect()
}

/// Data files and nonce of the set on these drives.
fn content(dirs: &[PathBuf]) -> (BTreeMap<String, Vec<u8>>, u64) {
    let mut files = BTreeMap::new();
    let mut nonces = Vec::new();
    for dir in dirs {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.ends_with(".bin") {
                assert!(files.insert(name, std::fs::read(entry.path()).unwrap()).is_none());
            }
        }
        if let Ok(text) = std::fs::read(dir.join(Metadata::FILE_NAME)) {
            nonces.push(Metadata::parse(&text).unwrap().nonce.unwrap());
        }
    }
    nonces.dedup();
    assert_eq!(nonces.len(), 1, "{nonces:?}");
    (files, nonces[0])
}

fn made_at_once(units: u32) -> (BTreeMap<String, Vec<u8>>, u64) {
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path(), &["whole"]);
    make(&dirs, &request(units));
    content(&dirs)
}

fn assert_whole(dirs: &[PathBuf], units: u32) {
    assert!(content(dirs) == made_at_once(units));
    let existing = dirs.iter().filter(|dir| dir.exists()).cloned().collect::<Vec<_>>();
    assert_eq!(DataSet::open(open(&existing)).unwrap().metadata().num_units, units);
}

fn grow(drives: &[Box<dyn Drive>], units: u32) -> Result<Outcome, GrowError> {
    Growth::new(drives, &[], params(), units)?.run(&mut backend(), &Silent)
}

/// A drive, and its stage, that fail from some operation on.
struct Ending(Box<dyn Drive>, Arc<AtomicI64>);

impl Ending {
    fn spend(&self) -> Result<&dyn Drive, DriveError> {
        if self.1.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Ok(&*self.0);
        }
        Err(DriveError::Io { action: "use", place: self.0.name(), source: ErrorKind::StorageFull.into() })
    }
}

impl Drive for Ending {
    fn name(&self) -> String {
        self.0.name()
    }
    fn check_writable(&self) -> Result<(), DriveError> {
        self.0.check_writable()
    }
    fn claim(&self, role: Role) -> Result<(), DriveError> {
        self.spend()?.claim(role)
    }
    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError> {
        self.0.held()
    }
    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError> {
        self.0.read_at(file, offset, buffer)
    }
    fn preallocate(&self, file: u32, bytes: u64) -> Result<(), DriveError> {
        self.spend()?.preallocate(file, bytes)
    }
    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError> {
        self.spend()?.write_at(file, offset, data)
    }
    fn sync(&self, file: u32) -> Result<(), DriveError> {
        self.spend()?.sync(file)
    }
    fn metadata(&self) -> Result<Option<Metadata>, DriveError> {
        self.0.metadata()
    }
    fn replace_metadata(&self, metadata: &Metadata) -> Result<(), DriveError> {
        self.spend()?.replace_metadata(metadata)
    }
    fn record(&self, record: Record) -> Result<Option<Vec<u8>>, DriveError> {
        self.0.record(record)
    }
    fn replace_record(&self, record: Record, bytes: &[u8]) -> Result<(), DriveError> {
        self.spend()?.replace_record(record, bytes)
    }
    fn forget_record(&self, record: Record) -> Result<(), DriveError> {
        self.spend()?.forget_record(record)
    }
    fn free_space(&self) -> Result<(u64, u64), DriveError> {
        self.0.free_space()
    }
    fn disk(&self) -> Result<u64, DriveError> {
        self.0.disk()
    }
    fn stage(&self) -> Result<Box<dyn Drive>, DriveError> {
        Ok(Box::new(Self(self.0.stage()?, self.1.clone())))
    }
    fn lay_aside(&self, file: u32) -> Result<(), DriveError> {
        self.spend()?.lay_aside(file)
    }
    fn accept(&self, file: u32) -> Result<(), DriveError> {
        self.spend()?.accept(file)
    }
    fn unstage(&self) -> Result<(), DriveError> {
        self.spend()?.unstage()
    }
}

fn ending(dirs: &[PathBuf], operations: i64) -> Vec<Box<dyn Drive>> {
    let left = Arc::new(AtomicI64::new(operations));
    open(dirs).into_iter().map(|drive| Box::new(Ending(drive, left.clone())) as _).collect()
}

#[test]
fn a_set_that_grew_is_as_if_made_at_once() {
    for (from, to) in [(2, 3), (3, 4), (1, 7), (6, 7)] {
        let root = tempfile::tempdir().unwrap();
        let old = dirs(root.path(), &["a", "b"]);
        make(&old, &request(from));
        // A third drive comes in, and the order changes.
        let all = dirs(root.path(), &["c", "b", "a"]);
        let outcome = grow(&open(&all), to).unwrap();
        // Of a last file that was not full the old labels are copied; they count as made.
        assert!(outcome.complete && outcome.made <= u64::from(to - from) * 700 + 300, "{outcome:?}");
        assert_whole(&all, to);
        assert!(all.iter().all(|dir| !dir.join(".post/grow").exists()));
        assert!(matches!(grow(&open(&all), to), Ok(Outcome { made: 0, .. })), "again is no error");
    }
}

#[test]
fn the_old_set_stays_provable_until_the_switch_and_a_crash_anywhere_loses_nothing() {
    let (mut before, mut switching, mut after) = (0, 0, 0);
    for operations in (0..).step_by(2) {
        let root = tempfile::tempdir().unwrap();
        let old = dirs(root.path(), &["a", "b"]);
        make(&old, &request(2));
        let was = content(&old);
        let grown = grow(&ending(&old, operations), 3);
        if grown.is_ok() {
            break;
        }
        match DataSet::open(open(&old)) {
            Ok(set) if set.metadata().num_units == 2 => {
                before += 1;
                assert!(content(&old) == was);
            }
            Ok(_) => after += 1,
            Err(SetError::Resizing { from: 2, to: 3 }) => {
                switching += 1;
                let other = grow(&open(&old), 4).unwrap_err().to_string();
                assert!(other.contains("grow --units 3"), "{other}");
            }
            // The nonce and the maps are still to be settled.
            Err(SetError::Problems(_)) => after += 1,
            Err(error) => panic!("{operations}: {error}"),
        }
        grow(&open(&old), 3).unwrap();
        assert_whole(&old, 3);
    }
    assert!(before > 5 && switching > 1, "{before}, {switching}, {after}");
}

#[test]
fn what_cannot_grow_is_refused_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let old = dirs(root.path(), &["a", "b"]);
    make(&old, &request(3));
    let refused = grow(&open(&old), 2);
    assert!(matches!(refused, Err(GrowError::NoGrowth { there: 3, wanted: 2 })), "{refused:?}");
    // A drive is missing.
    let refused = grow(&open(&old[..1]), 4);
    assert!(matches!(refused, Err(GrowError::Init(InitError::Set(SetError::Problems(_))))), "{refused:?}");
    // No room.
    let Err(refused) = Growth::new(&open(&old), &[Some(20_000), Some(15_000)], params(), 7) else { panic!("no room") };
    assert!(refused.to_string().contains("no room"), "{refused}");
    assert!(old.iter().all(|dir| !dir.join(".post/grow").exists()));
    assert_whole(&old, 3);
}

fn prune(dirs: &[PathBuf], drives: &[Box<dyn Drive>], units: Option<u32>) -> Result<Outcome, PruneError> {
    let removers: Vec<Box<dyn Remove>> =
        dirs.iter().map(|dir| Box::new(DirDrive::existing(dir).unwrap()) as _).collect();
    Pruning::new(drives, &removers, units)?.run(params(), &mut backend(), &Silent)
}

#[test]
fn a_pruned_set_is_as_if_made_at_once_whatever_fails_on_the_way() {
    for (from, to) in [(7, 2), (3, 1), (6, 3)] {
        for operations in (0..).step_by(5) {
            let root = tempfile::tempdir().unwrap();
            let dirs = dirs(root.path(), &["a", "b"]);
            make(&dirs, &request(from));
            let pruned = prune(&dirs, &ending(&dirs, operations), Some(to));
            let done = pruned.is_ok();
            if !done {
                prune(&dirs, &open(&dirs), Some(to)).unwrap();
            }
            assert_whole(&dirs, to);
            if done {
                break;
            }
        }
    }
}

#[test]
fn growing_is_given_up_by_pruning() {
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path(), &["a", "b"]);
    make(&dirs, &request(2));
    grow(&ending(&dirs, 60), 5).unwrap_err();
    assert!(matches!(grow(&open(&dirs), 4), Err(GrowError::OtherGoal { there: 5 })));
    prune(&dirs, &open(&dirs), None).unwrap();
    assert_whole(&dirs, 2);
    grow(&open(&dirs), 4).unwrap();
    assert_whole(&dirs, 4);
    // What the longer last file took the place of is still there.
    let spare = |dir: &PathBuf| DirDrive::existing(dir).unwrap().spare().unwrap().len();
    assert_eq!(dirs.iter().map(spare).sum::<usize>(), 1);
    prune(&dirs, &open(&dirs), None).unwrap();
    assert_eq!(dirs.iter().map(spare).sum::<usize>(), 0);
    assert_whole(&dirs, 4);
}

fn merge(shards: &[PathBuf], into: &[Box<dyn Drive>]) -> Result<Outcome, InitError> {
    let shards = Shards::open(open(shards)).map_err(InitError::from)?;
    shards.merge(&shards.request(params()), into, &[], &mut backend(), &Silent)
}

#[test]
fn shards_become_one_set_whatever_fails_on_the_way() {
    let root = tempfile::tempdir().unwrap();
    let shards = dirs(root.path(), &["x", "y", "z"]);
    for (shard, files) in shards.iter().zip([0..3, 3..4, 4..7]) {
        make(std::slice::from_ref(shard), &Request { files: Some(files), ..request(3) });
    }
    let were: Vec<_> = shards.iter().map(|shard| content(std::slice::from_ref(shard))).collect();
    for operations in (0..).step_by(11) {
        let into = dirs(root.path(), &[&format!("a{operations}"), &format!("b{operations}")]);
        let merged = merge(&shards, &ending(&into, operations));
        let done = merged.is_ok();
        if !done {
            merge(&shards, &open(&into)).unwrap();
        }
        assert_whole(&into, 3);
        if done {
            break;
        }
    }
    // One of them takes in the others.
    merge(&shards, &open(&shards[..1])).unwrap();
    assert_whole(&shards[..1], 3);
    for (shard, was) in shards[1..].iter().zip(&were[1..]) {
        assert!(content(std::slice::from_ref(shard)) == *was);
    }
}

#[test]
fn gaps_overlaps_and_strangers_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let shards = dirs(root.path(), &["x", "y", "z", "other"]);
    for (shard, files) in shards.iter().zip([0..3, 2..4, 4..7]) {
        make(std::slice::from_ref(shard), &Request { files: Some(files), ..request(3) });
    }
    make(&shards[3..], &Request { node_id: NodeId([6; 32]), files: Some(0..3), ..request(3) });
    let into = open(&dirs(root.path(), &["into"]));
    let refused = |parts: &[usize]| {
        let parts: Vec<PathBuf> = parts.iter().map(|part| shards[*part].clone()).collect();
        merge(&parts, &into).unwrap_err().to_string()
    };
    assert!(refused(&[0, 2]).contains("postdata_3.bin is missing"), "{}", refused(&[0, 2]));
    assert!(refused(&[0, 1, 2]).contains("postdata_2.bin is both in"), "{}", refused(&[0, 1, 2]));
    assert!(refused(&[3, 1, 2]).contains("NodeId"), "{}", refused(&[3, 1, 2]));
    assert!(!root.path().join("into").exists());
}

#[test]
fn wrong_labels_of_a_shard_are_not_taken_over() {
    let root = tempfile::tempdir().unwrap();
    let shards = dirs(root.path(), &["x", "y"]);
    for (shard, files) in shards.iter().zip([0..3, 3..7]) {
        make(std::slice::from_ref(shard), &Request { files: Some(files), ..request(3) });
    }
    // The checksums beside it tell of a single label.
    let path = shards[1].join("postdata_4.bin");
    let right = std::fs::read(&path).unwrap();
    let mut bytes = right.clone();
    bytes[16 * 77] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let refused = merge(&shards, &open(&dirs(root.path(), &["into"])));
    let Err(InitError::Backend(Error::Source { reason })) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("postdata_4.bin") && reason.contains("has changed on disk"), "{reason}");
    // Without them a look at one label of each part has to do.
    std::fs::write(&path, vec![1; 4800]).unwrap();
    std::fs::remove_file(shards[1].join(".post/sums/4")).unwrap();
    let refused = merge(&shards, &open(&dirs(root.path(), &["into"])));
    let Err(InitError::Backend(Error::Source { reason })) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("postdata_4.bin") && reason.contains("check --repair"), "{reason}");
    // Mended, the same command goes on.
    std::fs::write(&path, right).unwrap();
    let into = dirs(root.path(), &["into"]);
    merge(&shards, &open(&into)).unwrap();
    assert_whole(&into, 3);
}

/// Everything below a directory.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(snapshot(&path));
        } else if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lock")) {
            all.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    all
}

/// A set of three units that was stopped in the switch to five.
fn in_the_switch(root: &Path) -> Vec<PathBuf> {
    for operations in 60.. {
        let dirs = dirs(root, &[&format!("a{operations}"), &format!("b{operations}")]);
        make(&dirs, &request(3));
        grow(&ending(&dirs, operations), 5).unwrap_err();
        let both = |name: &str| dirs.iter().all(|dir| dir.join(name).exists());
        if both(".post/resize") && dirs.iter().any(|dir| dir.join("postdata_7.bin").exists()) {
            return dirs;
        }
    }
    unreachable!()
}

#[test]
fn another_network_is_refused_before_anything_is_written() {
    let root = tempfile::tempdir().unwrap();
    let whole = dirs(root.path(), &["a", "b"]);
    make(&whole, &request(3));
    let switching = in_the_switch(root.path());
    let mut small = params();
    small.labels_per_unit = 350;
    let mut dear = params();
    dear.scrypt.n = 4;
    for foreign in [false, true] {
        if foreign {
            // As another tool leaves it: nothing tells what the labels cost.
            whole.iter().for_each(|dir| std::fs::remove_dir_all(dir.join(".post")).unwrap());
        }
        for other in [&small, &dear] {
            let before = snapshot(root.path());
            for (drives, units) in [(&whole, 5), (&switching, 5), (&whole, 10), (&switching, 10)] {
                let drives = open(drives);
                let grown = Growth::new(&drives, &[], other.clone(), units);
                let grown = grown.and_then(|growth| growth.run(&mut backend(), &Silent));
                assert!(grown.is_err(), "{units}");
            }
            let removers: Vec<Box<dyn Remove>> =
                whole.iter().map(|dir| Box::new(DirDrive::existing(dir).unwrap()) as _).collect();
            let drives = open(&whole);
            let pruning = Pruning::new(&drives, &removers, Some(2)).unwrap();
            pruning.run(other.clone(), &mut backend(), &Silent).unwrap_err();
            assert!(snapshot(root.path()) == before);
        }
    }
    grow(&open(&switching), 5).unwrap();
    assert_whole(&switching, 5);
}

#[test]
fn a_drive_that_is_not_there_is_missed_in_every_state() {
    let root = tempfile::tempdir().unwrap();
    let switching = in_the_switch(root.path());
    let aside = root.path().join("aside");
    for foreign in [false, true] {
        if foreign {
            switching.iter().for_each(|dir| std::fs::remove_file(dir.join(".post/map")).unwrap());
        }
        // Its mount point is empty.
        std::fs::rename(&switching[1], &aside).unwrap();
        std::fs::create_dir(&switching[1]).unwrap();
        let refused = grow(&open(&switching), 5).unwrap_err().to_string();
        assert!(refused.contains("postdata_"), "{refused}");
        assert_eq!(std::fs::read_dir(&switching[1]).unwrap().count(), 0);
        std::fs::remove_dir(&switching[1]).unwrap();
        std::fs::rename(&aside, &switching[1]).unwrap();
    }
    grow(&open(&switching), 5).unwrap();
    assert_whole(&switching, 5);
    // A new drive with staged files.
    let all = [switching[0].clone(), switching[1].clone(), root.path().join("new")];
    grow(&ending(&all, 70), 9).unwrap_err();
    assert!(all[2].join(".post/grow").exists());
    std::fs::rename(&all[2], &aside).unwrap();
    let refused = grow(&open(&all), 9).unwrap_err().to_string();
    assert!(refused.contains("on the drive that was"), "{refused}");
    assert!(!all[2].exists());
    std::fs::rename(&aside, &all[2]).unwrap();
    grow(&open(&all), 9).unwrap();
    assert_whole(&all, 9);
}

#[test]
fn pruning_needs_what_stays_and_makes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let all = dirs(root.path(), &["a", "b"]);
    make(&all, &request(3));
    let before = snapshot(root.path());
    let refused = prune(&all[..1], &open(&all[..1]), Some(2)).unwrap_err().to_string();
    assert!(refused.contains("on the drive that was"), "{refused}");
    // An old copy of the metadata does not count against what the journals say.
    let text = String::from_utf8(std::fs::read(all[0].join(Metadata::FILE_NAME)).unwrap()).unwrap();
    for dir in &all {
        std::fs::write(dir.join(Metadata::FILE_NAME), text.replace("\"NumUnits\": 3", "\"NumUnits\": 2")).unwrap();
    }
    let refused = prune(&all, &open(&all), None).unwrap_err();
    assert!(matches!(refused, PruneError::Contradiction { num_labels: 2100, .. }), "{refused}");
    for dir in &all {
        std::fs::write(dir.join(Metadata::FILE_NAME), &text).unwrap();
    }
    assert!(snapshot(root.path()) == before);
    // A shard with a file of nobody: that goes, and no file of the set is made.
    let shard = dirs(root.path(), &["shard"]);
    make(&shard, &Request { files: Some(2..4), ..request(3) });
    std::fs::write(shard[0].join("postdata_99.bin"), [1; 16]).unwrap();
    let outcome = prune(&shard, &open(&shard), None).unwrap();
    assert!(!outcome.complete);
    assert_eq!(content(&shard).0.into_keys().collect::<Vec<_>>(), ["postdata_2.bin", "postdata_3.bin"]);
}

#[cfg(unix)]
#[test]
fn links_are_not_pruned() {
    let root = tempfile::tempdir().unwrap();
    let all = dirs(root.path(), &["a"]);
    make(&all, &request(3));
    let elsewhere = root.path().join("elsewhere");
    std::fs::rename(all[0].join("postdata_4.bin"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, all[0].join("postdata_4.bin")).unwrap();
    let refused = prune(&all, &open(&all), Some(2)).unwrap_err();
    assert!(matches!(refused, PruneError::Link { .. }), "{refused}");
    assert_eq!(std::fs::metadata(&elsewhere).unwrap().len(), 4800);
}
