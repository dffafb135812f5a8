//! A PoET of this process for others: the routes of PoET servers, for a devnet on this machine.

use std::io;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use super::pow::Work;
use super::wire::{
    ALREADY_EXISTS, Array, FAILED_PRECONDITION, InfoResponse, Long, MerkleProof, PowParamsResponse, Proof,
    ProofResponse, Refusal, Span, SubmitRequest, SubmitResponse,
};
use super::{LocalPoet, Poet, PoetError, RoundResult, rfc3339};
use crate::ids::{Epoch, NodeId, PoetChallenge, Signature};
use crate::signature::{Domain, Signed, Verifier};

/// A registration is less than a kilobyte.
const MAX_REQUEST: usize = 16 << 10;

/// gRPC's codes that are not told apart by clients.
const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const RESOURCE_EXHAUSTED: i32 = 8;
const INTERNAL: i32 = 13;

/// Serves `poet` until `stop`.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    poet: Arc<LocalPoet>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/v1/pow_params", get(pow_params))
        .route("/v1/info", get(info))
        .route("/v1/submit", post(submit))
        .route("/v1/proofs/{round}", get(proof))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(poet);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

/// Why a request has no answer.
struct Problem(StatusCode, i32, String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        (status, Json(Refusal { code, message })).into_response()
    }
}

impl From<PoetError> for Problem {
    fn from(error: PoetError) -> Self {
        let (status, code) = match &error {
            PoetError::TooLate { .. } => (StatusCode::BAD_REQUEST, FAILED_PRECONDITION),
            PoetError::AlreadyRegistered { .. } => (StatusCode::CONFLICT, ALREADY_EXISTS),
            PoetError::Refused { .. } => (StatusCode::TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED),
            PoetError::Members { .. } => (StatusCode::BAD_REQUEST, INVALID_ARGUMENT),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
        };
        Self(status, code, error.to_string())
    }
}

fn invalid(what: &str) -> Problem {
    Problem(StatusCode::BAD_REQUEST, INVALID_ARGUMENT, what.into())
}

/// Runs what blocks where that is allowed.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let broken = |error| Problem(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, format!("{error}"));
    spawn_blocking(call).await.map_err(broken)?
}

type Poets = State<Arc<LocalPoet>>;

async fn pow_params(State(poet): Poets) -> Json<PowParamsResponse> {
    Json(PowParamsResponse { pow_params: poet.pow_params() })
}

async fn info(State(poet): Poets) -> Result<Json<InfoResponse>, Problem> {
    let info = poet.info()?;
    Ok(Json(InfoResponse {
        service_pubkey: Array(info.service),
        phase_shift: Span(info.phase_shift),
        cycle_gap: Span(info.cycle_gap),
    }))
}

async fn submit(State(poet): Poets, Json(request): Json<SubmitRequest>) -> Result<Json<SubmitResponse>, Problem> {
    blocking(move || register(&poet, &request).map(Json)).await
}

fn register(poet: &LocalPoet, request: &SubmitRequest) -> Result<SubmitResponse, Problem> {
    let (node_id, challenge) = (NodeId(request.pubkey.0), PoetChallenge(request.challenge.0));
    let pow_params = poet.pow_params();
    let work = Work::new(&pow_params.challenge.0, node_id, challenge);
    if request.pow_params != pow_params || !work.is_done(request.nonce.0, pow_params.difficulty) {
        return Err(invalid("the proof of work is not the one asked for"));
    }
    let verifier = Verifier::new(poet.genesis_id());
    let signature = Signature(request.signature.0);
    let signed = Signed { domain: Domain::Poet, signer: node_id, message: &challenge.0, signature };
    if request.prefix.0 != verifier.prefix(Domain::Poet) || !verifier.holds(&signed) {
        return Err(invalid("the signature is not one of this network"));
    }
    let ends_by = match &request.deadline {
        None => None,
        Some(deadline) => Some(rfc3339::read(deadline).ok_or_else(|| invalid("the deadline is no moment"))?),
    };
    let registration = poet.register(node_id, challenge, ends_by)?;
    Ok(SubmitResponse { round_id: registration.round.to_string(), round_end: registration.ends_in.map(Span) })
}

async fn proof(State(poet): Poets, Path(round): Path<u32>) -> Result<Json<ProofResponse>, Problem> {
    let result = blocking(move || Ok(poet.proof(Epoch(round))?)).await?;
    let none = || Problem(StatusCode::NOT_FOUND, NOT_FOUND, "proof not found".into());
    let RoundResult { service, proof, members, .. } = result.ok_or_else(none)?;
    let arrays = |list: Vec<[u8; 32]>| list.into_iter().map(Array).collect();
    Ok(Json(ProofResponse {
        proof: Proof {
            proof: MerkleProof {
                root: Array(proof.root),
                proven_leaves: arrays(proof.proven),
                proof_nodes: arrays(proof.nodes),
            },
            members: members.into_iter().map(|member| Array(member.0)).collect(),
            leaves: Long(proof.leaves),
        },
        pubkey: Array(service),
    }))
}
