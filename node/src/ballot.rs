//! Ballots and proposals (NODE.md section 6): a miner that is drawn for a layer says in one message what it thinks of all
//! layers before, and what should be in the layer's block.
//!
//! A proposal is a ballot with the content that it names by its hash, so one id and one signature are enough for both.

use crate::codec::{DecodeError, Reader, Scale, encode, put_list, put_option};
use crate::ids::{AtxId, BallotId, Beacon, BlockId, Layer, NodeId, Opinion, Signature, TxId};
use crate::signature::{Domain, Signed, Signer, Verifier};
use crate::vrf::VrfProof;

/// A ballot differs from its base in at most so many layers.
pub const MAX_DIFFERENCES: usize = 1000;
/// A ballot has at most so many slots of its layer.
pub const MAX_SLOTS: usize = 1024;
/// A proposal names at most so many ATXs, and as many that lost their weight.
pub const MAX_CONTENT_ATXS: usize = 512;
/// A proposal names at most so many transactions.
pub const MAX_CONTENT_TXS: usize = 512;

/// What a ballot says of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vote {
    /// It can't be said yet.
    Abstain,
    /// There is no block in it: against all of them.
    Empty,
    /// This one is its block.
    Block {
        /// Which.
        id: BlockId,
        /// Its height.
        height: u64,
    },
}

/// A vote with its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerVote {
    /// The layer.
    pub layer: Layer,
    /// What is said of it.
    pub vote: Vote,
}

/// A slot of the layer that the smesher drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Which of its slots of the epoch.
    pub counter: u32,
    /// Its draw.
    pub proof: VrfProof,
}

/// A vote on all layers before its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Its layer.
    pub layer: Layer,
    /// The smesher's ATX of the epoch before.
    pub atx: AtxId,
    /// The epoch's beacon as the smesher knows it.
    pub beacon: Beacon,
    /// The weight of the epoch's active set as the smesher knows it: it says how many slots there are.
    pub total_weight: u64,
    /// Ascending by counter, at least one.
    pub slots: Vec<Slot>,
    /// It votes as this ballot does; `None`: as one that knows no layer.
    pub base: Option<BallotId>,
    /// Where it does not, ascending by layer. Of a layer that is neither here nor known to the base it says that it is empty.
    pub differences: Vec<LayerVote>,
    /// What it all comes to.
    pub opinion: Opinion,
    /// The hash of the [`Content`].
    pub content: [u8; 32],
    /// Who votes.
    pub smesher: NodeId,
    /// By the smesher over all before it, for [`Domain::Ballot`].
    pub signature: Signature,
}

/// What a proposer wants in the layer's block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// ATXs that give weight in this epoch and that no block names yet, ascending.
    pub atxs: Vec<AtxId>,
    /// ATXs named in blocks that have lost their weight since, ascending.
    pub revoked: Vec<AtxId>,
    /// Transactions, in any order.
    pub txs: Vec<TxId>,
}

/// A ballot and what it wants in the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The ballot.
    pub ballot: Ballot,
    /// What its `content` is the hash of.
    pub content: Content,
}

/// Why a ballot or a proposal is none, whatever else there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BallotError {
    /// No slot, or not in order.
    #[error("the slots of a ballot must be at least one, and ascend")]
    Slots,
    /// Differences that are not in order, or of layers that are not before its own.
    #[error("the differences of a ballot must ascend and be of earlier layers")]
    Differences,
    /// The content is another one than the ballot names.
    #[error("the content is not the one that the ballot names")]
    Content,
    /// Lists of ATXs that are not in order.
    #[error("the ATXs of a content must ascend")]
    Order,
    /// Not signed by the smesher.
    #[error("the signature is not the smesher's")]
    Signature,
}

impl Content {
    /// What a ballot names it by.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        blake3::hash(&encode(self)).into()
    }
}

impl Ballot {
    fn unsigned(&self, out: &mut Vec<u8>) {
        self.layer.encode_to(out);
        self.atx.encode_to(out);
        self.beacon.encode_to(out);
        self.total_weight.encode_to(out);
        put_list(out, &self.slots);
        put_option(out, self.base.as_ref());
        put_list(out, &self.differences);
        self.opinion.encode_to(out);
        self.content.encode_to(out);
        self.smesher.encode_to(out);
    }

