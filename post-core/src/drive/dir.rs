//! A directory: data files lie directly in it, what is ours alone in `.post/`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Drive, DriveError};
use crate::metadata::Metadata;
use crate::sys;

/// Our own folder within a drive.
const OWN_FOLDER: &str = ".post";
const JOURNAL: &str = "journal";
const LOCK: &str = "lock";

/// Metadata and journals are small; anything larger is not one.
const MAX_DOCUMENT: u64 = 64 * 1024 * 1024;

/// A directory on some filesystem.
pub struct DirDrive {
    path: PathBuf,
    /// Whether it is still to be made: it then counts as empty.
    may_be_missing: bool,
    /// The file used last, for reading or for writing: work goes file by file.
    open: Mutex<Option<(u32, bool, Arc<File>)>>,
    /// Held while we write; released when dropped.
    lock: Mutex<Option<File>>,
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
    ///
    /// # Errors
    /// [`DriveError::Io`] when something else is in its place.
    pub fn planned(path: &Path) -> Result<Self, DriveError> {
        match std::fs::read_dir(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(io("read the directory", path, e)),
            _ => Ok(Self::new(path, true)),
        }
    }

    fn new(path: &Path, may_be_missing: bool) -> Self {
        Self { path: path.to_path_buf(), may_be_missing, open: Mutex::default(), lock: Mutex::default() }
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

    fn file(&self, file: u32, write: bool) -> Result<Arc<File>, DriveError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, mode, handle)) = &*open
            && (*number, *mode) == (file, write)
        {
            return Ok(Arc::clone(handle));
        }
        let path = self.file_path(file);
        let result = if write {
            // Never truncated: what an earlier run wrote stays.
            OpenOptions::new().create(true).truncate(false).write(true).open(&path)
        } else {
            File::open(&path)
        };
        let handle = Arc::new(result.map_err(|e| io("open", &path, e))?);
        *open = Some((file, write, Arc::clone(&handle)));
        Ok(handle)
    }

    fn read_document(&self, path: &Path) -> Result<Option<Vec<u8>>, DriveError> {
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(MAX_DOCUMENT).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io("read", path, e)),
        }
    }

    /// A temporary file beside it, synced, then renamed over it: a crash leaves the old or the new.
    fn replace_document(&self, path: &Path, bytes: &[u8]) -> Result<(), DriveError> {
        let directory = path.parent().unwrap_or(&self.path);
        let mut builder = tempfile::Builder::new();
        builder.prefix(".post-");
        // Other tools, under other users, read these files; the umask decides as for any file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let write = || -> std::io::Result<()> {
            let mut file = builder.tempfile_in(directory)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|e| e.error)?;
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

fn io(action: &'static str, place: &Path, source: std::io::Error) -> DriveError {
    DriveError::Io { action, place: place.display().to_string(), source }
}

impl Drive for DirDrive {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn claim(&self) -> Result<(), DriveError> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(());
        }
        let own = self.path.join(OWN_FOLDER);
        std::fs::create_dir_all(&own).map_err(|e| io("make the directory", &own, e))?;
        let path = own.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|e| io("open", &path, e))?;
        match lock.try_lock() {
            Ok(()) => *held = Some(lock),
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(DriveError::Busy { place: self.name() });
            }
            Err(std::fs::TryLockError::Error(e)) => return Err(io("lock", &path, e)),
        }
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
        let handle = self.file(file, false)?;
        sys::read_exact_at(&handle, buffer, offset).map_err(|e| io("read", &self.file_path(file), e))
    }

    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError> {
        let handle = self.file(file, true)?;
        sys::write_all_at(&handle, data, offset).map_err(|e| io("write", &self.file_path(file), e))
    }

    fn sync(&self, file: u32) -> Result<(), DriveError> {
        let handle = self.file(file, true)?;
        handle.sync_data().map_err(|e| io("sync", &self.file_path(file), e))
    }

    fn metadata(&self) -> Result<Option<Metadata>, DriveError> {
        let path = self.path.join(Metadata::FILE_NAME);
        let Some(bytes) = self.read_document(&path)? else {
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
        self.replace_document(&path, &json)
    }

    fn journal(&self) -> Result<Option<Vec<u8>>, DriveError> {
        self.read_document(&self.path.join(OWN_FOLDER).join(JOURNAL))
    }

    fn replace_journal(&self, journal: &[u8]) -> Result<(), DriveError> {
        self.replace_document(&self.path.join(OWN_FOLDER).join(JOURNAL), journal)
    }

    fn free_space(&self) -> Result<(u64, u64), DriveError> {
        let path = self.existing_ancestor();
        let free = fs4::available_space(path).map_err(|e| io("measure the free space of", path, e))?;
        let filesystem = sys::filesystem_id(path).map_err(|e| io("look at", path, e))?;
        Ok((free, filesystem))
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
        first.claim().unwrap();
        first.claim().unwrap();
        let second = DirDrive::existing(dir.path()).unwrap();
        assert!(matches!(second.claim(), Err(DriveError::Busy { .. })));
        second.held().unwrap();
        drop(first);
        second.claim().unwrap();
    }

    #[test]
    fn a_planned_directory_is_empty_until_it_is_claimed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert!(DirDrive::existing(&path).is_err());
        let drive = DirDrive::planned(&path).unwrap();
        assert!(drive.held().unwrap().is_empty() && drive.metadata().unwrap().is_none());
        assert!(drive.free_space().unwrap().0 > 0);
        assert!(!path.exists());
        drive.claim().unwrap();
        assert!(path.is_dir());
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
