//! Data files that change their place or go: what growing and pruning need. Everything else only ever adds to files.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{DirDrive, OWN_FOLDER, io, lock};
use crate::drive::{Drive, DriveError, Record, Remove};
use crate::plan::Layout;
use crate::sys;

/// Where the files of a larger set are made: a data directory within our own folder.
const STAGE: &str = "grow";

/// Where files go that a larger one took the place of.
const ASIDE: &str = "replaced";

/// What belongs to a stage beside data files.
const OF_A_STAGE: [&str; 9] =
    ["journal", "map", "check", "proof", "resize", "lock", "lock.proof", "record.new", "proof.new"];

impl DirDrive {
    pub(super) fn stage_path(&self) -> PathBuf {
        self.path.join(OWN_FOLDER).join(STAGE)
    }

    fn aside_path(&self) -> PathBuf {
        self.path.join(OWN_FOLDER).join(ASIDE)
    }

    /// The files cached by number may be others now.
    fn forget_handles(&self) {
        *lock(&self.reading) = None;
        lock(&self.writing).clear();
    }

    pub(super) fn lay_file_aside(&self, file: u32) -> Result<(), DriveError> {
        let (path, aside) = (self.file_path(file), self.aside_path());
        if !exists(&path)? {
            return Ok(());
        }
        std::fs::create_dir_all(&aside).map_err(|e| io("make the directory", &aside, e))?;
        self.forget_handles();
        let name = Layout::file_name(file);
        // One of an earlier time may be there.
        for number in 0..u32::MAX {
            let to = aside.join(if number == 0 { name.clone() } else { format!("{name}.{number}") });
            match sys::rename_new(&path, &to) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                moved => {
                    moved.map_err(|e| io("move aside", &path, e))?;
                    break;
                }
            }
        }
        sync(&aside)?;
        sync(&self.path)
    }

    pub(super) fn accept_file(&self, file: u32) -> Result<(), DriveError> {
        let (from, to) = (self.stage_path().join(Layout::file_name(file)), self.file_path(file));
        if !exists(&from)? {
            return Ok(());
        }
        if let Some(sums) = Self::planned(&self.stage_path()).record(Record::Sums(file))? {
            self.replace_record(Record::Sums(file), &sums)?;
        }
        self.forget_handles();
        sys::rename_new(&from, &to).map_err(|e| io("move", &from, e))?;
        sync(&self.path)?;
        sync(&self.stage_path())
    }

    pub(super) fn take_down_stage(&self) -> Result<(), DriveError> {
        let stage = self.stage_path();
        let staged = Self::planned(&stage).held()?;
        if let Some(file) = staged.keys().next() {
            let reason = format!("{} is still staged", Layout::file_name(*file));
            return Err(DriveError::Malformed { place: stage.display().to_string(), reason });
        }
        if exists(&stage)? {
            clear_stage(&stage)?;
        }
        Ok(())
    }
}

/// Removes what is ours from a stage without data files, then its folders. Anything else stays, and its folder with it.
#[expect(clippy::disallowed_methods, reason = "records of ours, by name, and empty folders")]
fn clear_stage(stage: &Path) -> Result<(), DriveError> {
    let own = stage.join(OWN_FOLDER);
    let sums = own.join(super::SUMS_FOLDER);
    let mut files: Vec<PathBuf> = OF_A_STAGE.iter().map(|name| own.join(name)).collect();
    files.push(own.join(super::METADATA_COPY));
    files.push(stage.join(crate::metadata::Metadata::FILE_NAME));
    if let Ok(entries) = std::fs::read_dir(&sums) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    for file in files {
        gone(&file, std::fs::remove_file(&file))?;
    }
    for folder in [&sums, &own, &stage.to_path_buf()] {
        match std::fs::remove_dir(folder) {
            // Somebody else's file is in it.
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => {}
            removed => gone(folder, removed)?,
        }
    }
    Ok(())
}

/// What was not there is gone too.
fn gone(path: &Path, removed: std::io::Result<()>) -> Result<(), DriveError> {
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io("remove", path, e)),
        _ => Ok(()),
    }
}

fn exists(path: &Path) -> Result<bool, DriveError> {
    path.try_exists().map_err(|e| io("look at", path, e))
}

fn sync(directory: &Path) -> Result<(), DriveError> {
    sys::sync_directory(directory).map_err(|e| io("sync the directory", directory, e))
}

impl Remove for DirDrive {
    fn spare(&self) -> Result<BTreeMap<String, u64>, DriveError> {
        let mut spare = BTreeMap::new();
        for folder in [ASIDE, STAGE] {
            let path = self.path.join(OWN_FOLDER).join(folder);
            let entries = match std::fs::read_dir(&path) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                entries => entries.map_err(|e| io("read the directory", &path, e))?,
            };
            for entry in entries {
                let entry = entry.map_err(|e| io("read the directory", &path, e))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let meta = entry.metadata().map_err(|e| io("look at", &entry.path(), e))?;
                if name.starts_with("postdata_") && name.contains(".bin") && meta.is_file() {
                    spare.insert(format!("{OWN_FOLDER}/{folder}/{name}"), meta.len());
                }
            }
        }
        Ok(spare)
    }

    #[expect(clippy::disallowed_methods, reason = "what prune is for")]
    fn remove(&self, file: u32) -> Result<(), DriveError> {
        self.forget_handles();
        let path = self.file_path(file);
        gone(&path, std::fs::remove_file(&path))?;
        self.forget_record(Record::Sums(file))
    }

    #[expect(clippy::disallowed_methods, reason = "what prune is for")]
    fn shorten(&self, file: u32, bytes: u64) -> Result<(), DriveError> {
        self.forget_handles();
        let path = self.file_path(file);
        let handle: File = OpenOptions::new().write(true).open(&path).map_err(|e| io("open", &path, e))?;
        let there = handle.metadata().map_err(|e| io("look at", &path, e))?.len();
        if there > bytes {
            handle.set_len(bytes).and_then(|()| handle.sync_all()).map_err(|e| io("cut", &path, e))?;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "what prune is for")]
    fn remove_spare(&self, name: &str) -> Result<(), DriveError> {
        // Only what `spare` gives: never a path of somebody's choice.
        if self.spare()?.contains_key(name) {
            let path = self.path.join(name);
            gone(&path, std::fs::remove_file(&path))?;
        }
        if Self::planned(&self.stage_path()).held()?.is_empty() { self.take_down_stage() } else { Ok(()) }
    }
}
