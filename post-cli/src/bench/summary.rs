//! What the figures mean for a miner: how long a unit takes to fill, and whether a proof fits its window.

use std::time::Duration;

use post_core::difficulty::{expected_hashes, pow_target};
use post_core::odds::one_pass;
use post_core::params::NetworkParams;
use serde_json::json;

use super::Settings;
use super::scan::GROUPS;
use crate::report::human_duration;

/// How long a proof may take on mainnet (POST.md section 1).
const WINDOW: Duration = Duration::from_secs(12 * 3600);

/// A set that many home miners could hold.
const EXAMPLE_UNITS: u32 = 20;

const GIB: f64 = (1_u64 << 30) as f64;

/// What was measured; what was not is left out of the sentences.
#[derive(Default)]
pub(crate) struct Rates {
    pub(crate) labels_per_s: Option<f64>,
    /// GiB/s by [`GROUPS`].
    pub(crate) scan: Option<[f64; 4]>,
    pub(crate) hashes_per_s: Option<f64>,
    /// GiB/s.
    pub(crate) drive_read: Option<f64>,
}

/// Says it, for mainnet.
pub(crate) fn tell(settings: &Settings, rates: &Rates) {
    let params = NetworkParams::mainnet();
    let unit_gib = params.labels_per_unit as f64 * 16.0 / GIB;
    if let Some(rate) = rates.labels_per_s {
        let seconds = params.labels_per_unit as f64 / rate;
        settings.result(
            &json!({ "bench": "summary", "unit_gib": unit_gib, "fill_unit_s": seconds }),
            &format!("This machine fills one {unit_gib:.0} GiB unit in {}.", text(seconds)),
        );
    }
    let (Some(scan), Some(hash_rate)) = (rates.scan, rates.hashes_per_s) else {
        return;
    };
    // More nonces in a pass make one pass likelier to do, but cost more pow and a slower scan.
    for (groups, scan) in GROUPS.into_iter().zip(scan).skip(1) {
        let nonces = groups as u32 * 16;
        let found = one_pass(nonces, params.k1, params.k2);
        let read = rates.drive_read.unwrap_or(f64::INFINITY);
        let time = |units: u32| {
            let hashes = groups as f64 * expected_hashes(&pow_target(&params.pow_difficulty, units));
            (hashes / hash_rate, f64::from(units) * unit_gib / scan.min(read))
        };
        let (pow, pass) = time(EXAMPLE_UNITS);
        // Both parts grow with the units.
        let most = (WINDOW.as_secs_f64() / (pow + pass) * f64::from(EXAMPLE_UNITS)).floor();
        settings.result(
            &json!({
                "bench": "summary", "units": EXAMPLE_UNITS, "nonces": nonces, "one_pass": found, "pow_s": pow, "pass_s": pass,
                "window_s": WINDOW.as_secs(), "most_units": most,
            }),
            &format!(
                "A proof of {EXAMPLE_UNITS} units with {nonces} nonces takes {} of the {} window ({} k2pow, {} reading and scanning), {:.1} % in one pass; at most {most} units fit.",
                text(pow + pass),
                human_duration(WINDOW).trim_end_matches(" 0 min"),
                text(pow),
                text(pass),
                100.0 * found,
            ),
        );
    }
    if rates.drive_read.is_none() {
        settings.heading("No drive was measured (--drive DIR): a slow one makes a pass longer.");
    }
}

fn text(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or("centuries".into(), human_duration)
}
