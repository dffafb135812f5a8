//! What the archive answers about layers.

use node::archive::{Archive, Memory, Write};
use node::codec::{decode, encode};
use node::ids::{BallotId, BlockId, Layer, TxId};
use node::reconcile::{answer, empty_layer, layer_fingerprint};
use node::wire::{Item, PAGE_BYTES, Request, Response, Thing};

use crate::things::{chain, keep, keep_block, proposal, transaction};

fn layers(archive: &Memory, first: u32, count: u32) -> (Option<Layer>, Vec<bool>) {
    match answer(archive, &Request::Layers { first: Layer(first), count }).unwrap() {
        Response::Layers { last, layers } => (last, layers.iter().map(|print| *print == empty_layer()).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn layers_and_their_names() {
    let mut archive = Memory::default();
    assert_eq!(layers(&archive, 0, 2), (None, vec![true, true]));
    chain(&mut archive, 3..5, 0..7);
    keep_block(&mut archive, 9, 1);
    assert_eq!(layers(&archive, 2, 4), (Some(Layer(4)), vec![true, false, false, true]));
    assert_eq!(layers(&archive, 9, 1).1, [false]);
    // No more than there can be, and none after the last number.
    assert_eq!(layers(&archive, 0, 1000).1.len(), 256);
    assert_eq!(layers(&archive, u32::MAX, 9).1.len(), 1);
    assert_eq!(layers(&archive, 0, 0).1.len(), 0);
    let Response::Layer { ballots, blocks } = answer(&archive, &Request::Layer(Layer(4))).unwrap() else { panic!() };
    assert_eq!((ballots.len(), blocks.len()), (7, 1));
    assert!(ballots.is_sorted());
}

/// Two layers have one fingerprint when they hold the same, and only then.
#[test]
fn fingerprints_tell_layers_apart() {
    let print = |archive: &Memory| layer_fingerprint(archive, Layer(1)).unwrap();
    let (mut one, mut other) = (Memory::default(), Memory::default());
    for n in 0..5 {
        keep(&mut one, 1, n, None);
        keep(&mut other, 1, 4 - n, None);
    }
    assert_eq!(print(&one), print(&other));
    keep(&mut one, 2, 9, None);
    assert_eq!(print(&one), print(&other));
    keep_block(&mut one, 1, 0);
    assert_ne!(print(&one), print(&other));
    // A block is no ballot, even under the same name.
    let (mut one, mut other) = (Memory::default(), Memory::default());
    one.write(Write::Ballot { id: BallotId([1; 20]), layer: Layer(1), bytes: vec![] });
    other.write(Write::Block { id: BlockId([1; 20]), layer: Layer(1), bytes: vec![] });
    assert_ne!(print(&one), print(&other));
    assert_eq!(print(&Memory::default()), empty_layer());
}

#[test]
fn things_by_name() {
    let mut archive = Memory::default();
    let id = keep(&mut archive, 3, 1, None);
    keep_block(&mut archive, 3, 1);
    let block = archive.blocks(Layer(3)).unwrap()[0];
    let tx = transaction(1);
    archive.write(Write::Transaction { id: tx.id(), bytes: encode(&tx) });
    let ask = |archive: &Memory, things: &[Thing]| match answer(archive, &Request::Things(things.to_vec())).unwrap() {
        Response::Items { items, last } => (items, last),
        other => panic!("{other:?}"),
    };
    let all = [Thing::Transaction(tx.id()), Thing::Ballot(id), Thing::Block(block), Thing::Proposal(id)];
    let (items, last) = ask(&archive, &all);
    assert_eq!(last, None);
    for (Item(bytes), thing) in items.iter().zip(&all) {
        assert_eq!(thing.like(bytes).unwrap(), Some(*thing));
    }
    assert_eq!(decode(&items[3].0), Ok(proposal(3, 1)));
    // Without what isn't there; a proposal is there as long as its content is.
    archive.write(Write::Forget { before: Layer(4) });
    let absent = [Thing::Transaction(TxId([0; 32])), Thing::Block(BlockId([0; 20])), Thing::Proposal(id)];
    assert_eq!(ask(&archive, &[&absent[..], &all[1..2]].concat()).0, items[1..2]);
    // Pages.
    let names: Vec<Thing> = (0..9)
        .map(|n| {
            let id = BlockId([n; 20]);
            archive.write(Write::Block { id, layer: Layer(1), bytes: vec![n; PAGE_BYTES / 4] });
            Thing::Block(id)
        })
        .collect();
    let (items, last) = ask(&archive, &names);
    assert_eq!((items.len(), last), (4, Some(names[3].key())));
    assert_eq!(ask(&archive, &names[8..]).1, None);
}
