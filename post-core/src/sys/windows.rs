//! Windows. Never built nor run by us so far: untested.

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::os::windows::fs::FileExt;
use std::path::Path;

/// Reads all of `buffer` from `offset`; an early end is an error.
pub(crate) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Writes all of `data` at `offset`.
pub(crate) fn write_all_at(file: &File, mut data: &[u8], mut offset: u64) -> Result<()> {
    while !data.is_empty() {
        match file.seek_write(data, offset)? {
            0 => return Err(Error::from(ErrorKind::WriteZero)),
            written => {
                data = &data[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

/// Directories can't be synced here; replacing a file is durable by itself.
pub(crate) fn sync_directory(_directory: &Path) -> Result<()> {
    Ok(())
}

/// The same for two paths exactly when they share one volume: told by the drive letter or share the path begins with.
pub(crate) fn filesystem_id(path: &Path) -> Result<u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    std::fs::canonicalize(path)?.components().next().hash(&mut hasher);
    Ok(hasher.finish())
}

/// Not told.
pub(crate) fn inode(_meta: &Metadata) -> u64 {
    0
}

/// Not told without trying; the first write will.
pub(crate) fn check_writable(_directory: &Path) -> Result<()> {
    Ok(())
}

/// Huge pages need a right that few users have here.
pub(crate) fn advise_huge_pages(_memory: *mut u8, _bytes: usize) {}

/// The filesystem stands for the disk: which disks a volume lies on is not asked.
pub(crate) fn disk_id(path: &Path) -> Result<u64> {
    filesystem_id(path)
}

/// Does nothing: space is taken when it is written.
pub(crate) fn preallocate(_file: &File, _bytes: u64) -> Result<()> {
    Ok(())
}

/// Needs a right that few users have here.
pub(crate) fn link(_target: &Path, _path: &Path) -> Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Gives a file another name; one that is there already is never replaced.
#[expect(clippy::disallowed_methods, reason = "nothing is in the new place")]
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}
