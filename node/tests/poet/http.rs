//! The client against answers written by hand: as a server of the live network gives them, and as a bad one might.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use node::env::poet::{HttpPoet, Poet, PoetError, Registration};
use node::ids::{Epoch, NodeId, Signature};
use node::poet::{Members, PoetProof, Prover};
use node::time::Time;
use serde_json::{Value, json};

use crate::local::{challenge, signer};

/// A request's first line and body.
type Request = (String, String);

/// Answers one request after the other, each on a connection of its own, and gives back what was asked.
struct Canned {
    address: String,
    requests: JoinHandle<Vec<Request>>,
}

fn read_request(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let (mut header, mut length) = (String::new(), 0);
    while reader.read_line(&mut header).unwrap() > 2 {
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        header.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (line.trim().into(), String::from_utf8(body).unwrap())
}

impl Canned {
    fn new(answers: Vec<(u16, Vec<u8>)>) -> Self {
        Self::with(answers, |mut stream, (status, body)| {
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            // A client that has read enough may be gone.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        })
    }

    fn with<A: Send + 'static>(answers: Vec<A>, answer: impl Fn(&TcpStream, A) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = std::thread::spawn(move || {
            let one = |with| {
                let (stream, _) = listener.accept().unwrap();
                let request = read_request(&stream);
                answer(&stream, with);
                request
            };
            answers.into_iter().map(one).collect()
        });
        Self { address, requests }
    }

    fn json(answers: &[(u16, Value)]) -> Self {
        Self::new(answers.iter().map(|(status, body)| (*status, body.to_string().into_bytes())).collect())
    }

    fn client(&self) -> HttpPoet {
        HttpPoet::new(&self.address)
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

#[test]
fn info() {
    // A server that still names rounds, and gives what is empty as null.
    let canned = Canned::json(&[(
        200,
        json!({
            "openRoundId": "7", "executingRoundId": null, "servicePubkey": base64([9; 32]),
            "phaseShift": "864000s", "cycleGap": "43200.5s", "certifier": { "pubkey": "", "url": "" },
        }),
    )]);
    let info = canned.client().info().unwrap();
    assert_eq!(info.service, [9; 32]);
    assert_eq!(info.phase_shift, Duration::from_secs(240 * 3600));
    assert_eq!(info.cycle_gap, Duration::from_millis(43_200_500));
    assert_eq!(canned.requests.join().unwrap(), [("GET /v1/info HTTP/1.1".into(), String::new())]);
    // Names as in the .proto, the other alphabet of base64, no padding.
    let key = URL_SAFE.encode([0xff; 32]).replace('=', "");
    let canned = Canned::json(&[(200, json!({ "service_pubkey": key, "phase_shift": null }))]);
    let info = canned.client().info().unwrap();
    assert_eq!((info.service, info.phase_shift), ([0xff; 32], Duration::ZERO));
}

/// All that a server checks is in the request, and is right.
#[test]
fn a_registration() {
    let pow = json!({ "powParams": { "difficulty": 9, "challenge": base64(b"some challenge") } });
    let answer = json!({ "roundId": "21", "roundEnd": "1209600.25s" });
    let canned = Canned::json(&[(200, pow), (200, answer)]);
    let (signer, challenge) = (signer(5), challenge(6));
    let registration = canned.client().submit(&signer, challenge, Some(Time(1_689_321_600_250))).unwrap();
    let ends_in = Some(Duration::from_millis(1_209_600_250));
    assert_eq!(registration, Registration { round: Epoch(21), ends_in });

    let requests = canned.requests.join().unwrap();
    assert_eq!(requests[0].0, "GET /v1/pow_params HTTP/1.1");
    assert_eq!(requests[1].0, "POST /v1/submit HTTP/1.1");
    let request: Value = serde_json::from_str(&requests[1].1).unwrap();
    let bytes = |name: &str| STANDARD.decode(request[name].as_str().unwrap()).unwrap();
    assert_eq!(bytes("challenge"), challenge.0);
    assert_eq!(bytes("pubkey"), signer.node_id().0);
    assert_eq!(request["powParams"], json!({ "difficulty": 9, "challenge": base64(b"some challenge") }));
    assert_eq!(request["deadline"], "2023-07-14T08:00:00.250Z");
    // As a server does: one signature over prefix and challenge, nothing known of the network.
    let message = [bytes("prefix"), bytes("challenge")].concat();
    let NodeId(key) = signer.node_id();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
    let Signature(signature) = Signature(bytes("signature").try_into().unwrap());
    key.verify_strict(&message, &ed25519_dalek::Signature::from_bytes(&signature)).unwrap();
    assert_eq!(bytes("prefix").len(), 21);
    let nonce: u64 = request["nonce"].as_str().unwrap().parse().unwrap();
    let work = [&b"some challenge"[..], &signer.node_id().0, &challenge.0, &nonce.to_le_bytes()].concat();
    use ripemd::Digest;
    let hash = ripemd::Ripemd256::digest(work);
    assert_eq!((hash[0], hash[1] >> 7), (0, 0));
}

#[test]
fn no_work_asked_for_and_no_end_told() {
    let canned = Canned::json(&[(200, json!({})), (200, json!({ "round_id": "3" }))]);
    let registration = canned.client().submit(&signer(1), challenge(1), None).unwrap();
    assert_eq!(registration, Registration { round: Epoch(3), ends_in: None });
    let request: Value = serde_json::from_str(&canned.requests.join().unwrap()[1].1).unwrap();
    assert_eq!((request["nonce"].as_str(), request.get("deadline")), (Some("0"), None));
}

fn submit_refused(status: u16, body: Value) -> PoetError {
    let canned = Canned::json(&[(200, json!({})), (status, body)]);
    canned.client().submit(&signer(1), challenge(1), None).unwrap_err()
}

#[test]
fn refusals_are_told_apart() {
    let refused =
        |status, code, message| submit_refused(status, json!({ "code": code, "message": message, "details": [] }));
    let late = refused(400, 9, "too late to register for the desired round");
    assert!(matches!(late, PoetError::TooLate { .. }) && !late.is_transient());
    let taken = refused(409, 6, "conflict");
    assert!(matches!(taken, PoetError::AlreadyRegistered { .. }) && !taken.is_transient());
    let invalid = refused(400, 3, "invalid proof of work parameters");
    assert!(matches!(&invalid, PoetError::Refused { status: 400, reason, .. } if reason.contains("proof of work")));
    assert!(invalid.is_transient(), "the parameters may just have changed");
    assert!(refused(429, 8, "max members").is_transient());
    assert!(matches!(submit_refused(503, json!("down")), PoetError::Refused { status: 503, .. }));
    let long = submit_refused(500, json!({ "message": "x".repeat(5000) }));
    assert!(long.to_string().len() < 400);
    let canned = Canned::json(&[(200, json!({ "powParams": { "difficulty": 31 } }))]);
    let hard = canned.client().submit(&signer(1), challenge(1), None).unwrap_err();
    assert!(matches!(hard, PoetError::TooHard { difficulty: 31, .. }) && !hard.is_transient());
}

/// A round as a server gives it.
fn round() -> (Value, PoetProof) {
    let members = [1, 2, 3, 4, 5].map(challenge);
    let mut prover = Prover::new(Members::new(&members).unwrap().root());
    prover.work(300);
    let proof = prover.prove().unwrap();
    let list = |hashes: &[[u8; 32]]| hashes.iter().map(base64).collect::<Vec<_>>();
    let answer = json!({
        "proof": {
            "proof": {
                "root": base64(proof.root), "provenLeaves": list(&proof.proven), "proofNodes": list(&proof.nodes),
            },
            "members": list(&members.map(|member| member.0)),
            "leaves": "300",
        },
        "pubkey": base64([4; 32]),
    });
    (answer, proof)
}

fn proof_of(answer: &Value) -> Result<PoetProof, PoetError> {
    let canned = Canned::json(&[(200, answer.clone())]);
    let result = canned.client().proof(Epoch(12))?.unwrap();
    assert_eq!(canned.requests.join().unwrap()[0].0, "GET /v1/proofs/12 HTTP/1.1");
    assert_eq!((result.round, result.service), (Epoch(12), [4; 32]));
    assert_eq!(result.members, [1, 2, 3, 4, 5].map(challenge));
    Ok(result.proof)
}

#[test]
fn a_proof() {
    let (mut answer, proof) = round();
    assert_eq!(proof_of(&answer).unwrap(), proof);
    answer["proof"]["leaves"] = json!(300);
    assert_eq!(proof_of(&answer).unwrap(), proof);
    let missing = Canned::json(&[(404, json!({ "code": 5, "message": "proof not found" }))]);
    assert_eq!(missing.client().proof(Epoch(1)).unwrap(), None);
}

#[test]
fn a_proof_that_does_not_hold_is_refused() {
    let (good, _) = round();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut answer = good.clone();
        change(&mut answer);
        proof_of(&answer).unwrap_err()
    };
    let wrong =
        |error: PoetError| assert!(matches!(error, PoetError::Proof { .. }) && !error.is_transient(), "{error}");
    wrong(refused(&|a| a["proof"]["leaves"] = json!("301")));
    wrong(refused(&|a| a["proof"]["leaves"] = json!(u64::MAX)));
    wrong(refused(&|a| a["proof"]["members"][0] = json!(base64([7; 32]))));
    wrong(refused(&|a| drop(a["proof"]["members"].as_array_mut().unwrap().pop())));
    wrong(refused(&|a| a["proof"]["proof"]["provenLeaves"][9] = json!(base64([7; 32]))));
    wrong(refused(&|a| a["proof"]["proof"]["proofNodes"] = json!([])));
    let nobody = refused(&|a| a["proof"]["members"] = json!([]));
    assert!(matches!(nobody, PoetError::Members { .. }));
    let malformed = |error: PoetError| assert!(matches!(error, PoetError::Malformed { .. }), "{error}");
    malformed(refused(&|a| a["proof"]["members"][0] = json!(base64([7; 31]))));
    malformed(refused(&|a| a["proof"]["members"][0] = json!("not base64!")));
    malformed(refused(&|a| a["proof"]["leaves"] = json!("many")));
    malformed(refused(&|a| a["pubkey"] = json!(null)));
}

#[test]
fn garbage() {
    let bodies: [&[u8]; 8] =
        [b"", b"{", b"null", b"[1]", b"<html>", b"{\"servicePubkey\":5}", &[0xff; 99], &[b'['; 9999]];
    for body in bodies {
        let canned = Canned::new(vec![(200, body.to_vec())]);
        let error = canned.client().info().unwrap_err();
        assert!(matches!(error, PoetError::Malformed { .. }), "{error}");
    }
    let canned = Canned::json(&[(200, json!({})), (200, json!({ "roundId": "one" }))]);
    assert!(matches!(canned.client().submit(&signer(1), challenge(1), None), Err(PoetError::Malformed { .. })));
    let no_http = Canned::with(vec![()], |mut stream, ()| stream.write_all(b"SSH-2.0-x\r\n\r\n").unwrap());
    assert!(matches!(no_http.client().info(), Err(PoetError::Unreachable { .. })));
}

#[test]
fn a_body_without_end_is_not_read_to_its_end() {
    let endless = Canned::with(vec![()], |mut stream, ()| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b' '; 8192]).is_ok() {}
    });
    let error = endless.client().info().unwrap_err();
    assert!(matches!(&error, PoetError::Malformed { reason, .. } if reason.contains("65536")), "{error}");
    let promised = Canned::with(vec![()], |mut stream, ()| {
        let _ = stream.write_all(b"HTTP/1.1 500 x\r\ncontent-length: 99999999999\r\n\r\n");
        while stream.write_all(&[b' '; 8192]).is_ok() {}
    });
    assert!(promised.client().proof(Epoch(1)).is_err());
}

#[test]
fn silence_ends() {
    // Nobody accepts; the connection stands all the same.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let before = Instant::now();
    let error = HttpPoet::with_timeout(&address, Duration::from_millis(300)).info().unwrap_err();
    assert!(matches!(error, PoetError::Unreachable { .. }) && error.is_transient(), "{error}");
    assert!(before.elapsed() >= Duration::from_millis(300));
    drop(listener);
    let error = HttpPoet::new(&address).info().unwrap_err();
    assert!(matches!(error, PoetError::Unreachable { .. }), "{error}");
}
