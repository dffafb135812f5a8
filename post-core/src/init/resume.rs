//! What an earlier run, or another tool, left: what of it counts, and how it is taken over.

use std::collections::BTreeMap;

use super::{FileState, InitError, Plan, Request, Run};
use crate::backend::{Backend, label_list};
use crate::drive::Drive;
use crate::journal::Journal;
use crate::label::{LABEL_BYTES, Label};
use crate::metadata::Metadata;
use crate::plan::Layout;
use crate::watch::{Event, Watch};

/// Labels of a file nobody vouches for that are recomputed before it is believed, its first and last among them.
const SPOT_CHECKS: u64 = 8;

/// Labels read at a time when a file is searched for the VRF nonce.
const RESCAN_LABELS: usize = 1 << 16;

impl<'a> Run<'a> {
    /// Reads journals and decides how much of each file counts.
    pub(super) fn new(request: &'a Request, drives: &'a [Box<dyn Drive>], plan: Plan) -> Result<Self, InitError> {
        let metadata = plan.existing.clone().unwrap_or_else(|| request.metadata());
        let mut run = Self { request, drives, plan, metadata, files: BTreeMap::new() };
        run.check_nonce()?;
        let journals = drives.iter().map(|drive| run.read_journal(&**drive)).collect::<Result<Vec<_>, _>>()?;
        for (&file, &(drive, bytes)) in &run.plan.survey.files {
            let there = bytes / LABEL_BYTES as u64;
            let progress = journals[drive].as_ref().and_then(|journal| journal.files.get(&file));
            // A file that is shorter than its journal says was tampered with: nobody vouches for it any more.
            let state = match progress.filter(|progress| progress.labels <= there) {
                Some(progress) => {
                    FileState { drive, done: progress.labels, search: run.new_search(progress.vrf), searched: true }
                }
                None => FileState { drive, done: there, search: run.new_search(None), searched: false },
            };
            run.files.insert(file, state);
        }
        for (&file, &drive) in &run.plan.place {
            let search = run.new_search(None);
            run.files.entry(file).or_insert(FileState { drive, done: 0, search, searched: true });
        }
        Ok(run)
    }

    /// The drive's journal, if it has a sound one of this set. A damaged one counts as none: the files are then checked.
    fn read_journal(&self, drive: &dyn Drive) -> Result<Option<Journal>, InitError> {
        let Some(journal) = drive.journal()?.as_deref().and_then(Journal::from_bytes) else {
            return Ok(None);
        };
        if !journal.is_of(&self.metadata.commitment(), &self.plan.layout) {
            return Ok(None);
        }
        let wanted = self.request.params.scrypt.n;
        if journal.scrypt_n != wanted {
            return Err(InitError::OtherCost { drive: drive.name(), wanted, there: journal.scrypt_n });
        }
        Ok(Some(journal))
    }

    /// Whether all is there, vouched for, and the nonce known.
    pub(super) fn nothing_to_do(&self) -> bool {
        let vouched = self.files.values().all(|state| state.searched);
        vouched && self.complete() && self.metadata.nonce.is_some() && self.metadata_is_everywhere()
    }

    fn metadata_is_everywhere(&self) -> bool {
        let known = |drive: &usize| match self.drives[*drive].metadata() {
            Ok(Some(there)) => there == self.metadata_beside(Some(&there)),
            _ => false,
        };
        self.plan.drives_in_use().iter().all(known)
    }

    /// What a drive's metadata should be, given what is there: ours, with the keys of other tools that it has.
    pub(super) fn metadata_beside(&self, there: Option<&Metadata>) -> Metadata {
        match there {
            Some(there) => Metadata { other: there.other.clone(), ..self.metadata.clone() },
            None => self.metadata.clone(),
        }
    }

    /// A nonce in the metadata that its label does not bear out is forgotten: it would cost the miner every epoch.
    fn check_nonce(&mut self) -> Result<(), InitError> {
        let Some(index) = self.metadata.nonce else { return Ok(()) };
        let mut search = self.new_search(None);
        search.candidate(index)?;
        match search.best() {
            Some(nonce) => self.metadata.set_nonce(&nonce),
            None => (self.metadata.nonce, self.metadata.nonce_value) = (None, None),
        }
        Ok(())
    }

