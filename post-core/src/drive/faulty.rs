//! A drive that fails after a given number of operations, half-way through a write if it comes to that. For tests.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicI64, Ordering};

use super::{Drive, DriveError, MemoryDrive, Record, Role};
use crate::metadata::Metadata;

/// Passes operations on to memory until its budget is spent; every later one fails.
pub struct FaultyDrive {
    inner: MemoryDrive,
    left: AtomicI64,
}

impl FaultyDrive {
    /// Lets `operations` operations succeed.
    #[must_use]
    pub fn new(inner: MemoryDrive, operations: i64) -> Self {
        Self { inner, left: AtomicI64::new(operations) }
    }

    fn spend(&self) -> Result<(), DriveError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Ok(());
        }
        Err(DriveError::Io { action: "use", place: "a faulty drive".into(), source: ErrorKind::StorageFull.into() })
    }
}

impl Drive for FaultyDrive {
    fn name(&self) -> String {
        "faulty".into()
    }

    fn check_writable(&self) -> Result<(), DriveError> {
        self.inner.check_writable()
    }

    fn claim(&self, role: Role) -> Result<(), DriveError> {
        self.spend().and_then(|()| self.inner.claim(role))
    }

    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError> {
        self.spend().and_then(|()| self.inner.held())
    }

    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError> {
        self.spend().and_then(|()| self.inner.read_at(file, offset, buffer))
    }

    fn preallocate(&self, file: u32, bytes: u64) -> Result<(), DriveError> {
        self.spend().and_then(|()| self.inner.preallocate(file, bytes))
    }

    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError> {
        let budget = self.spend();
        if budget.is_err() {
            // A torn write: half of it arrived, and not even at the border of a label.
            self.inner.write_at(file, offset, &data[..data.len() / 2])?;
        }
        budget.and_then(|()| self.inner.write_at(file, offset, data))
    }

    fn sync(&self, file: u32) -> Result<(), DriveError> {
        self.spend().and_then(|()| self.inner.sync(file))
    }

    fn metadata(&self) -> Result<Option<Metadata>, DriveError> {
        self.spend().and_then(|()| self.inner.metadata())
    }

    fn replace_metadata(&self, metadata: &Metadata) -> Result<(), DriveError> {
        self.spend().and_then(|()| self.inner.replace_metadata(metadata))
    }

    fn record(&self, record: Record) -> Result<Option<Vec<u8>>, DriveError> {
        self.spend().and_then(|()| self.inner.record(record))
    }

    fn replace_record(&self, record: Record, bytes: &[u8]) -> Result<(), DriveError> {
        self.spend().and_then(|()| self.inner.replace_record(record, bytes))
    }

    fn forget_record(&self, record: Record) -> Result<(), DriveError> {
        self.spend().and_then(|()| self.inner.forget_record(record))
    }

    fn free_space(&self) -> Result<(u64, u64), DriveError> {
        self.inner.free_space()
    }

    fn disk(&self) -> Result<u64, DriveError> {
        self.inner.disk()
    }
}
