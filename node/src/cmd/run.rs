//! `post-node run`: the node itself.

mod progress;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use node::env::checker::CheckerConfig;
use node::env::net::{CutOff, NetConfig, NetLimits};
use node::env::poet::HttpPoet;
use node::env::provers;
use node::ids::{Address, GenesisId};
use node::params::NodeParams;
use node::run::{Lie, Settings, run as run_node};
use node::signature::Signer;
use node::smeshing::Phase;
use node::sync::Progress;
use post_core::identity::IdentityKey;
use post_core::pow::Mode;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use self::progress::Bar;
use super::tell;

/// What is logged where POST_LOG says nothing. Gossip warns of what was said before, and own ATXs are said again on purpose.
const QUIET: &str = "info,libp2p_gossipsub=error,libp2p_swarm=warn";

/// Where status is served, and looked for.
pub(crate) const DEFAULT_HTTP: &str = "127.0.0.1:9092";

/// Run a node; with --identity it smeshes, once a prover (`post serve`) registers
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Database, the node's own key, addresses of other nodes
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// `mainnet`, or a TOML file with a network's parameters
    #[arg(long, value_name = "NAME|FILE")]
    network: PathBuf,
    /// Take connections of other nodes here
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:7513")]
    listen: Vec<SocketAddr>,
    /// A node to begin with, repeatable
    #[arg(long, value_name = "IP:PORT")]
    bootstrap: Vec<SocketAddr>,
    /// The network may begin with this node: it does not wait for others to tell it what they know
    #[arg(long)]
    first: bool,
    /// A miner's key file (`identity.key` beside its data), repeatable
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Who is paid, 24 bytes as hex; needed with --identity
    #[arg(long, value_name = "HEX", requires = "identity", value_parser = address)]
    coinbase: Option<Address>,
    /// The PoET at which miners register; needed with --identity
    #[arg(long, value_name = "URL", requires = "identity")]
    poet: Option<String>,
    /// Provers register here
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9094")]
    provers: SocketAddr,
    /// PEM file: who signs provers' certificates; with --cert and --key provers may come from other machines
    #[arg(long, value_name = "FILE", requires_all = ["cert", "key"])]
    ca_cert: Option<PathBuf>,
    /// PEM file: the node's certificate for provers
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    cert: Option<PathBuf>,
    /// PEM file: the key of --cert
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    key: Option<PathBuf>,
    /// Serve status (/status, /epochs/E/atxs, /layers, /accounts/A; POST /transactions) and Prometheus metrics (/metrics) here
    #[arg(long, value_name = "IP:PORT", default_value = DEFAULT_HTTP)]
    http: SocketAddr,
    /// RandomX memory: fast takes 2.3 GiB and checks six times as fast, light 0.3 GiB
    #[arg(long, value_name = "MODE", default_value = "light")]
    randomx: RandomX,
    /// CPU threads that check ATXs [default: one for each core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Ask a prover so often how its proof is coming along
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    poll_ms: u64,
    /// End when this process has ended
    #[arg(long, value_name = "PID")]
    watch_pid: Option<u32>,
    /// For tests: die (SIGKILL) as soon as a miner has come to this phase
    #[arg(long, value_name = "PHASE", hide = true, value_parser = phase)]
    die_at: Option<Phase>,
    /// For tests: these peers are out of reach in this time (milliseconds since 1970)
    #[arg(long, value_name = "PEER,…:FROM_MS..TO_MS", hide = true)]
    cut_off: Option<CutOff>,
    /// For tests: say two things where one is allowed
    #[arg(long, value_name = "KIND", hide = true, requires = "identity", value_parser = lie)]
    lie: Option<Lie>,
}

/// `--randomx`.
#[derive(Clone, Copy, clap::ValueEnum)]
enum RandomX {
    Fast,
    Light,
}

/// The line on stdout that tells where a running node is to be found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    /// Other nodes.
    pub(crate) listen: SocketAddr,
    /// Provers.
    pub(crate) provers: SocketAddr,
    /// Status and metrics.
    pub(crate) http: SocketAddr,
}

pub(crate) fn address(text: &str) -> Result<Address, String> {
    let mut address = Address([0; 24]);
    hex::decode_to_slice(text, &mut address.0).map_err(|error| format!("48 hex digits are wanted: {error}"))?;
    Ok(address)
}

