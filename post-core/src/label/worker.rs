//! One thread's label factory: jobs in, full labels out, with a tier's kernel and memory of its own.
#![allow(unsafe_code)]

use std::fmt;

use super::keccak::Keyed;
use super::kernels::{Kernels, Variant};
use super::lanes::Line;
use super::reference;
use super::romix::{Batch, Pass};
use super::scratch::Scratch;
use super::tier::Tier;
use super::{Block, FullLabel, Job};
use crate::params::{ParamsError, ScryptParams};

/// How labels are computed: a tier, and the way to run it.
#[derive(Clone, Copy)]
pub struct Method {
    tier: Tier,
    /// None for the scalar tier alone.
    code: Option<(&'static Kernels, &'static Variant)>,
}

impl Method {
    /// The usual way of `tier`; where this machine can't run it, the portable one.
    #[must_use]
    pub fn new(tier: Tier) -> Self {
        if tier == Tier::Scalar {
            return Self { tier, code: None };
        }
        Self::all(tier).into_iter().next().unwrap_or_else(|| Self::new(Tier::Portable))
    }

    /// Every way of `tier` on this machine, the usual one first.
    #[must_use]
    pub fn all(tier: Tier) -> Vec<Self> {
        let Some(kernels) = tier.kernels() else {
            return Vec::new();
        };
        kernels.variants.iter().map(|variant| Self { tier, code: Some((kernels, variant)) }).collect()
    }

    /// Its tier.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The name of the way, such as `3x1` or `dual4`.
    #[must_use]
    pub fn variant(&self) -> &'static str {
        self.code.map_or("plain", |(_, variant)| variant.name)
    }

    /// Labels that go together; fewer cost as much.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.code.map_or(1, |(_, variant)| variant.labels)
    }

    /// Labels that one call should be given. Ways that overlap batches want many: the first of a call is filled and the last
    /// walked through with nothing beside it.
    #[must_use]
    pub fn task(&self) -> usize {
        self.batch() * if self.overlaps() { 16 } else { 4 }
    }

    /// Whether it fills the table of one batch while it walks through that of another.
    #[must_use]
    pub fn overlaps(&self) -> bool {
        self.code.is_some_and(|(_, variant)| variant.both.is_some())
    }

    /// Labels under way at a time, of one worker.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.code.map_or(1, |(_, variant)| variant.labels * variant.tables())
    }

    /// Bytes of a worker's tables at cost `n`.
    #[must_use]
    pub fn table_bytes(&self, n: u32) -> u64 {
        self.code.map_or(u64::from(n) * 128, |(_, variant)| variant.table_bytes(n))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            None => self.tier.fmt(f),
            Some((_, variant)) => write!(f, "{} {}", self.tier, variant.name),
        }
    }
}

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The label function is not defined for these parameters.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The tables don't fit into memory.
    #[error("{bytes} bytes of memory for label tables can't be had; use fewer threads")]
    OutOfMemory {
        /// What was asked for.
        bytes: u64,
    },
}

/// Computes labels of one cost, on one thread at a time.
pub struct Worker {
    method: Method,
    scrypt: ScryptParams,
    /// One after the other for each batch in flight.
    tables: Scratch,
    /// The scalar tier's.
    plain: Vec<Block>,
    states: Vec<Line>,
    keyed: Vec<Keyed>,
}

