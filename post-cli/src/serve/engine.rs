//! Makes the proofs of all sets, with the tools and the drives that they share.
//!
//! A proof takes its turn at two places: where pows are searched, and at the drives of its set (see `queue`). It has its
//! tools only while it is made: between two epochs nothing is held but the identity's name.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use anyhow::Result;
use post_core::backend::{self, Backend, Cpu, Info, LabelJob};
use post_core::identity::Challenge;
use post_core::label::{LABEL_BYTES, Label};
use post_core::metadata::Metadata;
use post_core::params::NetworkParams;
use post_core::pow::{LazyRandomX, Mode, PowProver};
use post_core::proof::ProofFile;
use post_core::prove::{self, Progress, Request, SAVE_EVERY};
use post_core::scan::{Hit, ScanJob};
use post_core::watch::{Event, Watch};

use super::ending::Ending;
use super::lock::lock;
use super::queue::{Place, Queue, Turn};
use super::remote_pow::{RemotePow, Worker};
use super::sets::{Opened, SetDirs};
use crate::args::Compute;
use crate::devices::{self, Work};
use crate::machine;
use crate::proving::{Tools, prove_verified};
use crate::report::Reporter;

/// What all proofs are made with.
pub(crate) struct Engine {
    /// Of the network; labels per unit are those of the set.
    params: NetworkParams,
    nonces_per_pass: u32,
    compute: Compute,
    randomx: Option<Mode>,
    worker: Option<Worker>,
    pub(crate) ending: Arc<Ending>,
    queue: Queue,
    /// There as long as a proof is under way.
    machines: Mutex<Weak<Machines>>,
    /// Of the largest set: it decides which devices are worth waking.
    most_labels: AtomicU64,
}

/// What a proof is made of and goes by.
pub(crate) struct Settings {
    pub(crate) params: NetworkParams,
    pub(crate) nonces_per_pass: u32,
    pub(crate) compute: Compute,
    pub(crate) randomx: Option<Mode>,
    pub(crate) worker: Option<Worker>,
}

/// A proof, and what the set said about itself when it was made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Made {
    pub(crate) file: ProofFile,
    pub(crate) metadata: Metadata,
}

impl Engine {
    pub(crate) fn new(settings: Settings, ending: Arc<Ending>) -> Self {
        let Settings { params, nonces_per_pass, compute, randomx, worker } = settings;
        let (queue, machines, most_labels) = (Queue::default(), Mutex::default(), AtomicU64::new(0));
        Self { params, nonces_per_pass, compute, randomx, worker, ending, queue, machines, most_labels }
    }

    /// The nonces of a proof's first pass.
    pub(crate) fn first_nonces(&self) -> Range<u32> {
        0..self.nonces_per_pass
    }

    /// Checks all that can be checked of a set before a node asks for a proof, one label of each file included.
    pub(crate) fn check(&self, dirs: &SetDirs) -> Result<Metadata> {
        let Opened { set, .. } = dirs.open()?;
        let params = self.params_of(set.metadata());
        // Any challenge will do.
        let challenge = Challenge([0; 32]);
        prove::check(&Request { set: &set, params: &params, challenge, nonces_per_pass: self.nonces_per_pass })?;
        set.spot_check(params.scrypt, &mut machine::open_cpu(&self.compute)?)?;
        self.most_labels.fetch_max(set.layout().num_labels(), Ordering::Relaxed);
        Ok(set.metadata().clone())
    }

    /// Makes a proof, or goes on with it where an earlier run ended. Its progress stays on the drive until the next proof of
    /// the set begins: whoever asks for it after a restart has it in moments.
    pub(crate) fn prove(&self, dirs: &SetDirs, challenge: Challenge, seen: &Seen, prefix: &str) -> Result<Made> {
        let Opened { set, disks } = dirs.open()?;
        let metadata = set.metadata().clone();
        let params = self.params_of(&metadata);
        let request = Request { set: &set, params: &params, challenge, nonces_per_pass: self.nonces_per_pass };
        prove::check(&request)?;
        let reporter = Reporter::log(prefix.to_owned());
        let machines = self.machines(&reporter)?;
        let (mut backend, mut judge) = (machines.scanner(&self.queue), machines.judge(&self.queue));
        set.spot_check(params.scrypt, &mut judge)?;

        let randomx = &machines.randomx;
        let remote = self.worker.as_ref().map(|worker| RemotePow { worker, judge: randomx });
        let pow: &dyn PowProver = remote.as_ref().map_or(randomx, |remote| remote);
        let watch = ProofWatch {
            queue: &self.queue,
            // Another machine's processors are its own affair.
            pow: if remote.is_some() { BTreeSet::new() } else { BTreeSet::from([Place::Pow]) },
            disks,
            turn: Mutex::default(),
            seen,
            ending: &self.ending,
            reporter,
        };
        let mut progress = Progress::kept(&set, SAVE_EVERY);
        let tools = Tools { backend: &mut backend, judge: &mut judge, pow, pow_judge: randomx };
        let file = prove_verified(&request, &mut progress, tools, &watch)?;
        Ok(Made { file, metadata })
    }

