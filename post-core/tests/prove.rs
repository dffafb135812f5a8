//! Proofs from many disks, interrupted proofs, damaged and foreign records: whatever happens, the end is the same bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use post_core::backend::{Backend, Cpu, Error, Info, LabelJob, Sink};
use post_core::drive::{DirDrive, Drive, DriveError, FaultyDrive, MemoryDrive, Record, Role};
use post_core::identity::{AtxId, Challenge, NodeId};
use post_core::index_packing::{required_bits, unpack};
use post_core::label::Label;
use post_core::metadata::Metadata;
use post_core::params::NetworkParams;
use post_core::pow::{PowError, PowInput, PowProver};
use post_core::proof::ProofFile;
use post_core::prove::{Progress, ProveError, Request, prove, prove_keeping};
use post_core::scan::{Hit, ScanJob};
use post_core::set::DataSet;
use post_core::watch::{Event, Silent, Watch};
use proptest::prelude::*;

const LABELS: u64 = 2000;
const LABELS_PER_FILE: u64 = 30;
const NONCES: u32 = 32;

/// Hits are so rare that a proof takes several passes.
static PARAMS: LazyLock<NetworkParams> =
    LazyLock::new(|| NetworkParams { labels_per_unit: LABELS, k1: 6, k2: 13, ..NetworkParams::devnet() });

fn metadata() -> Metadata {
    Metadata {
        node_id: NodeId([1; 32]),
        commitment_atx_id: AtxId([2; 32]),
        labels_per_unit: LABELS,
        num_units: 1,
        max_file_size: LABELS_PER_FILE * 16,
        nonce: None,
        nonce_value: None,
        last_position: None,
        other: serde_json::Map::new(),
    }
}

/// Files of arbitrary labels, dealt out to some drives.
fn drives(count: usize) -> Vec<MemoryDrive> {
    let drives: Vec<MemoryDrive> = (0..count).map(|_| MemoryDrive::default()).collect();
    let mut labels = vec![0; LABELS as usize * 16];
    blake3::Hasher::new().update(b"labels").finalize_xof().fill(&mut labels);
    for (file, bytes) in labels.chunks(LABELS_PER_FILE as usize * 16).enumerate() {
        drives[file * 7 % count].set_file(file as u32, bytes.to_vec());
    }
    drives.iter().for_each(|drive| drive.replace_metadata(&metadata()).unwrap());
    drives
}

fn open(drives: &[MemoryDrive]) -> DataSet {
    DataSet::open(drives.iter().map(|drive| Box::new(drive.clone()) as Box<dyn Drive>).collect()).unwrap()
}

/// Stands in for RandomX: the pow is made up at once, unless a stop was asked for.
#[derive(Default)]
struct Pows(Mutex<Vec<u8>>);

impl PowProver for Pows {
    fn prove(&self, input: &PowInput, _: &[u8; 32], watch: &dyn Watch) -> Result<u64, PowError> {
        if watch.stop() {
            return Err(PowError::Stopped);
        }
        self.0.lock().unwrap().push(input.group);
        Ok(u64::from(input.group) * 7 + u64::from(input.challenge[0]))
    }
}

/// Notes which labels were scanned for which pass.
struct Scans {
    cpu: Cpu,
    scanned: Vec<(u32, Range<u64>)>,
}

impl Scans {
    fn new() -> Self {
        Self { cpu: Cpu::new(1).unwrap(), scanned: Vec::new() }
    }

    /// The first group of the pass and a label, for each label that was scanned.
    fn labels(&self) -> Vec<(u32, u64)> {
        self.scanned.iter().flat_map(|(pass, labels)| labels.clone().map(|label| (*pass, label))).collect()
    }

    fn assert_none_twice(&self) {
        let labels = self.labels();
        assert_eq!(labels.iter().collect::<BTreeSet<_>>().len(), labels.len(), "a label was scanned twice");
    }
}

