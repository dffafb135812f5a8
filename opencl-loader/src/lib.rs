//! OpenCL's functions, found when the program runs instead of when it is linked.
//!
//! The crate `ocl` links to OpenCL's library: a program that uses it would neither build nor start without one. This
//! crate stands in. Its build script gives the linker an empty library, it defines all the functions of OpenCL 1.2
//! itself, and each looks for the real one at its first call. Where there is no library there are no platforms, and
//! nobody can come by an object to call the rest with.
//!
//! A program must name this crate (call [`library`]), or it isn't linked in.
//!
//! Built and run on Linux; that macOS and Windows take an empty library too is hoped, not known.
//!
//! Two things are smoothed on the way, because `ocl` panics on them or waits ten seconds: error codes that the standard
//! doesn't know, and a loader without any driver. See `forward`.

mod forward;

use std::env;
use std::ffi::OsString;
use std::sync::OnceLock;

use libloading::Library;

/// Names another library instead of the system's; empty: use none.
pub const LIBRARY_VARIABLE: &str = "POST_OPENCL_LIBRARY";

/// Where systems keep it, the best name first.
#[cfg(all(unix, not(target_os = "macos")))]
const NAMES: &[&str] = &["libOpenCL.so.1", "libOpenCL.so"];
#[cfg(target_os = "macos")]
const NAMES: &[&str] = &["/System/Library/Frameworks/OpenCL.framework/OpenCL"];
#[cfg(windows)]
const NAMES: &[&str] = &["OpenCL.dll"];
#[cfg(not(any(unix, windows)))]
const NAMES: &[&str] = &[];

/// A library that is loaded, and stays.
struct Loaded {
    name: String,
    library: Library,
}

/// The name of the OpenCL library in use; the first call loads it.
///
/// # Errors
/// What was tried and why it failed, for people.
pub fn library() -> Result<&'static str, &'static str> {
    loaded().as_ref().map(|loaded| loaded.name.as_str()).map_err(String::as_str)
}

fn loaded() -> &'static Result<Loaded, String> {
    static LOADED: OnceLock<Result<Loaded, String>> = OnceLock::new();
    LOADED.get_or_init(load)
}

fn load() -> Result<Loaded, String> {
    let names = match env::var_os(LIBRARY_VARIABLE) {
        Some(name) if name.is_empty() => return Err(format!("{LIBRARY_VARIABLE} is empty: OpenCL is not wanted")),
        Some(name) => vec![name],
        None => NAMES.iter().map(OsString::from).collect(),
    };
    let mut failures = Vec::new();
    for name in names {
        match open(&name) {
            Ok(library) => return Ok(Loaded { name: name.to_string_lossy().into_owned(), library }),
            Err(error) => failures.push(error.to_string()),
        }
    }
    Err(failures.join("; "))
}

fn open(name: &OsString) -> Result<Library, libloading::Error> {
    // SAFETY: loading runs the library's initialisers. It is the system's OpenCL loader, or the one that the person at
    // the keyboard named; both are as trusted as the program itself.
    unsafe { Library::new(name) }
}

/// The real function of this name.
///
/// # Safety
/// `F` is the type of a pointer to that function.
unsafe fn symbol<F: Copy>(name: &str) -> Option<F> {
    let loaded = loaded().as_ref().ok()?;
    // SAFETY: the caller's promise. The library is never unloaded, so the pointer may outlive the borrow.
    unsafe { loaded.library.get::<F>(name) }.ok().map(|symbol| *symbol)
}
