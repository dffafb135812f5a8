//! One directory that shows a whole set, wherever its files lie: symbolic links to them, for tools that know of one
//! directory only. Nothing that is there is replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::drive::{DirDrive, Drive, DriveError, Role};
use crate::identity::IdentityKey;
use crate::metadata::Metadata;
use crate::plan::Layout;
use crate::set::{DataSet, SetError, survey};
use crate::sys;

/// Why there is no such directory.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The set is not whole.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The directory is one of the set's own.
    #[error("{} is one of the set's own directories; choose another one for the links", path.display())]
    OwnDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Something else has the name of a link, or of the metadata.
    #[error("{} is in the way: {what}; move it away, or choose another directory for the links", path.display())]
    InTheWay {
        /// What is there.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// Windows lets few users make symbolic links.
    #[error("symbolic links are not made on this system; give every directory of the set with --data instead")]
    Unsupported,
}

impl From<DriveError> for LinkError {
    fn from(error: DriveError) -> Self {
        Self::Set(error.into())
    }
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is, or is to be.
    pub path: PathBuf,
    /// The file it shows, an absolute path.
    pub target: PathBuf,
    /// Whether it is there already.
    pub is_there: bool,
}

/// A directory of links, decided on but not made.
#[derive(Debug)]
pub struct View {
    dir: PathBuf,
    links: Vec<Link>,
    metadata: Metadata,
    has_metadata: bool,
}

impl View {
    /// Looks at the set in `dirs` and at `into`, which need not exist, and decides what is to be made. Nothing is written.
    ///
    /// # Errors
    /// Every [`LinkError`].
    pub fn new(dirs: &[PathBuf], into: &Path) -> Result<Self, LinkError> {
        if cfg!(windows) {
            return Err(LinkError::Unsupported);
        }
        let dirs = real_paths(dirs)?;
        if fs::canonicalize(into).is_ok_and(|into| dirs.contains(&into)) {
            return Err(LinkError::OwnDirectory { path: into.to_path_buf() });
        }
        let open = || -> Result<Vec<Box<dyn Drive>>, DriveError> {
            dirs.iter().map(|dir| Ok(Box::new(DirDrive::existing(dir)?) as Box<dyn Drive>)).collect()
        };
        // A set that other tools can't read whole is not shown to them.
        let set = DataSet::open(open()?)?;
        let files = survey(&open()?, &set.metadata().commitment(), set.layout())?.files;
        let mut targets: BTreeMap<String, PathBuf> = BTreeMap::new();
        for (file, (drive, _)) in files {
            let name = Layout::file_name(file);
            targets.insert(name.clone(), dirs[drive].join(name));
        }
        let keys = dirs.iter().map(|dir| dir.join(IdentityKey::FILE_NAME));
        if let Some(key) = keys.into_iter().find(|key| key.is_file()) {
            targets.insert(IdentityKey::FILE_NAME.into(), key);
        }
        refuse_strangers(into, &targets)?;
        let has_metadata = has_metadata(into, set.metadata())?;
        let links = targets.into_iter().map(|(name, target)| look_at(into.join(name), target));
        Ok(Self {
            dir: into.to_path_buf(),
            links: links.collect::<Result<_, _>>()?,
            metadata: set.metadata().clone(),
            has_metadata,
        })
    }

    /// Its links, by name.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Whether the metadata is there already.
    #[must_use]
    pub fn has_metadata(&self) -> bool {
        self.has_metadata
    }

    /// Makes what is missing: the directory, the links, and last the metadata, so that a view that is not finished looks
    /// like no data directory.
    ///
    /// # Errors
    /// [`LinkError::Set`] when the system refuses. What was made stays; the same call makes the rest.
    pub fn make(&self) -> Result<(), LinkError> {
        let missing: Vec<_> = self.links.iter().filter(|link| !link.is_there).collect();
        if missing.is_empty() && self.has_metadata {
            return Ok(());
        }
        let drive = DirDrive::planned(&self.dir);
        drive.claim(Role::Writer)?;
        for link in missing {
            // Fails where something has appeared meanwhile.
            sys::link(&link.target, &link.path).map_err(|e| io("make the link", &link.path, e))?;
        }
        sys::sync_directory(&self.dir).map_err(|e| io("sync the directory", &self.dir, e))?;
        if !self.has_metadata {
            drive.replace_metadata(&self.metadata)?;
        }
        Ok(())
    }
}

/// Absolute paths with links followed, each once.
fn real_paths(dirs: &[PathBuf]) -> Result<Vec<PathBuf>, DriveError> {
    let mut real = Vec::new();
    for dir in dirs {
        let path = fs::canonicalize(dir).map_err(|e| io("find", dir, e))?;
        if !real.contains(&path) {
            real.push(path);
        }
    }
    Ok(real)
}

/// Data files of no set, or of a larger one, would be read as this set's.
fn refuse_strangers(into: &Path, targets: &BTreeMap<String, PathBuf>) -> Result<(), LinkError> {
    let listing = match fs::read_dir(into) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        listing => listing.map_err(|e| io("read the directory", into, e))?,
    };
    // The first by name, not by chance.
    let mut strangers = BTreeSet::new();
    for entry in listing {
        let name = entry.map_err(|e| io("read the directory", into, e))?.file_name();
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("postdata_") && name.ends_with(".bin") && !targets.contains_key(&name) {
            strangers.insert(name);
        }
    }
    match strangers.first() {
        Some(name) => Err(LinkError::InTheWay { path: into.join(name), what: "it is not part of this set".into() }),
        None => Ok(()),
    }
}

/// Whether the set's metadata is in `into` already. Anything else in its place is refused.
fn has_metadata(into: &Path, wanted: &Metadata) -> Result<bool, LinkError> {
    let in_the_way = |what: String| LinkError::InTheWay { path: into.join(Metadata::FILE_NAME), what };
    // What can't be parsed is an error of its own.
    match DirDrive::planned(into).metadata()? {
        None if fs::symlink_metadata(into.join(Metadata::FILE_NAME)).is_ok() => {
            Err(in_the_way("it is a link to nothing".into()))
        }
        None => Ok(false),
        Some(there) => match wanted.difference(&there) {
            Some((key, a, b)) => Err(in_the_way(format!("it is of another set, {key} is {b} there and {a} here"))),
            None if there.nonce != wanted.nonce => Err(in_the_way("its VRF nonce is not the set's".into())),
            None => Ok(true),
        },
    }
}

/// What is in a link's place.
fn look_at(path: PathBuf, target: PathBuf) -> Result<Link, LinkError> {
    let in_the_way = |path, what: String| Err(LinkError::InTheWay { path, what });
    let is_there = match fs::symlink_metadata(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => false,
        Err(e) => return Err(io("look at", &path, e).into()),
        Ok(about) if !about.is_symlink() => return in_the_way(path, "it is no link".into()),
        Ok(_) => {
            let real = |path: &Path| fs::canonicalize(path).ok();
            if real(&path).is_none() || real(&path) != real(&target) {
                let elsewhere = fs::read_link(&path).map_err(|e| io("read the link", &path, e))?;
                return in_the_way(path, format!("it is a link to {}", elsewhere.display()));
            }
            true
        }
    };
    Ok(Link { path, target, is_there })
}

fn io(action: &'static str, place: &Path, source: std::io::Error) -> DriveError {
    DriveError::Io { action, place: place.display().to_string(), source }
}
