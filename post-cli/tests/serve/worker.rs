//! A k2pow worker, and looking at addresses over HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use tokio::runtime::Runtime;

/// What the worker says to a question for a group.
type Answer = Box<dyn Fn(u8) -> (u16, String) + Send>;

#[derive(Clone)]
struct Desk {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<Question>>>,
}

/// `/job/{miner}/{group}/{challenge}/{target}`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) miner: String,
    pub(crate) group: u8,
    pub(crate) challenge: String,
    pub(crate) target: String,
}

/// A worker that listens.
pub(crate) struct Worker {
    address: SocketAddr,
    desk: Desk,
    runtime: Option<Runtime>,
}

impl Worker {
    /// It answers so until it is told otherwise.
    pub(crate) fn start(answer: impl Fn(u8) -> (u16, String) + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Desk { answer: Arc::new(Mutex::new(Box::new(answer))), asked: Arc::default() };
        let router =
            Router::new().route("/job/{miner}/{group}/{challenge}/{target}", get(job)).with_state(desk.clone());
        runtime.spawn(async { axum::serve(listener, router).await });
        Self { address, desk, runtime: Some(runtime) }
    }

    /// Says that it is at work, for ever: so a proof is under way until it is told otherwise.
    pub(crate) fn holding() -> Self {
        Self::start(|_| (201, String::new()))
    }

    pub(crate) fn answers(&self, answer: impl Fn(u8) -> (u16, String) + Send + 'static) {
        *self.desk.answer.lock().unwrap() = Box::new(answer);
    }

    /// Gives pows that are good where any is.
    pub(crate) fn release(&self) {
        self.answers(|group| (200, group.to_string()));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All questions since the last look.
    pub(crate) fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut self.desk.asked.lock().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn job(
    State(desk): State<Desk>,
    Path((miner, group, challenge, target)): Path<(String, u8, String, String)>,
) -> (StatusCode, String) {
    desk.asked.lock().unwrap().push(Question { miner, group, challenge, target });
    let (status, text) = (desk.answer.lock().unwrap())(group);
    (StatusCode::from_u16(status).unwrap(), text)
}

/// GETs JSON.
pub(crate) fn get_json(url: &str) -> serde_json::Value {
    let text = ureq::get(url).call().unwrap().into_body().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}
