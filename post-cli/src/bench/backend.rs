//! How fast devices are, as the commands use them: through the backend, with every check and every copy.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use post_core::backend::{Backend, LabelJob, Labels};
use post_core::identity::Commitment;
use post_core::label::Label;
use post_core::params::ScryptParams;
use post_core::scan::ScanJob;

use super::scan::GIB;
use crate::stop;

/// Labels that no measurement reaches.
const ENDLESS: u64 = 1 << 60;

/// Batches that count, at least: devices that take turns are not of one speed.
const BATCHES: u32 = 2;

/// Labels per second of this cost, measured for about `time` once the first batch is there.
pub(crate) fn label_rate(backend: &mut dyn Backend, scrypt: ScryptParams, time: Duration) -> Result<f64> {
    let job = LabelJob { scrypt, labels: Labels::Range(Commitment([9; 32]), 0..ENDLESS) };
    let (mut start, mut batches, mut count, mut rate) = (None, 0, 0, None);
    backend.label(&job, &mut |_, labels| {
        std::hint::black_box(labels);
        // The first batch pays for memory, and for tuning; it starts the clock.
        let start: &Instant = start.get_or_insert_with(Instant::now);
        if batches > 0 {
            count += labels.len() as u64;
        }
        batches += 1;
        let taken = start.elapsed();
        if batches > BATCHES && taken >= time {
            rate = Some(count as f64 / taken.as_secs_f64().max(1e-9));
        }
        if rate.is_some() || stop::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    match rate {
        Some(rate) => Ok(rate),
        None => bail!("stopped"),
    }
}

/// GiB of labels scanned per second, `labels` at a time, measured for about `time`.
pub(crate) fn scan_rate(backend: &mut dyn Backend, job: &ScanJob<'_>, labels: &[Label], time: Duration) -> Result<f64> {
    let mut hits = Vec::new();
    let mut once = || -> Result<()> {
        hits.clear();
        backend.scan(job, 0, labels, &mut hits)?;
        if stop::requested() { bail!("stopped") } else { Ok(()) }
    };
    // Twice for nothing: keys go up and memory is taken, then the device learns how much it should do at a time.
    once()?;
    once()?;
    let (start, mut times) = (Instant::now(), 0);
    while start.elapsed() < time {
        once()?;
        times += 1;
    }
    Ok(f64::from(times) * labels.len() as f64 * 16.0 / GIB / start.elapsed().as_secs_f64())
}