fn phase(text: &str) -> Result<Phase, String> {
    Phase::ALL.into_iter().find(|phase| phase.name() == text).ok_or_else(|| "there is no such phase".into())
}

fn lie(text: &str) -> Result<Lie, String> {
    let names = || Lie::ALL.map(Lie::name).join(", ");
    Lie::ALL.into_iter().find(|lie| lie.name() == text).ok_or_else(|| format!("one of {} is wanted", names()))
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let bar = Bar::new();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("POST_LOG").unwrap_or_else(|_| EnvFilter::new(QUIET)))
        .with_writer(bar.clone())
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let (progress, followed) = watch::channel(None);
    let settings = settings(args, progress)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.spawn(bar.follow(followed));
    let stop = runtime.block_on(async { stop(args.watch_pid) })?;
    let told = |started: &node::run::Started| {
        let Some(listen) = started.listen.first().copied() else { return };
        let line = Started { listen, provers: started.provers, http: started.http };
        let line = serde_json::to_string(&line).unwrap_or_default();
        if let Err(error) = tell(&line) {
            tracing::warn!("{error:#}");
        }
    };
    let result = runtime.block_on(run_node(settings, told, stop));
    // What waits for a PoET's answer shall not hold the program.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result?;
    Ok(ExitCode::SUCCESS)
}

fn settings(args: &Args, progress: watch::Sender<Option<Progress>>) -> Result<Settings> {
    let params = match args.network.to_str() {
        Some("mainnet") => NodeParams::mainnet(),
        _ => NodeParams::from_file(&args.network)?,
    };
    let signers = args.identity.iter().map(|path| signer(params.genesis_id, path)).collect::<Result<Vec<_>>>()?;
    let miners = signers.iter().map(Signer::node_id).collect();
    let coinbase = match args.coinbase {
        Some(coinbase) => coinbase,
        None if signers.is_empty() => Address([0; 24]),
        None => bail!("--identity needs --coinbase: who shall be paid?"),
    };
    if args.poet.is_none() && !signers.is_empty() {
        bail!("--identity needs --poet: the URL of a PoET at which the miner registers");
    }
    let mode = match args.randomx {
        RandomX::Fast => Mode::Fast,
        RandomX::Light => Mode::Light,
    };
    let mut provers = provers::Config::new(args.provers, miners);
    provers.poll_interval = Duration::from_millis(args.poll_ms);
    provers.tls = tls(args)?;
    // A wrong call leaves nothing behind.
    std::fs::create_dir_all(&args.data).with_context(|| format!("cannot make {}", args.data.display()))?;
    Ok(Settings {
        directory: args.data.clone(),
        coinbase,
        signers,
        net: NetConfig {
            genesis: params.genesis_id,
            directory: args.data.clone(),
            listen: args.listen.clone(),
            bootstrap: args.bootstrap.clone(),
            limits: NetLimits::default(),
            cut_off: args.cut_off.clone().unwrap_or_default(),
        },
        provers,
        http: args.http,
        poet: args.poet.as_deref().map(|url| Arc::new(HttpPoet::new(url)) as _),
        checker: CheckerConfig::new(params.clone(), args.threads, mode)?,
        first: args.first,
        progress,
        die_at: args.die_at,
        lie: args.lie,
        params,
    })
}

fn signer(genesis: GenesisId, path: &Path) -> Result<Signer> {
    Ok(Signer::new(genesis, &IdentityKey::read(path)?.seed()))
}

fn tls(args: &Args) -> Result<Option<provers::Tls>> {
    let (Some(ca), Some(cert), Some(key)) = (&args.ca_cert, &args.cert, &args.key) else { return Ok(None) };
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(Some(provers::Tls { ca: read(ca)?, cert: read(cert)?, key: read(key)? }))
}

/// Resolves when the node shall end. The signals are caught from now on.
fn stop(watched: Option<u32>) -> Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = async move { terminated.recv().await };
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated => {}
            () = ended(watched) => {}
        }
    })
}

/// Resolves when the watched process has ended; never when there is none.
async fn ended(watched: Option<u32>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    while watched.is_none_or(is_alive) {
        seconds.tick().await;
    }
}

#[cfg(unix)]
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // A process of somebody else is alive as well.
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

#[cfg(not(unix))]
fn is_alive(_: u32) -> bool {
    true
}
