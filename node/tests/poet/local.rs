//! The PoET of a devnet, in this process and served to others.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use node::env::poet::{HttpPoet, LocalPoet, LocalPoetConfig, Poet, PoetError, PoetInfo, Registration, serve};
use node::ids::{Epoch, GenesisId, PoetChallenge};
use node::params::{NodeParams, Timing};
use node::poet::Members;
use node::signature::Signer;
use node::time::Time;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const GENESIS: Time = Time(1_000_000);
const LEAVES: u64 = 500;

fn genesis_id() -> GenesisId {
    NodeParams::devnet(GENESIS).genesis_id
}

fn timing() -> Timing {
    NodeParams::devnet(GENESIS).timing
}

pub(crate) fn signer(number: u8) -> Signer {
    Signer::new(genesis_id(), &[number; 32])
}

pub(crate) fn challenge(number: u8) -> PoetChallenge {
    PoetChallenge(blake3::hash(&[number]).into())
}

/// A PoET and the hands of its clock.
fn poet(dir: Option<&Path>, pow_difficulty: u32) -> (LocalPoet, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(GENESIS.0));
    let clock = Arc::clone(&now);
    let config = LocalPoetConfig {
        genesis_id: genesis_id(),
        timing: timing(),
        leaves: LEAVES,
        pow_difficulty,
        clock: Box::new(move || Time(clock.load(Ordering::SeqCst))),
        dir: dir.map(Into::into),
    };
    (LocalPoet::new(config).unwrap(), now)
}

fn set(clock: &AtomicU64, now: Time) {
    clock.store(now.0, Ordering::SeqCst);
}

/// A round from registration to proof, whoever is asked.
fn a_round(poet: &dyn Poet, clock: &AtomicU64) {
    let timing = timing();
    let ends = timing.round_ends(Epoch(2));
    set(clock, timing.round_opens(Epoch(1)));
    for number in [1, 2, 3] {
        let registration = poet.submit(&signer(number), challenge(number), Some(ends)).unwrap();
        let ends_in = Duration::from_millis(ends.since(timing.round_opens(Epoch(1))));
        assert_eq!(registration, Registration { round: Epoch(2), ends_in: Some(ends_in) });
    }
    // Again is the same; something else is not.
    assert_eq!(poet.submit(&signer(1), challenge(1), None).unwrap().round, Epoch(2));
    assert!(matches!(poet.submit(&signer(1), challenge(9), None), Err(PoetError::AlreadyRegistered { .. })));
    let earlier = Some(ends.before(1));
    assert!(matches!(poet.submit(&signer(4), challenge(4), earlier), Err(PoetError::TooLate { .. })));

    set(clock, timing.round_opens(Epoch(2)));
    assert!(matches!(poet.submit(&signer(4), challenge(4), Some(ends)), Err(PoetError::TooLate { .. })));
    assert_eq!(poet.submit(&signer(4), challenge(4), None).unwrap().round, Epoch(3));
    assert_eq!(poet.proof(Epoch(2)).unwrap(), None);
    set(clock, ends.before(1));
    assert_eq!(poet.proof(Epoch(2)).unwrap(), None);

    set(clock, ends);
    let result = poet.proof(Epoch(2)).unwrap().unwrap();
    assert_eq!(result.round, Epoch(2));
    assert_eq!(result.service, poet.info().unwrap().service);
    assert_eq!((result.proof.leaves, result.proof.verify()), (LEAVES, Ok(())));
    let mut members = result.members.clone();
    members.sort();
    let mut registered = [1, 2, 3].map(challenge);
    registered.sort();
    assert_eq!(members, registered);
    // What a miner needs for its ATX.
    let members = Members::new(&result.members).unwrap();
    let position = members.position(&challenge(2)).unwrap();
    let leaves = [(position, challenge(2))].into();
    let nodes = members.prove(&[position]).unwrap().nodes;
    assert_eq!(result.proof.verify_members(&leaves, &nodes), Ok(()));
    // A round without members, and ones that are not over.
    assert_eq!(poet.proof(Epoch(1)).unwrap(), None);
    assert_eq!(poet.proof(Epoch(3)).unwrap(), None);
    assert_eq!(poet.proof(Epoch(u32::MAX)).unwrap(), None);
    assert_eq!(poet.proof(Epoch(2)).unwrap(), Some(result));
}

