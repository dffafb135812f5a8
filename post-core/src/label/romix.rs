//! ROMix for many labels at once, written once for all instruction tiers (POST.md section 2).
//!
//! A *group* is the labels of one register row. One *stream* takes several groups through each step together, so that
//! the processor always has an independent instruction to run; several streams in turn give the look-ups of one the
//! time the others take. A stream either fills its table, or walks through it, or holds one group that fills and one that
//! walks: then memory is busy evenly, and hardly ever waited for.

// Groups and rows are indexed on both sides of most steps; iterators would hide which is which.
#![allow(clippy::needless_range_loop)]
// The kernel works on raw lines: every label reads another place, and bounds checks would cost more than the arithmetic.
#![allow(unsafe_code)]

use super::lanes::{Lanes, Line, MAX_LABELS, consecutive};
use super::prefetch::{prefetch, prefetch_write};

/// Fill steps that the request for a line's memory runs ahead of the write.
const WRITE_AHEAD: usize = 2;

/// Labels of one cost on their way through one half of ROMix.
#[derive(Clone, Copy)]
pub(super) struct Half {
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
    pub fill: Half,
    /// The batch whose table is walked through.
    pub walk: Half,
}

/// One ChaCha state of every group.
type Rows<V, const G: usize> = [[V; 4]; G];

/// Runs a pass of streams with `FILL` filling and `WALK` walking groups, `G` in all. Every `GAP`-th line is kept in the
/// table, a power of two ≤ n; the ones between are computed again when they are looked up.
///
/// # Safety
/// The processor has the instructions of `V`. If `FILL` > 0, `fill` points to `labels` states and `labels · n / GAP` lines
/// of table; the same for `WALK` and `walk`; none of these overlap. `labels` is a multiple of `FILL · V::LABELS` and of
/// `WALK · V::LABELS` (where not 0), with the same quotient if both are not 0.
#[inline(always)]
pub(super) unsafe fn pass<V: Lanes, const FILL: usize, const WALK: usize, const G: usize, const GAP: usize>(
    pass: &Pass,
) {
    const { assert!(FILL + WALK == G && G > 0 && GAP.is_power_of_two()) }
    let Pass { n, labels, fill, walk } = *pass;
    let masks = V::masks();
    // SAFETY: both point to the states of `labels` labels, or are not used.
    let (filling, walking) = unsafe { (rows::<V>(FILL, fill, labels), rows::<V>(WALK, walk, labels)) };
    let streams = labels / ((if FILL > 0 { FILL } else { WALK }) * V::LABELS);
    for step in 0..n {
        for stream in 0..streams {
            let mut first = [[V::ZERO; 4]; G];
            let mut second = first;
            for g in 0..FILL {
                let group = stream * FILL + g;
                // SAFETY: there are streams · FILL groups.
                let (b0, b1) = halves(unsafe { *filling.add(group) });
                (first[g], second[g]) = (sum(&b0, &b1), b1);
                if step % GAP == 0 {
                    let line = fill.table.wrapping_add(step / GAP * labels + group * V::LABELS);
                    for i in 0..V::LABELS {
                        prefetch_write(line.wrapping_add(WRITE_AHEAD * labels + i));
                    }
                    // SAFETY: step / GAP < n / GAP, and the group's labels are below `labels`.
                    unsafe { V::write(joined(first[g], second[g]), line) };
                }
            }
            let mut found = [[[V::ZERO; 4]; WALK]; 2];
            let mut missing = [[0; MAX_LABELS]; WALK];
            for w in 0..WALK {
                let group = stream * WALK + w;
                // SAFETY: there are streams · WALK groups.
                (first[FILL + w], second[FILL + w]) = halves(unsafe { *walking.add(group) });
                let at = second[FILL + w][0].first_words();
                let lines = lookups::<V, GAP>(at, n, walk.table.wrapping_add(group * V::LABELS), labels);
                for i in 0..V::LABELS {
                    missing[w][i] = at[i] as usize % GAP;
                }
                // SAFETY: lookups stay in the table.
                (found[0][w], found[1][w]) = halves(unsafe { V::read(lines) });
            }
            if GAP > 1 && WALK > 0 {
                let [sums, seconds] = &mut found;
                compute_missing::<V, WALK, GAP>(sums, seconds, missing, masks);
            }
            for w in 0..WALK {
                for row in 0..4 {
                    first[FILL + w][row] = first[FILL + w][row].xor3(second[FILL + w][row], found[0][w][row]);
                    second[FILL + w][row] = second[FILL + w][row].xor(found[1][w][row]);
                }
            }
            chunk_mix(&mut first, &mut second, masks);
            for g in 0..FILL {
                // SAFETY: as for the read.
                unsafe { *filling.add(stream * FILL + g) = joined(first[g], second[g]) };
            }
            for w in 0..WALK {
                let group = stream * WALK + w;
                // SAFETY: as for the read.
                unsafe { *walking.add(group) = joined(first[FILL + w], second[FILL + w]) };
                if streams > 1 {
                    let at = second[FILL + w][0].first_words();
                    let lines = lookups::<V, GAP>(at, n, walk.table.wrapping_add(group * V::LABELS), labels);
                    for i in 0..V::LABELS {
                        prefetch(lines[i]);
                    }
                }
            }
        }
    }
    // SAFETY: as above.
    unsafe { (blocks::<V>(FILL, fill, labels), blocks::<V>(WALK, walk, labels)) };
}

