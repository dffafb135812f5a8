//! The plain course of things, and what is late.

use node::ids::{AtxId, Epoch};
use node::smeshing::Phase::{self, *};
use node::smeshing::Warning;
use node::time::Time;

use crate::weather::Weather;
use crate::world::World;

fn every(first: u32, last: u32) -> Vec<u32> {
    (first..=last).collect()
}

#[test]
fn three_miners_make_an_atx_every_epoch() {
    let mut world = World::new(3, Weather::default());
    world.run_until(world.at(8, 0));
    for miner in world.miners() {
        assert_eq!(world.epochs_of(miner), every(1, 7));
    }
    assert_eq!(world.warnings, vec![]);
    // Each builds on the newest that was known when its challenge was fixed.
    let first = &world.network[0].atx;
    assert_eq!(first.positioning_atx, world.params.golden_atx());
    let last = &world.network.last().unwrap().atx;
    let positioning = world.network.iter().find(|received| received.id == last.positioning_atx).unwrap();
    assert_eq!(positioning.atx.publish_epoch, Epoch(6));
    // Every phase was passed through but those of a miner in trouble.
    let passed = Phase::ALL.into_iter().filter(|phase| world.phases.contains(phase));
    assert!(passed.eq(Phase::ALL.into_iter().filter(|phase| ![NoProver, Stopped].contains(phase))));
}

#[test]
fn two_runs_are_alike() {
    let run = || {
        let mut world = World::new(3, Weather::default());
        world.run_until(world.at(4, 0));
        world.digest()
    };
    assert_eq!(run(), run());
}

#[test]
fn the_status_follows_the_calendar() {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    let timing = world.params.timing.clone();
    let mut seen: Vec<(Phase, Option<Epoch>, Option<Time>)> = vec![];
    while world.now < world.at(3, 0) {
        world.run_until(world.now.after(1));
        let status = world.status(miner);
        if seen.last().is_none_or(|(phase, ..)| *phase != status.phase) {
            assert_eq!(status.since, world.now, "{status:?}");
            seen.push((status.phase, status.publish_epoch, status.deadline));
        }
    }
    let phases: Vec<_> = seen.iter().map(|(phase, ..)| *phase).collect();
    let mut wanted = vec![Syncing, InitialProving];
    // What takes less than a tick isn't seen from tick to tick: the initial post, and the proof, being there.
    let cycle = [ChallengeFixed, Registered, RoundRunning, RoundEnded, Proving, Signed, Published];
    for _ in 0..2 {
        wanted.extend(cycle);
    }
    wanted.extend(&cycle[..3]);
    assert_eq!(phases, wanted);
    for (phase, epoch, deadline) in seen {
        let wanted = match phase {
            Syncing | NoProver | InitialProving | InitialProved => Some(timing.round_opens(Epoch(0))),
            ChallengeFixed | Registered => epoch.map(|epoch| timing.round_opens(epoch.previous().unwrap())),
            RoundRunning => epoch.map(|epoch| timing.round_ends(epoch.previous().unwrap())),
            RoundEnded | PoetProofThere | Proving | Proved | Signed => {
                epoch.map(|epoch| timing.epoch_starts(epoch.next()).before(4 * timing.delta_ms))
            }
            Published => epoch.map(|epoch| timing.round_opens(epoch)),
            Stopped => None,
        };
        assert_eq!(deadline, wanted, "{phase}");
    }
}

/// A prover that comes between two rounds' openings is in time for the later one.
#[test]
fn a_late_prover_takes_the_next_round() {
    let mut world = World::new(2, Weather::default());
    let [early, late] = world.miners()[..] else { panic!() };
    world.weather.prover_away = vec![(late, world.at(0, 0), world.at(2, 5_000))];
    world.run_until(world.at(6, 0));
    assert_eq!(world.epochs_of(early), every(1, 5));
    // Round 2 opens at 14 s of epoch 2: its ATX is published in epoch 3.
    assert_eq!(world.epochs_of(late), every(3, 5));
    assert!(world.has_warned(|warning| *warning == Warning::NoProver));
    // For a minute, twice: the same thing is not said over and over.
    assert!(world.warnings.len() < 5, "{:?}", world.warnings);

    let mut world = World::new(1, Weather::default());
    let late = world.miners()[0];
    world.weather.prover_away = vec![(late, world.at(0, 0), world.at(2, 14_000))];
    world.run_until(world.at(6, 0));
    assert_eq!(world.epochs_of(late), every(4, 5));
}

