//! What nodes ask each other, and what they answer (NODE.md section 7).
//!
//! A node asks, another answers from what it keeps: sets of ids are compared range by range ([`crate::reconcile`]), and
//! what is missing is fetched as ranges or by name. Everything is bounded: a request by [`MAX_REQUEST_BYTES`], an answer by
//! [`MAX_RESPONSE_BYTES`], each list by its own limit. Names of protocols contain the network's, so that nodes of two
//! networks never talk.

mod address;
mod range;
mod thing;

pub use address::{MAX_ADDRESSES, PeerAddress};
pub use range::{Key, MAX_DEPTH, Range, Set};
pub use thing::Thing;

use crate::codec::{DecodeError, Reader, Scale, put_bytes, put_list, put_option, scale_as_inner};
use crate::ids::{AtxId, BallotId, BlockId, Challenge, GenesisId, Layer, NodeId};

/// No request is longer.
pub const MAX_REQUEST_BYTES: usize = 16 << 10;
/// No answer is longer.
pub const MAX_RESPONSE_BYTES: usize = 2304 << 10;
/// An answer takes no more items once they have so many bytes; so the last one may be as long as any.
pub const PAGE_BYTES: usize = 512 << 10;
/// Nothing that is asked for is longer: a block may have so many bytes.
pub const MAX_ITEM_BYTES: usize = 1664 << 10;
/// At most so many items in an answer.
pub const MAX_ITEMS: usize = 4096;
/// At most so many ranges in a request.
pub const MAX_RANGES: usize = 256;
/// At most so many ids in a request by name.
pub const MAX_NAMES: usize = 256;
/// At most so many ids in an answer.
pub const MAX_IDS: usize = 4096;
/// At most so many layers are asked about at once.
pub const MAX_LAYERS: usize = 256;
/// At most so many ballots of a layer in an answer.
pub const MAX_LAYER_BALLOTS: usize = 4096;
/// At most so many blocks of a layer in an answer.
pub const MAX_LAYER_BLOCKS: usize = 256;

/// The name of the request protocol on a network.
#[must_use]
pub fn protocol(genesis: GenesisId) -> String {
    format!("/post/{genesis}/ask/1")
}

/// What a node asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Addresses of other nodes; the answer is [`Response::Peers`].
    Peers {
        /// Where the asker takes connections, on the address it is seen at; `None` if nowhere.
        port: Option<u16>,
    },
    /// How much lies in each range, and its fingerprint; the answer is [`Response::Ranges`].
    Ranges(Vec<Range>),
    /// The ids in each range; the answer is [`Response::Ids`].
    Ids(Vec<Range>),
    /// What lies in a range, in the order of ids; the answer is [`Response::Items`].
    Items {
        /// The range.
        range: Range,
        /// Only what lies after this id.
        after: Option<Key>,
        /// No more than so many.
        limit: u32,
    },
    /// ATXs by name; the answer is [`Response::Items`], in the order asked, without those the node does not have.
    Atxs(Vec<AtxId>),
    /// Fraud proofs by the miner's name, as for ATXs.
    Frauds(Vec<NodeId>),
    /// A PoET proof; the answer is [`Response::Items`] with one item or none.
    Poet(Challenge),
    /// What the node has of layers, as fingerprints; the answer is [`Response::Layers`].
    Layers {
        /// The first of them.
        first: Layer,
        /// How many, [`MAX_LAYERS`] at most.
        count: u32,
    },
    /// The names of a layer's ballots and blocks; the answer is [`Response::Layer`].
    Layer(Layer),
    /// Things of layers, of any kind; the answer is [`Response::Items`], as for ATXs.
    Things(Vec<Thing>),
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Nodes that take connections.
    Peers(Vec<PeerAddress>),
    /// As many as ranges were asked about, in their order.
    Ranges(Vec<Held>),
    /// The ids in the ranges, in the order of the ranges, those of a range ascending.
    Ids(Vec<Key>),
    /// Encodings of what was asked for.
    Items {
        /// They.
        items: Vec<Item>,
        /// Set when there is more: the id of the last item, or the last name that was looked up.
        last: Option<Key>,
    },
    /// What the node has of the layers asked about.
    Layers {
        /// The last layer that it has ballots of.
        last: Option<Layer>,
        /// Of each layer: see [`crate::reconcile::layer_fingerprint`].
        layers: Vec<Fingerprint>,
    },
    /// What the node has of a layer, both ascending.
    Layer {
        /// Its ballots.
        ballots: Vec<BallotId>,
        /// Its blocks.
        blocks: Vec<BlockId>,
    },
}

