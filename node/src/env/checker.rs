//! Checks what peers send, cheap → dear, on threads of its own (NODE.md section 3).
//!
//! ```text
//! bytes ─► Waiting ─► Sieve ─► CheckerEvent::Atx | Junk ─► the machines
//!          fair, bounded   size, duplicates, encoding, signatures
//!
//! Dear from the machines ─► Judge ─► CheckerEvent::Judged | Failed
//!                           k2pow, labels, VRF nonce, many at once
//! ```
//! Nothing here waits for whoever hands work in: [`Checker::submit`] says whose messages had to give way, and
//! [`Checker::judge`] gives the job back when there is no room. What comes out goes through one bounded channel; when
//! nobody reads it, the threads wait, and what waits for them stays within its limits.

mod event;
mod judge;
mod meters;
mod recent;
mod sieve;
mod standing;
mod waiting;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use post_core::backend::{self, Backend, Cpu};
use post_core::pow::{LazyRandomX, Mode as PowMode, Options, PowVerifier};
use tokio::sync::mpsc;

pub use event::{CheckerEvent, Why};
pub use judge::Judge;
pub use meters::Meters;
pub use sieve::Sieve;
pub use waiting::{Limits, Message, Waiting};

use crate::atxs::Dear;
use crate::params::NodeParams;
use crate::signature::Verifier;
use crate::source::Source;

/// Messages that are sifted together.
const ROUND: usize = 256;
/// And so many of their bytes, but for one message: peers that send large ones shall not make the others wait.
const ROUND_BYTES: usize = 2 << 20;
/// Claims that are judged together, but for one job: enough to fill the lanes of any processor.
const CLAIMS_TOGETHER: usize = 64;
/// How long a job waits for company when nothing else is going on.
const LINGER: Duration = Duration::from_millis(4);
/// Events that wait to be read; the largest ATX, decoded, takes less than a MiB.
const EVENTS: usize = 128;

/// How to check.
pub struct CheckerConfig {
    /// The network.
    pub params: NodeParams,
    /// Where labels are computed, the best first. One that fails is given up for the next; the last one stays.
    pub backends: Vec<Box<dyn Backend>>,
    /// What hashes k2pows, likewise.
    pub pows: Vec<Box<dyn PowVerifier + Send>>,
    /// How much may wait for its cheap checks.
    pub limits: Limits,
    /// How many claims, posts and VRF nonces, may wait for the dear ones.
    pub max_claims: usize,
}

impl CheckerConfig {
    /// Labels on `threads` threads of the CPU (0: one a core), RandomX in `mode`, light where there is no memory for fast.
    ///
    /// # Errors
    /// [`backend::Error::Unavailable`] when the system refuses the threads.
    pub fn new(params: NodeParams, threads: usize, mode: PowMode) -> Result<Self, backend::Error> {
        let cpu = Cpu::new(threads)?;
        let threads = cpu.info().threads;
        let randomx = |mode| Box::new(LazyRandomX::new(Options::new(mode, threads))) as Box<dyn PowVerifier + Send>;
        let pows = match mode {
            PowMode::Fast => vec![randomx(PowMode::Fast), randomx(PowMode::Light)],
            PowMode::Light => vec![randomx(PowMode::Light)],
        };
        Ok(Self { params, backends: vec![Box::new(cpu)], pows, limits: Limits::default(), max_claims: 4096 })
    }
}

