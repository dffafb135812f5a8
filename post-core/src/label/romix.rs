//! ROMix for many labels at once, written once for all instruction tiers (POST.md section 2).
//!
//! A *group* is the labels that registers hold side by side. One *stream* takes one or several groups through each step
//! together; several streams in turn give the look-ups of one the time the others take. A stream either fills its table,
//! or walks through it, or holds one group that fills and one that walks: then memory is busy evenly, and hardly ever
//! waited for.

// Groups and rows are indexed on both sides of most steps; iterators would hide which is which.
#![allow(clippy::needless_range_loop)]
// The kernel works on raw lines: every label reads another place, and bounds checks would cost more than the arithmetic.
#![allow(unsafe_code)]

use super::lanes::{Half, Line, MAX_LABELS, consecutive};

/// Fill steps that the request for a line's memory runs ahead of the write.
const WRITE_AHEAD: usize = 2;

/// Labels of one cost on their way through one half of ROMix.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    /// One block a label, `B0` and then `B1`: where it is.
    pub states: *mut Line,
    /// `n / gap` rows of one line a label: what is written together lies together, and a look-up reads 128 B in one
    /// place. A line is `B0 ^ B1` and then `B1`: the sum is what the next step starts from.
    pub table: *mut Line,
}

/// N steps over the labels of one batch (or two: one fills, one walks).
#[derive(Clone, Copy)]
pub(super) struct Pass {
    /// Cost, a power of two ≥ 2.
    pub n: usize,
    /// Labels in each batch: a multiple of what the streams of the pass hold.
    pub labels: usize,
    /// The batch whose table is filled.
    pub fill: Batch,
    /// The batch whose table is walked through.
    pub walk: Batch,
}

/// Runs a pass of streams with `FILL` filling and `WALK` walking groups, `G` in all. Every `GAP`-th line is kept in the
/// table, a power of two ≤ n; the ones between are computed again when they are looked up.
///
/// # Safety
/// The processor has the instructions of `H`. If `FILL` > 0, `fill` points to `labels` states and `labels · n / GAP` lines
/// of table; the same for `WALK` and `walk`; none of these overlap. `labels` is a multiple of `FILL · H::LABELS` and of
/// `WALK · H::LABELS` (where not 0), with the same quotient if both are not 0.
#[inline(always)]
pub(super) unsafe fn pass<H: Half, const FILL: usize, const WALK: usize, const G: usize, const GAP: usize>(
    pass: &Pass,
) {
    const { assert!(FILL + WALK == G && G > 0 && GAP.is_power_of_two()) }
    let masks = H::masks();
    crate::aligned::stack();
    let streams = pass.labels / ((if FILL > 0 { FILL } else { WALK }) * H::LABELS);
    // SAFETY: the caller's promise.
    unsafe {
        let states = States::<H>::of::<FILL, WALK>(pass);
        for step in 0..pass.n {
            for stream in 0..streams {
                advance::<H, FILL, WALK, G, GAP>(pass, &states, step, stream, streams > 1, masks);
            }
        }
        states.into_blocks::<FILL, WALK>(pass);
        H::settle();
    }
}

/// Where the states of a pass lie: `H::LABELS` labels in each pair of halves.
struct States<H> {
    filling: *mut [H; 2],
    walking: *mut [H; 2],
}

impl<H: Half> States<H> {
    /// Turns the states that are used from blocks to halves in place, for the length of a pass.
    ///
    /// # Safety
    /// As for [`pass`].
    #[inline(always)]
    unsafe fn of<const FILL: usize, const WALK: usize>(pass: &Pass) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                filling: into_halves(FILL, pass.fill, pass.labels),
                walking: into_halves(WALK, pass.walk, pass.labels),
            }
        }
    }

    /// The way back.
    ///
    /// # Safety
    /// As for [`pass`]; `self` was made for it.
    #[inline(always)]
    unsafe fn into_blocks<const FILL: usize, const WALK: usize>(self, pass: &Pass) {
        // SAFETY: the caller's promise.
        unsafe {
            into_blocks(FILL, self.filling, pass.labels);
            into_blocks(WALK, self.walking, pass.labels);
        }
    }
}

/// # Safety
/// If `used` > 0, `batch` points to the states of `labels` labels, a multiple of H::LABELS.
#[inline(always)]
unsafe fn into_halves<H: Half>(used: usize, batch: Batch, labels: usize) -> *mut [H; 2] {
    if used > 0 {
        for label in (0..labels).step_by(H::LABELS) {
            let block = batch.states.wrapping_add(label);
            // SAFETY: two halves are as long as the H::LABELS lines they come from, and not more aligned.
            unsafe { block.cast::<[H; 2]>().write(H::read(consecutive(block))) };
        }
    }
    batch.states.cast()
}

/// # Safety
/// If `used` > 0, `halves` comes from [`into_halves`] of as many labels.
#[inline(always)]
unsafe fn into_blocks<H: Half>(used: usize, halves: *mut [H; 2], labels: usize) {
    if used > 0 {
        for label in (0..labels).step_by(H::LABELS) {
            let block = halves.cast::<Line>().wrapping_add(label);
            // SAFETY: as in `into_halves`.
            unsafe { H::write(block.cast::<[H; 2]>().read(), block) };
        }
    }
}

