//! `post verify`: judges proof files, each on its own line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use post_core::backend::{self, Backend};
use post_core::pow::{LazyRandomX, Mode as PowMode, Options};
use post_core::proof::ProofFile;
use post_core::verify::{Invalid, Job, Mode, Verifier, VerifyError};
use serde_json::json;

use crate::args::{Compute, Network, hex_bytes};
use crate::devices::Work;
use crate::report::Reporter;
use crate::{devices, machine, report};

/// The largest proof there is has 65535 indices of 64 bits; a file beyond this is not one.
const MAX_PROOF_FILE: u64 = 4 << 20;

/// Files judged together.
const FILES_AT_A_TIME: usize = 256;

/// Packed indices of these, before no further file is read. Proofs of a mainnet have some hundred bytes.
const BYTES_AT_A_TIME: usize = 16 << 20;

/// From so many proofs on a RandomX dataset repays its making, which takes as long as 1500 of them do in light mode.
const WORTH_DATASET: usize = 3000;

/// Verify proof files, as post prove writes them; on the CPU, unless devices are named
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("mode").args(["all", "one", "subset"]))]
pub(crate) struct Args {
    /// Proof files
    #[arg(value_name = "PROOF.json", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    network: Network,
    /// Check all indices of a proof (the default)
    #[arg(long)]
    all: bool,
    /// Check the index at this position in the proof, from 0
    #[arg(long, value_name = "I")]
    one: Option<u32>,
    /// Check this many indices, chosen by --seed
    #[arg(long, value_name = "K3", requires = "seed")]
    subset: Option<u32>,
    /// What the choice is drawn from, hex of any length
    #[arg(long, value_name = "HEX", requires = "subset", value_parser = parse_seed)]
    seed: Option<Seed>,
    #[command(flatten)]
    compute: Compute,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// A type of its own: clap takes a `Vec<u8>` for a list of numbers.
#[derive(Clone)]
struct Seed(Vec<u8>);

fn parse_seed(text: &str) -> Result<Seed> {
    hex_bytes(text).map(Seed)
}

impl Args {
    fn mode(&self) -> Mode {
        match (self.one, self.subset, &self.seed) {
            (Some(position), ..) => Mode::One(position),
            (None, Some(k3), Some(seed)) => Mode::Subset { k3, seed: seed.0.clone() },
            _ => Mode::All,
        }
    }
}

/// A proof, or why there is none.
type Read = Result<ProofFile, Finding>;

/// What is said of one file.
enum Finding {
    Valid,
    Invalid(Invalid),
    Unreadable(String),
    Malformed(String),
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let params = args.network.resolve()?;
    let mode = args.mode();
    let reporter = Arc::new(Reporter::for_people_or_json(false));
    // Of devices that drop out stderr tells, whatever stdout is for.
    let mut devices = devices::open(&args.compute, Work::Short, &reporter)?;
    let randomx = randomx(args.files.len(), machine::threads(&args.compute), &reporter);
    let verifier = Verifier::new(&params, &randomx)?;
    let (mut invalid, mut unusable) = (false, false);
    let mut paths = args.files.iter();
    while !paths.as_slice().is_empty() {
        let files = read_some(&mut paths);
        for (path, finding) in judge(files, &verifier, &mode, &mut *devices.backend)? {
            invalid |= matches!(finding, Finding::Invalid(_));
            unusable |= matches!(finding, Finding::Unreadable(_) | Finding::Malformed(_));
            let line = if args.json { finding.json(path)? } else { finding.text(path) };
            if !report::print(&line) {
                bail!("stdout was closed before all verdicts were written");
            }
        }
    }
    Ok(match (unusable, invalid) {
        (true, _) => ExitCode::from(crate::WRONG),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Light mode, unless so many proofs come that a dataset repays its making.
fn randomx(proofs: usize, threads: usize, reporter: &Reporter) -> LazyRandomX {
    if proofs < WORTH_DATASET {
        return LazyRandomX::new(Options::new(PowMode::Light, threads));
    }
    let (randomx, why) = machine::randomx(None, threads);
    reporter.note(&why);
    randomx
}

/// The next files that are judged together: so many that threads and vector lanes are busy, so few that the first verdicts
/// are soon there and memory stays bounded.
fn read_some<'a>(paths: &mut std::slice::Iter<'a, PathBuf>) -> Vec<(&'a Path, Read)> {
    let (mut files, mut bytes) = (Vec::new(), 0);
    while files.len() < FILES_AT_A_TIME
        && bytes < BYTES_AT_A_TIME
        && let Some(path) = paths.next()
    {
        let read = read(path);
        bytes += read.as_ref().map_or(0, |file| file.proof.indices.len());
        files.push((path.as_path(), read));
    }
    files
}

fn read(path: &Path) -> Read {
    let bytes = read_limited(path).map_err(|error| Finding::Unreadable(error.to_string()))?;
    if bytes.len() as u64 > MAX_PROOF_FILE {
        return Err(Finding::Malformed(format!("larger than {MAX_PROOF_FILE} bytes, so it is no proof")));
    }
    ProofFile::parse(&bytes).map_err(|error| Finding::Malformed(error.to_string()))
}

/// What is said of each file, in their order.
fn judge<'a>(
    files: Vec<(&'a Path, Read)>,
    verifier: &Verifier<'_>,
    mode: &Mode,
    backend: &mut dyn Backend,
) -> Result<Vec<(&'a Path, Finding)>> {
    let proofs = files.iter().filter_map(|(_, read)| read.as_ref().ok());
    let jobs: Vec<_> = proofs.map(|file| Job { proof: &file.proof, metadata: &file.metadata, mode }).collect();
    let verdicts = verifier.verify_batch(&jobs, backend).map_err(|error| match error {
        // What the library says of a wrong label is meant for those that were stored.
        VerifyError::Backend(backend::Error::Wrong { device, .. }) => {
            anyhow!("{device} computed a wrong label; don't use this device")
        }
        error => error.into(),
    })?;
    let mut verdicts = verdicts.into_iter();
    let mut findings = Vec::with_capacity(files.len());
    for (path, read) in files {
        let finding = match read {
            Ok(_) => match verdicts.next().context("a proof got no verdict; this is a defect, please report it")? {
                Ok(()) => Finding::Valid,
                Err(invalid) => Finding::Invalid(invalid),
            },
            Err(finding) => finding,
        };
        findings.push((path, finding));
    }
    Ok(findings)
}

fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_PROOF_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Finding {
    fn text(&self, path: &Path) -> String {
        let path = report::plain(path.to_string_lossy());
        match self {
            Self::Valid => format!("{path}: valid"),
            Self::Invalid(invalid) => format!("{path}: INVALID: {invalid}{}", hint(invalid)),
            Self::Unreadable(reason) => format!("{path}: unreadable: {reason}"),
            Self::Malformed(reason) => format!("{path}: malformed: {reason}"),
        }
    }

    fn json(&self, path: &Path) -> Result<String> {
        let file = path.to_string_lossy();
        let error = match self {
            Self::Valid => return Ok(json!({ "file": file, "ok": true }).to_string()),
            Self::Invalid(invalid) => serde_json::to_value(invalid)?,
            Self::Unreadable(reason) => json!({ "kind": "Unreadable", "reason": reason }),
            Self::Malformed(reason) => json!({ "kind": "Malformed", "reason": reason }),
        };
        Ok(json!({ "file": file, "ok": false, "error": error }).to_string())
    }
}

/// These are far more often a wrong call than a bad proof.
fn hint(invalid: &Invalid) -> &'static str {
    match invalid {
        Invalid::InvalidIndicesLen { .. } | Invalid::NumUnitsTooSmall { .. } | Invalid::NumUnitsTooLarge { .. } => {
            " (is --network the one it was made for?)"
        }
        _ => "",
    }
}
