//! `post bench`: what this machine can do.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use post_core::{label, scan as core_scan};

use crate::args::Compute;
use crate::bench::summary::Rates;
use crate::bench::{Settings, drive, labels, pow, scan, summary, verify};
use crate::stop;

/// Measure this machine: labels, scan, RandomX, drives, and what that means for a miner
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_name = "WHAT", default_value = "all")]
    what: What,
    /// Rougher figures in less than half a minute
    #[arg(long)]
    quick: bool,
    /// Only this instruction tier, e.g. avx2 or vaes256 [default: all of this machine]
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    /// A directory of the drive to measure, repeatable; 2 GiB are written there and removed, 256 MiB with --quick
    #[arg(long = "drive", value_name = "DIR")]
    drives: Vec<PathBuf>,
    #[command(flatten)]
    compute: Compute,
    /// One object a line instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    Labels,
    Scan,
    Pow,
    Drive,
    Verify,
    All,
}

/// The tier asked for, of labels or of the scan. A few names are both.
#[derive(Default)]
struct Tiers {
    label: Option<label::tier::Tier>,
    scan: Option<core_scan::tier::Tier>,
}

impl Tiers {
    fn parse(name: Option<&str>, what: What) -> Result<Self> {
        let Some(name) = name else {
            return Ok(Self::default());
        };
        let (label, scan) = (name.parse(), name.parse());
        Ok(match what {
            What::Labels => Self { label: Some(label?), scan: None },
            What::Scan => Self { label: None, scan: Some(scan?) },
            What::All => match (label, scan) {
                (Err(_), Err(error)) => {
                    bail!(
                        "--tier {name} is neither a tier of labels nor one of the scan that this machine has ({error})"
                    )
                }
                (label, scan) => Self { label: label.ok(), scan: scan.ok() },
            },
            _ => bail!("--tier goes with labels and scan only"),
        })
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let tiers = Tiers::parse(args.tier.as_deref(), args.what)?;
    let of = |what: What| args.what == what || args.what == What::All;
    if args.what == What::Drive && args.drives.is_empty() {
        bail!("no drive to measure; name a directory of it with --drive DIR");
    }
    if !of(What::Drive) && !args.drives.is_empty() {
        bail!("--drive goes with `post bench drive` and `post bench all`");
    }
    for dir in &args.drives {
        std::fs::read_dir(dir).with_context(|| format!("cannot use --drive {}; name a directory", dir.display()))?;
    }
    // Everything that the backend can refuse is refused before the first measurement.
    let threads = crate::machine::open_backend(&args.compute)?.info().threads;
    let settings = Settings { quick: args.quick, threads, json: args.json };
    stop::listen()?;
    let mut rates = Rates::default();
    // With one tier named, only what has that tier is measured of the two.
    if of(What::Labels) && (tiers.label.is_some() || args.tier.is_none()) {
        rates.labels_per_s = Some(labels::run(&settings, &args.compute, tiers.label)?);
    }
    if of(What::Scan) && (tiers.scan.is_some() || args.tier.is_none()) {
        rates.scan = Some(scan::run(&settings, tiers.scan)?);
    }
    if of(What::Pow) {
        rates.hashes_per_s = Some(pow::run(&settings)?);
    }
    for dir in &args.drives {
        let read = drive::run(&settings, dir)?;
        // Drives are read one after the other: the slowest is what counts.
        rates.drive_read = Some(rates.drive_read.map_or(read, |slowest: f64| slowest.min(read)));
    }
    if of(What::Verify) {
        verify::run(&settings, &args.compute)?;
    }
    summary::tell(&settings, &rates);
    Ok(ExitCode::SUCCESS)
}
