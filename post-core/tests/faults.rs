//! Initialization over drives that fail in every way, machines that lose power, and the same command again and again: no
//! label that a journal counts is ever wrong on disk, little is done twice, and the end is the same bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use post_core::backend::{Backend, Cpu, Error, Info, LabelJob, Labels, Sink};
use post_core::drive::{Drive, Fault, FaultyDrive, Machine, MemoryDrive};
use post_core::identity::{AtxId, Commitment, NodeId};
use post_core::init::{Request, counted, init};
use post_core::label::{FullLabel, LABEL_BYTES, Label, reference, stored};
use post_core::params::{NetworkParams, ScryptParams};
use post_core::scan::{Hit, ScanJob};
use post_core::watch::{Event, Silent, Watch};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const TOTAL: u64 = 600;

/// Files that share no border with sectors, batches or units.
const PER_FILE: u64 = 90;

/// Drives at most.
const DRIVES: usize = 4;

fn request(checkpoint_every: Duration) -> Request {
    let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
    Request {
        params: NetworkParams { labels_per_unit: TOTAL / 3, scrypt, ..NetworkParams::devnet() },
        node_id: NodeId([1; 32]),
        commitment_atx_id: AtxId([9; 32]),
        units: 3,
        max_file_size: PER_FILE * LABEL_BYTES as u64,
        files: None,
        broken: Vec::new(),
        checkpoint_every,
    }
}

/// What the judge says.
struct Judge {
    labels: Vec<Label>,
    files: BTreeMap<u32, Vec<u8>>,
    nonce: u64,
}

static JUDGE: LazyLock<Judge> = LazyLock::new(|| {
    let request = request(Duration::ZERO);
    let commitment = Commitment::new(&request.node_id, &request.commitment_atx_id);
    let full = |index| reference::full_label(&commitment, index, request.params.scrypt).unwrap();
    let full: Vec<FullLabel> = (0..TOTAL).map(full).collect();
    let labels: Vec<Label> = full.iter().map(stored).collect();
    let files = labels.chunks(PER_FILE as usize).zip(0..);
    Judge {
        files: files.map(|(labels, file)| (file, labels.as_flattened().to_vec())).collect(),
        nonce: (0..TOTAL).min_by_key(|index| full[*index as usize]).unwrap(),
        labels,
    }
});

/// Knows all labels already; counts those it hands out.
struct Known {
    info: Info,
    batch: usize,
    handed: u64,
}

impl Known {
    fn new(batch: usize) -> Self {
        static INFO: LazyLock<Info> = LazyLock::new(|| Cpu::new(1).unwrap().info().clone());
        Self { info: INFO.clone(), batch, handed: 0 }
    }
}

