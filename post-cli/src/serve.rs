//! The prover side of POST.md section 7: registers identities with a node and makes the proofs that it asks for.
//!
//! File order is data flow: when it ends → who is next at a drive or a processor → sets → pows from elsewhere → proofs →
//! what one identity answers → all identities → the node's address → the conversation → what the operator sees.

mod cores;
mod ending;
mod lock;
mod queue;
mod sets;

mod remote_pow;

mod engine;
mod prover;
mod served;

mod node;

mod connection;
mod operator;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub(crate) use connection::Dialer;
pub(crate) use cores::{Cores, cores, pin};
pub(crate) use ending::Watched;
pub(crate) use engine::Settings;
pub(crate) use node::{Tls, endpoint, is_exposed};
pub(crate) use operator::bind;
pub(crate) use remote_pow::Worker;

use connection::keep_registered;
use ending::{Cause, Ending};
use engine::Engine;
use prover::Prover;
use served::{Served, look_again};

use crate::report::say;

/// Directories that can't be served are looked at again after so many reconnect intervals.
const LOOK_AGAIN: u32 = 10;

/// What may still be at work when all else has ended.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(1);

/// Everything that the command line says.
pub(crate) struct Config {
    pub(crate) dirs: Vec<PathBuf>,
    pub(crate) settings: Settings,
    pub(crate) dialer: Dialer,
    pub(crate) operator: Option<TcpListener>,
    pub(crate) watched: Option<Watched>,
}

/// Serves until there is a cause to end.
pub(crate) fn run(config: Config) -> Result<()> {
    let Config { dirs, settings, dialer, operator, watched } = config;
    let ending = Arc::new(Ending::default());
    let served = Arc::new(Served::new(Engine::new(settings, Arc::clone(&ending))));
    let first = served.look(&dirs);
    if first.is_empty() {
        bail!("none of the directories can be served; the reasons are above");
    }
    let (found, finds) = mpsc::unbounded_channel();
    if !served.broken().is_empty() {
        let (served, pause) = (Arc::clone(&served), dialer.interval * LOOK_AGAIN);
        say(&format!("looking again every {} s", pause.as_secs_f64()));
        // Nobody waits for its end: a drive that hangs must not keep the rest from ending.
        std::thread::Builder::new()
            .name("look".into())
            .spawn(move || look_again(&served, pause, &found))
            .context("no thread to look at drives again; free memory")?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the system gives no means to wait for a network; check its limits")?;
    let ended = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        if let Some(listener) = operator {
            let served = Arc::clone(&served);
            tasks.spawn(async move {
                match operator::answer(listener, served).await {
                    Ok(()) => anyhow!("the operator's address is not served any more"),
                    Err(error) => error,
                }
            });
        }
        tokio::select! {
            cause = ending::cause(watched) => Ok(cause),
            error = connections(first, finds, dialer, &mut tasks) => Err(error),
        }
    });
    // Connections are gone; proofs end at a safe point, with their progress on the drive.
    ending.request();
    runtime.shutdown_timeout(SHUTDOWN_WITHIN);
    served.provers().iter().for_each(|prover| prover.join());
    match ended? {
        Cause::Signal => bail!("stopped; the same command goes on where this one ended"),
        Cause::ProcessGone(pid) => {
            say(&format!("process {pid} has ended, and so does this one"));
            Ok(())
        }
    }
}

/// Keeps all identities registered, also those that are found later. Returns when something gives up.
async fn connections(
    first: Vec<Arc<Prover>>,
    mut finds: mpsc::UnboundedReceiver<Arc<Prover>>,
    dialer: Dialer,
    tasks: &mut JoinSet<anyhow::Error>,
) -> anyhow::Error {
    for prover in first {
        tasks.spawn(keep_registered(prover, dialer.clone()));
    }
    loop {
        tokio::select! {
            Some(prover) = finds.recv() => {
                tasks.spawn(keep_registered(prover, dialer.clone()));
            }
            Some(ended) = tasks.join_next() => {
                return ended.unwrap_or_else(|error| anyhow!("a defect of this program: {error}"));
            }
        }
    }
}
