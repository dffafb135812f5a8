//! `post prove`: one proof that a set is held.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use post_core::identity::{Challenge, IdentityKey};
use post_core::pow;
use post_core::prove::{Progress, Request, SAVE_EVERY, check};
use post_core::set::DataSet;

use crate::args::{Compute, Data, Network};
use crate::devices::Work;
use crate::proving::{Tools, prove_verified};
use crate::report::{self, Reporter, human_duration};
use crate::{devices, machine, stop};

/// Prove that the data is held; the proof goes to stdout as JSON; the same command continues an interrupted one
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: Data,
    /// What the proof answers, 32 bytes as hex
    #[arg(long, value_name = "HEX")]
    challenge: Challenge,
    #[command(flatten)]
    network: Network,
    /// Nonces tried in one pass over the data, a multiple of 16 up to 4096
    #[arg(long, value_name = "N", default_value_t = 128)]
    nonces: u32,
    #[command(flatten)]
    compute: Compute,
    /// RandomX memory: fast takes 2.3 GiB, light 0.3 GiB [default: fast when 3 GiB are free]
    #[arg(long, value_name = "MODE")]
    randomx: Option<RandomX>,
    /// Write the proof to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `--randomx`: how much memory RandomX takes.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum RandomX {
    Fast,
    Light,
}

impl From<RandomX> for pow::Mode {
    fn from(mode: RandomX) -> Self {
        match mode {
            RandomX::Fast => Self::Fast,
            RandomX::Light => Self::Light,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let started = Instant::now();
    let params = args.network.resolve()?;
    let set = DataSet::open(args.data.open()?)?;
    let request = Request { set: &set, params: &params, challenge: args.challenge, nonces_per_pass: args.nonces };
    check(&request)?;
    let reporter = Arc::new(Reporter::for_people_or_json(false));
    // Labels on disk are judged by the CPU: a GPU that once made wrong ones would make them again.
    let mut judge = machine::open_cpu(&args.compute)?;
    set.spot_check(params.scrypt, &mut judge)?;
    let mut devices = devices::open(&args.compute, Work::Scan(set.layout().num_labels()), &reporter)?;
    // A place for the result is made sure of before hours of work.
    let out = args.out.as_deref().map(Output::create).transpose()?;
    let mode = args.randomx.map(pow::Mode::from);
    let (randomx, why) = machine::randomx(mode, machine::threads(&args.compute));
    reporter.note(&why);
    devices.scans_with().iter().for_each(|line| reporter.note(line));
    stop::listen()?;
    let mut progress = Progress::kept(&set, SAVE_EVERY);
    let tools = Tools { backend: &mut *devices.backend, judge: &mut judge, pow: &randomx, pow_judge: &randomx };
    let file = prove_verified(&request, &mut progress, tools, &*reporter)?;
    let json = file.to_json()?;
    let place = match out {
        Some(out) => out.finish(&json)?.display().to_string(),
        None if report::print(&json) => "stdout".into(),
        None => bail!("the proof could not be written to stdout; give a place with --out"),
    };
    // Only now: whatever ends the program before, the next run has the proof in moments.
    if let Err(error) = progress.forget() {
        reporter.note(&format!("the progress of this proof is not needed any more but stays: {error}"));
    }
    let took = human_duration(started.elapsed());
    reporter.note(&format!("proof found and verified in {took}, nonce {}, written to {place}", file.proof.nonce));
    Ok(ExitCode::SUCCESS)
}

/// Where a proof goes: a file that appears whole or not at all, or something that is no file, like a pipe.
enum Output {
    File { path: PathBuf, copy: tempfile::NamedTempFile },
    Other { path: PathBuf, file: File },
}

impl Output {
    fn create(asked: &Path) -> Result<Self> {
        // A link is followed, not replaced.
        let path = std::fs::canonicalize(asked).unwrap_or_else(|_| asked.to_path_buf());
        let cannot = || format!("cannot write {}; check that its directory exists and is yours", asked.display());
        if path.is_dir() {
            bail!("--out {} is a directory; name a file", asked.display());
        }
        if belongs_to_a_set(&path) {
            bail!("--out {} would replace a file of a data set; name another file", asked.display());
        }
        if path.exists() && !path.is_file() {
            let file = File::options().write(true).open(&path).with_context(cannot)?;
            return Ok(Self::Other { path, file });
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let copy = builder.tempfile_in(directory).with_context(cannot)?;
        Ok(Self::File { path, copy })
    }

    /// Returns where the proof now is.
    #[expect(clippy::disallowed_methods, reason = "the proof replaces what --out names, and that is no file of a set")]
    fn finish(self, json: &str) -> Result<PathBuf> {
        let cannot = |path: &Path| format!("cannot write {}; free space there and try again", path.display());
        match self {
            Self::File { path, mut copy } => {
                writeln!(copy, "{json}").and_then(|()| copy.as_file().sync_all()).with_context(|| cannot(&path))?;
                copy.persist(&path).with_context(|| cannot(&path))?;
                Ok(path)
            }
            Self::Other { path, mut file } => {
                writeln!(file, "{json}").with_context(|| cannot(&path))?;
                Ok(path)
            }
        }
    }
}

/// Labels, keys and metadata can't be had back, and are never what someone wants replaced by a proof.
fn belongs_to_a_set(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let in_own_folder = path.parent().is_some_and(|parent| parent.ends_with(".post"));
    in_own_folder || name.starts_with("postdata_") || name == IdentityKey::FILE_NAME
}
