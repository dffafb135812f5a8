//! Provers that say what they shouldn't, or nothing.

use std::time::Duration;

use node::env::provers::Config;
use node::ids::Challenge;
use node::smeshing::ProverEvent;
use post_service::v1::node_request::Kind as Question;
use post_service::v1::service_response::Kind as Answer;
use post_service::v1::{
    GenProofResponse, GenProofStatus, Metadata, MetadataResponse, Proof, ProofMetadata, ServiceResponse,
};
use tonic::Code;

use crate::mock::{
    METADATA, MINER, Mock, Node, channel, config, dial, end, meta, metadata_answer, proof_answer, register,
};

const CHALLENGE: Challenge = Challenge([7; 32]);

/// Answers the first question with metadata and every other with `answer`.
async fn with_answer(node: &Node, answer: Option<ServiceResponse>) -> tokio::task::JoinHandle<tonic::Status> {
    let channel = channel(node.address).await.unwrap();
    tokio::spawn(register(channel, vec![], move |question| match question {
        Question::Metadata(_) => Some(metadata_answer(meta())),
        Question::GenProof(_) => answer.clone(),
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_instead_of_metadata() {
    let mut node = Node::start(config()).await;
    let cases = [
        metadata_answer(Metadata { node_id: vec![], ..meta() }),
        metadata_answer(Metadata { node_id: vec![1; 31], ..meta() }),
        metadata_answer(Metadata { node_id: vec![1; 33], ..meta() }),
        metadata_answer(Metadata { commitment_atx_id: vec![2; 20], ..meta() }),
        ServiceResponse { kind: Some(Answer::Metadata(MetadataResponse { meta: None })) },
        proof_answer(GenProofStatus::Ok, None, None),
        ServiceResponse { kind: None },
    ];
    for answer in cases {
        let channel = channel(node.address).await.unwrap();
        let what = answer.clone();
        let stream = tokio::spawn(register(channel, vec![], move |_| Some(answer.clone())));
        assert_eq!(end(stream).await.code(), Code::InvalidArgument, "{what:?}");
    }
    node.nothing_more();
    // An honest one is served as before.
    dial(node.address, &Mock::new(0));
    assert_eq!(node.registered().await, METADATA);
}

/// What can't be a proof is a failure, and the stream goes on.
#[tokio::test(flavor = "multi_thread")]
async fn proofs_that_are_none() {
    let mut node = Node::start(config()).await;
    let proof = Mock::proof(&CHALLENGE.0);
    let good = ProofMetadata { challenge: CHALLENGE.0.to_vec(), meta: Some(meta()) };
    let echo = |challenge: Vec<u8>| Some(ProofMetadata { challenge, ..good.clone() });
    let indices = |len| Some(Proof { indices: vec![0; len], ..proof.clone() });
    let unknown = GenProofResponse { status: 77, proof: None, metadata: None };
    let cases = [
        (proof_answer(GenProofStatus::Ok, Some(proof.clone()), None), "without metadata"),
        (
            proof_answer(GenProofStatus::Ok, Some(proof.clone()), Some(ProofMetadata { meta: None, ..good.clone() })),
            "without metadata",
        ),
        (proof_answer(GenProofStatus::Ok, Some(proof.clone()), echo(vec![8; 32])), "another challenge"),
        (proof_answer(GenProofStatus::Ok, Some(proof.clone()), echo(vec![])), "another challenge"),
        (proof_answer(GenProofStatus::Ok, indices(801), Some(good.clone())), "more indices"),
        (proof_answer(GenProofStatus::Error, Some(proof.clone()), Some(good.clone())), "can't prove"),
        (proof_answer(GenProofStatus::Unspecified, None, None), "no status"),
        (ServiceResponse { kind: Some(Answer::GenProof(unknown)) }, "no status"),
    ];
    for (answer, wanted) in cases {
        let stream = with_answer(&node, Some(answer)).await;
        node.registered().await;
        for _ in 0..2 {
            node.provers.ask(MINER, CHALLENGE);
            match node.event().await {
                ProverEvent::Failed { node_id: MINER, challenge: CHALLENGE, why } => {
                    assert!(why.contains(wanted), "{why} / {wanted}");
                }
                other => panic!("{wanted}: {other:?}"),
            }
        }
        stream.abort();
        node.gone().await;
    }
}

/// Some things end the stream.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_end_a_stream() {
    let mut node = Node::start(config()).await;
    let huge = Proof { indices: vec![0; 1 << 20], ..Mock::proof(&[]) };
    let bad_meta = Metadata { node_id: vec![1; 4], ..meta() };
    let metadata = ProofMetadata { challenge: CHALLENGE.0.to_vec(), meta: Some(bad_meta) };
    let cases = [
        (proof_answer(GenProofStatus::Ok, Some(huge), None), Code::OutOfRange),
        (proof_answer(GenProofStatus::Ok, Some(Mock::proof(&[])), Some(metadata)), Code::InvalidArgument),
        (metadata_answer(meta()), Code::InvalidArgument),
        (ServiceResponse { kind: None }, Code::InvalidArgument),
    ];
    for (answer, code) in cases {
        let stream = with_answer(&node, Some(answer)).await;
        node.registered().await;
        node.provers.ask(MINER, CHALLENGE);
        let status = end(stream).await;
        assert_eq!(status.code(), code, "{status}");
        node.gone().await;
        // What is wanted is still wanted, of the next stream.
        assert_eq!(node.provers.list()[0].asked, Some(CHALLENGE));
        node.provers.cancel(MINER);
    }
    node.nothing_more();
}

#[tokio::test(flavor = "multi_thread")]
async fn unsolicited_messages_end_the_stream() {
    let mut node = Node::start(config()).await;
    // Metadata before it was asked for can't be told from an answer; what follows it can.
    for second in [metadata_answer(meta()), proof_answer(GenProofStatus::Ok, None, None)] {
        let channel = channel(node.address).await.unwrap();
        let unasked = vec![metadata_answer(meta()), second];
        let stream = tokio::spawn(register(channel, unasked, |_| None));
        node.registered().await;
        assert_eq!(end(stream).await.code(), Code::InvalidArgument);
        node.gone().await;
    }
    node.nothing_more();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_prover_is_cut_off() {
    let mut node = Node::start(Config { answer_timeout: Duration::from_millis(300), ..config() }).await;
    let silent = tokio::spawn(register(channel(node.address).await.unwrap(), vec![], |_| None));
    assert_eq!(end(silent).await.code(), Code::DeadlineExceeded);
    node.nothing_more();
    // It says who it is, and nothing more.
    let silent = with_answer(&node, None).await;
    node.registered().await;
    node.provers.ask(MINER, CHALLENGE);
    assert_eq!(end(silent).await.code(), Code::DeadlineExceeded);
    node.gone().await;
}

/// Bytes that are no HTTP at all, and connections that say nothing, are nobody's trouble.
#[tokio::test(flavor = "multi_thread")]
async fn noise_on_the_port() {
    use tokio::io::AsyncWriteExt;
    let mut node = Node::start(config()).await;
    let mut open = vec![];
    for i in 0..8_u8 {
        let mut stream = tokio::net::TcpStream::connect(node.address).await.unwrap();
        if i % 2 == 0 {
            stream.write_all(&[i; 4000]).await.unwrap();
        }
        open.push(stream);
    }
    dial(node.address, &Mock::new(0));
    assert_eq!(node.registered().await, METADATA);
}
