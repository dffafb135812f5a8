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
pub(crate) const WINDOW: Duration = Duration::from_secs(12 * 3600);

/// A set that many home miners could hold.
const EXAMPLE_UNITS: u32 = 20;

const GIB: f64 = (1_u64 << 30) as f64;

/// How long a proof with one pass over the data takes. Both parts grow with the units.
#[derive(Clone, Copy)]
pub(crate) struct ProofTime {
    /// Seconds for the k2pow of all nonce groups.
    pub(crate) pow_s: f64,
    /// Seconds for the pass.
    pub(crate) pass_s: f64,
}

impl ProofTime {
    /// Of so many units, when a pass takes `pass_s`.
    pub(crate) fn new(params: &NetworkParams, units: u32, groups: u32, hashes_per_s: f64, pass_s: f64) -> Self {
        let hashes = f64::from(groups) * expected_hashes(&pow_target(&params.pow_difficulty, units));
        Self { pow_s: hashes / hashes_per_s, pass_s }
    }

    pub(crate) fn total_s(self) -> f64 {
        self.pow_s + self.pass_s
    }

    /// How many units fit the window, if `units` take this long.
    pub(crate) fn most_units(self, units: u32) -> u64 {
        (WINDOW.as_secs_f64() / self.total_s() * f64::from(units)) as u64
    }
}

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
        let pass_s = f64::from(EXAMPLE_UNITS) * unit_gib / scan.min(read);
        let time = ProofTime::new(&params, EXAMPLE_UNITS, groups as u32, hash_rate, pass_s);
        let most = time.most_units(EXAMPLE_UNITS);
        settings.result(
            &json!({
                "bench": "summary", "units": EXAMPLE_UNITS, "nonces": nonces, "one_pass": found, "pow_s": time.pow_s,
                "pass_s": time.pass_s,
                "window_s": WINDOW.as_secs(), "most_units": most,
            }),
            &format!(
                "A proof of {EXAMPLE_UNITS} units with {nonces} nonces takes {} of the {} window ({} k2pow, {} reading and scanning), {:.1} % in one pass; at most {most} units fit.",
                text(time.total_s()),
                human_duration(WINDOW).trim_end_matches(" 0 min"),
                text(time.pow_s),
                text(time.pass_s),
                100.0 * found,
            ),
        );
    }
    if rates.drive_read.is_none() {
        settings.heading("No drive was measured (--drive DIR): a slow one makes a pass longer.");
    }
}

/// For people, however long.
pub(crate) fn text(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or("centuries".into(), human_duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_takes_its_pow_and_its_pass() {
        // One hash in four meets the target of one unit, one in eight that of two.
        let mut pow_difficulty = [0; 32];
        pow_difficulty[0] = 0x40;
        let params = NetworkParams { pow_difficulty, ..NetworkParams::mainnet() };
        let time = ProofTime::new(&params, 2, 8, 2.0, 100.0);
        assert!((time.pow_s - 32.0).abs() < 1e-9 && (time.total_s() - 132.0).abs() < 1e-9);
        // 43200 s / 132 s · 2 units = 654.5 units
        assert_eq!(time.most_units(2), 654);
        assert_eq!(text(f64::INFINITY), "centuries");
    }
}
