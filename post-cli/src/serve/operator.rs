//! For whoever runs the machine: `GET /status` and `GET /identities`, as JSON over HTTP.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::served::Served;

/// Takes the address at once, so that one that is taken is heard of before anything else happens.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(listener)
    };
    bind().with_context(|| format!("cannot listen on --operator-address {address}; name another port"))
}

/// Answers until the runtime ends.
pub(crate) async fn answer(listener: TcpListener, served: Arc<Served>) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener).context("cannot listen on --operator-address")?;
    let router = Router::new().route("/status", get(status)).route("/identities", get(identities)).with_state(served);
    axum::serve(listener, router).await.context("the operator's address can't be served any more")
}

/// Of the first identity that is proving, else of the first that has a proof.
async fn status(State(served): State<Arc<Served>>) -> Json<Value> {
    let all: Vec<Value> = served.provers().iter().map(|prover| prover.status()).collect();
    let busy =
        all.iter().find(|status| status.is_object()).or(all.iter().find(|status| **status == json!("DoneProving")));
    Json(busy.cloned().unwrap_or(json!("Idle")))
}

/// All of them, then the directories that can't be served.
async fn identities(State(served): State<Arc<Served>>) -> Json<Value> {
    let provers = served.provers();
    let identities = provers.iter().map(|prover| prover.account());
    let broken = served.broken();
    let broken = broken.iter().map(|broken| json!({ "dirs": broken.dirs, "error": broken.reason }));
    Json(identities.chain(broken).collect())
}
