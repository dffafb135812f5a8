//! Servers that lie: the walk ends, with a reason, after a bounded number of requests.

use std::collections::BTreeSet;

use node::archive::Memory;
use node::ids::Epoch;
use node::reconcile::Lie;
use node::wire::{Fingerprint, Held, Item, Key, Range, Request, Response, Set};

use crate::atxs::{archive, atx, bytes};
use crate::many::pool;
use crate::walking::{Cost, walk};

const SETS: [Set; 1] = [Set::Atxs(Epoch(1))];

/// Against a client that has a part, then one that has nothing.
fn lie(mut falsify: impl FnMut(&Request, Response) -> Response) -> [(Cost, Result<(), Lie>); 2] {
    let server = archive(&pool()[..2000]);
    let mut some = archive(&pool()[1000..3000]);
    let first = walk(&mut some, &server, &SETS, &BTreeSet::new(), &mut falsify);
    let second = walk(&mut Memory::default(), &server, &SETS, &BTreeSet::new(), &mut falsify);
    for (cost, _) in [&first, &second] {
        assert!(cost.requests < 2000, "{cost:?}");
    }
    [first, second]
}

fn random(seed: &mut u32) -> Fingerprint {
    *seed += 1;
    Fingerprint(bytes(&seed.to_string()))
}

#[test]
fn another_kind_of_answer() {
    let [(_, some), (_, none)] = lie(|_, _| Response::Peers(vec![]));
    assert_eq!((some, none), (Err(Lie::Kind), Err(Lie::Kind)));
    let [(_, some), _] = lie(|request, response| match request {
        Request::Ids(_) => Response::Items { items: vec![], last: None },
        _ => response,
    });
    assert_eq!(some, Err(Lie::Kind));
}

#[test]
fn too_few_ranges() {
    let [(_, some), _] = lie(|_, response| match response {
        Response::Ranges(held) if held.len() > 1 => Response::Ranges(held[1..].to_vec()),
        other => other,
    });
    assert!(matches!(some, Err(Lie::Ranges { asked: 16, got: 15 })), "{some:?}");
}

#[test]
fn counts_without_end() {
    for count in [u64::MAX, 1 << 25] {
        let [(cost, some), (_, none)] = lie(|_, response| match response {
            Response::Ranges(held) => {
                Response::Ranges(held.iter().map(|_| Held::Some { count, fingerprint: Fingerprint([0; 16]) }).collect())
            }
            other => other,
        });
        assert_eq!((some, none, cost.requests), (Err(Lie::Count { count }), Err(Lie::Count { count }), 1));
    }
}

/// Fingerprints that never fit, for any count.
#[test]
fn fingerprints_that_never_fit() {
    for lied in [1u64, 16, 17, 100_000] {
        let mut seed = 0;
        let ends = lie(|_, response| match response {
            Response::Ranges(held) => Response::Ranges(
                held.iter().map(|_| Held::Some { count: lied, fingerprint: random(&mut seed) }).collect(),
            ),
            other => other,
        });
        for (cost, end) in ends {
            // The items are true, so nobody is hurt when it ends well.
            assert!(matches!(end, Ok(()) | Err(Lie::Endless | Lie::Count { .. })), "{lied}: {end:?} {cost:?}");
        }
    }
}

#[test]
fn nothing_is_ever_counted() {
    let ends = lie(|_, response| match response {
        Response::Ranges(held) => Response::Ranges(vec![Held::Much; held.len()]),
        other => other,
    });
    for (_, end) in ends {
        assert_eq!(end, Err(Lie::Endless));
    }
}

#[test]
fn ids_from_elsewhere() {
    let falsified = |change: fn(&mut Vec<Key>)| {
        let [(_, some), _] = lie(|_, response| match response {
            Response::Ids(mut ids) => {
                change(&mut ids);
                Response::Ids(ids)
            }
            other => other,
        });
        some
    };
    for change in [
        (|ids| ids.push([0xff; 32])) as fn(&mut Vec<Key>),
        |ids| ids.insert(1, [0xff; 32]),
        |ids| ids.reverse(),
        |ids| ids.insert(1, ids[0]),
    ] {
        let end = falsified(change);
        assert!(matches!(end, Err(Lie::Outside { .. })), "{end:?}");
    }
}

#[test]
fn ids_that_nobody_has() {
    // As many as the answer may hold, in the first range asked for.
    let [(_, some), _] = lie(|request, response| match (request, response) {
        (Request::Ids(ranges), Response::Ids(_)) => {
            let mut ids: Vec<Key> = Vec::new();
            for i in 1..=50 {
                let mut key = ranges[0].first();
                key[31] = i;
                ids.push(key);
            }
            Response::Ids(ids)
        }
        (_, other) => other,
    });
    assert_eq!(some, Err(Lie::Withheld { missing: 50 }));
    let [(_, some), _] = lie(|request, response| match (request, response) {
        (Request::Ids(ranges), Response::Ids(_)) => {
            let within = |i: u16| {
                let mut key = ranges[0].first();
                key[30..].copy_from_slice(&i.to_be_bytes());
                key
            };
            Response::Ids((1..4000).map(within).collect())
        }
        (_, other) => other,
    });
    assert!(matches!(some, Err(Lie::Outside { .. })), "{some:?}");
}

#[test]
fn items_that_were_not_asked_for() {
    let falsified = |change: &dyn Fn(&mut Vec<Item>)| {
        lie(|_, response| match response {
            Response::Items { mut items, last } => {
                change(&mut items);
                Response::Items { items, last }
            }
            other => other,
        })
        .map(|(_, end)| end.unwrap_err())
    };
    let other_epoch = Item(atx(2, 1).bytes.to_vec());
    assert_eq!(falsified(&|items| items[0] = other_epoch.clone()), [Lie::Epoch, Lie::Epoch]);
    let other = Item(atx(1, 5000).bytes.to_vec());
    let [some, none] = falsified(&|items| items[0] = other.clone());
    assert!(matches!(some, Lie::Outside { .. }), "{some:?}");
    // With one more at the end of a bulk.
    assert!(matches!(none, Lie::Outside { .. } | Lie::Endless), "{none:?}");
    for end in falsified(&|items| items[0].0.truncate(20)) {
        assert!(matches!(end, Lie::Junk(_)), "{end:?}");
    }
    let [some, _] = falsified(&|items| items.truncate(items.len() - 1));
    assert!(matches!(some, Lie::Withheld { missing: 1 } | Lie::Outside { .. }), "{some:?}");
    for end in falsified(&|items| items.swap(0, 1)) {
        assert!(matches!(end, Lie::Outside { .. }), "{end:?}");
    }
}

#[test]
fn pages_without_end() {
    // Empty pages that always promise more.
    let mut page = 0u32;
    let endless = |request: &Request, response| match request {
        Request::Items { range, .. } => {
            assert_eq!(range, &Range::all(SETS[0]));
            page += 1;
            let mut last = [0; 32];
            last[..4].copy_from_slice(&page.to_be_bytes());
            Response::Items { items: vec![], last: Some(last) }
        }
        _ => response,
    };
    let server = archive(&pool()[..2000]);
    let (cost, end) = walk(&mut Memory::default(), &server, &SETS, &BTreeSet::new(), endless);
    assert_eq!(end, Err(Lie::Endless));
    // No more pages than there are items, with what may have been added.
    assert!(cost.requests > 2000 && cost.requests < 3100, "{cost:?}");
}