impl Backend for Scans {
    fn info(&self) -> &Info {
        self.cpu.info()
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        self.cpu.label(job, sink)
    }
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.scanned.push((job.groups[0].group, first..first + labels.len() as u64));
        self.cpu.scan(job, first, labels, hits)
    }
}

/// Counts steps of the work, and asks for a stop after some of them.
#[derive(Default)]
struct Steps {
    left: Option<usize>,
    taken: AtomicUsize,
    events: Mutex<Vec<Event>>,
}

impl Steps {
    fn only(left: usize) -> Self {
        Self { left: Some(left), ..Self::default() }
    }

    fn not_kept(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let reason = |event: &Event| match event {
            Event::ProgressNotKept { reason } => Some(reason.clone()),
            _ => None,
        };
        events.iter().filter_map(reason).collect()
    }
}

impl Watch for Steps {
    fn event(&self, event: Event) {
        let is_step = matches!(event, Event::PowFound { .. } | Event::Scanned { .. });
        self.taken.fetch_add(usize::from(is_step), Ordering::Relaxed);
        self.events.lock().unwrap().push(event);
    }
    fn stop(&self) -> bool {
        self.left.is_some_and(|left| self.taken.load(Ordering::Relaxed) >= left)
    }
}

/// A challenge whose proof takes more than two passes, and that proof.
static PROOF: LazyLock<(Challenge, ProofFile)> = LazyLock::new(|| {
    let set = open(&drives(1));
    let proof = |challenge: u8| {
        let challenge = Challenge([challenge; 32]);
        let file = prove(&set, &PARAMS, &challenge, NONCES, &mut Scans::new(), &Pows::default(), &Silent).unwrap();
        (challenge, file)
    };
    (0..).map(proof).find(|(_, file)| file.proof.nonce >= 2 * NONCES).unwrap()
});

fn request(set: &DataSet) -> Request<'_> {
    Request { set, params: &PARAMS, challenge: PROOF.0, nonces_per_pass: NONCES }
}

/// One run that keeps its progress on the drives of the set.
fn run(
    set: &DataSet,
    nonces: u32,
    backend: &mut dyn Backend,
    pows: &Pows,
    watch: &dyn Watch,
) -> Result<ProofFile, ProveError> {
    let request = Request { nonces_per_pass: nonces, ..request(set) };
    prove_keeping(&request, &mut Progress::kept(set, Duration::ZERO), backend, pows, watch)
}

/// A run that must find the proof, and what it did for it.
#[track_caller]
fn finish(drives: &[MemoryDrive]) -> (Vec<u8>, Vec<(u32, u64)>) {
    let (mut backend, pows) = (Scans::new(), Pows::default());
    assert_eq!(run(&open(drives), NONCES, &mut backend, &pows, &Silent).unwrap(), PROOF.1);
    backend.assert_none_twice();
    (pows.0.into_inner().unwrap(), backend.labels())
}

fn record(drive: &MemoryDrive) -> Option<Vec<u8>> {
    drive.record(Record::Proof).unwrap()
}

