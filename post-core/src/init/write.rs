//! The work itself: labels to disk with checkpoints, then the nonce, then the final metadata.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use super::{InitError, Run};
use crate::backend::{self, Backend, LabelJob, Labels};
use crate::drive::DriveError;
use crate::journal::{FileProgress, Journal};
use crate::label::Label;
use crate::vrf::VrfNonce;
use crate::watch::{Event, Watch};

/// How often the position of a search past the end is noted; it is small and goes to every drive.
const POSITION_EVERY: Duration = Duration::from_secs(10);

/// What was written since the last checkpoint.
struct Unsynced {
    files: BTreeSet<u32>,
    since: Instant,
}

impl Run<'_> {
    /// Computes and writes all labels that are missing. Returns how many.
    pub(super) fn fill(&mut self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<u64, InitError> {
        let before = self.done;
        watch.event(Event::InitStarted { total: self.plan.labels(), done: before });
        for indices in self.remaining() {
            self.fill_range(indices, backend, watch)?;
        }
        Ok(self.done - before)
    }

    /// The stretches of indices to compute, joined across files.
    fn remaining(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for file in self.plan.files.clone().filter(|file| !self.is_done(*file)) {
            let labels = self.plan.layout.file_labels(file);
            let missing = labels.start + self.files.get(&file).map_or(0, |state| state.done)..labels.end;
            match ranges.last_mut() {
                Some(last) if last.end == missing.start => last.end = missing.end,
                _ => ranges.push(missing),
            }
        }
        ranges
    }

    fn fill_range(
        &mut self,
        indices: Range<u64>,
        backend: &mut dyn Backend,
        watch: &dyn Watch,
    ) -> Result<(), InitError> {
        let scrypt = self.request.params.scrypt;
        let job = LabelJob { scrypt, labels: Labels::Range(self.metadata.commitment(), indices) };
        let device = backend.info().name.clone();
        let mut unsynced = Unsynced { files: BTreeSet::new(), since: Instant::now() };
        let mut result = Ok(());
        backend.label(&job, &mut |indices, labels| {
            result = self.write(indices, labels, &mut unsynced, &device, watch);
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        result?;
        self.checkpoint(&mut unsynced)?;
        Ok(())
    }

    /// One batch: to the drives, through the VRF search, and to the journal when it is time.
    fn write(
        &mut self,
        indices: Range<u64>,
        labels: &[Label],
        unsynced: &mut Unsynced,
        device: &str,
        watch: &dyn Watch,
    ) -> Result<(), InitError> {
        let wrong = |index| backend::Error::Wrong { device: device.into(), index }.into();
        for piece in self.plan.layout.pieces(indices.clone()) {
            let from = (piece.labels.start - indices.start) as usize;
            let labels = &labels[from..][..(piece.labels.end - piece.labels.start) as usize];
            let Some(state) = self.files.get_mut(&piece.file) else { continue };
            unsynced.files.insert(piece.file);
            self.drives[state.drive].write_at(piece.file, piece.offset, labels.as_flattened())?;
            let observed = state.search.observe(piece.labels.start, labels);
            observed.map_err(|error| InitError::of_search(error, wrong))?;
            state.done += labels.len() as u64;
            self.done += labels.len() as u64;
        }
        let stop = watch.stop();
        let due = stop || unsynced.since.elapsed() >= self.request.checkpoint_every;
        if due {
            self.checkpoint(unsynced)?;
        }
        watch.event(Event::Labels { done: self.done, durable: due });
        if stop && self.done < self.plan.labels() { Err(self.stopped()) } else { Ok(()) }
    }

    /// Makes what was written durable, then says so. Until then no journal counts it.
    fn checkpoint(&self, unsynced: &mut Unsynced) -> Result<(), DriveError> {
        let mut drives = BTreeSet::new();
        for file in &unsynced.files {
            let drive = self.files[file].drive;
            self.drives[drive].sync(*file)?;
            drives.insert(drive);
        }
        for drive in drives {
            self.write_journal(drive)?;
        }
        *unsynced = Unsynced { files: BTreeSet::new(), since: Instant::now() };
        Ok(())
    }

    pub(super) fn write_journal(&self, drive: usize) -> Result<(), DriveError> {
        let files = self.files.iter().filter(|(_, state)| state.drive == drive && state.vouched);
        let journal = Journal {
            scrypt_n: self.request.params.scrypt.n,
            commitment: self.metadata.commitment().0,
            num_labels: self.plan.layout.num_labels(),
            set_complete: self.complete(),
            files: files
                .map(|(file, state)| (*file, FileProgress { labels: state.done, vrf: state.search.best() }))
                .collect(),
        };
        let bytes = journal
            .to_bytes()
            .map_err(|e| DriveError::Malformed { place: self.drives[drive].name(), reason: e.to_string() })?;
        self.drives[drive].replace_journal(&bytes)
    }

    /// Settles the VRF nonce and writes the complete metadata to every drive that holds a file.
    pub(super) fn finish(&mut self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<(), InitError> {
        match self.smallest()? {
            Some(nonce) => self.metadata.set_nonce(&nonce),
            None if self.complete() && !self.has_nonce_past_end()? => {
                let nonce = self.search_past_end(backend, watch)?;
                self.metadata.set_nonce(&nonce);
            }
            None => {}
        }
        self.write_metadata()?;
        if self.complete() && !self.was_complete()? {
            self.plan.drives_in_use().into_iter().try_for_each(|drive| self.write_journal(drive))?;
        }
        Ok(())
    }

    /// Whether every drive's journal knows that the set is whole.
    fn was_complete(&self) -> Result<bool, DriveError> {
        for drive in self.plan.drives_in_use() {
            if !Journal::of(&*self.drives[drive])?.is_some_and(|journal| journal.set_complete) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the metadata names a label past the end of the set that is below the threshold.
    fn has_nonce_past_end(&self) -> Result<bool, InitError> {
        let Some(index) = self.metadata.nonce else { return Ok(false) };
        let mut search = self.new_search(None);
        search.candidate(index)?;
        Ok(search.best().is_some())
    }

    /// The same on every drive; keys of other tools stay where they are.
    fn write_metadata(&self) -> Result<(), DriveError> {
        for drive in self.plan.drives_in_use() {
            let drive = &self.drives[drive];
            let there = drive.metadata()?;
            let wanted = self.metadata_beside(there.as_ref());
            if there.as_ref() != Some(&wanted) {
                drive.replace_metadata(&wanted)?;
            }
        }
        Ok(())
    }

    /// The smallest label of the set that is known: of all files that are there, and what the metadata of any drive
    /// names, which may lie in a file that is elsewhere.
    fn smallest(&self) -> Result<Option<VrfNonce>, InitError> {
        let found = self.files.values().filter_map(|state| state.search.best());
        let best = found.min_by_key(|nonce| (nonce.label, nonce.index));
        let mut search = self.new_search(best);
        let mut named = BTreeSet::new();
        for drive in self.drives {
            named.extend(drive.metadata()?.and_then(|metadata| metadata.nonce));
        }
        // A nonce past the end only stands in for one that is missing.
        for index in named.range(..self.plan.layout.num_labels()) {
            search.candidate(*index)?;
        }
        Ok(search.best())
    }

    /// About one set in 3000 has no label below the threshold; the first one past its end is then the nonce. This may
    /// take an eighth of the whole initialization, so its position is kept.
    fn search_past_end(&mut self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<VrfNonce, InitError> {
        let num_labels = self.plan.layout.num_labels();
        // A position so large that nothing is left behind it was not written by us.
        let noted_position = self.metadata.last_position.filter(|position| *position < u64::MAX / 2);
        let from = noted_position.unwrap_or(0).max(num_labels);
        watch.event(Event::VrfSearchPastEnd { from });
        let device = backend.info().name.clone();
        let wrong = |index| backend::Error::Wrong { device: device.clone(), index }.into();
        let mut search = self.new_search(None);
        let mut noted = Instant::now();
        let mut result = Ok(());
        let job = LabelJob {
            scrypt: self.request.params.scrypt,
            labels: Labels::Range(self.metadata.commitment(), from..u64::MAX),
        };
        backend.label(&job, &mut |indices, labels| {
            let mut look = || -> Result<bool, InitError> {
                for (index, label) in indices.clone().zip(labels) {
                    let observed = search.observe(index, std::slice::from_ref(label));
                    observed.map_err(|error| InitError::of_search(error, wrong))?;
                    if search.best().is_some() {
                        return Ok(true);
                    }
                }
                let stop = watch.stop();
                if stop || noted.elapsed() >= POSITION_EVERY {
                    self.metadata.last_position = Some(indices.end);
                    self.write_metadata()?;
                    noted = Instant::now();
                }
                if stop { Err(self.stopped()) } else { Ok(false) }
            };
            match look() {
                Ok(false) => ControlFlow::Continue(()),
                Ok(true) => ControlFlow::Break(()),
                Err(error) => {
                    result = Err(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        result?;
        search.best().ok_or_else(|| self.stopped())
    }
}
