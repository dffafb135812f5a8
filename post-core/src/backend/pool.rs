//! Many devices as one: GPUs and the CPU, fed from one queue, each on a thread of its own.
//!
//! The caller's thread hands the labels on, in order, while the devices work. A device that fails is not asked again; its
//! piece goes to the others. That does not hold for one that lies: what it made before is suspect too, so the job ends with
//! [`Error::Wrong`], and the caller, who alone knows where those labels are now, has them made again by asking the pool
//! once more (see [`Backend::suspects`]). The pool does not check labels: a device that doesn't check its own belongs into
//! a [`Checked`](super::checked::Checked).

mod queue;
mod worker;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::queue::{Lane, Queue};
use self::worker::{Message, Shared, Slot, Work, lock};
use super::{Backend, Error, Info, LabelJob, Labels, Sink};
use crate::identity::Commitment;
use crate::label::Label;
use crate::params::ScryptParams;
use crate::ranges::Ranges;
use crate::scan::{Hit, ScanJob};

/// Batches a second, as long as nothing was measured.
const GUESSED_BATCHES: f64 = 3.0;

/// Scan batches a second, as long as nothing was measured.
const GUESSED_SCANS: f64 = 1000.0;

/// Labels of a piece of a scan at least.
const SCAN_GRAIN: u64 = 1 << 12;

/// From this part of a device's scan batch on a piece tells how fast the device is.
const TELLING_PART: u64 = 8;

/// A device that gets too little to tell is believed so much faster the next time.
const OPTIMISM: f64 = 1.02;

/// A device that says nothing for so long has hung. Kernels may have to be compiled first, which took a minute on the
/// slowest software device tried, and a driver may do so twice.
const PATIENCE: Duration = Duration::from_secs(360);

/// How often to look whether a device is through, when the job is over.
const SETTLING: Duration = Duration::from_millis(2);

/// Stretches remembered of what each device made of a set; with more, some labels of others count as its own.
const MAX_STRETCHES: usize = 1 << 13;

/// A device that is not asked any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Its id.
    pub device: String,
    /// What it did, and the cure.
    pub reason: String,
}

/// Told of each quarantine as it happens, on the thread that called the pool.
pub type Notice = Box<dyn FnMut(&Quarantine) + Send>;

struct Device {
    id: String,
    slot: Arc<Mutex<Slot>>,
    batch: u64,
    scan_batch: u64,
    /// Rows of ROMix a second, once measured.
    rate: Option<f64>,
    /// Labels a second, once measured.
    scan_rate: Option<f64>,
    /// Whether it has scanned before: the first time it may have to compile.
    scanned: bool,
    out: bool,
    lied: bool,
    /// What it made and was handed on, by set.
    made: BTreeMap<[u8; 32], Ranges>,
}

/// Any mix of backends as one.
pub struct Pool {
    info: Info,
    devices: Vec<Device>,
    quarantined: Vec<Quarantine>,
    notice: Notice,
    patience: Duration,
    /// The batch handed on last: device, set, indices.
    latest: Option<(usize, Commitment, Range<u64>)>,
    /// Of the devices, one for each job. They end soon after their job does.
    threads: Vec<(usize, JoinHandle<()>)>,
}

impl Pool {
    /// All of `backends` together. `notice` hears of each that is given up.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none.
    pub fn new(backends: Vec<Box<dyn Backend>>, notice: Notice) -> Result<Self, Error> {
        let infos: Vec<Info> = backends.iter().map(|backend| backend.info().clone()).collect();
        if infos.is_empty() {
            return Err(Error::Unavailable { device: "pool".into(), reason: "no device was named; name one".into() });
        }
        let devices = backends.into_iter().zip(&infos).map(|(backend, info)| Device {
            id: info.id.clone(),
            slot: Arc::new(Mutex::new(Slot { backend, failure: None })),
            batch: info.batch,
            scan_batch: info.scan_batch as u64,
            rate: None,
            scan_rate: None,
            scanned: false,
            out: false,
            lied: false,
            made: BTreeMap::new(),
        });
        Ok(Self {
            devices: devices.collect(),
            info: together(&infos),
            quarantined: Vec::new(),
            notice,
            patience: PATIENCE,
            latest: None,
            threads: Vec::new(),
        })
    }

    /// Gives a device up that says nothing for so long; six minutes unless told otherwise.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The devices that are not asked any more, and why.
    #[must_use]
    pub fn quarantined(&self) -> &[Quarantine] {
        &self.quarantined
    }

