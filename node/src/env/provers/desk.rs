//! What is wanted of a miner's prover, and which stream is the one to answer.

use std::net::SocketAddr;

use tokio::sync::{mpsc, watch};

use super::ProverStatus;
use crate::ids::{Challenge, NodeId};
use crate::smeshing::{ProverEvent, ProverMetadata};

/// A place at a desk. Every stream gets a new one, and only the newest is good.
pub(super) type Seat = u64;

/// What is on a desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paper {
    pub(super) asked: Option<Challenge>,
    /// The newest seat.
    seat: Seat,
    /// Who sits there, if somebody does.
    prover: Option<(ProverMetadata, Option<SocketAddr>)>,
}

/// A miner's desk. Whatever changes on it is seen by the stream that sits there, and an event about it is handed over
/// while nobody else can change anything: events of a miner come in the order of what happened.
#[derive(Debug)]
pub(super) struct Desk {
    node_id: NodeId,
    paper: watch::Sender<Paper>,
}

/// The right to hand over an event.
pub(super) type Permit<'a> = mpsc::Permit<'a, ProverEvent>;

impl Desk {
    pub(super) fn new(node_id: NodeId) -> Self {
        Self { node_id, paper: watch::Sender::new(Paper { asked: None, seat: 0, prover: None }) }
    }

    pub(super) fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Sees every change from now on.
    pub(super) fn watch(&self) -> watch::Receiver<Paper> {
        self.paper.subscribe()
    }

    pub(super) fn want(&self, challenge: Option<Challenge>) {
        self.paper.send_if_modified(|paper| {
            let changed = paper.asked != challenge;
            paper.asked = challenge;
            changed
        });
    }

    /// A stream sits down. Whoever sat there has to go.
    pub(super) fn sit(&self, metadata: ProverMetadata, peer: Option<SocketAddr>, event: Permit<'_>) -> Seat {
        let mut seat = 0;
        self.paper.send_modify(|paper| {
            if paper.prover.is_some() {
                tracing::info!(miner = %self.node_id, "a second stream of one prover takes the place of the first");
            }
            paper.seat += 1;
            paper.prover = Some((metadata, peer));
            seat = paper.seat;
            event.send(ProverEvent::Registered(metadata));
        });
        seat
    }

    /// Ends when another stream sits down.
    pub(super) async fn taken_from(&self, seat: Seat) {
        // The desk outlives its streams, so there is no error.
        self.watch().wait_for(|paper| paper.seat != seat).await.ok();
    }

    /// A stream says something new about its prover.
    pub(super) fn update(&self, seat: Seat, metadata: ProverMetadata, event: Permit<'_>) {
        self.paper.send_if_modified(|paper| match &mut paper.prover {
            Some((known, _)) if paper.seat == seat => {
                *known = metadata;
                event.send(ProverEvent::Registered(metadata));
                true
            }
            _ => false,
        });
    }

    /// A stream goes.
    pub(super) fn leave(&self, seat: Seat, event: Option<Permit<'_>>) {
        self.paper.send_if_modified(|paper| {
            let mine = paper.seat == seat;
            if mine {
                paper.prover = None;
                if let Some(event) = event {
                    event.send(ProverEvent::Gone { node_id: self.node_id });
                }
            }
            mine
        });
    }

    /// A stream answers what is wanted; any other answer comes too late, and is passed over.
    pub(super) fn answer(&self, seat: Seat, challenge: Challenge, answer: ProverEvent, event: Permit<'_>) {
        self.paper.send_if_modified(|paper| {
            let wanted = paper.seat == seat && paper.asked == Some(challenge);
            if wanted {
                paper.asked = None;
                event.send(answer);
            }
            wanted
        });
    }

    pub(super) fn status(&self) -> ProverStatus {
        let paper = self.paper.borrow();
        ProverStatus { node_id: self.node_id, prover: paper.prover, asked: paper.asked }
    }
}