    /// Takes files over that no journal vouches for: some labels are recomputed, and if the VRF nonce may still lie
    /// among theirs, all of them are read.
    pub(super) fn adopt(&mut self, backend: &mut dyn Backend, watch: &dyn Watch) -> Result<(), InitError> {
        let unknown: Vec<u32> = self.files.iter().filter(|(_, s)| !s.searched).map(|(file, _)| *file).collect();
        for &file in &unknown {
            self.spot_check(file, backend)?;
        }
        // A whole set with a nonce was searched by whoever made it.
        let searched = self.complete() && self.metadata.nonce.is_some();
        let labels = unknown.iter().map(|file| self.files[file].done).sum();
        if labels > 0 && !searched {
            watch.event(Event::VrfRescan { labels });
        }
        for file in unknown {
            if !searched {
                self.rescan(file, watch)?;
            }
            if let Some(state) = self.files.get_mut(&file) {
                state.searched = true;
                // The journal will vouch for it from now on.
                self.drives[state.drive].sync(file)?;
            }
        }
        Ok(())
    }

    fn spot_check(&self, file: u32, backend: &mut dyn Backend) -> Result<(), InitError> {
        let state = &self.files[&file];
        if state.done == 0 {
            return Ok(());
        }
        let first = self.plan.layout.file_labels(file).start;
        let last = state.done - 1;
        // Evenly spread over the file: what tells sets apart is every label, so no chance is needed.
        let mut offsets: Vec<u64> =
            (0..SPOT_CHECKS).map(|i| (u128::from(last) * u128::from(i) / u128::from(SPOT_CHECKS - 1)) as u64).collect();
        offsets.dedup();
        let commitment = self.metadata.commitment();
        let list: Vec<_> = offsets.iter().map(|offset| (commitment, first + offset)).collect();
        let expected = label_list(backend, self.request.params.scrypt, &list)?;
        for (offset, expected) in offsets.iter().zip(expected) {
            let mut label: Label = [0; LABEL_BYTES];
            self.drives[state.drive].read_at(file, offset * LABEL_BYTES as u64, &mut label)?;
            if label != expected {
                return Err(InitError::WrongLabel {
                    index: first + offset,
                    file: Layout::file_name(file),
                    drive: self.drives[state.drive].name(),
                });
            }
        }
        Ok(())
    }

    /// Reads a file's labels for the VRF search.
    fn rescan(&mut self, file: u32, watch: &dyn Watch) -> Result<(), InitError> {
        let first = self.plan.layout.file_labels(file).start;
        let stopped = self.stopped();
        let Some(state) = self.files.get_mut(&file) else {
            return Ok(());
        };
        let mut buffer = vec![[0; LABEL_BYTES]; RESCAN_LABELS];
        let mut at = 0;
        while at < state.done {
            let count = (state.done - at).min(RESCAN_LABELS as u64) as usize;
            let labels = &mut buffer[..count];
            self.drives[state.drive].read_at(file, at * LABEL_BYTES as u64, labels.as_flattened_mut())?;
            state.search.observe(first + at, labels)?;
            at += count as u64;
            if watch.stop() {
                return Err(stopped);
            }
        }
        Ok(())
    }

    /// Before any label is written, each drive says whose its files are and how much of them counts: a file that the
    /// journal knows nothing of would be taken for another tool's after a crash.
    pub(super) fn write_first_records(&self) -> Result<(), InitError> {
        for drive in self.plan.drives_in_use() {
            if self.drives[drive].metadata()?.is_none() {
                // Not yet the nonce: that is what says that a set is finished.
                let first = Metadata { nonce: None, nonce_value: None, ..self.metadata.clone() };
                self.drives[drive].replace_metadata(&first)?;
            }
            self.write_journal(drive)?;
        }
        Ok(())
    }
}
