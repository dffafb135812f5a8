//! `post init`: makes a set, or what is missing of it.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use post_core::drive::{DirDrive, Drive, Role};
use post_core::identity::{AtxId, IdentityKey, NodeId};
use post_core::init::{CHECKPOINT_EVERY, Outcome, Outlook, Plan, Request, init, outlook, prepare, set_aside};
use post_core::set::common_metadata;
use serde_json::json;

use crate::args::{Compute, DriveSpec, Network, drive_spec, file_range, size};
use crate::devices::Work;
use crate::report::{Reporter, human_duration};
use crate::{devices, placement, stop};

/// Bytes of a data file when neither the call nor the drives say otherwise.
pub(crate) const DEFAULT_FILE_SIZE: u64 = 4 << 30;

/// Fill drives with labels; the same command continues an interrupted one
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A drive to fill, path=DIR or path=DIR,size=SIZE (most bytes it may hold); repeatable
    #[arg(long = "drive", value_name = "DRIVE", required = true, value_parser = drive_spec)]
    drives: Vec<DriveSpec>,
    /// Space units (64 GiB each on mainnet)
    #[arg(long, value_name = "N")]
    units: u32,
    /// The ATX the data is bound to, hex or base64
    #[arg(long, value_name = "ID")]
    commitment_atx: AtxId,
    /// Your public key, hex or base64 [default: from the drives, else a new key in identity.key]
    #[arg(long, value_name = "ID", conflicts_with = "key")]
    node_id: Option<NodeId>,
    /// A file with your key pair, 128 hex digits
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    network: Network,
    /// Bytes of each data file, a multiple of 16 [default: as on the drives, else 4GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_file_size: Option<u64>,
    /// Only these files, B not included, to share the work between machines
    #[arg(long, value_name = "A..B", value_parser = file_range)]
    files: Option<Range<u32>>,
    #[command(flatten)]
    compute: Compute,
    /// Show where everything would go, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Events as JSON lines on stdout; on stderr only the error, if any
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let reporter = Arc::new(Reporter::for_people_or_json(args.json));
    let result = make(args, &reporter);
    reporter.emit_end(&result);
    result.map(|()| ExitCode::SUCCESS)
}

fn make(mut args: Args, reporter: &Arc<Reporter>) -> Result<()> {
    let started = Instant::now();
    let params = args.network.resolve()?;
    refuse_repeated_drives(&args.drives)?;
    let mut drives = open_drives(&args.drives);
    let broken = set_aside(&mut drives, &mut args.drives, args.files.as_ref())?;
    let quotas: Vec<Option<u64>> = args.drives.iter().map(|drive| drive.size).collect();
    let existing = common_metadata(&drives)?;
    let identity = find_identity(&args, &drives, existing.as_ref().map(|metadata| metadata.node_id))?;
    let file_size = args.max_file_size.or(existing.as_ref().map(|metadata| metadata.max_file_size));
    let request = Request {
        params,
        node_id: identity.node_id(),
        commitment_atx_id: args.commitment_atx,
        units: args.units,
        max_file_size: file_size.unwrap_or(DEFAULT_FILE_SIZE),
        files: args.files,
        broken,
        checkpoint_every: CHECKPOINT_EVERY,
    };
    // Everything that can be refused is refused before the first change on disk, and nothing is said before that.
    let plan = prepare(&request, &drives, &quotas)?;
    if args.dry_run {
        return show(&request, &drives, &quotas, &identity, reporter);
    }
    let work = Work::Labels(request.params.scrypt, plan.labels());
    let mut devices = devices::open(&args.compute, work, reporter)?;
    if let Identity::Made(key) = &identity {
        keep_key(key, &args.drives[0].path, &plan, &drives, reporter)?;
    }
    stop::listen()?;
    devices.labels_with().iter().for_each(|line| reporter.note(line));
    let outcome = init(&request, &drives, &quotas, &mut *devices.backend, &**reporter)?;
    tell_outcome(&outcome, started.elapsed(), reporter);
    Ok(())
}

/// `--dry-run`: what would be done. Whatever `init` would refuse without computing a label is refused.
fn show(
    request: &Request,
    drives: &[Box<dyn Drive>],
    quotas: &[Option<u64>],
    identity: &Identity,
    reporter: &Reporter,
) -> Result<()> {
    let Outlook { placement, labels, done, waiting } = outlook(request, drives, quotas)?;
    let names: Vec<String> = drives.iter().map(|drive| drive.name()).collect();
    let makes_key = matches!(identity, Identity::Made(_));
    reporter.emit(&json!({
        "event": "dry_run", "units": request.units, "bytes": placement.layout().bytes(),
        "files": placement.layout().num_files(), "labels": labels, "labels_there": done, "makes_key": makes_key,
        "drives": placement::drives_json(&placement, &names),
    }));
    reporter.data(&placement::table(&placement, &names));
    reporter.note(&format!("{done} of {labels} labels are there; nothing was written"));
    waiting.iter().for_each(|waiting| reporter.note(&waiting.to_string()));
    if makes_key {
        reporter.note("a new key would be made");
    }
    Ok(())
}

