//! Peers that lie cost a bounded time, are punished, and keep nobody from what honest ones have.

use std::cell::Cell;
use std::rc::Rc;

use node::archive::Memory;
use node::codec::{decode, encode};
use node::ids::{BallotId, BlockId, Layer, Signature};
use node::layers::Lie;
use node::wire::{Fingerprint, Item, Request, Response, Thing};

use crate::things::{ballot, chain};
use crate::world::{Manner, World, honest, liar, peer};

fn network() -> Memory {
    let mut archive = Memory::default();
    chain(&mut archive, 0..60, 0..20);
    archive
}

/// The node first meets liars of this manner, then an honest one; it gets everything. What the liars were punished for.
fn against(manner: impl Fn() -> Manner) -> (Vec<Lie>, World) {
    let all = network();
    let mut world = World::new(60);
    for i in 1..4 {
        world.serve(i, all.clone(), manner());
    }
    // Asked last.
    world.serve(200, all.clone(), honest());
    assert!(world.run(400_000, |world| world.has_all_of(&all)));
    assert!(world.run(400_000, |world| world.layers.is_synced()));
    assert!(world.punished.iter().all(|(who, _)| *who != peer(200)));
    let asked: usize = (1..4).map(|i| world.servers[&peer(i)].asked).sum();
    eprintln!("liars were asked {asked} times");
    assert!(asked < 2000, "{asked}");
    (world.punished.iter().map(|(_, why)| *why).collect(), world)
}

#[test]
fn another_kind_of_answer() {
    let (lies, _) = against(|| liar(|_, _| Response::Peers(vec![])));
    assert!(lies.len() >= 3 && lies.iter().all(|lie| *lie == Lie::Kind), "{lies:?}");
    let (lies, _) = against(|| {
        liar(|request, response| match request {
            Request::Layer(_) => Response::Items { items: vec![], last: None },
            _ => response,
        })
    });
    assert!(lies.len() >= 3 && lies.iter().all(|lie| *lie == Lie::Kind), "{lies:?}");
}

#[test]
fn fingerprints_that_are_none() {
    let change = |change: fn(&mut Option<Layer>, &mut Vec<Fingerprint>)| {
        let (lies, _) = against(|| {
            liar(move |_, response| match response {
                Response::Layers { mut last, mut layers } => {
                    change(&mut last, &mut layers);
                    Response::Layers { last, layers }
                }
                other => other,
            })
        });
        lies
    };
    let lies = change(|_, layers| layers.truncate(1));
    assert!(lies.iter().all(|lie| matches!(lie, Lie::Layers { got: 1, .. })) && !lies.is_empty(), "{lies:?}");
    let lies = change(|last, layers| {
        *last = Some(Layer(59));
        layers.fill(node::reconcile::empty_layer());
    });
    assert!(lies.iter().all(|lie| *lie == Lie::Empty(Layer(59))) && !lies.is_empty(), "{lies:?}");
    // Wrong ones cost a list each; a last layer far ahead shows nothing.
    let lies = change(|last, layers| {
        *last = Some(Layer(u32::MAX));
        layers.iter_mut().for_each(|print| print.0[0] ^= 1);
    });
    // Layers that have nothing are said to differ.
    assert!(lies.iter().all(|lie| matches!(lie, Lie::Empty(_))), "{lies:?}");
}

/// New names in each list, of things that aren't there.
#[test]
fn names_without_end() {
    let (lies, _) = against(|| {
        let mut n = 0u32;
        liar(move |request, response| match (request, response) {
            (Request::Layer(_), Response::Layer { .. }) => {
                let name = |n: u32| {
                    let mut id = [0xee; 20];
                    id[..4].copy_from_slice(&n.to_be_bytes());
                    id
                };
                n += 10_000;
                Response::Layer {
                    ballots: (n..n + 4096).map(|n| BallotId(name(n))).collect(),
                    blocks: (n..n + 256).map(|n| BlockId(name(n))).collect(),
                }
            }
            (_, response) => response,
        })
    });
    assert!(lies.iter().all(|lie| matches!(lie, Lie::Withheld { missing: 256 })) && lies.len() >= 3, "{lies:?}");
}

#[test]
fn names_out_of_order() {
    for change in [(|ids| ids.reverse()) as fn(&mut Vec<BallotId>), |ids| ids.insert(1, ids[0])] {
        let (lies, _) = against(|| {
            liar(move |_, response| match response {
                Response::Layer { mut ballots, blocks } => {
                    change(&mut ballots);
                    Response::Layer { ballots, blocks }
                }
                other => other,
            })
        });
        assert!(lies.iter().all(|lie| *lie == Lie::Order) && lies.len() >= 3, "{lies:?}");
    }
    let (lies, _) = against(|| {
        liar(|_, response| match response {
            Response::Layer { .. } => Response::Layer { ballots: vec![], blocks: vec![] },
            other => other,
        })
    });
    assert!(lies.iter().all(|lie| matches!(lie, Lie::Empty(_))) && lies.len() >= 3, "{lies:?}");
}

