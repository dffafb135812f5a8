//! What Hare's committee says (NODE.md section 6).

use crate::codec::{DecodeError, Reader, Scale, encode, put_list};
use crate::ids::{BallotId, Layer, NodeId, Signature};
use crate::signature::{Domain, Signed, Signer, Verifier};
use crate::vrf::VrfProof;

/// A message names at most so many proposals.
pub const MAX_VALUES: usize = 2350;

/// Where in an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Round {
    /// Which proposals are there; before the first iteration.
    Preround,
    /// Locks are looked for; nobody speaks, and there is none in iteration 0.
    Hardlock,
    /// The same.
    Softlock,
    /// What should come out.
    Propose,
    /// Proposals spread.
    Wait1,
    /// So do contradictions.
    Wait2,
    /// What may come out.
    Commit,
    /// That enough committed.
    Notify,
}

/// A moment of a layer's Hare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IterRound {
    /// Which iteration, from 0.
    pub iteration: u8,
    /// Where in it.
    pub round: Round,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// These proposals, ascending: in the preround and in `Propose`.
    Proposals(Vec<BallotId>),
    /// The set with this hash: in `Commit` and `Notify`.
    Reference([u8; 32]),
}

impl Value {
    /// What stands for a set of proposals, given ascending.
    #[must_use]
    pub fn reference(proposals: &[BallotId]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        proposals.iter().for_each(|id| {
            hasher.update(&id.0);
        });
        hasher.finalize().into()
    }

    /// The hash of the set that it names.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        match self {
            Self::Proposals(proposals) => Self::reference(proposals),
            Self::Reference(hash) => *hash,
        }
    }
}

/// What a message's signature is over; two of one sender that differ in `value` only convict it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HareHeader {
    /// The layer.
    pub layer: Layer,
    /// When.
    pub at: IterRound,
    /// The hash of what is said.
    pub value: [u8; 32],
}

/// A message of a committee's member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HareMessage {
    /// The layer.
    pub layer: Layer,
    /// When.
    pub at: IterRound,
    /// What.
    pub value: Value,
    /// The draw that gave the sender its seats.
    pub proof: VrfProof,
    /// How many seats it says to have, at least 1.
    pub seats: u16,
    /// Who.
    pub sender: NodeId,
    /// By the sender over the header, for [`Domain::Hare`].
    pub signature: Signature,
}

impl HareHeader {
    /// Whether `signature` over it is the sender's.
    #[must_use]
    pub fn is_signed(&self, sender: NodeId, signature: Signature, verifier: &Verifier) -> bool {
        verifier.holds(&Signed { domain: Domain::Hare, signer: sender, message: &encode(self), signature })
    }
}

impl HareMessage {
    /// What is signed.
    #[must_use]
    pub fn header(&self) -> HareHeader {
        HareHeader { layer: self.layer, at: self.at, value: self.value.hash() }
    }

    /// Signs; the sender becomes the signer.
    pub fn sign(&mut self, signer: &Signer) {
        self.sender = signer.node_id();
        self.signature = signer.sign(Domain::Hare, &encode(&self.header()));
    }

    /// Whether the round has such a value, the proposals are in order, and the signature is the sender's.
    #[must_use]
    pub fn is_sound(&self, verifier: &Verifier) -> bool {
        let fits = match (&self.value, self.at.round) {
            (Value::Proposals(proposals), Round::Preround | Round::Propose) => {
                proposals.windows(2).all(|pair| pair[0] < pair[1])
            }
            (Value::Reference(_), Round::Commit | Round::Notify) => true,
            _ => false,
        };
        let first = self.at.round != Round::Preround || self.at.iteration == 0;
        fits && first && self.seats > 0 && self.header().is_signed(self.sender, self.signature, verifier)
    }
}

impl Round {
    /// All, in order.
    pub const ALL: [Self; 8] = [
        Self::Preround,
        Self::Hardlock,
        Self::Softlock,
        Self::Propose,
        Self::Wait1,
        Self::Wait2,
        Self::Commit,
        Self::Notify,
    ];
}

impl Scale for IterRound {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.iteration.encode_to(out);
        out.push(self.round as u8);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let iteration = u8::decode_from(input)?;
        Ok(Self { iteration, round: Round::ALL[usize::from(input.variant(8)?)] })
    }
}

impl Scale for HareHeader {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.layer.encode_to(out);
        self.at.encode_to(out);
        self.value.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { layer: Layer::decode_from(input)?, at: IterRound::decode_from(input)?, value: input.array()? })
    }
}

impl Scale for HareMessage {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.layer.encode_to(out);
        self.at.encode_to(out);
        match &self.value {
            Value::Proposals(proposals) => {
                out.push(0);
                put_list(out, proposals);
            }
            Value::Reference(hash) => {
                out.push(1);
                hash.encode_to(out);
            }
        }
        self.proof.encode_to(out);
        self.seats.encode_to(out);
        self.sender.encode_to(out);
        self.signature.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (layer, at) = (Layer::decode_from(input)?, IterRound::decode_from(input)?);
        let value = match input.variant(2)? {
            0 => Value::Proposals(input.list(MAX_VALUES)?),
            _ => Value::Reference(input.array()?),
        };
        Ok(Self {
            layer,
            at,
            value,
            proof: VrfProof::decode_from(input)?,
            seats: u16::decode_from(input)?,
            sender: NodeId::decode_from(input)?,
            signature: Signature::decode_from(input)?,
        })
    }
}
