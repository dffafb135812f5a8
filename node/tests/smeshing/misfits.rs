//! Provers, PoETs and others who do what they shouldn't.

use node::archive::{Archive, Memory, Write};
use node::ids::{Address, AtxId, Challenge, Epoch, PoetChallenge};
use node::signature::Signer;
use node::smeshing::{Input, Phase, PoetEvent, ProverEvent, ProverMetadata, RestoreError, Smesher, Warning};
use post_core::proof::Proof;

use crate::provers::proof;
use crate::weather::Weather;
use crate::world::{World, poet_proof};

/// Runs a world whose one prover says something else of itself in an epoch, from before it is asked to `until`.
fn with_metadata(epoch: u32, until: u32, change: impl Fn(&mut ProverMetadata)) -> World {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    world.run_until(world.at(epoch, 0));
    let honest = world.provers[&miner].metadata;
    let mut other = honest;
    change(&mut other);
    say(&mut world, other);
    world.run_until(world.at(until, 0));
    say(&mut world, honest);
    world.run_until(world.at(7, 0));
    world
}

fn say(world: &mut World, metadata: ProverMetadata) {
    world.provers.get_mut(&metadata.node_id).unwrap().metadata = metadata;
    world.step(Input::Prover(ProverEvent::Registered(metadata)));
}

#[test]
fn unfit_provers_are_not_asked_and_the_operator_told() {
    type Case = (fn(&mut ProverMetadata), fn(&Warning) -> bool);
    let cases: [Case; 4] = [
        (|m| m.commitment_atx = AtxId([9; 32]), |w| matches!(w, Warning::WrongCommitment { .. })),
        (|m| m.labels_per_unit *= 2, |w| matches!(w, Warning::WrongLabelsPerUnit { wanted: 4096, got: 8192 })),
        (|m| m.units = 0, |w| matches!(w, Warning::WrongUnits { got: 0, min: 1, max: 1024 })),
        (|m| m.units = 1025, |w| matches!(w, Warning::WrongUnits { got: 1025, .. })),
    ];
    for (change, wanted) in cases {
        let world = with_metadata(2, 3, change);
        let miner = world.miners()[0];
        assert_eq!(world.epochs_of(miner), [1, 4, 5, 6], "{:?}", world.warnings);
        let told = world.warnings.iter().filter(|(_, warning)| wanted(warning)).count();
        assert_eq!(told, 2, "said again after {} s, not all the time", 25);
    }
}

/// Commitment and units are free before the initial post, the network's rules are not.
#[test]
fn unfit_provers_make_no_initial_post() {
    let world = with_metadata(0, 1, |metadata| metadata.units = 0);
    assert_eq!(world.epochs_of(world.miners()[0]), [2, 3, 4, 5, 6]);
}

#[test]
fn units_grow_and_shrink() {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    let mut metadata = world.provers[&miner].metadata;
    for (epoch, units) in [(2, 4), (3, 2), (4, 1024)] {
        world.run_until(world.at(epoch, 0));
        (metadata.units, metadata.nonce) = (units, Some(units.into()));
        say(&mut world, metadata);
    }
    world.run_until(world.at(5, 0));
    let made = world.network.iter().map(|made| (made.atx.niposts[0].posts[0].num_units, made.atx.vrf_nonce));
    let made: Vec<_> = made.collect();
    assert_eq!(made, [(1, 7), (4, 4), (2, 2), (1024, 1024)]);
}

