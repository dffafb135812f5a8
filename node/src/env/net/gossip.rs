//! Gossip: how messages spread, and what is thought of those who spread them (NODE.md section 7).

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use libp2p::gossipsub::{
    AllowAllSubscriptionFilter, Behaviour, ConfigBuilder, DataTransform, IdentTopic, Message, MessageAuthenticity,
    MessageId, PeerScoreParams, PeerScoreThresholds, RawMessage, TopicHash, TopicScoreParams, ValidationMode,
    score_parameter_decay,
};

use super::NetError;
use crate::ids::GenesisId;
use crate::source::{MessageHash, Topic};
use crate::transaction::MAX_TX_BYTES;

/// No message is longer.
pub(super) const MAX_MESSAGE: usize = 2 << 20;
/// Nor of a topic longer than this: what would not decode is not kept.
fn longest(topic: Topic) -> usize {
    match topic {
        Topic::Atx | Topic::Fraud => MAX_MESSAGE,
        Topic::Proposal => 256 << 10,
        Topic::Hare | Topic::Beacon => 64 << 10,
        Topic::Transaction => MAX_TX_BYTES,
    }
}

/// From a score below this nobody is listened to: eight bad messages.
pub(super) const GRAYLIST: f64 = -640.0;
/// What one bad message costs; the cost grows with the square of their number.
const BAD_MESSAGE: f64 = -10.0;

/// Gossip that takes only known topics.
pub(super) type Gossip = Behaviour<Known, AllowAllSubscriptionFilter>;

/// The topics of a network.
#[derive(Clone, Debug)]
pub(super) struct Topics(Vec<(TopicHash, Topic)>);

impl Topics {
    pub(super) fn new(genesis: GenesisId) -> Self {
        Self(Topic::ALL.map(|topic| (name(genesis, topic).hash(), topic)).into())
    }

    pub(super) fn topic(&self, hash: &TopicHash) -> Option<Topic> {
        self.0.iter().find(|(known, _)| known == hash).map(|(_, topic)| *topic)
    }
}

/// A topic's name on the wire.
pub(super) fn name(genesis: GenesisId, topic: Topic) -> IdentTopic {
    IdentTopic::new(format!("/post/{genesis}/{}/1", topic.name()))
}

/// A message is named after topic and content, whoever sent it.
pub(super) fn message_hash(topic: &TopicHash, data: &[u8]) -> MessageHash {
    MessageHash(*blake3::Hasher::new().update(topic.as_str().as_bytes()).update(data).finalize().as_bytes())
}

/// libp2p's form of the name.
pub(super) fn message_id(hash: MessageHash) -> MessageId {
    MessageId::new(&hash.0)
}

/// Turns messages of unknown topics away before anything is kept of them.
#[derive(Clone, Debug)]
pub(super) struct Known(Topics);

impl DataTransform for Known {
    fn inbound_transform(&self, raw: RawMessage) -> Result<Message, io::Error> {
        if self.0.topic(&raw.topic).is_none_or(|topic| raw.data.len() > longest(topic)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "unknown topic, or too long"));
        }
        let RawMessage { source, data, sequence_number, topic, .. } = raw;
        Ok(Message { source, data, sequence_number, topic })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, io::Error> {
        Ok(data)
    }
}

/// Anonymous gossip in which every message waits for a verdict.
pub(super) fn gossip(genesis: GenesisId) -> Result<Gossip, NetError> {
    let config = ConfigBuilder::default()
        .protocol_id_prefix(format!("/post/{genesis}/gossip"))
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| message_id(message_hash(&message.topic, &message.data)))
        .max_transmit_size(MAX_MESSAGE + 1024)
        .mesh_n(6)
        .mesh_n_low(4)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        .heartbeat_interval(Duration::from_secs(1))
        // A verdict may take a while: dear checks, missing dependencies. Older messages are not handed on.
        .history_length(120)
        .history_gossip(3)
        .duplicate_cache_time(Duration::from_secs(120))
        .max_messages_per_rpc(Some(512))
        .connection_handler_queue_len(1024)
        .flood_publish(true)
        .build()
        .map_err(settings)?;
    let topics = Topics::new(genesis);
    let mut gossip =
        Behaviour::new_with_transform(MessageAuthenticity::Anonymous, config, Known(topics)).map_err(settings)?;
    gossip.with_peer_score(score(genesis), thresholds()).map_err(settings)?;
    for topic in Topic::ALL {
        gossip.subscribe(&name(genesis, topic)).map_err(settings)?;
    }
    Ok(gossip)
}

