//! One identity's prover: what it answers a node, and the thread that makes its proof. A node may come and go meanwhile.

mod desk;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use post_core::identity::Challenge;
use post_core::metadata::Metadata;
use serde_json::{Value, json};

pub(crate) use desk::Answer;
use desk::{Desk, Phase};

use super::engine::{Engine, Made, Seen};
use super::lock::lock;
use super::sets::SetDirs;
use crate::report::{chain, human_duration, plain, say};

/// Digits of a node id in a log line.
const SHORT: usize = 8;

/// What serves one identity.
pub(crate) struct Prover {
    dirs: SetDirs,
    engine: Arc<Engine>,
    /// As it was read last.
    metadata: Mutex<Metadata>,
    desk: Mutex<Desk<Made>>,
    seen: Seen,
    is_connected: AtomicBool,
    /// Makes the proof under way, or made the last one.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Prover {
    /// Checks the set first.
    pub(crate) fn new(dirs: SetDirs, engine: Arc<Engine>) -> Result<Self> {
        let metadata = Mutex::new(engine.check(&dirs)?);
        Ok(Self {
            dirs,
            engine,
            metadata,
            desk: Mutex::default(),
            seen: Seen::default(),
            is_connected: AtomicBool::new(false),
            thread: Mutex::default(),
        })
    }

    pub(crate) fn dirs(&self) -> &SetDirs {
        &self.dirs
    }

    /// A line of the log about this identity.
    pub(crate) fn note(&self, text: &str) {
        say(&format!("{}{}", self.prefix(), plain(text)));
    }

    fn prefix(&self) -> String {
        format!("{}: ", self.dirs.node_id.to_string().get(..SHORT).unwrap_or_default())
    }

    /// What the set says about itself now; what it said last while it can't be asked, as when its drive is not there or it is
    /// just growing. Reads from a drive.
    pub(crate) fn metadata(&self) -> Metadata {
        // Not under the lock: a drive may take its time.
        let now = self.dirs.metadata();
        let mut last = lock(&self.metadata);
        if let Ok(metadata) = now {
            *last = metadata;
        }
        last.clone()
    }

    /// What it said last.
    pub(crate) fn last_metadata(&self) -> Metadata {
        lock(&self.metadata).clone()
    }

    /// Answers a node that asks for a proof, and begins it if none is under way.
    pub(crate) fn ask(self: &Arc<Self>, challenge: Challenge) -> Answer<Made> {
        let answer = lock(&self.desk).ask(challenge);
        if answer == Answer::Begin {
            self.begin(challenge);
        }
        answer
    }

    fn begin(self: &Arc<Self>, challenge: Challenge) {
        self.note(&format!("proof for challenge {challenge} begins"));
        self.seen.set(self.engine.first_nonces(), 0);
        let own = Arc::clone(self);
        match std::thread::Builder::new().name("proof".into()).spawn(move || own.make(challenge)) {
            // The thread before it has said its last word, else none would begin.
            Ok(thread) => *lock(&self.thread) = Some(thread),
            Err(error) => self.finish(Err(anyhow!("no thread for the proof: {error}; free memory"))),
        }
    }

    fn make(&self, challenge: Challenge) {
        let started = Instant::now();
        let work = AssertUnwindSafe(|| self.engine.prove(&self.dirs, challenge, &self.seen, &self.prefix()));
        let made = catch_unwind(work).unwrap_or_else(|_| Err(anyhow!("a defect of this program, told above")));
        if made.is_ok() {
            self.note(&format!("proof found and verified in {}", human_duration(started.elapsed())));
        }
        self.finish(made);
    }

    fn finish(&self, made: Result<Made>) {
        match made.context("no proof") {
            Ok(made) => {
                *lock(&self.metadata) = made.metadata.clone();
                lock(&self.desk).finish(Ok(made));
            }
            Err(error) => {
                let reason = chain(&*error);
                // A node asks for what failed every few seconds.
                if lock(&self.desk).finish(Err(reason.clone())) {
                    self.note(&format!("{reason}; it begins again when the node asks again"));
                }
            }
        }
    }

    /// Waits for a proof under way, which was told to end.
    pub(crate) fn join(&self) {
        let thread = lock(&self.thread).take();
        // A panic was caught and told.
        let _ = thread.map(JoinHandle::join);
    }

    /// Whether a node has registered it and asks it.
    pub(crate) fn set_connected(&self, is_connected: bool) {
        self.is_connected.store(is_connected, Ordering::Relaxed);
    }

    /// The state in the words of POST.md section 7. The position counts bytes of the set that the pass has scanned.
    pub(crate) fn status(&self) -> Value {
        match lock(&self.desk).phase() {
            Phase::Idle => json!("Idle"),
            Phase::Proving => {
                let position = self.seen.position();
                let nonces = json!({ "start": position.nonces.start, "end": position.nonces.end });
                json!({ "Proving": { "nonces": nonces, "position": position.bytes } })
            }
            Phase::Done => json!("DoneProving"),
        }
    }

    /// What [`super::operator`] shows of it.
    pub(crate) fn account(&self) -> Value {
        let status = self.status();
        json!({
            "node_id": self.dirs.node_id.to_string(),
            "commitment_atx_id": self.dirs.commitment_atx_id.to_string(),
            "num_units": self.last_metadata().num_units,
            "dirs": self.dirs.dirs,
            "connected": self.is_connected.load(Ordering::Relaxed),
            "status": status,
            "error": lock(&self.desk).error(),
        })
    }
}
