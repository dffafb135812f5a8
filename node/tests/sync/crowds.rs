//! What is delivered finds room, and is not lost where there is none.

use node::atx::Received;
use node::sync::{MAX_UNJUDGED, MAX_UNJUDGED_BYTES};

use crate::atxs::{archive, atx, bytes};
use crate::machine::{full, ids, run_to_synced};
use crate::world::{Manner, World};

/// One of 200 KB, as if many had merged.
fn large_atx(epoch: u32, i: u32) -> Received {
    let mut atx = atx(epoch, i).atx;
    let name = format!("large {epoch} {i}");
    atx.niposts[0].posts[0].post.indices = bytes::<800>(&name).to_vec();
    atx.niposts[0].posts = vec![atx.niposts[0].posts[0].clone(); 245];
    Received::from(*atx)
}

#[test]
fn large_atxs_do_not_come_faster_than_they_are_judged() {
    let atxs: Vec<Received> = (0..60).map(|i| large_atx(i % 5, i)).collect();
    assert!(atxs.iter().all(|atx| atx.bytes.len() > 190_000));
    let mut world = World::new(5, |_| {});
    world.judging = 2000;
    world.serve(1, archive(&atxs), Manner::Honest);
    run_to_synced(&mut world, 300_000);
    assert_eq!((ids(&world.archive).len(), world.delivered.len()), (60, 60));
    assert!(world.most_unjudged_bytes > MAX_UNJUDGED_BYTES / 4);
    assert!(world.most_unjudged_bytes <= MAX_UNJUDGED_BYTES, "{}", world.most_unjudged_bytes);
    assert!(world.most_unjudged < MAX_UNJUDGED);
}

/// Twice is often enough for what is refused; what found no room was not looked at.
#[test]
fn what_found_no_room_is_asked_for_again() {
    let (all, atxs) = full(100);
    let mut world = World::new(5, |_| {});
    world.crowded = atxs.iter().step_by(3).map(|atx| (atx.id, 4)).collect();
    world.serve(1, all.clone(), Manner::Honest);
    world.serve(2, all.clone(), Manner::Honest);
    run_to_synced(&mut world, 60_000);
    assert!(ids(&world.archive) == ids(&all));
    assert_eq!(world.delivered.len(), 600 + 4 * 200);
}