    fn params_of(&self, metadata: &Metadata) -> NetworkParams {
        NetworkParams { labels_per_unit: metadata.labels_per_unit, ..self.params.clone() }
    }

    /// Those that another proof has, or new ones.
    fn machines(&self, reporter: &Reporter) -> Result<Arc<Machines>> {
        let mut shared = lock(&self.machines);
        if let Some(machines) = shared.upgrade() {
            return Ok(machines);
        }
        let judge = machine::open_cpu(&self.compute)?;
        let work = Work::Scan(self.most_labels.load(Ordering::Relaxed));
        let devices = devices::open(&self.compute, work, &Arc::new(Reporter::log(String::new())))?;
        let threads = machine::threads(&self.compute);
        // A pow that comes from elsewhere costs one hash.
        let mode = if self.worker.is_some() { Some(Mode::Light) } else { self.randomx };
        let (randomx, why) = machine::randomx(mode, threads);
        if self.worker.is_none() {
            reporter.note(&why);
        }
        devices.scans_with().iter().for_each(|line| reporter.note(line));
        let machines =
            Arc::new(Machines { scanner: Shared::new(devices.backend), judge: Shared::of_cpu(judge), randomx });
        *shared = Arc::downgrade(&machines);
        Ok(machines)
    }
}

/// What proofs under way share: a card has its memory only once, and so has RandomX.
struct Machines {
    scanner: Shared,
    judge: Shared,
    randomx: LazyRandomX,
}

impl Machines {
    fn scanner<'a>(&'a self, queue: &'a Queue) -> InTurn<'a> {
        InTurn { shared: &self.scanner, queue }
    }

    fn judge<'a>(&'a self, queue: &'a Queue) -> InTurn<'a> {
        InTurn { shared: &self.judge, queue }
    }
}

/// A backend that several proofs use.
struct Shared {
    info: Info,
    backend: Mutex<Box<dyn Backend>>,
}

impl Shared {
    fn new(backend: Box<dyn Backend>) -> Self {
        Self { info: backend.info().clone(), backend: Mutex::new(backend) }
    }

    fn of_cpu(cpu: Cpu) -> Self {
        Self::new(Box::new(cpu))
    }
}

/// A shared backend as one proof sees it. Of several proofs that scan, each gets its stretch in turn.
struct InTurn<'a> {
    shared: &'a Shared,
    queue: &'a Queue,
}

impl InTurn<'_> {
    /// Waits as long as one stretch of another proof takes.
    fn turn(&self) -> (Option<Turn<'_>>, MutexGuard<'_, Box<dyn Backend>>) {
        (self.queue.enter(BTreeSet::from([Place::Device]), &|| false), lock(&self.shared.backend))
    }
}

impl Backend for InTurn<'_> {
    fn info(&self) -> &Info {
        &self.shared.info
    }

    fn label(&mut self, job: &LabelJob<'_>, sink: &mut backend::Sink<'_>) -> Result<(), backend::Error> {
        let (_turn, mut backend) = self.turn();
        backend.label(job, sink)
    }

    fn scan(
        &mut self,
        job: &ScanJob<'_>,
        first: u64,
        labels: &[Label],
        hits: &mut Vec<Hit>,
    ) -> Result<(), backend::Error> {
        let (_turn, mut backend) = self.turn();
        backend.scan(job, first, labels, hits)
    }
}

/// How far a proof has come, for whoever looks from outside.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Position>);

