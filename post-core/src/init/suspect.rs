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

use std::collections::BTreeMap;
use std::time::Duration;

use super::{InitError, Run};
use crate::backend::{self, Backend};
use crate::drive::DriveError;
use crate::plan::Layout;
use crate::ranges::Ranges;
use crate::watch::{Event, Watch};

/// How often a drive is told of suspects until it is given up.
const TRIES: u32 = 4;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Stretches of suspects that a message shows for a file.
const SHOWN: usize = 4;

/// A label that a device just made is wrong; which device is asked later, see [`Run::accuse`].
pub(super) fn wrong(index: u64) -> InitError {
    backend::Error::Wrong { device: String::new(), index }.into()
}

/// The end of a run that says its labels are right, unless a device turns out to have lied in a batch nobody waited for.
pub(super) fn settled(result: Result<(), InitError>, backend: &mut dyn Backend) -> Result<(), InitError> {
    match result {
        Ok(()) | Err(InitError::Stopped { .. }) => backend.settle().map_err(InitError::from).and(result),
        error => error,
    }
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
        let error = self.distrust(&suspects, error)?;
        watch.event(Event::Labels { done: self.done, durable: true });
        if backend.others_left() { Ok(()) } else { Err(error) }
    }

    /// Notes that these labels may be wrong, on every drive that holds some of them. What was written and not synced yet
    /// is made again anyway. Returns the lie, or the lie and the drive that could not be told: the backend names suspects
    /// once only, so that drive's journal goes on counting them.
    fn distrust(&mut self, indices: &Ranges, lie: InitError) -> Result<InitError, InitError> {
        let mut drives: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (&file, state) in &mut self.files {
            let first = self.plan.layout.file_labels(file).start;
            for range in indices.within(&(first..first + state.done)) {
                state.suspects.insert(range);
                let files = drives.entry(state.drive).or_default();
                if files.last() != Some(&file) {
                    files.push(file);
                }
            }
        }
        self.done = self.counted();
        // A drive that fails must not keep the others from being told.
        let told: Vec<_> = drives.into_iter().map(|(drive, files)| (drive, files, self.tell(drive))).collect();
        let untold: Vec<_> =
            told.into_iter().filter_map(|(drive, files, told)| Some((drive, files, told.err()?))).collect();
        if untold.is_empty() {
            return Ok(lie);
        }
        let places = untold.iter().map(|(drive, files, error)| {
            let name = |file: &u32| format!("{} ({})", Layout::file_name(*file), self.suspects_of(*file));
            let files: Vec<_> = files.iter().map(name).collect();
            format!("{} in {}: {error}", files.join(", "), self.drives[*drive].name())
        });
        Err(InitError::NotNoted { lie: Box::new(lie), places: places.collect::<Vec<_>>().join("; ") })
    }

    /// Writes a drive's journal; tries again when that fails, for a moment's trouble should not cost whole files.
    fn tell(&self, drive: usize) -> Result<(), DriveError> {
        let mut told = self.write_journal(drive);
        for _ in 1..TRIES {
            if told.is_ok() {
                break;
            }
            std::thread::sleep(PAUSE);
            told = self.write_journal(drive);
        }
        told
    }

    /// For people: the indices of a file's labels that are suspect.
    fn suspects_of(&self, file: u32) -> String {
        let suspects = self.files.get(&file).map(|state| &state.suspects);
        let all: Vec<_> = suspects.into_iter().flat_map(Ranges::iter).collect();
        let some = all.iter().take(SHOWN).map(|range| format!("{} to {}", range.start, range.end - 1));
        let some: Vec<_> = some.collect();
        let more = if all.len() > SHOWN { ", and more" } else { "" };
        format!("labels {}{more}", some.join(", "))
    }
}
