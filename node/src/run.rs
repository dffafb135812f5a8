//! The shell of a real node: it brings what happens to the machine, and does what comes out, in order.
//!
//! ```text
//! network, checker, provers, PoET, clock, questions ─► one channel ─► Node::step ─► database ─► network, checker, …
//! ```
//! One thread takes what waits, some at a time. Each step's writes are kept before the next step; all of them survive a
//! crash before any of their other effects is executed. So nothing is sent that the node could forget.

mod effects;
mod http;
mod inputs;
mod lie;
mod questions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};

pub use http::HttpError;
pub use lie::Lie;
pub use questions::Question;

use self::effects::{Hands, Registry};
use crate::archive::ArchiveError;
use crate::atxs::Dear;
use crate::env::checker::{Checker, CheckerConfig, CheckerError};
use crate::env::net::{self, NetConfig, NetError};
use crate::env::poet::Poet;
use crate::env::provers::{self, Provers, ProversError};
use crate::env::store::{Store, StoreError};
use crate::ids::Address;
use crate::node::{Config, Effect, Input, Node};
use crate::params::NodeParams;
use crate::restore::{RestoreError, restore};
use crate::signature::{Signer, Verifier};
use crate::smeshing::Phase;
use crate::sync;
use crate::time::Time;

/// Events that wait for the node; who brings more waits too.
const EVENTS: usize = 1024;
/// So many inputs share one wait for the disk.
const BATCH: usize = 256;

/// What a node needs to run.
pub struct Settings {
    /// The network.
    pub params: NodeParams,
    /// Where the database, the node's key and the address book are.
    pub directory: PathBuf,
    /// Who is paid.
    pub coinbase: Address,
    /// Keys of the miners.
    pub signers: Vec<Signer>,
    /// Connections to other nodes.
    pub net: NetConfig,
    /// For provers.
    pub provers: provers::Config,
    /// Where status and metrics are served.
    pub http: std::net::SocketAddr,
    /// Where the miners' challenges are registered; none without miners.
    pub poet: Option<Arc<dyn Poet>>,
    /// What checks ATXs.
    pub checker: CheckerConfig,
    /// Whether the network may begin with this node: without peers it counts as synced after a while.
    pub first: bool,
    /// Is told how far synchronization is.
    pub progress: watch::Sender<Option<sync::Progress>>,
    /// For tests: the process kills itself as soon as a miner has come to this phase, and leaves a file `died_at_PHASE`.
    pub die_at: Option<Phase>,
    /// For tests: where the node says two things.
    pub lie: Option<Lie>,
}

/// Where a running node is to be found.
#[derive(Clone, Debug)]
pub struct Started {
    /// Other nodes.
    pub listen: Vec<std::net::SocketAddr>,
    /// Provers.
    pub provers: std::net::SocketAddr,
    /// Status and metrics.
    pub http: std::net::SocketAddr,
}

