//! Sets that can be damaged, and what a check says of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use post_core::backend::{Backend, Cpu};
use post_core::check::{Bad, Cause, CheckError, Depth, Found, Outcome, Request, check};
use post_core::drive::{DirDrive, Drive, DriveError, MemoryDrive, Record, Role};
use post_core::identity::{AtxId, Commitment, NodeId};
use post_core::init::{self, init};
use post_core::label::{Label, reference, stored};
use post_core::metadata::Metadata;
use post_core::params::{NetworkParams, ScryptParams};
use post_core::watch::{Event, Silent, Watch};

/// A set of one unit of `labels` labels in files of `per_file`.
pub(crate) fn made_of(labels: u64, per_file: u64) -> init::Request {
    let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
    init::Request {
        params: NetworkParams { labels_per_unit: labels, scrypt, min_units: 1, ..NetworkParams::devnet() },
        node_id: NodeId([7; 32]),
        commitment_atx_id: AtxId([9; 32]),
        units: 1,
        max_file_size: per_file * 16,
        files: None,
        broken: Vec::new(),
        checkpoint_every: Duration::ZERO,
    }
}

pub(crate) fn commitment(set: &init::Request) -> Commitment {
    Commitment::new(&set.node_id, &set.commitment_atx_id)
}

pub(crate) fn label(set: &init::Request, index: u64) -> Label {
    stored(&reference::full_label(&commitment(set), index, set.params.scrypt).unwrap())
}

pub(crate) fn cpu() -> Cpu {
    Cpu::new(1).unwrap()
}

pub(crate) fn in_memory(set: &init::Request) -> MemoryDrive {
    let drive = MemoryDrive::default();
    let drives: Vec<Box<dyn Drive>> = vec![Box::new(drive.clone())];
    init(set, &drives, &[], &mut cpu(), &Silent).unwrap();
    forget_sums(&drives);
    drive
}

/// As on drives that were filled before there were checksums.
pub(crate) fn forget_sums(drives: &[Box<dyn Drive>]) {
    for drive in drives {
        drive.held().unwrap().into_keys().for_each(|file| drive.forget_record(Record::Sums(file)).unwrap());
    }
}

pub(crate) fn request(set: &init::Request, depth: Depth) -> Request {
    Request { save_every: Duration::ZERO, ..Request::new(set.params.clone(), depth) }
}

pub(crate) fn repair(set: &init::Request, depth: Depth) -> Request {
    Request { repair: true, ..request(set, depth) }
}

pub(crate) type Result = std::result::Result<Outcome, CheckError>;

pub(crate) fn run_with(
    request: &Request,
    drives: &[Box<dyn Drive>],
    device: &mut dyn Backend,
    watch: &dyn Watch,
) -> (Result, Vec<Found>) {
    let mut found = Vec::new();
    let result = check(request, drives, device, &mut cpu(), watch, &mut |event| found.push(event));
    (result, found)
}

/// What a check with nothing in its way says.
pub(crate) fn run(request: &Request, drives: &[Box<dyn Drive>]) -> (Outcome, Vec<Found>) {
    let (result, found) = run_with(request, drives, &mut cpu(), &Silent);
    (result.unwrap(), found)
}

pub(crate) fn bad(found: &[Found]) -> Vec<Bad> {
    found.iter().filter_map(|found| if let Found::Bad(bad) = found { Some(bad.clone()) } else { None }).collect()
}

/// Range, cause, whether repaired; by index.
pub(crate) fn told(found: &[Found]) -> Vec<(Range<u64>, Cause, bool)> {
    let mut told: Vec<_> = bad(found).into_iter().map(|bad| (bad.labels, bad.cause, bad.repaired)).collect();
    told.sort_by_key(|(labels, ..)| labels.start);
    told
}

pub(crate) fn damage(drive: &MemoryDrive, file: u32, byte: usize) {
    let mut bytes = drive.files()[&file].clone();
    bytes[byte] ^= 1 << (byte % 8);
    drive.set_file(file, bytes);
}

/// Bytes of a file.
type InFile = (u32, Range<u64>);

/// A drive that notes what is written, can't read some bytes until they are written, and may refuse to write.
#[derive(Clone)]
pub(crate) struct Spy {
    pub(crate) inner: MemoryDrive,
    /// File, offset, bytes.
    pub(crate) written: Arc<Mutex<Vec<(u32, u64, u64)>>>,
    pub(crate) unreadable: Arc<Mutex<Vec<InFile>>>,
    pub(crate) records: Arc<AtomicU64>,
    pub(crate) is_broken: bool,
}

