//! Things of layers, by name.

use crate::ballot::{Ballot, Proposal};
use crate::block::Block;
use crate::codec::{DecodeError, Reader, Scale, decode};
use crate::ids::{BallotId, BlockId, TxId};
use crate::transaction::Transaction;
use crate::wire::Key;

/// Something of a layer that a node may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// A [`Ballot`].
    Ballot(BallotId),
    /// A [`Proposal`]: the ballot of this name and its content, while that is kept.
    Proposal(BallotId),
    /// A [`Block`].
    Block(BlockId),
    /// A [`Transaction`].
    Transaction(TxId),
}

impl Thing {
    /// The name as a key; short ones end with zeros.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Ballot(BallotId(id)) | Self::Proposal(BallotId(id)) | Self::Block(BlockId(id)) => {
                let mut key = [0; 32];
                key[..20].copy_from_slice(id);
                key
            }
            Self::Transaction(id) => id.0,
        }
    }

    /// What `bytes` are when they are of this one's kind; nothing else is checked but a proposal's content.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn like(&self, bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(match self {
            Self::Ballot(_) => Some(Self::Ballot(decode::<Ballot>(bytes)?.id())),
            Self::Proposal(_) => {
                let Proposal { ballot, content } = decode(bytes)?;
                (content.hash() == ballot.content).then(|| Self::Proposal(ballot.id()))
            }
            Self::Block(_) => Some(Self::Block(decode::<Block>(bytes)?.id())),
            Self::Transaction(_) => Some(Self::Transaction(decode::<Transaction>(bytes)?.id())),
        })
    }
}

impl Scale for Thing {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ballot(id) => {
                out.push(0);
                id.encode_to(out);
            }
            Self::Proposal(id) => {
                out.push(1);
                id.encode_to(out);
            }
            Self::Block(id) => {
                out.push(2);
                id.encode_to(out);
            }
            Self::Transaction(id) => {
                out.push(3);
                id.encode_to(out);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.variant(4)? {
            0 => Self::Ballot(BallotId::decode_from(input)?),
            1 => Self::Proposal(BallotId::decode_from(input)?),
            2 => Self::Block(BlockId::decode_from(input)?),
            _ => Self::Transaction(TxId::decode_from(input)?),
        })
    }
}
