//! What miners say to agree on a beacon (NODE.md section 6).

use crate::codec::{DecodeError, Reader, Scale, put_list};
use crate::ids::{Epoch, NodeId, Signature};
use crate::signature::{Domain, Signed, Signer, Verifier};
use crate::vrf::VrfProof;

/// A vote names at most so many proposals.
pub const MAX_CANDIDATES: usize = 4096;

/// A proposal's name: the first bytes of its draw.
pub type Candidate = [u8; 8];

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeaconMessage {
    /// A proposal; the draw binds it to its sender, so nobody signs it.
    Proposal {
        /// The epoch in which it is made; the beacon is the next one's.
        epoch: Epoch,
        /// Who.
        sender: NodeId,
        /// The draw.
        proof: VrfProof,
    },
    /// A vote.
    Vote(BeaconVote),
}

/// A vote on all proposals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeaconVote {
    /// The epoch in which it is cast.
    pub epoch: Epoch,
    /// Which round, from 0.
    pub round: u8,
    /// The proposals it is for, ascending; against all others.
    pub support: Vec<Candidate>,
    /// A draw for the round's coin.
    pub coin: VrfProof,
    /// Who.
    pub sender: NodeId,
    /// By the sender over all before it, for [`Domain::BeaconFirst`] in round 0 and [`Domain::BeaconFollowup`] later.
    pub signature: Signature,
}

impl BeaconMessage {
    /// The epoch in which it is said.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Proposal { epoch, .. } => *epoch,
            Self::Vote(vote) => vote.epoch,
        }
    }
}

impl BeaconVote {
    fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.epoch.encode_to(&mut out);
        self.round.encode_to(&mut out);
        put_list(&mut out, &self.support);
        self.coin.encode_to(&mut out);
        self.sender.encode_to(&mut out);
        out
    }

    fn domain(&self) -> Domain {
        if self.round == 0 { Domain::BeaconFirst } else { Domain::BeaconFollowup }
    }

    /// Signs; the sender becomes the signer.
    pub fn sign(&mut self, signer: &Signer) {
        self.sender = signer.node_id();
        self.signature = signer.sign(self.domain(), &self.signed_bytes());
    }

    /// Whether the proposals are in order and the signature is the sender's.
    #[must_use]
    pub fn is_sound(&self, verifier: &Verifier) -> bool {
        let message = &self.signed_bytes()[..];
        let signed = Signed { domain: self.domain(), signer: self.sender, message, signature: self.signature };
        self.support.windows(2).all(|pair| pair[0] < pair[1]) && verifier.holds(&signed)
    }
}

impl Scale for BeaconVote {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend(self.signed_bytes());
        self.signature.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: Epoch::decode_from(input)?,
            round: u8::decode_from(input)?,
            support: input.list(MAX_CANDIDATES)?,
            coin: VrfProof::decode_from(input)?,
            sender: NodeId::decode_from(input)?,
            signature: Signature::decode_from(input)?,
        })
    }
}

impl Scale for BeaconMessage {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Proposal { epoch, sender, proof } => {
                out.push(0);
                epoch.encode_to(out);
                sender.encode_to(out);
                proof.encode_to(out);
            }
            Self::Vote(vote) => {
                out.push(1);
                vote.encode_to(out);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.variant(2)? {
            0 => Self::Proposal {
                epoch: Epoch::decode_from(input)?,
                sender: NodeId::decode_from(input)?,
                proof: VrfProof::decode_from(input)?,
            },
            _ => Self::Vote(BeaconVote::decode_from(input)?),
        })
    }
}
