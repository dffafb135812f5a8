//! Half a state in four registers, a row of four words each: labels lie side by side in a register.
//!
//! Lines are read and written almost as they are. The price is that ChaCha has to turn rows before and after it works on
//! diagonals. Registers are few, so several groups go through each step together, and the processor always has an
//! independent instruction to run.

// Groups and rows are indexed on both sides of most steps; iterators would hide which is which.
#![allow(clippy::needless_range_loop)]
#![allow(unsafe_code)]

use super::lanes::{Half, Lanes, Line, MAX_LABELS, MAX_ROWS, half_of};

/// The four rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<V>([V; 4]);

impl<V: Lanes> Half for Rows<V> {
    const LABELS: usize = V::LABELS;
    const ZERO: Self = Self([V::ZERO; 4]);
    const AT_ONCE: bool = false;
    type Masks = V::Masks;

    #[inline(always)]
    fn masks() -> V::Masks {
        V::masks()
    }
    #[inline(always)]
    fn xor(&self, other: &Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a.xor(e), b.xor(f), c.xor(g), d.xor(h)])
    }
    #[inline(always)]
    fn xor3(&self, b: &Self, c: &Self) -> Self {
        let mut out = *self;
        for row in 0..4 {
            out.0[row] = self.0[row].xor3(b.0[row], c.0[row]);
        }
        out
    }
    #[inline(always)]
    fn choose(which: [bool; MAX_LABELS], a: &Self, b: &Self) -> Self {
        let mask = V::lane_mask(first_four(which));
        let mut out = *a;
        for row in 0..4 {
            out.0[row] = V::choose(mask, a.0[row], b.0[row]);
        }
        out
    }
    #[inline(always)]
    fn first_words(&self) -> [u32; MAX_LABELS] {
        let [a, b, c, d] = self.0[0].first_words();
        let mut words = [0; MAX_LABELS];
        (words[0], words[1], words[2], words[3]) = (a, b, c, d);
        words
    }
    #[inline(always)]
    unsafe fn read(lines: &[*const Line; MAX_LABELS], half: usize) -> Self {
        let [a, b, c, d] = first_four(*lines);
        // SAFETY: the caller's promise.
        Self(unsafe { V::read([half_of(a, half), half_of(b, half), half_of(c, half), half_of(d, half)]) })
    }
    #[inline(always)]
    unsafe fn write(self, lines: *mut Line, half: usize) {
        // SAFETY: the caller's promise.
        unsafe { V::write(self.0, half_of(lines, half).cast_mut()) };
    }
    #[inline(always)]
    fn chacha8<const G: usize>(states: &mut [Self; G], masks: V::Masks) {
        let input = *states;
        for _ in 0..4 {
            double_round(states, masks);
        }
        for g in 0..G {
            for row in 0..4 {
                states[g].0[row] = states[g].0[row].add(input[g].0[row]);
            }
        }
    }
}

#[inline(always)]
fn first_four<T: Copy>(all: [T; MAX_LABELS]) -> [T; MAX_ROWS] {
    [all[0], all[1], all[2], all[3]]
}

/// A round of columns and a round of diagonals. A group goes through a whole round before the next: the shifts of one then
/// meet the shuffles of another, and few registers are in use at a time.
#[inline(always)]
fn double_round<V: Lanes, const G: usize>(states: &mut [Rows<V>; G], masks: V::Masks) {
    // Turning the rows brings the diagonals into the columns, and back. The second row stays where it is: it is done
    // last, and what is next begins with it.
    for state in &mut *states {
        let [a, b, c, d] = quarter_rounds(state.0, masks);
        state.0 = [a.turn3(), b, c.turn1(), d.turn2()];
    }
    for state in &mut *states {
        let [a, b, c, d] = quarter_rounds(state.0, masks);
        state.0 = [a.turn1(), b, c.turn3(), d.turn2()];
    }
}

/// Four quarter rounds side by side, of every label.
#[inline(always)]
fn quarter_rounds<V: Lanes>([mut a, mut b, mut c, mut d]: [V; 4], masks: V::Masks) -> [V; 4] {
    a = a.add(b);
    d = d.xor(a).rotate16(masks);
    c = c.add(d);
    b = b.xor(c).rotate12();
    a = a.add(b);
    d = d.xor(a).rotate8(masks);
    c = c.add(d);
    b = b.xor(c).rotate7();
    [a, b, c, d]
}
