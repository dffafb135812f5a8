//! Devices that lie while a set is made: whenever they are caught, no wrong byte stays and the VRF nonce is the right one.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use post_core::backend::checked::{Checked, spot_check};
use post_core::backend::faulty::Faulty;
use post_core::backend::pool::{Pool, Quarantine};
use post_core::backend::{Backend, Cpu, Error, Info, LabelJob, Labels, Sink};
use post_core::difficulty::vrf_threshold;
use post_core::drive::{Drive, DriveError, FaultyDrive, MemoryDrive, Record, Role};
use post_core::identity::{AtxId, Commitment, NodeId};
use post_core::init::{InitError, Outcome, Request, init};
use post_core::label::{Label, reference, stored};
use post_core::metadata::Metadata;
use post_core::params::{NetworkParams, ScryptParams};
use post_core::scan::{Hit, ScanJob};
use post_core::set::{DataSet, Problem, SetError};
use post_core::watch::{Event, Silent, Watch};

/// 2 units of 3000 labels in files of 1000.
fn request(node: u8) -> Request {
    Request {
        params: NetworkParams {
            labels_per_unit: 3000,
            scrypt: ScryptParams { n: 2, r: 1, p: 1 },
            ..NetworkParams::devnet()
        },
        node_id: NodeId([node; 32]),
        commitment_atx_id: AtxId([9; 32]),
        units: 2,
        max_file_size: 16_000,
        files: None,
        broken: Vec::new(),
        checkpoint_every: Duration::ZERO,
    }
}

const TOTAL: u64 = 6000;

fn full(request: &Request, index: u64) -> [u8; 32] {
    let commitment = Commitment::new(&request.node_id, &request.commitment_atx_id);
    reference::full_label(&commitment, index, request.params.scrypt).unwrap()
}

fn expected(request: &Request) -> BTreeMap<u32, Vec<u8>> {
    let labels: Vec<_> = (0..TOTAL).map(|index| stored(&full(request, index))).collect();
    labels.chunks(1000).zip(0..).map(|(labels, file)| (file, labels.as_flattened().to_vec())).collect()
}

fn assert_whole(request: &Request, drives: &[MemoryDrive]) {
    let files: BTreeMap<u32, Vec<u8>> = drives.iter().flat_map(MemoryDrive::files).collect();
    let expected = expected(request);
    assert_eq!(files.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (file, bytes) in files {
        let labels = bytes.as_chunks::<16>().0.iter().zip(expected[&file].as_chunks::<16>().0);
        let wrong: Vec<_> = labels.enumerate().filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect();
        assert!(wrong.is_empty() && bytes.len() == expected[&file].len(), "file {file}: wrong labels at {wrong:?}");
    }
    let smallest = (0..TOTAL).min_by_key(|index| full(request, *index));
    for drive in drives.iter().filter(|drive| !drive.files().is_empty()) {
        assert_eq!(drive.metadata().unwrap().unwrap().nonce, smallest);
    }
    let open = drives.iter().map(|drive| Box::new(drive.clone()) as Box<dyn Drive>).collect();
    assert!(DataSet::open(open).is_ok());
}

fn run(
    request: &Request,
    drives: &[MemoryDrive],
    backend: &mut dyn Backend,
    watch: &dyn Watch,
) -> Result<Outcome, InitError> {
    let drives: Vec<Box<dyn Drive>> = drives.iter().map(|drive| Box::new(drive.clone()) as Box<dyn Drive>).collect();
    init(request, &drives, &[], backend, watch)
}

fn device(id: &str) -> Faulty {
    Faulty::new(id, Box::new(Cpu::new(1).unwrap()), 10)
}

/// Slow enough for the liar to get its part, however busy the machine.
fn good() -> Box<dyn Backend> {
    Box::new(device("good").slow(Duration::from_micros(30)))
}

fn pool(devices: Vec<Box<dyn Backend>>) -> Pool {
    Pool::new(devices, Box::new(|_| {})).unwrap()
}

/// A device whose labels are looked at, all of them, but only from an index on: it is caught late.
struct CaughtFrom {
    inner: Faulty,
    index: u64,
    /// Begins when this is set.
    gate: Arc<AtomicBool>,
}

impl Backend for CaughtFrom {
    fn info(&self) -> &Info {
        self.inner.info()
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let (device, from) = (self.info().id.clone(), self.index);
        while !self.gate.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut checked = Ok(());
        self.inner.label(job, &mut |positions, labels| {
            if matches!(job.labels, Labels::Range(..)) && positions.start >= from {
                let mut one_by_one = positions.clone().zip(labels);
                checked = one_by_one.try_for_each(|(at, label)| spot_check(job, &(at..at + 1), &[*label], &device));
            }
            if checked.is_err() { ControlFlow::Break(()) } else { sink(positions, labels) }
        })?;
        checked
    }
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.inner.scan(job, first, labels, hits)
    }
}

