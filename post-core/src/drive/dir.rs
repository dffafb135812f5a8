//! A directory: data files lie directly in it, what is ours alone in `.post/`.

mod moves;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use super::{Drive, DriveError, Record, Role, Stamp};
use crate::metadata::Metadata;
use crate::sys;

/// Our own folder within a drive.
const OWN_FOLDER: &str = ".post";
/// Checksums lie in a folder of their own within ours: there is one record a file.
const SUMS_FOLDER: &str = "sums";
const METADATA_COPY: &str = "metadata.new";

/// Anything larger is no metadata.
const MAX_METADATA: u64 = 1 << 20;

/// Anything larger is no record: a journal of the most files there may be takes half of this.
const MAX_RECORD: u64 = 128 << 20;

/// Data files open for writing at a time.
const MAX_OPEN: usize = 64;

/// A directory on some filesystem.
pub struct DirDrive {
    path: PathBuf,
    /// Whether it is still to be made: it then counts as empty.
    may_be_missing: bool,
    /// The file read last: reading goes file by file.
    reading: Mutex<Option<(u32, Arc<File>)>>,
    /// Files written since they were synced. The same handle does both, so that no write error goes unheard.
    writing: Mutex<BTreeMap<u32, Arc<File>>>,
    /// Files whose names this process made durable: whoever made a file may have ended before it did that.
    named: Mutex<BTreeSet<u32>>,
    /// Held while we write; released when dropped.
    locks: Mutex<BTreeMap<Role, File>>,
}

impl DirDrive {
    /// A directory that must exist. Nothing is created or changed before [`Drive::claim`].
    ///
    /// # Errors
    /// [`DriveError::Io`] when it is not a readable directory.
    pub fn existing(path: &Path) -> Result<Self, DriveError> {
        std::fs::read_dir(path).map_err(|e| io("read the directory", path, e))?;
        Ok(Self::new(path, false))
    }

    /// A directory that [`Drive::claim`] makes when it is missing; until then it counts as empty.
    #[must_use]
    pub fn planned(path: &Path) -> Self {
        Self::new(path, true)
    }

    fn new(path: &Path, may_be_missing: bool) -> Self {
        Self {
            path: path.to_path_buf(),
            may_be_missing,
            reading: Mutex::default(),
            writing: Mutex::default(),
            named: Mutex::default(),
            locks: Mutex::default(),
        }
    }

    /// The directory, or the nearest one above it that exists.
    fn existing_ancestor(&self) -> &Path {
        let nearest = self.path.ancestors().find(|path| path.exists());
        // A relative path of one name has the working directory above it, written as an empty path.
        nearest.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file_path(&self, file: u32) -> PathBuf {
        self.path.join(crate::plan::Layout::file_name(file))
    }

    fn record_path(&self, record: Record) -> PathBuf {
        let own = self.path.join(OWN_FOLDER);
        match record {
            Record::Journal => own.join("journal"),
            Record::Map => own.join("map"),
            Record::Check => own.join("check"),
            Record::Proof => own.join("proof"),
            Record::Resize => own.join("resize"),
            Record::Sums(file) => own.join(SUMS_FOLDER).join(format!("{file}")),
        }
    }

    fn open_for_reading(&self, file: u32) -> Result<Arc<File>, DriveError> {
        let mut reading = lock(&self.reading);
        if let Some((number, handle)) = &*reading
            && *number == file
        {
            return Ok(Arc::clone(handle));
        }
        let path = self.file_path(file);
        let handle = Arc::new(File::open(&path).map_err(|e| io("open", &path, e))?);
        *reading = Some((file, Arc::clone(&handle)));
        Ok(handle)
    }

    /// A file that is there; one that isn't is made only if `may_make`. What was moved away in the middle of the work must not
    /// come back as a file with a hole.
    fn open_for_writing(&self, file: u32, may_make: bool) -> Result<Arc<File>, DriveError> {
        let mut writing = lock(&self.writing);
        if let Some(written) = writing.get(&file) {
            return Ok(Arc::clone(written));
        }
        // Many small files: some are made durable early rather than running out of handles.
        if writing.len() >= MAX_OPEN {
            for file in std::mem::take(&mut *writing) {
                self.sync_written(file.0, &file.1)?;
            }
        }
        let path = self.file_path(file);
        // Never truncated: what an earlier run wrote stays.
        let handle = match OpenOptions::new().write(true).open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound && may_make => File::create_new(&path),
            handle => handle,
        };
        let handle = Arc::new(handle.map_err(|e| io("open", &path, e))?);
        writing.insert(file, Arc::clone(&handle));
        Ok(handle)
    }

