//! The dozen functions of the RandomX C library that we use, and owners for what they return.
//!
//! The `randomx-rs` crate builds and links the library. Its own wrapper can neither fill one dataset from several
//! threads nor share it between machines, which is why the functions are declared here once more.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_ulong, c_void};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

// Links the C++ library.
use randomx_rs as _;

use crate::pow::{Pages, PowError};

const FLAG_LARGE_PAGES: c_int = 1;
const FLAG_FULL_MEM: c_int = 4;
const FLAG_JIT: c_int = 8;
const FLAG_SECURE: c_int = 16;

const CACHE_MIB: u32 = 256;
const DATASET_MIB: u32 = 2080;
const MIB: usize = 1 << 20;

/// Items initialised between two looks at the stop flag: a few tens of milliseconds.
const ITEMS_PER_STEP: u64 = 1 << 13;

unsafe extern "C" {
    fn randomx_get_flags() -> c_int;
    fn randomx_alloc_cache(flags: c_int) -> *mut c_void;
    fn randomx_init_cache(cache: *mut c_void, key: *const c_void, key_size: usize);
    fn randomx_release_cache(cache: *mut c_void);
    fn randomx_alloc_dataset(flags: c_int) -> *mut c_void;
    fn randomx_dataset_item_count() -> c_ulong;
    fn randomx_init_dataset(dataset: *mut c_void, cache: *mut c_void, start: c_ulong, count: c_ulong);
    fn randomx_get_dataset_memory(dataset: *mut c_void) -> *mut c_void;
    fn randomx_release_dataset(dataset: *mut c_void);
    fn randomx_create_vm(flags: c_int, cache: *mut c_void, dataset: *mut c_void) -> *mut c_void;
    fn randomx_destroy_vm(vm: *mut c_void);
    fn randomx_calculate_hash(vm: *mut c_void, input: *const c_void, input_size: usize, output: *mut c_void);
}

/// What the library recommends for this CPU (hardware AES, compiled programs, the Argon2 tier), as far as this system
/// allows generated code. The library itself does not look whether its pages became executable, and would crash.
fn usable_flags() -> c_int {
    // SAFETY: no precondition; it reads the CPU's feature bits.
    let flags = unsafe { randomx_get_flags() };
    match generated_code() {
        GeneratedCode::Allowed => flags,
        GeneratedCode::NeverWritable => flags | FLAG_SECURE,
        GeneratedCode::Forbidden => flags & !FLAG_JIT,
    }
}

/// What a hardened system lets a process do with code that it made itself.
enum GeneratedCode {
    /// Pages may be writable and executable at once.
    Allowed,
    /// One after the other.
    NeverWritable,
    /// Not at all: SELinux without execmem, systemd's `MemoryDenyWriteExecute`, and others.
    Forbidden,
}

#[cfg(target_os = "linux")]
fn generated_code() -> GeneratedCode {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
    const SIZE: usize = 4096;
    let allowed = |flags: MprotectFlags| {
        // SAFETY: a new private mapping at an address the kernel picks; it is used and unmapped right here.
        unsafe {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let Ok(page) = mmap_anonymous(std::ptr::null_mut(), SIZE, access, MapFlags::PRIVATE) else { return false };
            let allowed = mprotect(page, SIZE, flags).is_ok();
            let _ = munmap(page, SIZE);
            allowed
        }
    };
    let executable = MprotectFlags::READ | MprotectFlags::EXEC;
    if allowed(executable | MprotectFlags::WRITE) {
        GeneratedCode::Allowed
    } else if allowed(executable) {
        GeneratedCode::NeverWritable
    } else {
        GeneratedCode::Forbidden
    }
}

/// Other systems have their own ways, which the library knows; a page that is never writable and executable at once is
/// what most of them accept.
#[cfg(not(target_os = "linux"))]
fn generated_code() -> GeneratedCode {
    GeneratedCode::NeverWritable
}

/// Tries flags in turn until the library returns something.
fn first_that_works(flags: &[c_int], make: impl Fn(c_int) -> *mut c_void) -> Option<(NonNull<c_void>, c_int)> {
    flags.iter().find_map(|&flags| NonNull::new(make(flags)).map(|made| (made, flags)))
}

/// The 256 MiB cache of one key.
pub(super) struct Cache {
    raw: NonNull<c_void>,
    /// The flags it was made with; its machines must agree about compiled programs.
    flags: c_int,
}

// SAFETY: the C object is written by `new` alone, before anyone else sees it; afterwards the library only reads it.
unsafe impl Send for Cache {}
// SAFETY: as above.
unsafe impl Sync for Cache {}

impl Cache {
    pub(super) fn new(key: &[u8]) -> Result<Self, PowError> {
        let flags = usable_flags();
        // Huge pages are a matter of the machine's configuration.
        let tries = [flags | FLAG_LARGE_PAGES, flags];
        // SAFETY: no precondition; a null result is handled.
        let (raw, flags) = first_that_works(&tries, |flags| unsafe { randomx_alloc_cache(flags) })
            .ok_or(PowError::OutOfMemory { what: "cache", mib: CACHE_MIB })?;
        // SAFETY: `raw` was just allocated; the key is read within its length.
        unsafe { randomx_init_cache(raw.as_ptr(), key.as_ptr().cast(), key.len()) };
        Ok(Self { raw, flags })
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // SAFETY: machines and datasets hold or borrow this owner while they use the cache, so nobody does any more.
        unsafe { randomx_release_cache(self.raw.as_ptr()) };
    }
}