#[test]
fn one_drive_or_many_in_any_order_give_the_same_proof() {
    for count in [1, 2, 5] {
        let mut drives = drives(count);
        for _ in 0..count {
            drives.rotate_left(1);
            let set = open(&drives);
            let file = prove(&set, &PARAMS, &PROOF.0, NONCES, &mut Scans::new(), &Pows::default(), &Silent).unwrap();
            assert_eq!(file, PROOF.1);
            assert!(drives.iter().all(|drive| record(drive).is_none()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Stopped again and again: the same bytes in the end, and nothing is done twice.
    #[test]
    fn stops_cost_nothing(count in 1_usize..6, steps in prop::collection::vec(1_usize..80, 1..30), rotate in any::<bool>()) {
        let mut drives = drives(count);
        let (mut backend, pows) = (Scans::new(), Pows::default());
        for left in steps {
            match run(&open(&drives), NONCES, &mut backend, &pows, &Steps::only(left)) {
                Err(ProveError::Stopped { kept: true }) => {}
                result => prop_assert_eq!(result.unwrap(), PROOF.1.clone()),
            }
            if rotate {
                drives.rotate_left(1);
            }
            prop_assert_eq!(drives.iter().filter(|drive| record(drive).is_some()).count(), 1);
        }
        prop_assert_eq!(run(&open(&drives), NONCES, &mut backend, &pows, &Silent).unwrap(), PROOF.1.clone());
        backend.assert_none_twice();
        let mut found = pows.0.into_inner().unwrap();
        found.dedup();
        prop_assert!(found.is_sorted(), "a pow was searched twice: {found:?}");
    }

    /// Killed again and again, what was saved last being a while ago: the same bytes.
    #[test]
    fn kills_cost_little(kills in prop::collection::vec((1_usize..80, 0_usize..20), 1..12)) {
        let drives = drives(3);
        for (left, lost) in kills {
            let before = record(&drives[0]);
            let early = run(&open(&drives), NONCES, &mut Scans::new(), &Pows::default(), &Steps::only(left.saturating_sub(lost).max(1)));
            let saved = record(&drives[0]);
            // The same once more with some steps that nobody will remember.
            before.map_or_else(|| drives[0].forget_record(Record::Proof), |bytes| drives[0].replace_record(Record::Proof, &bytes)).unwrap();
            let late = run(&open(&drives), NONCES, &mut Scans::new(), &Pows::default(), &Steps::only(left));
            for result in [early, late] {
                match result {
                    Err(ProveError::Stopped { .. }) => {}
                    result => prop_assert_eq!(result.unwrap(), PROOF.1.clone()),
                }
            }
            drives[0].replace_record(Record::Proof, &saved.unwrap()).unwrap();
        }
        finish(&drives);
    }
}

#[test]
fn a_kill_after_the_proof_was_found_costs_nothing_and_forgetting_leaves_nothing() {
    let drives = drives(5);
    let (pows, scanned) = finish(&drives);
    assert!(!pows.is_empty() && !scanned.is_empty());
    assert_eq!(finish(&drives), (vec![], vec![]));

    let set = open(&drives);
    let mut progress = Progress::kept(&set, Duration::ZERO);
    prove_keeping(&request(&set), &mut progress, &mut Scans::new(), &Pows::default(), &Silent).unwrap();
    progress.forget().unwrap();
    assert!(drives.iter().all(|drive| record(drive).is_none()));
    assert_eq!(finish(&drives).0, pows);
}

/// A label rots, becomes a hit or stops being one, and is mended: old hits are not found again, pows are kept.
#[test]
fn after_a_wrong_label_the_scan_is_forgotten_but_no_pow() {
    let drives = drives(2);
    let whole = drives.iter().map(MemoryDrive::files).collect::<Vec<_>>();
    let first_hit = unpack(&PROOF.1.proof.indices, required_bits(LABELS)).next().unwrap();
    let file = (first_hit / LABELS_PER_FILE) as u32;
    let holder = whole.iter().position(|files| files.contains_key(&file)).unwrap();
    let mut rotten = whole[holder][&file].clone();
    rotten[(first_hit % LABELS_PER_FILE) as usize * 16] ^= 1;
    drives[holder].set_file(file, rotten);

    let set = open(&drives);
    let mut progress = Progress::kept(&set, Duration::ZERO);
    let other = prove_keeping(&request(&set), &mut progress, &mut Scans::new(), &Pows::default(), &Silent).unwrap();
    assert_ne!(other, PROOF.1);
    progress.forget_scan().unwrap();
    drives[holder].set_file(file, whole[holder][&file].clone());
    let (pows, scanned) = finish(&drives);
    assert!(pows.len() < 4 && scanned.len() as u64 > 2 * LABELS, "{pows:?}");
}

#[test]
fn a_damaged_record_counts_as_none() {
    let drives = drives(1);
    run(&open(&drives), NONCES, &mut Scans::new(), &Pows::default(), &Steps::only(100)).unwrap_err();
    let whole = record(&drives[0]).unwrap();
    let (all, few) = ((0..whole.len()).step_by(97), [0, 12, 13, 80, whole.len() - 1]);
    for at in all.chain(few) {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        for bytes in [&damaged, &whole[..at]] {
            drives[0].replace_record(Record::Proof, bytes).unwrap();
            let watch = Steps::only(1);
            run(&open(&drives), NONCES, &mut Scans::new(), &Pows::default(), &watch).unwrap_err();
            let begun_again =
                watch.events.lock().unwrap().iter().any(|event| *event == Event::PowFound { group: 0, pow: pow(0) });
            assert!(begun_again, "byte {at}");
        }
    }
    drives[0].replace_record(Record::Proof, &whole).unwrap();
    let (pows, _) = finish(&drives);
    assert!(!pows.contains(&0), "the whole one counts");
}

fn pow(group: u32) -> u64 {
    u64::from(group) * 7 + u64::from(PROOF.0.0[0])
}

#[test]
fn what_was_kept_counts_for_what_it_is_of() {
    // One disk, so that labels come in order.
    let drives = drives(1);
    run(&open(&drives), NONCES, &mut Scans::new(), &Pows::default(), &Steps::only(100)).unwrap_err();
    let kept = record(&drives[0]).unwrap();
    let known = 4;
    // Other nonces per pass: the pows count, the scan does not.
    let (mut backend, pows) = (Scans::new(), Pows::default());
    run(&open(&drives), NONCES * 2, &mut backend, &pows, &Steps::only(1)).unwrap_err();
    assert_eq!((pows.0.into_inner().unwrap(), backend.scanned[0].0), (vec![], 0));
    let undisturbed = {
        let set = open(&drives);
        prove(&set, &PARAMS, &PROOF.0, NONCES * 2, &mut Scans::new(), &Pows::default(), &Silent).unwrap()
    };
    let pows = Pows::default();
    assert_eq!(run(&open(&drives), NONCES * 2, &mut Scans::new(), &pows, &Silent).unwrap(), undisturbed);
    assert!(pows.0.into_inner().unwrap().iter().all(|group| *group >= known));

    // Another challenge, another target, other hits: what does not fit is not used.
    let begin = |params: &NetworkParams, challenge: Challenge| {
        drives[0].replace_record(Record::Proof, &kept).unwrap();
        let (mut backend, pows, set) = (Scans::new(), Pows::default(), open(&drives));
        let request = Request { set: &set, params, challenge, nonces_per_pass: NONCES };
        let mut progress = Progress::kept(&set, Duration::ZERO);
        prove_keeping(&request, &mut progress, &mut backend, &pows, &Steps::only(3)).unwrap_err();
        (pows.0.into_inner().unwrap(), backend.scanned.first().cloned())
    };
    assert_eq!(begin(&PARAMS, Challenge([0xee; 32])), (vec![0, 1], Some((0, 0..LABELS_PER_FILE))));
    let other = NetworkParams { pow_difficulty: [0x77; 32], ..PARAMS.clone() };
    assert_eq!(begin(&other, PROOF.0), (vec![0, 1], Some((0, 0..LABELS_PER_FILE))));
    for other in [NetworkParams { k1: 5, ..PARAMS.clone() }, NetworkParams { k2: 14, ..PARAMS.clone() }] {
        assert_eq!(begin(&other, PROOF.0), (vec![], Some((0, 0..LABELS_PER_FILE))));
    }
    let (pows, scanned) = begin(&PARAMS, PROOF.0);
    assert!(pows.is_empty() && scanned.is_some_and(|scanned| scanned != (0, 0..LABELS_PER_FILE)));
}

/// Records on several drives: the one that came furthest counts, the pows of all do.
#[test]
fn the_furthest_record_counts() {
    // All files on one disk, so that labels come in order.
    let drives = [self::drives(1), vec![MemoryDrive::default()]].concat();
    drives[1].replace_metadata(&metadata()).unwrap();
    let mut backend = Scans::new();
    let mut run_for = |steps| {
        run(&open(&drives), NONCES, &mut backend, &Pows::default(), &Steps::only(steps)).unwrap_err();
        record(&drives[0]).unwrap()
    };
    let early = run_for(20);
    let late = run_for(40);
    for (first, second) in [(&early, &late), (&late, &early)] {
        drives[0].replace_record(Record::Proof, first).unwrap();
        drives[1].replace_record(Record::Proof, second).unwrap();
        let watch = Steps::only(1);
        run(&open(&drives), NONCES, &mut Scans::new(), &Pows::default(), &watch).unwrap_err();
        let events = watch.events.lock().unwrap();
        let Event::ProofContinued { pass: 0, done, labels: LABELS, pows: 2 } = events[0] else { panic!("{events:?}") };
        assert!(done > 50 * LABELS_PER_FILE, "{done}");
        let started = Event::PassStarted { pass: 0, nonces: 0..NONCES, labels: LABELS, done };
        assert_eq!(events[1..], [started, Event::Scanned { labels: done + LABELS_PER_FILE }]);
        assert!(record(&drives[1]).is_none(), "one record holds it all");
    }
}

/// The drive that keeps the progress fails at any operation: the proof is the same or there is an error, and the next run
/// ends well.
#[test]
fn a_drive_that_fails_at_any_operation_never_changes_the_proof() {
    let (mut errors, mut proofs) = (0, 0);
    for budget in (0..).step_by(3) {
        let drives = drives(2);
        let faulty = FaultyDrive::new(drives[0].clone(), budget);
        let faulty: Vec<Box<dyn Drive>> = vec![Box::new(faulty), Box::new(drives[1].clone())];
        let result = DataSet::open(faulty).map_err(drop).and_then(|set| {
            run(&set, NONCES, &mut Scans::new(), &Pows::default(), &Silent).map_err(|error| {
                assert!(matches!(error, ProveError::Drive(_)), "{error}");
            })
        });
        match result {
            Ok(file) => {
                assert_eq!(file, PROOF.1);
                proofs += 1;
                // Enough operations for everything; a few more budgets only for the last records.
                if proofs > 10 {
                    break;
                }
            }
            Err(()) => errors += 1,
        }
        finish(&drives);
    }
    assert!(errors > 50, "{errors}");
}

/// What a test drive does otherwise than memory.
type ReadHook = Box<dyn Fn(u32) -> Result<(), DriveError> + Send + Sync>;

struct TestDrive {
    inner: MemoryDrive,
    disk: u64,
    claim: fn() -> Result<(), DriveError>,
    before_read: ReadHook,
}

impl TestDrive {
    fn new(inner: &MemoryDrive, disk: u64) -> Self {
        Self { inner: inner.clone(), disk, claim: || Ok(()), before_read: Box::new(|_| Ok(())) }
    }
}

impl Drive for TestDrive {
    fn name(&self) -> String {
        "test".into()
    }
    fn check_writable(&self) -> Result<(), DriveError> {
        self.inner.check_writable()
    }
    fn claim(&self, _: Role) -> Result<(), DriveError> {
        (self.claim)()
    }
    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError> {
        self.inner.held()
    }
    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError> {
        // Opening a set reads a byte of each file.
        if buffer.len() > 1 {
            (self.before_read)(file)?;
        }
        self.inner.read_at(file, offset, buffer)
    }
    fn preallocate(&self, file: u32, bytes: u64) -> Result<(), DriveError> {
        self.inner.preallocate(file, bytes)
    }
    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError> {
        self.inner.write_at(file, offset, data)
    }
    fn sync(&self, file: u32) -> Result<(), DriveError> {
        self.inner.sync(file)
    }
    fn metadata(&self) -> Result<Option<Metadata>, DriveError> {
        self.inner.metadata()
    }
    fn replace_metadata(&self, metadata: &Metadata) -> Result<(), DriveError> {
        self.inner.replace_metadata(metadata)
    }
    fn record(&self, record: Record) -> Result<Option<Vec<u8>>, DriveError> {
        self.inner.record(record)
    }
    fn replace_record(&self, record: Record, bytes: &[u8]) -> Result<(), DriveError> {
        self.inner.replace_record(record, bytes)
    }
    fn forget_record(&self, record: Record) -> Result<(), DriveError> {
        self.inner.forget_record(record)
    }
    fn free_space(&self) -> Result<(u64, u64), DriveError> {
        self.inner.free_space()
    }
    fn disk(&self) -> Result<u64, DriveError> {
        Ok(self.disk)
    }
}

fn refused() -> Result<(), DriveError> {
    Err(DriveError::Io { action: "write", place: "here".into(), source: ErrorKind::ReadOnlyFilesystem.into() })
}

fn busy() -> Result<(), DriveError> {
    Err(DriveError::Busy { place: "here".into() })
}

#[test]
fn progress_goes_where_it_can_or_the_proof_goes_on_without() {
    let allowed = || Ok(());
    for (claims, keeper) in [
        ([allowed, refused, busy], Some(0)),
        ([refused, allowed, busy], Some(1)),
        ([refused, refused, refused], None),
        // Two provers at once: the second one keeps nothing, not even elsewhere.
        ([busy, allowed, allowed], None),
    ] {
        let drives = drives(3);
        let set = |claims: [fn() -> Result<(), DriveError>; 3]| {
            let of = |(drive, claim)| Box::new(TestDrive { claim, ..TestDrive::new(drive, 1) }) as Box<dyn Drive>;
            DataSet::open(drives.iter().zip(claims).map(of).collect()).unwrap()
        };
        let watch = Steps::only(40);
        let stopped = run(&set(claims), NONCES, &mut Scans::new(), &Pows::default(), &watch);
        assert!(matches!(stopped, Err(ProveError::Stopped { kept }) if kept == keeper.is_some()), "{stopped:?}");
        assert_eq!(watch.not_kept().len(), usize::from(keeper.is_none()), "told once");
        assert_eq!(drives.iter().position(|drive| record(drive).is_some()), keeper);
        let watch = Steps::default();
        assert_eq!(run(&set(claims), NONCES, &mut Scans::new(), &Pows::default(), &watch).unwrap(), PROOF.1);
        assert_eq!(watch.not_kept().len(), usize::from(keeper.is_none()));
    }
}

/// Two processes, one set: the second one goes on without keeping its progress, and does not touch the first one's.
#[test]
fn a_second_prover_leaves_the_first_ones_progress_alone() {
    let dir = tempfile::tempdir().unwrap();
    for (file, bytes) in drives(1)[0].files() {
        std::fs::write(dir.path().join(format!("postdata_{file}.bin")), bytes).unwrap();
    }
    let open = || DirDrive::existing(dir.path()).unwrap();
    // Something has to make our own folder first.
    open().claim(Role::Writer).unwrap();
    open().replace_metadata(&metadata()).unwrap();
    let set = || DataSet::open(vec![Box::new(open())]).unwrap();
    let first = set();
    run(&first, NONCES, &mut Scans::new(), &Pows::default(), &Steps::only(40)).unwrap_err();
    let kept = open().record(Record::Proof).unwrap().unwrap();

    let (second, watch) = (set(), Steps::default());
    let mut progress = Progress::kept(&second, Duration::ZERO);
    let file = prove_keeping(&request(&second), &mut progress, &mut Scans::new(), &Pows::default(), &watch).unwrap();
    assert_eq!(file, PROOF.1);
    assert!(watch.not_kept()[0].contains("in use by another process"), "{:?}", watch.not_kept());
    progress.forget().unwrap();
    assert_eq!(open().record(Record::Proof).unwrap(), Some(kept));

    drop((first, second));
    let third = set();
    let mut progress = Progress::kept(&third, Duration::ZERO);
    prove_keeping(&request(&third), &mut progress, &mut Scans::new(), &Pows::default(), &Silent).unwrap();
    progress.forget().unwrap();
    assert_eq!(open().record(Record::Proof).unwrap(), None);
}

/// The files of a set of one drive in a directory, all written long ago.
fn in_directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, bytes) in drives(1)[0].files() {
        write_file(&dir, file, &bytes, 1000);
    }
    let drive = DirDrive::existing(dir.path()).unwrap();
    drive.claim(Role::Writer).unwrap();
    drive.replace_metadata(&metadata()).unwrap();
    dir
}

/// `time` in seconds since 1970.
fn write_file(dir: &tempfile::TempDir, file: u32, bytes: &[u8], time: u64) {
    let path = dir.path().join(format!("postdata_{file}.bin"));
    std::fs::write(&path, bytes).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
}

fn open_directory(dir: &tempfile::TempDir) -> DataSet {
    DataSet::open(vec![Box::new(DirDrive::existing(dir.path()).unwrap())]).unwrap()
}

/// Labels that were scanned before a file was made anew don't count, its pows do.
#[test]
fn a_continued_proof_is_one_of_the_data_as_it_is_now() {
    let dir = in_directory();
    // The first pass is over, the second one is not.
    run(&open_directory(&dir), NONCES, &mut Scans::new(), &Pows::default(), &Steps::only(100)).unwrap_err();
    let (mut backend, pows) = (Scans::new(), Pows::default());
    run(&open_directory(&dir), NONCES, &mut backend, &pows, &Steps::only(1)).unwrap_err();
    assert_eq!((backend.scanned[0].0, pows.0.into_inner().unwrap()), (2, vec![]), "nothing changed");

    // Other labels in a file that holds hits, and as many.
    let first_hit = unpack(&PROOF.1.proof.indices, required_bits(LABELS)).next().unwrap();
    let file = (first_hit / LABELS_PER_FILE) as u32;
    let other = drives(1)[0].files()[&((file + 1) % 60)].clone();
    write_file(&dir, file, &other, 1001);
    let expected =
        prove(&open_directory(&dir), &PARAMS, &PROOF.0, NONCES, &mut Scans::new(), &Pows::default(), &Silent).unwrap();
    assert_ne!(expected, PROOF.1);
    let (mut backend, pows) = (Scans::new(), Pows::default());
    assert_eq!(run(&open_directory(&dir), NONCES, &mut backend, &pows, &Silent).unwrap(), expected);
    assert_eq!(backend.scanned[0], (0, 0..LABELS_PER_FILE));
    backend.assert_none_twice();
    assert!(pows.0.into_inner().unwrap().iter().all(|group| *group >= 4), "the pows of two passes are kept");
}

/// Writes to a file as soon as something was scanned.
struct Meddler<'a>(&'a tempfile::TempDir);

impl Watch for Meddler<'_> {
    fn event(&self, event: Event) {
        if matches!(event, Event::Scanned { .. }) {
            write_file(self.0, 0, &drives(1)[0].files()[&0], 1001);
        }
    }
    fn stop(&self) -> bool {
        false
    }
}

