//! A drive that fails in every way drives do, when a schedule says so. For tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::memory::Random;
use super::{Drive, DriveError, MemoryDrive, Record, Role};
use crate::metadata::Metadata;

/// No such device, and an input/output error, as systems number them.
const ENODEV: i32 = 19;
const EIO: i32 = 5;

/// How long a slow operation takes.
const SLOW: Duration = Duration::from_micros(200);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The next write ends part-way.
    ShortWrite,
    /// The drive is full from now on, until [`MemoryDrive::make_room`].
    Full,
    /// One operation is refused with an input/output error. A sync that is refused loses data (see [`MemoryDrive`]); a
    /// record that could not be replaced may be the old or the new one.
    Io,
    /// The drive is unplugged: what was not synced is torn, and every call fails from now on.
    Vanish,
    /// One operation takes longer.
    Slow,
    /// The process ends: this operation is done in part, and every call on every drive of the machine fails from now on.
    /// Whether the power goes too, the test decides, see [`MemoryDrive::crash_torn`].
    Kill,
}

/// What the drives of one run share: when it stops, all of them do.
#[derive(Clone, Default)]
pub struct Machine(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    fired: Mutex<Vec<Fault>>,
}

impl Machine {
    /// Which faults came about, in their order.
    #[must_use]
    pub fn fired(&self) -> Vec<Fault> {
        lock(&self.0.fired).clone()
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }
}

/// Passes operations on to memory, but for those that its schedule lets fail.
pub struct FaultyDrive {
    inner: MemoryDrive,
    machine: Machine,
    state: Mutex<State>,
}

struct State {
    /// Operations so far.
    operations: u64,
    /// By number of the operation, from 0; ascending.
    schedule: VecDeque<(u64, Fault)>,
    vanished: bool,
    random: Random,
}

/// An operation that fails after some of it was done.
struct Broken {
    fault: Fault,
    error: DriveError,
    random: Random,
}

impl FaultyDrive {
    /// Lets `operations` operations succeed; every later one fails, the first of these half-way.
    #[must_use]
    pub fn new(inner: MemoryDrive, operations: i64) -> Self {
        let kill = (u64::try_from(operations).unwrap_or(0), Fault::Kill);
        Self::scheduled(inner, vec![kill], 0, &Machine::default())
    }

    /// Faults at operations of given numbers, counted from 0; one that does not fit its operation waits for the next that
    /// it fits. The seed decides how much of a broken operation was done.
    #[must_use]
    pub fn scheduled(inner: MemoryDrive, mut schedule: Vec<(u64, Fault)>, seed: u64, machine: &Machine) -> Self {
        schedule.sort();
        let random = Random(seed);
        let state = State { operations: 0, schedule: schedule.into(), vanished: false, random };
        Self { inner, machine: machine.clone(), state: Mutex::new(state) }
    }

    /// Counts an operation. `Err`: nothing of it happens. `Some`: part of it does.
    fn next(&self, is_write: bool) -> Result<Option<Broken>, DriveError> {
        let mut state = lock(&self.state);
        if state.vanished || self.machine.is_stopped() {
            return Err(refused(ENODEV));
        }
        let now = state.operations;
        state.operations += 1;
        while let Some(&(at, fault)) = state.schedule.front() {
            if at > now || (fault == Fault::ShortWrite && !is_write) {
                break;
            }
            state.schedule.pop_front();
            lock(&self.machine.0.fired).push(fault);
            let random = Random(state.random.below(usize::MAX) as u64);
            let error = match fault {
                Fault::Slow => {
                    std::thread::sleep(SLOW);
                    continue;
                }
                Fault::Full => {
                    self.inner.fill_up();
                    continue;
                }
                Fault::ShortWrite | Fault::Io => EIO,
                Fault::Vanish => {
                    state.vanished = true;
                    ENODEV
                }
                Fault::Kill => {
                    self.machine.0.stopped.store(true, Ordering::SeqCst);
                    ENODEV
                }
            };
            return Ok(Some(Broken { fault, error: refused(error), random }));
        }
        Ok(None)
    }

    /// An operation that is done or not.
    fn whole<T>(&self, operation: impl FnOnce() -> Result<T, DriveError>) -> Result<T, DriveError> {
        match self.next(false)? {
            None => operation(),
            Some(broken) => Err(self.end(broken)),
        }
    }

    /// An operation that is done or not, but may have been done though it says it was not.
    fn atomic(&self, operation: impl FnOnce() -> Result<(), DriveError>) -> Result<(), DriveError> {
        match self.next(false)? {
            None => operation(),
            Some(mut broken) => {
                if broken.random.below(2) == 0 {
                    operation()?;
                }
                Err(self.end(broken))
            }
        }
    }

    /// The end of a broken operation, after part of it was done.
    fn end(&self, mut broken: Broken) -> DriveError {
        if broken.fault == Fault::Vanish {
            self.inner.crash_torn(broken.random.below(usize::MAX) as u64);
        }
        broken.error
    }
}

impl Drive for FaultyDrive {
    fn name(&self) -> String {
        "faulty".into()
    }

    fn check_writable(&self) -> Result<(), DriveError> {
        self.whole(|| self.inner.check_writable())
    }

    fn claim(&self, role: Role) -> Result<(), DriveError> {
        self.whole(|| self.inner.claim(role))
    }

    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError> {
        self.whole(|| self.inner.held())
    }

    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError> {
        self.whole(|| self.inner.read_at(file, offset, buffer))
    }

    fn preallocate(&self, file: u32, bytes: u64) -> Result<(), DriveError> {
        self.whole(|| self.inner.preallocate(file, bytes))
    }

    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError> {
        match self.next(true)? {
            None => self.inner.write_at(file, offset, data),
            Some(mut broken) => {
                // Not even at the border of a label.
                let arrived = broken.random.below(data.len() + 1);
                self.inner.write_at(file, offset, &data[..arrived])?;
                Err(self.end(broken))
            }
        }
    }

    fn sync(&self, file: u32) -> Result<(), DriveError> {
        match self.next(false)? {
            None => self.inner.sync(file),
            Some(mut broken) => {
                // A process that ends takes nothing away from the system.
                if broken.fault != Fault::Kill {
                    self.inner.fail_sync(file, &mut broken.random);
                }
                Err(self.end(broken))
            }
        }
    }

    fn metadata(&self) -> Result<Option<Metadata>, DriveError> {
        self.whole(|| self.inner.metadata())
    }

    fn replace_metadata(&self, metadata: &Metadata) -> Result<(), DriveError> {
        self.atomic(|| self.inner.replace_metadata(metadata))
    }

    fn record(&self, record: Record) -> Result<Option<Vec<u8>>, DriveError> {
        self.whole(|| self.inner.record(record))
    }

    fn replace_record(&self, record: Record, bytes: &[u8]) -> Result<(), DriveError> {
        self.atomic(|| self.inner.replace_record(record, bytes))
    }

    fn forget_record(&self, record: Record) -> Result<(), DriveError> {
        self.atomic(|| self.inner.forget_record(record))
    }

    fn free_space(&self) -> Result<(u64, u64), DriveError> {
        self.whole(|| self.inner.free_space())
    }

    fn disk(&self) -> Result<u64, DriveError> {
        self.whole(|| self.inner.disk())
    }
}

fn refused(code: i32) -> DriveError {
    let source = std::io::Error::from_raw_os_error(code);
    DriveError::Io { action: "use", place: "a faulty drive".into(), source }
}

/// A panic elsewhere leaves these values whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
