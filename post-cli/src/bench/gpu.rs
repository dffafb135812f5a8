//! How fast one GPU is, as the commands use it: through the backend, with every check and every copy.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use post_core::backend::{Backend, LabelJob, Labels};
use post_core::identity::Commitment;
use post_core::params::ScryptParams;
use post_core::scan::ScanJob;
use post_gpu::Tune;
use serde_json::json;

use super::backend::scan_rate;
use super::scan::{GROUPS, Subject};
use super::{Settings, median};
use crate::args::Compute;
use crate::{devices, stop};

/// How long a job of labels should take.
const JOB: Duration = Duration::from_secs(1);

/// Labels of the first job. The device is tuned before it.
const FIRST: u64 = 64;

/// A GPU to measure.
pub(crate) struct Gpu {
    id: String,
    backend: Box<dyn Backend>,
}

impl Gpu {
    /// Opens it. It will be tuned before its first labels, whatever an earlier run found.
    pub(crate) fn open(id: &str, compute: &Compute) -> Result<Self> {
        Ok(Self { id: id.to_owned(), backend: devices::open_gpu(id, compute, Tune::Always)? })
    }

    /// Labels per second at mainnet's cost.
    pub(crate) fn labels(&mut self, settings: &Settings) -> Result<f64> {
        let scrypt = ScryptParams::MAINNET;
        self.time_labels(FIRST)?;
        // More and more of them, until a job takes long enough for its start and end not to count.
        let mut count = FIRST;
        loop {
            let taken = self.time_labels(count)?;
            if taken * 2 >= JOB {
                count = (count as f64 * JOB.as_secs_f64() / taken.as_secs_f64()).ceil() as u64;
                break;
            }
            let factor = (JOB.as_secs_f64() / taken.as_secs_f64().max(1e-9)) as u64;
            count *= factor.clamp(2, 8);
        }
        // The first job of this size takes memory for it, and doesn't count.
        self.time_labels(count)?;
        let rounds = if settings.quick { 1 } else { 3 };
        let rates: Result<Vec<f64>> =
            (0..rounds).map(|_| Ok(count as f64 / self.time_labels(count)?.as_secs_f64())).collect();
        let rate = median(rates?);
        let info = self.backend.info();
        settings.heading(&format!("labels, N = {}, {} ({})", scrypt.n, self.id, info.name));
        settings.result(
            &json!({
                "bench": "labels", "device": self.id, "name": info.name, "layout": info.labels, "n": scrypt.n,
                "labels_per_s": rate, "chosen": true,
            }),
            &format!("  {:20} {rate:9.0} labels/s ({})", self.id, info.labels),
        );
        Ok(rate)
    }

    /// How long the job of the first `count` labels takes.
    fn time_labels(&mut self, count: u64) -> Result<Duration> {
        let job = LabelJob { scrypt: ScryptParams::MAINNET, labels: Labels::Range(Commitment([9; 32]), 0..count) };
        let (start, mut stopped) = (Instant::now(), false);
        self.backend.label(&job, &mut |_, labels| {
            std::hint::black_box(labels);
            stopped = stop::requested();
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if stopped {
            bail!("stopped");
        }
        Ok(start.elapsed())
    }

    /// GiB of labels scanned per second, by [`GROUPS`].
    pub(crate) fn scan(&mut self, settings: &Settings) -> Result<[f64; 4]> {
        let info = self.backend.info().clone();
        let subject = Subject::new(info.scan_batch)?;
        settings.heading(&format!("scan, {} ({})", self.id, info.name));
        let mut rates = [0.0; 4];
        for (rate, count) in rates.iter_mut().zip(GROUPS) {
            let groups = subject.groups(count);
            let job = ScanJob { groups: &groups, difficulty: subject.difficulty };
            *rate = scan_rate(&mut *self.backend, &job, &subject.labels, settings.time() * 4)?;
            settings.result(
                &json!({
                    "bench": "scan", "device": self.id, "name": info.name, "layout": info.scan, "groups": count,
                    "gib_per_s": *rate, "chosen": true,
                }),
                &format!("  {:10} {count:3} groups {rate:9.3} GiB/s", self.id),
            );
        }
        Ok(rates)
    }
}