fn settings(error: impl ToString) -> NetError {
    NetError::Settings(error.to_string())
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GRAYLIST / 8.0,
        publish_threshold: GRAYLIST / 4.0,
        graylist_threshold: GRAYLIST,
        accept_px_threshold: 1.0,
        opportunistic_graft_threshold: 1.0,
    }
}

/// Good messages earn little, bad ones cost much. How many messages there should be nobody knows, so nobody is blamed
/// for silence; neighbours are the gate's business.
fn score(genesis: GenesisId) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 100.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_decay: score_parameter_decay(Duration::from_secs(600)),
        first_message_deliveries_cap: 50.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: BAD_MESSAGE,
        invalid_message_deliveries_decay: score_parameter_decay(Duration::from_secs(600)),
        ..TopicScoreParams::default()
    };
    let topics: HashMap<_, _> = Topic::ALL.map(|of| (name(genesis, of).hash(), topic.clone())).into();
    PeerScoreParams {
        topics,
        topic_score_cap: 10.0,
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: score_parameter_decay(Duration::from_secs(600)),
        retain_score: Duration::from_secs(3600),
        ..PeerScoreParams::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::beacon::{BeaconMessage, BeaconVote, MAX_CANDIDATES};
    use crate::codec::{Scale, decode, encode};
    use crate::hare::{HareMessage, IterRound, MAX_VALUES, Round, Value};
    use crate::ids::{Address, BallotId, Epoch, Layer, NodeId, Signature};
    use crate::transaction::Transaction;
    use crate::vrf::VrfProof;

    fn longest_of<T: Scale + PartialEq + std::fmt::Debug>(topic: Topic, message: &T) {
        let bytes = encode(message);
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(message));
        assert!(bytes.len() <= longest(topic), "{topic:?}: {}", bytes.len());
    }

    #[test]
    fn the_longest_messages_fit() {
        let (proof, sender, signature) = (VrfProof([1; 80]), NodeId([1; 32]), Signature([1; 64]));
        longest_of(
            Topic::Hare,
            &HareMessage {
                layer: Layer(u32::MAX),
                at: IterRound { iteration: u8::MAX, round: Round::Notify },
                value: Value::Proposals(vec![BallotId([1; 20]); MAX_VALUES]),
                proof,
                seats: u16::MAX,
                sender,
                signature,
            },
        );
        let support = vec![[1; 8]; MAX_CANDIDATES];
        let vote = BeaconVote { epoch: Epoch(u32::MAX), round: u8::MAX, support, coin: proof, sender, signature };
        longest_of(Topic::Beacon, &BeaconMessage::Vote(vote));
        let to = Address([1; 24]);
        let (amount, fee, nonce) = (u64::MAX, u64::MAX, u64::MAX);
        longest_of(Topic::Transaction, &Transaction { from: sender, to, amount, fee, nonce, signature });
    }

    #[test]
    fn longer_ones_are_turned_away() {
        let genesis = GenesisId([1; 20]);
        let known = Known(Topics::new(genesis));
        for topic in Topic::ALL {
            let message = |len: usize| RawMessage {
                source: None,
                data: vec![0; len],
                sequence_number: None,
                topic: name(genesis, topic).hash(),
                signature: None,
                key: None,
                validated: false,
            };
            assert!(known.inbound_transform(message(longest(topic))).is_ok());
            assert!(known.inbound_transform(message(longest(topic) + 1)).is_err());
        }
    }
}