    /// All but the signature.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.unsigned(&mut out);
        out
    }

    /// Its name: of all but the signature.
    #[must_use]
    pub fn id(&self) -> BallotId {
        let mut id = BallotId([0; 20]);
        id.0.copy_from_slice(&blake3::hash(&self.signed_bytes()).as_bytes()[..20]);
        id
    }

    /// Signs; the smesher becomes the signer.
    pub fn sign(&mut self, signer: &Signer) {
        self.smesher = signer.node_id();
        self.signature = signer.sign(Domain::Ballot, &self.signed_bytes());
    }

    /// The rules that need nothing else, and the signature.
    ///
    /// # Errors
    /// [`BallotError`].
    pub fn check(&self, verifier: &Verifier) -> Result<(), BallotError> {
        if self.slots.is_empty() || self.slots.windows(2).any(|pair| pair[0].counter >= pair[1].counter) {
            return Err(BallotError::Slots);
        }
        let in_order = self.differences.windows(2).all(|pair| pair[0].layer < pair[1].layer);
        if !in_order || self.differences.last().is_some_and(|last| last.layer >= self.layer) {
            return Err(BallotError::Differences);
        }
        let message = &self.signed_bytes()[..];
        let signed = Signed { domain: Domain::Ballot, signer: self.smesher, message, signature: self.signature };
        if verifier.holds(&signed) { Ok(()) } else { Err(BallotError::Signature) }
    }
}

impl Proposal {
    /// Whether the content is in order, and the one that the ballot names.
    ///
    /// # Errors
    /// [`BallotError`].
    pub fn check_content(&self) -> Result<(), BallotError> {
        let ascend = |ids: &[AtxId]| ids.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascend(&self.content.atxs) || !ascend(&self.content.revoked) {
            return Err(BallotError::Order);
        }
        if self.content.hash() != self.ballot.content {
            return Err(BallotError::Content);
        }
        Ok(())
    }

    /// The rules that need nothing else, and the signature.
    ///
    /// # Errors
    /// [`BallotError`].
    pub fn check(&self, verifier: &Verifier) -> Result<(), BallotError> {
        self.check_content()?;
        self.ballot.check(verifier)
    }
}

impl Scale for Vote {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Abstain => out.push(0),
            Self::Empty => out.push(1),
            Self::Block { id, height } => {
                out.push(2);
                id.encode_to(out);
                height.encode_to(out);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.variant(3)? {
            0 => Self::Abstain,
            1 => Self::Empty,
            _ => Self::Block { id: BlockId::decode_from(input)?, height: u64::decode_from(input)? },
        })
    }
}

impl Scale for LayerVote {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.layer.encode_to(out);
        self.vote.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { layer: Layer::decode_from(input)?, vote: Vote::decode_from(input)? })
    }
}

impl Scale for Slot {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.counter.encode_to(out);
        self.proof.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { counter: u32::decode_from(input)?, proof: VrfProof::decode_from(input)? })
    }
}

impl Scale for Ballot {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.unsigned(out);
        self.signature.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            layer: Layer::decode_from(input)?,
            atx: AtxId::decode_from(input)?,
            beacon: Beacon::decode_from(input)?,
            total_weight: u64::decode_from(input)?,
            slots: input.list(MAX_SLOTS)?,
            base: input.option()?,
            differences: input.list(MAX_DIFFERENCES)?,
            opinion: Opinion::decode_from(input)?,
            content: input.array()?,
            smesher: NodeId::decode_from(input)?,
            signature: Signature::decode_from(input)?,
        })
    }
}

impl Scale for Content {
    fn encode_to(&self, out: &mut Vec<u8>) {
        put_list(out, &self.atxs);
        put_list(out, &self.revoked);
        put_list(out, &self.txs);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            atxs: input.list(MAX_CONTENT_ATXS)?,
            revoked: input.list(MAX_CONTENT_ATXS)?,
            txs: input.list(MAX_CONTENT_TXS)?,
        })
    }
}

impl Scale for Proposal {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.ballot.encode_to(out);
        self.content.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { ballot: Ballot::decode_from(input)?, content: Content::decode_from(input)? })
    }
}
