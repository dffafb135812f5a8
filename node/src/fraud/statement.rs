//! What a miner says while blocks and beacons are agreed on, and when two such things contradict each other.

use super::NotProven;
use crate::ballot::Ballot;
use crate::beacon::BeaconVote;
use crate::codec::{DecodeError, Reader, Scale};
use crate::hare::HareHeader;
use crate::ids::{Epoch, NodeId, Signature};
use crate::params::Timing;
use crate::signature::Verifier;

/// Something that was said, with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// A ballot.
    Ballot(Ballot),
    /// What is signed of a Hare message.
    Hare {
        /// What was said, and when.
        header: HareHeader,
        /// By who said it, which the header doesn't name.
        signature: Signature,
    },
    /// A vote on the beacon.
    Beacon(BeaconVote),
}

impl Statement {
    /// Whether `culprit` said it, and could be heard: what breaks a rule that all check never counts.
    pub(super) fn said_by(&self, culprit: NodeId, verifier: &Verifier) -> Result<(), NotProven> {
        let of_culprit = |sender: NodeId| if sender == culprit { Ok(()) } else { Err(NotProven::NotTheSigner) };
        let signed = |holds: bool| if holds { Ok(()) } else { Err(NotProven::Signature) };
        match self {
            Self::Ballot(ballot) => {
                of_culprit(ballot.smesher)?;
                Ok(ballot.check(verifier)?)
            }
            Self::Hare { header, signature } => signed(header.is_signed(culprit, *signature, verifier)),
            Self::Beacon(vote) => {
                of_culprit(vote.sender)?;
                signed(vote.is_sound(verifier))
            }
        }
    }

    /// Whether nobody honest says both. One thing signed twice is still one.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ballot(one), Self::Ballot(other)) => ballots_contradict(one, other),
            (Self::Hare { header: one, .. }, Self::Hare { header: other, .. }) => {
                (one.layer, one.at) == (other.layer, other.at) && one.value != other.value
            }
            (Self::Beacon(one), Self::Beacon(other)) => {
                (one.epoch, one.round) == (other.epoch, other.round)
                    && (&one.support, one.coin) != (&other.support, other.coin)
            }
            _ => false,
        }
    }

    /// The epoch in which it is said.
    pub(super) fn epoch(&self, timing: &Timing) -> Epoch {
        match self {
            Self::Ballot(ballot) => timing.epoch_of(ballot.layer),
            Self::Hare { header, .. } => timing.epoch_of(header.layer),
            Self::Beacon(vote) => vote.epoch,
        }
    }
}

/// Two ballots of one layer, or two for one slot. An ATX has slots in one epoch only, so ATX, beacon and counter name a slot:
/// by another beacon, which an honest miner may have learned of late, the same counter is drawn for another layer.
fn ballots_contradict(one: &Ballot, other: &Ballot) -> bool {
    if one.layer == other.layer {
        return one.id() != other.id();
    }
    // Counters ascend in both.
    let uses = |counter: u32| other.slots.binary_search_by_key(&counter, |slot| slot.counter).is_ok();
    (one.atx, one.beacon) == (other.atx, other.beacon) && one.slots.iter().any(|slot| uses(slot.counter))
}

impl Scale for Statement {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ballot(ballot) => {
                out.push(0);
                ballot.encode_to(out);
            }
            Self::Hare { header, signature } => {
                out.push(1);
                header.encode_to(out);
                signature.encode_to(out);
            }
            Self::Beacon(vote) => {
                out.push(2);
                vote.encode_to(out);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.variant(3)? {
            0 => Self::Ballot(Ballot::decode_from(input)?),
            1 => Self::Hare { header: HareHeader::decode_from(input)?, signature: Signature::decode_from(input)? },
            _ => Self::Beacon(BeaconVote::decode_from(input)?),
        })
    }
}