/// Serves a PoET until dropped.
struct Server {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    fn new(poet: LocalPoet) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        runtime.spawn(serve(Arc::new(poet), listener, async { drop(stopped.await) }));
        Self { address, stop: Some(stop), runtime }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

#[test]
fn a_round_in_this_process() {
    let (poet, clock) = poet(None, 0);
    a_round(&poet, &clock);
}

#[test]
fn a_round_over_http() {
    let (poet, clock) = poet(None, 8);
    let server = Server::new(poet);
    let client = HttpPoet::new(&server.address);
    a_round(&client, &clock);
    let PoetInfo { phase_shift, cycle_gap, .. } = client.info().unwrap();
    assert_eq!(phase_shift, Duration::from_millis(timing().poet_phase_shift_ms));
    assert_eq!(cycle_gap, Duration::from_millis(timing().poet_cycle_gap_ms));
}

#[test]
fn one_round_for_many_nodes_at_once() {
    let (poet, clock) = poet(None, 0);
    let server = Server::new(poet);
    let ask_all = |ask: &(dyn Fn(u8) + Sync)| {
        std::thread::scope(|scope| (1..=8).for_each(|number| drop(scope.spawn(move || ask(number)))));
    };
    ask_all(&|number| {
        let registration = HttpPoet::new(&server.address).submit(&signer(number), challenge(number), None).unwrap();
        assert_eq!(registration.round, Epoch(0));
    });
    set(&clock, timing().round_ends(Epoch(0)));
    let first = HttpPoet::new(&server.address).proof(Epoch(0)).unwrap().unwrap();
    assert_eq!(first.members.len(), 8);
    ask_all(&|_| assert_eq!(HttpPoet::new(&server.address).proof(Epoch(0)).unwrap().as_ref(), Some(&first)));
}

#[test]
fn strangers_are_refused() {
    let (poet, _clock) = poet(None, 0);
    let server = Server::new(poet);
    let client = HttpPoet::new(&server.address);
    let stranger = Signer::new(GenesisId([7; 20]), &[1; 32]);
    let refused = client.submit(&stranger, challenge(1), None).unwrap_err();
    assert!(
        matches!(&refused, PoetError::Refused { status: 400, reason, .. } if reason.contains("signature")),
        "{refused}"
    );
    let zeros = client.submit(&signer(1), PoetChallenge([0; 32]), None).unwrap_err();
    assert!(matches!(zeros, PoetError::Refused { status: 400, .. }), "{zeros}");
}

/// Requests that no client of ours makes.
#[test]
fn bad_requests_are_refused_and_the_server_lives_on() {
    let (poet, _clock) = poet(None, 4);
    let server = Server::new(poet);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let post = |body: &str| {
        let request = agent.post(format!("http://{}/v1/submit", server.address));
        request.content_type("application/json").send(body).unwrap().status().as_u16()
    };
    assert_eq!(post("{"), 400);
    assert_eq!(post("{}"), 422);
    assert_eq!(post(&"x".repeat(100_000)), 413);
    let whole = |nonce: &str, difficulty: u32, deadline: &str| {
        let params = HttpPoet::new(&server.address).info().unwrap().service;
        let base64 = |bytes: &[u8]| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(bytes)
        };
        let signer = signer(1);
        let signature = signer.sign(node::signature::Domain::Poet, &challenge(1).0);
        serde_json::json!({
            "nonce": nonce,
            "powParams": { "difficulty": difficulty, "challenge": base64(&params) },
            "prefix": base64(&signer.prefix(node::signature::Domain::Poet)),
            "challenge": base64(&challenge(1).0),
            "pubkey": base64(&signer.node_id().0),
            "signature": base64(&signature.0),
            "deadline": deadline,
        })
        .to_string()
    };
    let end = "2100-01-01T00:00:00Z";
    let done = (0..).find(|nonce: &u64| post(&whole(&nonce.to_string(), 4, end)) == 200).unwrap();
    assert!(done < 1000);
    assert_eq!(post(&whole(&done.to_string(), 0, end)), 400, "work for other parameters");
    assert_eq!(post(&whole(&done.to_string(), 4, "tomorrow")), 400);
    assert_eq!(post(&whole(&done.to_string(), 4, "1970-01-01T00:00:00Z")), 400, "too late");
    assert_eq!(post(&whole("-1", 4, end)), 422);
    let get = |path: &str| agent.get(format!("http://{}{path}", server.address)).call().unwrap().status().as_u16();
    assert_eq!(
        (get("/v1/proofs/0"), get("/v1/proofs/x"), get("/v1/proofs/4294967296"), get("/")),
        (404, 400, 400, 404)
    );
    assert!(HttpPoet::new(&server.address).info().is_ok());
    assert!(server.runtime.metrics().num_workers() > 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a directory of the test's own")]
fn a_restart_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ends = timing().round_ends(Epoch(0));
    let (first, _) = poet(Some(dir.path()), 0);
    for number in [1, 2] {
        first.submit(&signer(number), challenge(number), None).unwrap();
    }
    drop(first);

    let (second, clock) = poet(Some(dir.path()), 0);
    assert!(matches!(second.submit(&signer(1), challenge(5), None), Err(PoetError::AlreadyRegistered { .. })));
    second.submit(&signer(3), challenge(3), None).unwrap();
    set(&clock, ends);
    let result = second.proof(Epoch(0)).unwrap().unwrap();
    assert_eq!(result.members.len(), 3);
    drop(second);

    // The proof is kept. Where it isn't, or is another's, it is made again.
    let proof = dir.path().join("0.proof");
    let kept = std::fs::read(&proof).unwrap();
    assert_eq!(kept, node::codec::encode(&result.proof));
    let again = || {
        let (poet, clock) = poet(Some(dir.path()), 0);
        set(&clock, ends);
        poet.proof(Epoch(0))
    };
    assert_eq!(again().unwrap().as_ref(), Some(&result));
    std::fs::remove_file(&proof).unwrap();
    assert_eq!(again().unwrap().as_ref(), Some(&result));
    assert_eq!(std::fs::read(&proof).unwrap(), kept);
    let mut other = result.proof.clone();
    other.leaves -= 1;
    std::fs::write(&proof, node::codec::encode(&other)).unwrap();
    assert_eq!(again().unwrap().as_ref(), Some(&result));

    // Half a write of a member list is not there; damage is an error that names the file.
    std::fs::write(dir.path().join("0.new"), b"half").unwrap();
    assert_eq!(again().unwrap().as_ref(), Some(&result));
    std::fs::write(&proof, &kept[..100]).unwrap();
    assert!(matches!(again().unwrap_err(), PoetError::Store { path, .. } if path == proof));
}
