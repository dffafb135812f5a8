//! Whatever two archives hold, the client ends with all of it.

use std::collections::BTreeSet;

use node::archive::Memory;
use node::ids::Epoch;
use node::wire::{Held, Request, Response, Set};
use proptest::collection::btree_set;
use proptest::prelude::*;

use crate::atxs::archive;
use crate::many::{accuse, pool};
use crate::walking::{honest, walk};

const SETS: [Set; 3] = [Set::Frauds, Set::Atxs(Epoch(0)), Set::Atxs(Epoch(1))];

fn mix(atxs: &BTreeSet<usize>, frauds: &BTreeSet<u32>) -> Memory {
    let mut archive = archive(atxs.iter().map(|i| &pool()[*i]));
    for i in frauds {
        accuse(&mut archive, *i);
    }
    archive
}

fn union<T: Ord + Copy>(a: &BTreeSet<T>, b: &BTreeSet<T>) -> BTreeSet<T> {
    a.union(b).copied().collect()
}

/// As if the server could count no more than `most` ids for one request.
fn counting_to(most: u64) -> impl FnMut(&Request, Response) -> Response {
    move |_, response| match response {
        Response::Ranges(held) => {
            let mut left = most;
            let shorten = |held: Held| match held {
                Held::Some { count, .. } if count > left => {
                    left = 0;
                    Held::Much
                }
                Held::Some { count, .. } => {
                    left -= count;
                    held
                }
                Held::Much => held,
            };
            Response::Ranges(held.into_iter().map(shorten).collect())
        }
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_client_ends_with_the_union(
        ours in btree_set(0usize..3000, 0..800),
        theirs in btree_set(0usize..3000, 0..800),
        our_frauds in btree_set(0u32..300, 0..100),
        their_frauds in btree_set(0u32..300, 0..100),
        counted in 1u64..1000,
    ) {
        let server = mix(&theirs, &their_frauds);
        let expected = mix(&union(&ours, &theirs), &union(&our_frauds, &their_frauds));
        let mut client = mix(&ours, &our_frauds);
        let (cost, end) = walk(&mut client, &server, &SETS, &BTreeSet::new(), honest);
        prop_assert_eq!(end, Ok(()));
        prop_assert!(client == expected);
        // Nothing came twice.
        prop_assert_eq!(cost.items, theirs.difference(&ours).count() + their_frauds.difference(&our_frauds).count());

        let mut client = mix(&ours, &our_frauds);
        let (_, end) = walk(&mut client, &server, &SETS, &BTreeSet::new(), counting_to(counted));
        prop_assert_eq!(end, Ok(()));
        prop_assert!(client == expected);
    }
}

#[test]
fn what_is_settled_is_not_fetched_again() {
    let server = archive(&pool()[..1000]);
    let mut client = archive(&pool()[..995]);
    let settled: BTreeSet<_> = pool()[995..999].iter().map(|atx| atx.id.0).collect();
    let (cost, end) = walk(&mut client, &server, &SETS, &settled, honest);
    assert_eq!((cost.items, end), (1, Ok(())));
    // Nor as part of a range of which the client has nothing.
    let settled: BTreeSet<_> = pool()[..10].iter().map(|atx| atx.id.0).collect();
    let (cost, end) = walk(&mut Memory::default(), &archive(&pool()[..10]), &SETS, &settled, honest);
    assert_eq!((cost.items, end), (0, Ok(())));
}
