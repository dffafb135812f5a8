//! The honest among themselves.

use node::beacon::{fallback, genesis_beacon};
use node::ids::{Beacon, Epoch, GenesisId};

use crate::world::{World, beacon_of, params, proposal, signer};

#[test]
fn all_come_to_the_hash_of_all_proposals() {
    for seed in 0..20 {
        let mut world = World::new(seed, 12, 0, |i| 1 + i as u64);
        world.finish();
        let all = (0..12).map(|i| proposal(&signer(&world.params, 1000 * seed + i)).0).collect();
        assert_eq!(world.agreed(), Some(beacon_of(all)), "{seed}");
        world.check_bytes();
        let votes = (0..params().consensus.beacon_rounds).map(|round| world.votes(round).len());
        assert!(votes.eq([12; 20]), "each votes once a round");
    }
}

#[test]
fn one_seed_is_one_world() {
    let digest = |seed| {
        let mut world = World::new(seed, 8, 0, |_| 5);
        world.finish();
        world.digest()
    };
    assert_eq!(digest(3), digest(3));
    assert_ne!(digest(3), digest(4));
}

/// About as many as wanted are drawn, however many there are.
#[test]
fn the_number_of_proposals_is_that_of_the_parameters() {
    let mut drawn = 0;
    for seed in 0..20 {
        let mut params = params();
        params.consensus.beacon_candidates = 4;
        let mut world = World::with(params, seed, 40, 0, |_| 1);
        world.run_until(world.closes());
        drawn += world.said.len();
    }
    // 80 are expected, with a deviation of 8.5.
    assert!((45..115).contains(&drawn), "{drawn}");
}

/// A line may take longer than a round, as long as there are others.
#[test]
fn slow_lines_do_not_part_the_honest() {
    for seed in 0..20 {
        let mut world = World::new(seed, 12, 0, |i| 1 + (i as u64 % 3));
        world.delay_ms = 1500;
        world.finish();
        assert!(world.agreed().is_some(), "{seed}");
    }
}

/// Without a third of the weight it goes on, without most of it nobody says that something was agreed on.
#[test]
fn the_weight_that_is_there_decides() {
    for (away, agreed) in [(0, true), (3, true), (4, true), (7, false), (9, false)] {
        let mut world = World::new(1, 12 - away, away, |_| 10);
        world.finish();
        assert_eq!(world.agreed().is_some(), agreed, "{away}");
        assert!(agreed || world.honest.iter().all(|node| node.decided.is_empty()), "{away}");
    }
}

#[test]
fn beacons_that_nobody_votes_on() {
    let genesis = genesis_beacon(GenesisId([1; 20]));
    assert_ne!(genesis, genesis_beacon(GenesisId([2; 20])));
    let chain = [fallback(Epoch(3), genesis), fallback(Epoch(4), genesis), fallback(Epoch(3), Beacon([0; 4]))];
    assert!(!chain.contains(&genesis) && chain[0] != chain[1] && chain[0] != chain[2]);
}