    fn live(&self) -> Vec<usize> {
        (0..self.devices.len()).filter(|device| !self.devices[*device].out).collect()
    }

    fn quarantine(&mut self, device: usize, error: &Error) {
        let Device { id, out, lied, .. } = &mut self.devices[device];
        *lied |= matches!(error, Error::Wrong { .. });
        if !std::mem::replace(out, true) {
            let quarantine = Quarantine { device: id.clone(), reason: error.to_string() };
            (self.notice)(&quarantine);
            self.quarantined.push(quarantine);
        }
    }

    fn nobody_left(&self) -> Error {
        let reasons: Vec<_> = self.quarantined.iter().map(|Quarantine { reason, .. }| reason.as_str()).collect();
        let reason = format!("no device is left: {}", reasons.join("; "));
        Error::Unavailable { device: self.info.id.clone(), reason }
    }

    /// Starts a thread for each live device.
    fn start(&mut self, job: &LabelJob<'_>, lanes: &[usize]) -> Result<(Arc<Shared>, Receiver<Message>), Error> {
        self.threads.retain(|(_, thread)| !thread.is_finished());
        let n = f64::from(job.scrypt.n);
        let lane = |device: &usize| {
            let Device { batch, rate, .. } = self.devices[*device];
            let guess = batch as f64 * GUESSED_BATCHES * f64::from(ScryptParams::MAINNET.n);
            Lane::new(batch, batch / 2, rate.unwrap_or(guess) / n)
        };
        let queue = Queue::in_order(job.labels.positions(), lanes.iter().map(lane).collect());
        let shared = Arc::new(Shared::new(queue));
        let work = Arc::new(Work::of(job));
        let (sender, receiver) = channel();
        for (lane, &device) in lanes.iter().enumerate() {
            let Device { id, slot, .. } = &self.devices[device];
            let (shared_too, work, slot, id, sender) =
                (shared.clone(), work.clone(), slot.clone(), id.clone(), sender.clone());
            let thread = std::thread::Builder::new()
                .name(format!("pool {id}"))
                .spawn(move || worker::label(lane, &id, &slot, &shared_too, &work, &sender));
            match thread {
                Ok(thread) => self.threads.push((device, thread)),
                Err(error) => {
                    shared.end();
                    let reason = format!("{error}; close other programs");
                    return Err(Error::Unavailable { device: self.devices[device].id.clone(), reason });
                }
            }
        }
        Ok((shared, receiver))
    }

    /// Hands on what the devices make, in order, until all is there.
    fn deliver(
        &mut self,
        job: &LabelJob<'_>,
        lanes: &[usize],
        shared: &Shared,
        made: &Receiver<Message>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let Range { start: mut next, end } = job.labels.positions();
        let mut early: BTreeMap<u64, (usize, Vec<Label>)> = BTreeMap::new();
        let mut failures = Failures { left: lanes.len(), first: None };
        let tick = (self.patience / 8).clamp(Duration::from_millis(1), Duration::from_secs(5));
        let mut looked = Instant::now();
        while next < end {
            match made.recv_timeout(tick) {
                Ok(Message::Made { lane, first, labels }) => _ = early.insert(first, (lane, labels)),
                Ok(Message::Failed { lane }) => {
                    let device = lanes[lane];
                    let error = lock(&self.devices[device].slot).failure.take();
                    let error = error.unwrap_or_else(|| Error::DeviceLost { device: self.devices[device].id.clone() });
                    self.failed(device, error, &mut failures)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(failures.first.unwrap_or_else(|| self.nobody_left()));
                }
            }
            if looked.elapsed() >= tick {
                // Who looks so late was itself paused or held up: perhaps the devices were too.
                let late = looked.elapsed().saturating_sub(tick * 2);
                looked = Instant::now();
                shared.excuse(late);
                for lane in shared.give_up_silent(self.patience) {
                    let device = lanes[lane];
                    let lost = Error::DeviceLost { device: self.devices[device].id.clone() };
                    self.failed(device, lost, &mut failures)?;
                }
            }
            while let Some((lane, labels)) = early.remove(&next) {
                let positions = next..next + labels.len() as u64;
                self.remember(lanes[lane], &job.labels, &positions);
                next = positions.end;
                if sink(positions, &labels).is_break() {
                    return Ok(());
                }
                shared.deliver(next);
            }
        }
        Ok(())
    }

