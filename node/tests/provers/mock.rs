//! A prover made from the .proto alone.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use node::env::provers::{Config, Provers};
use node::ids::{AtxId, NodeId};
use node::smeshing::{ProverEvent, ProverMetadata};
use post_service::v1::node_request::Kind as Question;
use post_service::v1::post_service_client::PostServiceClient;
use post_service::v1::service_response::Kind as Answer;
use post_service::v1::{
    GenProofResponse, GenProofStatus, Metadata, MetadataResponse, NodeRequest, Proof, ProofMetadata, ServiceResponse,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// Long, for a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const MINER: NodeId = NodeId([1; 32]);

pub(crate) const METADATA: ProverMetadata =
    ProverMetadata { node_id: MINER, commitment_atx: AtxId([2; 32]), units: 4, labels_per_unit: 4096, nonce: Some(99) };

/// On loopback, in a hurry.
pub(crate) fn config() -> Config {
    let mut config = Config::new(([127, 0, 0, 1], 0).into(), BTreeSet::from([MINER, NodeId([3; 32])]));
    config.poll_interval = Duration::from_millis(20);
    config
}

/// A running server and what its provers said.
pub(crate) struct Node {
    pub(crate) provers: Provers,
    pub(crate) events: mpsc::Receiver<ProverEvent>,
    pub(crate) address: SocketAddr,
}

impl Node {
    pub(crate) async fn start(config: Config) -> Self {
        let (provers, events, address) = Provers::start(config).await.unwrap();
        Self { provers, events, address }
    }

    pub(crate) async fn event(&mut self) -> ProverEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event").expect("the server lives")
    }

    /// The next event is that the prover is there.
    pub(crate) async fn registered(&mut self) -> ProverMetadata {
        match self.event().await {
            ProverEvent::Registered(metadata) => metadata,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn gone(&mut self) {
        assert_eq!(self.event().await, ProverEvent::Gone { node_id: MINER });
    }

    pub(crate) fn nothing_more(&mut self) {
        assert_eq!(self.events.try_recv(), Err(mpsc::error::TryRecvError::Empty));
    }
}

pub(crate) fn meta() -> Metadata {
    Metadata {
        node_id: vec![1; 32],
        commitment_atx_id: vec![2; 32],
        nonce: Some(99),
        num_units: 4,
        labels_per_unit: 4096,
    }
}

pub(crate) fn metadata_answer(meta: Metadata) -> ServiceResponse {
    ServiceResponse { kind: Some(Answer::Metadata(MetadataResponse { meta: Some(meta) })) }
}

pub(crate) fn proof_answer(
    status: GenProofStatus,
    proof: Option<Proof>,
    metadata: Option<ProofMetadata>,
) -> ServiceResponse {
    ServiceResponse { kind: Some(Answer::GenProof(GenProofResponse { status: status.into(), proof, metadata })) }
}

/// A prover that does what it should: a proof takes some polls, another challenge meanwhile is an error.
#[derive(Clone, Debug)]
pub(crate) struct Mock {
    pub(crate) meta: Metadata,
    /// So many times a proof is under way before it is done.
    pub(crate) polls: u32,
    pub(crate) busy: Option<(Vec<u8>, u32)>,
    /// Challenges it began to prove.
    pub(crate) begun: Vec<Vec<u8>>,
    /// Questions it got.
    pub(crate) asked: VecDeque<Question>,
}

impl Mock {
    pub(crate) fn new(polls: u32) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { meta: meta(), polls, busy: None, begun: vec![], asked: VecDeque::new() }))
    }

    pub(crate) fn proof(challenge: &[u8]) -> Proof {
        Proof { nonce: 5, indices: challenge.repeat(3), pow: 1 << 40 }
    }

    pub(crate) fn answer(&mut self, question: Question) -> ServiceResponse {
        self.asked.push_back(question.clone());
        let challenge = match question {
            Question::Metadata(_) => return metadata_answer(self.meta.clone()),
            Question::GenProof(asked) => asked.challenge,
        };
        match &mut self.busy {
            Some((other, _)) if *other != challenge => proof_answer(GenProofStatus::Error, None, None),
            Some((_, 0)) => {
                self.busy = None;
                let metadata = ProofMetadata { challenge: challenge.clone(), meta: Some(self.meta.clone()) };
                proof_answer(GenProofStatus::Ok, Some(Self::proof(&challenge)), Some(metadata))
            }
            Some((_, polls)) => {
                *polls -= 1;
                proof_answer(GenProofStatus::Ok, None, None)
            }
            None => {
                self.begun.push(challenge.clone());
                self.busy = Some((challenge, self.polls));
                proof_answer(GenProofStatus::Ok, None, None)
            }
        }
    }
}

pub(crate) async fn channel(address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await
}

/// Registers, says `unasked` first, and answers with `answer` as long as it has answers. The status the stream ends
/// with.
pub(crate) async fn register(
    channel: Channel,
    unasked: Vec<ServiceResponse>,
    mut answer: impl FnMut(Question) -> Option<ServiceResponse>,
) -> Status {
    let (answers, sent) = mpsc::channel(16);
    for message in unasked {
        answers.send(message).await.unwrap();
    }
    let mut client = PostServiceClient::new(channel).max_decoding_message_size(1 << 10);
    let mut questions = match client.register(ReceiverStream::new(sent)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return status,
    };
    loop {
        match questions.message().await {
            Ok(Some(NodeRequest { kind: Some(question) })) => {
                if let Some(answer) = answer(question) {
                    // A stream that has ended says so at the next question.
                    answers.send(answer).await.ok();
                }
            }
            Ok(Some(NodeRequest { kind: None })) => panic!("an empty question"),
            Ok(None) => return Status::ok("the end"),
            Err(status) => return status,
        }
    }
}

/// Registers a prover that does what it should, once.
pub(crate) fn dial(address: SocketAddr, mock: &Arc<Mutex<Mock>>) -> JoinHandle<Status> {
    let mock = Arc::clone(mock);
    tokio::spawn(async move {
        match channel(address).await {
            Ok(channel) => register(channel, vec![], |asked| Some(mock.lock().unwrap().answer(asked))).await,
            Err(error) => Status::new(Code::Unavailable, error.to_string()),
        }
    })
}

/// The status a stream ends with.
pub(crate) async fn end(stream: JoinHandle<Status>) -> Status {
    tokio::time::timeout(PATIENCE, stream).await.expect("the stream ends").unwrap()
}