/// A nonce that was good for more units is good for fewer; for more, another one is needed.
#[test]
fn a_missing_nonce_is_waited_for_when_it_is_needed() {
    let world = with_metadata(2, 6, |metadata| metadata.nonce = None);
    assert_eq!(world.epochs_of(world.miners()[0]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(world.warnings, vec![]);

    let world = with_metadata(2, 3, |metadata| (metadata.units, metadata.nonce) = (8, None));
    assert_eq!(world.epochs_of(world.miners()[0]), [1, 4, 5, 6]);
    assert!(world.has_warned(|warning| *warning == Warning::NonceUnknown));

    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    let honest = world.provers[&miner].metadata;
    world.provers.get_mut(&miner).unwrap().metadata.nonce = None;
    world.run_until(world.at(0, 10_000));
    assert_eq!(world.status(miner).phase, Phase::NoProver);
    assert!(world.has_warned(|warning| *warning == Warning::NonceUnknown));
    say(&mut world, honest);
    world.run_until(world.at(2, 0));
    assert_eq!(world.epochs_of(miner), [1]);
}

/// The initial post and the first proof are over the same units, or there is no ATX.
#[test]
fn units_changed_after_the_initial_post() {
    // Back in time.
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    let honest = world.provers[&miner].metadata;
    let more = ProverMetadata { units: 5, ..honest };
    world.run_until(world.at(0, 20_000));
    say(&mut world, more);
    world.run_until(world.at(1, 6_000));
    assert!(world.has_warned(|warning| *warning == Warning::UnitsChanged { wanted: 1, got: 5 }));
    say(&mut world, honest);
    world.run_until(world.at(2, 0));
    assert_eq!(world.epochs_of(miner), [1]);

    // For good: a new initial post.
    let mut world = World::new(1, Weather::default());
    world.run_until(world.at(0, 20_000));
    say(&mut world, more);
    world.run_until(world.at(6, 0));
    assert_eq!(world.epochs_of(miner), [3, 4, 5]);
    assert_eq!(world.network[0].atx.niposts[0].posts[0].num_units, 5);
}

#[test]
fn a_prover_that_fails_is_asked_again() {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    world.provers.get_mut(&miner).unwrap().failures = 3;
    world.run_until(world.at(3, 0));
    assert_eq!(world.epochs_of(miner), [1, 2]);
    assert_eq!(world.warnings, vec![(miner, Warning::ProverFailed("busy".into()))]);
}

#[test]
fn wrong_proofs_are_passed_over() {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    world.provers.get_mut(&miner).unwrap().proving_ms = 60_000;
    let metadata = world.provers[&miner].metadata;
    world.run_until(world.at(1, 0));
    while world.status(miner).phase != Phase::Proving {
        world.run_until(world.now.after(1));
    }
    let asked = world.provers[&miner].wanted.unwrap();
    let good = proof(asked, miner, 1, &world.params);
    let other = Challenge([8; 32]);
    let cases: [(Challenge, Proof, ProverMetadata, Warning); 5] = [
        (other, proof(other, miner, 1, &world.params), metadata, Warning::ProofNotAsked),
        (
            asked,
            Proof { indices: vec![0; 800], ..good.clone() },
            metadata,
            Warning::ProofMalformed("its indices have a wrong length"),
        ),
        (asked, Proof { nonce: 4096, ..good.clone() }, metadata, Warning::ProofMalformed("its nonce is too large")),
        (asked, Proof { pow: 1 << 56, ..good.clone() }, metadata, Warning::ProofMalformed("its pow is too large")),
        (
            asked,
            good.clone(),
            ProverMetadata { commitment_atx: AtxId([1; 32]), ..metadata },
            Warning::WrongCommitment { wanted: metadata.commitment_atx, got: AtxId([1; 32]) },
        ),
    ];
    for (challenge, proof, metadata, warning) in cases {
        // After a bad one it is asked again.
        world.run_until(world.now.after(800));
        assert_eq!(world.status(miner).phase, Phase::Proving, "{warning}");
        let prover = world.provers.get_mut(&miner).unwrap();
        (prover.wanted, prover.job) = (None, None);
        world.step(Input::Prover(ProverEvent::Proof { node_id: miner, challenge, proof, metadata }));
        assert_eq!(world.status(miner).warning, Some((world.now, warning)));
    }
    world.provers.get_mut(&miner).unwrap().proving_ms = 1_000;
    world.run_until(world.at(4, 0));
    assert_eq!(world.epochs_of(miner), [1, 2, 3]);
}

/// A round's output is checked before it is believed.
#[test]
fn wrong_poet_proofs_are_passed_over() {
    let mut world = World::new(2, Weather { poet_silent: true, ..Weather::default() });
    let miner = world.miners()[0];
    world.weather.poet_away = vec![(world.at(1, 0), world.at(1, 4_000))];
    world.run_until(world.at(1, 3_000));
    assert_eq!(world.status(miner).phase, Phase::RoundEnded);
    let members = vec![PoetChallenge([1; 32]), PoetChallenge([2; 32])];
    let good = poet_proof(&members);
    let mut untrue = good.clone();
    untrue.proven[2][0] ^= 1;
    let round = Epoch(0);
    for (proof, members) in [(untrue, members.clone()), (good.clone(), members[..1].to_vec()), (good, vec![])] {
        world.step(Input::Poet(PoetEvent::Result { round, proof, members }));
        let warning = world.status(miner).warning.unwrap().1;
        assert!(matches!(warning, Warning::WrongPoetProof { round: Epoch(0), .. }), "{warning}");
    }
    world.run_until(world.at(3, 0));
    assert_eq!(world.epochs_of(miner), [1, 2]);
}

/// A PoET that leaves a member out costs the epoch; the next challenge is in time.
#[test]
fn a_round_without_the_miner_costs_its_epoch() {
    let mut world = World::new(1, Weather { poet_silent: true, ..Weather::default() });
    let miner = world.miners()[0];
    world.weather.poet_away = vec![(world.at(2, 0), world.at(2, 4_000))];
    world.run_until(world.at(2, 3_000));
    let members = vec![PoetChallenge([1; 32]), PoetChallenge([2; 32])];
    world.step(Input::Poet(PoetEvent::Result { round: Epoch(1), proof: poet_proof(&members), members }));
    world.run_until(world.at(6, 0));
    assert_eq!(world.epochs_of(miner), [1, 3, 4, 5]);
    assert!(world.has_warned(|warning| matches!(warning, Warning::NotInRound { round: Epoch(1), .. })));
}

#[test]
fn a_fraud_stops_for_good() {
    let mut world = World::new(2, Weather::default());
    let [fraud, honest] = world.miners()[..] else { panic!() };
    world.run_until(world.at(2, 3_000));
    world.known.frauds.insert(fraud);
    world.run_until(world.at(3, 0));
    world.kill(1_000);
    world.run_until(world.at(5, 0));
    assert_eq!(world.epochs_of(fraud), [1]);
    assert_eq!(world.epochs_of(honest), [1, 2, 3, 4]);
    assert_eq!(world.status(fraud).phase, Phase::Stopped);
    // Once a life of the process.
    assert_eq!(world.warnings, vec![(fraud, Warning::Fraud); 2]);
}

/// The node's own rules have the last word. What they reject never went out, and there is no second try in its epoch.
#[test]
fn a_rejected_atx_costs_its_epoch() {
    let mut world = World::new(1, Weather { judge_ms: 3_000, ..Weather::default() });
    let miner = world.miners()[0];
    world.run_until(world.at(2, 0));
    while world.status(miner).phase != Phase::Signed {
        world.run_until(world.now.after(1));
    }
    let record = world.archive.smeshing(miner).unwrap().unwrap();
    let signed = signed_id(&world, &record);
    world.step(Input::AtxJudged { id: AtxId([5; 32]), ok: false, why: "another".into() });
    assert_eq!(world.status(miner).phase, Phase::Signed, "another one's verdict is nothing to it");
    world.step(Input::AtxJudged { id: signed, ok: false, why: "for a test".into() });
    world.forget_judging();
    world.run_until(world.at(6, 0));
    assert_eq!(world.epochs_of(miner), [1, 3, 4, 5]);
    let rejected = Warning::AtxRejected { epoch: Epoch(2), why: "for a test".into() };
    assert_eq!(world.warnings, vec![(miner, rejected)]);
}

/// The id of the ATX in a record: the machine publishes it again when it is restored.
fn signed_id(world: &World, record: &[u8]) -> AtxId {
    let mut archive = Memory::default();
    archive.write(Write::Smeshing { node_id: world.miners()[0], bytes: record.to_vec() });
    let mut smesher = smesher(world);
    smesher.restore(&archive).unwrap();
    let mut out = vec![];
    smesher.step(world.now, &world.known, Input::Tick, &mut out);
    match &out[..] {
        [node::smeshing::Effect::Publish { atx, .. }] => atx.id,
        other => panic!("{other:?}"),
    }
}

fn smesher(world: &World) -> Smesher {
    let signers = world.seeds.iter().map(|seed| Signer::new(world.params.genesis_id, seed)).collect();
    Smesher::new(world.params.clone(), Address([0; 24]), signers)
}

/// One key on two nodes: whoever sees the other's ATX gives way.
#[test]
fn another_nodes_atx_is_given_way_to() {
    let mut other = World::new(1, Weather::default());
    let miner = other.miners()[0];
    other.run_until(other.at(3, 0));
    let theirs = other.network.clone();
    assert_eq!(other.epochs_of(miner), [1, 2]);

    // Ours has its own challenge for epoch 2, and sees the other's ATX while proving.
    let mut world = World::new(1, Weather::default());
    world.provers.get_mut(&miner).unwrap().proving_ms = 5_000;
    world.run_until(world.at(1, 14_000));
    world.run_until(world.at(2, 3_000));
    world.hear(&theirs[1]);
    world.run_until(world.at(5, 0));
    let overtaken = Warning::Overtaken { id: theirs[1].id, epoch: Epoch(2) };
    assert_eq!(world.warnings, vec![(miner, overtaken)]);
    // Its own of epoch 2 was not signed, and the next builds on the other's.
    assert_eq!(world.epochs_of(miner), [1, 2, 3, 4]);
    assert_eq!(world.network[2].atx.previous_atxs, vec![theirs[1].id]);
}

/// Damaged or newer records stop the node: guessing could make it sign twice.
#[test]
fn unreadable_records_are_refused() {
    let world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    for bytes in [vec![], vec![2, 0, 0, 0, 0], vec![1, 0, 0, 0, 9], vec![1, 7]] {
        let mut archive = Memory::default();
        archive.write(Write::Smeshing { node_id: miner, bytes });
        let error = smesher(&world).restore(&archive).unwrap_err();
        assert!(matches!(&error, RestoreError::Record { node_id, .. } if *node_id == miner), "{error}");
    }
}

/// Events about nobody, about rounds nobody waits for, and answers that come twice, are nothing.
#[test]
fn stray_events_are_nothing() {
    let mut world = World::new(1, Weather::default());
    let miner = world.miners()[0];
    let (round, challenge, why) = (Epoch(9), PoetChallenge([3; 32]), String::from("why"));
    let stranger = node::ids::NodeId([7; 32]);
    let members = vec![challenge];
    let stray = |node_id| {
        let metadata = ProverMetadata { node_id, ..world.provers[&miner].metadata };
        [
            Input::Prover(ProverEvent::Failed { node_id, challenge: Challenge([0; 32]), why: why.clone() }),
            Input::Prover(ProverEvent::Gone { node_id }),
            Input::Prover(ProverEvent::Registered(metadata)),
            Input::Poet(PoetEvent::Registered { node_id, round, challenge }),
            Input::Poet(PoetEvent::Refused { node_id, round, challenge, retryable: false, why: why.clone() }),
            Input::Poet(PoetEvent::NotYet { round }),
            Input::Poet(PoetEvent::NoResult { round, why: why.clone() }),
            Input::Poet(PoetEvent::Result { round, proof: poet_proof(&members), members: members.clone() }),
            Input::AtxJudged { id: AtxId([1; 32]), ok: false, why: why.clone() },
        ]
    };
    let all: Vec<_> = stray(stranger).into_iter().chain(stray(miner)).collect();
    for ms in (0..90_000).step_by(1_000) {
        world.run_until(world.at(0, ms));
        all.iter().for_each(|input| world.step(input.clone()));
    }
    world.run_until(world.at(4, 0));
    assert_eq!(world.epochs_of(miner), [1, 2, 3]);
}
