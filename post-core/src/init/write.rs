//! The work itself: labels to disk with checkpoints, then the nonce, then the final metadata.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use super::suspect::wrong;
use super::waiting::{Halt, On};
use super::{FileState, InitError, Run};
use crate::backend::{self, Backend, LabelJob, Labels};
use crate::drive::DriveError;
use crate::journal::{FileProgress, Journal};
use crate::label::{LABEL_BYTES, Label};
use crate::ranges::Ranges;
use crate::vrf::{VrfNonce, search_past_end};
use crate::watch::{Event, Watch};

/// How often the position of a search past the end is noted; it is small and goes to every drive.
const POSITION_EVERY: Duration = Duration::from_secs(10);

/// A checkpoint comes at the latest after so many labels, 256 MiB of them, however fast the devices are.
const MAX_UNSYNCED: u64 = 1 << 24;

/// What was written since the last checkpoint: no file's state knows of it yet, so no journal does.
struct Unsynced {
    /// Indices by file.
    files: BTreeMap<u32, Ranges>,
    labels: u64,
    since: Instant,
}

impl Run<'_> {
    /// Computes and writes all labels that are missing or suspect, but for those of drives that failed.
    pub(super) fn fill(&mut self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<(), InitError> {
        let mut remaining = self.remaining();
        while let Some(indices) = remaining.pop_front() {
            if let Err(halt) = self.fill_range(indices, backend, watch) {
                self.go_on_without(halt, watch)?;
                remaining = self.remaining();
            }
        }
        Ok(())
    }

    /// The stretches of indices to compute, joined across files: first the suspects, then what is missing.
    fn remaining(&self) -> VecDeque<Range<u64>> {
        let this_run = self.files.range(self.plan.files.clone());
        let usable: Vec<_> = this_run.filter(|(_, state)| !self.out.contains_key(&state.drive)).collect();
        let suspects: Ranges = usable.iter().flat_map(|(_, state)| state.suspects.iter()).collect();
        let missing = usable.iter().map(|(file, state)| {
            let labels = self.plan.layout.file_labels(**file);
            labels.start + state.done..labels.end
        });
        let missing: Ranges = missing.collect();
        suspects.iter().chain(missing.iter()).collect()
    }

    fn fill_range(&mut self, indices: Range<u64>, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<(), Halt> {
        let scrypt = self.request.params.scrypt;
        let job = LabelJob { scrypt, labels: Labels::Range(self.metadata.commitment(), indices) };
        let mut unsynced = Unsynced { files: BTreeMap::new(), labels: 0, since: Instant::now() };
        let mut result = Ok(());
        let labelled = backend.label(&job, &mut |indices, labels| {
            result = self.write(indices, labels, &mut unsynced, watch);
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match (result, labelled) {
            // Nobody knows what of the rest is right.
            (_, Err(lie @ backend::Error::Wrong { .. })) => Err(lie.into()),
            (Err(Halt::Drive(failed, error)), _) => {
                // What the other drives have is kept.
                unsynced.files.retain(|file, _| self.files.get(file).is_some_and(|state| state.drive != failed));
                let _another = self.checkpoint(&mut unsynced);
                Err(Halt::Drive(failed, error))
            }
            (Err(Halt::Other(error)), _) => Err(self.accuse(error, backend).into()),
            (Ok(()), labelled) => {
                labelled?;
                self.checkpoint(&mut unsynced)
            }
        }
    }

    /// One batch: to the drives, through the VRF search, and to the journal when it is time.
    fn write(
        &mut self,
        indices: Range<u64>,
        labels: &[Label],
        unsynced: &mut Unsynced,
        watch: &dyn Watch,
    ) -> Result<(), Halt> {
        for piece in self.plan.layout.pieces(indices.clone()) {
            let from = (piece.labels.start - indices.start) as usize;
            let labels = &labels[from..][..(piece.labels.end - piece.labels.start) as usize];
            let full = self.plan.layout.file_bytes(piece.file);
            let Some(state) = self.files.get_mut(&piece.file) else { continue };
            let drive = &self.drives[state.drive];
            drive.write_at(piece.file, piece.offset, labels.as_flattened()).on(state.drive)?;
            if !std::mem::replace(&mut state.allocated, true) {
                drive.preallocate(piece.file, full).on(state.drive)?;
            }
            state.sums.written(piece.offset / LABEL_BYTES as u64, labels);
            let observed = state.search.observe(piece.labels.start, labels);
            observed.map_err(|error| InitError::of_search(error, wrong))?;
            unsynced.files.entry(piece.file).or_default().insert(piece.labels.clone());
            unsynced.labels += labels.len() as u64;
            self.made.insert(piece.labels);
            self.done += labels.len() as u64;
        }
        let stop = watch.stop();
        let due = stop || unsynced.labels >= MAX_UNSYNCED || unsynced.since.elapsed() >= self.request.checkpoint_every;
        if due {
            self.checkpoint(unsynced)?;
        }
        watch.event(Event::Labels { done: self.done, durable: due });
        if stop && self.done < self.plan.labels() { Err(self.stopped().into()) } else { Ok(()) }
    }

    /// Makes what was written durable, then says so. Until then no journal counts it, and what was suspect still is. Where
    /// a drive fails the others are served nevertheless.
    fn checkpoint(&mut self, unsynced: &mut Unsynced) -> Result<(), Halt> {
        let mut drives: BTreeMap<usize, Vec<(u32, Ranges)>> = BTreeMap::new();
        for (file, written) in std::mem::take(&mut unsynced.files) {
            let Some(state) = self.files.get(&file) else { continue };
            drives.entry(state.drive).or_default().push((file, written));
        }
        (unsynced.labels, unsynced.since) = (0, Instant::now());
        let results: Vec<_> =
            drives.into_iter().map(|(drive, files)| self.checkpoint_drive(drive, files).on(drive)).collect();
        results.into_iter().collect()
    }

    fn checkpoint_drive(&mut self, drive: usize, files: Vec<(u32, Ranges)>) -> Result<(), DriveError> {
        let on = &*self.drives[drive];
        for (file, _) in &files {
            let full = self.full(*file);
            let Some(state) = self.files.get_mut(file) else { continue };
            on.sync(*file)?;
            state.sums.keep(on, *file, full)?;
        }
        let mut before = Vec::new();
        for (file, written) in files {
            let first = self.plan.layout.file_labels(file).start;
            let Some(state) = self.files.get_mut(&file) else { continue };
            before.push((file, state.done, state.since, state.suspects.clone()));
            for indices in written.iter() {
                // Behind what is done there is only what follows it.
                if indices.end - first > state.done {
                    (state.since, state.done) = (state.done, indices.end - first);
                }
                state.suspects.remove(indices);
            }
        }
        let noted = self.write_journal(drive);
        if noted.is_err() {
            // Only what the journal says counts.
            for (file, done, since, suspects) in before {
                if let Some(state) = self.files.get_mut(&file) {
                    (state.done, state.since, state.suspects) = (done, since, suspects);
                }
            }
        }
        noted
    }

    pub(super) fn write_journal(&self, drive: usize) -> Result<(), DriveError> {
        let files = self.files.iter().filter(|(_, state)| state.drive == drive);
        let files = files.filter_map(|(file, state)| Some((*file, self.entry(*file, state)?)));
        let journal = Journal {
            scrypt_n: self.request.params.scrypt.n,
            commitment: self.metadata.commitment().0,
            num_labels: self.plan.layout.num_labels(),
            set_complete: self.complete(),
            files: files.collect(),
        };
        journal.store(&*self.drives[drive])
    }

    /// What the journal is to say of a file, if it knows of it at all.
    fn entry(&self, file: u32, state: &FileState) -> Option<FileProgress> {
        if state.vouched { Some(self.progress(file, state)) } else { state.noted.clone() }
    }

    fn progress(&self, file: u32, state: &FileState) -> FileProgress {
        let first = self.plan.layout.file_labels(file).start;
        let suspect = state.suspects.iter().map(|range| (range.start - first, range.end - first)).collect();
        FileProgress { labels: state.done, since: state.since, vrf: state.search.best(), suspect }
    }

    /// Settles the VRF nonce and writes the complete metadata to every drive that holds a file.
    pub(super) fn finish(&mut self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<(), InitError> {
        match self.smallest(watch)? {
            Some(nonce) => self.metadata.set_nonce(&nonce),
            None if self.complete() && !self.has_nonce_past_end()? => {
                let nonce = self.search_past_end(backend, watch)?;
                self.metadata.set_nonce(&nonce);
            }
            None => {}
        }
        for drive in self.usable() {
            if let Err(error) = self.finish_on(drive) {
                self.go_on_without(Halt::Drive(drive, error), watch)?;
            }
        }
        Ok(())
    }

    /// The drives in use that did not fail.
    pub(super) fn usable(&self) -> Vec<usize> {
        self.plan.drives_in_use().into_iter().filter(|drive| !self.out.contains_key(drive)).collect()
    }

    fn finish_on(&self, drive: usize) -> Result<(), DriveError> {
        self.write_metadata_on(drive)?;
        self.store_map(drive)?;
        let knows = || Ok(Journal::of(&*self.drives[drive])?.is_some_and(|journal| journal.set_complete));
        if self.complete() && !knows()? { self.write_journal(drive) } else { Ok(()) }
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
        self.usable().into_iter().try_for_each(|drive| self.write_metadata_on(drive))
    }

    fn write_metadata_on(&self, drive: usize) -> Result<(), DriveError> {
        let drive = &self.drives[drive];
        let there = drive.metadata()?;
        let wanted = self.metadata_beside(there.as_ref());
        if there.as_ref() == Some(&wanted) { Ok(()) } else { drive.replace_metadata(&wanted) }
    }

    /// The smallest label of the set that is known: of all files that are there, and what the metadata of any drive
    /// names, which may lie in a file that is elsewhere.
    fn smallest(&mut self, watch: &dyn Watch) -> Result<Option<VrfNonce>, InitError> {
        let mut named = BTreeSet::new();
        for index in (0..self.drives.len()).filter(|index| !self.out.contains_key(index)).collect::<Vec<_>>() {
            match self.drives[index].metadata() {
                Ok(metadata) => named.extend(metadata.and_then(|metadata| metadata.nonce)),
                Err(error) => self.go_on_without(Halt::Drive(index, error), watch)?,
            }
        }
        let found = self.files.values().filter_map(|state| state.search.best());
        let best = found.min_by_key(|nonce| (nonce.label, nonce.index));
        let mut search = self.new_search(best);
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
        let (mut noted, mut result) = (Instant::now(), Ok(()));
        let found = search_past_end(self.new_search(None), from, backend, &mut |end| {
            let stop = watch.stop();
            if stop || noted.elapsed() >= POSITION_EVERY {
                self.metadata.last_position = Some(end);
                result = self.write_metadata().map_err(InitError::from);
                noted = Instant::now();
            }
            if stop && result.is_ok() {
                result = Err(self.stopped());
            }
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if let Err(error @ backend::Error::Wrong { .. }) = found {
            // What it went past may have been the nonce.
            self.metadata.last_position = noted_position;
            self.write_metadata()?;
            return Err(error.into());
        }
        result?;
        found?.ok_or_else(|| self.stopped())
    }
}
