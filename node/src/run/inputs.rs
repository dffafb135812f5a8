//! What happens in the world, brought to the loop. Each of these ends when the loop does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::Event;
use crate::atx::Received;
use crate::env::checker::{Checker, CheckerEvent, Message};
use crate::env::net::{NetEvent, NetHandle};
use crate::env::store::Store;
use crate::node::Input;
use crate::reconcile;
use crate::smeshing::ProverEvent;
use crate::source::{Source, Topic, Verdict};

/// When it is tried again to judge what could not be judged.
const AGAIN: Duration = Duration::from_secs(5);

/// The loop has ended.
struct Ended;

async fn tell(events: &mpsc::Sender<Event>, input: Input) -> Result<(), Ended> {
    events.send(Event::Input(input)).await.map_err(|_| Ended)
}

/// Gossip goes to the checker first, requests are answered from the database; the loop sees neither.
pub(super) async fn from_net(
    mut net_events: mpsc::Receiver<NetEvent>,
    net: NetHandle,
    checker: Arc<Checker>,
    store: Arc<Store>,
    events: mpsc::Sender<Event>,
) {
    while let Some(event) = net_events.recv().await {
        let told = match event {
            NetEvent::PeerUp(peer) => tell(&events, Input::PeerUp(peer)).await,
            NetEvent::PeerDown(peer) => tell(&events, Input::PeerDown(peer)).await,
            NetEvent::Gossip { topic: Topic::Atx, source, data } => {
                for message in checker.submit(source, data) {
                    give_way(&events, &net, message).await;
                }
                Ok(())
            }
            NetEvent::Gossip { topic: Topic::Fraud, source, data } => {
                tell(&events, Input::Fraud { bytes: data, source }).await
            }
            NetEvent::Request { request, responder, .. } => {
                let store = Arc::clone(&store);
                tokio::task::spawn_blocking(move || match reconcile::answer(&*store, &request) {
                    Ok(response) => responder.respond(response),
                    Err(error) => tracing::error!("{error}"),
                });
                Ok(())
            }
        };
        if told.is_err() {
            return;
        }
    }
    // The loop may have ended first.
    let _ = events.send(Event::Ended("the network")).await;
}

/// A message that nobody looked at.
async fn give_way(events: &mpsc::Sender<Event>, net: &NetHandle, message: Message) {
    match message.source {
        source @ Source::Gossip { .. } => net.verdict(source, Verdict::Ignore),
        // The loop counts what was delivered.
        _ => {
            let _ = tell(events, crowded(&message)).await;
        }
    }
}

/// For the loop; a large message may be decoded twice, but only if a peer was asked for it.
pub(super) fn crowded(message: &Message) -> Input {
    let Message { source, bytes } = message;
    let answer = matches!(source, Source::Answer { .. }).then(|| Received::decode(bytes).ok()).flatten();
    Input::Crowded { source: *source, id: answer.map(|received| received.id) }
}

/// Gossiped junk is rejected here: a flood of it does not reach the loop.
pub(super) async fn from_checker(
    mut checker_events: mpsc::Receiver<CheckerEvent>,
    net: NetHandle,
    events: mpsc::Sender<Event>,
) {
    while let Some(event) = checker_events.recv().await {
        let told = match event {
            CheckerEvent::Atx { received, source } => tell(&events, Input::Atx { received: *received, source }).await,
            CheckerEvent::Junk { source: source @ Source::Gossip { .. }, why, .. } => {
                tracing::debug!(?source, %why, "junk");
                net.verdict(source, Verdict::Reject);
                Ok(())
            }
            CheckerEvent::Junk { source, id, why } => {
                tell(&events, Input::Junk { source, id, why: why.to_string() }).await
            }
            CheckerEvent::Judged { id, judgement } => tell(&events, Input::Judged { id, judgement }).await,
            CheckerEvent::Failed { job, why } => {
                tracing::error!("ATX {} could not be judged: {why}; it is tried again", job.id);
                let events = events.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(AGAIN).await;
                    // The loop may have ended.
                    let _ = events.send(Event::Again(job)).await;
                });
                Ok(())
            }
        };
        if told.is_err() {
            return;
        }
    }
    // The loop may have ended first.
    let _ = events.send(Event::Ended("the checker")).await;
}

/// What provers say.
pub(super) async fn from_provers(mut prover_events: mpsc::Receiver<ProverEvent>, events: mpsc::Sender<Event>) {
    while let Some(event) = prover_events.recv().await {
        if tell(&events, Input::Prover(event)).await.is_err() {
            return;
        }
    }
}

/// That time passes.
pub(super) async fn from_clock(tick: Duration, events: mpsc::Sender<Event>) {
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if tell(&events, Input::Tick).await.is_err() {
            return;
        }
    }
}
