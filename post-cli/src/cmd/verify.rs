//! `post verify`: judges proof files, each on its own line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use post_core::backend::Backend;
use post_core::pow::{LazyRandomX, Mode as PowMode, Options};
use post_core::proof::ProofFile;
use post_core::verify::{Invalid, Mode, Verifier};
use serde_json::json;

use crate::args::{Compute, Network, hex_bytes};
use crate::devices::Work;
use crate::report::Reporter;
use crate::{devices, machine, report};

/// The largest proof there is has 65535 indices of 64 bits; a file beyond this is not one.
const MAX_PROOF_FILE: u64 = 4 << 20;

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
    // Of devices that drop out stderr tells, whatever stdout is for.
    let mut devices = devices::open(&args.compute, Work::Short, &Arc::new(Reporter::for_people_or_json(false)))?;
    // Light mode: a dataset would take longer than thousands of verifications.
    let randomx = LazyRandomX::new(Options::new(PowMode::Light, machine::threads(&args.compute)));
    let verifier = Verifier::new(&params, &randomx)?;
    let (mut invalid, mut unusable) = (false, false);
    for path in &args.files {
        let mut finding = judge(path, &verifier, &mode, &mut *devices.backend)?;
        if matches!(finding, Finding::Invalid(_)) && devices.backend.info().kind != "cpu" {
            // One label of a batch is checked on the CPU. Another may be wrong, and nobody's proof is refused for that.
            finding = judge(path, &verifier, &mode, &mut machine::open_cpu(&args.compute)?)?;
            if matches!(finding, Finding::Valid) {
                let device = &devices.backend.info().id;
                bail!("{device} computed a wrong label for {}; don't use this device", path.display());
            }
        }
        invalid |= matches!(finding, Finding::Invalid(_));
        unusable |= matches!(finding, Finding::Unreadable(_) | Finding::Malformed(_));
        let line = if args.json { finding.json(path)? } else { finding.text(path) };
        if !report::print(&line) {
            bail!("stdout was closed before all verdicts were written");
        }
    }
    Ok(match (unusable, invalid) {
        (true, _) => ExitCode::from(crate::WRONG),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

fn judge(path: &Path, verifier: &Verifier<'_>, mode: &Mode, backend: &mut dyn Backend) -> Result<Finding> {
    let bytes = match read_limited(path) {
        Ok(bytes) if bytes.len() as u64 > MAX_PROOF_FILE => {
            return Ok(Finding::Malformed(format!("larger than {MAX_PROOF_FILE} bytes, so it is no proof")));
        }
        Ok(bytes) => bytes,
        Err(error) => return Ok(Finding::Unreadable(error.to_string())),
    };
    let file = match ProofFile::parse(&bytes) {
        Ok(file) => file,
        Err(error) => return Ok(Finding::Malformed(error.to_string())),
    };
    Ok(match verifier.verify(&file.proof, &file.metadata, mode, backend)? {
        Ok(()) => Finding::Valid,
        Err(invalid) => Finding::Invalid(invalid),
    })
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
