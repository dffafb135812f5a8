//! One prover's stream, from the first question to the end.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use post_service::v1::post_service_server::PostService;
use post_service::v1::{NodeRequest, ServiceResponse};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::desk::{Desk, Paper, Permit, Seat};
use super::incoming::until_dropped;
use super::wire::{self, Progress};
use crate::ids::{Challenge, NodeId};
use crate::smeshing::{ProverEvent, ProverMetadata};

/// A stream's end is told for so long.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where provers come in.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) desks: Arc<BTreeMap<NodeId, Desk>>,
    pub(super) events: mpsc::Sender<ProverEvent>,
    pub(super) closed: watch::Receiver<()>,
    pub(super) streams: Arc<Semaphore>,
    pub(super) poll_interval: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) nonce_interval: Duration,
}

#[tonic::async_trait]
impl PostService for Door {
    type RegisterStream = ReceiverStream<Result<NodeRequest, Status>>;

    async fn register(
        &self,
        request: Request<Streaming<ServiceResponse>>,
    ) -> Result<Response<Self::RegisterStream>, Status> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let permit = permit.map_err(|_| Status::resource_exhausted("this node has all the provers it can serve"))?;
        let peer = request.remote_addr();
        let (questions, sent) = mpsc::channel(1);
        let session = Session {
            peer,
            questions: questions.clone(),
            answers: request.into_inner(),
            events: self.events.clone(),
            poll_interval: self.poll_interval,
            answer_timeout: self.answer_timeout,
            nonce_interval: self.nonce_interval,
        };
        let (desks, closed) = (Arc::clone(&self.desks), self.closed.clone());
        tokio::spawn(async move {
            let status = tokio::select! {
                status = session.run(&desks) => status,
                () = until_dropped(closed) => closing(),
            };
            tracing::debug!(?peer, "a prover's stream ends: {}", status.message());
            if status.code() != Code::Ok {
                // Whoever does not read need not know.
                timeout(FAREWELL, questions.send(Err(status))).await.ok();
            }
            drop(permit);
        });
        Ok(Response::new(ReceiverStream::new(sent)))
    }
}

struct Session {
    peer: Option<SocketAddr>,
    questions: mpsc::Sender<Result<NodeRequest, Status>>,
    answers: Streaming<ServiceResponse>,
    events: mpsc::Sender<ProverEvent>,
    poll_interval: Duration,
    answer_timeout: Duration,
    nonce_interval: Duration,
}

fn closing() -> Status {
    Status::unavailable("the node is shutting down")
}

/// Room for an event.
async fn reserve(events: &mpsc::Sender<ProverEvent>) -> Result<Permit<'_>, Status> {
    events.reserve().await.map_err(|_| closing())
}

impl Session {
    /// Lasts as long as the stream; the reason for its end.
    async fn run(mut self, desks: &BTreeMap<NodeId, Desk>) -> Status {
        let metadata = match self.metadata().await {
            Ok(metadata) => metadata,
            Err(status) => return status,
        };
        let Some(desk) = desks.get(&metadata.node_id) else {
            let id = metadata.node_id;
            tracing::warn!(peer = ?self.peer, "a prover of miner {id}, which is not one of this node, is refused");
            return Status::permission_denied(format!("miner {id} is not one of this node; give the node its key"));
        };
        let events = self.events.clone();
        let seat = match reserve(&events).await {
            Ok(event) => desk.sit(metadata, self.peer, event),
            Err(status) => return status,
        };
        let status = tokio::select! {
            Err(status) = self.serve(desk, seat, metadata) => status,
            () = desk.taken_from(seat) => Status::aborted("another stream of this prover takes the place of this one"),
        };
        desk.leave(seat, events.reserve().await.ok());
        status
    }

    /// Asks the prover at the desk whatever is wanted, until the stream ends for a reason.
    async fn serve(&mut self, desk: &Desk, seat: Seat, mut metadata: ProverMetadata) -> Result<Infallible, Status> {
        let mut paper = desk.watch();
        let mut nonce_due = Instant::now() + self.nonce_interval;
        loop {
            let wanted = paper.borrow_and_update().asked;
            if let Some(challenge) = wanted {
                self.prove(desk, seat, challenge).await?;
            }
            if metadata.nonce.is_none() && Instant::now() >= nonce_due {
                let now = self.metadata().await?;
                if now.node_id != metadata.node_id {
                    return Err(Status::invalid_argument("a stream is one miner's"));
                }
                if now != metadata {
                    desk.update(seat, now, reserve(&self.events).await?);
                }
                metadata = now;
                nonce_due = Instant::now() + self.nonce_interval;
            }
            let poll_due = wanted.map(|_| Instant::now() + self.poll_interval);
            let nonce_due = metadata.nonce.is_none().then_some(nonce_due);
            self.idle(&mut paper, poll_due.into_iter().chain(nonce_due).min()).await?;
        }
    }

    /// Nothing is asked until something else may be wanted, or `until`.
    async fn idle(&mut self, paper: &mut watch::Receiver<Paper>, until: Option<Instant>) -> Result<(), Status> {
        let time = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = paper.changed() => changed.map_err(|_| closing()),
            () = time => Ok(()),
            message = self.answers.message() => Err(match message? {
                Some(_) => Status::invalid_argument("an answer to nothing that was asked"),
                None => Status::ok("the prover has closed the stream"),
            }),
        }
    }

    /// Asks for a proof, or how it is coming along.
    async fn prove(&mut self, desk: &Desk, seat: Seat, challenge: Challenge) -> Result<(), Status> {
        let answer = self.ask(wire::prove(challenge)).await?;
        let node_id = desk.node_id();
        let answer = match wire::progress(answer, challenge).map_err(Status::invalid_argument)? {
            Progress::UnderWay => return Ok(()),
            Progress::Done(proof, metadata) => ProverEvent::Proof { node_id, challenge, proof, metadata },
            Progress::Failed(why) => ProverEvent::Failed { node_id, challenge, why },
        };
        desk.answer(seat, challenge, answer, reserve(&self.events).await?);
        Ok(())
    }

    async fn metadata(&mut self) -> Result<ProverMetadata, Status> {
        let answer = self.ask(wire::who_are_you()).await?;
        wire::metadata(answer).map_err(Status::invalid_argument)
    }

    /// A question and its answer.
    async fn ask(&mut self, question: NodeRequest) -> Result<ServiceResponse, Status> {
        let exchange = async {
            let gone = |_| Status::cancelled("the prover has closed the stream");
            self.questions.send(Ok(question)).await.map_err(gone)?;
            self.answers.message().await?.ok_or_else(|| Status::cancelled("the prover has closed the stream"))
        };
        timeout(self.answer_timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("the prover gives no answer")))
    }
}
