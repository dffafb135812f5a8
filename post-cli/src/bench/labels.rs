//! Labels per second of every tier.

use anyhow::{Result, bail};
use post_core::identity::Commitment;
use post_core::label::tier::Tier;
use post_core::label::worker::{Method, Worker};
use post_core::params::ScryptParams;
use serde_json::json;

use super::{Settings, Work, interleaved};
use crate::args::Compute;
use crate::machine;

/// Measures `only`, or every tier of this machine, at mainnet's cost, and returns the rate of the one `post` would choose.
pub(crate) fn run(settings: &Settings, compute: &Compute, only: Option<Tier>) -> Result<f64> {
    let scrypt = ScryptParams::MAINNET;
    let mut cpu = machine::open_cpu(compute)?;
    let forced = only.or(machine::forced_label_tier()?);
    cpu.tune(scrypt, forced)?;
    let chosen = cpu.method();
    let tiers = only.map_or_else(Tier::available, |tier| vec![tier]);
    let mut methods = Vec::new();
    for tier in tiers {
        if tier != chosen.tier() {
            cpu.tune(scrypt, Some(tier))?;
        }
        methods.push(if tier == chosen.tier() { chosen } else { cpu.method() });
    }
    drop(cpu);
    let mut candidates = Vec::new();
    for method in &methods {
        candidates.push(workers(settings, *method, scrypt)?);
    }
    let Some(rates) = interleaved(settings, &mut candidates) else { bail!("stopped") };
    settings.heading(&format!("labels, N = {}, threads: {}", scrypt.n, settings.threads));
    let yardstick = methods.iter().position(|method| method.tier() == Tier::Scalar).map(|at| rates[at]);
    let mut of_chosen = 0.0;
    for (method, rate) in methods.iter().zip(&rates) {
        let is_chosen = method.tier() == chosen.tier();
        let mut object = json!({
            "bench": "labels", "device": "cpu", "tier": method.tier().name(), "way": method.variant(),
            "threads": settings.threads, "n": scrypt.n, "labels_per_s": rate,
        });
        if is_chosen {
            object["chosen"] = json!(true);
            of_chosen = *rate;
        }
        let ratio = yardstick.map_or(String::new(), |yardstick| format!("{:6.2} x scalar", rate / yardstick));
        let mark = if is_chosen { "  <- chosen" } else { "" };
        let name = method.to_string();
        settings.result(&object, &format!("  {name:20} {rate:9.0} labels/s {ratio}{mark}"));
    }
    Ok(of_chosen)
}

/// One worker a thread, each of which computes one batch after the other.
fn workers(settings: &Settings, method: Method, scrypt: ScryptParams) -> Result<Vec<Box<dyn Work>>> {
    let count = method.task();
    (0..settings.threads)
        .map(|thread| {
            let mut worker = Worker::new(method, scrypt)?;
            let jobs: Vec<_> = (0..count as u64).map(|index| (Commitment([thread as u8; 32]), index)).collect();
            let mut labels = vec![[0; 32]; count];
            let work = move || {
                worker.full_labels(&jobs, &mut labels);
                std::hint::black_box(&labels);
                count as f64
            };
            Ok(Box::new(work) as Box<dyn Work>)
        })
        .collect()
}
