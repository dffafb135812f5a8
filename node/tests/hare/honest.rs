//! Nobody lies; some are silent, die, or know different things.

use super::world::{ROUNDS, World, id, ids};

#[test]
fn one_iteration_is_enough() {
    for seed in 0..20 {
        let mut world = World::new(seed, 12, 0);
        world.run(|_, _| {});
        world.check(seed);
        for node in &world.nodes {
            assert_eq!((&node.decided, node.decided_in), (&Some(ids(&[1, 2, 3])), Some(7)), "seed {seed}");
            assert_eq!(node.coin, world.nodes[0].coin);
            assert!(node.coin.is_some() && node.convicted.is_empty());
        }
    }
}

#[test]
fn a_seed_is_a_run() {
    let run = || {
        let mut world = World::new(5, 8, 0);
        world.nodes[0].eyes.proposals = ids(&[3, 4]);
        world.run(|_, _| {});
        format!("{world:?}")
    };
    assert_eq!(run(), run());
}

#[test]
fn coins_fall_both_ways() {
    let heads = |seed| {
        let mut world = World::new(seed, 6, 0);
        world.run(|_, _| {});
        world.nodes[0].coin.unwrap()
    };
    let sum: u32 = (0..24).map(|seed| u32::from(heads(seed))).sum();
    assert!((4..=20).contains(&sum), "{sum}");
}

#[test]
fn a_silent_third_does_not_matter() {
    let mut decided = 0;
    for seed in 0..20 {
        let mut world = World::new(seed, 8, 4);
        world.run(|_, _| {});
        world.check(seed);
        decided += u32::from(world.all_decided());
    }
    assert!(decided >= 19, "{decided}");
}

#[test]
fn two_silent_thirds_end_it() {
    for seed in 0..4 {
        let mut world = World::new(seed, 4, 8);
        world.run(|_, _| {});
        assert!(world.nodes.iter().all(|node| node.gave_up));
    }
}

#[test]
fn a_third_dies_in_any_round() {
    let mut decided = 0;
    for round in 0..ROUNDS {
        let mut world = World::new(round.into(), 12, 0);
        world.nodes[..4].iter_mut().for_each(|node| node.dies_in = round);
        world.run(|_, _| {});
        world.check(round.into());
        decided += u32::from(world.all_decided());
    }
    assert!(decided >= ROUNDS - 1, "{decided}");
}

#[test]
fn nodes_know_different_proposals() {
    let (mut decided, mut partial) = (0, 0);
    for seed in 0..60 {
        let mut world = World::new(seed, 10, 0);
        for i in 0..world.nodes.len() {
            // Everyone knows the first; of each other, a part of the nodes does, about a half of the last.
            let known = |name: &u8| *name == 1 || world.dice.below(20) < 20 - 2 * u64::from(*name - 1);
            world.nodes[i].eyes.proposals = (1..=6).filter(known).map(id).collect();
        }
        world.run(|_, _| {});
        world.check(seed);
        decided += u32::from(world.all_decided());
        partial += u32::from(world.outputs().iter().any(|output| output.len() < 6));
    }
    assert!(decided >= 58, "{decided}");
    assert!(partial > 10, "{partial}");
}

#[test]
fn without_a_proposal_nothing_is_decided() {
    let mut world = World::new(1, 8, 0);
    world.nodes.iter_mut().for_each(|node| node.eyes.proposals.clear());
    world.run(|_, _| {});
    assert!(world.nodes.iter().all(|node| node.gave_up && node.coin.is_none()));
}

#[test]
fn who_may_not_speak_follows() {
    let mut world = World::new(3, 12, 0);
    world.nodes[..2].iter_mut().for_each(|node| node.eyes.may_speak = false);
    world.run(|_, _| {});
    world.check(3);
    assert!(world.all_decided());
}
