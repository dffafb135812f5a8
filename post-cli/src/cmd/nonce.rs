//! `post nonce`: the VRF nonce of a whole set, found once more.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use post_core::nonce::find;
use post_core::set::DataSet;
use serde_json::json;

use crate::args::{Compute, Data, Network};
use crate::devices::Work;
use crate::report::{self, Reporter};
use crate::{devices, stop};

/// Find the VRF nonce of a set again, and note it in the metadata of all its directories
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    compute: Compute,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command. Exit code 1 means that wrong labels were met.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let params = args.network.resolve()?;
    let set = DataSet::open(args.data.open()?)?;
    let reporter = Arc::new(Reporter::for_people_or_json(false));
    // Labels are read, not computed, but for one set in 3000; whose owner may name a faster device.
    let mut devices = devices::open(&args.compute, Work::Short, &reporter)?;
    stop::listen()?;
    let outcome = find(&set, &params, args.dry_run, &mut *devices.backend, &*reporter, &mut |index| {
        let place = report::plain(set.place_of(index));
        reporter.note(&format!("the label at index {index} in {place} is wrong: `post check --all --repair` mends it"));
    })?;
    let (nonce, written) = (outcome.nonce, outcome.written);
    let text = if args.json {
        let value = hex::encode(&nonce.label[..16]);
        json!({ "nonce": nonce.index, "nonce_value": value, "written": written, "wrong_labels": outcome.wrong })
            .to_string()
    } else {
        nonce.index.to_string()
    };
    if !report::print(&text) {
        bail!("stdout was closed");
    }
    reporter.note(if written { "the metadata of all directories says so now" } else { "nothing was written" });
    Ok(if outcome.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
