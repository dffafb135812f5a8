//! What happens in the world, brought to the loop. Each of these ends when the loop does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
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

/// So many requests of peers are answered at once.
const ANSWERED: usize = 4;
/// And so many more wait.
const WAITING: usize = 64;

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
    let desk = Desk::new();
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
            NetEvent::Gossip { topic, source, data } => {
                tell(&events, Input::Gossip { topic, bytes: data, source }).await
            }
            NetEvent::Request { request, responder, .. } => {
                let store = Arc::clone(&store);
                desk.take(move || match reconcile::answer(&*store, &request) {
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

/// Where requests of peers are answered, so that they have few of the threads and of the disk's time.
struct Desk {
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Desk {
    fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(ANSWERED + WAITING)), workers: Arc::new(Semaphore::new(ANSWERED)) }
    }

    /// Answers on a thread of its own when it is time for it; never, if too many wait: whoever asked asks somebody else.
    fn take(&self, answer: impl FnOnce() + Send + 'static) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
        let workers = Arc::clone(&self.workers);
        tokio::spawn(async move {
            // Nobody closes it.
            let Ok(worker) = workers.acquire_owned().await else { return };
            tokio::task::spawn_blocking(move || {
                answer();
                drop((worker, place));
            });
        });
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, mpsc};

    use super::{ANSWERED, Desk, WAITING};

    #[tokio::test]
    async fn few_are_answered_at_once_and_too_many_never() {
        let (desk, (began, begun), (leave, leaves)) = (Desk::new(), mpsc::channel(), mpsc::channel::<()>());
        let (leaves, running) = (Arc::new(Mutex::new(leaves)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..ANSWERED + WAITING + 10 {
            let (began, leaves, running) = (began.clone(), Arc::clone(&leaves), Arc::clone(&running));
            desk.take(move || {
                began.send(running.fetch_add(1, Ordering::SeqCst) + 1).unwrap();
                leaves.lock().unwrap().recv().unwrap();
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        // From now on those that are dropped, or have ended, hold none.
        drop(began);
        let counts = tokio::task::spawn_blocking(move || {
            let first: Vec<usize> = (0..ANSWERED).map(|_| begun.recv().unwrap()).collect();
            (0..ANSWERED + WAITING).for_each(|_| leave.send(()).unwrap());
            [first, begun.iter().collect()].concat()
        });
        let counts = counts.await.unwrap();
        assert_eq!(counts.len(), ANSWERED + WAITING);
        assert_eq!(counts.into_iter().max(), Some(ANSWERED));
    }
}
