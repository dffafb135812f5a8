//! Whatever comes first: the same ATXs, weights and frauds.

use std::sync::LazyLock;

use node::atx::Received;
use node::atxs::Input;
use node::ids::{Epoch, NO_ATX};
use node::source::Source;
use proptest::prelude::*;

use crate::bad::BASE;
use crate::desk::{Desk, peer};
use crate::good::records;
use crate::world::Made;

/// The history and one fraud of each kind that ATXs show, each of another miner.
static MADE: LazyLock<Vec<Made>> = LazyLock::new(|| {
    let (base, world) = (&*BASE, &BASE.world);
    let mut made: Vec<Made> = base.history().into_iter().cloned().collect();
    made.push(base.merged(5, |plan| plan.shares.iter_mut().for_each(|share| share.previous = Some(base.m4.id()))));
    let [judy, kim, leo, mia, nils] = ["judy", "kim", "leo", "mia", "nils"].map(|name| world.miner(name));
    // Two for one epoch.
    let j1 = world.initial(&judy, 1);
    let j2 = world.next(&judy, 2, j1.id());
    let twin = world.next_but(&judy, 2, Some(j1.id()), |plan| plan.positioning = base.a1.id());
    made.extend([world.next(&judy, 3, j2.id()), twin, j2, j1]);
    // Two with one previous.
    let k1 = world.initial(&kim, 1);
    made.extend([world.next(&kim, 4, k1.id()), world.next(&kim, 2, k1.id()), k1]);
    // Two first ones.
    made.extend([world.initial(&leo, 4), world.initial(&leo, 2)]);
    // A double marriage, with Eve and with Nils.
    let [m1, n1] = [world.initial(&mia, 1), world.initial(&nils, 1)];
    made.push(world.next_but(&base.eve, 3, Some(base.e1.id()), |plan| {
        plan.marriages = vec![mia.marries(&base.eve, m1.id()), base.eve.marries(&base.eve, NO_ATX)];
    }));
    made.push(world.next_but(&nils, 2, Some(n1.id()), |plan| {
        plan.marriages = vec![nils.marries(&nils, NO_ATX), mia.marries(&nils, m1.id())];
    }));
    made.extend([m1, n1]);
    made
});

fn run(order: &[usize]) -> Desk {
    let mut desk = Desk::new(&BASE.world);
    let mut inputs = Vec::new();
    for made in &*MADE {
        let source = Source::Answer { peer: peer(7) };
        inputs.push(Input::Atx { received: Received::from(made.atx.clone()), source });
        let poets = made.poets.iter().map(|proof| Input::Poet { proof: proof.clone(), source: Source::Own });
        inputs.extend(poets);
    }
    for index in order {
        desk.step(inputs[*index].clone());
    }
    desk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_does_not_matter(order in Just((0..2 * MADE.len()).collect::<Vec<_>>()).prop_shuffle()) {
        static STRAIGHT: LazyLock<(String, Vec<u64>)> = LazyLock::new(|| {
            let desk = run(&(0..2 * MADE.len()).collect::<Vec<_>>());
            assert_eq!(desk.known().len(), MADE.len());
            assert_eq!(desk.frauds().len(), 4);
            (records(&desk.atxs), (0..8).map(|epoch| desk.atxs.weight(Epoch(epoch))).collect())
        });
        let desk = run(&order);
        prop_assert_eq!(desk.known().len(), MADE.len());
        let weights: Vec<_> = (0..8).map(|epoch| desk.atxs.weight(Epoch(epoch))).collect();
        prop_assert_eq!(&weights, &STRAIGHT.1);
        prop_assert_eq!(records(&desk.atxs), &STRAIGHT.0[..]);
        prop_assert_eq!(desk.atxs.undecided(), (0, 0));
    }
}
