//! What others may ask the node while it runs.

use std::fmt::Write;

use tokio::sync::oneshot;

use super::effects::Hands;
use crate::archive::{Archive, ArchiveError};
use crate::block::Block;
use crate::codec::decode;
use crate::ids::{Address, AtxId, Epoch, Layer, TxId};
use crate::node::Node;
use crate::status::{AccountStatus, AtxStatus, LayerStatus, Status};
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
    /// Which layers are final.
    Layers {
        /// The first.
        from: Layer,
        /// No more than so many.
        limit: usize,
        /// The answer.
        answer: oneshot::Sender<Vec<LayerStatus>>,
    },
    /// Counts, in Prometheus' text format.
    Metrics(oneshot::Sender<String>),
}

impl Question {
    /// Answers; whoever asked may not wait any more.
    ///
    /// # Errors
    /// [`ArchiveError`]; the node can't go on then.
    pub(super) fn answer(
        self,
        now: Time,
        node: &Node,
        archive: &dyn Archive,
        hands: &Hands,
    ) -> Result<(), ArchiveError> {
        match self {
            Self::Status(answer) => {
                let _ = answer.send(status(now, node, archive, hands)?);
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
            Self::Layers { from, limit, answer } => {
                let _ = answer.send(final_layers(archive, from.max(node.first_layer()), limit)?);
            }
            Self::Metrics(answer) => {
                let _ = answer.send(metrics(&status(now, node, archive, hands)?, hands));
            }
        }
        Ok(())
    }
}

fn status(now: Time, node: &Node, archive: &dyn Archive, hands: &Hands) -> Result<Status, ArchiveError> {
    let mut status = node.status(now);
    status.peer = hands.net.own().to_string();
    status.peers = hands.net.peers().len();
    if let Some(last) = archive.last_applied()? {
        status.agreement.last = final_layer(archive, last)?;
    }
    Ok(status)
}

fn final_layers(archive: &dyn Archive, from: Layer, limit: usize) -> Result<Vec<LayerStatus>, ArchiveError> {
    let mut found = Vec::new();
    let mut layer = from;
    while found.len() < limit
        && let Some(status) = final_layer(archive, layer)?
    {
        found.push(status);
        layer = layer.next();
    }
    Ok(found)
}

fn final_layer(archive: &dyn Archive, layer: Layer) -> Result<Option<LayerStatus>, ArchiveError> {
    let Some(applied) = archive.applied(layer)? else { return Ok(None) };
    let bytes = applied.block.map(|id| archive.block(id)).transpose()?.flatten();
    let block = bytes.and_then(|bytes| decode::<Block>(&bytes).ok());
    Ok(Some(LayerStatus {
        layer: layer.0,
        block: applied.block.map(|id| id.to_string()),
        root: applied.root.to_string(),
        paid: block.as_ref().map_or(0, |block| block.rewards.len()),
        transactions: block.as_ref().map_or(0, |block| block.txs.len()),
    }))
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
    let agreement = &status.agreement;
    gauge(&mut text, "layers_synced", "Whether the node has the layers that its peers have.", agreement.synced.into());
    gauge(&mut text, "frontier", "The first layer that isn't final.", agreement.frontier.into());
    gauge(&mut text, "issued", "Smidge issued up to the last final layer.", agreement.issued);
    gauge(&mut text, "held", "Smidge in accounts.", agreement.held);
    gauge(&mut text, "claimable", "Smidge earned by miners and not claimed yet.", agreement.claimable);
    gauge(&mut text, "burned", "Smidge lost for good.", agreement.burned);
    gauge(&mut text, "carried", "Smidge left over for the next layers.", agreement.carried);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Applied, Memory, Write};
    use crate::block::Reward;
    use crate::codec::encode;
    use crate::ids::{Address, Opinion, StateRoot};

    #[test]
    fn final_layers_are_told_in_order_and_no_more_than_wanted() {
        let mut archive = Memory::default();
        let reward = Reward { coinbase: Address([1; 24]), weight: 5 };
        let layer = Layer(21);
        let block = Block { layer, height: 1, rewards: vec![reward], atxs: vec![], revoked: vec![], txs: vec![] };
        archive.write(Write::Block { id: block.id(), layer, bytes: encode(&block) });
        for (i, block) in [(20, None), (21, Some(block.id())), (22, None)] {
            let applied = Applied { block, root: StateRoot([i as u8; 32]), opinion: Opinion([0; 32]) };
            archive.write(Write::Applied { layer: Layer(i), applied });
        }
        let layers = |from, limit| final_layers(&archive, Layer(from), limit).unwrap();
        let numbers = |from, limit| layers(from, limit).iter().map(|layer| layer.layer).collect::<Vec<_>>();
        assert_eq!(numbers(20, 9), [20, 21, 22]);
        assert_eq!(numbers(20, 2), [20, 21]);
        assert_eq!(numbers(22, 9), [22]);
        assert!(numbers(23, 9).is_empty() && numbers(20, 0).is_empty());
        let told = &layers(20, 2);
        assert_eq!((&told[0].block, told[0].paid), (&None, 0));
        assert_eq!((&told[1].block, told[1].paid), (&Some(block.id().to_string()), 1));
        assert_eq!(told[1].root, StateRoot([21; 32]).to_string());
    }
}
