//! `post link`: one directory that shows a set spread over many.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use post_core::link::View;
use post_core::metadata::Metadata;
use serde_json::json;

use crate::args::Data;
use crate::report;

/// Make a directory of links to all files of a set, for tools that know of one directory only
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: Data,
    /// The directory of the links, made if missing
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Show what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let view = View::new(args.data.dirs(), &args.into)?;
    if !args.dry_run {
        view.make()?;
    }
    if !report::print(&if args.json { as_json(args, &view) } else { as_text(args, &view) }) {
        bail!("stdout was closed");
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(args: &Args, view: &View) -> String {
    let links = view.links().iter().map(|link| {
        json!({
            "path": link.path.to_string_lossy(), "target": link.target.to_string_lossy(), "was_there": link.is_there,
        })
    });
    json!({
        "into": args.into.to_string_lossy(), "dry_run": args.dry_run, "links": links.collect::<Vec<_>>(),
        "metadata_was_there": view.has_metadata(),
    })
    .to_string()
}

fn as_text(args: &Args, view: &View) -> String {
    let state = |is_there| match (is_there, args.dry_run) {
        (true, _) => "there",
        (false, true) => "to be made",
        (false, false) => "made",
    };
    let mut lines: Vec<String> = view
        .links()
        .iter()
        .map(|link| {
            let (path, target) = (link.path.to_string_lossy(), link.target.to_string_lossy());
            format!("{} -> {} ({})", report::plain(path), report::plain(target), state(link.is_there))
        })
        .collect();
    let metadata = args.into.join(Metadata::FILE_NAME);
    lines.push(format!("{}, a copy ({})", report::plain(metadata.to_string_lossy()), state(view.has_metadata())));
    lines.join("\n")
}
