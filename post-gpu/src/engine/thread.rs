//! A device lives on a thread of its own: drivers block, hang, and unwind, and whoever asks must not.

use std::any::Any;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::device::{Device, Facts, Trouble};

/// How long an end of ours waits for the device's.
const FAREWELL: Duration = Duration::from_secs(5);

/// A wait is cut into so many slices, and a slice is never longer than this. Only slices count: while this process is
/// stopped, or the machine it runs on, no more than one of them passes.
const SLICES: u32 = 8;
const SLICE: Duration = Duration::from_secs(1);

/// Opens a device. It runs on the device's thread.
pub(crate) type Maker = Box<dyn FnOnce() -> Result<Box<dyn Device>, Trouble> + Send>;

/// Something to do with the device; `Break` after what it can't recover from.
type Work = Box<dyn FnOnce(&mut dyn Device) -> ControlFlow<()> + Send>;

/// The host's end of a device's thread.
pub(super) struct DeviceThread {
    /// Taken away to end the thread.
    work: Option<Sender<Work>>,
    ended: Receiver<()>,
    /// It did not answer in time: nobody will wait for it again.
    stuck: Cell<bool>,
}

/// The answer to come of something that was asked.
pub(super) struct Answer<T>(Receiver<Result<T, Trouble>>);

impl DeviceThread {
    /// Opens a device on a new thread, within `limit`.
    pub(super) fn open(name: &str, maker: Maker, limit: Duration) -> Result<(Self, Facts), Trouble> {
        let (work, orders) = mpsc::channel::<Work>();
        let (opened, opening) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let live = move || {
            let made = caught(maker).and_then(|device| {
                let facts = caught(|| Ok(device.facts().clone()))?;
                Ok((device, facts))
            });
            match made {
                Ok((device, facts)) => {
                    // Nobody listens any more if opening took too long.
                    let _ = opened.send(Ok(facts));
                    serve(device, &orders);
                }
                Err(trouble) => drop(opened.send(Err(trouble))),
            }
            let _ = end.send(());
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(live)
            .map_err(|e| Trouble::Unavailable { reason: format!("no thread for it: {e}") })?;
        let thread = Self { work: Some(work), ended, stuck: Cell::new(false) };
        let facts = thread.wait(Answer(opening), &mut { limit })?;
        Ok((thread, facts))
    }

    /// Asks for something; it is done after all that was asked before.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut dyn Device) -> Result<T, Trouble> + Send + 'static,
    ) -> Answer<T> {
        let (told, answer) = mpsc::channel();
        let work: Work = Box::new(move |device| {
            let done = caught(|| what(device));
            let after = match done {
                Err(Trouble::Lost { .. }) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            };
            let _ = told.send(done);
            after
        });
        // If the thread has ended, `work` is dropped, and with it the only one who could answer: `wait` tells.
        if let Some(orders) = &self.work {
            let _ = orders.send(work);
        }
        Answer(answer)
    }

    /// Waits for an answer, but not longer than what is `left`, and takes off it what the wait took.
    pub(super) fn wait<T>(&self, answer: Answer<T>, left: &mut Duration) -> Result<T, Trouble> {
        let limit = *left;
        let slice = (limit / SLICES).clamp(Duration::from_millis(1), SLICE);
        loop {
            let (slice, begun) = (slice.min(*left), Instant::now());
            let heard = answer.0.recv_timeout(slice);
            *left -= begun.elapsed().min(slice);
            match heard {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    self.stuck.set(true);
                    return Err(Trouble::Lost { reason: format!("no answer within {:.1} s", limit.as_secs_f64()) });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Trouble::Lost { reason: "it failed before".into() });
                }
            }
        }
    }

    /// Both.
    pub(super) fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        what: impl FnOnce(&mut dyn Device) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        self.wait(self.begin(what), &mut { limit })
    }
}

impl Drop for DeviceThread {
    /// Drivers crash if the process ends while they are at work, so their thread is waited for, if it moves at all.
    fn drop(&mut self) {
        self.work = None;
        if !self.stuck.get() {
            let _ = self.ended.recv_timeout(FAREWELL);
        }
    }
}

/// Does what is asked until nobody can ask any more, or the device is lost.
fn serve(mut device: Box<dyn Device>, orders: &Receiver<Work>) {
    for work in orders {
        if work(&mut *device).is_break() {
            break;
        }
    }
    let _ = catch_unwind(AssertUnwindSafe(|| drop(device)));
}

/// A driver's panic is the loss of its device. The device is not used again afterwards, so no half-done state is seen.
fn caught<T>(action: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(action)).unwrap_or_else(|panic| Err(Trouble::Lost { reason: message(&*panic) }))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("its driver panicked").to_owned()
}
