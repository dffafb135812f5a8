//! Labels of a device that turned out to lie.
//!
//! A device is caught by a sample, so wrong labels of its earlier batches are on disk already, and nobody knows which. Only
//! `init` knows where they lie, and only the backend knows who made them. So a lie ends the job; `init` asks the backend for
//! all that the liar made, of earlier jobs too, writes into the journals that these are suspect, and only then asks for them
//! and for the rest once more. Suspects stay in the journals until what replaces them is durable, so a crash at any moment
//! loses none of them. A backend that is one device only has nobody else to ask: all that the run made is suspect then, and
//! the next run, with another device, makes it again.
//!
//! The VRF search needs no cleaning: what it holds was computed on the CPU. What a wrong label hid from it comes by again.

use std::collections::BTreeSet;

use super::{InitError, Run};
use crate::backend::{self, Backend};
use crate::ranges::Ranges;
use crate::watch::{Event, Watch};

/// A label that a device just made is wrong; which device is asked later, see [`Run::accuse`].
pub(super) fn wrong(index: u64) -> InitError {
    backend::Error::Wrong { device: String::new(), index }.into()
}

impl Run<'_> {
    /// The search for the VRF nonce met a wrong label: the backend is told, and knows whose it is.
    pub(super) fn accuse(&self, error: InitError, backend: &mut dyn Backend) -> InitError {
        match error {
            InitError::Backend(backend::Error::Wrong { index, .. }) => {
                backend.accuse(&self.metadata.commitment(), index).into()
            }
            error => error,
        }
    }

    /// After a lie with other devices left: all that is suspect is noted, and the work can go on. Else the error again.
    pub(super) fn go_on_after(
        &mut self,
        error: InitError,
        backend: &mut dyn Backend,
        watch: &dyn Watch,
    ) -> Result<(), InitError> {
        if !matches!(error, InitError::Backend(backend::Error::Wrong { .. })) {
            return Err(error);
        }
        let suspects = backend.suspects(&self.metadata.commitment());
        let suspects = suspects.map_or_else(|| self.made.clone(), |indices| indices.into_iter().collect());
        self.distrust(&suspects)?;
        watch.event(Event::Labels { done: self.done, durable: true });
        if backend.others_left() { Ok(()) } else { Err(error) }
    }

    /// Notes that these labels may be wrong, on every drive that holds some of them. What was written and not synced yet
    /// is made again anyway.
    fn distrust(&mut self, indices: &Ranges) -> Result<(), InitError> {
        let mut drives = BTreeSet::new();
        for (&file, state) in &mut self.files {
            let first = self.plan.layout.file_labels(file).start;
            for range in indices.within(&(first..first + state.done)) {
                state.suspects.insert(range);
                drives.insert(state.drive);
            }
        }
        self.done = self.counted();
        // A drive that fails must not keep the others from being told.
        let told: Vec<_> = drives.into_iter().map(|drive| self.write_journal(drive)).collect();
        told.into_iter().collect::<Result<(), _>>()?;
        Ok(())
    }
}