/// Lies in every other label, is caught from an index on.
fn caught_from(index: u64) -> CaughtFrom {
    CaughtFrom { inner: device("liar").lies(2, 5), index, gate: Arc::new(true.into()) }
}

/// An honest device that dies after a hundred batches, and a liar that begins then and is caught late.
fn honest_then_liar() -> Pool {
    let gate = Arc::new(AtomicBool::new(false));
    let liar = CaughtFrom { gate: Arc::clone(&gate), ..caught_from(5400) };
    let honest = device("honest").dies_after(100);
    let opens = move |_: &Quarantine| gate.store(true, Ordering::Relaxed);
    Pool::new(vec![Box::new(honest), Box::new(liar)], Box::new(opens)).unwrap()
}

fn is_of_liar(result: &Result<Outcome, InitError>) -> bool {
    matches!(result, Err(InitError::Backend(Error::Wrong { device, .. })) if device == "liar")
}

#[test]
fn a_liar_among_others_leaves_nothing_behind() {
    let mut caught = 0;
    for seed in 0..8 {
        let request = request(seed as u8);
        let drives = [MemoryDrive::default(), MemoryDrive::default()];
        let liar = Checked::new(Box::new(device("liar").lies(50, seed)));
        let mut pool = pool(vec![Box::new(liar), good()]);
        // Caught at a batch in 50, of some 300; should it not be, its labels may stay, so that run says nothing.
        let outcome = run(&request, &drives, &mut pool, &Silent).unwrap();
        assert_eq!(outcome.made, TOTAL);
        if !pool.quarantined().is_empty() {
            caught += 1;
            assert_whole(&request, &drives);
        }
    }
    assert!(caught > 0);
}

#[test]
fn a_liar_caught_in_the_last_stretch_is_distrusted_in_the_first_too() {
    for node in 20..26 {
        let request = request(node);
        let drives = [MemoryDrive::default(), MemoryDrive::default()];
        // Two stretches: one file is there already.
        run(&Request { files: Some(2..3), ..request.clone() }, &drives, &mut Cpu::new(1).unwrap(), &Silent).unwrap();
        // It gets some of the last 1500 labels only if it is awake for a moment while the other makes them.
        let good = device("good").slow(Duration::from_micros(200));
        let mut pool = pool(vec![Box::new(caught_from(4500)), Box::new(good)]);
        let outcome = run(&request, &drives, &mut pool, &Silent).unwrap();
        assert_eq!(outcome.made, TOTAL - 1000);
        assert_eq!(pool.quarantined().len(), 1, "in the last 1500 labels it gets some");
        assert_whole(&request, &drives);
    }
}

#[test]
fn a_wrong_label_that_the_search_for_the_nonce_meets_has_the_same_end() {
    for seed in 0..4 {
        let request = request(40 + seed as u8);
        let drives = [MemoryDrive::default()];
        // Nobody checks its labels; one in 100 is all zeros.
        let mut pool = pool(vec![Box::new(device("liar").gives_zeros(100, seed)), good()]);
        run(&request, &drives, &mut pool, &Silent).unwrap();
        assert_eq!(pool.quarantined()[0].device, "liar");
        assert_whole(&request, &drives);
    }
}