impl Worker {
    /// A worker for labels of cost `scrypt`. Its memory, [`Method::table_bytes`], is taken at once.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub fn new(method: Method, scrypt: ScryptParams) -> Result<Self, WorkerError> {
        scrypt.check()?;
        let n = scrypt.n;
        // Labels of a table with gaps lie `gap` steps apart at most, and there are only `n`.
        let method = match method.code {
            Some((_, variant)) if variant.gap > n as usize => Method::new(method.tier),
            _ => method,
        };
        let lines = if method.code.is_some() { method.table_bytes(n) as usize / size_of::<Line>() } else { 0 };
        let in_flight = method.in_flight();
        Ok(Self {
            method,
            scrypt,
            tables: Scratch::new(lines).map_err(|bytes| WorkerError::OutOfMemory { bytes })?,
            plain: Vec::new(),
            states: vec![Line::ZERO; in_flight],
            keyed: vec![Keyed::ZERO; in_flight],
        })
    }

    /// How it computes.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Computes the full labels of `jobs` into `labels`, as many. Any commitments and indices go together.
    pub fn full_labels(&mut self, jobs: &[Job], labels: &mut [FullLabel]) {
        let Some((kernels, variant)) = self.method.code else {
            for ((commitment, index), label) in jobs.iter().zip(labels) {
                // The cost was checked, the only thing the reference asks.
                *label = reference::full_label_in(&mut self.plain, commitment, *index, self.scrypt).unwrap_or_default();
            }
            return;
        };
        let mut batches = Batches { kernels, variant, n: self.scrypt.n as usize, worker: self };
        match variant.both {
            None => batches.one_by_one(jobs, labels),
            Some(both) => batches.overlapping(both, jobs, labels),
        }
    }
}

/// The batches of one call.
struct Batches<'a> {
    kernels: &'static Kernels,
    variant: &'static Variant,
    n: usize,
    worker: &'a mut Worker,
}

