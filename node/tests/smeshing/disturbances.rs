//! Delays, losses, outages: shorter than the slack they cost nothing, longer ones cost what they must and no more.

use node::ids::Epoch;
use node::smeshing::Warning;
use proptest::prelude::*;

use crate::weather::Weather;
use crate::world::World;

const MINERS: u8 = 3;
const EPOCHS: u32 = 7;

/// What goes wrong in one epoch.
#[derive(Clone, Debug)]
enum Trouble {
    Nothing,
    /// The PoET gives errors, or no answers.
    PoetAway {
        from: u64,
        ms: u64,
    },
    /// A prover is away, and has forgotten all when it is back.
    ProverAway {
        miner: u8,
        from: u64,
        ms: u64,
    },
    /// A prover fails so many times.
    Failures {
        miner: u8,
        times: u32,
    },
    /// The node dies.
    Death {
        at: u64,
        down_ms: u64,
    },
}

fn trouble() -> impl Strategy<Value = Trouble> {
    // All of an epoch of 30 s, in the gap most of all.
    let from = || prop_oneof![0_u64..30_000, 1_000_u64..14_000];
    prop_oneof![
        1 => Just(Trouble::Nothing),
        3 => (from(), 1_u64..4_000).prop_map(|(from, ms)| Trouble::PoetAway { from, ms }),
        3 => (0..MINERS, from(), 1_u64..4_000).prop_map(|(miner, from, ms)| Trouble::ProverAway { miner, from, ms }),
        1 => (0..MINERS, 1_u32..4).prop_map(|(miner, times)| Trouble::Failures { miner, times }),
        3 => (from(), 0_u64..3_000).prop_map(|(at, down_ms)| Trouble::Death { at, down_ms }),
    ]
}

/// The gap is 12 s. What has to be done in it takes 3 s at these delays; an outage of 4 s, and the 2.5 s after which a
/// question without an answer is asked again, leave some.
fn run(poet_ms: u64, judge_ms: u64, sync_ms: u64, silent: bool, troubles: &[Trouble]) -> World {
    let weather = Weather { poet_ms, judge_ms, sync_ms, poet_silent: silent, ..Weather::default() };
    let mut world = World::new(MINERS, weather);
    let miners = world.miners();
    for (epoch, trouble) in (0..).zip(troubles) {
        match *trouble {
            Trouble::PoetAway { from, ms } => {
                world.weather.poet_away.push((world.at(epoch, from), world.at(epoch, from + ms)));
            }
            Trouble::ProverAway { miner, from, ms } => {
                let away = (miners[usize::from(miner)], world.at(epoch, from), world.at(epoch, from + ms));
                world.weather.prover_away.push(away);
            }
            Trouble::Nothing | Trouble::Failures { .. } | Trouble::Death { .. } => {}
        }
    }
    for (epoch, trouble) in (0..).zip(troubles) {
        match *trouble {
            Trouble::Failures { miner, times } => {
                world.run_until(world.at(epoch, 0));
                world.provers.get_mut(&miners[usize::from(miner)]).unwrap().failures = times;
            }
            Trouble::Death { at, down_ms } => {
                world.run_until(world.at(epoch, at));
                world.kill(down_ms);
            }
            _ => {}
        }
    }
    world.run_until(world.at(EPOCHS, 0));
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn short_troubles_cost_nothing(
        (poet_ms, judge_ms, sync_ms) in (0_u64..300, 0_u64..300, 0_u64..600),
        silent in any::<bool>(),
        troubles in prop::collection::vec(trouble(), EPOCHS as usize),
    ) {
        let world = run(poet_ms, judge_ms, sync_ms, silent, &troubles);
        let all: Vec<u32> = (1..EPOCHS).collect();
        for miner in world.miners() {
            prop_assert_eq!(world.epochs_of(miner), all.clone(), "{:?}", world.warnings);
        }
        let missed = world.has_warned(|warning| matches!(warning, Warning::EpochMissed { .. }));
        prop_assert!(!missed);
    }

    /// One long outage. When it is over, nothing is missed from the second epoch on.
    #[test]
    fn long_outages_are_got_over(
        poet in any::<bool>(),
        silent in any::<bool>(),
        from in 30_000_u64..90_000,
        ms in 5_000_u64..70_000,
    ) {
        let mut world = World::new(2, Weather { poet_silent: silent, ..Weather::default() });
        let miners = world.miners();
        let (begin, end) = (world.at(0, from), world.at(0, from + ms));
        if poet {
            world.weather.poet_away = vec![(begin, end)];
        } else {
            world.weather.prover_away = miners.iter().map(|miner| (*miner, begin, end)).collect();
        }
        // The epoch it ends in, and the one after, may suffer; those before it may not.
        let last = world.params.timing.epoch_at(end).unwrap().0;
        world.run_until(world.at(last + 5, 0));
        for miner in miners {
            let epochs = world.epochs_of(miner);
            let gaps = (1..last + 5).filter(|epoch| !epochs.contains(epoch)).collect::<Vec<_>>();
            let first = world.params.timing.epoch_at(begin).unwrap().0;
            prop_assert!(gaps.iter().all(|epoch| (first..=last + 1).contains(epoch)), "{gaps:?}: {:?}", world.warnings);
        }
    }
}

/// Whatever happens to one miner is nothing to the others.
#[test]
fn a_miners_trouble_is_its_own() {
    let mut world = World::new(3, Weather::default());
    let miners = world.miners();
    world.weather.prover_away = vec![(miners[1], world.at(1, 0), world.at(4, 0))];
    world.run_until(world.at(7, 0));
    assert_eq!(world.epochs_of(miners[0]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(world.epochs_of(miners[1]), [5, 6]);
    assert_eq!(world.epochs_of(miners[2]), [1, 2, 3, 4, 5, 6]);
    assert!(world.warnings.iter().all(|(miner, _)| *miner == miners[1]), "{:?}", world.warnings);
    assert!(world.has_warned(|warning| *warning == Warning::EpochMissed { epoch: Epoch(1) }));
}