#[test]
fn a_liar_alone_ends_the_run_and_the_next_one_repairs() {
    let unfinished = |drives: &[MemoryDrive]| {
        let drives = drives.iter().map(|drive| Box::new(drive.clone()) as Box<dyn Drive>).collect();
        let Err(SetError::Problems(problems)) = DataSet::open(drives) else { panic!("opened") };
        assert!(problems.iter().all(Problem::is_unfinished));
        problems.iter().filter(|problem| matches!(problem, Problem::Unfinished { .. })).count()
    };
    for in_pool in [false, true] {
        let request = request(50);
        let drives = [MemoryDrive::default(), MemoryDrive::default()];
        // Its files are whole when it is caught, but the last one.
        let liar: Box<dyn Backend> = Box::new(caught_from(5400));
        let mut backend: Box<dyn Backend> = if in_pool { Box::new(pool(vec![liar])) } else { liar };
        let result = run(&request, &drives, &mut *backend, &Silent);
        assert!(is_of_liar(&result), "{result:?}");
        drives.iter().for_each(MemoryDrive::crash);
        assert_eq!(unfinished(&drives), 5, "files of the right size that hold suspects");
        // The next run is stopped in the middle, the one after it ends.
        let mut honest = device("honest");
        let stopped = run(&request, &drives, &mut honest, &StopAt::new(2000));
        assert!(matches!(stopped, Err(InitError::Stopped { done: 2000.., total: TOTAL })), "{stopped:?}");
        drives.iter().for_each(MemoryDrive::crash);
        assert!(unfinished(&drives) > 0);
        let outcome = run(&request, &drives, &mut honest, &Silent).unwrap();
        assert!(outcome.made <= 4000, "what was repaired is not made once more");
        assert_whole(&request, &drives);
        assert_eq!(run(&request, &drives, &mut honest, &Silent).unwrap().made, 0);
    }
}

/// A pool of which only the liar is left knows what the others made.
#[test]
fn what_an_honest_device_made_before_it_died_is_kept() {
    let request = request(51);
    let drives = [MemoryDrive::default()];
    let result = run(&request, &drives, &mut honest_then_liar(), &Silent);
    assert!(is_of_liar(&result), "{result:?}");
    let outcome = run(&request, &drives, &mut Cpu::new(1).unwrap(), &Silent).unwrap();
    // Its hundred batches, but for those that were not delivered or lie in a gap that was closed.
    assert!(outcome.made <= TOTAL - 900, "{}", outcome.made);
    assert_whole(&request, &drives);
}

/// Everything that can fail after the journal knows of the suspects.
#[test]
fn a_crash_after_a_liar_was_caught_forgets_no_suspect() {
    let request = request(52);
    let (mut crashes, mut with_suspects) = (0, 0);
    for budget in (0..).step_by(29) {
        let drive = MemoryDrive::default();
        let faulty: Vec<Box<dyn Drive>> = vec![Box::new(FaultyDrive::new(drive.clone(), budget))];
        let mut pool = pool(vec![Box::new(caught_from(3000)), good()]);
        let result = init(&request, &faulty, &[], &mut pool, &Silent);
        let suspects = drive.record(Record::Journal).unwrap().is_some_and(|journal| contains(&journal, b"suspect"));
        match result {
            Ok(_) => {
                assert!(!suspects);
                assert_whole(&request, &[drive]);
                break;
            }
            // Where the drive failed when it was to be told of the liar, that is not hidden.
            Err(InitError::NotNoted { .. }) => {}
            Err(error) => assert!(matches!(error, InitError::Set(SetError::Drive(_))), "{error}"),
        }
        crashes += 1;
        if suspects {
            with_suspects += 1;
            drive.crash();
            run(&request, std::slice::from_ref(&drive), &mut Cpu::new(1).unwrap(), &Silent).unwrap();
            assert_whole(&request, &[drive]);
        }
    }
    assert!(crashes > 35 && with_suspects > 6, "{with_suspects} of {crashes}");
}

/// A drive that so often refuses a journal with suspects in it.
struct Refuses(MemoryDrive, std::sync::atomic::AtomicU32);

