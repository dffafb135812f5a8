//! What the x86-64 tiers share.
#![allow(unsafe_code)]

use std::arch::asm;

use super::lanes::Line;

/// Asks for both cache lines of a line.
#[inline(always)]
pub(super) fn prefetch(line: *const Line) {
    // SAFETY: a prefetch changes nothing and faults on no address.
    unsafe {
        asm!("prefetcht0 [{0}]", "prefetcht0 [{0} + 64]", in(reg) line, options(nostack, preserves_flags, readonly));
    }
}

/// Asks for both cache lines of a line, to be written. `prefetchw` does nothing on the few processors without it.
#[inline(always)]
pub(super) fn prefetch_write(line: *const Line) {
    // SAFETY: as above.
    unsafe {
        asm!("prefetchw [{0}]", "prefetchw [{0} + 64]", in(reg) line, options(nostack, preserves_flags, readonly));
    }
}

/// Byte shuffles that rotate every word left by 16 and by 8 bits.
pub(super) const ROTATE_16: [u8; 16] = [2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13];
pub(super) const ROTATE_8: [u8; 16] = [3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14];
