//! Whole `init` and whole passes of `prove`, in memory and on disk, to be held against the kernels alone.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use post_core::backend::{Backend, Cpu, LabelJob, Labels};
use post_core::difficulty::Difficulty;
use post_core::drive::{DirDrive, Drive};
use post_core::identity::{AtxId, Challenge, Commitment, NodeId};
use post_core::init::{CHECKPOINT_EVERY, Request, init};
use post_core::label::Label;
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{LazyRandomX, Mode, Options};
use post_core::prove::prove;
use post_core::scan::{NonceGroup, ScanJob};
use post_core::set::DataSet;
use post_core::watch::{Event, Watch};

/// A few seconds of a core.
const INIT_LABELS: u64 = 8_192;

/// 128 MiB.
const PROVE_LABELS: u64 = 8 << 20;

/// Notes when a pass started and how far it came.
struct Clock(Mutex<(Instant, u64, Duration)>);

impl Watch for Clock {
    fn event(&self, event: Event) {
        let mut state = self.0.lock().unwrap();
        match event {
            Event::PassStarted { .. } => *state = (Instant::now(), 0, Duration::ZERO),
            Event::Scanned { labels } => (state.1, state.2) = (labels, state.0.elapsed()),
            _ => {}
        }
    }
    fn stop(&self) -> bool {
        false
    }
}

/// All cores but one, which is left for reading and writing.
fn kernel_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1))
}

fn places() -> Vec<(&'static str, PathBuf)> {
    let memory = PathBuf::from("/dev/shm");
    let mut places = vec![("disk", std::env::temp_dir())];
    if memory.is_dir() {
        places.push(("tmpfs", memory));
    }
    places
}

fn request(labels: u64, n: u32) -> Request {
    let scrypt = ScryptParams { n, r: 1, p: 1 };
    Request {
        params: NetworkParams {
            labels_per_unit: labels,
            min_units: 1,
            max_units: 1,
            pow_difficulty: [0xff; 32],
            scrypt,
            ..NetworkParams::mainnet()
        },
        node_id: NodeId([1; 32]),
        commitment_atx_id: AtxId([2; 32]),
        units: 1,
        max_file_size: 1 << 30,
        files: None,
        broken: Vec::new(),
        checkpoint_every: CHECKPOINT_EVERY,
    }
}

fn drives(dir: &Path) -> Vec<Box<dyn Drive>> {
    vec![Box::new(DirDrive::planned(dir))]
}

fn clock() -> Clock {
    Clock(Mutex::new((Instant::now(), 0, Duration::ZERO)))
}

fn inits(c: &mut Criterion) {
    let mut group = c.benchmark_group("init");
    group.sample_size(10).throughput(Throughput::Elements(INIT_LABELS));
    let request = request(INIT_LABELS, 8192);
    let mut cpu = Cpu::new(kernel_threads()).unwrap();
    // The yardstick: the same labels, handed to nobody.
    group.bench_function("to=nowhere", |b| {
        b.iter(|| {
            let labels = Labels::Range(Commitment([3; 32]), 0..INIT_LABELS);
            let job = LabelJob { scrypt: request.params.scrypt, labels };
            cpu.label(&job, &mut |_, _| ControlFlow::Continue(())).unwrap();
        });
    });
    for (name, place) in places() {
        group.bench_function(format!("to={name}"), |b| {
            b.iter(|| {
                let dir = tempfile::tempdir_in(&place).unwrap();
                init(&request, &drives(dir.path()), &[], &mut cpu, &clock()).unwrap();
            });
        });
    }
    group.finish();
}

fn proves(c: &mut Criterion) {
    let mut group = c.benchmark_group("prove");
    group.sample_size(10).throughput(Throughput::Bytes(PROVE_LABELS * 16));
    let request = request(PROVE_LABELS, 2);
    let mut cpu = Cpu::new(kernel_threads()).unwrap();
    let randomx = LazyRandomX::new(Options::new(Mode::Light, 1));
    let groups: Vec<_> = (0..18).map(|group| NonceGroup::new(&Challenge([7; 32]), group, 0)).collect();
    // The yardstick: labels that are in memory, scanned as many at a time as the backend likes.
    let batch = cpu.info().scan_batch;
    let labels: Vec<Label> =
        (0..batch as u128).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_le_bytes()).collect();
    for count in [1, 4, 8, 18] {
        let groups: Vec<_> = groups[..count].iter().collect();
        let difficulty = Difficulty::new(request.params.k1, PROVE_LABELS).unwrap();
        let (job, mut hits) = (ScanJob { groups: &groups, difficulty }, Vec::new());
        group.bench_function(format!("from=nowhere/groups={count}"), |b| {
            b.iter(|| {
                let mut left = PROVE_LABELS as usize;
                while left > 0 {
                    let labels = &labels[..left.min(batch)];
                    hits.clear();
                    cpu.scan(&job, 0, labels, &mut hits).unwrap();
                    left -= labels.len();
                }
            });
        });
    }
    for (name, place) in places() {
        let dir = tempfile::tempdir_in(&place).unwrap();
        init(&request, &drives(dir.path()), &[], &mut cpu, &clock()).unwrap();
        let set = DataSet::open(drives(dir.path())).unwrap();
        for nonces in [16, 64, 128, 288] {
            group.bench_function(format!("from={name}/groups={}", nonces / 16), |b| {
                b.iter_custom(|iterations| {
                    // Only the pass counts, and it may end early: per label, then times all labels.
                    let mut seconds = 0.0;
                    for iteration in 0..iterations {
                        let (challenge, clock) = (Challenge([iteration as u8; 32]), clock());
                        // Sixteen nonces in a pass take several; the last one is measured.
                        let _ = prove(&set, &request.params, &challenge, nonces, &mut cpu, &randomx, &clock);
                        let (_, labels, took) = clock.0.into_inner().unwrap();
                        seconds += took.as_secs_f64() / labels.max(1) as f64 * PROVE_LABELS as f64;
                    }
                    Duration::from_secs_f64(seconds)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, inits, proves);
criterion_main!(benches);
