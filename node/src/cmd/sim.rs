//! `post-node sim`: networks of whole nodes in this process, one a seed, to see that what must hold does.

mod show;
mod stopwatch;

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use anyhow::{Result, bail};
use node::params::RewardRule;
use node::sim::{Faults, Keys, Report, Settings};

use self::stopwatch::Stopwatch;
use super::tell;

/// Simulate networks from seeds, with faults and liars, and see whether all honest nodes agree
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The seeds: one network each, from A up to and without B; or a single one
    #[arg(long, value_name = "A..B", default_value = "0..10", value_parser = seeds)]
    seeds: Range<u64>,
    /// Nodes of a network
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    nodes: u32,
    /// Layers, after the two epochs in which nobody has weight yet
    #[arg(long, value_name = "L", default_value_t = 40, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    layers: u32,
    /// How long a layer lasts, in seconds
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    layer_s: u32,
    /// What goes wrong: none, all, or some of latency,loss,partition,skew,crash,late,stop
    #[arg(long, value_name = "LIST", default_value = "none")]
    faults: Faults,
    /// The weight of liars, and of nodes that stop for good, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    dishonest: u32,
    /// Each liar has two nodes with one key, in the two parts of a network that falls apart for a while, and does nothing else
    #[arg(long)]
    twins: bool,
    /// Who is paid
    #[arg(long, value_name = "RULE", default_value = "classical")]
    rule: Rule,
    /// Signatures and draws: keyed hashes, those of a real network, or its draws only
    #[arg(long, value_name = "KEYS", default_value = "hash")]
    crypto: Crypto,
    /// Networks at a time
    #[arg(long, value_name = "T", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Print JSON: a line for every seed
    #[arg(long)]
    json: bool,
    /// Print what the plan of each seed was
    #[arg(long)]
    story: bool,
    /// Print what was said, and what it cost, by layer and topic
    #[arg(long)]
    stats: bool,
}

/// As on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Rule {
    Classical,
    Linear,
}

/// As on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Crypto {
    Hash,
    Real,
    RealDraws,
}

/// The proposers' part under the linear rule, in thousandths.
const PROPOSERS_PERMILLE: u16 = 100;

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let settings = settings(args);
    let mut broken = Vec::new();
    simulate(args, &settings, |report, watch| {
        if args.story && !args.json {
            node::sim::story(&settings, report.seed).iter().try_for_each(|line| tell(&format!("  {line}")))?;
        }
        tell(&if args.json { show::json(&report, &watch)? } else { show::line(&report, &watch) })?;
        if args.stats && !args.json {
            tell(&show::stats(&report, &watch))?;
        }
        for broken in report.broken.iter().filter(|_| !args.json) {
            tell(&format!("  {broken}"))?;
        }
        if !report.broken.is_empty() {
            broken.push(report.seed);
        }
        Ok(())
    })?;
    if let Some(seed) = broken.first() {
        let count = broken.len();
        eprint(&format!("{count} seeds broke something; the first again: {}", show::command(&settings, *seed)));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stderr)]
fn eprint(line: &str) {
    eprintln!("{line}");
}

fn settings(args: &Args) -> Settings {
    Settings {
        nodes: args.nodes,
        layers: args.layers,
        layer_s: args.layer_s,
        faults: args.faults.clone(),
        dishonest: args.dishonest,
        twins: args.twins,
        rule: match args.rule {
            Rule::Classical => RewardRule::Classical,
            Rule::Linear => RewardRule::Linear { proposers_permille: PROPOSERS_PERMILLE },
        },
        keys: match args.crypto {
            Crypto::Hash => Keys::Hash,
            Crypto::Real => Keys::Real,
            Crypto::RealDraws => Keys::RealDraws,
        },
    }
}

/// Runs all seeds, some at a time, and hands over what comes of them as it comes.
fn simulate(args: &Args, settings: &Settings, mut done: impl FnMut(Report, Stopwatch) -> Result<()>) -> Result<()> {
    let (next, end) = (AtomicU64::new(args.seeds.start), args.seeds.end);
    let (reports, received) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..args.threads {
            let (next, reports) = (&next, reports.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let mut watch = Stopwatch::new();
                    // Nobody listens any more when stdout is closed.
                    if seed >= end || reports.send((node::sim::run(settings, seed, &mut watch), watch)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(reports);
        received.into_iter().try_for_each(|(report, watch)| done(report, watch))
    })
}

fn seeds(text: &str) -> Result<Range<u64>> {
    let range = match text.split_once("..") {
        Some((first, end)) => first.parse()?..end.parse()?,
        None => {
            let seed: u64 = text.parse()?;
            seed..seed.saturating_add(1)
        }
    };
    if range.is_empty() {
        bail!("no seed lies in it; give A..B with A < B");
    }
    Ok(range)
}
