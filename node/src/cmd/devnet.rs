//! `post-node devnet`: a whole network of real processes on this machine, to see that it works.
//!
//! What it says about the nodes is what they answer over HTTP, as anybody could ask them.

mod agreement;
mod layers;
mod mishaps;
mod network;
mod process;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::agreement::{Summary, judge};
use self::layers::{Course, Story};
use self::mishaps::Partition;
use self::network::{Answer, Network, Plan};
use self::table::Live;
use super::tell;

/// Units of every miner where layers are agreed on.
const UNITS: u32 = 4;

/// Start a network of real nodes and provers on this machine, and see whether all agree
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Nodes, each with a miner and its prover
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=64))]
    nodes: u32,
    /// Epochs in which every miner publishes an ATX
    #[arg(long, value_name = "E", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// Layers on which all are to agree, from the first with blocks on; all miners have as much space then
    #[arg(long, value_name = "L", conflicts_with_all = ["epochs", "crash_phases"], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    layers: Option<u32>,
    /// Kill so many nodes with their provers (SIGKILL) for good, at times that follow from the seed
    #[arg(long, value_name = "K", default_value_t = 0, requires = "layers")]
    kill: u32,
    /// The first A nodes and the other B don't hear of each other from one layer to another, counted from the first with
    /// blocks, for example 4/3:8..20
    #[arg(long, value_name = "A/B:FROM..TO", requires = "layers")]
    partition: Option<Partition>,
    /// At half time one more node begins with an empty database, and must come to the same
    #[arg(long, requires = "layers")]
    late: bool,
    /// For tests: the last nodes say two things, each about one of these
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', hide = true, requires = "layers")]
    liars: Vec<String>,
    /// Where keys, and who is killed when, come from [default: the clock]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Keep keys, data, databases and logs here; the directory must be new or empty [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print JSON: a line for every change, and a summary with `ok` as the last line
    #[arg(long)]
    json: bool,
    /// The program `post` [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    post: Option<PathBuf>,
    /// The first node kills itself (SIGKILL) once in every phase of its miner's cycle and is started again
    #[arg(long)]
    crash_phases: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    let temporary;
    let directory = match &args.dir {
        Some(directory) => directory.clone(),
        None => {
            temporary = tempfile::Builder::new().prefix("devnet-").tempdir().context("no temporary directory")?;
            temporary.path().to_path_buf()
        }
    };
    let seed = args.seed.unwrap_or_else(network::now_ms);
    let plan = Plan {
        nodes: args.nodes,
        units: args.layers.map(|_| UNITS),
        seed,
        directory: new_directory(directory)?,
        post: args.post.clone().map_or_else(beside, Ok)?,
        crash_phases: args.crash_phases,
        partition: args.partition.clone(),
        lies: args.liars.clone(),
    };
    match args.layers {
        Some(layers) => run_layers(args, &plan, layers, started),
        None => run_epochs(args, &plan, started),
    }
}

fn run_layers(args: &Args, plan: &Plan, layers: u32, started: Instant) -> Result<ExitCode> {
    let story = Story {
        layers,
        nodes: args.nodes,
        kill: args.kill,
        partition: args.partition.clone(),
        late: args.late,
        lies: args.liars.clone(),
        seed: plan.seed,
    };
    story.check()?;
    let mut live = layers::Live::new(args.json);
    let mut network = Network::start(plan)?;
    let mut course = Course::new(story, network.params())?;
    let failure = course.watch(&mut network, &mut live).err().map(|error| format!("{error:#}"));
    live.finish();
    let memory = network.peak_memory();
    drop(network);
    let summary = course.summary(failure, started.elapsed(), memory);
    tell(&if args.json { serde_json::to_string(&summary)? } else { summary.table() })?;
    Ok(ExitCode::from(u8::from(!summary.ok)))
}

fn run_epochs(args: &Args, plan: &Plan, started: Instant) -> Result<ExitCode> {
    let mut live = Live::new(args.json);
    let mut answers = Vec::new();
    let mut network = None;
    let outcome =
        Network::start(plan).and_then(|started| watch(args, network.insert(started), &mut live, &mut answers));
    live.finish();
    let (crashes, memory) = network.as_ref().map_or((None, None), |it| (it.crashes(), it.peak_memory()));
    drop(network);
    let (ok, problems) = outcome.unwrap_or_else(|error| (false, vec![format!("{error:#}")]));
    let summary = Summary::new(ok, problems, &answers, crashes, started.elapsed(), memory);
    tell(&if args.json { serde_json::to_string(&summary)? } else { summary.table() })?;
    Ok(ExitCode::from(u8::from(!summary.ok)))
}

/// Follows the network until all agree, or until the last epoch's ATXs should have been everywhere; whether they agree,
/// and what is wrong.
fn watch(
    args: &Args,
    network: &mut Network,
    live: &mut Live,
    answers: &mut Vec<Answer>,
) -> Result<(bool, Vec<String>)> {
    let deadline = network.params().timing.round_ends(node::ids::Epoch(args.epochs)).0;
    loop {
        std::thread::sleep(Duration::from_millis(500));
        network.tend()?;
        *answers = network.ask(args.epochs);
        live.show(answers)?;
        let (ok, problems) = judge(answers, network.miners(), args.epochs, network.crashes());
        if ok || network::now_ms() > deadline {
            return Ok((ok, problems));
        }
    }
}

fn new_directory(directory: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut entries = std::fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    if entries.next().is_some() {
        bail!("{} is not empty; give --dir a new directory", directory.display());
    }
    directory.canonicalize().with_context(|| format!("cannot find {}", directory.display()))
}

/// `post` in the directory of this program.
fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program can't find itself; give --post")?;
    let post = own.with_file_name(format!("post{}", std::env::consts::EXE_SUFFIX));
    if !post.is_file() {
        bail!("there is no {}; build it (cargo build --release -p post-cli) or give --post", post.display());
    }
    Ok(post)
}
