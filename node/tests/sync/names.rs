//! What is needed by name comes, or is reported, whatever peers do.

use node::archive::Write;
use node::codec::encode;
use node::ids::{AtxId, Challenge};
use node::reconcile::Lie;
use node::sync::Input;

use crate::atxs::archive;
use crate::many::poet;
use crate::world::{Manner, World, peer};

#[test]
fn a_forged_poet_does_not_end_the_hunt() {
    let other: &'static [u8] = Box::leak(encode(&poet(6)).into_boxed_slice());
    for forged in [other, &[7; 50], &[]] {
        let wanted = poet(5);
        let mut with_poet = archive([]);
        with_poet.write(Write::Poet { id: wanted.id(), bytes: encode(&wanted) });
        let mut world = World::new(0, |_| {});
        world.serve(1, archive([]), Manner::Forging(forged));
        world.serve(2, with_poet, Manner::Honest);
        world.after(0, Input::Fetch { atxs: vec![], poets: vec![wanted.id()], from: Some(peer(1)) });
        assert!(world.run(5_000, |world| !world.poets.is_empty()));
        assert_eq!(world.poets, [peer(2)]);
        match &world.punished[..] {
            [(who, Lie::Outside { .. } | Lie::Poet(_))] if *who == peer(1) => {}
            other => panic!("{other:?}"),
        }
        // With forgers only it is reported.
        let mut world = World::new(0, |_| {});
        world.serve(1, archive([]), Manner::Forging(forged));
        world.serve(2, archive([]), Manner::Forging(forged));
        world.after(0, Input::Fetch { atxs: vec![], poets: vec![wanted.id()], from: Some(peer(1)) });
        assert!(world.run(5_000, |world| !world.not_found.is_empty()));
        assert_eq!((&world.not_found[..], world.poets.len()), (&[(vec![], vec![wanted.id()])][..], 0));
    }
}

fn fakes(count: u32, tag: u8) -> Vec<Challenge> {
    let fake = |i: u32| {
        let mut name = [0; 32];
        name[1..5].copy_from_slice(&i.to_be_bytes());
        name[31] = tag;
        Challenge(name)
    };
    (0..count).map(fake).collect()
}

/// Many wishes of one peer, with names that come first in any order of names, don't keep those of others waiting.
#[test]
fn wishes_are_served_in_turn() {
    let wanted = poet(5);
    let mut with_poet = archive([]);
    with_poet.write(Write::Poet { id: wanted.id(), bytes: encode(&wanted) });
    let mut world = World::new(0, |_| {});
    world.serve(1, archive([]), Manner::Honest);
    world.serve(2, archive([]), Manner::Refusing);
    world.serve(3, with_poet, Manner::Honest);
    let (names, wanted) = (fakes(1000, 1), wanted.id());
    world.after(0, Input::Fetch { atxs: vec![], poets: names, from: Some(peer(1)) });
    world.after(2000, Input::Fetch { atxs: vec![], poets: vec![wanted], from: Some(peer(2)) });
    // A request takes 20 ms, and every other one is for the others.
    assert!(world.run(2500, |world| world.poets == [peer(3)]));
    // All fakes are asked for in the end, and reported.
    assert!(world.run(200_000, |world| world.not_found.iter().map(|(_, poets)| poets.len()).sum::<usize>() == 1000));
}

#[test]
fn what_is_too_much_is_reported_at_once() {
    let mut world = World::new(0, |_| {});
    for i in 1..10 {
        world.serve(i, archive([]), Manner::Silent);
    }
    world.run(100, |_| false);
    // One peer's wishes, then those of others until there are as many as can be.
    let mut reported = Vec::new();
    for i in 1..10 {
        world.step(Input::Fetch { atxs: vec![], poets: fakes(1500, i), from: Some(peer(i)) });
        reported.push(world.not_found.drain(..).map(|(_, poets)| poets.len()).sum::<usize>());
    }
    assert_eq!(reported, [476, 476, 476, 476, 476, 476, 476, 476, 1500]);
    // Nobody answers; still all is reported in the end.
    let done = |world: &World| world.not_found.iter().map(|(_, poets)| poets.len()).sum::<usize>() == 8 * 1024;
    for i in 1..10 {
        world.after(3_000, Input::PeerDown(peer(i)));
    }
    assert!(world.run(10_000, done));
}

/// Who is slow delays what it was asked for, not all that it was to be asked for.
#[test]
fn nobody_is_waited_for_long() {
    let wanted = poet(5);
    let mut with_poet = archive([]);
    with_poet.write(Write::Poet { id: wanted.id(), bytes: encode(&wanted) });
    let mut world = World::new(0, |_| {});
    world.serve(1, archive([]), Manner::Dripping);
    world.serve(2, with_poet, Manner::Honest);
    let names = [fakes(50, 1), vec![wanted.id()]].concat();
    world.after(0, Input::Fetch { atxs: vec![AtxId([9; 32])], poets: names, from: Some(peer(1)) });
    assert!(world.run(30_000, |world| world.poets == [peer(2)]));
}
