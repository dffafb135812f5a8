//! A node, as far as provers see one: written from post.proto and POST.md section 7.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use post_service::v1::post_service_server::{PostService, PostServiceServer};
use post_service::v1::{
    GenProofRequest, GenProofResponse, GenProofStatus, Metadata, MetadataRequest, NodeRequest, ServiceResponse,
    node_request, service_response,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::{HANG, until};

/// A node that listens. All its connections end with it.
pub(crate) struct Node {
    address: SocketAddr,
    runtime: Option<Runtime>,
    provers: mpsc::UnboundedReceiver<Registered>,
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), None)
    }

    pub(crate) fn with_tls(tls: ServerTlsConfig) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), Some(tls))
    }

    /// Ends, and starts where it was.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.resume();
    }

    /// Ends; connections are cut off.
    pub(crate) fn stop(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(HANG);
    }

    /// Starts where it was.
    pub(crate) fn resume(&mut self) {
        self.resume_on(until("the address is free", || TcpListener::bind(self.address).ok()));
    }

    /// Starts where it was; somebody had the address meanwhile.
    pub(crate) fn resume_on(&mut self, listener: TcpListener) {
        *self = Self::on(listener, None);
    }

    fn on(listener: TcpListener, tls: Option<ServerTlsConfig>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (register, provers) = mpsc::unbounded_channel();
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let serve = server.add_service(PostServiceServer::new(Service(register)));
        runtime.spawn(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            serve.serve_with_incoming(TcpIncoming::from(listener)).await
        });
        Self { address, runtime: Some(runtime), provers }
    }

    /// For provers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next prover that registers, and asks it who it is.
    #[track_caller]
    pub(crate) fn registered(&mut self) -> Registered {
        let mut prover = until("a prover registers", || self.provers.try_recv().ok());
        prover.metadata();
        prover
    }

    /// Whether one registers within this time.
    pub(crate) fn is_registered_within(&mut self, time: Duration) -> bool {
        let runtime = self.runtime.as_ref().unwrap();
        runtime.block_on(async { tokio::time::timeout(time, self.provers.recv()).await }).is_ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Service(mpsc::UnboundedSender<Registered>);

#[tonic::async_trait]
impl PostService for Service {
    type RegisterStream = ReceiverStream<Result<NodeRequest, Status>>;

    async fn register(
        &self,
        request: Request<Streaming<ServiceResponse>>,
    ) -> Result<Response<Self::RegisterStream>, Status> {
        let (questions, outgoing) = mpsc::channel(1);
        let (sender, answers) = mpsc::channel(1);
        let mut incoming = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(answer)) = incoming.message().await {
                if sender.send(answer).await.is_err() {
                    break;
                }
            }
        });
        let _ = self.0.send(Registered { questions, answers, metadata: Metadata::default() });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// A registered prover. It is hung up on when dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    questions: mpsc::Sender<Result<NodeRequest, Status>>,
    answers: mpsc::Receiver<ServiceResponse>,
    /// As it was told last.
    pub(crate) metadata: Metadata,
}

impl Registered {
    /// Asks for the metadata.
    #[track_caller]
    pub(crate) fn metadata(&mut self) -> Metadata {
        match self.send(Some(node_request::Kind::Metadata(MetadataRequest {}))) {
            Some(service_response::Kind::Metadata(answer)) => self.metadata = answer.meta.unwrap(),
            other => panic!("asked for metadata, got {other:?}"),
        }
        self.metadata.clone()
    }

    /// Asks for a proof once.
    #[track_caller]
    pub(crate) fn ask(&mut self, challenge: &[u8]) -> GenProofResponse {
        let request = GenProofRequest { challenge: challenge.to_vec() };
        match self.send(Some(node_request::Kind::GenProof(request))) {
            Some(service_response::Kind::GenProof(answer)) => {
                assert_eq!(answer.proof.is_some(), answer.metadata.is_some());
                answer
            }
            other => panic!("asked for a proof, got {other:?}"),
        }
    }

    /// Asks, and the proof must be under way.
    #[track_caller]
    pub(crate) fn is_under_way(&mut self, challenge: &[u8]) {
        let answer = self.ask(challenge);
        assert_eq!((answer.status(), answer.proof), (GenProofStatus::Ok, None));
    }

    /// Asks, and is told that there is an error.
    #[track_caller]
    pub(crate) fn is_error(&mut self, challenge: &[u8]) {
        let answer = self.ask(challenge);
        assert_eq!((answer.status(), answer.proof), (GenProofStatus::Error, None));
    }

    /// Asks until the proof is there.
    #[track_caller]
    pub(crate) fn proof(&mut self, challenge: &[u8]) -> GenProofResponse {
        until("a proof", || {
            let answer = self.ask(challenge);
            assert_eq!(answer.status(), GenProofStatus::Ok);
            answer.proof.is_some().then_some(answer)
        })
    }

    /// Asks until the proof fails.
    #[track_caller]
    pub(crate) fn failure(&mut self, challenge: &[u8]) {
        until("a failure", || {
            let answer = self.ask(challenge);
            assert_eq!(answer.proof, None);
            (answer.status() == GenProofStatus::Error).then_some(())
        });
    }

    /// Sends a question and waits for nothing; hangs up.
    pub(crate) fn flood(self, question: NodeRequest) {
        self.questions.try_send(Ok(question)).expect("the prover took the question before");
        // The stream ends when the question is on its way.
    }

    /// Sends a question and waits for its answer.
    #[track_caller]
    pub(crate) fn send(&mut self, kind: Option<node_request::Kind>) -> Option<service_response::Kind> {
        self.questions.try_send(Ok(NodeRequest { kind })).expect("the prover took the question before");
        until("an answer", || match self.answers.try_recv() {
            Ok(answer) => Some(answer.kind),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => panic!("the prover is gone"),
        })
    }
}