/// Turns states from blocks to rows in place, for the length of a pass.
///
/// # Safety
/// If `used` > 0, `half` points to the states of `labels` labels, a multiple of V::LABELS.
#[inline(always)]
unsafe fn rows<V: Lanes>(used: usize, half: Half, labels: usize) -> *mut [V; 8] {
    if used > 0 {
        for label in (0..labels).step_by(V::LABELS) {
            let block = half.states.wrapping_add(label);
            // SAFETY: eight registers are as long as the V::LABELS lines they come from, and not more aligned.
            unsafe { block.cast::<[V; 8]>().write(V::read(consecutive(block))) };
        }
    }
    half.states.cast()
}

/// The way back from [`rows`].
///
/// # Safety
/// The same, and `rows` went before.
#[inline(always)]
unsafe fn blocks<V: Lanes>(used: usize, half: Half, labels: usize) {
    if used > 0 {
        for label in (0..labels).step_by(V::LABELS) {
            let block = half.states.wrapping_add(label);
            // SAFETY: as in `rows`.
            unsafe { V::write(block.cast::<[V; 8]>().read(), block) };
        }
    }
}

/// integerify: the lines that the first words of the second halves name.
#[inline(always)]
fn lookups<V: Lanes, const GAP: usize>(
    at: [u32; MAX_LABELS],
    n: usize,
    first: *const Line,
    labels: usize,
) -> [*const Line; MAX_LABELS] {
    let mut lines = [first; MAX_LABELS];
    for i in 0..V::LABELS {
        lines[i] = first.wrapping_add((at[i] as usize & (n - 1)) / GAP * labels + i);
    }
    lines
}

#[inline(always)]
fn sum<V: Lanes>(a: &[V; 4], b: &[V; 4]) -> [V; 4] {
    [a[0].xor(b[0]), a[1].xor(b[1]), a[2].xor(b[2]), a[3].xor(b[3])]
}

/// Takes looked-up lines as many steps further as each label's index lies behind its line.
#[inline(always)]
fn compute_missing<V: Lanes, const WALK: usize, const GAP: usize>(
    sums: &mut Rows<V, WALK>,
    seconds: &mut Rows<V, WALK>,
    missing: [[usize; MAX_LABELS]; WALK],
    masks: V::Masks,
) {
    for done in 0..GAP - 1 {
        let (mut first, mut second) = (*sums, *seconds);
        chunk_mix(&mut first, &mut second, masks);
        for w in 0..WALK {
            let [a, b, c, d] = missing[w];
            let further = V::lane_mask([a > done, b > done, c > done, d > done]);
            let next = sum(&first[w], &second[w]);
            for row in 0..4 {
                sums[w][row] = V::choose(further, next[row], sums[w][row]);
                seconds[w][row] = V::choose(further, second[w][row], seconds[w][row]);
            }
        }
    }
}

#[inline(always)]
fn halves<V: Copy>([a, b, c, d, e, f, g, h]: [V; 8]) -> ([V; 4], [V; 4]) {
    ([a, b, c, d], [e, f, g, h])
}

#[inline(always)]
fn joined<V: Copy>([a, b, c, d]: [V; 4], [e, f, g, h]: [V; 4]) -> [V; 8] {
    [a, b, c, d, e, f, g, h]
}

/// From `B0 ^ B1` and `B1` to the `B0` and `B1` of the next step.
#[inline(always)]
fn chunk_mix<V: Lanes, const G: usize>(first: &mut Rows<V, G>, second: &mut Rows<V, G>, masks: V::Masks) {
    chacha8(first, masks);
    for g in 0..G {
        second[g] = sum(&second[g], &first[g]);
    }
    chacha8(second, masks);
}

#[inline(always)]
fn chacha8<V: Lanes, const G: usize>(state: &mut Rows<V, G>, masks: V::Masks) {
    let input = *state;
    for _ in 0..4 {
        quarter_rounds(state, masks);
        // Turning the rows brings the diagonals into the columns, and back.
        for g in 0..G {
            let [a, b, c, d] = state[g];
            state[g] = [a, b.turn1(), c.turn2(), d.turn3()];
        }
        quarter_rounds(state, masks);
        for g in 0..G {
            let [a, b, c, d] = state[g];
            state[g] = [a, b.turn3(), c.turn2(), d.turn1()];
        }
    }
    for g in 0..G {
        for row in 0..4 {
            state[g][row] = state[g][row].add(input[g][row]);
        }
    }
}

/// Four quarter rounds side by side, of every label. Each step is done for all groups before the next: the steps of one
/// group depend on each other.
#[inline(always)]
fn quarter_rounds<V: Lanes, const G: usize>(state: &mut Rows<V, G>, masks: V::Masks) {
    for g in 0..G {
        state[g][0] = state[g][0].add(state[g][1]);
    }
    for g in 0..G {
        state[g][3] = state[g][3].xor(state[g][0]).rotate16(masks);
    }
    for g in 0..G {
        state[g][2] = state[g][2].add(state[g][3]);
    }
    for g in 0..G {
        state[g][1] = state[g][1].xor(state[g][2]).rotate12();
    }
    for g in 0..G {
        state[g][0] = state[g][0].add(state[g][1]);
    }
    for g in 0..G {
        state[g][3] = state[g][3].xor(state[g][0]).rotate8(masks);
    }
    for g in 0..G {
        state[g][2] = state[g][2].add(state[g][3]);
    }
    for g in 0..G {
        state[g][1] = state[g][1].xor(state[g][2]).rotate7();
    }
}
