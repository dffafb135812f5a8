//! Registering, polling, proofs; provers and nodes that come and go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use node::env::provers::{Config, ProversError};
use node::ids::{Challenge, NodeId};
use node::smeshing::{ProverEvent, ProverMetadata};
use post_core::proof::Proof;
use post_service::v1::node_request::Kind as Question;
use tonic::Code;

use crate::mock::{METADATA, MINER, Mock, Node, config, dial, end, metadata_answer, register};

const CHALLENGE: Challenge = Challenge([7; 32]);
const OTHER: Challenge = Challenge([8; 32]);

fn proof_of(challenge: Challenge) -> ProverEvent {
    let proof = Proof { nonce: 5, indices: challenge.0.repeat(3), pow: 1 << 40 };
    ProverEvent::Proof { node_id: MINER, challenge, proof, metadata: METADATA }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_polls_proof() {
    let mut node = Node::start(config()).await;
    let mock = Mock::new(5);
    assert_eq!(node.provers.list().iter().filter(|status| status.prover.is_some()).count(), 0);
    let stream = dial(node.address, &mock);
    assert_eq!(node.registered().await, METADATA);
    let status = &node.provers.list()[0];
    assert_eq!((status.node_id, status.prover.unwrap().0, status.asked), (MINER, METADATA, None));
    assert!(status.prover.unwrap().1.unwrap().ip().is_loopback());

    node.provers.ask(MINER, CHALLENGE);
    assert_eq!(node.provers.list()[0].asked, Some(CHALLENGE));
    assert_eq!(node.event().await, proof_of(CHALLENGE));
    assert_eq!(node.provers.list()[0].asked, None);
    // Asked once, under way five times, done.
    let asked = std::mem::take(&mut mock.lock().unwrap().asked);
    assert!(matches!(asked[0], Question::Metadata(_)));
    let polls = asked.iter().skip(1);
    assert!(polls.clone().all(|asked| matches!(asked, Question::GenProof(asked) if asked.challenge == CHALLENGE.0)));
    assert_eq!(polls.count(), 7);

    // And another.
    node.provers.ask(MINER, OTHER);
    assert_eq!(node.event().await, proof_of(OTHER));
    node.nothing_more();
    drop(node);
    assert_eq!(end(stream).await.code(), Code::Unavailable);
}

/// The prover is at something else: that is an answer, and the node may ask again.
#[tokio::test(flavor = "multi_thread")]
async fn another_challenge_while_busy() {
    let mut node = Node::start(config()).await;
    let mock = Mock::new(20);
    dial(node.address, &mock);
    node.registered().await;
    node.provers.ask(MINER, CHALLENGE);
    while mock.lock().unwrap().busy.is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    node.provers.ask(MINER, OTHER);
    match node.event().await {
        ProverEvent::Failed { node_id: MINER, challenge: OTHER, why } => assert!(why.contains("busy"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(node.provers.list()[0].asked, None);
    node.provers.ask(MINER, CHALLENGE);
    assert_eq!(node.event().await, proof_of(CHALLENGE));
    assert_eq!(mock.lock().unwrap().begun, [CHALLENGE.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_is_not_asked_for() {
    let mut node = Node::start(config()).await;
    let mock = Mock::new(u32::MAX);
    dial(node.address, &mock);
    node.registered().await;
    node.provers.ask(MINER, CHALLENGE);
    while mock.lock().unwrap().asked.len() < 4 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    node.provers.cancel(MINER);
    // One question may be on its way.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let asked = mock.lock().unwrap().asked.len();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mock.lock().unwrap().asked.len(), asked);
    node.nothing_more();
    // Nobody to ask is no matter.
    node.provers.ask(NodeId([9; 32]), CHALLENGE);
    node.provers.cancel(NodeId([9; 32]));
}

/// A prover as it should be dials again, for ever.
fn faithful(address: std::net::SocketAddr, mock: &Arc<Mutex<Mock>>) -> tokio::task::JoinHandle<()> {
    let mock = Arc::clone(mock);
    tokio::spawn(async move {
        loop {
            dial(address, &mock).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_restarts_in_the_middle_of_a_proof() {
    let mut node = Node::start(config()).await;
    let mock = Mock::new(10);
    let prover = faithful(node.address, &mock);
    node.registered().await;
    node.provers.ask(MINER, CHALLENGE);
    while mock.lock().unwrap().busy.is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let address = node.address;
    drop(node);
    // The old listener is gone as soon as its task has run.
    let mut node = loop {
        match node::env::provers::Provers::start(Config { listen: address, ..config() }).await {
            Ok((provers, events, address)) => break Node { provers, events, address },
            Err(ProversError::Listen { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(node.registered().await, METADATA);
    // The new node has forgotten, and its machine asks anew.
    assert_eq!(node.provers.list()[0].asked, None);
    node.provers.ask(MINER, CHALLENGE);
    assert_eq!(node.event().await, proof_of(CHALLENGE));
    assert_eq!(mock.lock().unwrap().begun.len(), 1, "the prover went on with what it was at");
    prover.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_stays_wanted_while_the_prover_is_away() {
    let mut node = Node::start(config()).await;
    // Before there ever was a prover.
    node.provers.ask(MINER, CHALLENGE);
    let mock = Mock::new(u32::MAX);
    let stream = dial(node.address, &mock);
    node.registered().await;
    while mock.lock().unwrap().busy.is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stream.abort();
    node.gone().await;
    assert_eq!(node.provers.list()[0].asked, Some(CHALLENGE));
    assert_eq!(node.provers.list()[0].prover, None);
    mock.lock().unwrap().busy = Some((CHALLENGE.0.to_vec(), 1));
    dial(node.address, &mock);
    node.registered().await;
    assert_eq!(node.event().await, proof_of(CHALLENGE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_takes_the_place_of_the_first() {
    let mut node = Node::start(config()).await;
    let (first, second) = (Mock::new(u32::MAX), Mock::new(3));
    let old = dial(node.address, &first);
    node.registered().await;
    node.provers.ask(MINER, CHALLENGE);
    second.lock().unwrap().meta.num_units = 5;
    let new = dial(node.address, &second);
    assert_eq!(node.registered().await, ProverMetadata { units: 5, ..METADATA });
    let status = end(old).await;
    assert_eq!(status.code(), Code::Aborted, "{status}");
    match node.event().await {
        ProverEvent::Proof { challenge: CHALLENGE, metadata: ProverMetadata { units: 5, .. }, .. } => {}
        other => panic!("{other:?}"),
    }
    new.abort();
    node.gone().await;
    node.nothing_more();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_miners_on_one_node() {
    let mut node = Node::start(config()).await;
    let (one, two) = (Mock::new(2), Mock::new(2));
    two.lock().unwrap().meta.node_id = vec![3; 32];
    dial(node.address, &one);
    dial(node.address, &two);
    node.registered().await;
    node.registered().await;
    node.provers.ask(MINER, CHALLENGE);
    node.provers.ask(NodeId([3; 32]), OTHER);
    let mut made = vec![node.event().await, node.event().await];
    made.sort_by_key(ProverEvent::node_id);
    assert_eq!(made[0], proof_of(CHALLENGE));
    assert!(matches!(&made[1], ProverEvent::Proof { node_id: NodeId([3, ..]), challenge: OTHER, .. }), "{made:?}");
}

/// The search for a nonce ends some time: the node asks now and then.
#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_comes_later() {
    let mut node = Node::start(Config { nonce_interval: Duration::from_millis(30), ..config() }).await;
    let mock = Mock::new(0);
    mock.lock().unwrap().meta.nonce = None;
    dial(node.address, &mock);
    assert_eq!(node.registered().await, ProverMetadata { nonce: None, ..METADATA });
    while mock.lock().unwrap().asked.len() < 3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    node.nothing_more();
    mock.lock().unwrap().meta.nonce = Some(99);
    assert_eq!(node.registered().await, METADATA);
    assert_eq!(node.provers.list()[0].prover.unwrap().0, METADATA);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let mut node = Node::start(config()).await;
    let mock = Mock::new(0);
    mock.lock().unwrap().meta.node_id = vec![9; 32];
    let status = end(dial(node.address, &mock)).await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("0909"), "{status}");
    node.nothing_more();
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_limit_to_streams() {
    let mut node = Node::start(Config { max_streams: 1, ..config() }).await;
    let stream = dial(node.address, &Mock::new(0));
    node.registered().await;
    assert_eq!(end(dial(node.address, &Mock::new(0))).await.code(), Code::ResourceExhausted);
    stream.abort();
    node.gone().await;
    // The place is free as soon as the stream's task has ended.
    loop {
        let answer = |_| Some(metadata_answer(crate::mock::meta()));
        let channel = crate::mock::channel(node.address).await.unwrap();
        let again = tokio::spawn(register(channel, vec![], answer));
        tokio::select! {
            metadata = node.registered() => break assert_eq!(metadata, METADATA),
            status = again => assert_eq!(status.unwrap().code(), Code::ResourceExhausted),
        }
    }
}
