//! The block of a layer: what the proposals that Hare agreed on come to (NODE.md section 6).
//!
//! Whoever has those proposals makes the same block, so nobody signs it.

use crate::codec::{DecodeError, Reader, Scale, encode, put_list};
use crate::ids::{Address, AtxId, BlockId, Layer, TxId};

/// Nobody is paid twice in a block, and no more are than there can be proposals in one.
pub const MAX_REWARDS: usize = 2350;
/// A block names at most so many ATXs, and as many that lost their weight.
pub const MAX_BLOCK_ATXS: usize = 16_384;
/// A block names at most so many transactions.
pub const MAX_BLOCK_TXS: usize = 16_384;

/// What a proposer is paid by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reward {
    /// Who is paid.
    pub coinbase: Address,
    /// Its part among all in the block: the weight of ballots, in 1/65536.
    pub weight: u64,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its layer.
    pub layer: Layer,
    /// The highest tick that the ATX of one of its proposers has reached.
    pub height: u64,
    /// Ascending by coinbase, each there once.
    pub rewards: Vec<Reward>,
    /// ATXs that count from here on, ascending.
    pub atxs: Vec<AtxId>,
    /// ATXs that lost their weight, ascending.
    pub revoked: Vec<AtxId>,
    /// Transactions, in the order in which they are applied.
    pub txs: Vec<TxId>,
}

impl Block {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> BlockId {
        let mut id = BlockId([0; 20]);
        id.0.copy_from_slice(&blake3::hash(&encode(self)).as_bytes()[..20]);
        id
    }
}

impl Scale for Reward {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.coinbase.encode_to(out);
        self.weight.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { coinbase: Address::decode_from(input)?, weight: u64::decode_from(input)? })
    }
}

impl Scale for Block {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.layer.encode_to(out);
        self.height.encode_to(out);
        put_list(out, &self.rewards);
        put_list(out, &self.atxs);
        put_list(out, &self.revoked);
        put_list(out, &self.txs);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            layer: Layer::decode_from(input)?,
            height: u64::decode_from(input)?,
            rewards: input.list(MAX_REWARDS)?,
            atxs: input.list(MAX_BLOCK_ATXS)?,
            revoked: input.list(MAX_BLOCK_ATXS)?,
            txs: input.list(MAX_BLOCK_TXS)?,
        })
    }
}
