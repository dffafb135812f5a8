//! `post bench`: what this machine can do.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use post_core::{label, scan as core_scan};

use crate::args::Compute;
use crate::bench::gpu::Gpu;
use crate::bench::summary::Rates;
use crate::bench::{Settings, drive, labels, pow, scan, summary, verify};
use crate::{devices, machine, report, stop};

/// Measure this machine: labels and scan on the CPU and every GPU (or the devices named), RandomX, drives, and what that
/// means for a miner
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_name = "WHAT", default_value = "all")]
    what: What,
    /// Rougher figures in less than half a minute
    #[arg(long)]
    quick: bool,
    /// Only the CPU, and of it only this instruction tier, e.g. avx2 or vaes256 [default: all of this machine]
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
    // Everything that can be refused is refused before the first measurement.
    devices::check_named(&args.compute)?;
    machine::open_cpu(&args.compute)?;
    let mut chosen = Chosen::new(args)?;
    let settings = Settings { quick: args.quick, threads: machine::threads(&args.compute), json: args.json };
    stop::listen()?;
    let mut rates = Rates::default();
    // With one tier named, only what has that tier is measured of the two.
    if of(What::Labels) && (tiers.label.is_some() || args.tier.is_none()) {
        rates.labels_per_s = Some(chosen.labels(&settings, &args.compute, tiers.label)?);
    }
    if of(What::Scan) && (tiers.scan.is_some() || args.tier.is_none()) {
        rates.scan = Some(chosen.scan(&settings, tiers.scan)?);
    }
    if of(What::Pow) {
        rates.hashes_per_s = Some(pow::run(&settings)?);
    }
    for dir in &args.drives {
        let read = drive::run(&settings, dir)?;
        // Drives are read one after the other: the slowest is what counts.
        rates.drive_read = Some(rates.drive_read.map_or(read, |slowest: f64| slowest.min(read)));
    }
    // Its memory is free again for what comes.
    drop(chosen);
    if of(What::Verify) {
        verify::run(&settings, &args.compute)?;
    }
    summary::tell(&settings, &rates);
    Ok(ExitCode::SUCCESS)
}

/// The devices to measure.
struct Chosen {
    cpu: bool,
    gpus: Vec<Gpu>,
    /// Whether the CPU works beside the GPUs, which it does only where it is named.
    together: bool,
}

impl Chosen {
    /// Those that are named; else the CPU and every GPU that works.
    fn new(args: &Args) -> Result<Self> {
        let Args { compute, what, tier, .. } = args;
        let named = &compute.devices;
        let cpu = named.is_empty() || named.iter().any(|id| id == devices::CPU);
        if tier.is_some() && !cpu {
            bail!("--tier goes with the cpu only");
        }
        let mut gpus = Vec::new();
        if !matches!(what, What::Labels | What::Scan | What::All) || tier.is_some() {
            return Ok(Self { cpu, gpus, together: false });
        }
        if named.is_empty() {
            for id in devices::default_gpus() {
                match Gpu::open(&id, compute) {
                    Ok(gpu) => gpus.push(gpu),
                    Err(error) => report::say(&report::plain(format!("device {id} is left out: {error:#}"))),
                }
            }
        } else {
            for id in named.iter().filter(|id| *id != devices::CPU) {
                gpus.push(Gpu::open(id, compute)?);
            }
        }
        Ok(Self { cpu, gpus, together: !named.is_empty() })
    }

    /// What all devices that a command would use do together.
    fn labels(&mut self, settings: &Settings, compute: &Compute, tier: Option<label::tier::Tier>) -> Result<f64> {
        let of_cpu = if self.cpu { labels::run(settings, compute, tier)? } else { 0.0 };
        let mut sum = if self.cpu_counts() { of_cpu } else { 0.0 };
        for gpu in &mut self.gpus {
            sum += gpu.labels(settings)?;
        }
        Ok(sum)
    }

    /// The same for scans.
    fn scan(&mut self, settings: &Settings, tier: Option<core_scan::tier::Tier>) -> Result<[f64; 4]> {
        let of_cpu = if self.cpu { scan::run(settings, tier)? } else { [0.0; 4] };
        let mut sums = if self.cpu_counts() { of_cpu } else { [0.0; 4] };
        for gpu in &mut self.gpus {
            sums.iter_mut().zip(gpu.scan(settings)?).for_each(|(sum, rate)| *sum += rate);
        }
        Ok(sums)
    }

    fn cpu_counts(&self) -> bool {
        self.together || self.gpus.is_empty()
    }
}
