//! Bytes of labels scanned per second of every tier, by number of nonce groups.

use anyhow::{Result, bail};
use post_core::difficulty::Difficulty;
use post_core::identity::Challenge;
use post_core::label::Label;
use post_core::params::NetworkParams;
use post_core::scan::tier::{Scanner, Tier};
use post_core::scan::{NonceGroup, ScanJob};
use serde_json::json;

use super::{Settings, Work, interleaved};
use crate::machine;

/// Nonce groups that are measured: of 16, 64, 128 and 288 nonces a pass.
pub(crate) const GROUPS: [usize; 4] = [1, 4, 8, 18];

/// Labels in a worker's buffer, 1 MiB: the kernels are measured, not the memory behind the caches.
const LABELS: usize = 1 << 16;

pub(super) const GIB: f64 = (1_u64 << 30) as f64;

/// What is scanned, and with what.
pub(super) struct Subject {
    pub(super) labels: Vec<Label>,
    pub(super) difficulty: Difficulty,
    groups: Vec<NonceGroup>,
}

impl Subject {
    /// So many labels, as of mainnet's smallest set, and as many groups as are ever measured.
    pub(super) fn new(labels: usize) -> Result<Self> {
        let params = NetworkParams::mainnet();
        let num_labels = u64::from(params.min_units) * params.labels_per_unit;
        Self::of(params.k1, num_labels, GROUPS[GROUPS.len() - 1] as u32, labels)
    }

    /// So many labels, as of a set of `num_labels`.
    pub(super) fn of(k1: u32, num_labels: u64, groups: u32, labels: usize) -> Result<Self> {
        let Some(difficulty) = Difficulty::new(k1, num_labels) else { bail!("a set has more labels than k1") };
        let groups = (0..groups).map(|group| NonceGroup::new(&Challenge([5; 32]), group, 1)).collect();
        Ok(Self { labels: some_labels(labels), difficulty, groups })
    }

    /// The first `count` groups.
    pub(super) fn groups(&self, count: usize) -> Vec<&NonceGroup> {
        self.groups.iter().take(count).collect()
    }
}

/// A candidate: a tier, or its ciphers alone.
#[derive(Clone, Copy)]
struct Candidate {
    tier: Tier,
    aes_only: bool,
}

/// Measures `only`, or every tier of this machine, and returns the GiB/s of the one `post` would choose, by [`GROUPS`].
pub(crate) fn run(settings: &Settings, only: Option<Tier>) -> Result<[f64; 4]> {
    let chosen = only.or(machine::forced_scan_tier()?).unwrap_or_else(Tier::best);
    let subject = Subject::new(LABELS)?;
    let tiers = only.map_or_else(Tier::available, |tier| vec![tier]);
    let mut candidates: Vec<_> = tiers.into_iter().map(|tier| Candidate { tier, aes_only: false }).collect();
    candidates.push(Candidate { tier: chosen, aes_only: true });

    settings.heading(&format!("scan, threads: {} (16 nonces a group)", settings.threads));
    let mut of_chosen = [0.0; 4];
    for (at, count) in GROUPS.into_iter().enumerate() {
        let groups = subject.groups(count);
        let (labels, job) = (&subject.labels, ScanJob { groups: &groups, difficulty: subject.difficulty });
        candidates.retain(|c| !c.aes_only || Scanner::new(c.tier).aes_only(&job, &labels[..1]).is_some());
        let mut work: Vec<_> = candidates.iter().map(|c| workers(settings, *c, &job, labels)).collect();
        let Some(rates) = interleaved(settings, &mut work) else { bail!("stopped") };
        for (candidate, rate) in candidates.iter().zip(rates) {
            let name = if candidate.aes_only { "aes_bound" } else { candidate.tier.name() };
            let mut object = json!({
                "bench": "scan", "device": "cpu", "tier": name, "threads": settings.threads, "groups": count, "gib_per_s": rate,
            });
            let mut mark = String::new();
            if candidate.aes_only {
                object["of"] = json!(candidate.tier.name());
                mark = format!("  (AES of {} alone)", candidate.tier);
            } else if candidate.tier == chosen {
                object["chosen"] = json!(true);
                of_chosen[at] = rate;
                mark = "  <- chosen".into();
            }
            settings.result(&object, &format!("  {name:10} {count:3} groups {rate:9.3} GiB/s{mark}"));
        }
    }
    Ok(of_chosen)
}

/// Any bytes do: what matters is how often a byte is below the threshold.
fn some_labels(count: usize) -> Vec<Label> {
    let mix = |i: u128| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (0..count as u128).map(|i| mix(i).to_le_bytes()).collect()
}

fn workers<'a>(
    settings: &Settings,
    candidate: Candidate,
    job: &'a ScanJob<'a>,
    labels: &'a [Label],
) -> Vec<Box<dyn Work + 'a>> {
    // Slow tiers take a part of the buffer at a time, so that the clock is asked often enough.
    let share = if matches!(candidate.tier, Tier::Reference | Tier::Baseline) { 16 } else { 1 };
    (0..settings.threads)
        .map(|_| {
            // Every thread reads memory of its own, as threads of `prove` do.
            let labels = labels[..LABELS / share].to_vec();
            let (mut scanner, mut hits) = (Scanner::new(candidate.tier), Vec::new());
            Box::new(move || {
                if candidate.aes_only {
                    std::hint::black_box(scanner.aes_only(job, &labels));
                } else {
                    hits.clear();
                    scanner.scan(job, 0, &labels, &mut hits);
                }
                labels.len() as f64 * 16.0 / GIB
            }) as Box<dyn Work + 'a>
        })
        .collect()
}
