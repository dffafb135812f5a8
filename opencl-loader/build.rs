//! Puts an empty OpenCL library on the link path. The crates below `ocl` ask the linker for one; what they want of it is
//! in this crate.

use std::path::Path;
use std::{env, fs, io};

/// All that an archive without any member consists of.
const EMPTY_ARCHIVE: &[u8] = b"!<arch>\n";

#[expect(clippy::disallowed_methods, reason = "the build's own folder")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    // The first name is for Unix linkers, the second for that of Windows.
    for name in ["libOpenCL.a", "OpenCL.lib"] {
        fs::write(Path::new(&folder).join(name), EMPTY_ARCHIVE)?;
    }
    println!("cargo::rustc-link-search=native={}", Path::new(&folder).display());
    Ok(())
}
