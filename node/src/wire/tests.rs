use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::codec::{Fault, decode, encode};
use crate::ids::{Epoch, TxId};
use crate::source::Peer;

fn set() -> impl Strategy<Value = Set> {
    prop_oneof![Just(Set::Frauds), any::<u32>().prop_map(|epoch| Set::Atxs(Epoch(epoch)))]
}

fn range() -> impl Strategy<Value = Range> {
    (set(), any::<Key>(), 0..=64usize).prop_map(|(set, key, depth)| {
        (0..depth).fold(Range::all(set), |range, _| range.parts().into_iter().find(|part| part.contains(&key)).unwrap())
    })
}

fn request() -> impl Strategy<Value = Request> {
    let names = || prop::collection::vec(any::<Key>(), 0..10);
    prop_oneof![
        any::<Option<u16>>().prop_map(|port| Request::Peers { port }),
        prop::collection::vec(range(), 0..10).prop_map(Request::Ranges),
        prop::collection::vec(range(), 0..10).prop_map(Request::Ids),
        (range(), any::<Option<Key>>(), any::<u32>()).prop_map(|(range, after, limit)| Request::Items {
            range,
            after,
            limit
        }),
        names().prop_map(|names| Request::Atxs(names.into_iter().map(AtxId).collect())),
        names().prop_map(|names| Request::Frauds(names.into_iter().map(NodeId).collect())),
        any::<Key>().prop_map(|key| Request::Poet(Challenge(key))),
        (any::<u32>(), 0..=256u32).prop_map(|(first, count)| Request::Layers { first: Layer(first), count }),
        any::<u32>().prop_map(|layer| Request::Layer(Layer(layer))),
        prop::collection::vec(thing(), 0..10).prop_map(Request::Things),
    ]
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        any::<[u8; 20]>().prop_map(|id| Thing::Ballot(BallotId(id))),
        any::<[u8; 20]>().prop_map(|id| Thing::Proposal(BallotId(id))),
        any::<[u8; 20]>().prop_map(|id| Thing::Block(BlockId(id))),
        any::<Key>().prop_map(|id| Thing::Transaction(TxId(id))),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let address = (any::<Key>(), any::<std::net::IpAddr>(), any::<u16>())
        .prop_map(|(peer, ip, port)| PeerAddress { peer: Peer(peer), address: SocketAddr::new(ip, port) });
    let held = prop_oneof![
        Just(Held::Much),
        (any::<u64>(), any::<[u8; 16]>())
            .prop_map(|(count, bytes)| Held::Some { count, fingerprint: Fingerprint(bytes) }),
    ];
    let item = prop::collection::vec(any::<u8>(), 0..100).prop_map(Item);
    prop_oneof![
        prop::collection::vec(address, 0..10).prop_map(Response::Peers),
        prop::collection::vec(held, 0..10).prop_map(Response::Ranges),
        prop::collection::vec(any::<Key>(), 0..10).prop_map(Response::Ids),
        (prop::collection::vec(item, 0..10), any::<Option<Key>>())
            .prop_map(|(items, last)| Response::Items { items, last }),
        (any::<Option<u32>>(), prop::collection::vec(any::<[u8; 16]>(), 0..10)).prop_map(|(last, layers)| {
            Response::Layers { last: last.map(Layer), layers: layers.into_iter().map(Fingerprint).collect() }
        }),
        (prop::collection::vec(any::<[u8; 20]>(), 0..10), prop::collection::vec(any::<[u8; 20]>(), 0..10)).prop_map(
            |(ballots, blocks)| Response::Layer {
                ballots: ballots.into_iter().map(BallotId).collect(),
                blocks: blocks.into_iter().map(BlockId).collect(),
            }
        ),
    ]
}