impl Spy {
    pub(crate) fn new(inner: &MemoryDrive) -> Self {
        let inner = inner.clone();
        Self { inner, written: Arc::default(), unreadable: Arc::default(), records: Arc::default(), is_broken: false }
    }

    pub(crate) fn boxed(&self) -> Vec<Box<dyn Drive>> {
        vec![Box::new(self.clone())]
    }

    pub(crate) fn written(&self) -> Vec<(u32, u64, u64)> {
        self.written.lock().unwrap().clone()
    }
}

pub(crate) fn fault(action: &'static str) -> DriveError {
    DriveError::Io { action, place: "spy".into(), source: ErrorKind::Other.into() }
}

impl Drive for Spy {
    fn name(&self) -> String {
        "spy".into()
    }
    fn check_writable(&self) -> std::result::Result<(), DriveError> {
        self.inner.check_writable()
    }
    fn claim(&self, role: Role) -> std::result::Result<(), DriveError> {
        self.inner.claim(role)
    }
    fn held(&self) -> std::result::Result<BTreeMap<u32, u64>, DriveError> {
        self.inner.held()
    }
    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> std::result::Result<(), DriveError> {
        let (from, to) = (offset, offset + buffer.len() as u64);
        let unreadable = self.unreadable.lock().unwrap();
        if unreadable.iter().any(|(of, bytes)| *of == file && bytes.start < to && from < bytes.end) {
            return Err(fault("read"));
        }
        self.inner.read_at(file, offset, buffer)
    }
    fn preallocate(&self, file: u32, bytes: u64) -> std::result::Result<(), DriveError> {
        self.inner.preallocate(file, bytes)
    }
    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> std::result::Result<(), DriveError> {
        if self.is_broken {
            return Err(fault("write"));
        }
        let (from, to) = (offset, offset + data.len() as u64);
        self.written.lock().unwrap().push((file, offset, data.len() as u64));
        self.unreadable.lock().unwrap().retain(|(of, bytes)| *of != file || bytes.end <= from || to <= bytes.start);
        self.inner.write_at(file, offset, data)
    }
    fn sync(&self, file: u32) -> std::result::Result<(), DriveError> {
        self.inner.sync(file)
    }
    fn metadata(&self) -> std::result::Result<Option<Metadata>, DriveError> {
        self.inner.metadata()
    }
    fn replace_metadata(&self, metadata: &Metadata) -> std::result::Result<(), DriveError> {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.inner.replace_metadata(metadata)
    }
    fn record(&self, record: Record) -> std::result::Result<Option<Vec<u8>>, DriveError> {
        self.inner.record(record)
    }
    fn replace_record(&self, record: Record, bytes: &[u8]) -> std::result::Result<(), DriveError> {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.inner.replace_record(record, bytes)
    }
    fn forget_record(&self, record: Record) -> std::result::Result<(), DriveError> {
        self.inner.forget_record(record)
    }
    fn free_space(&self) -> std::result::Result<(u64, u64), DriveError> {
        self.inner.free_space()
    }
    fn disk(&self) -> std::result::Result<u64, DriveError> {
        self.inner.disk()
    }
}

/// Stops once so many labels are looked at.
pub(crate) struct StopAt {
    pub(crate) at: u64,
    pub(crate) checked: AtomicU64,
}

impl Watch for StopAt {
    fn event(&self, event: Event) {
        if let Event::Checked { labels } = event {
            self.checked.store(labels, Ordering::Relaxed);
        }
    }
    fn stop(&self) -> bool {
        self.checked.load(Ordering::Relaxed) >= self.at
    }
}

/// Content and time of change of every data file.
pub(crate) fn snapshot(dirs: &[PathBuf]) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in dirs.iter().flat_map(|dir| std::fs::read_dir(dir).unwrap()) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "bin") {
            all.insert(path.clone(), (std::fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap()));
        }
    }
    all
}

pub(crate) fn open(dirs: &[PathBuf]) -> Vec<Box<dyn Drive>> {
    dirs.iter().map(|dir| Box::new(DirDrive::planned(dir)) as Box<dyn Drive>).collect()
}

pub(crate) fn write_bytes(path: &Path, bytes: &[u8], time: SystemTime) {
    std::fs::write(path, bytes).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}
