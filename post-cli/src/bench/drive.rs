//! What a drive reads and writes, one long stretch after the other, as `init` and `prove` do.

use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::Settings;
use crate::{report, stop};

const CHUNK: usize = 1 << 20;

const GIB: f64 = (1_u64 << 30) as f64;

/// Writes a file without a name into `dir`, reads it, and returns the GiB/s of reading. The file is gone afterwards, whatever
/// happens.
pub(crate) fn run(settings: &Settings, dir: &Path) -> Result<f64> {
    let chunks = if settings.quick { 256 } else { 2048 };
    let cannot =
        |what: &str| format!("cannot {what} a test file in {}; check that it is yours and has space", dir.display());
    let mut file = tempfile::tempfile_in(dir).with_context(|| cannot("make"))?;
    let mut chunk: Vec<u8> =
        (0..CHUNK).map(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[7]).collect();
    let start = Instant::now();
    for number in 0..chunks {
        if stop::requested() {
            bail!("stopped");
        }
        // No two chunks are alike, or a clever drive would keep only one.
        chunk[..8].copy_from_slice(&u64::to_le_bytes(number));
        file.write_all(&chunk).with_context(|| cannot("write"))?;
    }
    file.sync_all().with_context(|| cannot("write"))?;
    let bytes = (chunks as usize * CHUNK) as f64 / GIB;
    let write = bytes / start.elapsed().as_secs_f64();

    let cold = forget(&file);
    file.rewind().with_context(|| cannot("read"))?;
    let start = Instant::now();
    for _ in 0..chunks {
        file.read_exact(&mut chunk).with_context(|| cannot("read"))?;
        if stop::requested() {
            bail!("stopped");
        }
    }
    let read = bytes / start.elapsed().as_secs_f64();
    let path = report::plain(dir.to_string_lossy());
    settings.heading("drive, 1 MiB at a time");
    let note = if cold { "" } else { " (perhaps from memory: the system was not able to forget the file)" };
    settings.result(
        &json!({
            "bench": "drive", "path": dir.to_string_lossy(), "read_gib_per_s": read, "write_gib_per_s": write, "cold": cold,
        }),
        &format!("  {path}: reads {read:.3} GiB/s, writes {write:.3} GiB/s{note}"),
    );
    Ok(read)
}

/// GiB/s of reading a file that is there, from its beginning, for at most `bytes` of it and about `time`.
pub(crate) fn read_rate(path: &Path, bytes: u64, time: Duration) -> Result<f64> {
    let cannot = || format!("cannot read {}; check its drive", path.display());
    let mut file = std::fs::File::open(path).with_context(cannot)?;
    forget(&file);
    let (mut chunk, mut read) = (vec![0; CHUNK], 0);
    let start = Instant::now();
    while read < bytes && start.elapsed() < time {
        if stop::requested() {
            bail!("stopped");
        }
        match file.read(&mut chunk).with_context(cannot)? {
            0 => break,
            some => read += some as u64,
        }
    }
    Ok(read as f64 / GIB / start.elapsed().as_secs_f64().max(1e-9))
}

/// Asks the system to drop what it keeps of the file in memory, which would be read instead of the drive.
#[cfg(target_os = "linux")]
fn forget(file: &std::fs::File) -> bool {
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn forget(_file: &std::fs::File) -> bool {
    false
}
