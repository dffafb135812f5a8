//! What the standard library does not give the same way everywhere. The rest of the crate calls only these.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{
    advise_huge_pages, check_writable, disk_id, filesystem_id, inode, link, preallocate, read_exact_at, rename_new,
    sync_directory, write_all_at,
};
#[cfg(windows)]
pub(crate) use windows::{
    advise_huge_pages, check_writable, disk_id, filesystem_id, inode, link, preallocate, read_exact_at, rename_new,
    sync_directory, write_all_at,
};
