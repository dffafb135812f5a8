//! Ballots and blocks as they could be, without rights to be there.

use node::archive::{Archive, Memory, Write};
use node::ballot::{Ballot, Content, Proposal, Slot};
use node::block::{Block, Reward};
use node::codec::encode;
use node::ids::{Address, AtxId, BallotId, Beacon, Layer, NodeId, Opinion, Signature};
use node::transaction::Transaction;
use node::vrf::VrfProof;
use node::wire::Thing;

pub(crate) fn content(n: u8) -> Content {
    Content { atxs: vec![AtxId([n; 32])], ..Content::default() }
}

/// Ballot `n` of a layer, on top of `base`.
pub(crate) fn ballot(layer: u32, n: u8, base: Option<BallotId>) -> Ballot {
    Ballot {
        layer: Layer(layer),
        atx: AtxId([n; 32]),
        beacon: Beacon([1; 4]),
        total_weight: 1000,
        slots: vec![Slot { counter: 0, proof: VrfProof([n; 80]) }],
        base,
        differences: Vec::new(),
        opinion: Opinion([7; 32]),
        content: content(n).hash(),
        smesher: NodeId([n; 32]),
        signature: Signature([3; 64]),
    }
}

pub(crate) fn block(layer: u32, n: u8) -> Block {
    Block {
        layer: Layer(layer),
        height: 10,
        rewards: vec![Reward { coinbase: Address([n; 24]), weight: 65536 }],
        atxs: Vec::new(),
        revoked: Vec::new(),
        txs: Vec::new(),
    }
}

pub(crate) fn transaction(n: u8) -> Transaction {
    let (from, to) = (NodeId([n; 32]), Address([n; 24]));
    Transaction { from, to, amount: 5, fee: 1, nonce: n.into(), signature: Signature([n; 64]) }
}

pub(crate) fn proposal(layer: u32, n: u8) -> Proposal {
    Proposal { ballot: ballot(layer, n, None), content: content(n) }
}

/// Keeps a proposal; gives its name.
pub(crate) fn keep(archive: &mut Memory, layer: u32, n: u8, base: Option<BallotId>) -> BallotId {
    let ballot = ballot(layer, n, base);
    let (id, layer) = (ballot.id(), ballot.layer);
    archive.write(Write::Ballot { id, layer, bytes: encode(&ballot) });
    archive.write(Write::Content { id, layer, bytes: encode(&content(n)) });
    id
}

pub(crate) fn keep_block(archive: &mut Memory, layer: u32, n: u8) {
    let block = block(layer, n);
    archive.write(Write::Block { id: block.id(), layer: block.layer, bytes: encode(&block) });
}

/// Layers with ballots by `voters`, each on top of the last of the layer before, and a block by the first.
pub(crate) fn chain(archive: &mut Memory, layers: std::ops::Range<u32>, voters: std::ops::Range<u8>) {
    let mut base = layers.start.checked_sub(1).and_then(|before| archive.ballots(Layer(before)).unwrap().pop());
    for layer in layers {
        base = voters.clone().map(|n| keep(archive, layer, n, base)).last();
        keep_block(archive, layer, voters.start);
    }
}

/// Whether it is there.
pub(crate) fn has(archive: &Memory, thing: &Thing) -> bool {
    match thing {
        Thing::Ballot(id) => archive.ballot(*id).unwrap().is_some(),
        Thing::Proposal(id) => archive.content(*id).unwrap().is_some(),
        Thing::Block(id) => archive.block(*id).unwrap().is_some(),
        Thing::Transaction(id) => archive.transaction(*id).unwrap().is_some(),
    }
}
