//! ROMix for many labels at once, written once for all instruction tiers (POST.md section 2).
//!
//! A *group* is the labels that registers hold side by side. One *stream* takes one or several groups through each step
//! together; several streams in turn give the look-ups of one the time the others take. A stream either fills its table,
//! or walks through it, or holds groups that fill and as many that walk: then memory is busy evenly, and hardly ever
//! waited for.

// Groups and rows are indexed on both sides of most steps; iterators would hide which is which.
#![allow(clippy::needless_range_loop)]
// The kernel works on raw lines: every label reads another place, and bounds checks would cost more than the arithmetic.
#![allow(unsafe_code)]

use super::lanes::{Half, Line, MAX_LABELS, consecutive};

/// Rows of the table that the request for a line's memory runs ahead of the write.
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
            let lines = consecutive(block);
            // SAFETY: two halves are as long as the H::LABELS lines they come from, and not more aligned.
            unsafe { block.cast::<[H; 2]>().write([H::read(&lines, 0), H::read(&lines, 1)]) };
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
            unsafe {
                let [b0, b1] = block.cast::<[H; 2]>().read();
                b0.write(block, 0);
                b1.write(block, 1);
            }
        }
    }
}

/// One step of one stream. With `ask`, memory is asked for what the stream's next step looks up: worth it when something
/// else comes in between.
///
/// Between the two halves little more than one half of each group is alive: registers are few.
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
    let filling = |g: usize| states.filling.wrapping_add(stream * FILL + g);
    let walking = |w: usize| states.walking.wrapping_add(stream * WALK + w);
    let walking_table = |w: usize| pass.walk.table.wrapping_add((stream * WALK + w) * H::LABELS);

    let (mut first, mut second) = ([H::ZERO; G], [H::ZERO; G]);
    for g in 0..FILL {
        // SAFETY: there are streams · FILL groups.
        let [b0, b1] = unsafe { &*filling(g) };
        first[g] = b0.xor(b1);
        if step.is_multiple_of(GAP) {
            let line = pass.fill.table.wrapping_add(step / GAP * pass.labels + (stream * FILL + g) * H::LABELS);
            // SAFETY: step / GAP < n / GAP, and the group's labels are below `labels`.
            unsafe { keep([&first[g], b1], line, pass.labels) };
        }
    }
    let mut found = [Found { lines: consecutive(pass.walk.table), sum: H::ZERO, second: H::ZERO }; WALK];
    for w in 0..WALK {
        // SAFETY: there are streams · WALK groups, each with a table.
        unsafe { found[w] = Found::look_up::<GAP>(&(*walking(w))[1], pass, walking_table(w)) };
    }
    if GAP > 1 && WALK > 0 {
        // SAFETY: as above.
        let missing = |w: usize| unsafe { (*walking(w))[1].first_words() }.map(|index| index as usize % GAP);
        compute_missing::<H, WALK, GAP>(&mut found, std::array::from_fn(missing), masks);
    }
    for w in 0..WALK {
        // SAFETY: as above.
        let [b0, b1] = unsafe { &*walking(w) };
        first[FILL + w] = b0.xor3(b1, &found[w].sum);
    }
    H::chacha8(&mut first, masks);

    for g in 0..FILL {
        // SAFETY: as above.
        let [b0, b1] = unsafe { &mut *filling(g) };
        second[g] = b1.xor(&first[g]);
        *b0 = first[g];
    }
    for w in 0..WALK {
        // SAFETY: as above.
        let [b0, b1] = unsafe { &mut *walking(w) };
        if GAP == 1 && !H::AT_ONCE {
            // SAFETY: the lines were looked up in the table.
            found[w].second = unsafe { H::read(&found[w].lines, 1) };
        }
        second[FILL + w] = b1.xor3(&found[w].second, &first[FILL + w]);
        *b0 = first[FILL + w];
    }
    H::chacha8(&mut second, masks);

    for g in 0..FILL {
        // SAFETY: as above.
        unsafe { (*filling(g))[1] = second[g] };
    }
    for w in 0..WALK {
        // SAFETY: as above.
        unsafe { (*walking(w))[1] = second[FILL + w] };
        if ask {
            let lines = lookups::<H, GAP>(&second[FILL + w], pass, walking_table(w));
            for i in 0..H::LABELS {
                H::ask(lines[i]);
            }
        }
    }
}

/// Writes a group's line to a table whose rows have `labels` lines.
///
/// # Safety
/// `line` is valid for writes of `H::LABELS` lines.
#[inline(always)]
unsafe fn keep<H: Half>([sum, second]: [&H; 2], line: *mut Line, labels: usize) {
    for i in 0..H::LABELS {
        H::ask_to_keep(line.wrapping_add(WRITE_AHEAD * labels + i));
    }
    // SAFETY: the caller's promise.
    unsafe {
        sum.keep(line, 0);
        second.keep(line, 1);
    }
}

/// What a group found in its table.
#[derive(Clone, Copy)]
struct Found<H> {
    lines: [*const Line; MAX_LABELS],
    sum: H,
    /// Read together with the sum, or when it is needed.
    second: H,
}

impl<H: Half> Found<H> {
    /// # Safety
    /// `table` points to the group's first lines in the table of `pass.walk`.
    #[inline(always)]
    unsafe fn look_up<const GAP: usize>(second: &H, pass: &Pass, table: *const Line) -> Self {
        let lines = lookups::<H, GAP>(second, pass, table);
        // SAFETY: look-ups stay in the table.
        unsafe {
            Self {
                lines,
                sum: H::read(&lines, 0),
                second: if GAP > 1 || H::AT_ONCE { H::read(&lines, 1) } else { H::ZERO },
            }
        }
    }
}

/// integerify: the lines that the first words of the second halves name.
#[inline(always)]
fn lookups<H: Half, const GAP: usize>(second: &H, pass: &Pass, first: *const Line) -> [*const Line; MAX_LABELS] {
    let (at, mut lines) = (second.first_words(), [first; MAX_LABELS]);
    for i in 0..H::LABELS {
        lines[i] = first.wrapping_add((at[i] as usize & (pass.n - 1)) / GAP * pass.labels + i);
    }
    lines
}

/// Takes looked-up lines as many steps further as each label's index lies behind its line.
#[inline(always)]
fn compute_missing<H: Half, const WALK: usize, const GAP: usize>(
    found: &mut [Found<H>; WALK],
    missing: [[usize; MAX_LABELS]; WALK],
    masks: H::Masks,
) {
    for done in 0..GAP - 1 {
        let (mut first, mut second) = ([H::ZERO; WALK], [H::ZERO; WALK]);
        for w in 0..WALK {
            first[w] = found[w].sum;
        }
        H::chacha8(&mut first, masks);
        for w in 0..WALK {
            second[w] = found[w].second.xor(&first[w]);
        }
        H::chacha8(&mut second, masks);
        for w in 0..WALK {
            let further = missing[w].map(|steps| steps > done);
            found[w].sum = H::choose(further, &first[w].xor(&second[w]), &found[w].sum);
            found[w].second = H::choose(further, &second[w], &found[w].second);
        }
    }
}
