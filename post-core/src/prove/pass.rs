//! One pass over the data: labels in from all disks at once, hits counted.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, Ordering};

use super::ProveError;
use super::progress::{Progress, State};
use crate::backend::{self, Backend};
use crate::drive::DriveError;
use crate::ranges::Ranges;
use crate::reader::{Read, Reader};
use crate::scan::{Hit, ScanJob};
use crate::watch::{Event, Watch};

/// Scans what the pass has not scanned yet, until its winner is certain or nothing is left. How far it came is saved,
/// whatever ended it.
///
/// Labels that can't be read are not left out: what lies behind the first of them can't decide any more, but a winner before
/// it is one.
pub(super) fn scan(
    reader: &Reader<'_>,
    job: &ScanJob<'_>,
    state: &mut State,
    progress: &mut Progress<'_>,
    backend: &mut dyn Backend,
    watch: &dyn Watch,
) -> Result<(), ProveError> {
    let mut wanted: Ranges = std::iter::once(0..reader.layout.num_labels()).collect();
    state.tally.done().iter().for_each(|done| wanted.remove(done));
    let at_a_time = reader.at_a_time(backend.info().scan_batch);
    let needed_end = AtomicU64::new(state.tally.needed_end());
    let mut pass =
        Pass { job, state, progress, backend, watch, hits: Vec::new(), needed_end: &needed_end, unreadable: None };
    let mut result = Ok(());
    reader.read(
        &wanted,
        at_a_time,
        &|labels| labels.start >= needed_end.load(Ordering::Relaxed),
        &mut |piece, read| match pass.take(piece.labels.clone(), read) {
            Ok(()) if pass.is_over() => ControlFlow::Break(()),
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                result = Err(error);
                ControlFlow::Break(())
            }
        },
    );
    let Pass { state, progress, unreadable, .. } = pass;
    progress.save(state, watch);
    result?;
    if state.tally.winner().is_some() {
        return Ok(());
    }
    if watch.stop() {
        return Err(ProveError::Stopped { kept: progress.is_kept() });
    }
    unreadable.map_or(Ok(()), |(_, error)| Err(error.into()))
}

struct Pass<'a, 'b> {
    job: &'a ScanJob<'a>,
    state: &'a mut State,
    progress: &'a mut Progress<'b>,
    backend: &'a mut dyn Backend,
    watch: &'a dyn Watch,
    hits: Vec<Hit>,
    /// Labels from here on need not be read any more.
    needed_end: &'a AtomicU64,
    /// The first label that can't be read, and why.
    unreadable: Option<(u64, DriveError)>,
}

impl Pass<'_, '_> {
    fn take(&mut self, labels: Range<u64>, read: Read<'_>) -> Result<(), backend::Error> {
        match read {
            Ok(read) => {
                self.hits.clear();
                self.backend.scan(self.job, labels.start, read, &mut self.hits)?;
                self.state.tally.count(labels, &self.hits);
                self.needed_end.fetch_min(self.state.tally.needed_end(), Ordering::Relaxed);
                self.watch.event(Event::Scanned { labels: self.state.tally.done().len() });
                self.progress.save_in_time(self.state, self.watch);
            }
            Err(error) => {
                self.needed_end.fetch_min(labels.start, Ordering::Relaxed);
                if self.unreadable.as_ref().is_none_or(|(first, _)| labels.start < *first) {
                    self.watch.event(Event::ReadFailed { from: labels.start, reason: error.to_string() });
                    self.unreadable = Some((labels.start, error));
                }
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.state.tally.winner().is_some() || self.watch.stop()
    }
}