impl Drive for Refuses {
    fn name(&self) -> String {
        "stubborn".into()
    }
    fn check_writable(&self) -> Result<(), DriveError> {
        self.0.check_writable()
    }
    fn claim(&self, role: Role) -> Result<(), DriveError> {
        self.0.claim(role)
    }
    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError> {
        self.0.held()
    }
    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError> {
        self.0.read_at(file, offset, buffer)
    }
    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError> {
        self.0.write_at(file, offset, data)
    }
    fn sync(&self, file: u32) -> Result<(), DriveError> {
        self.0.sync(file)
    }
    fn metadata(&self) -> Result<Option<Metadata>, DriveError> {
        self.0.metadata()
    }
    fn replace_metadata(&self, metadata: &Metadata) -> Result<(), DriveError> {
        self.0.replace_metadata(metadata)
    }
    fn preallocate(&self, file: u32, bytes: u64) -> Result<(), DriveError> {
        self.0.preallocate(file, bytes)
    }
    fn record(&self, record: Record) -> Result<Option<Vec<u8>>, DriveError> {
        self.0.record(record)
    }
    fn replace_record(&self, record: Record, bytes: &[u8]) -> Result<(), DriveError> {
        let refuses = record == Record::Journal && contains(bytes, b"suspect") && {
            let one_less = |left: u32| left.checked_sub(1);
            self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
        };
        if refuses {
            return Err(DriveError::Busy { place: self.name() });
        }
        self.0.replace_record(record, bytes)
    }
    fn forget_record(&self, record: Record) -> Result<(), DriveError> {
        self.0.forget_record(record)
    }
    fn disk(&self) -> Result<u64, DriveError> {
        self.0.disk()
    }
    fn free_space(&self) -> Result<(u64, u64), DriveError> {
        self.0.free_space()
    }
}

#[test]
fn a_drive_that_cannot_be_told_of_a_liar_is_told_again_and_then_named() {
    let end = |refusals: u32| {
        let request = request(54);
        let drive = MemoryDrive::default();
        let refuses: Vec<Box<dyn Drive>> = vec![Box::new(Refuses(drive.clone(), refusals.into()))];
        let mut pool = pool(vec![Box::new(caught_from(3000)), good()]);
        (init(&request, &refuses, &[], &mut pool, &Silent), drive, request)
    };
    let (result, drive, request) = end(2);
    result.unwrap();
    assert_whole(&request, &[drive]);
    let (result, ..) = end(u32::MAX);
    let Err(InitError::NotNoted { lie, places }) = result else { panic!("{result:?}") };
    assert!(matches!(*lie, InitError::Backend(Error::Wrong { .. })), "{lie}");
    assert!(["postdata_0.bin", "labels ", "stubborn", "in use"].iter().all(|part| places.contains(part)), "{places}");
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// Past the end of a set without a nonce a liar may hide the label that is one.
#[test]
fn a_liar_past_the_end_of_the_set_hides_no_nonce() {
    let mut without = (0..80_000_u32).map(|seed| {
        let mut request = request(60);
        (request.params.labels_per_unit, request.units) = (40, 1);
        request.node_id.0[..4].copy_from_slice(&seed.to_le_bytes());
        request
    });
    let below = |request: &Request, index: u64| full(request, index) < vrf_threshold(40);
    let request = without.find(|request| !(0..40).any(|index| below(request, index))).unwrap();
    let nonce = (40..).find(|index| below(&request, *index)).unwrap();
    let one_by_one = |id| Faulty::new(id, Box::new(Cpu::new(1).unwrap()), 1);
    let liar = || CaughtFrom { inner: one_by_one("liar").lies(1, 0), ..caught_from(nonce + 5) };
    // Alone it hides the nonce and all that could stand in for it, until it is caught.
    let drive = MemoryDrive::default();
    let result = run(&request, std::slice::from_ref(&drive), &mut liar(), &Silent);
    assert!(is_of_liar(&result), "{result:?}");
    let outcome = run(&request, std::slice::from_ref(&drive), &mut Cpu::new(1).unwrap(), &Silent).unwrap();
    assert_eq!(outcome.nonce, Some(nonce));
    // Beside a device that takes so long for a label that meanwhile the liar is caught.
    let drive = MemoryDrive::default();
    let good = one_by_one("good").slow(Duration::from_millis(100));
    let mut pool = pool(vec![Box::new(liar()), Box::new(good)]);
    let outcome = run(&request, std::slice::from_ref(&drive), &mut pool, &Silent).unwrap();
    assert_eq!(outcome.nonce, Some(nonce), "{:?}", pool.quarantined());
}

/// Fails with what it is told to when its sink has had enough.
struct FailsAtTheEnd(Faulty, fn() -> Error);

impl Backend for FailsAtTheEnd {
    fn info(&self) -> &Info {
        self.0.info()
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        self.0.label(job, sink)?;
        Err(self.1())
    }
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.0.scan(job, first, labels, hits)
    }
}