    fn sync_written(&self, file: u32, written: &File) -> Result<(), DriveError> {
        written.sync_data().map_err(|e| io("sync", &self.file_path(file), e))?;
        if !lock(&self.named).contains(&file) {
            sys::sync_directory(&self.path).map_err(|e| io("sync the directory", &self.path, e))?;
            lock(&self.named).insert(file);
        }
        Ok(())
    }

    fn read_document(&self, path: &Path, max: u64) -> Result<Option<Vec<u8>>, DriveError> {
        let mut bytes = Vec::new();
        // Opening a pipe would wait for ever.
        if path.exists() && !path.is_file() {
            let reason = "it is not a file".into();
            return Err(DriveError::Malformed { place: path.display().to_string(), reason });
        }
        match File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut bytes)) {
            Ok(read) if read as u64 > max => Err(DriveError::Malformed {
                place: path.display().to_string(),
                reason: format!("it is larger than {max} bytes"),
            }),
            Ok(_) => Ok(Some(bytes)),
            // Where a file stands in place of our own folder, there is no record either.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(io("read", path, e)),
        }
    }

    /// Writes a copy in our own folder, syncs it, then renames it over the old one: a crash leaves the old or the new.
    /// Only one process writes (see [`Drive::claim`]), so the copy's name may be the same each time.
    #[expect(clippy::disallowed_methods, reason = "a record, or the metadata, is replaced by its own copy")]
    fn replace_document(&self, path: &Path, copy: &str, bytes: &[u8]) -> Result<(), DriveError> {
        let copy = self.path.join(OWN_FOLDER).join(copy);
        let directory = path.parent().unwrap_or(&self.path);
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&copy)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&copy, path)?;
            sys::sync_directory(directory)
        };
        write().map_err(|e| io("write", path, e))
    }
}

/// The number in `postdata_<number>.bin`; only the way we write it counts.
fn file_number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("postdata_")?.strip_suffix(".bin")?.parse().ok()?;
    (crate::plan::Layout::file_name(number) == name).then_some(number)
}

/// A panic elsewhere leaves these values whole: they are only ever replaced.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn io(action: &'static str, place: &Path, source: std::io::Error) -> DriveError {
    DriveError::Io { action, place: place.display().to_string(), source }
}

