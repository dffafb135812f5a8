//! `post prune`: the only command that deletes. It says what, and wants the set named.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use post_core::drive::{DirDrive, Drive, Remove};
use post_core::prune::Pruning;
use serde_json::json;

use crate::args::{Compute, Data, Network};
use crate::devices::Work;
use crate::report::{Reporter, human_bytes, plain};
use crate::{devices, stop};

/// Delete units that are given up, files that belong to no set, and what growing laid aside
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: Data,
    /// Space units that stay [default: all]
    #[arg(long, value_name = "N")]
    units: Option<u32>,
    /// The id of the set, as `post inspect` shows it; without it nothing is deleted
    #[arg(long, value_name = "ID")]
    set: Option<String>,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    compute: Compute,
    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Events as JSON lines on stdout; on stderr only the error, if any
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let reporter = Arc::new(Reporter::for_people_or_json(args.json));
    let result = prune(args, &reporter);
    reporter.emit_end(&result);
    result.map(|()| ExitCode::SUCCESS)
}

fn prune(args: &Args, reporter: &Arc<Reporter>) -> Result<()> {
    let params = args.network.resolve()?;
    let drives = args.data.open()?;
    let places: Vec<PathBuf> = drives.iter().map(|drive| drive.place().into()).collect();
    let removers = places.iter().map(|place| Ok(Box::new(DirDrive::existing(place)?) as Box<dyn Remove>));
    let removers = removers.collect::<Result<Vec<_>>>()?;
    let pruning = Pruning::new(&drives, &removers, args.units)?;
    tell(&pruning, &drives, reporter);
    let id = pruning.set_id();
    let (from, to) = pruning.units();
    if pruning.items().is_empty() && from == to {
        reporter.note("nothing is to be deleted");
        return Ok(());
    }
    match &args.set {
        _ if args.dry_run => {
            reporter.note("nothing was deleted");
            return Ok(());
        }
        None => bail!("nothing was deleted; if all of this is to go, add --set {id}"),
        Some(set) if *set != id => bail!("nothing was deleted: this is the set {id}, not {set}"),
        Some(_) => {}
    }
    let mut devices = devices::open(&args.compute, Work::Short, reporter)?;
    stop::listen()?;
    let freed = pruning.items().iter().map(|item| item.bytes()).sum();
    let outcome = pruning.run(params, &mut *devices.backend, &**reporter)?;
    reporter.emit(&json!({
        "event": "finished", "bytes": freed, "complete": outcome.complete, "nonce": outcome.nonce,
    }));
    let nonce = outcome.nonce.map_or("none yet".into(), |nonce| nonce.to_string());
    reporter.note(&format!("{} are free again; VRF nonce: {nonce}", human_bytes(freed)));
    Ok(())
}

/// Everything that goes, by name.
fn tell(pruning: &Pruning<'_>, drives: &[Box<dyn Drive>], reporter: &Reporter) {
    let (from, to) = pruning.units();
    for item in pruning.items() {
        let drive = drives[item.drive()].name();
        let what = item.to_string();
        reporter.emit(&json!({ "event": "to_delete", "drive": drive, "what": what, "bytes": item.bytes() }));
        reporter.data(&format!("{}: {}", plain(drive), plain(what)));
    }
    let bytes = pruning.items().iter().map(|item| item.bytes()).sum();
    reporter.note(&format!(
        "set {}: {from} units, {to} stay; {} files, {} are to be deleted",
        pruning.set_id(),
        pruning.items().len(),
        human_bytes(bytes)
    ));
}