proptest! {
    #[test]
    fn requests_come_back(request in request()) {
        let bytes = encode(&request);
        prop_assert_eq!(decode::<Request>(&bytes).unwrap(), request);
    }

    #[test]
    fn responses_come_back(response in response()) {
        let bytes = encode(&response);
        prop_assert_eq!(decode::<Response>(&bytes).unwrap(), response);
    }

    /// What decodes at all has no second encoding.
    #[test]
    fn garbage_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), first in 0u8..11) {
        let bytes = [&[first << 2], &bytes[..]].concat();
        if let Ok(request) = decode::<Request>(&bytes) {
            prop_assert_eq!(encode(&request), bytes.clone());
        }
        if let Ok(response) = decode::<Response>(&bytes) {
            prop_assert_eq!(encode(&response), bytes);
        }
    }

    /// Parts are disjoint and make up the whole.
    #[test]
    fn parts_cover_a_range(range in range(), key in any::<Key>()) {
        let parts = range.parts();
        prop_assert_eq!(parts.len(), if range.depth() == MAX_DEPTH { 0 } else { 16 });
        if let (Some(first), Some(last)) = (parts.first(), parts.last()) {
            prop_assert_eq!((first.first(), last.last()), (range.first(), range.last()));
            let homes = parts.iter().filter(|part| part.contains(&key)).count();
            prop_assert_eq!(homes, usize::from(range.contains(&key)));
        }
        for pair in parts.windows(2) {
            prop_assert!(pair[0].last() < pair[1].first());
        }
    }
}

#[test]
fn limits() {
    fn fault<T: Scale + std::fmt::Debug>(value: &impl Scale) -> Fault {
        decode::<T>(&encode(value)).unwrap_err().what
    }
    let range = Range::all(Set::Frauds);
    let too_long = |what: Fault, max: usize| assert_eq!(what, Fault::TooLong { len: max as u64 + 1, max });
    too_long(fault::<Request>(&Request::Ranges(vec![range; MAX_RANGES + 1])), MAX_RANGES);
    too_long(fault::<Request>(&Request::Ids(vec![range; MAX_RANGES + 1])), MAX_RANGES);
    too_long(fault::<Request>(&Request::Atxs(vec![AtxId([0; 32]); MAX_NAMES + 1])), MAX_NAMES);
    too_long(fault::<Request>(&Request::Frauds(vec![NodeId([0; 32]); MAX_NAMES + 1])), MAX_NAMES);
    too_long(fault::<Response>(&Response::Ids(vec![[0; 32]; MAX_IDS + 1])), MAX_IDS);
    too_long(fault::<Response>(&Response::Ranges(vec![Held::Much; MAX_RANGES + 1])), MAX_RANGES);
    let items = |items| Response::Items { items, last: None };
    too_long(fault::<Response>(&items(vec![Item(vec![]); MAX_ITEMS + 1])), MAX_ITEMS);
    too_long(fault::<Response>(&items(vec![Item(vec![0; MAX_ITEM_BYTES + 1])])), MAX_ITEM_BYTES);
    too_long(fault::<Request>(&Request::Things(vec![Thing::Ballot(BallotId([0; 20])); MAX_NAMES + 1])), MAX_NAMES);
    let count = MAX_LAYERS as u32 + 1;
    assert_eq!(
        fault::<Request>(&Request::Layers { first: Layer(0), count }),
        Fault::TooLarge { max: MAX_LAYERS as u64 }
    );
    let layers = vec![Fingerprint([0; 16]); MAX_LAYERS + 1];
    too_long(fault::<Response>(&Response::Layers { last: None, layers }), MAX_LAYERS);
    let layer = |ballots, blocks| Response::Layer {
        ballots: vec![BallotId([0; 20]); ballots],
        blocks: vec![BlockId([0; 20]); blocks],
    };
    too_long(fault::<Response>(&layer(MAX_LAYER_BALLOTS + 1, 0)), MAX_LAYER_BALLOTS);
    too_long(fault::<Response>(&layer(0, MAX_LAYER_BLOCKS + 1)), MAX_LAYER_BLOCKS);
    // A range deeper than keys are long, and a digit that is none.
    assert_eq!(decode::<Range>(&[0, 65 << 2 | 1, 1]).unwrap_err().what, Fault::TooLarge { max: 64 });
    assert_eq!(decode::<Range>(&[0, 1 << 2, 16 << 2]).unwrap_err().what, Fault::TooLarge { max: 15 });
}

