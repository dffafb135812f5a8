//! `post plan`: what a set would take, in space and time, before anything is written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use post_core::drive::Drive;
use post_core::identity::{AtxId, NodeId};
use post_core::init::{Broken, CHECKPOINT_EVERY, InitError, Outlook, Request, outlook, set_aside};
use post_core::metadata::Metadata;
use post_core::odds::one_pass;
use post_core::params::NetworkParams;
use post_core::plan::{Layout, Placement, most_units};
use post_core::prove::ProveError;
use serde_json::json;

use super::init::{DEFAULT_FILE_SIZE, open_drives, refuse_repeated_drives};
use super::prove::RandomX;
use crate::args::{Compute, DriveSpec, Network, drive_spec, file_range, size};
use crate::bench::forecast::{Disk, Forecast, Job, measure};
use crate::bench::summary::{WINDOW, text};
use crate::report::{self, Reporter, human_bytes};
use crate::{devices, machine, placement, stop};

/// Show what a set would take, in space and time, and write nothing
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A drive to fill, path=DIR or path=DIR,size=SIZE (most bytes it may hold); repeatable
    #[arg(long = "drive", value_name = "DRIVE", required = true, value_parser = drive_spec)]
    drives: Vec<DriveSpec>,
    /// Space units (64 GiB each on mainnet)
    #[arg(long, value_name = "N")]
    units: u32,
    #[command(flatten)]
    network: Network,
    /// Bytes of each data file, a multiple of 16 [default: as on the drives, else 4GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_file_size: Option<u64>,
    /// Only these files, B not included, to share the work between machines
    #[arg(long, value_name = "A..B", value_parser = file_range)]
    files: Option<Range<u32>>,
    /// Nonces tried in one pass over the data, a multiple of 16 up to 4096
    #[arg(long, value_name = "N", default_value_t = 128)]
    nonces: u32,
    #[command(flatten)]
    compute: Compute,
    /// RandomX memory: fast takes 2.3 GiB, light 0.3 GiB [default: fast when 3 GiB are free]
    #[arg(long, value_name = "MODE")]
    randomx: Option<RandomX>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command. Exit code 1 means that there is not enough room.
