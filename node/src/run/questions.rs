//! What others may ask the node while it runs.

use std::fmt::Write;

use tokio::sync::oneshot;

use super::effects::Hands;
use crate::ids::{Address, AtxId, Epoch, TxId};
use crate::node::Node;
use crate::status::{AccountStatus, AtxStatus, Status};
use crate::time::Time;

/// A question, with the place for its answer.
pub enum Question {
    /// How it is.
    Status(oneshot::Sender<Status>),
    /// Which ATXs it knows.
    Atxs {
        /// Published in this epoch.
        epoch: Epoch,
        /// That come after this id.
        after: Option<AtxId>,
        /// No more than so many.
        limit: usize,
        /// The answer.
        answer: oneshot::Sender<Vec<AtxStatus>>,
    },
    /// What an account has.
    Account {
        /// Whose.
        address: Address,
        /// The answer.
        answer: oneshot::Sender<AccountStatus>,
    },
    /// Whether a transaction would be taken.
    Transaction {
        /// Its encoding.
        bytes: Vec<u8>,
        /// The answer: its name, or why not.
        answer: oneshot::Sender<Result<TxId, String>>,
    },
    /// Counts, in Prometheus' text format.
    Metrics(oneshot::Sender<String>),
}

impl Question {
    /// Answers; whoever asked may not wait any more.
    pub(super) fn answer(self, now: Time, node: &Node, hands: &Hands) {
        match self {
            Self::Status(answer) => {
                let _ = answer.send(status(now, node, hands));
            }
            Self::Atxs { epoch, after, limit, answer } => {
                let _ = answer.send(node.atx_statuses(epoch, after, limit));
            }
            Self::Account { address, answer } => {
                let _ = answer.send(node.account(address));
            }
            Self::Transaction { bytes, answer } => {
                let _ = answer.send(node.check_transaction(&bytes));
            }
            Self::Metrics(answer) => {
                let _ = answer.send(metrics(&status(now, node, hands), hands));
            }
        }
    }
}

fn status(now: Time, node: &Node, hands: &Hands) -> Status {
    let mut status = node.status(now);
    status.peer = hands.net.own().to_string();
    status.peers = hands.net.peers().len();
    status
}

/// Prometheus' text format, version 0.0.4.
fn metrics(status: &Status, hands: &Hands) -> String {
    let mut text = String::new();
    let gauge = |text: &mut String, name: &str, help: &str, value: u64| {
        // A String takes everything.
        let _ = write!(text, "# HELP post_{name} {help}\n# TYPE post_{name} gauge\npost_{name} {value}\n");
    };
    gauge(&mut text, "synced", "Whether the node knows what its peers know.", status.synced.into());
    gauge(&mut text, "peers", "Connected nodes.", status.peers as u64);
    gauge(&mut text, "frauds", "Miners with a fraud proof.", status.frauds as u64);
    gauge(&mut text, "parked_atxs", "ATXs that wait for others, or for a verdict.", status.parked as u64);
    gauge(&mut text, "layer", "The running layer.", status.layer.unwrap_or(0).into());
    if let Some(last) = status.epochs.last() {
        gauge(&mut text, "epoch_atxs", "Valid ATXs of the newest epoch with any.", last.atxs);
        gauge(&mut text, "epoch_weight", "What its good ATXs weigh.", last.weight);
    }
    let counts = hands.net.counters().all().into_iter().map(|count| ("net", count));
    for (part, (name, help, value)) in
        counts.chain(hands.checker.meters().all().into_iter().map(|count| ("check", count)))
    {
        let _ = write!(
            text,
            "# HELP post_{part}_{name} {help}\n# TYPE post_{part}_{name} untyped\npost_{part}_{name} {value}\n"
        );
    }
    text
}