    /// A device is given up. An error when the job can't go on.
    fn failed(&mut self, device: usize, error: Error, failures: &mut Failures) -> Result<(), Error> {
        if !gives_up_device(&error) {
            return Err(error);
        }
        let was_out = self.devices[device].out;
        self.quarantine(device, &error);
        if matches!(error, Error::Wrong { .. }) {
            return Err(error);
        }
        if was_out {
            // It was given up as silent, and has woken up only to fail.
            return Ok(());
        }
        failures.left -= 1;
        let first = failures.first.take().unwrap_or(error);
        if failures.left == 0 {
            return Err(first);
        }
        failures.first = Some(first);
        Ok(())
    }

    /// Who made what, should it turn out to be a liar.
    fn remember(&mut self, device: usize, labels: &Labels<'_>, positions: &Range<u64>) {
        self.latest = None;
        if let Labels::Range(commitment, _) = labels {
            let made = self.devices[device].made.entry(commitment.0).or_default();
            made.insert(positions.clone());
            made.coarsen(MAX_STRETCHES);
            self.latest = Some((device, *commitment, positions.clone()));
        }
    }

    /// Keeps what was learnt about the devices' speed.
    fn learn(&mut self, n: u32, lanes: &[usize], shared: &Shared) {
        let queue = lock(&shared.queue);
        for (lane, &device) in queue.lanes.iter().zip(lanes) {
            if lane.measured {
                self.devices[device].rate = Some(lane.rate * f64::from(n));
            }
        }
    }

    fn learn_scan(&mut self, device: usize, lane: &Lane) {
        let device = &mut self.devices[device];
        // The first time counts for nothing.
        if std::mem::replace(&mut device.scanned, true) {
            device.scan_rate = match (lane.measured, device.scan_rate) {
                (true, Some(before)) => Some((before + lane.rate) / 2.0),
                (true, None) => Some(lane.rate),
                (false, before) => before.map(|rate| rate * OPTIMISM),
            };
        }
    }

    /// Scans on these devices, of which there is at least one. On an error no hit is kept.
    fn scan_once(
        &mut self,
        lanes: &[usize],
        job: &ScanJob<'_>,
        first: u64,
        labels: &[Label],
        hits: &mut Vec<Hit>,
    ) -> Result<(), Error> {
        let lane = |device: &usize| {
            let Device { scan_batch, scan_rate, .. } = self.devices[*device];
            let guess = scan_batch as f64 * GUESSED_SCANS;
            Lane::new(scan_batch, scan_batch / TELLING_PART, scan_rate.unwrap_or(guess))
        };
        let queue = Queue::in_any_order(0..labels.len() as u64, lanes.iter().map(lane).collect(), SCAN_GRAIN);
        let shared = Shared::new(queue);
        let parts = Mutex::new(BTreeMap::new());
        let work = |lane: usize| {
            let Device { id, slot, .. } = &self.devices[lanes[lane]];
            worker::scan(lane, id, slot, &shared, |piece, backend| {
                let mut hits = Vec::new();
                let part = &labels[piece.start as usize..piece.end as usize];
                backend.scan(job, first + piece.start, part, &mut hits)?;
                lock(&parts).insert(piece.start, (piece.end, hits));
                Ok(())
            });
        };
        std::thread::scope(|scope| {
            for lane in 1..lanes.len() {
                let thread = std::thread::Builder::new().spawn_scoped(scope, move || work(lane));
                if thread.is_err() {
                    // Then the others do its part.
                    shared.give_up(lane);
                }
            }
            work(0);
        });
        let mut failures = Failures { left: lanes.len(), first: None };
        for (lane, &device) in lanes.iter().enumerate() {
            let failure = lock(&self.devices[device].slot).failure.take();
            self.learn_scan(device, &lock(&shared.queue).lanes[lane]);
            failure.map_or(Ok(()), |error| self.failed(device, error, &mut failures))?;
        }
        let mut parts = parts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A device whose thread did not start counts as left, and did nothing.
        if parts.iter().try_fold(0, |at, (start, (end, _))| (at == *start).then_some(*end)) != Some(labels.len() as u64)
        {
            return Err(failures.first.unwrap_or_else(|| self.nobody_left()));
        }
        parts.values_mut().for_each(|(_, found)| hits.append(found));
        Ok(())
    }
}

/// How many devices of a job are left, and why the first one isn't.
struct Failures {
    left: usize,
    first: Option<Error>,
}