impl Batches<'_> {
    /// Fills, then walks, one batch after the other.
    fn one_by_one(&mut self, jobs: &[Job], labels: &mut [FullLabel]) {
        for (jobs, labels) in jobs.chunks(self.variant.labels).zip(labels.chunks_mut(self.variant.labels)) {
            self.expand(0, jobs);
            // SAFETY: see `pass`.
            unsafe {
                (self.variant.fill)(&self.pass(0, 0, jobs.len()));
                (self.variant.walk)(&self.pass(0, 0, jobs.len()));
            }
            self.compress(0, labels);
        }
    }

    /// Fills the table of each batch while it walks through that of the batch before.
    fn overlapping(&mut self, both: unsafe fn(&Pass), jobs: &[Job], labels: &mut [FullLabel]) {
        if jobs.len() <= self.variant.labels {
            return self.one_by_one(jobs, labels);
        }
        let full = self.variant.labels;
        let mut walking: Option<(usize, &mut [FullLabel])> = None;
        for (jobs, labels) in jobs.chunks(self.variant.labels).zip(labels.chunks_mut(self.variant.labels)) {
            let slot = walking.as_ref().map_or(0, |(slot, _)| 1 - slot);
            self.expand(slot, jobs);
            // SAFETY: see `pass`; the two slots don't overlap.
            unsafe {
                match walking.take() {
                    None => (self.variant.fill)(&self.pass(slot, slot, full)),
                    Some((other, done)) => {
                        both(&self.pass(slot, other, full));
                        self.compress(other, done);
                    }
                }
            }
            walking = Some((slot, labels));
        }
        if let Some((slot, labels)) = walking {
            // SAFETY: see `pass`.
            unsafe { (self.variant.walk)(&self.pass(slot, slot, full)) };
            self.compress(slot, labels);
        }
    }

    /// The arguments of a pass over batches of `count` labels, at most the variant's. What a pass asks for holds: the kernels
    /// are there only where the processor has their instructions, and a slot has `variant.labels` states and
    /// `variant.labels · n / gap` lines; a short batch uses the first of them, in whole streams.
    fn pass(&mut self, fill: usize, walk: usize, count: usize) -> Pass {
        let (full, labels) = (self.variant.labels, count.next_multiple_of(self.variant.stream));
        let table = full * self.n / self.variant.gap;
        let (states, tables) = (self.worker.states.as_mut_ptr(), self.worker.tables.as_mut_ptr());
        let half =
            |slot: usize| Batch { states: states.wrapping_add(slot * full), table: tables.wrapping_add(slot * table) };
        Pass { n: self.n, labels, fill: half(fill), walk: half(walk) }
    }

    fn expand(&mut self, slot: usize, jobs: &[Job]) {
        let slot = slot * self.variant.labels..slot * self.variant.labels + jobs.len();
        // SAFETY: the kernels are there only where the processor has their instructions.
        unsafe { (self.kernels.expand)(jobs, &mut self.worker.keyed[slot.clone()], &mut self.worker.states[slot]) };
    }

    fn compress(&mut self, slot: usize, labels: &mut [FullLabel]) {
        let slot = slot * self.variant.labels..slot * self.variant.labels + labels.len();
        // SAFETY: as in `expand`.
        unsafe { (self.kernels.compress)(&self.worker.states[slot.clone()], &self.worker.keyed[slot], labels) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::Commitment;

    /// Every way of every tier of this machine.
    fn methods() -> Vec<Method> {
        let methods: Vec<_> = Tier::available().into_iter().flat_map(Method::all).collect();
        eprintln!(
            "tiers under test: {}",
            Tier::available().iter().map(|tier| tier.name()).collect::<Vec<_>>().join(", ")
        );
        methods
    }

    fn judge(jobs: &[Job], scrypt: ScryptParams) -> Vec<FullLabel> {
        jobs.iter().map(|(commitment, index)| reference::full_label(commitment, *index, scrypt).unwrap()).collect()
    }

    fn equals_the_reference(jobs: &[Job], n: u32) {
        let scrypt = ScryptParams { n, r: 1, p: 1 };
        let expected = judge(jobs, scrypt);
        for method in methods() {
            let mut worker = Worker::new(method, scrypt).unwrap();
            let mut labels = vec![[0; 32]; jobs.len()];
            worker.full_labels(jobs, &mut labels);
            assert!(labels == expected, "{} {}, n {n}, {} jobs", method.tier(), method.variant(), jobs.len());
            // Once more with what the first run left behind.
            labels.fill([0; 32]);
            worker.full_labels(jobs, &mut labels);
            assert!(labels == expected, "{} {} again, n {n}", method.tier(), method.variant());
        }
    }

    #[test]
    fn every_count_equals_the_reference() {
        for n in [2, 4, 64] {
            for count in (0..=70).chain([96, 97, 200]) {
                let jobs: Vec<_> =
                    (0..count).map(|i| (Commitment([i as u8 % 3; 32]), u64::from(u32::MAX) - 3 + i)).collect();
                equals_the_reference(&jobs, n);
            }
        }
    }

    #[test]
    fn every_cost_equals_the_reference() {
        let jobs: Vec<_> = (0..9).map(|i| (Commitment([0xb0 + i as u8; 32]), i << (7 * i))).collect();
        for bits in 1..=14 {
            equals_the_reference(&jobs, 1 << bits);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn random_jobs_equal_the_reference(
            jobs in proptest::collection::vec((prop_oneof![Just([1_u8; 32]), any::<[u8; 32]>()],
                prop_oneof![0..1000_u64, (u64::from(u32::MAX) - 100)..(1 << 32) + 100, any::<u64>()]), 1..=200),
            bits in 1..=14_u32,
        ) {
            // The reference takes two seconds for 200 labels of the highest cost; the longest jobs are the cheap ones.
            let n = 1 << bits;
            let most = (1 << 19 >> bits).clamp(3, 200);
            let jobs: Vec<_> = jobs.into_iter().take(most).map(|(c, index)| (Commitment(c), index)).collect();
            equals_the_reference(&jobs, n);
        }
    }

    #[test]
    fn a_table_with_gaps_is_never_larger_than_one_without() {
        for method in methods() {
            assert!(method.table_bytes(8192) <= method.in_flight() as u64 * 8192 * 128);
        }
    }

    #[test]
    fn undefined_costs_and_too_much_memory_are_errors() {
        for n in [0, 1, 3, 5, u32::MAX] {
            let undefined = Worker::new(Method::new(Tier::best()), ScryptParams { n, r: 1, p: 1 });
            assert!(matches!(undefined, Err(WorkerError::Params(_))));
        }
    }
}