/// The largest of each kind that is sent fits.
#[test]
fn what_is_sent_fits() {
    let mut deepest = Range::all(Set::Atxs(Epoch(u32::MAX)));
    while let Some(part) = deepest.parts().pop() {
        deepest = part;
    }
    for request in [
        Request::Ranges(vec![deepest; MAX_RANGES]),
        Request::Ids(vec![deepest; MAX_RANGES]),
        Request::Atxs(vec![AtxId([1; 32]); MAX_NAMES]),
        Request::Frauds(vec![NodeId([1; 32]); MAX_NAMES]),
        Request::Things(vec![Thing::Transaction(TxId([1; 32])); MAX_NAMES]),
    ] {
        assert!(encode(&request).len() <= MAX_REQUEST_BYTES);
    }
    const { assert!(MAX_ITEM_BYTES >= crate::fraud::MAX_FRAUD_BYTES && MAX_ITEM_BYTES >= crate::atx::MAX_ATX_BYTES) };
    let full = Response::Items {
        items: [vec![Item(vec![0; 128]); MAX_ITEMS - 1], vec![Item(vec![0; MAX_ITEM_BYTES])]].concat(),
        last: Some([0; 32]),
    };
    assert!(encode(&full).len() <= MAX_RESPONSE_BYTES);
}

/// The largest things of layers that decode.
#[test]
fn the_largest_items_fit() {
    use crate::ballot::{
        Ballot, Content, LayerVote, MAX_CONTENT_ATXS, MAX_CONTENT_TXS, MAX_DIFFERENCES, MAX_SLOTS, Proposal, Slot, Vote,
    };
    use crate::block::{Block, MAX_BLOCK_ATXS, MAX_BLOCK_TXS, MAX_REWARDS, Reward};
    use crate::ids::{Address, Beacon, Opinion, Signature};
    let (layer, atx, tx) = (Layer(u32::MAX), AtxId([1; 32]), TxId([1; 32]));
    let vote = Vote::Block { id: BlockId([1; 20]), height: u64::MAX };
    let ballot = Ballot {
        layer,
        atx,
        beacon: Beacon([1; 4]),
        total_weight: u64::MAX,
        slots: vec![Slot { counter: u32::MAX, proof: crate::vrf::VrfProof([1; 80]) }; MAX_SLOTS],
        base: Some(BallotId([1; 20])),
        differences: vec![LayerVote { layer, vote }; MAX_DIFFERENCES],
        opinion: Opinion([1; 32]),
        content: [1; 32],
        smesher: NodeId([1; 32]),
        signature: Signature([1; 64]),
    };
    let content = Content {
        atxs: vec![atx; MAX_CONTENT_ATXS],
        revoked: vec![atx; MAX_CONTENT_ATXS],
        txs: vec![tx; MAX_CONTENT_TXS],
    };
    let proposal = encode(&Proposal { ballot, content });
    // A page of proposals takes several of them; no more is taken from gossip.
    assert!(proposal.len() < PAGE_BYTES / 2, "{}", proposal.len());
    let block = Block {
        layer,
        height: u64::MAX,
        rewards: vec![Reward { coinbase: Address([1; 24]), weight: u64::MAX }; MAX_REWARDS],
        atxs: vec![atx; MAX_BLOCK_ATXS],
        revoked: vec![atx; MAX_BLOCK_ATXS],
        txs: vec![tx; MAX_BLOCK_TXS],
    };
    let bytes = encode(&block);
    assert!(bytes.len() <= MAX_ITEM_BYTES, "{}", bytes.len());
    assert_eq!(decode::<Block>(&bytes).unwrap(), block);
}