#[test]
fn items_that_were_not_asked_for() {
    let change = |change: fn(&mut Vec<Item>, &mut Option<[u8; 32]>)| {
        let (lies, _) = against(|| {
            liar(move |_, response| match response {
                Response::Items { mut items, mut last } if items.len() > 1 => {
                    change(&mut items, &mut last);
                    Response::Items { items, last }
                }
                other => other,
            })
        });
        assert!(lies.len() >= 3, "{lies:?}");
        lies
    };
    let lies = change(|items, _| items[0] = Item(encode(&ballot(1, 200, None))));
    assert!(lies.iter().all(|lie| *lie == Lie::Outside), "{lies:?}");
    let lies = change(|items, _| items[0] = Item(vec![7; 60]));
    assert!(lies.iter().all(|lie| matches!(lie, Lie::Junk(_))), "{lies:?}");
    let lies = change(|items, _| items.swap(0, 1));
    assert!(lies.iter().all(|lie| *lie == Lie::Outside), "{lies:?}");
    let lies = change(|items, _| items.insert(0, items[0].clone()));
    assert!(lies.iter().all(|lie| *lie == Lie::Outside), "{lies:?}");
    let lies = change(|items, _| drop(items.remove(1)));
    assert!(lies.iter().all(|lie| matches!(lie, Lie::Withheld { missing: 1 })), "{lies:?}");
    // Pages without anything that promise more, and pages that end nowhere.
    let lies = change(|items, last| {
        items.clear();
        *last = Some([1; 32]);
    });
    assert!(lies.iter().all(|lie| *lie == Lie::Kind), "{lies:?}");
    let lies = change(|_, last| *last = Some([1; 32]));
    assert!(lies.iter().all(|lie| *lie == Lie::Outside), "{lies:?}");
}

/// Ballots have the right names under wrong signatures: it is nobody's lie for this machine, but of no use. Others are
/// asked for the same ones.
#[test]
fn forged_signatures_keep_nobody_from_the_right_ones() {
    let (lies, world) = against(|| {
        liar(|_, response| match response {
            Response::Items { items, last } => {
                let forge = |item: Item| match decode::<node::ballot::Ballot>(&item.0) {
                    Ok(mut ballot) => {
                        ballot.signature = Signature([0; 64]);
                        Item(encode(&ballot))
                    }
                    Err(_) => item,
                };
                Response::Items { items: items.into_iter().map(forge).collect(), last }
            }
            other => other,
        })
    });
    assert_eq!(lies, []);
    // A liar is left alone after a page or two, though it could have given 1200.
    let from_liars = world.delivered.iter().filter(|(who, _)| *who != peer(200)).count();
    assert!(from_liars < 3 * 4 * 512, "{from_liars}");
}

/// What is refused is not asked for again at once, so passes end and the node is synced.
#[test]
fn what_is_of_no_use_holds_nobody_up() {
    let all = network();
    let mut world = World::new(60);
    let useless: Vec<Thing> = (0..5).map(|n| Thing::Ballot(ballot(59, 100 + n, None).id())).collect();
    let mut with_useless = all.clone();
    for n in 0..5 {
        crate::things::keep(&mut with_useless, 59, 100 + n, None);
    }
    world.refused.extend(&useless);
    for i in 1..4 {
        world.serve(i, with_useless.clone(), honest());
    }
    assert!(world.run(60_000, |world| world.layers.is_synced()));
    assert!(world.has_all_of(&all));
    world.run(5_000, |_| false);
    let times = world.delivered.iter().filter(|(_, thing)| useless.contains(thing)).count();
    assert!(times <= 15, "{times}");
    assert!(world.punished.is_empty());
}

/// However much is given that is never judged, no more is fetched.
#[test]
fn no_more_is_fetched_than_judged() {
    let all = {
        let mut archive = Memory::default();
        chain(&mut archive, 0..200, 0..20);
        archive
    };
    struct Blind;
    impl node::layers::View for Blind {
        fn has(&self, _: &Thing) -> bool {
            false
        }
        fn wants_block(&self, _: Layer, _: node::ids::BlockId) -> bool {
            true
        }

        fn frontier(&self) -> Layer {
            Layer(0)
        }
        fn running(&self) -> Option<Layer> {
            Some(Layer(u32::MAX))
        }
    }
    use node::layers::{Config, Effect, Input, Layers, MAX_UNJUDGED};
    use node::time::Time;
    let mut layers = Layers::new(Config { every_ms: 1000, alone_ms: None, seed: [0; 32] });
    let (delivered, empty) = (Rc::new(Cell::new(0)), Memory::default());
    let mut inputs = vec![Input::PeerUp(peer(1))];
    let mut requests = 0;
    while let Some(input) = inputs.pop() {
        let mut out = Vec::new();
        layers.step(Time(1), &empty, &Blind, input, &mut out).unwrap();
        for effect in out {
            match effect {
                Effect::Request { peer, id, request } => {
                    requests += 1;
                    let response = Some(node::reconcile::answer(&all, &request).unwrap());
                    inputs.push(Input::Response { peer, id, response });
                }
                Effect::Deliver { .. } => delivered.set(delivered.get() + 1),
                other => panic!("{other:?}"),
            }
        }
    }
    assert!((MAX_UNJUDGED..MAX_UNJUDGED + 256).contains(&delivered.get()), "{}", delivered.get());
    assert!(requests < 100, "{requests}");
}
