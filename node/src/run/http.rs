//! Status and metrics over HTTP, for people, programs and Prometheus. Reading only.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::{Event, Question};
use crate::ids::{AtxId, Epoch, Layer};

/// At most so many ATXs an answer.
const MAX_ATXS: usize = 10_000;
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

/// Asks the loop.
async fn ask<T>(
    events: &mpsc::Sender<Event>,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Result<T, Response> {
    let ended = || (StatusCode::SERVICE_UNAVAILABLE, "the node is ending").into_response();
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
