//! The tables of a worker: memory on a boundary of 2 MiB, in huge pages where the system grants them. Random look-ups
//! gain a quarter from that, since one entry of the processor's address cache then covers two labels' tables.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc};

use super::lanes::Line;

const HUGE_PAGE: usize = 2 << 20;

/// Lines that belong to one worker.
pub(super) struct Scratch {
    lines: *mut Line,
    layout: Layout,
}

// SAFETY: the memory has this one owner.
unsafe impl Send for Scratch {}

impl Scratch {
    /// `lines` lines, at least one, with zeros in them: the system's promise of memory is called in at once.
    ///
    /// # Errors
    /// The number of bytes that could not be had.
    pub(super) fn new(lines: usize) -> Result<Self, u64> {
        let bytes = lines.max(1).checked_mul(size_of::<Line>()).ok_or(u64::MAX)?;
        // Small tables gain nothing from huge pages; a whole one each would only take memory.
        let align = if bytes < HUGE_PAGE { align_of::<Line>() } else { HUGE_PAGE };
        let layout = Layout::from_size_align(bytes, align).map_err(|_| bytes as u64)?;
        // SAFETY: the layout's size is not 0.
        let lines = unsafe { alloc(layout) };
        if lines.is_null() {
            return Err(bytes as u64);
        }
        if align == HUGE_PAGE {
            crate::sys::advise_huge_pages(lines, bytes);
        }
        // SAFETY: the allocation is as long.
        unsafe { lines.write_bytes(0, bytes) };
        Ok(Self { lines: lines.cast(), layout })
    }

    /// The first line.
    pub(super) fn as_mut_ptr(&mut self) -> *mut Line {
        self.lines
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.lines.cast(), self.layout) };
    }
}
