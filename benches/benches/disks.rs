//! A pass of `prove` over disks of a given speed: N of them are to give N times the labels of one.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use post_core::backend::Cpu;
use post_core::drive::{DirDrive, Drive, DriveError, Record, Role};
use post_core::identity::{AtxId, Challenge, NodeId};
use post_core::init::{CHECKPOINT_EVERY, Request, init};
use post_core::metadata::Metadata;
use post_core::params::{NetworkParams, ScryptParams};
use post_core::pow::{PowError, PowInput, PowProver};
use post_core::prove::prove;
use post_core::set::DataSet;
use post_core::watch::{Silent, Watch};

/// 64 MiB in files of 1 MiB, in turn on each disk.
const LABELS: u64 = 4 << 20;
const FILE: u64 = 1 << 20;

/// Bytes a second of one disk.
const RATE: f64 = 100e6;

/// A disk that is never faster than [`RATE`].
struct Slow {
    inner: DirDrive,
    number: u64,
    /// When it is through with what it was asked for.
    free: Mutex<Instant>,
}

impl Drive for Slow {
    fn name(&self) -> String {
        self.inner.name()
    }
    fn check_writable(&self) -> Result<(), DriveError> {
        self.inner.check_writable()
    }
    fn claim(&self, role: Role) -> Result<(), DriveError> {
        self.inner.claim(role)
    }
    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError> {
        self.inner.held()
    }
    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError> {
        let mut free = self.free.lock().unwrap();
        *free = (*free).max(Instant::now()) + Duration::from_secs_f64(buffer.len() as f64 / RATE);
        let result = self.inner.read_at(file, offset, buffer);
        std::thread::sleep(free.saturating_duration_since(Instant::now()));
        result
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
        Ok(self.number)
    }
}

/// Reading is measured, not this.
struct NoPow;

impl PowProver for NoPow {
    fn prove(&self, _: &PowInput, _: &[u8; 32], _: &dyn Watch) -> Result<u64, PowError> {
        Ok(0)
    }
}

fn request() -> Request {
    let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
    Request {
        params: NetworkParams { labels_per_unit: LABELS, min_units: 1, scrypt, ..NetworkParams::mainnet() },
        node_id: NodeId([1; 32]),
        commitment_atx_id: AtxId([2; 32]),
        units: 1,
        max_file_size: FILE,
        files: None,
        broken: Vec::new(),
        checkpoint_every: CHECKPOINT_EVERY,
    }
}

fn slow(dir: &Path, number: usize) -> Box<dyn Drive> {
    let inner = DirDrive::planned(dir);
    Box::new(Slow { inner, number: number as u64, free: Mutex::new(Instant::now()) })
}

fn disks(c: &mut Criterion) {
    let mut group = c.benchmark_group("prove");
    group.sample_size(10).throughput(Throughput::Bytes(LABELS * 16));
    let mut cpu = Cpu::new(1).unwrap();
    for count in [1, 2, 5] {
        let root = tempfile::tempdir().unwrap();
        let dirs: Vec<PathBuf> = (0..count).map(|disk| root.path().join(disk.to_string())).collect();
        let fast: Vec<Box<dyn Drive>> = dirs.iter().map(|dir| Box::new(DirDrive::planned(dir)) as _).collect();
        init(&request(), &fast, &[], &mut cpu, &Silent).unwrap();
        let set = DataSet::open(dirs.iter().enumerate().map(|(number, dir)| slow(dir, number)).collect()).unwrap();
        group.bench_function(format!("disks={count}"), |b| {
            b.iter(|| prove(&set, &request().params, &Challenge([7; 32]), 128, &mut cpu, &NoPow, &Silent).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, disks);
criterion_main!(benches);