#[test]
fn no_proof_comes_from_files_that_changed_while_they_were_scanned() {
    let dir = in_directory();
    let result = run(&open_directory(&dir), NONCES, &mut Scans::new(), &Pows::default(), &Meddler(&dir));
    assert!(matches!(result, Err(ProveError::DataChanged)), "{result:?}");
    let (mut backend, pows) = (Scans::new(), Pows::default());
    assert_eq!(run(&open_directory(&dir), NONCES, &mut backend, &pows, &Silent).unwrap(), PROOF.1);
    assert_eq!((backend.scanned[0].clone(), pows.0.into_inner().unwrap()), ((0, 0..LABELS_PER_FILE), vec![]));
}

/// A set whose files that are named can't be read, one disk a drive.
fn unreadable(drives: &[MemoryDrive], files: Range<u32>) -> DataSet {
    let of = |(disk, drive)| {
        let files = files.clone();
        let before_read: ReadHook = Box::new(move |file| match files.contains(&file) {
            true => {
                Err(DriveError::Io { action: "read", place: format!("file {file}"), source: ErrorKind::Other.into() })
            }
            false => Ok(()),
        });
        Box::new(TestDrive { before_read, ..TestDrive::new(drive, disk) }) as Box<dyn Drive>
    };
    DataSet::open((0..).zip(drives).map(of).collect()).unwrap()
}

