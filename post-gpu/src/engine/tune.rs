//! Which gap is fastest on a device, and with how many labels in flight: measured once, before the first long job.
//!
//! A gap of 2 halves the memory a label takes and the writes, and costs half a mix more for each of the N steps. Which
//! of these is short differs from card to card.

use std::time::{Duration, Instant};

use post_core::identity::Commitment;

use super::{Failure, GpuBackend, Trouble};
use crate::Tune;
use crate::budget;
use crate::cache::Tuning;
use crate::device::{BLOCK, Shape};

const GAPS: [u32; 3] = [1, 2, 4];

/// A measurement should take about this: long enough to fill the device, short enough to make several.
const MEASURE: f64 = 0.15;

/// All together, what is compiled for the first time not counted.
const BUDGET: Duration = Duration::from_millis(1500);

/// How many more labels the next try has, while one takes no time worth mentioning.
const GROWTH: u64 = 8;

/// Only more labels · N than this are worth a tune: a few seconds on the fastest devices.
const WORTH: f64 = 4e9;

/// The same for software devices.
const SOFTWARE_WORTH: f64 = 2e7;

impl GpuBackend {
    /// Tunes the device if that was not done before, and `count` labels and those of all calls before are many.
    pub(super) fn tune_if_worth_it(&mut self, n: u32, count: u64) -> Result<(), Failure> {
        let worth = if self.facts.software { SOFTWARE_WORTH } else { WORTH };
        self.asked += count as f64 * f64::from(n);
        let long = self.asked > worth;
        let wanted = match self.settings.tune {
            Tune::Never => false,
            Tune::Auto => long,
            Tune::Always => true,
        };
        if !wanted || self.tuning.is_some() || self.settings.forced.is_some() {
            return Ok(());
        }
        let tuning = self.tune(n)?;
        self.rates.steps = tuning.steps_per_second;
        // What is best in part of the memory may not be in all of it.
        if let (Some(cache), None) = (&self.settings.cache, self.settings.gpu_memory) {
            tuning.remember(cache, &self.facts);
        }
        self.tuning = Some(tuning);
        self.describe();
        Ok(())
    }

    /// Measures every gap, each with as many labels as fit into memory and time.
    fn tune(&mut self, n: u32) -> Result<Tuning, Failure> {
        let mut spent = Duration::ZERO;
        let mut best: Option<Tuning> = None;
        // Submits are cut by the rate that is known so far, and nothing is known of a device that is tuned at once.
        let mut labels = u64::from(BLOCK);
        for gap in GAPS {
            while let Some(shape) = budget::shape(&self.facts, self.memory, n, gap, labels) {
                match self.measure(shape) {
                    // Halves the memory until this shape fits into it.
                    Err(trouble @ Trouble::OutOfMemory { .. }) => self.shrink(&shape, trouble)?,
                    Err(trouble) => return Err(trouble.into()),
                    Ok(taken) => {
                        let full = u64::from(shape.labels) < labels;
                        let found = Tuning::new(&shape, taken, full);
                        let rate = found.steps_per_second;
                        self.rates.raise_steps(n, shape.labels.into(), taken);
                        if best.as_ref().is_none_or(|best| rate > best.steps_per_second) {
                            best = Some(found);
                        }
                        spent += taken;
                        if full || taken.as_secs_f64() > MEASURE || spent > BUDGET {
                            break;
                        }
                        labels *= GROWTH;
                    }
                }
            }
            // The next gap begins where this one ended: it is no slower by an order of magnitude, and has more room.
            if spent > BUDGET {
                break;
            }
        }
        best.ok_or_else(|| Trouble::OutOfMemory { bytes: u64::from(n) * u64::from(BLOCK) * budget::LINE_BYTES }.into())
    }

    /// How long a batch of this shape takes. Compiling and first touches are not counted.
    fn measure(&mut self, shape: Shape) -> Result<Duration, Trouble> {
        self.take_memory(shape)?;
        let limit = self.limits.compile;
        let warm: Vec<_> = (0..u64::from(BLOCK.min(shape.labels))).map(|index| (Commitment([1; 32]), index)).collect();
        let jobs: Vec<_> = (0..u64::from(shape.labels)).map(|index| (Commitment([2; 32]), index)).collect();
        let steps = self.rates.steps_per_submit(shape.n, shape.labels);
        let taken = self.thread.call(limit, move |device| {
            let mut labels = Vec::new();
            // One workgroup before all.
            device.submit_labels(0, &warm, steps)?;
            device.collect_labels(0, &mut labels)?;
            labels.clear();
            let start = Instant::now();
            device.submit_labels(1, &jobs, steps)?;
            device.collect_labels(1, &mut labels)?;
            Ok(start.elapsed())
        })?;
        if let Some(prepared) = &mut self.labels {
            prepared.fresh = false;
        }
        Ok(taken)
    }
}
