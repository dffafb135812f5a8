//! `post check`: which labels on disk are not what they should be, and writing those anew.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use post_core::check::{self, Bad, Depth, Found, Outcome, Request, SAVE_EVERY};
use post_core::plan::Layout;
use serde_json::json;

use crate::args::{Compute, Data, Network, size};
use crate::devices::Work;
use crate::report::{Reporter, human_duration};
use crate::{devices, machine, stop};

/// Check the labels on disk, and repair them; the same command continues an interrupted one
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: Data,
    /// How many of the labels to check, in percent, by chance and spread over every file
    #[arg(long, value_name = "PCT", default_value = "0.1", value_parser = percent, conflicts_with_all = ["all", "quick"])]
    fraction: f64,
    /// Check every label, and make checksums where there are none
    #[arg(long, conflicts_with = "quick")]
    all: bool,
    /// Compare checksums only: finds what a disk changed, not what was wrong when it was written
    #[arg(long)]
    quick: bool,
    /// Write bad labels anew, and nothing else
    #[arg(long)]
    repair: bool,
    /// Write nothing: say what --repair would write anew
    #[arg(long)]
    dry_run: bool,
    /// Read at most so many bytes a second, of all disks together
    #[arg(long, value_name = "RATE", value_parser = size)]
    limit: Option<u64>,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    compute: Compute,
    /// Events as JSON lines on stdout; on stderr only the error, if any
    #[arg(long)]
    json: bool,
}

/// A part of the whole, from percent.
fn percent(text: &str) -> Result<f64> {
    let percent: Option<f64> = text.parse().ok();
    let part = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
    let part =
        part.with_context(|| format!("`{text}` is no part of the labels; write percent, above 0 and up to 100"))?;
    Ok(part / 100.0)
}

/// Runs the command. Exit code 1 means that bad labels, or problems with the set, are left.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let reporter = Arc::new(Reporter::for_people_or_json(args.json));
    let result = look(args, &reporter);
    if let Err(error) = &result {
        let event = if stop::requested() { "stopped" } else { "error" };
        reporter.emit(&json!({ "event": event, "message": error.to_string() }));
    }
    result.map(|outcome| if outcome.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn look(args: &Args, reporter: &Arc<Reporter>) -> Result<Outcome> {
    let started = Instant::now();
    let request = request(args)?;
    let drives = args.data.open()?;
    let labels = check::labels(&request, &drives)?;
    let work = match request.depth {
        Depth::Quick => Work::Short,
        Depth::Fraction(_) | Depth::All => Work::Labels(request.params.scrypt, labels),
    };
    let mut devices = devices::open(&args.compute, work, reporter)?;
    // A device that once made wrong labels would make them again.
    let mut judge = machine::open_cpu(&args.compute)?;
    stop::listen()?;
    if !args.quick {
        devices.labels_with().iter().for_each(|line| reporter.note(line));
    }
    let outcome = check::check(&request, &drives, &mut *devices.backend, &mut judge, &**reporter, &mut |found| {
        tell(&found, reporter)
    })?;
    tell_outcome(&outcome, &request, started.elapsed(), reporter);
    Ok(outcome)
}

fn request(args: &Args) -> Result<Request> {
    let depth = match (args.quick, args.all) {
        (true, _) => Depth::Quick,
        (_, true) => Depth::All,
        // All in all, but in ranges, which are faster than lists.
        _ if args.fraction >= 1.0 => Depth::All,
        _ => Depth::Fraction(args.fraction),
    };
    Ok(Request {
        params: args.network.resolve()?,
        depth,
        repair: args.repair,
        dry_run: args.dry_run,
        limit: args.limit,
        seed: getrandom::u64().context("the system has no random numbers")?,
        save_every: SAVE_EVERY,
    })
}

fn tell(found: &Found, reporter: &Reporter) {
    match found {
        Found::Problem(problem) => {
            let text = problem.to_string();
            reporter.found(&text, &json!({ "event": "problem", "message": text }));
        }
        Found::NoSums { file, drive, labels } => {
            let file = Layout::file_name(*file);
            let text = format!("{file} in {drive}: no checksums of {labels} labels; `post check --all` makes them");
            let event = json!({ "event": "no_checksums", "file": file, "drive": drive, "labels": labels });
            reporter.found(&text, &event);
        }
        Found::Bad(bad) => tell_bad(bad, reporter),
        Found::Note(text) => {
            reporter.note(text);
            reporter.emit(&json!({ "event": "note", "message": text }));
        }
    }
}

fn tell_bad(bad: &Bad, reporter: &Reporter) {
    let Bad { file, drive, labels, cause, repaired } = bad;
    let file = Layout::file_name(*file);
    let which = match labels.end - labels.start {
        1 => format!("label {} is bad", labels.start),
        _ => format!("labels {} to {} are bad", labels.start, labels.end - 1),
    };
    let now = if *repaired { ", repaired" } else { "" };
    reporter.found(
        &format!("{file} in {drive}: {which} (cause: {cause}){now}"),
        &json!({
            "event": "bad", "file": file, "drive": drive, "from": labels.start, "to": labels.end,
            "cause": cause.to_string(), "repaired": repaired,
        }),
    );
}

fn tell_outcome(outcome: &Outcome, request: &Request, took: Duration, reporter: &Reporter) {
    let Outcome { checked, bad, repaired, not_judged, problems } = *outcome;
    reporter.emit(&json!({
        "event": "finished", "labels_checked": checked, "bad_labels": bad, "repaired_labels": repaired,
        "labels_without_checksum": not_judged, "problems": problems, "complete": true, "seconds": took.as_secs_f64(),
    }));
    let mut text = format!("checked {checked} labels in {}", human_duration(took));
    text += &match bad {
        0 => ": none is bad".into(),
        _ if request.repair && request.dry_run => format!(": {bad} are bad and would be repaired"),
        _ if request.repair => format!(": {bad} are bad, {repaired} of them were repaired"),
        _ => format!(": {bad} are bad; --repair writes them anew"),
    };
    if bad > 0 && matches!(request.depth, Depth::Fraction(_)) {
        text += "; only --all finds all that are bad";
    }
    if not_judged > 0 {
        text += &format!("; {not_judged} labels have no checksum");
    }
    if problems > 0 {
        text += &format!("; problems with the set: {problems}");
    }
    reporter.note(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents() {
        for (text, part) in [("0.1", 0.001), ("100", 1.0), ("1e-6", 1e-8), ("5", 0.05)] {
            assert!((percent(text).unwrap() - part).abs() < 1e-12, "{text}");
        }
        for text in ["", "0", "-1", "100.1", "nan", "inf", "1e-400", "x"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
