//! The conversation with a node: registers one identity and answers until the node goes, then dials again.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use post_core::identity::Challenge;
use post_core::metadata::Metadata;
use post_service::v1;
use post_service::v1::post_service_client::PostServiceClient;
use post_service::v1::{GenProofStatus, NodeRequest, ServiceResponse, node_request, service_response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Endpoint;

use super::engine::Made;
use super::prover::{Answer, Prover};
use crate::report::chain;

/// The largest question has 36 bytes.
const LARGEST_REQUEST: usize = 1 << 16;

/// Whom to dial, and how patiently.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) endpoint: Endpoint,
    /// Between two attempts.
    pub(crate) interval: Duration,
    /// Attempts in a row that may fail after the first one; for ever where there is no number.
    pub(crate) max_retries: Option<u64>,
}

/// Keeps the identity registered. Returns only when it gives up, with the reason.
pub(crate) async fn keep_registered(prover: Arc<Prover>, dialer: Dialer) -> anyhow::Error {
    let (mut failures, mut told) = (0_u64, String::new());
    loop {
        let mut session = Session { prover: &prover, was_asked: false, refused: None };
        let reason = match session.run(&dialer.endpoint).await {
            Ok(()) => "the node ended the connection".to_owned(),
            Err(reason) => reason,
        };
        let was_asked = session.was_asked;
        prover.set_connected(false);
        failures = if was_asked { 0 } else { failures + 1 };
        let uri = dialer.endpoint.uri();
        if dialer.max_retries.is_some_and(|most| failures > most) {
            let cure = cure(&dialer.endpoint);
            return anyhow!("the node at {uri} could not be reached in {failures} attempts: {reason}; {cure}");
        }
        // A node that is away for days is told of once.
        if was_asked || told != reason {
            let cure = if was_asked { String::new() } else { format!("{}; ", cure(&dialer.endpoint)) };
            let seconds = dialer.interval.as_secs_f64();
            prover.note(&format!("no connection to {uri}: {reason}; {cure}trying again every {seconds} s"));
        }
        told = reason;
        tokio::time::sleep(dialer.interval).await;
    }
}

/// A node that does not trust a certificate hangs up, often without a word.
fn cure(endpoint: &Endpoint) -> &'static str {
    match endpoint.uri().scheme_str() {
        Some("https") => "check that it runs, --address, and that it trusts --cert",
        _ => "check that it runs, and --address",
    }
}

/// One connection.
struct Session<'a> {
    prover: &'a Arc<Prover>,
    /// Whether it came so far that the node asked something: only then was it good.
    was_asked: bool,
    /// Told of once, though the node asks for it every few seconds.
    refused: Option<Challenge>,
}

impl Session<'_> {
    async fn run(&mut self, endpoint: &Endpoint) -> Result<(), String> {
        let channel = endpoint.connect().await.map_err(|error| chain(&error))?;
        let mut client = PostServiceClient::new(channel).max_decoding_message_size(LARGEST_REQUEST);
        // A node that does not listen is not answered: questions then wait on its side.
        let (answers, outgoing) = mpsc::channel(1);
        let registered = client.register(ReceiverStream::new(outgoing)).await;
        let mut questions = registered.map_err(|status| explain(&status))?.into_inner();
        while let Some(question) = questions.message().await.map_err(|status| explain(&status))? {
            if !std::mem::replace(&mut self.was_asked, true) {
                self.prover.set_connected(true);
                self.prover.note(&format!("registered with the node at {}", endpoint.uri()));
            }
            if answers.send(self.answer(question).await).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One answer to each question, so that they stay in step.
    async fn answer(&mut self, question: NodeRequest) -> ServiceResponse {
        let kind = match question.kind {
            Some(node_request::Kind::Metadata(_)) => {
                let meta = Some(self.metadata().await);
                Some(service_response::Kind::Metadata(v1::MetadataResponse { meta }))
            }
            Some(node_request::Kind::GenProof(request)) => {
                Some(service_response::Kind::GenProof(self.proof(&request.challenge)))
            }
            None => {
                self.prover.note("the node asked what this version does not know; it gets an empty answer");
                None
            }
        };
        ServiceResponse { kind }
    }

    async fn metadata(&self) -> v1::Metadata {
        let prover = Arc::clone(self.prover);
        // A drive may have to wake up first.
        let read = tokio::task::spawn_blocking(move || prover.metadata()).await;
        message(&read.unwrap_or_else(|_| self.prover.last_metadata()))
    }

    fn proof(&mut self, challenge: &[u8]) -> v1::GenProofResponse {
        let Ok(challenge) = challenge.try_into().map(Challenge) else {
            self.prover.note(&format!("the node sent a challenge of {} bytes instead of 32", challenge.len()));
            return status(GenProofStatus::Error);
        };
        match self.prover.ask(challenge) {
            Answer::Begin | Answer::UnderWay => status(GenProofStatus::Ok),
            Answer::Done(made) => done(made),
            Answer::Failed => status(GenProofStatus::Error),
            Answer::Busy => {
                if self.refused.replace(challenge) != Some(challenge) {
                    self.prover.note(&format!("the node asks for {challenge} while another proof is under way"));
                }
                status(GenProofStatus::Error)
            }
        }
    }
}

fn status(status: GenProofStatus) -> v1::GenProofResponse {
    v1::GenProofResponse { status: status.into(), proof: None, metadata: None }
}

fn done(made: Made) -> v1::GenProofResponse {
    let Made { file, metadata } = made;
    let challenge = file.metadata.challenge.0.to_vec();
    let post_core::proof::Proof { nonce, indices, pow } = file.proof;
    v1::GenProofResponse {
        status: GenProofStatus::Ok.into(),
        proof: Some(v1::Proof { nonce, indices, pow }),
        metadata: Some(v1::ProofMetadata { challenge, meta: Some(message(&metadata)) }),
    }
}

fn message(metadata: &Metadata) -> v1::Metadata {
    v1::Metadata {
        node_id: metadata.node_id.0.to_vec(),
        commitment_atx_id: metadata.commitment_atx_id.0.to_vec(),
        nonce: metadata.nonce,
        num_units: metadata.num_units,
        labels_per_unit: metadata.labels_per_unit,
    }
}

/// What the node or the way to it said.
fn explain(status: &Status) -> String {
    match status.source() {
        Some(source) => format!("{}: {}", status.message(), chain(source)),
        None if status.message().is_empty() => status.code().description().to_owned(),
        None => status.message().to_owned(),
    }
}
