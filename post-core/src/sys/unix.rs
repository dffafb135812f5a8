//! Linux, macOS and the BSDs.

use std::fs::{File, Metadata};
use std::io::Result;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Reads all of `buffer` from `offset`; an early end is an error.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<()> {
    file.read_exact_at(buffer, offset)
}

/// Writes all of `data` at `offset`.
pub(crate) fn write_all_at(file: &File, data: &[u8], offset: u64) -> Result<()> {
    file.write_all_at(data, offset)
}

/// Makes names created or replaced in `directory` survive a power cut.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)?.sync_all()
}

/// The same for two paths exactly when they share one filesystem and so its free space.
pub(crate) fn filesystem_id(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path)?.dev())
}

/// The number of a file on its filesystem.
pub(crate) fn inode(meta: &Metadata) -> u64 {
    meta.ino()
}

/// The same for two paths exactly when they lie on one physical disk, as far as the system tells: partitions of a disk
/// count as the disk. What is put together from several disks counts as one.
pub(crate) fn disk_id(path: &Path) -> Result<u64> {
    let device = filesystem_id(path)?;
    #[cfg(target_os = "linux")]
    if let Some(disk) = whole_disk(device) {
        return Ok(disk);
    }
    Ok(device)
}

/// The device number of the disk that a partition is part of.
#[cfg(target_os = "linux")]
fn whole_disk(device: u64) -> Option<u64> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let partition = std::fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    if !partition.join("partition").exists() {
        return None;
    }
    let numbers = std::fs::read_to_string(partition.parent()?.join("dev")).ok()?;
    let (major, minor) = numbers.trim().split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// Gives a file another name; one that is there already is never replaced.
#[expect(clippy::disallowed_methods, reason = "nothing can be in the new place")]
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // A filesystem that does not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            done => return Ok(done?),
        }
    }
    if to.symlink_metadata().is_ok() {
        return Err(std::io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

/// Sets space aside for a file of `bytes` bytes without making it longer.
pub(crate) fn preallocate(file: &File, bytes: u64) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            done => done?,
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, bytes);
    Ok(())
}

/// Makes a symbolic link at `path`, where nothing must be.
pub(crate) fn link(target: &Path, path: &Path) -> Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Whether entries may be made in `directory`: permissions and read-only mounts, found without writing.
pub(crate) fn check_writable(directory: &Path) -> Result<()> {
    use rustix::fs::{Access, access};
    Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Asks for huge pages behind fresh memory. A refusal is normal and costs only speed; where there is no such request,
/// nothing happens.
pub(crate) fn advise_huge_pages(memory: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    // SAFETY: the advice changes how memory is mapped, never what is in it; a range that isn't ours is refused.
    let _ = unsafe { rustix::mm::madvise(memory.cast(), bytes, rustix::mm::Advice::LinuxHugepage) };
    #[cfg(not(target_os = "linux"))]
    let _ = (memory, bytes);
}