/// As if labels were read in their order: those behind the proof's last one are not needed in its pass, all others are.
#[test]
fn a_failed_read_ends_the_proof_unless_it_was_not_needed() {
    let params = NetworkParams { k1: 12, ..PARAMS.clone() };
    let (drives, challenge) = (drives(5), Challenge([3; 32]));
    let proof = |set: &DataSet, backend: &mut Scans| {
        let request = Request { set, params: &params, challenge, nonces_per_pass: NONCES };
        prove_keeping(&request, &mut Progress::kept(set, Duration::ZERO), backend, &Pows::default(), &Silent)
    };
    let expected = proof(&open(&self::drives(1)), &mut Scans::new()).unwrap();
    assert!(expected.proof.nonce < NONCES, "found in the first pass");
    let last = unpack(&expected.proof.indices, required_bits(LABELS)).take(13).max().unwrap();
    let file = (last / LABELS_PER_FILE) as u32;
    let files = (LABELS / LABELS_PER_FILE) as u32 + 1;
    assert!(file > 5 && file + 5 < files, "{file}");

    assert_eq!(proof(&unreadable(&drives, file + 1..files), &mut Scans::new()).unwrap(), expected);
    for needed in [file, 0, file / 2] {
        for drive in &drives {
            drive.forget_record(Record::Proof).unwrap();
        }
        let mut backend = Scans::new();
        let failed = proof(&unreadable(&drives, needed..needed + 1), &mut backend);
        let Err(ProveError::Drive(error)) = failed else { panic!("{failed:?}") };
        assert!(error.to_string().contains(&format!("file {needed}:")), "{error}");
        // All that could be read stays scanned.
        assert_eq!(proof(&open(&drives), &mut backend).unwrap(), expected);
        backend.assert_none_twice();
    }
}