/// One step of one stream. With `ask`, memory is asked for what the stream's next step looks up: worth it when something
/// else comes in between.
///
/// # Safety
/// As for [`pass`]; `step` is below n, and `stream` below the streams of the pass.
#[inline(always)]
unsafe fn advance<H: Half, const FILL: usize, const WALK: usize, const G: usize, const GAP: usize>(
    pass: &Pass,
    states: &States<H>,
    step: usize,
    stream: usize,
    ask: bool,
    masks: H::Masks,
) {
    let Pass { n, labels, fill, walk } = *pass;
    let mut first = [H::ZERO; G];
    let mut second = first;
    for g in 0..FILL {
        let group = stream * FILL + g;
        // SAFETY: there are streams · FILL groups.
        let [b0, b1] = unsafe { *states.filling.add(group) };
        (first[g], second[g]) = (b0.xor(&b1), b1);
        if step.is_multiple_of(GAP) {
            let line = fill.table.wrapping_add(step / GAP * labels + group * H::LABELS);
            for i in 0..H::LABELS {
                H::ask_to_keep(line.wrapping_add(WRITE_AHEAD * labels + i));
            }
            // SAFETY: step / GAP < n / GAP, and the group's labels are below `labels`.
            unsafe { H::keep([first[g], second[g]], line) };
        }
    }
    let mut found = [[H::ZERO; WALK]; 2];
    let mut missing = [[0; MAX_LABELS]; WALK];
    for w in 0..WALK {
        let group = stream * WALK + w;
        // SAFETY: there are streams · WALK groups.
        [first[FILL + w], second[FILL + w]] = unsafe { *states.walking.add(group) };
        let at = second[FILL + w].first_words();
        let lines = lookups::<H, GAP>(at, n, walk.table.wrapping_add(group * H::LABELS), labels);
        for i in 0..H::LABELS {
            missing[w][i] = at[i] as usize % GAP;
        }
        // SAFETY: lookups stay in the table.
        [found[0][w], found[1][w]] = unsafe { H::read(lines) };
    }
    if GAP > 1 && WALK > 0 {
        let [sums, seconds] = &mut found;
        compute_missing::<H, WALK, GAP>(sums, seconds, missing, masks);
    }
    for w in 0..WALK {
        first[FILL + w] = first[FILL + w].xor3(&second[FILL + w], &found[0][w]);
        second[FILL + w] = second[FILL + w].xor(&found[1][w]);
    }
    chunk_mix(&mut first, &mut second, masks);
    for g in 0..FILL {
        // SAFETY: as for the read.
        unsafe { *states.filling.add(stream * FILL + g) = [first[g], second[g]] };
    }
    for w in 0..WALK {
        let group = stream * WALK + w;
        // SAFETY: as for the read.
        unsafe { *states.walking.add(group) = [first[FILL + w], second[FILL + w]] };
        if ask {
            let at = second[FILL + w].first_words();
            let lines = lookups::<H, GAP>(at, n, walk.table.wrapping_add(group * H::LABELS), labels);
            for i in 0..H::LABELS {
                H::ask(lines[i]);
            }
        }
    }
}

/// integerify: the lines that the first words of the second halves name.
#[inline(always)]
fn lookups<H: Half, const GAP: usize>(
    at: [u32; MAX_LABELS],
    n: usize,
    first: *const Line,
    labels: usize,
) -> [*const Line; MAX_LABELS] {
    let mut lines = [first; MAX_LABELS];
    for i in 0..H::LABELS {
        lines[i] = first.wrapping_add((at[i] as usize & (n - 1)) / GAP * labels + i);
    }
    lines
}

/// Takes looked-up lines as many steps further as each label's index lies behind its line.
#[inline(always)]
fn compute_missing<H: Half, const WALK: usize, const GAP: usize>(
    sums: &mut [H; WALK],
    seconds: &mut [H; WALK],
    missing: [[usize; MAX_LABELS]; WALK],
    masks: H::Masks,
) {
    for done in 0..GAP - 1 {
        let (mut first, mut second) = (*sums, *seconds);
        chunk_mix(&mut first, &mut second, masks);
        for w in 0..WALK {
            let mut further = [false; MAX_LABELS];
            for i in 0..H::LABELS {
                further[i] = missing[w][i] > done;
            }
            sums[w] = H::choose(further, &first[w].xor(&second[w]), &sums[w]);
            seconds[w] = H::choose(further, &second[w], &seconds[w]);
        }
    }
}

/// From `B0 ^ B1` and `B1` to the `B0` and `B1` of the next step.
#[inline(always)]
fn chunk_mix<H: Half, const G: usize>(first: &mut [H; G], second: &mut [H; G], masks: H::Masks) {
    H::chacha8(first, masks);
    for g in 0..G {
        second[g] = second[g].xor(&first[g]);
    }
    H::chacha8(second, masks);
}
