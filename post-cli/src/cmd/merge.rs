//! `post merge`: one set of shards that were made apart.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use post_core::identity::IdentityKey;
use post_core::init::{Outlook, outlook, prepare};
use post_core::merge::Shards;
use serde_json::json;

use super::init::{open_drives, refuse_repeated_drives, tell_outcome};
use crate::args::{Compute, DriveSpec, Network, drive_spec, open_dirs};
use crate::devices::Work;
use crate::report::{Reporter, plain};
use crate::{devices, placement, stop};

/// Copy shards that were made apart into one set, and find its VRF nonce; the shards stay as they are
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directories of the shards
    #[arg(value_name = "DIR", required = true)]
    shards: Vec<PathBuf>,
    /// Where the set goes, path=DIR or path=DIR,size=SIZE (most bytes it may hold); repeatable. One of the shards may be among them: its files are not copied
    #[arg(long = "into", value_name = "DRIVE", required = true, value_parser = drive_spec)]
    into: Vec<DriveSpec>,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    compute: Compute,
    /// Show where files would go, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Events as JSON lines on stdout; on stderr only the error, if any
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let reporter = Arc::new(Reporter::for_people_or_json(args.json));
    let result = merge(args, &reporter);
    reporter.emit_end(&result);
    result.map(|()| ExitCode::SUCCESS)
}

fn merge(args: &Args, reporter: &Arc<Reporter>) -> Result<()> {
    let started = Instant::now();
    let params = args.network.resolve()?;
    refuse_repeated_drives(&args.into)?;
    let shards = Shards::open(open_dirs(&args.shards)?)?;
    let request = shards.request(params);
    let into = open_drives(&args.into);
    let quotas: Vec<Option<u64>> = args.into.iter().map(|drive| drive.size).collect();
    prepare(&request, &into, &quotas)?;
    if args.dry_run {
        let Outlook { placement, labels, done, .. } = outlook(&request, &into, &quotas)?;
        let names: Vec<String> = into.iter().map(|drive| drive.name()).collect();
        reporter.emit(&json!({
            "event": "dry_run", "labels": labels, "labels_there": done,
            "drives": placement::drives_json(&placement, &names),
        }));
        reporter.data(&placement::table(&placement, &names));
        reporter.note(&format!("{done} of {labels} labels are there; nothing was written"));
        return Ok(());
    }
    let mut devices = devices::open(&args.compute, Work::Short, reporter)?;
    stop::listen()?;
    for (drive, files) in shards.parts() {
        reporter.note(&format!("files {} come from {}", placement::ranges(&files).join(", "), plain(drive)));
    }
    let outcome = shards.merge(&request, &into, &quotas, &mut *devices.backend, &**reporter)?;
    take_key(&args.shards, &args.into, reporter)?;
    tell_outcome(&outcome, started.elapsed(), reporter);
    Ok(())
}

/// A set without its key earns nothing: one that lies with a shard is copied to the first drive.
fn take_key(shards: &[PathBuf], into: &[DriveSpec], reporter: &Reporter) -> Result<()> {
    let key_in = |dir: &Path| Some(dir.join(IdentityKey::FILE_NAME)).filter(|path| path.is_file());
    if into.iter().any(|drive| key_in(&drive.path).is_some()) {
        return Ok(());
    }
    let (Some(from), Some(first)) = (shards.iter().find_map(|shard| key_in(shard)), into.first()) else {
        return Ok(());
    };
    let to = first.path.join(IdentityKey::FILE_NAME);
    IdentityKey::read(&from)?.write_new(&to)?;
    reporter.note(&format!("the key was copied from {} to {}", from.display(), to.display()));
    Ok(())
}
