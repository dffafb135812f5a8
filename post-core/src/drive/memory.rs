//! A drive in memory, for tests.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Drive, DriveError, Record, Role};
use crate::metadata::Metadata;

/// Clones share their content, so a clone kept by the test survives whoever used the drive.
#[derive(Clone, Default)]
pub struct MemoryDrive(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    files: BTreeMap<u32, Vec<u8>>,
    /// What of the files was synced.
    durable: BTreeMap<u32, Vec<u8>>,
    metadata: Option<Metadata>,
    records: BTreeMap<Record, Vec<u8>>,
}

impl MemoryDrive {
    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of all data files.
    #[must_use]
    pub fn files(&self) -> BTreeMap<u32, Vec<u8>> {
        self.content().files.clone()
    }

    /// Puts a whole data file there.
    pub fn set_file(&self, file: u32, bytes: Vec<u8>) {
        let mut content = self.content();
        content.durable.insert(file, bytes.clone());
        content.files.insert(file, bytes);
    }

    /// A power cut: of what was not synced only the length of the files is left. Metadata and journal are durable as soon
    /// as they are replaced.
    pub fn crash(&self) {
        let mut content = self.content();
        let Content { files, durable, .. } = &mut *content;
        for (file, bytes) in files {
            let synced = durable.get(file).map_or(&[][..], Vec::as_slice);
            let kept = synced.len().min(bytes.len());
            bytes[..kept].copy_from_slice(&synced[..kept]);
            bytes[kept..].fill(0);
        }
    }

    /// Forgets the journal, as if another tool had made the data.
    pub fn drop_journal(&self) {
        self.content().records.remove(&Record::Journal);
    }
}

impl Drive for MemoryDrive {
    fn name(&self) -> String {
        "memory".into()
    }

    fn check_writable(&self) -> Result<(), DriveError> {
        Ok(())
    }

    fn claim(&self, _role: Role) -> Result<(), DriveError> {
        Ok(())
    }

    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError> {
        Ok(self.content().files.iter().map(|(file, bytes)| (*file, bytes.len() as u64)).collect())
    }

    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError> {
        let content = self.content();
        let from = offset as usize;
        let part = content.files.get(&file).and_then(|bytes| bytes.get(from..from + buffer.len()));
        let part = part.ok_or_else(|| DriveError::Io {
            action: "read",
            place: crate::plan::Layout::file_name(file),
            source: ErrorKind::UnexpectedEof.into(),
        })?;
        buffer.copy_from_slice(part);
        Ok(())
    }

    fn preallocate(&self, _file: u32, _bytes: u64) -> Result<(), DriveError> {
        Ok(())
    }

    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError> {
        let mut content = self.content();
        let bytes = content.files.entry(file).or_default();
        let (from, to) = (offset as usize, offset as usize + data.len());
        if bytes.len() < to {
            bytes.resize(to, 0);
        }
        bytes[from..to].copy_from_slice(data);
        Ok(())
    }

    fn sync(&self, file: u32) -> Result<(), DriveError> {
        let mut content = self.content();
        if let Some(bytes) = content.files.get(&file).cloned() {
            content.durable.insert(file, bytes);
        }
        Ok(())
    }

    fn metadata(&self) -> Result<Option<Metadata>, DriveError> {
        Ok(self.content().metadata.clone())
    }

    fn replace_metadata(&self, metadata: &Metadata) -> Result<(), DriveError> {
        self.content().metadata = Some(metadata.clone());
        Ok(())
    }

    fn record(&self, record: Record) -> Result<Option<Vec<u8>>, DriveError> {
        Ok(self.content().records.get(&record).cloned())
    }

    fn replace_record(&self, record: Record, bytes: &[u8]) -> Result<(), DriveError> {
        self.content().records.insert(record, bytes.to_vec());
        Ok(())
    }

    fn forget_record(&self, record: Record) -> Result<(), DriveError> {
        self.content().records.remove(&record);
        Ok(())
    }

    fn free_space(&self) -> Result<(u64, u64), DriveError> {
        Ok((1 << 50, Arc::as_ptr(&self.0) as u64))
    }

    fn disk(&self) -> Result<u64, DriveError> {
        Ok(Arc::as_ptr(&self.0) as u64)
    }
}
