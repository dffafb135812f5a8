//! How much of a device's memory and time a batch takes. Pure arithmetic, tested without a device.

use std::time::Duration;

use post_core::label::LABEL_BYTES;

use crate::device::{BLOCK, Facts, Shape};

/// A kept line of ROMix, and the state of a label between kernels.
pub(crate) const LINE_BYTES: u64 = 128;

/// What the device must be told of a label: commitment and index.
pub(crate) const JOB_BYTES: u64 = 40;

/// A batch should be done after this, so that stopping is prompt and little is lost with a device.
const BATCH: Duration = Duration::from_secs(2);

/// The same for devices that share the CPU with everything else.
const SOFTWARE_BATCH: Duration = Duration::from_millis(500);

/// What a submit may take: desktops stutter and watchdogs bite not much later.
const SUBMIT: Duration = Duration::from_millis(80);

/// A full batch that took less says little about how long others take.
pub(crate) const SHORTEST_MEASURE: Duration = Duration::from_millis(20);

/// Labels in flight at most. No device has that many threads at once, and cheap labels take little memory.
const MAX_LABELS: u64 = 1 << 18;

/// Memory of a device that doesn't tell how much it has.
const UNKNOWN_MEMORY: u64 = 4 << 30;

/// What a software device may take of the memory of everybody.
const SOFTWARE_MEMORY: u64 = 1 << 30;

/// Steps of ROMix (fill or walk) a second that a device is believed to do until it was measured. The smallest GPUs do not
/// much more, and a first submit that is too long for one ends in the watchdog's reset; a fast one is soon known as such.
const UNKNOWN_RATE: f64 = 1e7;
const UNKNOWN_SOFTWARE_RATE: f64 = 2e6;

/// What the two ends of a label, all in Keccak, and its way to the device and back cost, in steps: matters for small N.
const ENDS: f64 = 64.0;

/// The same for a scan: encryptions a second.
const UNKNOWN_SCAN_RATE: f64 = 1e9;
const UNKNOWN_SOFTWARE_SCAN_RATE: f64 = 2e6;

/// Even a batch that takes no time may wait this long for a card that others use too.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same for software devices, which wait for everything else that the CPU does.
const SOFTWARE_PATIENCE: Duration = Duration::from_secs(30);

/// Labels of a scan's piece: fewer aren't worth a round trip, more wouldn't make it faster.
pub(crate) const MIN_PIECE: usize = 1 << 12;
pub(crate) const MAX_PIECE: usize = 1 << 20;

/// How fast a device is, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    /// Labels · N a second.
    pub(crate) steps: f64,
    /// Labels · groups a second.
    pub(crate) scan: f64,
    software: bool,
}

impl Rates {
    /// A guess on the safe side.
    pub(crate) fn unknown(facts: &Facts) -> Self {
        let software = facts.software;
        let (steps, scan) = if software {
            (UNKNOWN_SOFTWARE_RATE, UNKNOWN_SOFTWARE_SCAN_RATE)
        } else {
            (UNKNOWN_RATE, UNKNOWN_SCAN_RATE)
        };
        Self { steps, scan, software }
    }

    /// Takes note that `labels` labels took `taken`, waits and all: a rate that the device has at least.
    pub(crate) fn raise_steps(&mut self, n: u32, labels: u64, taken: Duration) {
        let steps = labels as f64 * (f64::from(n) + ENDS) / taken.max(SHORTEST_MEASURE).as_secs_f64();
        self.steps = self.steps.max(steps);
    }

    /// Labels that take no longer than a batch should.
    pub(crate) fn batch_labels(&self, n: u32) -> u64 {
        let batch = if self.software { SOFTWARE_BATCH } else { BATCH };
        (self.steps * batch.as_secs_f64() / (f64::from(n) + ENDS)) as u64
    }

    /// What a batch should take.
    pub(crate) fn batch_time(&self, n: u32, labels: u64) -> Duration {
        seconds(labels as f64 * (f64::from(n) + ENDS) / self.steps)
    }

    /// Steps of fill or walk that so many labels may do in one submit: a multiple of 4 (every gap), at most N.
    pub(crate) fn steps_per_submit(&self, n: u32, labels: u32) -> u32 {
        // The two kernels are taken as equally slow; the margin to what is allowed covers that.
        let steps = 2.0 * self.steps * SUBMIT.as_secs_f64() / f64::from(labels.max(1));
        (steps as u32 & !3).max(4).min(n)
    }

