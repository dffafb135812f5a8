//! `post inspect`: what lies in some directories, and whether it is a whole set. Nothing is written or recomputed.

use std::process::ExitCode;

use anyhow::{Result, bail};
use post_core::drive::Drive;
use post_core::metadata::Metadata;
use post_core::plan::Layout;
use post_core::prune::set_id;
use post_core::set::{SetError, Survey, common_metadata, survey};
use serde_json::json;

use crate::args::Data;
use crate::report::{self, human_bytes};

/// Show what a set is and whether all of it is there
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: Data,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command. Exit code 1 means that something is missing or out of place.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let drives = args.data.open()?;
    let Some(metadata) = common_metadata(&drives)? else {
        bail!("none of these directories has a {}; check the path", Metadata::FILE_NAME);
    };
    let layout = metadata.layout().map_err(SetError::from)?;
    let survey = survey(&drives, &metadata.commitment(), &layout)?;
    let text = if args.json {
        as_json(&drives, &metadata, &layout, &survey)?
    } else {
        as_text(&drives, &metadata, &layout, &survey)
    };
    if !report::print(&text) {
        bail!("stdout was closed");
    }
    Ok(if survey.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_json(drives: &[Box<dyn Drive>], metadata: &Metadata, layout: &Layout, survey: &Survey) -> Result<String> {
    let files: Vec<_> = survey
        .files
        .iter()
        .map(|(file, (drive, bytes))| {
            json!({ "file": Layout::file_name(*file), "drive": drives[*drive].name(), "bytes": bytes,
                    "expected_bytes": layout.file_bytes(*file) })
        })
        .collect();
    let problems: Vec<String> = survey.problems.iter().map(ToString::to_string).collect();
    Ok(json!({
        "metadata": serde_json::to_value(metadata)?,
        "commitment": metadata.commitment().to_string(), "set_id": set_id(&metadata.commitment()),
        "num_labels": layout.num_labels(), "num_files": layout.num_files(), "bytes": layout.bytes(),
        "complete": survey.problems.is_empty(), "files": files, "problems": problems,
    })
    .to_string())
}

fn as_text(drives: &[Box<dyn Drive>], metadata: &Metadata, layout: &Layout, survey: &Survey) -> String {
    let nonce = metadata.nonce.map_or("not known yet".into(), |nonce| nonce.to_string());
    let mut lines = vec![
        format!("node id         {}", metadata.node_id),
        format!("commitment ATX  {}", metadata.commitment_atx_id),
        format!("commitment      {}", metadata.commitment()),
        format!("set id          {}", set_id(&metadata.commitment())),
        format!(
            "size            {} units of {} labels, {} in {} files",
            metadata.num_units,
            metadata.labels_per_unit,
            human_bytes(layout.bytes()),
            layout.num_files()
        ),
        format!("VRF nonce       {nonce}"),
    ];
    for (index, drive) in drives.iter().enumerate() {
        let here: Vec<u64> = survey.files.values().filter(|(on, _)| *on == index).map(|(_, bytes)| *bytes).collect();
        lines.push(format!(
            "drive           {}: {} files, {}",
            report::plain(drive.name()),
            here.len(),
            human_bytes(here.iter().sum())
        ));
    }
    lines.push(if survey.problems.is_empty() {
        "state           complete".into()
    } else {
        "state           NOT complete".into()
    });
    lines.extend(survey.problems.iter().map(|problem| format!("  - {problem}")));
    lines.join("\n")
}
