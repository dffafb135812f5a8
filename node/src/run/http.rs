//! Status, metrics and accounts over HTTP, for people, programs and Prometheus. All that is taken is transactions.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::{Event, Question};
use crate::ids::{Address, AtxId, Epoch, Layer};
use crate::node::Input;
use crate::source::{Source, Topic};
use crate::status::{Submission, Submitted};
use crate::transaction::MAX_TX_BYTES;

/// At most so many ATXs an answer.
const MAX_ATXS: usize = 10_000;
/// A submission is a transaction's hex in a little JSON.
const MAX_SUBMISSION: usize = 2 * MAX_TX_BYTES + 256;
/// At most so many layers an answer.
const MAX_LAYERS: usize = 1000;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[error("status at {listen}: {source}; choose another address, or end what listens there")]
pub struct HttpError {
    /// The address.
    pub listen: SocketAddr,
    /// The system's reason.
    pub source: std::io::Error,
}

type Events = State<mpsc::Sender<Event>>;

/// Serves; the address is returned. The server ends with the runtime.
///
/// # Errors
/// [`HttpError`].
pub(crate) async fn serve(listen: SocketAddr, events: mpsc::Sender<Event>) -> Result<SocketAddr, HttpError> {
    let failed = |source| HttpError { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let router = Router::new()
        .route("/status", get(status))
        .route("/epochs/{epoch}/atxs", get(atxs))
        .route("/accounts/{address}", get(account))
        .route("/transactions", post(submit).layer(DefaultBodyLimit::max(MAX_SUBMISSION)))
        .route("/layers", get(layers))
        .route("/metrics", get(metrics))
        .with_state(events);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("the status server ended: {error}");
        }
    });
    Ok(address)
}

fn ended() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the node is ending").into_response()
}

/// Asks the loop.
async fn ask<T>(
    events: &mpsc::Sender<Event>,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Result<T, Response> {
    let (answer, answered) = oneshot::channel();
    events.send(Event::Question(question(answer))).await.map_err(|_| ended())?;
    answered.await.map_err(|_| ended())
}

async fn status(State(events): Events) -> Result<Response, Response> {
    Ok(Json(ask(&events, Question::Status).await?).into_response())
}

#[derive(Deserialize)]
struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

async fn atxs(
    State(events): Events,
    Path(epoch): Path<u32>,
    Query(Page { after, limit }): Query<Page>,
) -> Result<Response, Response> {
    let parse = |text: String| text.parse::<AtxId>().map_err(|error| error.to_string());
    let after = after.map(parse).transpose().map_err(|why| (StatusCode::BAD_REQUEST, why).into_response())?;
    let limit = limit.unwrap_or(MAX_ATXS).min(MAX_ATXS);
    let question = |answer| Question::Atxs { epoch: Epoch(epoch), after, limit, answer };
    Ok(Json(ask(&events, question).await?).into_response())
}

async fn account(State(events): Events, Path(address): Path<String>) -> Result<Response, Response> {
    let address = hex_bytes(&address, 24).and_then(|bytes| bytes.try_into().map_err(|_| "24 bytes are wanted".into()));
    let address = address.map(Address).map_err(|why: String| (StatusCode::BAD_REQUEST, why).into_response())?;
    Ok(Json(ask(&events, |answer| Question::Account { address, answer }).await?).into_response())
}

fn hex_bytes(text: &str, most: usize) -> Result<Vec<u8>, String> {
    let bytes = hex::decode(text).map_err(|error| format!("no hex: {error}"))?;
    if bytes.len() > most { Err(format!("no more than {most} bytes are wanted")) } else { Ok(bytes) }
}

/// A transaction goes the way of those that peers gossip. Whether it is good is asked first, for whoever sent it.
async fn submit(State(events): Events, Json(submission): Json<Submission>) -> Result<Response, Response> {
    let bytes = hex_bytes(&submission.bytes, MAX_TX_BYTES);
    let bytes = bytes.map_err(|why| (StatusCode::BAD_REQUEST, why).into_response())?;
    let asked = bytes.clone();
    let id = ask(&events, |answer| Question::Transaction { bytes: asked, answer }).await?;
    let id = id.map_err(|why| (StatusCode::UNPROCESSABLE_ENTITY, why).into_response())?;
    let input = Input::Gossip { topic: Topic::Transaction, bytes, source: Source::Own };
    events.send(Event::Input(input)).await.map_err(|_| ended())?;
    Ok(Json(Submitted { id: id.to_string() }).into_response())
}

#[derive(Deserialize)]
struct Layers {
    #[serde(default)]
    from: u32,
    limit: Option<usize>,
}

async fn layers(State(events): Events, Query(Layers { from, limit }): Query<Layers>) -> Result<Response, Response> {
    let limit = limit.unwrap_or(MAX_LAYERS).min(MAX_LAYERS);
    let question = |answer| Question::Layers { from: Layer(from), limit, answer };
    Ok(Json(ask(&events, question).await?).into_response())
}

async fn metrics(State(events): Events) -> Result<Response, Response> {
    let text = ask(&events, Question::Metrics).await?;
    Ok(([("content-type", "text/plain; version=0.0.4")], text).into_response())
}