/// Why a node does not run, or not any longer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database failed.
    #[error("{0}; free space or mend the disk, then start again: nothing is lost")]
    Archive(#[from] ArchiveError),
    /// What is in the database can't be understood.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// No checker.
    #[error(transparent)]
    Checker(#[from] CheckerError),
    /// No network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// No server for provers.
    #[error(transparent)]
    Provers(#[from] ProversError),
    /// No server for questions.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A part of the node has ended by itself.
    #[error("{0} ended, which is a defect; start the node again: nothing is lost")]
    Part(&'static str),
    /// No thread.
    #[error("the system refuses a thread: {0}; end other programs, or raise the limit on threads")]
    Thread(#[from] std::io::Error),
}

/// What the loop waits for.
pub(crate) enum Event {
    /// For the machine.
    Input(Input),
    /// The checker could not judge this; it is to try again.
    Again(Dear),
    /// Somebody asks.
    Question(Question),
    /// Something without which the node is of no use has ended.
    Ended(&'static str),
    /// Time to end.
    Stop,
}

/// Now.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Runs a node until `stop` resolves. `started` is told where it is to be found. Must be called in a tokio runtime with
/// several threads.
///
/// # Errors
/// [`RunError`].
pub async fn run(
    settings: Settings,
    started: impl FnOnce(&Started),
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let Settings { params, directory, coinbase, signers, net, provers, http, poet, checker, first, progress, .. } =
        settings;
    let (die_at, lie) = (settings.die_at, settings.lie.map(|lie| (lie, signers.clone())));
    let store = Arc::new(Store::open(&directory, params.genesis_id)?);
    let alone = net.bootstrap.is_empty();
    let (net, net_events) = net::start(net).await?;
    let mut sync = sync::Config::new(params.timing.clone(), net.own().0);
    // One that begins anew, or has others to ask, has to hear first what they know.
    sync.alone_ms = (first && alone).then_some(0);
    let (timing, round_ms, keys) = (params.timing.clone(), params.consensus.round_ms, signers.clone());
    let mut node = Node::new(Config {
        verifier: Verifier::new(params.genesis_id),
        params,
        peer: net.own(),
        coinbase,
        signers,
        sync,
    });
    restore(&mut node, &*store)?;
    let (checker, checker_events) = Checker::start(checker)?;
    let checker = Arc::new(checker);
    let (provers, prover_events, provers_at) = Provers::start(provers).await?;

    let (events, received) = mpsc::channel(EVENTS);
    let http_at = http::serve(http, events.clone()).await?;
    tokio::spawn(inputs::from_net(net_events, net.clone(), Arc::clone(&checker), Arc::clone(&store), events.clone()));
    tokio::spawn(inputs::from_checker(checker_events, net.clone(), events.clone()));
    tokio::spawn(inputs::from_provers(prover_events, events.clone()));
    // The shortest of a network's times are a few ticks long.
    let tick = Duration::from_millis((timing.layer_ms / 5).min(round_ms / 5).clamp(20, 500));
    tokio::spawn(inputs::from_clock(tick, events.clone()));
    let stopper = events.clone();
    tokio::spawn(async move {
        stop.await;
        // A loop that has ended needs no stop.
        let _ = stopper.send(Event::Stop).await;
    });
    started(&Started { listen: net.listening().to_vec(), provers: provers_at, http: http_at });

    let registry = poet.map(|poet| Registry { poet, signers: keys, timing });
    let hands = Hands::new(net.clone(), Arc::clone(&checker), provers, registry, lie, events);
    let die_at = die_at.map(|phase| (phase, directory.join(format!("died_at_{phase}"))));
    let main = Main { node, store, hands, received, progress, die_at };
    let (done, ended) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("node".into()).spawn(move || {
        // Whoever waits for it may be gone.
        let _ = done.send(main.run());
    })?;
    let result = ended.await.unwrap_or(Err(RunError::Part("the node's thread")));
    net.shutdown().await;
    result
}

/// The loop.
struct Main {
    node: Node,
    store: Arc<Store>,
    hands: Hands,
    received: mpsc::Receiver<Event>,
    progress: watch::Sender<Option<sync::Progress>>,
    die_at: Option<(Phase, PathBuf)>,
}

impl Main {
    fn run(mut self) -> Result<(), RunError> {
        let mut batch = Vec::with_capacity(BATCH);
        while self.received.blocking_recv_many(&mut batch, BATCH) > 0 {
            let mut written = false;
            for event in batch.drain(..) {
                match event {
                    Event::Input(input) => written |= self.step(input)?,
                    Event::Again(job) => self.hands.take(Effect::Judge(job)),
                    Event::Question(question) => question.answer(now(), &self.node, &*self.store, &self.hands)?,
                    Event::Ended(part) => return Err(RunError::Part(part)),
                    Event::Stop => {
                        self.store.flush()?;
                        self.hands.work();
                        return Ok(());
                    }
                }
            }
            if written {
                self.store.flush()?;
            }
            self.hands.work();
            let progress = self.node.progress();
            self.progress.send_if_modified(|told| std::mem::replace(told, progress) != progress);
        }
        Ok(())
    }

    /// One step; whether something was written.
    fn step(&mut self, input: Input) -> Result<bool, RunError> {
        let mut effects = Vec::new();
        self.node.step(now(), &*self.store, input, &mut effects)?;
        let mut written = false;
        for effect in effects {
            match effect {
                Effect::Persist(writes) => {
                    self.store.write(&writes)?;
                    written = true;
                }
                effect => self.hands.take(effect),
            }
        }
        if let Some((phase, mark)) = &self.die_at
            && self.node.miners().iter().any(|miner| miner.phase == *phase)
        {
            self.store.flush()?;
            die(mark);
        }
        Ok(written)
    }
}

/// As if the power had gone.
fn die(mark: &Path) {
    // Whoever looks for it will not find it, if it can't be made.
    let _ = std::fs::File::create_new(mark);
    #[cfg(unix)]
    // It can't fail; and if it did, whoever waits for the end would see it.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}