impl Drive for DirDrive {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn place(&self) -> String {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone()).display().to_string()
    }

    fn check_writable(&self) -> Result<(), DriveError> {
        let own = self.path.join(OWN_FOLDER);
        let directory = if own.is_dir() { &own } else { self.existing_ancestor() };
        sys::check_writable(directory).map_err(|e| io("write to", directory, e))?;
        if !directory.is_dir() || (own.exists() && !own.is_dir()) {
            let place = if own.exists() { &own } else { directory };
            return Err(io("use", place, ErrorKind::NotADirectory.into()));
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a lock is opened and not truncated")]
    fn claim(&self, role: Role) -> Result<(), DriveError> {
        let mut locks = lock(&self.locks);
        if locks.contains_key(&role) {
            return Ok(());
        }
        let own = self.path.join(OWN_FOLDER);
        std::fs::create_dir_all(&own).map_err(|e| io("make the directory", &own, e))?;
        let path = own.join(match role {
            Role::Writer => "lock",
            Role::Prover => "lock.proof",
        });
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| io("open", &path, e))?;
        match file.try_lock() {
            Ok(()) => _ = locks.insert(role, file),
            Err(std::fs::TryLockError::WouldBlock) => return Err(DriveError::Busy { place: self.name() }),
            Err(std::fs::TryLockError::Error(e)) => return Err(io("lock", &path, e)),
        }
        sys::sync_directory(&self.path).map_err(|e| io("sync the directory", &self.path, e))?;
        Ok(())
    }

    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError> {
        let mut held = BTreeMap::new();
        let listing = match std::fs::read_dir(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound && self.may_be_missing => return Ok(held),
            listing => listing.map_err(|e| io("read the directory", &self.path, e))?,
        };
        for entry in listing {
            let entry = entry.map_err(|e| io("read the directory", &self.path, e))?;
            let name = entry.file_name();
            let Some(number) = name.to_str().and_then(file_number) else {
                continue;
            };
            // Follows symbolic links: people spread sets over drives with them.
            let meta = std::fs::metadata(entry.path()).map_err(|e| io("look at", &entry.path(), e))?;
            if !meta.is_file() {
                return Err(DriveError::Malformed {
                    place: entry.path().display().to_string(),
                    reason: "it is not a file".into(),
                });
            }
            held.insert(number, meta.len());
        }
        Ok(held)
    }

    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError> {
        let handle = self.open_for_reading(file)?;
        sys::read_exact_at(&handle, buffer, offset).map_err(|e| io("read", &self.file_path(file), e))
    }

    fn preallocate(&self, file: u32, bytes: u64) -> Result<(), DriveError> {
        let handle = self.open_for_writing(file, false)?;
        sys::preallocate(&handle, bytes).map_err(|e| io("set space aside for", &self.file_path(file), e))
    }

    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError> {
        let handle = self.open_for_writing(file, offset == 0)?;
        sys::write_all_at(&handle, data, offset).map_err(|e| io("write", &self.file_path(file), e))
    }

    fn stamp(&self, file: u32) -> Result<Option<Stamp>, DriveError> {
        let path = self.file_path(file);
        let meta = std::fs::metadata(&path).map_err(|e| io("look at", &path, e))?;
        let Ok(modified) = meta.modified() else { return Ok(None) };
        let modified = match modified.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i64,
            Err(before) => -(before.duration().as_nanos() as i64),
        };
        Ok(Some(Stamp { bytes: meta.len(), modified, inode: sys::inode(&meta) }))
    }

    fn sync(&self, file: u32) -> Result<(), DriveError> {
        // Another process may have written what we adopt, so a file that we have not written is opened and synced too.
        self.open_for_writing(file, false)?;
        let written = lock(&self.writing).remove(&file);
        written.map_or(Ok(()), |written| self.sync_written(file, &written))
    }

    fn metadata(&self) -> Result<Option<Metadata>, DriveError> {
        let path = self.path.join(Metadata::FILE_NAME);
        let Some(bytes) = self.read_document(&path, MAX_METADATA)? else {
            return Ok(None);
        };
        Metadata::parse(&bytes)
            .map(Some)
            .map_err(|e| DriveError::Malformed { place: path.display().to_string(), reason: e.to_string() })
    }

    fn replace_metadata(&self, metadata: &Metadata) -> Result<(), DriveError> {
        let path = self.path.join(Metadata::FILE_NAME);
        let json = metadata
            .to_json()
            .map_err(|e| DriveError::Malformed { place: path.display().to_string(), reason: e.to_string() })?;
        self.replace_document(&path, METADATA_COPY, &json)
    }

    fn record(&self, record: Record) -> Result<Option<Vec<u8>>, DriveError> {
        self.read_document(&self.record_path(record), MAX_RECORD)
    }

    fn replace_record(&self, record: Record, bytes: &[u8]) -> Result<(), DriveError> {
        let path = self.record_path(record);
        if let Record::Sums(_) = record {
            let folder = self.path.join(OWN_FOLDER).join(SUMS_FOLDER);
            std::fs::create_dir_all(&folder).map_err(|e| io("make the directory", &folder, e))?;
        }
        // Records of different roles are written by different processes.
        let copy = if record == Record::Proof { "proof.new" } else { "record.new" };
        self.replace_document(&path, copy, bytes)
    }

    #[expect(clippy::disallowed_methods, reason = "removes a record of ours")]
    fn forget_record(&self, record: Record) -> Result<(), DriveError> {
        let path = self.record_path(record);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(io("remove", &path, e)),
            _ => Ok(()),
        }
    }

    fn free_space(&self) -> Result<(u64, u64), DriveError> {
        let path = self.existing_ancestor();
        let free = fs4::available_space(path).map_err(|e| io("measure the free space of", path, e))?;
        let filesystem = sys::filesystem_id(path).map_err(|e| io("look at", path, e))?;
        Ok((free, filesystem))
    }

    fn disk(&self) -> Result<u64, DriveError> {
        let path = self.existing_ancestor();
        sys::disk_id(path).map_err(|e| io("look at", path, e))
    }

    fn is_link(&self, file: u32) -> Result<bool, DriveError> {
        let path = self.file_path(file);
        match std::fs::symlink_metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            about => Ok(about.map_err(|e| io("look at", &path, e))?.is_symlink()),
        }
    }

    fn stage(&self) -> Result<Box<dyn Drive>, DriveError> {
        Ok(Box::new(Self::planned(&self.stage_path())))
    }

    fn lay_aside(&self, file: u32) -> Result<(), DriveError> {
        self.lay_file_aside(file)
    }

    fn accept(&self, file: u32) -> Result<(), DriveError> {
        self.accept_file(file)
    }

    fn unstage(&self) -> Result<(), DriveError> {
        self.take_down_stage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_names_count() {
        assert_eq!(file_number("postdata_0.bin"), Some(0));
        assert_eq!(file_number("postdata_4294967295.bin"), Some(u32::MAX));
        for name in
            ["postdata_00.bin", "postdata_+1.bin", "postdata_1.bin.bak", "postdata_.bin", "postdata_4294967296.bin"]
        {
            assert_eq!(file_number(name), None, "{name}");
        }
    }

    #[test]
    fn a_second_writer_is_kept_out_and_readers_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirDrive::existing(dir.path()).unwrap();
        first.claim(Role::Writer).unwrap();
        first.claim(Role::Writer).unwrap();
        let second = DirDrive::existing(dir.path()).unwrap();
        assert!(matches!(second.claim(Role::Writer), Err(DriveError::Busy { .. })));
        second.held().unwrap();
        drop(first);
        second.claim(Role::Writer).unwrap();
    }

    #[test]
    fn a_planned_directory_is_empty_until_it_is_claimed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert!(DirDrive::existing(&path).is_err());
        let drive = DirDrive::planned(&path);
        assert!(drive.held().unwrap().is_empty() && drive.metadata().unwrap().is_none());
        assert!(drive.free_space().unwrap().0 > 0);
        assert!(!path.exists());
        drive.claim(Role::Writer).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn whoever_writes_to_a_file_changes_its_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let drive = DirDrive::existing(dir.path()).unwrap();
        assert!(drive.stamp(0).is_err());
        drive.write_at(0, 0, b"0123").unwrap();
        let path = dir.path().join("postdata_0.bin");
        let touch = |seconds| {
            let time = UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        touch(1000);
        let stamp = drive.stamp(0).unwrap().unwrap();
        assert_eq!((stamp.bytes, stamp.modified), (4, 1_000_000_000_000));
        assert_eq!(drive.stamp(0).unwrap(), Some(stamp), "looking changes nothing");
        drive.write_at(0, 0, b"4").unwrap();
        assert_ne!(drive.stamp(0).unwrap(), Some(stamp));
        touch(1000);
        drive.write_at(0, 4, b"4").unwrap();
        touch(1000);
        assert_ne!(drive.stamp(0).unwrap(), Some(stamp));
    }

    #[test]
    fn writing_never_truncates() {
        let dir = tempfile::tempdir().unwrap();
        DirDrive::existing(dir.path()).unwrap().write_at(3, 0, b"0123456789").unwrap();
        let drive = DirDrive::existing(dir.path()).unwrap();
        drive.write_at(3, 2, b"xy").unwrap();
        let mut all = [0; 10];
        drive.read_at(3, 0, &mut all).unwrap();
        assert_eq!(&all, b"01xy456789");
        assert_eq!(drive.held().unwrap(), BTreeMap::from([(3, 10)]));
        assert!(drive.read_at(3, 5, &mut all).is_err(), "an early end is an error");
    }
}
