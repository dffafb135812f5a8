//! What an earlier run, or another tool, left: what of it counts, and how it is taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::summing::FileSums;
use super::waiting::{Halt, On};
use super::{FileState, InitError, Plan, Request, Run};
use crate::backend::{Backend, label_list};
use crate::drive::{Drive, DriveError};
use crate::journal::{FileProgress, Journal};
use crate::label::{LABEL_BYTES, Label};
use crate::metadata::Metadata;
use crate::plan::Layout;
use crate::ranges::Ranges;
use crate::set::Problem;
use crate::watch::{Event, Watch};

/// Labels of a file nobody vouches for that are recomputed before it is believed, its first and last among them.
const SPOT_CHECKS: u64 = 8;

/// Labels read at a time when a file is searched for the VRF nonce.
const RESCAN_LABELS: usize = 1 << 14;

impl<'a> Run<'a> {
    /// Reads journals and decides how much of each file counts. Nothing is written.
    pub(super) fn new(request: &'a Request, drives: &'a [Box<dyn Drive>], plan: Plan) -> Result<Self, InitError> {
        let metadata = plan.existing.clone().unwrap_or_else(|| request.metadata());
        let (files, made, out) = (BTreeMap::new(), Ranges::default(), BTreeMap::new());
        let mut run = Self { request, drives, plan, metadata, files, done: 0, made, out };
        let journals = drives.iter().map(|drive| run.read_journal(&**drive)).collect::<Result<Vec<_>, _>>()?;
        run.refuse_gone_files(journals.iter().flatten().any(|journal| journal.set_complete))?;
        for (&file, &(drive, bytes)) in &run.plan.survey.files {
            let there = bytes / LABEL_BYTES as u64;
            let progress = journals[drive].as_ref().and_then(|journal| journal.files.get(&file));
            // A file that is shorter than its journal says was tampered with: nobody vouches for it any more.
            let (done, vrf, vouched) = match progress.filter(|progress| progress.labels <= there) {
                Some(progress) => (progress.labels, progress.vrf, true),
                None => (there, None, false),
            };
            let first = run.plan.layout.file_labels(file).start;
            let suspects = progress.map(FileProgress::suspects).unwrap_or_default();
            let suspects = suspects.within(&(0..done)).map(|range| first + range.start..first + range.end).collect();
            let noted = progress.filter(|progress| !vouched && !progress.suspect.is_empty()).cloned();
            let since = progress.filter(|_| vouched).map_or(done, |progress| progress.since.min(done));
            let (search, sums) = (run.new_search(vrf), FileSums::default());
            let allocated = there >= run.full(file);
            let state = FileState { drive, done, suspects, there, search, noted, vouched, since, sums, allocated };
            run.files.insert(file, state);
        }
        for (file, drive) in run.plan.place.clone() {
            if !run.files.contains_key(&file) {
                run.files.insert(file, run.nothing_yet(drive));
            }
        }
        run.done = run.counted();
        Ok(run)
    }

    /// A file that is to be made on a drive.
    fn nothing_yet(&self, drive: usize) -> FileState {
        FileState {
            drive,
            done: 0,
            suspects: Ranges::default(),
            there: 0,
            search: self.new_search(None),
            noted: None,
            vouched: true,
            since: 0,
            sums: FileSums::default(),
            allocated: false,
        }
    }

    /// The drive's journal, if it has a sound one of this set. A damaged one counts as none: the files are then checked.
    fn read_journal(&self, drive: &dyn Drive) -> Result<Option<Journal>, InitError> {
        let journal =
            Journal::of(drive)?.filter(|journal| journal.is_of(&self.metadata.commitment(), &self.plan.layout));
        let wanted = self.request.params.scrypt.n;
        match journal {
            Some(journal) if journal.scrypt_n != wanted && !journal.files.is_empty() => {
                Err(InitError::OtherCost { drive: drive.name(), wanted, there: journal.scrypt_n })
            }
            journal => Ok(journal),
        }
    }

    /// An empty mount point looks like an empty drive: what was there once is not made again without being asked for.
    fn refuse_gone_files(&self, was_complete: bool) -> Result<(), InitError> {
        let missing = self.plan.survey.problems.iter().flat_map(|problem| match problem {
            Problem::Missing(files) | Problem::Elsewhere { files, .. } => files.clone(),
            _ => Vec::new(),
        });
        let mut files: Vec<u32> = missing.collect();
        files.sort_unstable();
        // What waits for a drive that is known is not made again anyway.
        files.retain(|file| !self.plan.waiting.iter().any(|waiting| waiting.files.contains(file)));
        if !files.is_empty() && was_complete && self.request.files.is_none() {
            return Err(InitError::Gone { files });
        }
        Ok(())
    }

    fn not_vouched(&self) -> Vec<u32> {
        self.files.iter().filter(|(_, state)| !state.vouched).map(|(file, _)| *file).collect()
    }

