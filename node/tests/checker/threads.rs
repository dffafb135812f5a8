//! The checker with its threads.

use std::collections::BTreeMap;
use std::time::Duration;

use node::atxs::{Dear, Judgement};
use node::env::checker::{Checker, CheckerConfig, CheckerError, CheckerEvent, Limits};
use node::ids::AtxId;
use node::params::NodeParams;
use node::source::Source;
use node::time::Time;
use post_core::backend::faulty::Faulty;
use post_core::pow::{Mode, PowVerifier};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::jobs::{self, ByThree, NoMemory};
use crate::judge::cpu;
use crate::samples;
use crate::support::{alone, good, gossip, message, of_kind, peer};

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

pub(crate) fn config() -> CheckerConfig {
    let mut params = NodeParams::devnet(Time(0));
    params.genesis_id = samples::GENESIS;
    params.post = jobs::params();
    let pows: Vec<Box<dyn PowVerifier + Send>> = vec![Box::new(ByThree)];
    CheckerConfig { params, backends: vec![cpu()], pows, limits: Limits::default(), max_claims: 100_000 }
}

async fn next(events: &mut Receiver<CheckerEvent>) -> CheckerEvent {
    timeout(LONG, events.recv()).await.expect("an event in time").expect("a checker that goes on")
}

#[tokio::test]
async fn messages_come_out_with_their_verdicts() {
    let (checker, mut events) = Checker::start(config()).unwrap();
    let mut expected = BTreeMap::new();
    for number in 0..600 {
        let message = message((number % 5) as u8, of_kind((number % 7) as u8, number));
        // Some kinds give the same bytes again.
        if expected.insert(message.source, alone(&message)).is_none() {
            assert_eq!(checker.submit(message.source, message.bytes), []);
        }
    }
    while !expected.is_empty() {
        let event = next(&mut events).await;
        let (CheckerEvent::Atx { source, .. } | CheckerEvent::Junk { source, .. }) = event else {
            panic!("{event:?}");
        };
        assert_eq!(expected.remove(&source), Some(event));
    }
    checker.stop(events);
}

#[tokio::test]
async fn jobs_come_out_with_their_judgements() {
    let (checker, mut events) = Checker::start(config()).unwrap();
    let mut expected: BTreeMap<AtxId, jobs::Kind> = BTreeMap::new();
    for (job, kind) in jobs::all() {
        checker.judge(job.clone()).unwrap();
        expected.insert(job.id, *kind);
    }
    assert!(checker.queue_free() <= 100_000);
    while !expected.is_empty() {
        match next(&mut events).await {
            CheckerEvent::Judged { id, judgement } => assert!(expected.remove(&id).unwrap().fits(&judgement)),
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(checker.queue_free(), 100_000);
    checker.stop(events);
}

#[tokio::test]
async fn jobs_are_given_back_when_there_is_no_room() {
    // Busy with the first job until the end of the test.
    let slow = Faulty::new("slow", cpu(), 1).slow(Duration::from_millis(200));
    let (checker, mut events) =
        Checker::start(CheckerConfig { backends: vec![Box::new(slow)], max_claims: 10, ..config() }).unwrap();
    let (job, _) = &jobs::all()[3];
    let two_posts = |number: u8| Dear { id: AtxId([number; 32]), ..job.clone() };
    for number in 0..5 {
        assert_eq!(checker.queue_free(), 10 - 2 * usize::from(number));
        checker.judge(two_posts(number)).unwrap();
    }
    assert_eq!(checker.queue_free(), 0);
    assert_eq!(checker.judge(two_posts(5)).unwrap_err(), two_posts(5));
    for number in 0..5 {
        let id = AtxId([number; 32]);
        assert_eq!(next(&mut events).await, CheckerEvent::Judged { id, judgement: Judgement::Valid });
    }
    // A job that is larger than all the room there is finds it where none waits.
    let large = Dear { posts: job.posts.iter().cycle().take(11).cloned().collect(), ..two_posts(6) };
    checker.judge(large).unwrap();
    assert!(matches!(next(&mut events).await, CheckerEvent::Judged { judgement: Judgement::Valid, .. }));
    checker.stop(events);
}

#[tokio::test]
async fn what_cannot_be_judged_is_not_invalid() {
    let pows: Vec<Box<dyn PowVerifier + Send>> = vec![Box::new(NoMemory)];
    let (checker, mut events) = Checker::start(CheckerConfig { pows, ..config() }).unwrap();
    let (job, _) = &jobs::all()[0];
    for _ in 0..2 {
        checker.judge(job.clone()).unwrap();
        match next(&mut events).await {
            CheckerEvent::Failed { job: again, why } => {
                assert!(why.contains("2080 MiB"), "{why}");
                assert_eq!(again, *job);
            }
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(checker.queue_free(), 100_000);
    checker.stop(events);
}

#[tokio::test]
async fn it_ends_while_nobody_reads() {
    let (checker, events) = Checker::start(config()).unwrap();
    for number in 0..5000 {
        let bytes = good(number % 50);
        let _ = checker.submit(Source::Answer { peer: peer((number % 9) as u8) }, bytes);
    }
    for (job, _) in jobs::all().iter().cycle().take(3000) {
        checker.judge(job.clone()).unwrap();
    }
    let stopped = tokio::task::spawn_blocking(move || checker.stop(events));
    timeout(LONG, stopped).await.expect("an end").unwrap();
}

#[tokio::test]
async fn dropped_it_ends_too() {
    let (checker, mut events) = Checker::start(config()).unwrap();
    drop(checker);
    assert_eq!(timeout(LONG, events.recv()).await.expect("an end"), None);
}

#[test]
fn without_means_there_is_no_checker() {
    let none = Checker::start(CheckerConfig { backends: Vec::new(), ..config() });
    assert!(matches!(none, Err(CheckerError::NoMeans)));
    let none = Checker::start(CheckerConfig { pows: Vec::new(), ..config() });
    assert!(matches!(none, Err(CheckerError::NoMeans)));
}

/// With RandomX and the labels of a real network.
#[tokio::test]
async fn the_usual_means_judge() {
    let params = NodeParams::devnet(Time(0));
    let (checker, mut events) = Checker::start(CheckerConfig::new(params, 1, Mode::Light).unwrap()).unwrap();
    let (mut job, _) = jobs::all()[0].clone();
    // 5 indices where 37 must be.
    checker.judge(job.clone()).unwrap();
    let event = next(&mut events).await;
    assert!(
        matches!(event, CheckerEvent::Judged { judgement: Judgement::InvalidPost { post: 0, .. }, .. }),
        "{event:?}"
    );
    job.posts.clear();
    checker.judge(job.clone()).unwrap();
    assert_eq!(next(&mut events).await, CheckerEvent::Judged { id: job.id, judgement: Judgement::Valid });
    let bytes = good(1);
    assert_eq!(checker.submit(gossip(peer(1), &bytes), bytes), []);
    // Signed for another network.
    assert!(matches!(next(&mut events).await, CheckerEvent::Junk { .. }));
    checker.stop(events);
}