/// The 2080 MiB table of fast mode.
pub(super) struct Dataset {
    raw: NonNull<c_void>,
    pages: Pages,
}

// SAFETY: the C object is written by `new` alone, before anyone else sees it; afterwards the library only reads it.
unsafe impl Send for Dataset {}
// SAFETY: as above.
unsafe impl Sync for Dataset {}

impl Dataset {
    /// Memory for the table, in the largest pages that `pages` allows and the system grants.
    fn allocate(pages: Pages) -> Result<Self, PowError> {
        let tries: &[c_int] = if pages == Pages::Reserved { &[FLAG_LARGE_PAGES, 0] } else { &[0] };
        // SAFETY: no precondition; a null result is handled.
        let (raw, flags) = first_that_works(tries, |flags| unsafe { randomx_alloc_dataset(flags) })
            .ok_or(PowError::OutOfMemory { what: "dataset", mib: DATASET_MIB })?;
        let granted = match pages {
            _ if flags & FLAG_LARGE_PAGES != 0 => Pages::Reserved,
            Pages::Small => Pages::Small,
            Pages::Reserved | Pages::Transparent => Pages::Transparent,
        };
        let dataset = Self { raw, pages: granted };
        if granted == Pages::Transparent {
            crate::sys::advise_huge_pages(dataset.memory(), DATASET_MIB as usize * MIB);
        }
        Ok(dataset)
    }

    fn memory(&self) -> *mut u8 {
        // SAFETY: the object is live.
        unsafe { randomx_get_dataset_memory(self.raw.as_ptr()) }.cast()
    }

    /// The pages that its memory is in.
    pub(super) fn pages(&self) -> Pages {
        self.pages
    }

    /// A table of arbitrary numbers: hashes with it are wrong, but take as long. For measuring without the minute that the
    /// true one takes.
    pub(super) fn of_noise(pages: Pages) -> Result<Self, PowError> {
        let dataset = Self::allocate(pages)?;
        let words = DATASET_MIB as usize * MIB / size_of::<u64>();
        let memory = dataset.memory().cast::<u64>();
        for at in 0..words {
            // SAFETY: the library allocated at least as much, aligned to 64 B; nobody else has it yet.
            unsafe { memory.add(at).write((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(29)) };
        }
        Ok(dataset)
    }

    /// Fills the table on `threads` threads, a stretch each; `stop` is asked every few moments.
    pub(super) fn new(
        cache: &Cache,
        pages: Pages,
        threads: usize,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, PowError> {
        let dataset = Self::allocate(pages)?;
        // SAFETY: no precondition; it returns a constant.
        #[allow(clippy::useless_conversion, reason = "the C type is narrower on Windows")]
        let items = u64::from(unsafe { randomx_dataset_item_count() });
        let stopped = AtomicBool::new(false);
        let fill = |from: u64, to: u64| {
            let (dataset, mut at) = (&dataset, from);
            while at < to && !stopped.load(Ordering::Relaxed) {
                let count = ITEMS_PER_STEP.min(to - at);
                // SAFETY: the stretches of the threads don't overlap and end at the item count; both objects live.
                unsafe {
                    randomx_init_dataset(dataset.raw.as_ptr(), cache.raw.as_ptr(), at as c_ulong, count as c_ulong);
                }
                at += count;
                if stop() {
                    stopped.store(true, Ordering::Relaxed);
                }
            }
        };
        let threads = threads.max(1) as u64;
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let fill = &fill;
                scope.spawn(move || fill(items * thread / threads, items * (thread + 1) / threads));
            }
        });
        if stopped.into_inner() { Err(PowError::Stopped) } else { Ok(dataset) }
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        // SAFETY: machines hold this owner while they use the dataset, so nobody does any more.
        unsafe { randomx_release_dataset(self.raw.as_ptr()) };
    }
}

/// A virtual machine: one hash at a time.
pub(super) struct Vm {
    raw: NonNull<c_void>,
    _cache: Arc<Cache>,
    _dataset: Option<Arc<Dataset>>,
}

// SAFETY: the C object is bound to no thread, and `hash` takes it exclusively.
unsafe impl Send for Vm {}

impl Vm {
    /// In fast mode when there is a dataset, else in light mode.
    pub(super) fn new(cache: Arc<Cache>, dataset: Option<Arc<Dataset>>) -> Result<Self, PowError> {
        let flags = (cache.flags & !FLAG_LARGE_PAGES) | if dataset.is_some() { FLAG_FULL_MEM } else { 0 };
        let raw_dataset = dataset.as_ref().map_or(std::ptr::null_mut(), |dataset| dataset.raw.as_ptr());
        let tries = [flags | FLAG_LARGE_PAGES, flags];
        // SAFETY: both objects are initialised and outlive the machine, which holds their owners; null is handled.
        let (raw, _) =
            first_that_works(&tries, |flags| unsafe { randomx_create_vm(flags, cache.raw.as_ptr(), raw_dataset) })
                .ok_or(PowError::NoMachine)?;
        Ok(Self { raw, _cache: cache, _dataset: dataset })
    }

    pub(super) fn hash(&mut self, input: &[u8]) -> [u8; 32] {
        let mut hash = [0; 32];
        // SAFETY: the machine is live and exclusively ours; input and output are valid for their lengths.
        unsafe {
            randomx_calculate_hash(self.raw.as_ptr(), input.as_ptr().cast(), input.len(), hash.as_mut_ptr().cast());
        }
        hash
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // SAFETY: this is the machine's only owner.
        unsafe { randomx_destroy_vm(self.raw.as_ptr()) };
    }
}