    /// Recomputes some labels of each file that no journal vouches for: files of another set, or made with another
    /// network's parameters, must not be mistaken for this one's, nor written over. Nothing is written.
    pub(super) fn spot_check(&self, backend: &mut dyn Backend) -> Result<(), InitError> {
        for (&file, state) in &self.files {
            if !state.vouched {
                self.spot_check_file(file, backend)?;
            } else if state.there > state.done {
                self.check_tail(file, backend)?;
            }
        }
        Ok(())
    }

    fn spot_check_file(&self, file: u32, backend: &mut dyn Backend) -> Result<(), InitError> {
        match self.sample(file, 0..self.files[&file].done, backend)?.into_iter().find(|sample| sample.1 != sample.2) {
            Some((index, ..)) => Err(self.wrong_label(file, index)),
            None => Ok(()),
        }
    }

    /// What lies behind the labels that the journal counts will be written over. After a crash that is our own, with
    /// holes at worst, even within a label; labels that are all wrong are somebody else's.
    fn check_tail(&self, file: u32, backend: &mut dyn Backend) -> Result<(), InitError> {
        let FileState { done, there, .. } = self.files[&file];
        let there = there.min(self.full(file));
        let samples = self.sample(file, done..there, backend)?;
        let foreign = |(_, found, expected): &(u64, Label, Label)| {
            found.iter().zip(expected).any(|(found, expected)| *found != 0 && found != expected)
        };
        match samples.first() {
            Some((index, ..)) if samples.iter().all(foreign) => Err(self.wrong_label(file, *index)),
            _ => Ok(()),
        }
    }

    /// Labels of a file, evenly spread over a stretch of it, but no suspects: index, on disk, as it should be. What tells sets apart is every
    /// label, so no chance is needed.
    fn sample(
        &self,
        file: u32,
        stretch: Range<u64>,
        backend: &mut dyn Backend,
    ) -> Result<Vec<(u64, Label, Label)>, InitError> {
        if stretch.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.plan.layout.file_labels(file).start;
        let last = u128::from(stretch.end - 1 - stretch.start);
        let at = |i: u64| stretch.start + (last * u128::from(i) / u128::from(SPOT_CHECKS - 1)) as u64;
        let mut offsets: Vec<u64> = (0..SPOT_CHECKS).map(at).collect();
        offsets.dedup();
        // A device's lies are no sign of another set, and will be made again.
        offsets.retain(|offset| !self.files[&file].suspects.contains(first + offset));
        if offsets.is_empty() {
            return Ok(Vec::new());
        }
        let commitment = self.metadata.commitment();
        let list: Vec<_> = offsets.iter().map(|offset| (commitment, first + offset)).collect();
        let expected = label_list(backend, self.request.params.scrypt, &list)?;
        let mut samples = Vec::new();
        for (offset, expected) in offsets.into_iter().zip(expected) {
            let mut found: Label = [0; LABEL_BYTES];
            self.drives[self.files[&file].drive].read_at(file, offset * LABEL_BYTES as u64, &mut found)?;
            samples.push((first + offset, found, expected));
        }
        Ok(samples)
    }

    fn wrong_label(&self, file: u32, index: u64) -> InitError {
        let drive = self.drives[self.files[&file].drive].name();
        InitError::WrongLabel { index, file: Layout::file_name(file), drive }
    }

