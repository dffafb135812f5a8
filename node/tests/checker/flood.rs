//! A flood of junk, and an honest peer in it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use node::env::checker::{Checker, CheckerConfig, CheckerEvent, Limits};
use node::source::Source;

use crate::support::{badly_signed, garbage, good, gossip, peer};
use crate::threads::config;

const JUNK_PEERS: u8 = 50;
const HONEST: u8 = 200;
const HONEST_EVERY: Duration = Duration::from_millis(50);

/// Junk prepared beforehand, one in `one_in` wrongly signed.
fn pool(one_in: u32) -> Vec<Vec<u8>> {
    (0..4000).map(|number| if number % one_in == 0 { badly_signed(number) } else { garbage(number) }).collect()
}

/// From 50 peers, which nobody bans here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_peer_gets_through_10_000_pieces_of_junk_a_second() {
    flood(pool(4), 10_000, Duration::from_secs(4)).await;
}

/// More than one thread can check: most of it has to give way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_peer_gets_through_more_than_can_be_checked() {
    let ignored = flood(pool(1), 100_000, Duration::from_secs(2)).await;
    assert!(ignored > 0);
}

/// Returns how many pieces nobody looked at.
async fn flood(pool: Vec<Vec<u8>>, junk_per_s: u32, time: Duration) -> u64 {
    let limits = Limits { peer: 256 << 10, all: 8 << 20 };
    let (checker, mut events) = Checker::start(CheckerConfig { limits, ..config() }).unwrap();
    let meters = checker.meters();
    let reader = tokio::spawn(async move {
        let (mut arrived, mut rejected, mut wrongly) = (BTreeMap::new(), 0_u64, 0_u64);
        while let Some(event) = events.recv().await {
            match event {
                CheckerEvent::Atx { source, .. } => _ = arrived.insert(source, Instant::now()),
                CheckerEvent::Junk { source, .. } if source.peer() == Some(peer(HONEST)) => wrongly += 1,
                CheckerEvent::Junk { .. } => rejected += 1,
                event => panic!("{event:?}"),
            }
        }
        (arrived, rejected, wrongly)
    });
    // Off the threads that read events.
    let flood = tokio::task::spawn_blocking(move || {
        let honest: Vec<_> = (0..200).map(good).collect();
        let (mut sent, mut ignored, mut junk, mut most) = (BTreeMap::new(), 0_u64, 0_u32, 0);
        let start = Instant::now();
        let mut honest = honest.into_iter();
        while start.elapsed() < time {
            let due = (start.elapsed().as_secs_f64() * f64::from(junk_per_s)) as u32;
            while junk < due {
                let mut bytes = pool[junk as usize % pool.len()].clone();
                // Never quite the same twice, or it would be known.
                if let Some(last) = bytes.last_mut() {
                    *last ^= (junk / pool.len() as u32) as u8;
                }
                let source = gossip(peer((junk % u32::from(JUNK_PEERS)) as u8), &bytes);
                ignored += checker.submit(source, bytes).len() as u64;
                junk += 1;
            }
            if start.elapsed() >= HONEST_EVERY * sent.len() as u32
                && let Some(bytes) = honest.next()
            {
                let source = gossip(peer(HONEST), &bytes);
                sent.insert(source, Instant::now());
                let gave_way = checker.submit(source, bytes);
                assert!(!gave_way.iter().any(|message| message.source.peer() == Some(peer(HONEST))));
                ignored += gave_way.len() as u64;
            }
            most = most.max(meters.bytes_waiting.load(Relaxed));
            std::thread::sleep(Duration::from_millis(1));
        }
        // The checker is dropped when all has been looked at.
        while meters.messages_waiting.load(Relaxed) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        (sent, ignored, junk, most, meters)
    });
    let (sent, ignored, junk, most, meters) = flood.await.unwrap();
    let (arrived, rejected, wrongly) = reader.await.unwrap();

    assert_eq!(wrongly, 0);
    assert_eq!(rejected + ignored, u64::from(junk), "each piece of junk has its verdict");
    assert!(most <= limits.all as u64, "{most} bytes waited");
    let mut delays: Vec<Duration> = sent
        .iter()
        .map(|(source, sent): (&Source, _)| {
            arrived.get(source).expect("an honest ATX").saturating_duration_since(*sent)
        })
        .collect();
    delays.sort();
    let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    eprintln!(
        "{junk} pieces of junk in {time:?}: {rejected} rejected, {ignored} not looked at; at most {most} bytes waited; \
         {} honest ATXs, median {median:?}, worst {worst:?}; {} µs of sieve, {} of them signatures",
        delays.len(),
        meters.sieve_us.load(Relaxed),
        meters.signatures_us.load(Relaxed),
    );
    assert!(delays.len() >= 20, "{}", delays.len());
    assert!(worst < Duration::from_secs(1), "worst {worst:?}");
    ignored
}

/// Nobody reads what the checker finds: memory stays bounded, whoever submits never waits, and all get a verdict.
#[tokio::test]
async fn a_blocked_reader_costs_messages_not_memory() {
    let limits = Limits { peer: 64 << 10, all: 512 << 10 };
    let (checker, mut events) = Checker::start(CheckerConfig { limits, ..config() }).unwrap();
    let meters = checker.meters();
    let pool = pool(4);
    let (mut ignored, total) = (0, 20_000_u32);
    for number in 0..total {
        let bytes = pool[number as usize % pool.len()].clone();
        ignored += checker.submit(gossip(peer((number % 50) as u8), &bytes), bytes).len() as u64;
        assert!(meters.bytes_waiting.load(Relaxed) <= limits.all as u64);
    }
    assert!(ignored > 0);
    let mut verdicts = 0;
    while verdicts + ignored < u64::from(total) {
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.expect("an event");
        assert!(matches!(event, Some(CheckerEvent::Junk { .. })), "{event:?}");
        verdicts += 1;
    }
    assert_eq!(meters.messages_waiting.load(Relaxed), 0);
    checker.stop(events);
}
