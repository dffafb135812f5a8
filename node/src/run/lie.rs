//! For tests: a node that says two things where one is allowed.

use crate::beacon::BeaconMessage;
use crate::codec::decode;
use crate::hare::{HareMessage, Round};
use crate::signature::Signer;
use crate::sim::liars::contradiction;
use crate::source::Topic;

/// Where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Two ATXs in an epoch.
    Atx,
    /// Two ballots in a layer.
    Ballot,
    /// Two of these messages of Hare.
    Preround,
    /// As above.
    Propose,
    /// As above.
    Commit,
    /// As above.
    Notify,
    /// Two first votes for a beacon.
    BeaconFirst,
    /// Two later ones.
    BeaconFollowup,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Atx,
        Self::Ballot,
        Self::Preround,
        Self::Propose,
        Self::Commit,
        Self::Notify,
        Self::BeaconFirst,
        Self::BeaconFollowup,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Atx => "atx",
            Self::Ballot => "ballot",
            Self::Preround => "hare-preround",
            Self::Propose => "hare-propose",
            Self::Commit => "hare-commit",
            Self::Notify => "hare-notify",
            Self::BeaconFirst => "beacon-first",
            Self::BeaconFollowup => "beacon-followup",
        }
    }

    /// What one of these miners says beside a message of its own; `None` where it tells the truth.
    pub(super) fn other(self, signers: &[Signer], topic: Topic, bytes: &[u8]) -> Option<Vec<u8>> {
        if !self.concerns(topic, bytes) {
            return None;
        }
        signers.iter().find_map(|signer| contradiction(signer, topic, bytes))
    }

    fn concerns(self, topic: Topic, bytes: &[u8]) -> bool {
        match self {
            Self::Atx => topic == Topic::Atx,
            Self::Ballot => topic == Topic::Proposal,
            Self::Preround => hare(topic, bytes, Round::Preround),
            Self::Propose => hare(topic, bytes, Round::Propose),
            Self::Commit => hare(topic, bytes, Round::Commit),
            Self::Notify => hare(topic, bytes, Round::Notify),
            Self::BeaconFirst => vote(topic, bytes).is_some_and(|round| round == 0),
            Self::BeaconFollowup => vote(topic, bytes).is_some_and(|round| round > 0),
        }
    }
}

fn hare(topic: Topic, bytes: &[u8], round: Round) -> bool {
    topic == Topic::Hare && decode::<HareMessage>(bytes).is_ok_and(|message| message.at.round == round)
}

/// The round of a vote for a beacon.
fn vote(topic: Topic, bytes: &[u8]) -> Option<u8> {
    match decode(bytes) {
        Ok(BeaconMessage::Vote(vote)) if topic == Topic::Beacon => Some(vote.round),
        _ => None,
    }
}