/// Whether it is the device's fault, not the job's.
fn gives_up_device(error: &Error) -> bool {
    error.is_fatal() || matches!(error, Error::OutOfMemory { .. })
}

/// What several devices are together.
fn together(infos: &[Info]) -> Info {
    let join = |what: fn(&Info) -> &str, by: &str| infos.iter().map(what).collect::<Vec<_>>().join(by);
    Info {
        kind: if let [one] = infos { one.kind } else { "pool" },
        id: join(|info| &info.id, "+"),
        name: join(|info| &info.name, " + "),
        threads: infos.iter().map(|info| info.threads).sum(),
        batch: infos.iter().fold(0, |sum, info| sum.saturating_add(info.batch)),
        scan_batch: infos.iter().fold(0, |sum, info| sum.saturating_add(info.scan_batch)),
        labels: join(|info| &info.labels, " + "),
        scan: join(|info| &info.scan, " + "),
    }
}

impl Backend for Pool {
    fn info(&self) -> &Info {
        &self.info
    }

    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        job.scrypt.check()?;
        if job.labels.positions().is_empty() {
            return Ok(());
        }
        let lanes = self.live();
        if lanes.is_empty() {
            return Err(self.nobody_left());
        }
        let (shared, made) = self.start(job, &lanes)?;
        // Whatever happens, even a panic of the sink: the devices stop.
        let ending = worker::Ending(&shared);
        let result = self.deliver(job, &lanes, &shared, &made, sink);
        drop(ending);
        self.learn(job.scrypt.n, &lanes, &shared);
        result
    }

    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        let mut lanes = self.live();
        if lanes.is_empty() {
            return Err(self.nobody_left());
        }
        loop {
            let result = self.scan_once(&lanes, job, first, labels, hits);
            let fewer = self.live();
            match result {
                // All once more: what a liar found before it was caught may be wrong too.
                Err(error) if gives_up_device(&error) && !fewer.is_empty() && fewer.len() < lanes.len() => {
                    lanes = fewer
                }
                result => return result,
            }
        }
    }

    fn accuse(&mut self, commitment: &Commitment, index: u64) -> Error {
        let latest = self.latest.as_ref().filter(|(_, of, indices)| of == commitment && indices.contains(&index));
        let made_it = |device: &Device| device.made.get(&commitment.0).is_some_and(|made| made.contains(index));
        let culprit = latest.map(|(device, ..)| *device).or_else(|| self.devices.iter().position(made_it));
        let Some(culprit) = culprit else {
            return Error::Wrong { device: self.info.id.clone(), index };
        };
        let wrong = Error::Wrong { device: self.devices[culprit].id.clone(), index };
        self.quarantine(culprit, &wrong);
        wrong
    }

    fn settle(&mut self) -> Result<(), Error> {
        let until = Instant::now() + self.patience;
        for (device, thread) in std::mem::take(&mut self.threads) {
            while !self.devices[device].out && !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(SETTLING);
            }
            if !thread.is_finished() {
                // Not waited for once more when the pool is dropped.
                let lost = Error::DeviceLost { device: self.devices[device].id.clone() };
                self.quarantine(device, &lost);
                self.threads.push((device, thread));
            }
        }
        // One lie at a time; what else happened the next job finds.
        for device in 0..self.devices.len() {
            let Ok(mut slot) = self.devices[device].slot.try_lock() else { continue };
            let lie = slot.failure.take_if(|error| matches!(error, Error::Wrong { .. }));
            drop(slot);
            if let Some(lie) = lie {
                self.quarantine(device, &lie);
                return Err(lie);
            }
        }
        Ok(())
    }

    fn others_left(&self) -> bool {
        self.devices.iter().any(|device| !device.out)
    }

    fn suspects(&mut self, commitment: &Commitment) -> Option<Vec<Range<u64>>> {
        let liars = self.devices.iter_mut().filter(|device| device.lied);
        let suspects: Ranges = liars
            .filter_map(|liar| liar.made.remove(&commitment.0))
            .flat_map(|made| made.iter().collect::<Vec<_>>())
            .collect();
        Some(suspects.iter().collect())
    }
}

impl Drop for Pool {
    /// A process should not end while a driver is at work: waits for the batch that each device is at, but for those that
    /// have hung.
    fn drop(&mut self) {
        for (device, thread) in std::mem::take(&mut self.threads) {
            if !self.devices[device].out {
                _ = thread.join();
            }
        }
    }
}
