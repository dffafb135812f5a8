//! What a miner must not forget, and its encoding.

use post_core::proof::Proof;

use super::io::OwnAtx;
use crate::atx::{Atx, MAX_ATX_BYTES, Membership, Received, poet_challenge};
use crate::codec::{DecodeError, Reader, Scale, decode, encode, put_bytes, put_option};
use crate::ids::{AtxId, Challenge, Epoch, NO_ATX, PoetChallenge};

/// The first byte of a record. Another one is refused, never guessed at: a wrong guess could sign a second ATX.
const VERSION: u8 = 1;

/// Why a record is not readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by another version of this program.
    #[error("it has version {found}, this program reads {VERSION}; use the program that wrote it, or a newer one")]
    Version {
        /// The one found.
        found: u8,
    },
    /// Damaged.
    #[error("it is damaged: {0}")]
    Damaged(#[from] DecodeError),
}

/// A proof of space with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpaceProof {
    /// Bound to.
    pub(super) commitment_atx: AtxId,
    /// Over so many units.
    pub(super) units: u32,
    pub(super) vrf_nonce: u64,
    pub(super) post: Proof,
}

/// What an ATX is bound to by its PoET challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) round: Epoch,
    /// [`NO_ATX`] for an initial ATX.
    pub(super) previous: AtxId,
    pub(super) positioning: AtxId,
}

impl Plan {
    pub(super) fn publish_epoch(&self) -> Epoch {
        self.round.next()
    }

    pub(super) fn is_initial(&self) -> bool {
        self.previous == NO_ATX
    }
}

/// That the challenge is in its round, and what came out of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The PoET proof's id: what the proof of space answers.
    pub(super) poet: Challenge,
    pub(super) leaf_index: u64,
    pub(super) membership: Membership,
}

/// How far the next ATX is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is decided.
    Idle,
    /// The challenge is fixed, and will be registered.
    Planned {
        plan: Plan,
        /// Whether the PoET said that it has it.
        registered: bool,
    },
    /// The PoET's proof is there.
    Ticket { plan: Plan, ticket: Ticket },
    /// The proof of space is there.
    Proved { plan: Plan, ticket: Ticket, proof: SpaceProof },
    /// The ATX is signed, and goes out as these bytes or not at all.
    Signed { atx: Box<Received>, poet: Challenge },
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// While there is no ATX yet.
    pub(super) initial: Option<SpaceProof>,
    /// The last ATX that was accepted, as far as known.
    pub(super) last: Option<OwnAtx>,
    /// The newest epoch an ATX was ever signed for.
    pub(super) signed: Option<Epoch>,
    pub(super) stage: Stage,
}

impl Record {
    pub(super) const NEW: Self = Self { initial: None, last: None, signed: None, stage: Stage::Idle };

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.append(&mut encode(self));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => Ok(decode(rest)?),
            Some((&found, _)) => Err(RecordError::Version { found }),
            None => Ok(decode(bytes)?),
        }
    }

    /// What is registered for a plan.
    pub(super) fn challenge(&self, plan: &Plan) -> PoetChallenge {
        let initial = self.initial.as_ref().filter(|_| plan.is_initial());
        poet_challenge(plan.publish_epoch(), plan.previous, plan.positioning, initial.map(|initial| &initial.post))
    }
}

impl Scale for Record {
    fn encode_to(&self, out: &mut Vec<u8>) {
        put_option(out, self.initial.as_ref());
        put_option(out, self.last.as_ref());
        put_option(out, self.signed.as_ref());
        self.stage.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            initial: input.option()?,
            last: input.option()?,
            signed: input.option()?,
            stage: Stage::decode_from(input)?,
        })
    }
}

impl Scale for Stage {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Idle => out.push(0),
            Self::Planned { plan, registered } => {
                out.extend([1, u8::from(*registered)]);
                plan.encode_to(out);
            }
            Self::Ticket { plan, ticket } => {
                out.push(2);
                plan.encode_to(out);
                ticket.encode_to(out);
            }
            Self::Proved { plan, ticket, proof } => {
                out.push(3);
                plan.encode_to(out);
                ticket.encode_to(out);
                proof.encode_to(out);
            }
            Self::Signed { atx, poet } => {
                out.push(4);
                put_bytes(out, &atx.bytes);
                poet.encode_to(out);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.variant(5)? {
            0 => Self::Idle,
            1 => {
                let registered = input.variant(2)? == 1;
                Self::Planned { plan: Plan::decode_from(input)?, registered }
            }
            2 => Self::Ticket { plan: Plan::decode_from(input)?, ticket: Ticket::decode_from(input)? },
            3 => Self::Proved {
                plan: Plan::decode_from(input)?,
                ticket: Ticket::decode_from(input)?,
                proof: SpaceProof::decode_from(input)?,
            },
            _ => {
                let bytes = input.bytes(MAX_ATX_BYTES)?;
                let atx: Atx = decode(&bytes)?;
                let atx = Box::new(Received { id: atx.id(), atx: Box::new(atx), bytes: bytes.into() });
                Self::Signed { atx, poet: Challenge::decode_from(input)? }
            }
        })
    }
}

impl Scale for Plan {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.round.encode_to(out);
        self.previous.encode_to(out);
        self.positioning.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            round: Epoch::decode_from(input)?,
            previous: AtxId::decode_from(input)?,
            positioning: AtxId::decode_from(input)?,
        })
    }
}

impl Scale for Ticket {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.poet.encode_to(out);
        self.leaf_index.encode_to(out);
        self.membership.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            poet: Challenge::decode_from(input)?,
            leaf_index: u64::decode_from(input)?,
            membership: Membership::decode_from(input)?,
        })
    }
}

impl Scale for SpaceProof {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.commitment_atx.encode_to(out);
        self.units.encode_to(out);
        self.vrf_nonce.encode_to(out);
        self.post.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            commitment_atx: AtxId::decode_from(input)?,
            units: u32::decode_from(input)?,
            vrf_nonce: u64::decode_from(input)?,
            post: Proof::decode_from(input)?,
        })
    }
}

impl Scale for OwnAtx {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.id.encode_to(out);
        self.publish_epoch.encode_to(out);
        self.units.encode_to(out);
        self.vrf_nonce.encode_to(out);
        self.commitment_atx.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: AtxId::decode_from(input)?,
            publish_epoch: Epoch::decode_from(input)?,
            units: u32::decode_from(input)?,
            vrf_nonce: u64::decode_from(input)?,
            commitment_atx: AtxId::decode_from(input)?,
        })
    }
}

#[cfg(test)]
mod tests;
