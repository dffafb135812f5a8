//! `post grow`: adds units to a set, which stays provable until all of them are there.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use post_core::grow::Growth;
use post_core::init::{Outlook, outlook};
use serde_json::json;

use super::init::{open_drives, refuse_repeated_drives, tell_outcome};
use crate::args::{Compute, DriveSpec, Network, drive_spec};
use crate::devices::Work;
use crate::report::Reporter;
use crate::{devices, placement, stop};

/// Add units to a set; the old set can be proven from until the new one is whole
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Every drive of the set, and those to be added: path=DIR or path=DIR,size=SIZE (most bytes it may hold); repeatable
    #[arg(long = "drive", value_name = "DRIVE", required = true, value_parser = drive_spec)]
    drives: Vec<DriveSpec>,
    /// Space units in the end
    #[arg(long, value_name = "N")]
    units: u32,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    compute: Compute,
    /// Show where new files would go, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Events as JSON lines on stdout; on stderr only the error, if any
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let reporter = Arc::new(Reporter::for_people_or_json(args.json));
    let result = grow(args, &reporter);
    reporter.emit_end(&result);
    result.map(|()| ExitCode::SUCCESS)
}

fn grow(args: &Args, reporter: &Arc<Reporter>) -> Result<()> {
    let started = Instant::now();
    let params = args.network.resolve()?;
    refuse_repeated_drives(&args.drives)?;
    let drives = open_drives(&args.drives);
    let quotas: Vec<Option<u64>> = args.drives.iter().map(|drive| drive.size).collect();
    let growth = Growth::new(&drives, &quotas, params, args.units)?;
    if args.dry_run {
        return show(&growth, args, reporter);
    }
    let request = growth.request();
    let labels = if growth.is_making() { outlook(&request, growth.stages(), growth.quotas())?.labels } else { 0 };
    let mut devices = devices::open(&args.compute, Work::Labels(request.params.scrypt, labels), reporter)?;
    stop::listen()?;
    reporter.note(&format!("from {} to {} units", growth.from_units(), args.units));
    devices.labels_with().iter().for_each(|line| reporter.note(line));
    let outcome = growth.run(&mut *devices.backend, &**reporter)?;
    tell_outcome(&outcome, started.elapsed(), reporter);
    Ok(())
}

/// `--dry-run`: what would be made, and where.
fn show(growth: &Growth<'_>, args: &Args, reporter: &Reporter) -> Result<()> {
    if !growth.is_making() {
        reporter.emit(&json!({ "event": "dry_run", "units": args.units, "labels": 0, "drives": [] }));
        reporter.note("no label is to be made, only the switch to the new size is to be finished, if anything");
        return Ok(());
    }
    let Outlook { placement, labels, done, .. } = outlook(&growth.request(), growth.stages(), growth.quotas())?;
    let names: Vec<String> = args.drives.iter().map(|drive| drive.path.display().to_string()).collect();
    reporter.emit(&json!({
        "event": "dry_run", "from_units": growth.from_units(), "units": args.units, "labels": labels, "labels_there": done,
        "drives": placement::drives_json(&placement, &names),
    }));
    reporter.data(&placement::table(&placement, &names));
    reporter.note(&format!("{done} of {labels} new labels are there; nothing was written"));
    Ok(())
}