    /// Takes over the files that no journal vouches for. All their labels are read once, because the smallest label of
    /// the set may be among them: a nonce in the metadata may be that of a part of the set only.
    pub(super) fn adopt(&mut self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<(), InitError> {
        let files = self.not_vouched();
        let labels = files.iter().map(|file| self.files[file].done).sum();
        if labels > 0 {
            watch.event(Event::VrfRescanStarted { labels });
        }
        let mut read = 0;
        for file in files {
            self.spot_check_file(file, backend)?;
            self.rescan(file, &mut read, watch)?;
            let (drive, full) = (self.files[&file].drive, self.full(file));
            // The journal vouches for it from now on, so it has to be durable.
            self.drives[drive].sync(file)?;
            if let Some(state) = self.files.get_mut(&file) {
                state.vouched = true;
                state.since = state.done;
                state.sums.keep(&*self.drives[drive], file, full)?;
            }
            self.write_journal(drive)?;
        }
        Ok(())
    }

    /// Reads a file's labels for the VRF search. It sees suspects when they are made again.
    fn rescan(&mut self, file: u32, read: &mut u64, watch: &dyn Watch) -> Result<(), InitError> {
        let first = self.plan.layout.file_labels(file).start;
        let FileState { drive, done, ref search, ref suspects, .. } = self.files[&file];
        let mut search = search.clone();
        let mut sums = FileSums::fresh();
        let mut buffer = vec![[0; LABEL_BYTES]; RESCAN_LABELS];
        let mut at = 0;
        while at < done {
            if watch.stop() {
                return Err(self.stopped());
            }
            let count = (done - at).min(RESCAN_LABELS as u64);
            let labels = &mut buffer[..count as usize];
            self.drives[drive].read_at(file, at * LABEL_BYTES as u64, labels.as_flattened_mut())?;
            sums.written(at, labels);
            let chunk = first + at..first + at + count;
            let mut right: Ranges = std::iter::once(chunk.clone()).collect();
            suspects.within(&chunk).for_each(|range| right.remove(range));
            for range in right.iter() {
                let labels = &labels[(range.start - chunk.start) as usize..(range.end - chunk.start) as usize];
                let observed = search.observe(range.start, labels);
                observed.map_err(|error| InitError::of_search(error, |index| self.wrong_label(file, index)))?;
            }
            at += count;
            *read += count;
            watch.event(Event::VrfRescan { labels: *read });
        }
        if let Some(labels) = sums.changed_since(&*self.drives[drive], file)? {
            let (file, drive) = (Layout::file_name(file), self.drives[drive].name());
            return Err(InitError::Changed { from: first + labels.start, to: first + labels.end - 1, file, drive });
        }
        if let Some(state) = self.files.get_mut(&file) {
            (state.search, state.sums) = (search, sums);
        }
        Ok(())
    }

    /// What a drive's metadata should be, given what is there: ours, with the keys of other tools that it has.
    pub(super) fn metadata_beside(&self, there: Option<&Metadata>) -> Metadata {
        match there {
            Some(there) => Metadata { other: there.other.clone(), ..self.metadata.clone() },
            None => self.metadata.clone(),
        }
    }

    /// Before any label is written, each drive says whose its files are and how much of them counts: a file that the
    /// journal knows nothing of would be taken for another tool's after a crash. And what was written last before the
    /// last run ended is looked at.
    pub(super) fn begin(&mut self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<(), InitError> {
        self.update_map()?;
        for drive in self.usable() {
            let (commitment, layout) = (self.metadata.commitment(), self.plan.layout);
            if let Err(error) = self.plan.map.join(drive, &*self.drives[drive], &commitment, &layout) {
                self.go_on_without(Halt::Drive(drive, error), watch)?;
            }
        }
        for drive in self.usable() {
            match self.begin_on(drive, backend) {
                Ok(()) => {}
                Err(halt) => self.go_on_without(halt, watch)?,
            }
        }
        Ok(())
    }

    fn begin_on(&mut self, drive: usize, backend: &mut dyn Backend) -> Result<(), Halt> {
        let files = self.plan.files.clone();
        let unfinished = files.filter(|file| self.files.get(file).is_some_and(|state| state.drive == drive));
        let unfinished: Vec<u32> = unfinished.filter(|file| !self.is_done(*file)).collect();
        if unfinished.is_empty() {
            return Ok(());
        }
        for file in unfinished {
            self.look_at_the_end(file, backend)?;
        }
        self.load_sums(drive).on(drive)?;
        let on = &*self.drives[drive];
        if on.metadata().on(drive)?.is_none() {
            // The nonce comes when all labels are known.
            let first = Metadata { nonce: None, nonce_value: None, ..self.metadata.clone() };
            on.replace_metadata(&first).on(drive)?;
        }
        self.store_map(drive).on(drive)?;
        self.write_journal(drive).on(drive)
    }

    /// A drive that says that it has written what it has not would lose the end of what the journal counts. If a sample of
    /// what was made between the last two checkpoints is wrong, all of that is made again.
    fn look_at_the_end(&mut self, file: u32, backend: &mut dyn Backend) -> Result<(), Halt> {
        let FileState { done, since, drive, .. } = self.files[&file];
        if done == self.full(file)
            || !self.sample(file, since..done, backend)?.iter().any(|(_, found, right)| found != right)
        {
            return Ok(());
        }
        let first = self.plan.layout.file_labels(file).start;
        if let Some(state) = self.files.get_mut(&file) {
            state.suspects.insert(first + since..first + done);
        }
        self.done = self.counted();
        self.write_journal(drive).on(drive)
    }

    /// The files that each drive holds or is to hold.
    fn update_map(&mut self) -> Result<(), InitError> {
        let mut files = vec![BTreeSet::new(); self.drives.len()];
        self.files.iter().for_each(|(file, state)| _ = files[state.drive].insert(*file));
        let updated = self.plan.map.update(self.drives, &files);
        updated.map_err(|error| InitError::NoRandomness { reason: error.to_string() })
    }

    pub(super) fn store_map(&self, drive: usize) -> Result<(), DriveError> {
        self.plan.map.store(drive, &*self.drives[drive], &self.metadata.commitment(), &self.plan.layout)
    }
}