/// The nonces of the pass at hand, and how much of the data it has scanned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) nonces: Range<u32>,
    pub(crate) bytes: u64,
}

impl Seen {
    pub(crate) fn set(&self, nonces: Range<u32>, labels: u64) {
        *lock(&self.0) = Position { nonces, bytes: labels.saturating_mul(LABEL_BYTES as u64) };
    }

    fn scanned(&self, labels: u64) {
        lock(&self.0).bytes = labels.saturating_mul(LABEL_BYTES as u64);
    }

    pub(crate) fn position(&self) -> Position {
        lock(&self.0).clone()
    }
}

/// Takes a proof from place to place, tells how far it is, and ends it. Between two passes it stands in line anew.
struct ProofWatch<'a> {
    queue: &'a Queue,
    pow: BTreeSet<Place>,
    disks: BTreeSet<Place>,
    /// Where the proof is.
    turn: Mutex<Option<Turn<'a>>>,
    seen: &'a Seen,
    ending: &'a Ending,
    reporter: Reporter,
}

impl ProofWatch<'_> {
    /// Leaves where it is, then waits for the next place: nobody has one and waits for another.
    fn go_to(&self, places: &BTreeSet<Place>) {
        let mut turn = lock(&self.turn);
        *turn = None;
        if places.iter().any(|place| self.queue.is_wanted(*place)) {
            self.reporter.note("waiting for the proof of another set");
        }
        // Without a turn it was told to end, and does so before it has read or searched anything to speak of.
        *turn = self.queue.enter(places.clone(), &|| self.ending.requested());
    }
}

impl Watch for ProofWatch<'_> {
    /// The two events that begin a stretch of work come from the thread that does it, which is made to wait here.
    fn event(&self, event: Event) {
        match &event {
            Event::PowStarted { .. } => self.go_to(&self.pow),
            Event::PassStarted { nonces, done, .. } => {
                self.go_to(&self.disks);
                self.seen.set(nonces.clone(), *done);
            }
            Event::Scanned { labels } => self.seen.scanned(*labels),
            _ => {}
        }
        self.reporter.event(event);
    }

    fn stop(&self) -> bool {
        self.ending.requested()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn watch<'a>(queue: &'a Queue, seen: &'a Seen, ending: &'a Ending) -> ProofWatch<'a> {
        let (pow, disks) = (BTreeSet::from([Place::Pow]), BTreeSet::from([Place::Disk(1)]));
        ProofWatch { queue, pow, disks, turn: Mutex::default(), seen, ending, reporter: Reporter::quiet() }
    }

    fn pow() -> Event {
        Event::PowStarted { groups: 0..1, expected_hashes: 1.0 }
    }

    fn pass() -> Event {
        Event::PassStarted { pass: 0, nonces: 16..32, labels: 100, done: 10 }
    }

    #[test]
    fn the_next_pow_is_searched_while_a_set_is_read_and_its_own_set_waits() {
        let (queue, ending) = (Queue::default(), Ending::default());
        let (seen_a, seen_b) = (Seen::default(), Seen::default());
        let (a, b) = (watch(&queue, &seen_a, &ending), watch(&queue, &seen_b, &ending));
        a.event(pow());
        a.event(pass());
        a.event(Event::Scanned { labels: 20 });
        assert_eq!(seen_a.position(), Position { nonces: 16..32, bytes: 320 });
        b.event(pow());
        let (told, hears) = mpsc::channel();
        std::thread::scope(|scope| {
            let waits = scope.spawn(move || {
                b.event(pass());
                told.send(()).unwrap();
                b
            });
            assert!(hears.recv_timeout(Duration::from_millis(100)).is_err(), "both read one disk");
            assert_eq!(seen_b.position(), Position::default());
            drop(a);
            hears.recv_timeout(Duration::from_secs(60)).unwrap();
            drop(waits.join().unwrap());
        });
        assert_eq!(seen_b.position(), Position { nonces: 16..32, bytes: 160 });
    }

    #[test]
    fn who_waits_hears_the_end() {
        let (queue, ending, seen) = (Queue::default(), Ending::default(), Seen::default());
        let (a, b) = (watch(&queue, &seen, &ending), watch(&queue, &seen, &ending));
        a.event(pass());
        ending.request();
        b.event(pass());
        assert!(a.stop() && b.stop());
    }
}
