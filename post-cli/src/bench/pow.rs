//! RandomX hashes per second.

use std::time::Duration;

use anyhow::Result;
use post_core::pow::{LazyRandomX, Mode, Options, Pages};
use post_core::watch::Watch;
use serde_json::json;

use super::Settings;
use crate::machine;
use crate::report::Reporter;

/// Measures both modes, fast mode where memory allows it, and returns the rate of the one `post` would choose.
pub(crate) fn run(settings: &Settings) -> Result<f64> {
    settings.heading(&format!("RandomX (k2pow), threads: {}", settings.threads));
    let mut rate = one(settings, Mode::Light)?;
    if machine::free_memory() >= machine::FAST_NEEDS {
        rate = one(settings, Mode::Fast)?;
    } else {
        settings.heading("  fast mode wants 3 GiB of free memory");
    }
    Ok(rate)
}

fn one(settings: &Settings, mode: Mode) -> Result<f64> {
    let time = Duration::from_millis(if settings.quick { 1500 } else { 5000 });
    let reporter = Reporter::quiet();
    // A whole dataset takes a minute or more: too long for a quick look, and as fast to read when it is none.
    let randomx = LazyRandomX::new(Options::new(mode, settings.threads));
    let measured = randomx.measure(time, settings.quick, &reporter as &dyn Watch)?;
    let name = match mode {
        Mode::Fast => "fast",
        Mode::Light => "light",
    };
    let mut object = json!({
        "bench": "pow", "mode": name, "threads": settings.threads, "hashes_per_s": measured.hashes_per_s,
    });
    let mut row = format!("  {name:10} {:9.1} H/s", measured.hashes_per_s);
    if let Some(pages) = measured.pages {
        let pages = match pages {
            Pages::Reserved => "reserved",
            Pages::Transparent => "transparent",
            Pages::Small => "small",
        };
        object["pages"] = json!(pages);
        row += &format!("  huge pages: {pages}");
    }
    if let Some(seconds) = measured.dataset_s {
        object["dataset_s"] = json!(seconds);
        row += &format!(", dataset made in {seconds:.1} s");
    }
    settings.result(&object, &row);
    Ok(measured.hashes_per_s)
}
