//! What the machine wants done in the world.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::inputs::crowded;
use super::{Event, Lie};
use crate::atxs::Dear;
use crate::env::checker::Checker;
use crate::env::net::NetHandle;
use crate::env::poet::Poet;
use crate::env::provers::Provers;
use crate::node::{Effect, Input};
use crate::params::Timing;
use crate::signature::Signer;
use crate::smeshing::{PoetCommand, PoetEvent};

/// The PoET, and what is needed to register there.
pub(super) struct Registry {
    pub(super) poet: Arc<dyn Poet>,
    pub(super) signers: Vec<Signer>,
    pub(super) timing: Timing,
}

/// Takes effects, and executes them when their writes are safe.
pub(crate) struct Hands {
    pub(super) net: NetHandle,
    pub(super) checker: Arc<Checker>,
    provers: Provers,
    registry: Option<Arc<Registry>>,
    lie: Option<(Lie, Vec<Signer>)>,
    events: mpsc::Sender<Event>,
    runtime: Handle,
    waiting: VecDeque<Effect>,
    /// What the checker had no room for. The machine that knows ATXs bounds how many there are.
    unjudged: VecDeque<Dear>,
}

impl Hands {
    /// Must be called in a tokio runtime.
    pub(super) fn new(
        net: NetHandle,
        checker: Arc<Checker>,
        provers: Provers,
        registry: Option<Registry>,
        lie: Option<(Lie, Vec<Signer>)>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (waiting, unjudged) = (VecDeque::new(), VecDeque::new());
        let registry = registry.map(Arc::new);
        Self { net, checker, provers, registry, lie, events, runtime: Handle::current(), waiting, unjudged }
    }

    /// Takes one for later.
    pub(super) fn take(&mut self, effect: Effect) {
        self.waiting.push_back(effect);
    }

    /// Executes all that were taken, in order.
    pub(super) fn work(&mut self) {
        while let Some(effect) = self.waiting.pop_front() {
            self.execute(effect);
        }
        while let Some(job) = self.unjudged.pop_front() {
            if let Err(job) = self.checker.judge(job) {
                self.unjudged.push_front(*job);
                break;
            }
        }
    }

    fn execute(&mut self, effect: Effect) {
        match effect {
            // The loop has done that.
            Effect::Persist(_) => {}
            Effect::Verdict { source, verdict, why } => {
                tracing::debug!(?source, ?verdict, why);
                self.net.verdict(source, verdict);
            }
            Effect::Check { source, bytes } => {
                for message in self.checker.submit(source, bytes) {
                    self.tell(crowded(&message));
                }
            }
            Effect::Judge(dear) => self.unjudged.push_back(dear),
            Effect::Gossip { topic, bytes } => {
                if let Some((lie, signers)) = &self.lie
                    && let Some(other) = lie.other(signers, topic, &bytes)
                {
                    tracing::info!(topic = topic.name(), "a lie");
                    self.net.publish(topic, other);
                }
                self.net.publish(topic, bytes);
            }
            Effect::Request { peer, id, request } => {
                let answer = self.net.request(peer, request);
                let events = self.events.clone();
                self.runtime.spawn(async move {
                    let response = answer.await.ok();
                    // The node may have ended.
                    let _ = events.send(Event::Input(Input::Response { peer, id, response })).await;
                });
            }
            Effect::Punish { peer, why } => {
                tracing::info!(%peer, why, "a peer lied");
                self.net.punish(peer, why);
            }
            Effect::AskProof { node_id, challenge } => self.provers.ask(node_id, challenge),
            Effect::CancelProof { node_id } => self.provers.cancel(node_id),
            Effect::Poet(command) => self.ask_poet(command),
            Effect::Tell { warning: true, what } => tracing::warn!("{what}"),
            Effect::Tell { warning: false, what } => tracing::info!("{what}"),
        }
    }

    /// An input for a later step. The channel may be full of what waits for this very thread, so it does not wait.
    fn tell(&self, input: Input) {
        let events = self.events.clone();
        self.runtime.spawn(async move {
            // The node may have ended.
            let _ = events.send(Event::Input(input)).await;
        });
    }

    fn ask_poet(&self, command: PoetCommand) {
        let Some(registry) = self.registry.clone() else {
            tracing::warn!("this node has miners and no PoET; give --poet");
            return;
        };
        let events = self.events.clone();
        self.runtime.spawn_blocking(move || {
            // The node may have ended.
            let _ = events.blocking_send(Event::Input(Input::Poet(registry.ask(command))));
        });
    }
}

impl Registry {
    /// Asks the PoET, and waits.
    fn ask(&self, command: PoetCommand) -> PoetEvent {
        let Self { poet, signers, timing } = self;
        match command {
            PoetCommand::Submit { node_id, round, challenge, .. } => {
                let refused = |retryable, why| PoetEvent::Refused { node_id, round, challenge, retryable, why };
                let Some(signer) = signers.iter().find(|signer| signer.node_id() == node_id) else {
                    return refused(false, "this node has no key of the miner".into());
                };
                match poet.submit(signer, challenge, Some(timing.round_ends(round))) {
                    // Into which round it went is the machine's to judge.
                    Ok(registration) => PoetEvent::Registered { node_id, round: registration.round, challenge },
                    Err(error) => refused(error.is_transient(), error.to_string()),
                }
            }
            PoetCommand::Fetch { round } => match poet.proof(round) {
                Ok(Some(result)) => PoetEvent::Result { round, proof: result.proof, members: result.members },
                Ok(None) => PoetEvent::NotYet { round },
                Err(error) => PoetEvent::NoResult { round, why: error.to_string() },
            },
        }
    }
}