    /// Labels of one piece of a scan.
    pub(crate) fn piece_labels(&self, groups: usize) -> usize {
        let labels = self.scan * SUBMIT.as_secs_f64() / groups.max(1) as f64;
        (labels as usize).clamp(MIN_PIECE, MAX_PIECE)
    }

    /// What a piece should take.
    pub(crate) fn piece_time(&self, groups: usize, labels: usize) -> Duration {
        seconds(labels as f64 * groups as f64 / self.scan)
    }
}

/// How long a device is waited for at least. A fault is noticed after max(this, five times what was expected).
pub(crate) fn patience(software: bool) -> Duration {
    if software { SOFTWARE_PATIENCE } else { PATIENCE }
}

/// Whatever a rate is, this is a time.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(3600))
}

/// Bytes of device memory that we may take: what the user says, or most of it.
pub(crate) fn memory(facts: &Facts, wanted: Option<u64>) -> u64 {
    if let Some(bytes) = wanted {
        return bytes;
    }
    let all = facts.memory_bytes.unwrap_or(UNKNOWN_MEMORY);
    let ours = all / 100 * if facts.has_display { 75 } else { 90 };
    if facts.software { ours.min(SOFTWARE_MEMORY) } else { ours }
}

/// The largest shape of at most `labels` labels that fits into `memory` bytes; `None` if not even one workgroup does.
pub(crate) fn shape(facts: &Facts, memory: u64, n: u32, gap: u32, labels: u64) -> Option<Shape> {
    let scratch = u64::from(n.div_ceil(gap)) * LINE_BYTES;
    // Beside the scratch: state, job, label and two read-backs.
    let each = scratch + LINE_BYTES + JOB_BYTES + 3 * LABEL_BYTES as u64;
    let per_buffer = blocks(facts.max_buffer_bytes / scratch);
    let visible = per_buffer.saturating_mul(facts.max_buffers.into());
    let states = blocks(facts.max_buffer_bytes / LINE_BYTES);
    let fitting = blocks(memory / each).min(visible).min(states).min(MAX_LABELS);
    let wanted = labels.max(1).next_multiple_of(BLOCK.into());
    let labels = u32::try_from(fitting.min(wanted)).ok().filter(|labels| *labels > 0)?;
    Some(Shape { n, gap, labels, labels_per_buffer: u32::try_from(per_buffer).unwrap_or(u32::MAX / BLOCK * BLOCK) })
}

/// Bytes that a shape takes, and what is to be tried with after they were refused.
pub(crate) fn shape_bytes(shape: &Shape) -> u64 {
    let each = u64::from(shape.n.div_ceil(shape.gap)) * LINE_BYTES + LINE_BYTES + JOB_BYTES + 3 * LABEL_BYTES as u64;
    u64::from(shape.labels) * each
}