#[test]
fn a_device_that_fails_while_all_stop_hides_nothing_but_a_lie_does() {
    let end = |fails: fn() -> Error| {
        let mut device = FailsAtTheEnd(device("late"), fails);
        run(&request(53), &[MemoryDrive::default()], &mut device, &StopAt::new(1))
    };
    let lost = end(|| Error::DeviceLost { device: "late".into() });
    assert!(matches!(lost, Err(InitError::Stopped { .. })), "{lost:?}");
    let lie = end(|| Error::Wrong { device: "liar".into(), index: 0 });
    assert!(is_of_liar(&lie), "{lie:?}");
}

/// It is at its first batch when the run is stopped.
#[test]
fn a_lie_that_nobody_waited_for_is_noticed_before_a_run_ends() {
    let mut noticed = 0;
    for _ in 0..20 {
        let liar =
            Faulty::new("liar", Box::new(Cpu::new(1).unwrap()), 1000).slow(Duration::from_micros(100)).lies(1, 1);
        let deeds = liar.deeds();
        let mut pool = pool(vec![good(), Box::new(Checked::new(Box::new(liar)))]);
        let result = run(&request(55), &[MemoryDrive::default()], &mut pool, &StopAt::new(200));
        assert!(matches!(result, Err(InitError::Stopped { .. })), "{result:?}");
        let quarantined = pool.quarantined().len();
        drop(pool);
        if deeds.batches() > 0 {
            noticed += 1;
            assert_eq!(quarantined, 1);
        }
    }
    assert!(noticed > 0);
}

/// Stops as soon as files are read to be taken over.
#[derive(Default)]
struct StopAtRescan(AtomicBool);

impl Watch for StopAtRescan {
    fn event(&self, event: Event) {
        if matches!(event, Event::VrfRescan { .. }) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    fn stop(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn suspects_in_files_that_became_shorter_are_not_forgotten() {
    let request = request(56);
    let drive = MemoryDrive::default();
    let drives = std::slice::from_ref(&drive);
    let result = run(&request, drives, &mut honest_then_liar(), &Silent);
    assert!(is_of_liar(&result), "{result:?}");
    for file in [1, 3, 4] {
        drive.set_file(file, drive.files()[&file][..900 * 16].to_vec());
    }
    // One of them was taken over, two were not yet.
    let stopped = run(&request, drives, &mut Cpu::new(1).unwrap(), &StopAtRescan::default());
    assert!(matches!(stopped, Err(InitError::Stopped { .. })), "{stopped:?}");
    drive.crash();
    run(&request, drives, &mut Cpu::new(1).unwrap(), &Silent).unwrap();
    assert_whole(&request, drives);
}

/// Stops when so many labels are done.
struct StopAt {
    at: u64,
    reached: AtomicBool,
}

impl StopAt {
    fn new(at: u64) -> Self {
        Self { at, reached: false.into() }
    }
}

impl Watch for StopAt {
    fn event(&self, event: Event) {
        if matches!(event, Event::Labels { done, .. } if done >= self.at) {
            self.reached.store(true, Ordering::Relaxed);
        }
    }
    fn stop(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }
}