impl Backend for Known {
    fn info(&self) -> &Info {
        &self.info
    }

    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        match &job.labels {
            Labels::List(list) => {
                let labels: Vec<Label> = list.iter().map(|(_, index)| JUDGE.labels[*index as usize]).collect();
                let _ = sink(0..labels.len() as u64, &labels);
            }
            Labels::Range(_, indices) => {
                for start in indices.clone().step_by(self.batch) {
                    let batch = start..indices.end.min(start + self.batch as u64);
                    self.handed += batch.end - batch.start;
                    if sink(batch.clone(), &JUDGE.labels[batch.start as usize..batch.end as usize]).is_break() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn scan(&mut self, _: &ScanJob<'_>, _: u64, _: &[Label], _: &mut Vec<Hit>) -> Result<(), Error> {
        panic!("nobody proves here")
    }
}

/// Remembers how many labels it was told are safe.
#[derive(Default)]
struct Heard {
    durable: AtomicU64,
}

impl Watch for Heard {
    fn event(&self, event: Event) {
        if let Event::Labels { done, durable: true } = event {
            self.durable.store(done, Ordering::Relaxed);
        }
    }
}

/// One call of `init`, and what happens to it.
#[derive(Clone, Debug)]
struct Run {
    /// Drive, number of the operation, what goes wrong.
    faults: Vec<(usize, u64, Fault)>,
    /// Labels in a batch.
    batch: usize,
    /// Whether there is a checkpoint after each batch, or only one in the end.
    checkpoints: bool,
    /// Afterwards the power goes.
    power_cut: bool,
    /// Afterwards space is freed.
    make_room: bool,
    seed: u64,
}

fn runs() -> impl Strategy<Value = (usize, Vec<Run>)> {
    let fault = prop_oneof![
        2 => Just(Fault::ShortWrite),
        1 => Just(Fault::Full),
        2 => Just(Fault::Io),
        1 => Just(Fault::Vanish),
        1 => Just(Fault::Slow),
        3 => Just(Fault::Kill),
    ];
    (1..=DRIVES).prop_flat_map(move |drives| {
        // About as many operations as there are on each drive.
        let faults = prop::collection::vec((0..drives, 0..100 / drives as u64 + 15, fault.clone()), 0..4);
        let run = (faults, 1_usize..110, prop::bool::weighted(0.8), any::<bool>(), any::<bool>(), any::<u64>());
        let run = run.prop_map(|(faults, batch, checkpoints, power_cut, make_room, seed)| Run {
            faults,
            batch,
            checkpoints,
            power_cut,
            make_room,
            seed,
        });
        (Just(drives), prop::collection::vec(run, 1..5))
    })
}

/// What a schedule came to.
#[derive(Default)]
struct Tally {
    runs: u64,
    unfinished: u64,
    power_cuts: u64,
    /// Labels kept from unfinished runs.
    kept: u64,
    fired: BTreeMap<Fault, u64>,
}

type Progress = Vec<BTreeMap<u32, Vec<Range<u64>>>>;

/// What the journals count: all of it must be right on disk.
fn progress(drives: &[MemoryDrive]) -> Progress {
    drives
        .iter()
        .map(|drive| {
            let (counted, files) = (counted(drive).unwrap(), drive.files());
            for (file, stretches) in &counted {
                for stretch in stretches.iter().filter(|stretch| !stretch.is_empty()) {
                    let bytes = stretch.start as usize * LABEL_BYTES..stretch.end as usize * LABEL_BYTES;
                    let there = files.get(file).and_then(|content| content.get(bytes.clone()));
                    assert_eq!(there, JUDGE.files[file].get(bytes), "labels {stretch:?} of file {file} are counted");
                }
            }
            counted
        })
        .collect()
}

fn labels(progress: &Progress) -> u64 {
    progress.iter().flat_map(BTreeMap::values).flatten().map(|stretch| stretch.end - stretch.start).sum()
}

/// Indices within each drive's files, to be compared one by one.
fn flat(progress: &Progress) -> BTreeSet<(usize, u32, u64)> {
    let files = progress.iter().enumerate().flat_map(|(drive, files)| files.iter().map(move |file| (drive, file)));
    let stretches = files.flat_map(|(drive, (file, all))| all.iter().map(move |stretch| (drive, *file, stretch)));
    stretches.flat_map(|(drive, file, stretch)| stretch.clone().map(move |index| (drive, file, index))).collect()
}

fn assert_whole(drives: &[MemoryDrive]) {
    let files: BTreeMap<u32, Vec<u8>> = drives.iter().flat_map(MemoryDrive::files).collect();
    assert!(files == JUDGE.files, "other bytes");
    for drive in drives.iter().filter(|drive| !drive.files().is_empty()) {
        assert_eq!(drive.metadata().unwrap().unwrap().nonce, Some(JUDGE.nonce));
    }
}

fn boxed(drives: impl IntoIterator<Item = impl Drive + 'static>) -> Vec<Box<dyn Drive>> {
    drives.into_iter().map(|drive| Box::new(drive) as Box<dyn Drive>).collect()
}

fn one_run(run: &Run, drives: &[MemoryDrive], tally: &mut Tally) {
    let machine = Machine::default();
    let faulty = drives.iter().enumerate().map(|(i, drive)| {
        let schedule = run.faults.iter().filter(|fault| fault.0 == i).map(|fault| (fault.1, fault.2)).collect();
        FaultyDrive::scheduled(drive.clone(), schedule, run.seed ^ i as u64, &machine)
    });
    let before = progress(drives);
    let heard = Heard::default();
    let mut backend = Known::new(run.batch);
    let every = if run.checkpoints { Duration::ZERO } else { Duration::MAX };
    let result = init(&request(every), &boxed(faulty), &[], &mut backend, &heard);
    let fired = machine.fired();
    if run.power_cut {
        drives.iter().zip(run.seed..).for_each(|(drive, seed)| drive.crash_torn(seed));
        tally.power_cuts += 1;
    }

    let after = progress(drives);
    assert!(flat(&after).is_superset(&flat(&before)), "what was counted once still is");
    let told = heard.durable.load(Ordering::Relaxed);
    assert!(labels(&after) >= told, "{told} labels were said to be durable, {} are", labels(&after));
    if result.is_ok() {
        assert_whole(drives);
    } else {
        tally.unfinished += 1;
        tally.kept += labels(&after) - labels(&before);
    }
    // A drive that fails alone may make the others throw away what is for it. Of a machine that stops each drive hears when
    // it is given a batch, and that one is lost.
    let stopped = fired.iter().all(|fault| matches!(fault, Fault::Slow | Fault::Kill));
    if run.checkpoints && stopped {
        let lost = backend.handed - (labels(&after) - labels(&before));
        let most = run.batch * drives.len();
        assert!(lost <= most as u64, "{lost} labels are lost, of {} drives and batches of {}", drives.len(), run.batch);
    }
    tally.runs += 1;
    for fault in fired {
        *tally.fired.entry(fault).or_default() += 1;
    }
    if run.make_room {
        drives.iter().for_each(MemoryDrive::make_room);
    }
}

#[test]
fn whatever_happens_to_drives_no_counted_label_is_lost_and_the_end_is_the_same() {
    let mut tally = Tally::default();
    let cell = std::cell::RefCell::new(&mut tally);
    // Nothing to keep: a failure prints its whole schedule.
    let config = Config { cases: 5000, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&runs(), |(count, runs)| {
        let drives: Vec<MemoryDrive> = (0..count).map(|_| MemoryDrive::default()).collect();
        for run in &runs {
            one_run(run, &drives, &mut cell.borrow_mut());
        }
        drives.iter().for_each(MemoryDrive::make_room);
        let missing = TOTAL - labels(&progress(&drives));
        let clean = init(&request(Duration::ZERO), &boxed(drives.clone()), &[], &mut Known::new(37), &Silent);
        assert_eq!(clean.unwrap().made, missing, "what is missing is made, and nothing else");
        assert_whole(&drives);
        drives.iter().for_each(|drive| drive.crash_torn(1));
        assert_whole(&drives);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let Tally { runs, unfinished, power_cuts, kept, fired } = tally;
    println!("{runs} runs, {unfinished} unfinished, {power_cuts} power cuts, {kept} labels kept, {fired:?}");
    assert!(unfinished > 500 && power_cuts > 500 && kept / unfinished > 20);
    for fault in [Fault::ShortWrite, Fault::Full, Fault::Io, Fault::Vanish, Fault::Slow, Fault::Kill] {
        assert!(fired.get(&fault).is_some_and(|times| *times > 100), "{fault:?} came about too seldom: {fired:?}");
    }
}

/// The only label behind those that count is half of one: no other set's, and no reason to refuse the drive.
#[test]
fn a_label_that_was_torn_is_made_again() {
    let drive = MemoryDrive::default();
    let faulty = FaultyDrive::scheduled(drive.clone(), vec![(40, Fault::Kill)], 0, &Machine::default());
    init(&request(Duration::ZERO), &boxed([faulty]), &[], &mut Known::new(7), &Silent).unwrap_err();
    let counted = labels(&progress(std::slice::from_ref(&drive)));
    assert!((7..PER_FILE - 1).contains(&counted), "{counted}");
    let mut bytes = JUDGE.files[&0][..(counted as usize + 1) * LABEL_BYTES].to_vec();
    let torn = bytes.len() - 5;
    bytes[torn..].fill(0);
    drive.set_file(0, bytes);
    init(&request(Duration::ZERO), &boxed([drive.clone()]), &[], &mut Known::new(7), &Silent).unwrap();
    assert_whole(&[drive]);
}
