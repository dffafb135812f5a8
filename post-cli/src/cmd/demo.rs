//! `post demo`: the whole job in small, on devnet parameters, in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use post_core::backend::Backend;
use post_core::drive::{DirDrive, Drive};
use post_core::identity::{AtxId, Challenge, IdentityKey};
use post_core::init::{CHECKPOINT_EVERY, Request, init};
use post_core::params::NetworkParams;
use post_core::pow::{LazyRandomX, Mode as PowMode, Options};
use post_core::proof::ProofFile;
use post_core::prove::prove;
use post_core::set::DataSet;
use post_core::verify::{Mode, Verifier};

use crate::args::Compute;
use crate::report::{self, Reporter, human_bytes};
use crate::{machine, stop};

const UNITS: u32 = 4;
const FILE_SIZE: u64 = 32 * 1024;
const NONCES_PER_PASS: u32 = 64;

/// Try everything once, on the CPU: make an identity and data, prove, verify, catch a forgery
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Keep the files in this directory, which must be empty or missing
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// What was done and how fast.
#[derive(Default)]
struct Table(Vec<(String, String, Duration)>);

impl Table {
    fn step<T>(&mut self, what: &str, work: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
        let started = Instant::now();
        let (value, result) = work()?;
        self.0.push((what.into(), result, started.elapsed()));
        Ok(value)
    }

    fn text(&self) -> String {
        let width = |column: fn(&(String, String, Duration)) -> usize| self.0.iter().map(column).max().unwrap_or(0);
        let (first, second) = (width(|row| row.0.len()), width(|row| row.1.len()));
        let rows = self
            .0
            .iter()
            .map(|(what, result, took)| format!("{what:first$}  {result:second$}  {:>7.2} s", took.as_secs_f64()));
        rows.collect::<Vec<_>>().join("\n")
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    stop::listen()?;
    match &args.keep {
        Some(dir) => {
            let empty =
                std::fs::read_dir(dir).map_or(Ok(true), |mut entries| entries.next().transpose().map(|e| e.is_none()));
            if !empty.with_context(|| format!("cannot read {}", dir.display()))? {
                bail!("{} is not empty; --keep wants an empty or a new directory", dir.display());
            }
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            demo(dir)?;
            report::say(&format!("the files are in {}", dir.display()));
        }
        None => {
            let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
            demo(dir.path())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::disallowed_methods, reason = "its folder is its own, and was empty")]
fn demo(dir: &Path) -> Result<()> {
    let params = NetworkParams::devnet();
    let reporter = Reporter::quiet();
    let mut backend = machine::open_cpu(&Compute::default())?;
    let threads = backend.info().threads;
    let randomx = LazyRandomX::new(Options::new(PowMode::Light, threads));
    let mut table = Table::default();
    report::say(&format!("a small set on devnet parameters, {threads} CPU threads"));

    let drive_dirs = [dir.join("drive-a"), dir.join("drive-b")];
    let key = table.step("make an identity", || {
        std::fs::create_dir_all(&drive_dirs[0]).context("cannot make the first drive's directory")?;
        let key = IdentityKey::generate()?;
        key.write_new(&drive_dirs[0].join(IdentityKey::FILE_NAME))?;
        let node_id = key.node_id().to_string();
        Ok((key, format!("node {}…", &node_id[..16])))
    })?;
    let request = Request {
        params: params.clone(),
        node_id: key.node_id(),
        commitment_atx_id: AtxId(random_32()?),
        units: UNITS,
        max_file_size: FILE_SIZE,
        files: None,
        broken: Vec::new(),
        checkpoint_every: CHECKPOINT_EVERY,
    };
    table.step("initialize two drives", || {
        let drives: Vec<Box<dyn Drive>> = drive_dirs.iter().map(|dir| Box::new(DirDrive::planned(dir)) as _).collect();
        let started = Instant::now();
        let outcome = init(&request, &drives, &[], &mut backend, &reporter)?;
        let rate = outcome.made as f64 / started.elapsed().as_secs_f64();
        let size = human_bytes(outcome.set_bytes);
        Ok(((), format!("{} labels, {size}, {rate:.0} labels/s (N = {})", outcome.made, params.scrypt.n)))
    })?;
    let proof = table.step("prove a random challenge", || {
        let drives = drive_dirs.iter().map(|dir| Ok(Box::new(DirDrive::existing(dir)?) as Box<dyn Drive>));
        let set = DataSet::open(drives.collect::<Result<Vec<_>>>()?)?;
        let challenge = Challenge(random_32()?);
        let file = prove(&set, &params, &challenge, NONCES_PER_PASS, &mut backend, &randomx, &reporter)?;
        let json = file.to_json()?;
        std::fs::write(dir.join("proof.json"), &json).context("cannot write proof.json")?;
        let result = format!("nonce {}, {} indices in {} B", file.proof.nonce, params.k2, file.proof.indices.len());
        Ok((file, result))
    })?;
    let verifier = Verifier::new(&params, &randomx)?;
    table.step("verify the proof", || {
        match verifier.verify(&proof.proof, &proof.metadata, &Mode::All, &mut backend)? {
            Ok(()) => Ok(((), format!("valid, all {} labels recomputed", params.k2))),
            Err(invalid) => {
                bail!("the proof is invalid: {invalid}; this is a defect, please report it")
            }
        }
    })?;
    table.step("tamper with a copy", || {
        let forged = forge(&proof);
        std::fs::write(dir.join("forged.json"), forged.to_json()?).context("cannot write forged.json")?;
        match verifier.verify(&forged.proof, &forged.metadata, &Mode::All, &mut backend)? {
            Err(invalid) => Ok(((), format!("refused: {invalid}"))),
            Ok(()) => bail!("a forged proof was accepted; this is a defect, please report it"),
        }
    })?;
    if !report::print(&table.text()) {
        bail!("stdout was closed");
    }
    Ok(())
}

/// Claims other labels than were found: one bit in each of the first three indices is flipped. One alone might be a hit
/// by chance (one in 600), three never are.
fn forge(proof: &ProofFile) -> ProofFile {
    let mut forged = proof.clone();
    for byte in forged.proof.indices.iter_mut().step_by(2).take(3) {
        *byte ^= 1;
    }
    forged
}

fn random_32() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system gives no random bytes")?;
    Ok(bytes)
}