/// A proof that comes after the next round opened still counts for its own epoch, and costs the next.
#[test]
fn a_slow_proof_costs_one_epoch() {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    // The round ends at 2 s of epoch 2, the next one opens at 14 s.
    world.weather.prover_away = vec![(miner, world.at(2, 0), world.at(2, 20_000))];
    world.run_until(world.at(6, 0));
    assert_eq!(world.epochs_of(miner), [1, 2, 4, 5]);
}

/// Without a prover until the epoch is over, there is nothing to register the next challenge with in time either.
#[test]
fn a_prover_away_for_all_of_an_epoch_costs_two() {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    world.weather.prover_away = vec![(miner, world.at(2, 0), world.at(3, 0))];
    world.run_until(world.at(7, 0));
    assert_eq!(world.epochs_of(miner), [1, 4, 5, 6]);
    assert!(world.has_warned(|warning| *warning == Warning::EpochMissed { epoch: Epoch(2) }));
    // The chain is not broken.
    let atxs: Vec<_> = world.network.iter().map(|received| (received.id, &received.atx.previous_atxs)).collect();
    for pair in atxs.windows(2) {
        assert_eq!(*pair[1].1, vec![pair[0].0]);
    }
}

/// A PoET that can't be reached while it takes registrations costs one epoch.
#[test]
fn no_registration_costs_one_epoch() {
    for silent in [false, true] {
        let mut world = World::new(2, Weather { poet_silent: silent, ..Weather::default() });
        // From before the ATX of epoch 2 is out until round 2 has opened.
        world.weather.poet_away = vec![(world.at(2, 4_000), world.at(2, 14_000))];
        world.run_until(world.at(7, 0));
        for miner in world.miners() {
            assert_eq!(world.epochs_of(miner), [1, 2, 4, 5, 6], "silent: {silent}");
        }
        assert!(world.has_warned(|warning| *warning == Warning::RoundMissed { round: Epoch(2) }));
        assert!(world.has_warned(|warning| *warning == Warning::EpochMissed { epoch: Epoch(3) }));
    }
}

/// The PoET has the challenge, but its answer is lost: the round's end shows it, and no epoch is.
#[test]
fn an_unconfirmed_registration_counts() {
    let mut world = World::new(1, Weather { poet_silent: true, ..Weather::default() });
    let miner = world.miners()[0];
    world.run_until(world.at(1, 3_000));
    // All answers are lost from here on, and the node's own registration is made for it.
    world.weather.poet_away = vec![(world.at(1, 3_000), world.at(1, 29_000))];
    world.run_until(world.at(1, 14_000));
    let challenge = next_challenge(&world);
    world.register(Epoch(1), challenge, miner);
    world.run_until(world.at(4, 0));
    assert!(world.has_warned(|warning| *warning == Warning::RoundMissed { round: Epoch(1) }));
    assert_eq!(world.epochs_of(miner), every(1, 3));
}

/// What the miner must have registered after its only ATX.
fn next_challenge(world: &World) -> node::ids::PoetChallenge {
    let [first] = &world.network[..] else { panic!("one ATX") };
    let positioning: AtxId = first.id;
    node::atx::poet_challenge(Epoch(2), first.id, positioning, None)
}

/// The PoET's output is late, but the epoch is not over.
#[test]
fn a_late_poet_proof_costs_the_next_epoch_only() {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    world.weather.poet_away = vec![(world.at(2, 0), world.at(2, 16_000))];
    world.run_until(world.at(6, 0));
    assert_eq!(world.epochs_of(miner), [1, 2, 4, 5]);
    assert!(world.has_warned(|warning| matches!(warning, Warning::NoPoetProof { round: Epoch(1), .. })));
}

#[test]
fn a_node_that_starts_late_waits_until_it_is_synced() {
    let mut world = World::new(1, Weather { sync_ms: 40_000, ..Weather::default() });
    let miner = world.miners()[0];
    world.run_until(world.at(1, 0));
    assert_eq!((world.status(miner).phase, world.effects), (Phase::Syncing, 0));
    world.run_until(world.at(5, 0));
    assert_eq!(world.epochs_of(miner), every(2, 4));
}