/// Who reads at the same time.
#[derive(Default)]
struct Meeting {
    /// Readers now, and the most there were.
    readers: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Meeting {
    /// Waits until as many as are expected read at once, which then has been seen. Not for ever.
    fn attend(&self, expected: usize) {
        let mut readers = self.readers.lock().unwrap();
        readers.0 += 1;
        readers.1 = readers.1.max(readers.0);
        self.changed.notify_all();
        let patience = Duration::from_secs(60);
        let (mut readers, _) =
            self.changed.wait_timeout_while(readers, patience, |readers| readers.1 < expected).unwrap();
        readers.0 -= 1;
    }
}

/// The most reads that were under way at once; `disk` says which disk a drive is on.
fn most_reads_at_once(drives: &[MemoryDrive], expected: usize, disk: fn(u64) -> u64) -> usize {
    let meeting = Arc::new(Meeting::default());
    let of = |(number, drive)| {
        let meeting = Arc::clone(&meeting);
        let before_read: ReadHook = Box::new(move |_| {
            meeting.attend(expected);
            Ok(())
        });
        Box::new(TestDrive { before_read, ..TestDrive::new(drive, disk(number)) }) as Box<dyn Drive>
    };
    let set = DataSet::open((0..).zip(drives).map(of).collect()).unwrap();
    let file = prove(&set, &PARAMS, &PROOF.0, NONCES, &mut Scans::new(), &Pows::default(), &Silent).unwrap();
    assert_eq!(file, PROOF.1);
    meeting.readers.lock().unwrap().1
}

/// N disks give N times the data of one exactly when all of them are read at the same time; one disk is fastest when it is
/// read in order.
#[test]
fn every_disk_is_read_at_the_same_time_and_none_twice_at_once() {
    let drives = drives(5);
    assert_eq!(most_reads_at_once(&drives, 5, |drive| drive), 5);
    assert_eq!(most_reads_at_once(&drives, 1, |_| 77), 1);
    assert_eq!(most_reads_at_once(&drives, 2, |drive| drive % 2), 2);
}