pub(crate) fn run(mut args: Args) -> Result<ExitCode> {
    if args.nonces == 0 || args.nonces > 4096 || !args.nonces.is_multiple_of(16) {
        return Err(ProveError::Nonces { nonces: args.nonces }.into());
    }
    let params = args.network.resolve()?;
    refuse_repeated_drives(&args.drives)?;
    let mut drives = open_drives(&args.drives);
    let broken = set_aside(&mut drives, &mut args.drives, args.files.as_ref())?;
    let space = Space::new(&args, params, broken, &drives)?;
    devices::check_named(&args.compute)?;
    machine::open_cpu(&args.compute)?;
    stop::listen()?;
    let reporter = Arc::new(if args.json { Reporter::quiet() } else { Reporter::for_people_or_json(false) });
    tell_hindrances(&space, &drives, &reporter);

    let job = Job {
        params: &space.request.params,
        units: args.units,
        num_labels: space.placement().layout().num_labels(),
        missing: space.outlook.labels - space.outlook.done,
        nonces: args.nonces,
        disks: disks(&args.drives, &drives, space.placement()),
    };
    let forecast = measure(&job, &args.compute, args.randomx.map(Into::into), &reporter)?;
    tell_uncounted(&job, &forecast, &reporter);
    let names: Vec<String> = drives.iter().map(|drive| drive.name()).collect();
    let output =
        if args.json { as_json(&args, &space, &names, &forecast) } else { as_text(&args, &space, &names, &forecast) };
    if !report::print(&output) {
        bail!("stdout was closed");
    }
    Ok(if space.placement().fits() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What of the plan needs no measurement.
struct Space {
    request: Request,
    outlook: Outlook,
    /// How many units would fit; unknown for a part of a set.
    most_units: Option<u32>,
}

impl Space {
    fn new(args: &Args, params: NetworkParams, broken: Vec<Broken>, drives: &[Box<dyn Drive>]) -> Result<Self> {
        let existing = post_core::set::common_metadata(drives)?;
        let of_existing = |size: fn(&Metadata) -> u64| existing.as_ref().map(size);
        let file_size = args.max_file_size.or(of_existing(|metadata| metadata.max_file_size));
        let request = Request {
            params,
            // Whose labels they are changes nothing about what they take.
            node_id: existing.as_ref().map_or(NodeId([0; 32]), |metadata| metadata.node_id),
            commitment_atx_id: existing.as_ref().map_or(AtxId([0; 32]), |metadata| metadata.commitment_atx_id),
            units: args.units,
            max_file_size: file_size.unwrap_or(DEFAULT_FILE_SIZE),
            files: args.files.clone(),
            broken,
            checkpoint_every: CHECKPOINT_EVERY,
        };
        let quotas: Vec<Option<u64>> = args.drives.iter().map(|drive| drive.size).collect();
        let outlook = match outlook(&request, drives, &quotas) {
            Err(InitError::OtherSet { key: "NumUnits", there, .. }) => bail!(
                "the drives hold a set of {there} units, not of {}; `post grow` is for another size, --units {there} plans what is missing of this one",
                args.units
            ),
            outlook => outlook?,
        };
        let NetworkParams { labels_per_unit, max_units, .. } = request.params;
        let most =
            |placement: &Placement| most_units(labels_per_unit, request.max_file_size, max_units, placement.drives());
        let most_units = args.files.is_none().then(|| most(&outlook.placement));
        Ok(Self { request, outlook, most_units })
    }

    fn placement(&self) -> &Placement {
        &self.outlook.placement
    }
}

/// The physical disks below the drives that hold a part of the set or will.
fn disks(specs: &[DriveSpec], drives: &[Box<dyn Drive>], placement: &Placement) -> BTreeMap<u64, Disk> {
    let mut disks: BTreeMap<u64, Disk> = BTreeMap::new();
    for (index, (spec, drive)) in specs.iter().zip(drives).enumerate() {
        let bytes = placement.final_bytes(index);
        if bytes == 0 {
            continue;
        }
        // A drive that does not tell is taken for a disk of its own.
        let disk = disks.entry(drive.disk().unwrap_or(u64::MAX - index as u64)).or_default();
        disk.bytes += bytes;
        disk.names.push(drive.name());
        let held = placement.drives()[index].held.iter();
        let files = held.map(|(file, bytes)| (*bytes, spec.path.join(Layout::file_name(*file))));
        disk.longest = files.chain(disk.longest.take()).max();
    }
    disks
}

/// What would keep `init` from doing this, beside a lack of room.
fn tell_hindrances(space: &Space, drives: &[Box<dyn Drive>], reporter: &Reporter) {
    space.outlook.waiting.iter().for_each(|waiting| reporter.note(&report::plain(waiting.to_string())));
    for (index, drive) in drives.iter().enumerate() {
        if space.placement().final_bytes(index) > 0
            && let Err(error) = drive.check_writable()
        {
            reporter.note(&report::plain(format!("init could not do this now: {error}")));
        }
    }
    let reserve = human_bytes(space.placement().reserve());
    reporter.note(&format!("kept free on each drive for metadata and records: {reserve}"));
}

/// What the times leave out.
fn tell_uncounted(job: &Job<'_>, forecast: &Forecast, reporter: &Reporter) {
    let unread = job.disks.iter().filter(|(disk, _)| !forecast.reads.contains_key(disk));
    let unread: Vec<String> = unread.flat_map(|(_, disk)| disk.names.iter().map(report::plain)).collect();
    if !unread.is_empty() {
        reporter.note(&format!(
            "not counted is how fast {} can be read, for little or no data is there yet; `post bench drive` measures it",
            unread.join(", ")
        ));
    }
}

fn fits_window(forecast: &Forecast) -> bool {
    forecast.proof.total_s() <= WINDOW.as_secs_f64()
}

fn as_json(args: &Args, space: &Space, names: &[String], forecast: &Forecast) -> String {
    let (params, placement) = (&space.request.params, space.placement());
    let layout = placement.layout();
    let reads: Vec<f64> = forecast.reads.values().copied().collect();
    json!({
        "units": args.units, "labels": layout.num_labels(), "bytes": layout.bytes(), "files": layout.num_files(),
        "max_file_size": space.request.max_file_size, "drives": placement::drives_json(placement, names),
        "labels_of_run": space.outlook.labels, "labels_there": space.outlook.done,
        "missing_bytes": placement.missing_bytes(), "fits": placement.fits(), "units_that_fit": space.most_units,
        "labels_per_s": forecast.labels_per_s, "fill_s": forecast.fill_s,
        "scan_gib_per_s": forecast.scan_gib_per_s, "read_gib_per_s": reads, "hashes_per_s": forecast.hashes_per_s,
        "nonces": args.nonces, "pow_s": forecast.proof.pow_s, "pass_s": forecast.proof.pass_s,
        "proof_s": forecast.proof.total_s(), "window_s": WINDOW.as_secs(), "fits_window": fits_window(forecast),
        "one_pass": one_pass(args.nonces, params.k1, params.k2),
        "most_units_in_window": forecast.proof.most_units(args.units),
    })
    .to_string()
}

fn as_text(args: &Args, space: &Space, names: &[String], forecast: &Forecast) -> String {
    let (params, placement) = (&space.request.params, space.placement());
    let layout = placement.layout();
    let proof = forecast.proof;
    let room = if placement.fits() {
        "everything fits".into()
    } else {
        format!("{} have NO room", human_bytes(placement.missing_bytes()))
    };
    let most = match space.most_units {
        Some(0) => "; not even 1 unit would fit".into(),
        Some(most) if most < params.min_units => {
            format!("; units that would fit: {most}, fewer than the {} of the network", params.min_units)
        }
        Some(most) => format!("; units that would fit: {most}"),
        None => String::new(),
    };
    let window = if fits_window(forecast) { "fits" } else { "does NOT fit" };
    [
        format!(
            "set      units: {}, labels: {}, {}, files: {} of {}",
            args.units,
            layout.num_labels(),
            human_bytes(layout.bytes()),
            layout.num_files(),
            human_bytes(space.request.max_file_size)
        ),
        placement::table(placement, names),
        format!("room     {room}{most}"),
        format!(
            "fill     {} of {} labels are there; the rest takes {} at {:.0} labels/s",
            space.outlook.done,
            space.outlook.labels,
            text(forecast.fill_s),
            forecast.labels_per_s
        ),
        format!(
            "proof    {} with {} nonces: k2pow {} at {:.0} H/s, one pass {} at {:.3} GiB/s of scanning{}",
            text(proof.total_s()),
            args.nonces,
            text(proof.pow_s),
            forecast.hashes_per_s,
            text(proof.pass_s),
            forecast.scan_gib_per_s,
            forecast.reads.values().map(|rate| format!(", {rate:.3} of reading")).collect::<String>()
        ),
        format!("odds     one pass is enough in {:.1} %", 100.0 * one_pass(args.nonces, params.k1, params.k2)),
        format!(
            "window   one pass {window} the {} that mainnet gives; at most {} units would",
            text(WINDOW.as_secs_f64()).trim_end_matches(" 0 min"),
            proof.most_units(args.units)
        ),
    ]
    .join("\n")
}