/// Why there is no checker.
#[derive(Debug, thiserror::Error)]
pub enum CheckerError {
    /// A thread.
    #[error("the system refuses a thread: {0}; end other programs, or raise the limit on threads")]
    Thread(#[from] io::Error),
    /// Nothing to compute labels or pows with.
    #[error("a checker needs at least one backend and one way to hash k2pows")]
    NoMeans,
}

/// Threads that check. Dropped, they end as soon as the events have no reader any more; [`Checker::stop`] waits for it.
pub struct Checker {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads and those who give them work have in common.
struct Shared {
    desk: Mutex<Desk>,
    /// Something came, or it is time to stop.
    messages_came: Condvar,
    jobs_came: Condvar,
    meters: Arc<Meters>,
    max_claims: usize,
}

/// What waits.
struct Desk {
    messages: Waiting,
    jobs: VecDeque<Dear>,
    /// Of the jobs that wait or are being judged.
    claims: usize,
    stopped: bool,
}

impl Checker {
    /// Starts the threads; what they find comes out of the channel, which ends when they do.
    ///
    /// # Errors
    /// Every [`CheckerError`].
    pub fn start(config: CheckerConfig) -> Result<(Self, mpsc::Receiver<CheckerEvent>), CheckerError> {
        let CheckerConfig { params, backends, pows, limits, max_claims } = config;
        let meters = Arc::new(Meters::default());
        let sieve = Sieve::new(Verifier::new(params.genesis_id), Arc::clone(&meters));
        let judge = Judge::new(params.post, backends, pows, Arc::clone(&meters)).ok_or(CheckerError::NoMeans)?;
        let desk =
            Mutex::new(Desk { messages: Waiting::new(limits), jobs: VecDeque::new(), claims: 0, stopped: false });
        let (messages_came, jobs_came) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { desk, messages_came, jobs_came, meters, max_claims });
        let (events, receiver) = mpsc::channel(EVENTS);
        let mut checker = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        let (end, events_too) = (End(Arc::clone(&shared)), events.clone());
        checker.spawn("sieve", move || end.0.sift(sieve, &events_too))?;
        let end = End(shared);
        checker.spawn("judge", move || end.0.judge(judge, &events))?;
        Ok((checker, receiver))
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name.into()).spawn(run)?);
        Ok(())
    }

    /// Hands in what should be an ATX. Returns the messages that had to give way, which may be this one: nobody
    /// has looked at them, so their verdict is [`crate::source::Verdict::Ignore`].
    #[must_use]
    pub fn submit(&self, source: Source, bytes: Vec<u8>) -> Vec<Message> {
        let Shared { messages_came, meters, .. } = &*self.shared;
        let mut desk = self.shared.desk();
        let gave_way = desk.messages.push(Message { source, bytes });
        Shared::note_waiting(meters, &desk.messages);
        meters.messages.fetch_add(1, Relaxed);
        meters.overflowed.fetch_add(gave_way.len() as u64, Relaxed);
        messages_came.notify_one();
        gave_way
    }

    /// Has a job judged.
    ///
    /// # Errors
    /// The job itself, when it would have more claims wait than may; but a job finds room where none waits.
    pub fn judge(&self, job: Dear) -> Result<(), Box<Dear>> {
        let mut desk = self.shared.desk();
        let claims = claims(&job);
        if desk.claims > 0 && desk.claims.saturating_add(claims) > self.shared.max_claims {
            return Err(job.into());
        }
        desk.claims += claims;
        self.shared.meters.claims_waiting.store(desk.claims as u64, Relaxed);
        desk.jobs.push_back(job);
        self.shared.jobs_came.notify_one();
        Ok(())
    }

    /// How many claims, posts and VRF nonces, find room. Whoever fetches ATXs to be checked asks for no more than that.
    #[must_use]
    pub fn queue_free(&self) -> usize {
        self.shared.max_claims.saturating_sub(self.shared.desk().claims)
    }

    /// What was counted.
    #[must_use]
    pub fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.shared.meters)
    }

    /// Ends the threads and waits for them; what waits is not checked any more. What is being judged is judged to its end.
    pub fn stop(mut self, events: mpsc::Receiver<CheckerEvent>) {
        // A thread may wait for room among the events.
        drop(events);
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// The end of a thread, by a panic too, is that of the other one, and of the events: half a checker is none.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Shared {
    /// A panic elsewhere leaves the desk whole: every change of it is complete before anything can fail.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.desk().stopped = true;
        self.messages_came.notify_all();
        self.jobs_came.notify_all();
    }

    fn note_waiting(meters: &Meters, waiting: &Waiting) {
        meters.messages_waiting.store(waiting.len() as u64, Relaxed);
        meters.bytes_waiting.store(waiting.bytes() as u64, Relaxed);
    }

    /// The thread that sifts messages.
    fn sift(&self, mut sieve: Sieve, events: &mpsc::Sender<CheckerEvent>) {
        while let Some(messages) = self.next_messages() {
            for event in sieve.sift(messages) {
                if events.blocking_send(event).is_err() {
                    return;
                }
            }
        }
    }

    /// What is to be sifted next; `None` when it is time to stop.
    fn next_messages(&self) -> Option<Vec<Message>> {
        let nothing = |desk: &mut Desk| !desk.stopped && desk.messages.is_empty();
        let mut desk = self.messages_came.wait_while(self.desk(), nothing).unwrap_or_else(PoisonError::into_inner);
        let messages = (!desk.stopped).then(|| desk.messages.take(ROUND, ROUND_BYTES));
        Self::note_waiting(&self.meters, &desk.messages);
        messages
    }

    /// The thread that judges jobs.
    fn judge(&self, mut judge: Judge, events: &mpsc::Sender<CheckerEvent>) {
        while let Some(jobs) = self.next_jobs() {
            let done: usize = jobs.iter().map(claims).sum();
            let results = judge.judge(&jobs);
            {
                let mut desk = self.desk();
                desk.claims = desk.claims.saturating_sub(done);
                self.meters.claims_waiting.store(desk.claims as u64, Relaxed);
            }
            for event in CheckerEvent::of_jobs(jobs, results) {
                if events.blocking_send(event).is_err() {
                    return;
                }
            }
        }
    }

    /// The jobs to be judged together; `None` when it is time to stop.
    fn next_jobs(&self) -> Option<Vec<Dear>> {
        let nothing = |desk: &mut Desk| !desk.stopped && desk.jobs.is_empty();
        let desk = self.jobs_came.wait_while(self.desk(), nothing).unwrap_or_else(PoisonError::into_inner);
        let few = |desk: &mut Desk| !desk.stopped && desk.claims < CLAIMS_TOGETHER;
        let (mut desk, _) =
            self.jobs_came.wait_timeout_while(desk, LINGER, few).unwrap_or_else(PoisonError::into_inner);
        if desk.stopped {
            return None;
        }
        let mut together = 0;
        let fit = desk.jobs.iter().take_while(|job| {
            together += claims(job);
            together <= CLAIMS_TOGETHER
        });
        let fit = fit.count().max(1).min(desk.jobs.len());
        Some(desk.jobs.drain(..fit).collect())
    }
}

/// What a job costs: its posts and its VRF nonce; an empty one is not for nothing either.
fn claims(job: &Dear) -> usize {
    (job.posts.len() + usize::from(job.vrf.is_some())).max(1)
}