fn blocks(labels: u64) -> u64 {
    labels / u64::from(BLOCK) * u64::from(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn card(memory: u64) -> Facts {
        Facts {
            id: "vulkan:0".into(),
            name: "a card".into(),
            driver: "a driver".into(),
            software: false,
            memory_bytes: Some(memory),
            has_display: false,
            max_buffer_bytes: 2 * GIB - 1,
            max_buffers: 128,
        }
    }

    #[test]
    fn most_of_the_memory_is_taken() {
        let mut facts = card(100 * GIB);
        assert_eq!(memory(&facts, None), 100 * GIB / 100 * 90);
        facts.has_display = true;
        assert_eq!(memory(&facts, None), 100 * GIB / 100 * 75);
        assert_eq!(memory(&facts, Some(7)), 7);
        facts.software = true;
        assert_eq!(memory(&facts, None), SOFTWARE_MEMORY);
        facts.memory_bytes = None;
        facts.software = false;
        assert!(memory(&facts, None) < UNKNOWN_MEMORY);
    }

    /// Whatever is asked for, a shape keeps within memory and limits, and nothing that would fit is left out.
    #[test]
    fn shapes_fit_and_are_the_largest_that_do() {
        for memory in [1, 80 << 20, GIB, 24 * GIB, 141 * GIB] {
            for (max_buffer_bytes, max_buffers) in [(2 * GIB - 1, 128), (128 << 20, 31), (64 << 20, 1), (16 << 20, 8)] {
                for n in [2, 4, 16, 1024, 8192, 1 << 20] {
                    for gap in [1, 2, 4] {
                        let facts = Facts { max_buffer_bytes, max_buffers, ..card(memory) };
                        check(&facts, memory, n, gap);
                    }
                }
            }
        }
    }

    fn check(facts: &Facts, memory: u64, n: u32, gap: u32) {
        let fits = |labels: u64| {
            let line = u64::from(n.div_ceil(gap)) * 128;
            let buffers = labels.div_ceil((facts.max_buffer_bytes / line / 64 * 64).max(1));
            labels * (line + 216) <= memory
                && facts.max_buffer_bytes / line >= 64
                && buffers <= facts.max_buffers.into()
                && labels * 128 <= facts.max_buffer_bytes
        };
        match shape(facts, memory, n, gap, u64::MAX / 128) {
            None => assert!(!fits(64), "{facts:?} n {n} gap {gap}"),
            Some(Shape { labels, labels_per_buffer, .. }) => {
                assert!(fits(labels.into()), "{facts:?} n {n} gap {gap}: {labels}");
                assert!(labels.is_multiple_of(64) && labels_per_buffer.is_multiple_of(64) && labels_per_buffer > 0);
                assert!(labels.div_ceil(labels_per_buffer) <= facts.max_buffers);
                assert!(u64::from(labels) == MAX_LABELS || !fits(u64::from(labels) + 64), "n {n} gap {gap}: {labels}");
            }
        }
    }

    #[test]
    fn an_h200_is_filled() {
        let facts = card(141 * GIB);
        let shape = shape(&facts, memory(&facts, None), 8192, 1, u64::MAX / 128).unwrap();
        // 1 MiB a label, 31 workgroups a buffer.
        assert_eq!((shape.labels, shape.labels_per_buffer), (129_856, 1984));
        assert!(shape_bytes(&shape) <= memory(&facts, None));
    }

    #[test]
    fn few_labels_take_little() {
        let facts = card(24 * GIB);
        assert_eq!(shape(&facts, 24 * GIB, 8192, 1, 0).unwrap().labels, 64);
        assert_eq!(shape(&facts, 24 * GIB, 8192, 1, 65).unwrap().labels, 128);
    }

    #[test]
    fn batches_and_submits_are_bounded_in_time() {
        let mut rates = Rates::unknown(&card(GIB));
        rates.steps = (8192.0 + ENDS) * 1e4;
        assert_eq!(rates.batch_labels(8192), 20_000);
        assert_eq!(rates.batch_time(8192, 20_000), Duration::from_secs(2));
        // 20,000 labels: 16384 steps take two seconds, so about 655 take 80 ms.
        assert_eq!(rates.steps_per_submit(8192, 20_000), 660);
        assert_eq!(rates.steps_per_submit(8192, 1), 8192);
        assert_eq!(rates.steps_per_submit(8192, u32::MAX), 4);
        assert_eq!(rates.steps_per_submit(2, 64), 2);
        rates.steps = 0.0;
        assert!(rates.batch_time(8192, 1) > Duration::from_secs(1000));
    }

    /// A quarter of what a watchdog allows, on a device half as fast as is believed at first.
    #[test]
    fn first_submits_are_short_on_the_smallest_gpus() {
        let rates = Rates::unknown(&card(GIB));
        for n in [16, 8192, 1 << 20] {
            for labels in [64, rates.batch_labels(n).clamp(64, MAX_LABELS) as u32] {
                let steps = f64::from(rates.steps_per_submit(n, labels)) * f64::from(labels);
                assert!(steps / 2.0 / 5e6 < 0.5, "n {n}, {labels} labels");
            }
        }
    }

    #[test]
    fn what_was_measured_raises_the_rate_but_never_lowers_it() {
        let mut rates = Rates::unknown(&card(GIB));
        rates.raise_steps(8192, 1, Duration::from_secs(1));
        assert_eq!(rates, Rates::unknown(&card(GIB)));
        rates.raise_steps(8192, 20_000, Duration::from_secs(1));
        assert_eq!(rates.batch_labels(8192), 40_000);
        rates.raise_steps(2, 1, Duration::ZERO);
        assert_eq!(rates.batch_labels(8192), 40_000);
    }

    #[test]
    fn pieces_of_a_scan_are_bounded_in_time() {
        let mut rates = Rates::unknown(&card(GIB));
        rates.scan = 1e7;
        assert_eq!(rates.piece_labels(16), 50_000);
        assert_eq!(rates.piece_labels(256), MIN_PIECE);
        rates.scan = 1e12;
        assert_eq!(rates.piece_labels(0), MAX_PIECE);
        assert_eq!(rates.piece_time(1000, 1_000_000_000), Duration::from_secs(1));
    }
}
