//! The node dies at every moment there is.

use std::collections::VecDeque;

use node::ids::Epoch;
use node::smeshing::Warning;
use proptest::prelude::*;

use crate::weather::Weather;
use crate::world::World;

const MINERS: u8 = 3;
/// ATXs are published in epochs 1 … 6.
const EPOCHS: u32 = 7;

fn run(crashes: &[(usize, u64)]) -> World {
    let weather = Weather { crashes: VecDeque::from(crashes.to_vec()), ..Weather::default() };
    let mut world = World::new(MINERS, weather);
    world.run_until(world.at(EPOCHS, 0));
    world
}

/// The world itself panics when two ATXs of one epoch or one previous ATX are published, or a second challenge
/// registered in a round.
fn no_epoch_is_lost(world: &World, what: &str) {
    let all: Vec<u32> = (1..EPOCHS).collect();
    for miner in world.miners() {
        assert_eq!(world.epochs_of(miner), all, "{what}: {:?}", world.warnings);
    }
}

/// After each effect of each step, before the next one of the same step, and before the first.
#[test]
fn a_death_after_any_effect_costs_nothing() {
    let effects = run(&[]).effects;
    assert!(effects > 100, "{effects}");
    let mut runs = 0;
    for after in 0..=effects {
        for down_ms in [0, 1_500] {
            let world = run(&[(after, down_ms)]);
            assert_eq!(world.deaths, 1);
            no_epoch_is_lost(&world, &format!("after {after} effects, {down_ms} ms"));
            runs += 1;
        }
    }
    println!("{runs} deaths");
}

/// A second death, while the node picks itself up.
#[test]
fn two_deaths_cost_nothing() {
    let effects = run(&[]).effects;
    let mut deaths = 0;
    for first in (0..=effects).step_by(3) {
        for second in 0..8 {
            let world = run(&[(first, 400), (second, 400)]);
            deaths += world.deaths;
            no_epoch_is_lost(&world, &format!("after {first} effects, then {second}"));
        }
    }
    println!("{deaths} deaths");
}

/// Dead over whole epochs: those that can't be made are missed, the others not.
#[test]
fn what_can_be_made_after_a_long_death_is_made() {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    // Dead while the round runs: nothing is lost.
    world.run_until(world.at(1, 20_000));
    world.kill(10_000);
    world.run_until(world.at(3, 20_000));
    // Dead from there until round 3 has been over for long, but epoch 4 is not: it is late, and round 4 missed.
    world.kill(30_000);
    world.run_until(world.at(7, 0));
    assert_eq!(world.epochs_of(miner), [1, 2, 3, 4, 6]);
    // Dead over the end of round 6 and all of epoch 7.
    world.kill(31_000);
    world.run_until(world.at(11, 0));
    assert_eq!(world.epochs_of(miner), [1, 2, 3, 4, 6, 9, 10]);
    assert!(world.has_warned(|warning| *warning == Warning::EpochMissed { epoch: Epoch(7) }));
}

/// Without its database, the node goes on from what the network knows.
#[test]
fn a_lost_database_is_no_fraud() {
    for ms in (0..60_000).step_by(700) {
        let mut world = World::new(1, Weather::default());
        let miner = world.miners()[0];
        world.run_until(world.at(2, ms));
        let before = world.epochs_of(miner);
        assert!(!before.is_empty());
        world.lose_database();
        world.run_until(world.at(8, 0));
        let initial = world.network.iter().filter(|received| received.atx.initial.is_some()).count();
        assert_eq!(initial, 1, "{ms}");
        let epochs = world.epochs_of(miner);
        // At most the epoch whose challenge was forgotten, and the next when it was too late for a new one.
        assert!(epochs.ends_with(&[5, 6, 7]) && epochs.len() >= 5, "{ms}: {epochs:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Deaths here and there, with some seconds between them.
    #[test]
    fn deaths_cost_nothing(crashes in prop::collection::vec((40_usize..90, 0_u64..1_000), 1..6)) {
        let world = run(&crashes);
        no_epoch_is_lost(&world, &format!("{crashes:?}"));
    }
}