/// What a node has in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Too much to be counted for this request: ask for parts of it.
    Much,
    /// So much.
    Some {
        /// How many ids.
        count: u64,
        /// Of the ids; see [`crate::reconcile::fingerprint`].
        fingerprint: Fingerprint,
    },
}

/// The first half of a BLAKE3 hash over ascending ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

/// The encoding of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item(pub Vec<u8>);

scale_as_inner!(Fingerprint);

impl Scale for Request {
    fn encode_to(&self, out: &mut Vec<u8>) {
        let tag = |out: &mut Vec<u8>, tag: u8| tag.encode_to(out);
        match self {
            Self::Peers { port } => {
                tag(out, 0);
                put_option(out, port.as_ref());
            }
            Self::Ranges(ranges) => {
                tag(out, 1);
                put_list(out, ranges);
            }
            Self::Ids(ranges) => {
                tag(out, 2);
                put_list(out, ranges);
            }
            Self::Items { range, after, limit } => {
                tag(out, 3);
                range.encode_to(out);
                put_option(out, after.as_ref());
                limit.encode_to(out);
            }
            Self::Atxs(ids) => {
                tag(out, 4);
                put_list(out, ids);
            }
            Self::Frauds(ids) => {
                tag(out, 5);
                put_list(out, ids);
            }
            Self::Poet(id) => {
                tag(out, 6);
                id.encode_to(out);
            }
            Self::Layers { first, count } => {
                tag(out, 7);
                first.encode_to(out);
                count.encode_to(out);
            }
            Self::Layer(layer) => {
                tag(out, 8);
                layer.encode_to(out);
            }
            Self::Things(things) => {
                tag(out, 9);
                put_list(out, things);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.compact(9)? {
            0 => Self::Peers { port: input.option()? },
            1 => Self::Ranges(input.list(MAX_RANGES)?),
            2 => Self::Ids(input.list(MAX_RANGES)?),
            3 => Self::Items {
                range: Range::decode_from(input)?,
                after: input.option()?,
                limit: u32::decode_from(input)?,
            },
            4 => Self::Atxs(input.list(MAX_NAMES)?),
            5 => Self::Frauds(input.list(MAX_NAMES)?),
            6 => Self::Poet(Challenge::decode_from(input)?),
            7 => Self::Layers {
                first: Layer::decode_from(input)?,
                // No more than 256.
                count: input.compact(MAX_LAYERS as u64)? as u32,
            },
            8 => Self::Layer(Layer::decode_from(input)?),
            _ => Self::Things(input.list(MAX_NAMES)?),
        })
    }
}

impl Scale for Response {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Peers(addresses) => {
                0u8.encode_to(out);
                put_list(out, addresses);
            }
            Self::Ranges(held) => {
                1u8.encode_to(out);
                put_list(out, held);
            }
            Self::Ids(ids) => {
                2u8.encode_to(out);
                put_list(out, ids);
            }
            Self::Items { items, last } => {
                3u8.encode_to(out);
                put_list(out, items);
                put_option(out, last.as_ref());
            }
            Self::Layers { last, layers } => {
                4u8.encode_to(out);
                put_option(out, last.as_ref());
                put_list(out, layers);
            }
            Self::Layer { ballots, blocks } => {
                5u8.encode_to(out);
                put_list(out, ballots);
                put_list(out, blocks);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.compact(5)? {
            0 => Self::Peers(input.list(MAX_ADDRESSES)?),
            1 => Self::Ranges(input.list(MAX_RANGES)?),
            2 => Self::Ids(input.list(MAX_IDS)?),
            3 => Self::Items { items: input.list(MAX_ITEMS)?, last: input.option()? },
            4 => Self::Layers { last: input.option()?, layers: input.list(MAX_LAYERS)? },
            _ => Self::Layer { ballots: input.list(MAX_LAYER_BALLOTS)?, blocks: input.list(MAX_LAYER_BLOCKS)? },
        })
    }
}

impl Scale for Held {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Much => 0u8.encode_to(out),
            Self::Some { count, fingerprint } => {
                1u8.encode_to(out);
                count.encode_to(out);
                fingerprint.encode_to(out);
            }
        }
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.compact(1)? {
            0 => Self::Much,
            _ => Self::Some { count: u64::decode_from(input)?, fingerprint: Fingerprint::decode_from(input)? },
        })
    }
}

impl Scale for Item {
    fn encode_to(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.0);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.bytes(MAX_ITEM_BYTES).map(Self)
    }
}

#[cfg(test)]
mod tests;
