//! k2pow with RandomX: one cache, in fast mode one dataset, shared by a virtual machine a thread.

mod ffi;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{POW_LIMIT, PowClaim, PowError, PowInput, PowProver, PowVerifier};
use crate::difficulty::expected_hashes;
use crate::watch::{Event, Silent, Watch};
use ffi::{Cache, Dataset, Vm};

/// The key all networks of this kind share.
const CACHE_KEY: &[u8] = b"spacemesh-randomx-cache-key";

/// Building the dataset costs as much as about this many light hashes of one thread; below it, it would not pay.
const DATASET_PAYS_FROM: f64 = 1500.0;

/// Hashes between two reports of progress.
const REPORT_EVERY: u64 = 64;

/// How much memory RandomX may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A 2080 MiB dataset on top of the cache: several times the hash rate. It is built when the work at hand is worth it.
    Fast,
    /// The 256 MiB cache alone.
    Light,
}

/// The pages that fast mode's dataset lies in: every hash reads it at 16,384 places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Huge pages that were set aside for it (`vm.nr_hugepages`); where there are too few, as [`Pages::Transparent`].
    Reserved,
    /// Huge pages that the system makes up as it can.
    Transparent,
    /// Pages of 4 KiB. Only for comparison.
    Small,
}

/// How to set RandomX up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Memory for speed.
    pub mode: Mode,
    /// Hashing threads, at least 1.
    pub threads: usize,
    /// The largest pages to ask for.
    pub pages: Pages,
}

impl Options {
    /// The best pages that can be had.
    #[must_use]
    pub fn new(mode: Mode, threads: usize) -> Self {
        Self { mode, threads, pages: Pages::Reserved }
    }
}

/// What a measurement of the hash rate gives.
#[derive(Clone, Copy, Debug)]
pub struct HashRate {
    /// Of all threads together.
    pub hashes_per_s: f64,
    /// In fast mode, the pages that the dataset got.
    pub pages: Option<Pages>,
    /// In fast mode with a true dataset, how long its making took.
    pub dataset_s: Option<f64>,
}

/// RandomX, set up when it is first asked and not before. Shared by reference between threads.
pub struct LazyRandomX {
    options: Options,
    cache: Mutex<Option<Arc<Cache>>>,
    dataset: Mutex<Option<Arc<Dataset>>>,
    /// Machines that are not in use; making one costs more than a hash.
    idle: Mutex<Vec<Vm>>,
    /// The input judged last, and its hash: proofs of one miner for one challenge come in a row, and differ elsewhere.
    judged: Mutex<Option<([u8; 48], [u8; 32])>>,
    /// Hashes of all searches and batches so far: many small ones are worth a dataset too.
    hashed: AtomicU64,
}

impl LazyRandomX {
    /// Nothing is allocated yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            cache: Mutex::default(),
            dataset: Mutex::default(),
            idle: Mutex::default(),
            judged: Mutex::default(),
            hashed: AtomicU64::new(0),
        }
    }

    /// The RandomX hash of `input`, in whichever mode is set up.
    ///
    /// # Errors
    /// [`PowError::OutOfMemory`] or [`PowError::NoMachine`].
    pub fn hash(&self, input: &[u8]) -> Result<[u8; 32], PowError> {
        let mut vm = self.take_vm()?;
        let hash = vm.hash(input);
        lock(&self.idle).push(vm);
        Ok(hash)
    }

    /// Measures the hash rate of all threads for about `time`, and in fast mode the making of the dataset. With `noise` a
    /// table of arbitrary numbers takes the dataset's place: as fast, ready in a second, and of no use for anything else.
    ///
    /// # Errors
    /// Every [`PowError`].
    pub fn measure(self, time: Duration, noise: bool, watch: &dyn Watch) -> Result<HashRate, PowError> {
        let start = Instant::now();
        if self.options.mode == Mode::Fast {
            if noise {
                *lock(&self.dataset) = Some(Arc::new(Dataset::of_noise(self.options.pages)?));
            } else {
                self.build_dataset(watch)?;
            }
        } else {
            self.cache()?;
        }
        let pages = lock(&self.dataset).as_ref().map(|dataset| dataset.pages());
        let dataset_s = pages.filter(|_| !noise).map(|_| start.elapsed().as_secs_f64());
        let rates = std::thread::scope(|scope| {
            let hash = || -> Result<f64, PowError> {
                let mut vm = self.take_vm()?;
                // The first hash pays for touching the machine's memory.
                vm.hash(&[0; 48]);
                let (start, mut hashes) = (Instant::now(), 0_u64);
                while start.elapsed() < time && !watch.stop() {
                    vm.hash(&hashes.to_le_bytes());
                    hashes += 1;
                }
                Ok(hashes as f64 / start.elapsed().as_secs_f64())
            };
            let workers: Vec<_> = (0..self.options.threads.max(1)).map(|_| scope.spawn(hash)).collect();
            let rates = workers.into_iter().map(|worker| worker.join().unwrap_or(Err(PowError::NoMachine)));
            rates.collect::<Result<Vec<_>, _>>()
        })?;
        if watch.stop() {
            return Err(PowError::Stopped);
        }
        Ok(HashRate { hashes_per_s: rates.iter().sum(), pages, dataset_s })
    }

    fn cache(&self) -> Result<Arc<Cache>, PowError> {
        let mut cache = lock(&self.cache);
        if let Some(cache) = &*cache {
            return Ok(Arc::clone(cache));
        }
        Ok(Arc::clone(cache.insert(Arc::new(Cache::new(CACHE_KEY)?))))
    }

    /// In fast mode, makes sure of the dataset if so many hashes more, and those so far, are worth it.
    fn prepare_for(&self, hashes: f64, watch: &dyn Watch) -> Result<(), PowError> {
        let hashes = self.hashed.load(Ordering::Relaxed) as f64 + hashes;
        if self.options.mode == Mode::Fast && hashes >= DATASET_PAYS_FROM {
            self.build_dataset(watch)?;
        }
        Ok(())
    }

    /// Builds the dataset on all threads; machines made before it are replaced.
    fn build_dataset(&self, watch: &dyn Watch) -> Result<(), PowError> {
        let mut dataset = lock(&self.dataset);
        if dataset.is_none() {
            watch.event(Event::DatasetStarted);
            let stop = || watch.stop();
            let cache = self.cache()?;
            *dataset = Some(Arc::new(Dataset::new(&cache, self.options.pages, self.options.threads, &stop)?));
            lock(&self.idle).clear();
        }
        Ok(())
    }

    fn take_vm(&self) -> Result<Vm, PowError> {
        if let Some(vm) = lock(&self.idle).pop() {
            return Ok(vm);
        }
        let dataset = lock(&self.dataset).clone();
        Vm::new(self.cache()?, dataset)
    }

    /// One thread's share of a search: takes the next untried pow until one below all later ones is found.
    fn search(&self, search: &Search<'_>) -> Result<(), PowError> {
        let mut vm = self.take_vm().inspect_err(|_| search.ended.store(true, Ordering::Relaxed))?;
        while !search.ended.load(Ordering::Relaxed) {
            let pow = search.next.fetch_add(1, Ordering::Relaxed);
            // Every pow below the best one is somebody's; all of them are tried before the search ends.
            if pow >= search.best.load(Ordering::Relaxed).min(POW_LIMIT) {
                break;
            }
            if vm.hash(&search.input.bytes(pow)) < *search.target {
                search.best.fetch_min(pow, Ordering::Relaxed);
            }
            self.hashed.fetch_add(1, Ordering::Relaxed);
            if pow % REPORT_EVERY == REPORT_EVERY - 1 {
                search.watch.event(Event::PowHashes { hashes: pow + 1 });
            }
            if search.watch.stop() {
                search.ended.store(true, Ordering::Relaxed);
            }
        }
        lock(&self.idle).push(vm);
        Ok(())
    }
}

