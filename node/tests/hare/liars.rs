//! Liars, who hear everything at once, speak last, and choose when whom what reaches.

use node::hare::Round;
use node::ids::BallotId;

use node::time::Grade;

use super::world::{ROUND_MS, WEIGHT, World, ids, spoken, starts, value};

/// The liars say one set to one half of the nodes, and another to the other, in the rounds that `lie` names; elsewhere
/// they say nothing. It arrives with each node `delay` after the round's start.
fn two_faced(world: &mut World, round: u32, lies: &[Round], sets: [&[BallotId]; 2], delay: u64) {
    let Some(at) = spoken(round).filter(|at| lies.contains(&at.round)) else { return };
    for liar in 0..world.liars.len() {
        for to in 0..world.nodes.len() {
            world.lie(liar, at, value(at, sets[to % 2]), to, starts(round).after(delay));
        }
    }
}

const LAST_MOMENT: u64 = ROUND_MS - 1;
const SPOKEN: [Round; 4] = [Round::Preround, Round::Propose, Round::Commit, Round::Notify];

#[test]
fn two_faced_in_each_round() {
    let kinds: [&[Round]; 5] = [&SPOKEN[..1], &SPOKEN[1..2], &SPOKEN[2..3], &SPOKEN[3..], &SPOKEN];
    for lies in kinds {
        let mut decided = 0;
        for seed in 0..24 {
            let mut world = World::new(seed, 10, 4);
            // What only some know, and what nobody does but a liar.
            world.nodes.iter_mut().step_by(2).for_each(|node| node.eyes.proposals = ids(&[1, 2, 3, 4]));
            let delay = if seed % 2 == 0 { LAST_MOMENT } else { 0 };
            world.run(|world, round| {
                two_faced(world, round, lies, [&ids(&[1, 2, 3]), &ids(&[1, 2, 3, 4])], delay);
            });
            world.check(seed);
            assert!(world.nodes.iter().all(|node| !node.convicted.is_empty() || !node.eyes.frauds.is_empty()));
            decided += u32::from(world.all_decided());
        }
        assert!(decided >= 22, "{lies:?}: {decided}");
    }
}

#[test]
fn lies_of_any_lateness() {
    // The delays at which a message's grade changes, for each half of the nodes another one.
    for rounds in 0..7 {
        for seed in 0..6 {
            let mut world = World::new(seed, 10, 4);
            world.nodes.iter_mut().step_by(2).for_each(|node| node.eyes.proposals = ids(&[1, 2, 3, 4]));
            world.run(|world, round| {
                let Some(at) = spoken(round) else { return };
                let sets = [ids(&[1, 2, 3]), ids(&[1, 2, 3, 4])];
                let set = &sets[(world.dice.below(4) == 0) as usize];
                for liar in 0..world.liars.len() {
                    let to = world.dice.below(world.nodes.len() as u64) as usize;
                    let arrives = starts(round).after(rounds * ROUND_MS + LAST_MOMENT);
                    world.lie(liar, at, value(at, set), to, arrives);
                }
            });
            world.check(seed);
        }
    }
}

#[test]
fn random_lies() {
    let mut decided = 0;
    for seed in 0..150 {
        let mut world = World::new(seed, 9, 4);
        world.nodes.iter_mut().step_by(2).for_each(|node| node.eyes.proposals = ids(&[1, 2, 3, 4]));
        world.nodes.iter_mut().step_by(3).for_each(|node| node.eyes.proposals = ids(&[1, 2, 3, 5]));
        world.run(|world, round| {
            let Some(at) = spoken(round) else { return };
            let sets = [ids(&[1, 2, 3]), ids(&[1, 2, 3, 4]), ids(&[1, 2, 3, 5]), ids(&[1, 2, 3, 4, 5]), ids(&[2, 9])];
            for liar in 0..world.liars.len() {
                for _ in 0..world.dice.below(6) {
                    let set = &sets[world.dice.below(5) as usize];
                    let to = world.dice.below(world.nodes.len() as u64) as usize;
                    let late = world.dice.below(4) * ROUND_MS + [0, LAST_MOMENT][world.dice.below(2) as usize];
                    world.lie(liar, at, value(at, set), to, starts(round).after(late));
                }
            }
        });
        world.check(seed);
        decided += u32::from(world.all_decided());
    }
    assert!(decided >= 135, "{decided}");
}

/// What liars do who are many: they make two sets known, and notify one to half of the nodes, the other to the rest.
fn split(world: World) -> usize {
    let (honest, mut world) = (world.nodes.len(), world);
    world.nodes.iter_mut().for_each(|node| node.eyes.proposals = ids(&[1, 2]));
    world.run(|world, round| {
        let sets = [ids(&[1]), ids(&[2])];
        two_faced(world, round, &[Round::Notify], [&sets[0], &sets[1]], LAST_MOMENT);
        let Some(at) = spoken(round).filter(|at| at.round == Round::Preround) else { return };
        for (liar, to) in (0..world.liars.len()).flat_map(|liar| (0..honest).map(move |to| (liar, to))) {
            world.lie(liar, at, value(at, &sets[liar % 2]), to, starts(round));
        }
    });
    world.outputs().len()
}

#[test]
fn more_than_half_of_liars_break_it() {
    assert!((0..10).filter(|seed| split(World::new(*seed, 4, 10)) > 1).count() >= 8);
    assert!((0..10).all(|seed| split(World::new(seed, 10, 4)) <= 1));
}

/// ATXs that came too late for the active set of some nodes give no more seats than their weight does.
#[test]
fn late_atxs_give_no_seats_beside_the_others() {
    assert!((0..20).all(|seed| split(World::with(seed, 21, (10, WEIGHT, Grade::Acceptable))) <= 1));
}

/// A fifth of the weight proposes what nobody commits to. It spoils the iterations in which it leads, in however many keys
/// it is: that it leads in all four has a chance of 1 in 600.
#[test]
fn many_keys_lead_no_more_often() {
    for keys in [1, 100] {
        let all_decided = |seed: &u64| {
            let mut world = World::with(*seed, 4, (keys, WEIGHT / keys as u64, Grade::Good));
            world.run(|world, round| {
                let Some(at) = spoken(round) else { return };
                let set = if at.round == Round::Preround { ids(&[1, 2, 3]) } else { ids(&[1, 2]) };
                for liar in 0..world.liars.len() {
                    if matches!(at.round, Round::Preround | Round::Propose) {
                        (0..4).for_each(|to| world.lie(liar, at, value(at, &set), to, starts(round)));
                    }
                }
            });
            world.check(*seed);
            world.all_decided()
        };
        let decided = (0..30).filter(all_decided).count();
        assert!(decided >= 28, "{keys} keys: {decided}");
    }
}
