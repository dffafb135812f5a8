//! `post serve`: makes the proofs that a node asks for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use post_core::params::NetworkParams;
use post_core::pow;

use super::prove::RandomX;
use crate::args::{Compute, Network};
use crate::report::say;
use crate::serve::{self, Config, Cores, Dialer, Settings, Tls, Watched, Worker};
use crate::{devices, stop};

/// Serve proofs to a node: dials it, registers every identity whose data is given, and answers until it is stopped
///
/// A proof goes on while the node is away, and its progress is kept on the first drive: neither a node nor a prover that
/// starts again begins anew. Sets on the same drive are read one after the other; while one is read, the k2pows of the next
/// proof are searched. A set that can't be opened is told of and looked at again, after ten reconnect intervals; the others are
/// served. Labels per unit are read from the data.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directories of one or several sets, in any order; repeatable
    #[arg(long = "data", visible_alias = "dir", value_name = "DIR", required = true, num_args = 1..)]
    dirs: Vec<PathBuf>,
    /// Where the node listens for provers: http://HOST:PORT, or https:// with certificates
    #[arg(long, value_name = "URL")]
    address: String,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    values: Values,
    /// Nonces tried in one pass over the data, a multiple of 16 up to 4096
    #[arg(long, value_name = "N", default_value_t = 128)]
    nonces: u32,
    #[command(flatten)]
    compute: Compute,
    /// RandomX memory: fast takes 2.3 GiB, light 0.3 GiB [default: fast when 3 GiB are free]
    #[arg(long, visible_alias = "randomx-mode", value_name = "MODE")]
    randomx: Option<RandomX>,
    /// Have k2pows searched by a worker on another machine; each is verified here. The proof is as valid, but not the same
    /// bytes as one made without
    #[arg(long, value_name = "URL")]
    remote_k2pow: Option<String>,
    /// Cores that the whole program keeps to, like 0,2,4-7 (Linux)
    #[arg(long, value_name = "CORES", value_parser = serve::cores)]
    pinned_cores: Option<Cores>,
    #[command(flatten)]
    tls: TlsArgs,
    /// How often in a row to try again to reach the node before giving up [default: for ever]
    #[arg(long, value_name = "N")]
    max_retries: Option<u64>,
    /// Seconds between two attempts to reach the node, 0.01 to 86400
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = interval)]
    reconnect_interval_s: Duration,
    /// End when this process ends
    #[arg(long, value_name = "PID")]
    watch_pid: Option<u32>,
    /// Answer GET /status and GET /identities there, over plain HTTP: 127.0.0.1:PORT
    #[arg(long, value_name = "IP:PORT")]
    operator_address: Option<SocketAddr>,
}

/// Values that replace those of `--network`.
#[derive(clap::Args)]
struct Values {
    /// Scrypt's N, instead of the network's
    #[arg(short = 'n', value_name = "N")]
    scrypt_n: Option<u32>,
    /// Scrypt's r; only 1 is possible
    #[arg(short = 'r', value_name = "R")]
    scrypt_r: Option<u32>,
    /// Scrypt's p; only 1 is possible
    #[arg(short = 'p', value_name = "P")]
    scrypt_p: Option<u32>,
    /// Expected hits per nonce, instead of the network's
    #[arg(long, value_name = "K1")]
    k1: Option<u32>,
    /// Indices in a proof, instead of the network's
    #[arg(long, value_name = "K2")]
    k2: Option<u32>,
    /// The k2pow's target for one unit, 32 bytes as hex, instead of the network's
    #[arg(long, value_name = "HEX", value_parser = difficulty)]
    pow_difficulty: Option<[u8; 32]>,
    /// Fewest units, instead of the network's
    #[arg(long, value_name = "UNITS")]
    min_num_units: Option<u32>,
    /// Most units, instead of the network's
    #[arg(long, value_name = "UNITS")]
    max_num_units: Option<u32>,
}

impl Values {
    fn replace_in(self, params: &mut NetworkParams) -> Result<()> {
        fn replace<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        replace(&mut params.scrypt.n, self.scrypt_n);
        replace(&mut params.scrypt.r, self.scrypt_r);
        replace(&mut params.scrypt.p, self.scrypt_p);
        replace(&mut params.k1, self.k1);
        replace(&mut params.k2, self.k2);
        replace(&mut params.pow_difficulty, self.pow_difficulty);
        replace(&mut params.min_units, self.min_num_units);
        replace(&mut params.max_units, self.max_num_units);
        Ok(params.check()?)
    }
}

/// All of them for https://, none for http://.
#[derive(clap::Args)]
struct TlsArgs {
    /// Certificates that vouch for the node, PEM; with --cert and --key
    #[arg(long, value_name = "FILE", requires_all = ["cert", "key"])]
    ca_cert: Option<PathBuf>,
    /// Certificate shown to the node, PEM
    #[arg(long, value_name = "FILE", requires_all = ["ca_cert", "key"])]
    cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires_all = ["ca_cert", "cert"])]
    key: Option<PathBuf>,
    /// Name in the node's certificate [default: the host of --address]
    #[arg(long, value_name = "NAME", requires = "ca_cert")]
    domain: Option<String>,
}

impl TlsArgs {
    fn resolve(self) -> Option<Tls> {
        let Self { ca_cert, cert, key, domain } = self;
        // The parser has seen to it that none of the three is alone.
        Some(Tls { ca_cert: ca_cert?, cert: cert?, key: key?, domain })
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let mut params = args.network.resolve()?;
    args.values.replace_in(&mut params)?;
    let endpoint = serve::endpoint(&args.address, args.tls.resolve().as_ref())?;
    if serve::is_exposed(&endpoint) {
        say("warning: what is said to the node is not encrypted; use https:// with certificates beyond this machine");
    }
    let worker = args.remote_k2pow.as_deref().map(Worker::new).transpose()?;
    if worker.is_some() && matches!(args.randomx, Some(RandomX::Fast)) {
        say(
            "--randomx fast has no effect with --remote-k2pow: one hash of a worker's pow is computed here, in light mode",
        );
    }
    devices::check_named(&args.compute)?;
    let operator = args.operator_address.map(serve::bind).transpose()?;
    if args.operator_address.is_some_and(|address| !address.ip().is_loopback()) {
        say("warning: --operator-address is open to other machines: who can reach it sees what this one holds");
    }
    let watched = args.watch_pid.map(Watched::new).transpose()?;
    if let Some(cores) = &args.pinned_cores {
        // Before there is another thread.
        serve::pin(cores)?;
    }
    stop::listen()?;
    serve::run(Config {
        dirs: args.dirs,
        settings: Settings {
            params,
            nonces_per_pass: args.nonces,
            compute: args.compute,
            randomx: args.randomx.map(pow::Mode::from),
            worker,
        },
        dialer: Dialer { endpoint, interval: args.reconnect_interval_s, max_retries: args.max_retries },
        operator,
        watched,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn difficulty(text: &str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).with_context(|| format!("`{text}` is not 64 hex digits"))?;
    Ok(bytes)
}

fn interval(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().with_context(|| format!("`{text}` is no number of seconds"))?;
    ensure!((0.01..=86_400.0).contains(&seconds), "`{text}` is not from 0.01 to 86400");
    Ok(Duration::from_secs_f64(seconds))
}