struct Search<'a> {
    input: &'a PowInput,
    target: &'a [u8; 32],
    watch: &'a dyn Watch,
    next: AtomicU64,
    best: AtomicU64,
    ended: AtomicBool,
}

impl PowProver for LazyRandomX {
    fn prove(&self, input: &PowInput, target: &[u8; 32], watch: &dyn Watch) -> Result<u64, PowError> {
        if *target == [0; 32] {
            return Err(PowError::Exhausted);
        }
        self.prepare_for(expected_hashes(target), watch)?;
        let search = Search {
            input,
            target,
            watch,
            next: AtomicU64::new(0),
            best: AtomicU64::new(u64::MAX),
            ended: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..self.options.threads.max(1)).map(|_| scope.spawn(|| self.search(&search))).collect();
            // The first that can't be set up ends the search of all.
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Err(PowError::NoMachine)))
        })?;
        match search.best.into_inner() {
            _ if search.ended.into_inner() => Err(PowError::Stopped),
            u64::MAX => Err(PowError::Exhausted),
            pow => Ok(pow),
        }
    }
}

impl PowVerifier for LazyRandomX {
    fn verify(&self, input: &PowInput, pow: u64, target: &[u8; 32]) -> Result<bool, PowError> {
        let input = input.bytes(pow);
        let judged = lock(&self.judged).filter(|(judged, _)| *judged == input);
        let hash = match judged {
            Some((_, hash)) => hash,
            None => self.hash(&input)?,
        };
        *lock(&self.judged) = Some((input, hash));
        Ok(hash < *target)
    }

    fn verify_all(&self, claims: &[PowClaim]) -> Result<Vec<bool>, PowError> {
        self.prepare_for(claims.len() as f64, &Silent)?;
        let answers: Vec<_> = claims.iter().map(|_| AtomicBool::new(false)).collect();
        let next = AtomicUsize::new(0);
        let judge = || -> Result<(), PowError> {
            let untaken = std::iter::from_fn(|| {
                let at = next.fetch_add(1, Ordering::Relaxed);
                claims.get(at).zip(answers.get(at))
            });
            for (PowClaim { input, pow, target }, answer) in untaken {
                // Where one can't be told, no thread goes on for nothing.
                let holds =
                    self.verify(input, *pow, target).inspect_err(|_| next.store(claims.len(), Ordering::Relaxed))?;
                answer.store(holds, Ordering::Relaxed);
                self.hashed.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            // This thread is one of them: a claim alone needs no other.
            let others = self.options.threads.min(claims.len()).saturating_sub(1);
            let workers: Vec<_> = (0..others).map(|_| scope.spawn(judge)).collect();
            let own = judge();
            workers.into_iter().map(|worker| worker.join().unwrap_or(Err(PowError::NoMachine))).fold(own, Result::and)
        })?;
        Ok(answers.into_iter().map(AtomicBool::into_inner).collect())
    }
}

/// A panic elsewhere leaves these values whole: they are only ever replaced.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
