//! What liars try: less than a third of the weight does not part the honest, more than half does.

use node::beacon::{BeaconMessage, Candidate};

use crate::world::{Dice, World, params, proposal, vote};

const LAST: u8 = 19;

/// The proposal of a liar reaches half of the honest just in time, the others a moment late; which one.
fn contested(world: &mut World, liar: usize) -> Candidate {
    let (name, message) = proposal(&world.liars[liar]);
    let closes = world.closes();
    // Those who have it hand it on at once, and that takes a moment.
    let half = world.honest.len() / 2;
    for to in 0..half {
        world.deliver(closes.before(1), to, &message);
    }
    for to in half..world.honest.len() {
        world.deliver(closes, to, &message);
    }
    name
}

fn deliver_vote(world: &mut World, liar: usize, round: u8, support: &[Candidate], at_ms: u64, to: &[usize]) {
    let mut support = support.to_vec();
    support.sort_unstable();
    support.dedup();
    let message = BeaconMessage::Vote(vote(&world.liars[liar], round, support));
    let at = world.round_starts(round).after(at_ms);
    to.iter().for_each(|to| world.deliver(at, *to, &message));
}

fn in_time(world: &World) -> Vec<Candidate> {
    world.votes(0).iter().map(|vote| vote.support.clone()).min_by_key(Vec::len).unwrap()
}

#[test]
fn late_proposals_are_in_or_out_for_all() {
    let (mut ins, mut coins) = (0, 0);
    for seed in 0..40 {
        // Silent otherwise.
        let mut world = World::new(seed, 9, 3, |_| 10);
        let names: Vec<_> = (0..3).map(|liar| contested(&mut world, liar)).collect();
        world.finish();
        assert!(world.agreed().is_some(), "{seed}");
        let first = world.votes(0);
        coins += usize::from(names.iter().all(|name| {
            let supporters = first.iter().filter(|vote| vote.support.contains(name)).count();
            supporters > 0 && supporters < first.len()
        }));
        ins += usize::from(names.iter().any(|name| world.votes(LAST)[0].support.contains(name)));
    }
    assert_eq!(coins, 40, "the first votes were split");
    assert!((5..36).contains(&ins), "the coin falls both ways: {ins}");
}

/// Whoever says two things, early or late in a round, in the first or a later one.
#[test]
fn contradictions_do_not_part_the_honest() {
    for seed in 0..40 {
        let mut world = World::new(seed, 9, 4, |_| 10);
        let names: Vec<_> = (0..4).map(|liar| contested(&mut world, liar)).collect();
        let round = if seed % 2 == 0 { 0 } else { (seed % 5) as u8 };
        let at_ms = if seed % 4 < 2 { 10 } else { 990 };
        for liar in 0..4 {
            deliver_vote(&mut world, liar, round, &names, at_ms, &[0, 1, 2, 3]);
            deliver_vote(&mut world, liar, round, &[], at_ms, &[4, 5, 6, 7, 8]);
        }
        world.finish();
        assert!(world.agreed().is_some(), "{seed}");
        let liars: Vec<_> = world.liars.iter().map(|liar| liar.node_id()).collect();
        for node in &world.honest {
            assert!(liars.iter().all(|liar| node.known.frauds.contains(liar)), "{seed}: all are caught");
        }
    }
}

/// Whatever less than a third of the weight says, to whomever, whenever: candidates that all knew in time are in.
#[test]
fn noise_of_a_minority_does_not_part_the_honest() {
    for seed in 0..60 {
        let mut world = World::new(seed, 9, 4, |_| 10);
        let mut dice = Dice::new(seed + 500);
        let mut names: Vec<_> = (0..4).map(|liar| contested(&mut world, liar)).collect();
        names.push([seed as u8; 8]);
        for round in 0..=LAST {
            for liar in 0..4 {
                // Seldom two votes: a fraud is out of the game.
                for _ in 0..=usize::from(dice.below(60) == 0) {
                    let support: Vec<_> = names.iter().filter(|_| dice.below(2) == 0).copied().collect();
                    let to: Vec<_> = (0..9).filter(|_| dice.below(2) == 0).collect();
                    let at_ms = [5, 400, 700, 995][dice.below(4) as usize];
                    deliver_vote(&mut world, liar, round, &support, at_ms, &to);
                }
            }
        }
        world.finish();
        assert!(world.agreed().is_some(), "{seed}");
        let last = world.votes(LAST);
        assert!(last.iter().all(|vote| vote.support == last[0].support), "{seed}");
        let known = in_time(&world).into_iter().filter(|name| !names.contains(name));
        assert_eq!(known.clone().count(), 9);
        assert!(known.into_iter().all(|name| last[0].support.contains(&name)), "{seed}");
        assert!(!last[0].support.contains(&[seed as u8; 8]), "{seed}: nobody proposed that");
    }
}

/// Whoever sees the honest votes first pushes margins over θ for some only; the coin ends it.
#[test]
fn votes_for_some_eyes_only_end_by_the_coin() {
    for seed in 0..40 {
        let mut world = World::new(seed, 9, 4, |_| 10);
        let name = contested(&mut world, 0);
        let mut split = 0;
        for round in 0..=LAST {
            let almost_over = world.round_starts(round).after(980);
            world.run_until(almost_over);
            let votes = world.votes(round);
            let supporters = votes.iter().filter(|vote| vote.support.contains(&name)).count();
            let mut support = votes[0].support.clone();
            support.retain(|other| *other != name);
            if supporters > 0 && supporters < votes.len() {
                split += 1;
            }
            // With the majority, and half of the honest see it.
            if supporters * 2 > votes.len() {
                support.push(name);
            }
            for liar in 0..4 {
                deliver_vote(&mut world, liar, round, &support, 985, &[0, 2, 4, 6]);
            }
        }
        world.finish();
        assert!(split >= 1, "{seed}");
        assert!(world.agreed().is_some(), "{seed}: {split}");
        assert!(
            world.honest.iter().all(|node| node.known.frauds.is_empty()),
            "{seed}: nobody can be convicted of this"
        );
    }
}

/// Two votes of each liar in the last round, so late that nobody sees both in time.
fn last_word(honest: usize, liars: usize) -> World {
    let mut world = World::new(7, honest, liars, |_| 10);
    let name = contested(&mut world, 0);
    let half = honest / 2;
    let (some, others) = ((0..half).collect::<Vec<_>>(), (half..honest).collect::<Vec<_>>());
    world.run_until(world.round_starts(LAST).after(500));
    let mut with = world.votes(LAST)[0].support.clone();
    with.push(name);
    let without: Vec<_> = with.iter().filter(|other| **other != name).copied().collect();
    for liar in 0..liars {
        deliver_vote(&mut world, liar, LAST, &with, 999, &some);
        deliver_vote(&mut world, liar, LAST, &without, 999, &others);
    }
    world.finish();
    world
}

#[test]
fn a_majority_of_liars_parts_the_honest_and_a_minority_does_not() {
    assert_eq!(params().consensus.beacon_rounds, LAST + 1);
    for (honest, liars) in [(9, 4), (10, 5)] {
        assert!(last_word(honest, liars).agreed().is_some(), "{liars}");
    }
    let world = last_word(6, 8);
    assert!(world.agreed().is_none());
    assert!(world.honest.iter().all(|node| node.decided.len() == 1));
}