/// A new key is kept only when the drives are ours: of two runs started at once, one is turned away before it gets here.
fn keep_key(
    key: &IdentityKey,
    first: &Path,
    plan: &Plan,
    drives: &[Box<dyn Drive>],
    reporter: &Reporter,
) -> Result<()> {
    drives[0].check_writable()?;
    plan.drives_in_use().into_iter().try_for_each(|drive| drives[drive].claim(Role::Writer))?;
    std::fs::create_dir_all(first).with_context(|| format!("cannot make {}; check the path", first.display()))?;
    let path = first.join(IdentityKey::FILE_NAME);
    key.write_new(&path)?;
    reporter.emit(&json!({ "event": "key_made", "path": path }));
    reporter.note(&format!("made a new key: {} (keep a copy: without it the space earns nothing)", path.display()));
    Ok(())
}

pub(crate) fn tell_outcome(outcome: &Outcome, took: Duration, reporter: &Reporter) {
    reporter.emit(&json!({
        "event": "finished", "labels_made": outcome.made, "labels": outcome.labels,
        "complete": outcome.complete, "nonce": outcome.nonce, "seconds": took.as_secs_f64(),
    }));
    let made = if outcome.made == 0 {
        "nothing was missing".into()
    } else {
        let rate = outcome.made as f64 / took.as_secs_f64().max(1e-9);
        format!("made {} labels in {} ({rate:.0} labels/s)", outcome.made, human_duration(took))
    };
    let nonce = outcome.nonce.map_or("none yet".into(), |nonce| nonce.to_string());
    reporter.note(&if outcome.complete {
        format!("{made}; the set is complete; VRF nonce: {nonce}")
    } else {
        format!("{made}; other files of the set are still to be made; VRF nonce so far: {nonce}")
    });
}

/// The drives in the order of the call. Those that don't exist yet count as empty.
pub(crate) fn open_drives(specs: &[DriveSpec]) -> Vec<Box<dyn Drive>> {
    specs.iter().map(|spec| Box::new(DirDrive::planned(&spec.path)) as Box<dyn Drive>).collect()
}

/// The same directory as two drives would be counted, and written, twice.
pub(crate) fn refuse_repeated_drives(specs: &[DriveSpec]) -> Result<()> {
    for (i, spec) in specs.iter().enumerate() {
        let path = resolve(&spec.path)?;
        for other in &specs[..i] {
            if resolve(&other.path)? == path {
                bail!("the drive {} is given twice; name each directory once", spec.path.display());
            }
        }
    }
    Ok(())
}

/// The real path of a directory that may still have to be made: what exists of it with links followed, then the rest.
fn resolve(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).with_context(|| format!("cannot resolve {}", path.display()))?;
    let mut real = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => _ = real.pop(),
            part => {
                real.push(part);
                if let Ok(followed) = std::fs::canonicalize(&real) {
                    real = followed;
                }
            }
        }
    }
    Ok(real)
}

/// Whose data this is, and whether its key still has to be written.
enum Identity {
    Known(NodeId),
    Made(IdentityKey),
}

impl Identity {
    fn node_id(&self) -> NodeId {
        match self {
            Self::Known(node_id) => *node_id,
            Self::Made(key) => key.node_id(),
        }
    }
}

/// What the call says and what the drives say must agree. Where neither says anything, a key is made.
fn find_identity(args: &Args, drives: &[Box<dyn Drive>], in_metadata: Option<NodeId>) -> Result<Identity> {
    let mut claims: Vec<(String, NodeId)> = Vec::new();
    if let Some(node_id) = args.node_id {
        claims.push(("--node-id".into(), node_id));
    }
    if let Some(path) = &args.key {
        claims.push((path.display().to_string(), IdentityKey::read(path)?.node_id()));
    }
    claims.extend(in_metadata.map(|node_id| ("the data on the drives".into(), node_id)));
    for drive in &args.drives {
        let path = drive.path.join(IdentityKey::FILE_NAME);
        if path.try_exists().with_context(|| format!("cannot look for {}; check the path", path.display()))? {
            if !path.is_file() {
                bail!("{} is not a file; move it away, or use another directory", path.display());
            }
            claims.push((path.display().to_string(), IdentityKey::read(&path)?.node_id()));
        }
    }
    let Some((source, node_id)) = claims.first() else {
        for drive in drives {
            // A new key never fits data that is there already.
            if !drive.held()?.is_empty() {
                bail!(
                    "{} holds data files but nothing says whose they are; give their --node-id or --key",
                    drive.name()
                );
            }
        }
        // Whoever begins a set begins with its first file; who wants others has a set already, on drives not named here.
        if args.files.as_ref().is_some_and(|files| files.start > 0) {
            bail!(
                "nothing says whose set these --files are part of; give its --node-id or --key, or a drive of the set"
            );
        }
        return Ok(Identity::Made(IdentityKey::generate()?));
    };
    if let Some((other_source, other)) = claims.iter().find(|(_, other)| other != node_id) {
        bail!(
            "identities differ: {source} is {node_id}, {other_source} is {other}; use the drives' own identity, or other drives"
        );
    }
    Ok(Identity::Known(*node_id))
}
