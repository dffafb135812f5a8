#![allow(clippy::unwrap_used)]

use node::params::NodeParams;
use node::status::{AgreementStatus, LayerStatus, Status, Sync};
use node::time::Time;

use super::super::{Final, Story};
use super::*;

const LAYERS: u32 = 6;

fn story() -> Story {
    Story { layers: LAYERS, nodes: 4, kill: 0, partition: None, late: false, lies: vec![], seed: 1 }
}

/// All went well.
fn good(story: Story) -> Course {
    let params = NodeParams::devnet(Time(0));
    let mut course = Course::new(story, &params).unwrap();
    for _ in 0..course.kills.len() {
        let kill = course.kills.pop_front().unwrap();
        course.tracks[kill.node].killed = true;
    }
    if course.late.take().is_some() {
        course.tracks.push(Track { late: true, ..Track::default() });
    }
    let guilty = course.story.lies.len();
    let issued = course.curve.issued(LAYERS.into());
    for track in &mut course.tracks {
        for layer in course.layers.start.0..course.layers.end.0 {
            let known = Final { block: Some(format!("b{layer}")), root: format!("r{layer}"), after_ms: 1 };
            track.layers.insert(layer, known);
        }
        track.status = Some(status(course.layers.end.0 - 1, issued, guilty));
    }
    course
}

fn status(layer: u32, issued: u64, frauds: usize) -> Status {
    let last = LayerStatus { layer, block: None, root: String::new(), paid: 0, transactions: 0 };
    let (held, carried) = (issued / 3, issued - issued / 3);
    let agreement = AgreementStatus { last: Some(last), issued, held, carried, ..AgreementStatus::default() };
    Status {
        version: String::new(),
        genesis_id: String::new(),
        peer: String::new(),
        now_ms: 0,
        epoch: None,
        layer: None,
        synced: true,
        sync: Sync::default(),
        peers: 3,
        frauds,
        parked: 0,
        epochs: vec![],
        agreement,
        smeshing: vec![],
    }
}

fn problems(story: Story, change: impl FnOnce(&mut Course)) -> Vec<String> {
    let mut course = good(story);
    change(&mut course);
    let summary = course.summary(None, Duration::ZERO, None);
    assert_eq!(summary.ok, summary.problems.is_empty());
    summary.problems
}

#[test]
fn full_agreement_is_ok() {
    let disturbed = Story { kill: 1, late: true, ..story() };
    for story in [story(), disturbed, Story { lies: vec!["ballot".into()], ..story() }] {
        assert_eq!(problems(story, |_| {}), Vec::<String>::new());
    }
}

#[test]
fn nothing_else_is() {
    let wrong = |what: &str, change: fn(&mut Course)| assert!(!problems(story(), change).is_empty(), "{what}");
    let last = |course: &Course| course.layers.end.0 - 1;
    wrong("no nodes", |course| course.tracks.clear());
    wrong("one does not answer", |course| course.tracks[2].status = None);
    wrong("one has no layers", |course| course.tracks[2].layers.clear());
    wrong("another root", |course| {
        course.tracks[0].layers.get_mut(&course.layers.start.0).unwrap().root = "x".into();
    });
    wrong("another block", |course| {
        course.tracks[3].layers.get_mut(&(course.layers.start.0 + 2)).unwrap().block = None;
    });
    wrong("too many empty layers", |course| {
        for track in &mut course.tracks {
            track.layers.values_mut().take(3).for_each(|known| known.block = None);
        }
    });
    wrong("money is lost", |course| course.tracks[1].status.as_mut().unwrap().agreement.held -= 1);
    wrong("paid to others", |course| {
        let agreement = &mut course.tracks[1].status.as_mut().unwrap().agreement;
        (agreement.held, agreement.burned) = (agreement.held - 1, 1);
    });
    wrong("issued too much", |course| {
        for track in &mut course.tracks {
            let agreement = &mut track.status.as_mut().unwrap().agreement;
            (agreement.issued, agreement.held) = (agreement.issued + 1, agreement.held + 1);
        }
    });
    wrong("an innocent is convicted", |course| course.tracks[1].status.as_mut().unwrap().frauds = 1);
    wrong("the late one did not come", |course| course.late = Some(course.layers.start));
    let mut short = good(story());
    let end = last(&short);
    short.tracks[1].layers.remove(&end);
    assert!(!short.summary(None, Duration::ZERO, None).ok, "the last layer is missing");
    assert!(!good(story()).summary(Some("a node ended".into()), Duration::ZERO, None).ok);
}

#[test]
fn the_killed_and_liars_count_for_what_they_are() {
    let killed = || Story { kill: 1, ..story() };
    let dead = |course: &Course| course.tracks.iter().position(|track| track.killed).unwrap();
    let ok = problems(killed(), |course| {
        let i = dead(course);
        course.tracks[i].status = None;
        course.tracks[i].layers.clear();
    });
    assert!(ok.is_empty(), "{ok:?}");
    let differs = problems(killed(), |course| {
        let i = dead(course);
        course.tracks[i].layers.values_mut().next().unwrap().root = "x".into();
    });
    assert!(!differs.is_empty(), "what was final before its end");
    let half_empty = problems(killed(), |course| {
        for track in &mut course.tracks {
            track.layers.values_mut().take(5).for_each(|known| known.block = None);
        }
    });
    assert!(half_empty.is_empty(), "{half_empty:?}");

    let lying = || Story { lies: vec!["ballot".into()], ..story() };
    let ok = problems(lying(), |course| course.tracks[3].layers.clear());
    assert!(ok.is_empty(), "{ok:?}");
    assert!(!problems(lying(), |course| course.tracks[0].status.as_mut().unwrap().frauds = 0).is_empty());
    assert!(!problems(lying(), |course| course.tracks[0].liars_weight = 1).is_empty());
}
