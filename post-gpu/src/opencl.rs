//! OpenCL: the API of last resort that almost every driver speaks. One job of ours a file: `find` lists devices, `queue`
//! is what a device can be told, `labels` and `scan` are what we tell it; `error` puts its refusals into our words.
//!
//! The library is looked for at run time, see `opencl_loader`. Of `ocl` only the thin layer, `ocl::core`, is used: what is
//! above it panics where it could say what is wrong.

mod error;
mod find;
mod labels;
mod queue;
mod scan;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use post_core::identity::Commitment;
use post_core::label::Label;
use post_core::scan::ScanJob;

use crate::device::{Device, Facts, Shape, Trouble};
use crate::{Absent, Api};
pub(crate) use find::give_pocl_a_cache;
use labels::Labels;
use queue::Queue;
use scan::Scan;

/// The devices of all drivers, in an order that stays, or why there are none.
pub(crate) fn devices() -> (Vec<Facts>, Option<Absent>) {
    match find::all() {
        Ok(found) if found.is_empty() => (Vec::new(), Some(absent())),
        Ok(found) => (found.into_iter().map(|found| found.facts).collect(), None),
        Err(trouble) => {
            let cure = "update or reinstall the drivers of your devices".to_owned();
            (Vec::new(), Some(Absent { api: Api::OpenCl, reason: trouble.to_string(), cure }))
        }
    }
}

/// What is missing, where no device was found.
fn absent() -> Absent {
    let (reason, cure) = match opencl_loader::library() {
        Ok(library) => (
            format!("{library} knows no device"),
            "install the driver of your card; the package pocl-opencl-icd makes a slow device of the CPU, for tests",
        ),
        Err(tried) => (
            format!("there is no OpenCL library ({tried})"),
            "install the driver of your card, and the package ocl-icd-libopencl1 if the driver doesn't bring a library",
        ),
    };
    Absent { api: Api::OpenCl, reason, cure: cure.to_owned() }
}

/// The device with this id.
///
/// # Errors
/// [`Trouble::Unavailable`] when there is none, or it can't be used.
pub(crate) fn open(id: &str) -> Result<Box<dyn Device>, Trouble> {
    let found = find::all()?;
    let none = if found.is_empty() { absent().to_string() } else { format!("OpenCL knows no {id}") };
    let found = found
        .into_iter()
        .find(|found| found.facts.id == id)
        .ok_or_else(|| Trouble::Unavailable { reason: format!("{none}; `post devices` lists what can be used") })?;
    let queue = Rc::new(Queue::new(&found)?);
    Ok(Box::new(OpenCl { facts: found.facts, queue, labels: None, scan: None }))
}

/// A device in use.
struct OpenCl {
    facts: Facts,
    queue: Rc<Queue>,
    labels: Option<Labels>,
    scan: Option<Scan>,
}

/// The device was asked to work before it was told on what.
fn unprepared() -> Trouble {
    Trouble::Unavailable { reason: "the device was not prepared for this work; this is a mistake in post".to_owned() }
}

impl Device for OpenCl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn prepare_labels(&mut self, shape: &Shape) -> Result<(), Trouble> {
        // The memory must be free before more is asked for.
        self.labels = None;
        self.labels = Some(Labels::new(&self.queue, shape)?);
        Ok(())
    }

    fn submit_labels(&mut self, slot: usize, jobs: &[(Commitment, u64)], steps_per_submit: u32) -> Result<(), Trouble> {
        self.labels.as_mut().ok_or_else(unprepared)?.submit(slot, jobs, steps_per_submit)
    }

    fn collect_labels(&mut self, slot: usize, labels: &mut Vec<Label>) -> Result<(), Trouble> {
        self.labels.as_mut().ok_or_else(unprepared)?.collect(slot, labels)
    }

    fn prepare_scan(&mut self, job: &ScanJob<'_>, labels: usize, hits: usize) -> Result<(), Trouble> {
        self.scan = None;
        self.scan = Some(Scan::new(&self.queue, job, labels, hits)?);
        Ok(())
    }

    fn submit_scan(&mut self, slot: usize, labels: &[Label]) -> Result<(), Trouble> {
        self.scan.as_mut().ok_or_else(unprepared)?.submit(slot, labels)
    }

    fn collect_scan(&mut self, slot: usize, found: &mut Vec<(u32, u32)>) -> Result<u32, Trouble> {
        self.scan.as_mut().ok_or_else(unprepared)?.collect(slot, found)
    }
}
