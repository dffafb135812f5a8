//! Bytes of a fraud proof: a number for the kind of fraud, the culprit, the evidence.

use super::{Fraud, FraudProof, InvalidPost, Participation, SharedMarriage, Statement, Wedding};
use crate::atx::Atx;
use crate::codec::{DecodeError, Reader, Scale, put_option};
use crate::ids::NodeId;

const LAST_KIND: u64 = 4;

impl Scale for FraudProof {
    fn encode_to(&self, out: &mut Vec<u8>) {
        let kind: u8 = match self.fraud {
            Fraud::SameEpoch(_) => 0,
            Fraud::SamePrevious(_) => 1,
            Fraud::DoubleMarriage(_) => 2,
            Fraud::InvalidPost(_) => 3,
            Fraud::Contradiction(_) => 4,
        };
        kind.encode_to(out);
        self.culprit.encode_to(out);
        match &self.fraud {
            Fraud::SameEpoch(both) | Fraud::SamePrevious(both) => both.iter().for_each(|one| one.encode_to(out)),
            Fraud::DoubleMarriage(both) => both.iter().for_each(|one| one.encode_to(out)),
            Fraud::InvalidPost(post) => post.encode_to(out),
            Fraud::Contradiction(both) => both.iter().for_each(|one| one.encode_to(out)),
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = input.compact(LAST_KIND)?;
        let culprit = NodeId::decode_from(input)?;
        let fraud = match kind {
            0 => Fraud::SameEpoch(Box::new(pair(input)?)),
            1 => Fraud::SamePrevious(Box::new(pair(input)?)),
            2 => Fraud::DoubleMarriage(Box::new(pair(input)?)),
            3 => Fraud::InvalidPost(Box::new(InvalidPost::decode_from(input)?)),
            _ => Fraud::Contradiction(Box::new(pair::<Statement>(input)?)),
        };
        Ok(Self { culprit, fraud })
    }
}

fn pair<T: Scale>(input: &mut Reader<'_>) -> Result<[T; 2], DecodeError> {
    Ok([T::decode_from(input)?, T::decode_from(input)?])
}

impl Scale for Participation {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.atx.encode_to(out);
        put_option(out, self.marriage.as_ref());
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { atx: Atx::decode_from(input)?, marriage: input.option()? })
    }
}

impl Scale for SharedMarriage {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.marriage.encode_to(out);
        self.miner.encode_to(out);
        self.signer.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let marriage = Atx::decode_from(input)?;
        Ok(Self { marriage, miner: u32::decode_from(input)?, signer: u32::decode_from(input)? })
    }
}

impl Scale for Wedding {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.atx.encode_to(out);
        self.index.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { atx: Atx::decode_from(input)?, index: u32::decode_from(input)? })
    }
}

impl Scale for InvalidPost {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.atx.encode_to(out);
        put_option(out, self.post.as_ref());
        self.position.encode_to(out);
        self.miner.encode_to(out);
        put_option(out, self.marriage.as_ref());
        put_option(out, self.initial.as_ref());
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            atx: Atx::decode_from(input)?,
            post: input.option()?,
            position: u32::decode_from(input)?,
            miner: NodeId::decode_from(input)?,
            marriage: input.option()?,
            initial: input.option()?,
        })
    }
}
