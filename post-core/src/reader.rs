//! Reads many labels: all disks at once, a thread for each, in buffers that are used again and again.
//!
//! On each disk labels come in ascending order, since that is how a disk is fast; between disks they come as they are read. So
//! whoever listens must not depend on the order.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::mpsc;

use crate::drive::{Drive, DriveError};
use crate::label::{LABEL_BYTES, Label};
use crate::plan::{Layout, Piece};
use crate::ranges::Ranges;

/// Labels read at a time at least, 1 MiB; fewer only where very many disks share the buffers.
const READ_LABELS: usize = 1 << 16;

/// Buffers of a disk: one is read, one is used, one waits.
const BUFFERS: usize = 3;

/// Bytes of all buffers at most, however many labels a device wants at a time and however many disks there are.
const MAX_BUFFERED: usize = 48 << 20;

/// The data files of a set, wherever they lie.
pub(crate) struct Reader<'a> {
    pub(crate) layout: Layout,
    pub(crate) drives: &'a [Box<dyn Drive>],
    /// File → index of its drive. Files that are not there are not read.
    pub(crate) place: &'a BTreeMap<u32, usize>,
}

/// Labels of one file as they were read, or why they couldn't be.
pub(crate) type Read<'a> = Result<&'a [Label], DriveError>;

type Buffer = Vec<Label>;

/// What a disk's thread says: which disk it is, what it read, into which buffer, and whether that went well.
type Message = (usize, Piece, Buffer, Result<(), DriveError>);

impl Reader<'_> {
    /// How many labels to read at a time for somebody who wants `wanted`.
    pub(crate) fn at_a_time(&self, wanted: usize) -> usize {
        at_a_time(wanted, self.disks().len())
    }

    /// Disk → the files on it, ascending.
    fn disks(&self) -> Vec<Vec<u32>> {
        let mut disks: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        // A drive that does not tell is taken for a disk of its own.
        let disk = |drive: usize| self.drives[drive].disk().unwrap_or(u64::MAX - drive as u64);
        let of_drive: BTreeMap<usize, u64> = self.place.values().map(|drive| (*drive, disk(*drive))).collect();
        for (file, drive) in self.place {
            disks.entry(of_drive[drive]).or_default().push(*file);
        }
        disks.into_values().collect()
    }

    /// Reads all of `wanted` that lies in files that are there, about `at_a_time` labels at a time, none across the border
    /// of a file, and no stretch that `skip` says nobody needs any more. Each stretch is handed to `sink` on this thread: its
    /// piece and its labels. A failed read is handed on too, and reading goes on behind it; `Break` ends the reading.
    pub(crate) fn read(
        &self,
        wanted: &Ranges,
        at_a_time: usize,
        skip: &(dyn Fn(&Range<u64>) -> bool + Sync),
        sink: &mut dyn FnMut(&Piece, Read<'_>) -> ControlFlow<()>,
    ) {
        let disks = self.disks();
        let (full_sender, full) = mpsc::channel::<Message>();
        let empties: Vec<_> = disks.iter().map(|_| mpsc::channel::<Buffer>()).collect();
        std::thread::scope(|scope| {
            let mut senders = Vec::new();
            for (disk, (files, (empty_sender, empty))) in disks.iter().zip(empties).enumerate() {
                for _ in 0..BUFFERS {
                    // The receiver is below.
                    let _ = empty_sender.send(vec![[0; LABEL_BYTES]; at_a_time]);
                }
                senders.push(empty_sender);
                let full = full_sender.clone();
                scope.spawn(move || self.read_disk((disk, files), wanted, at_a_time, skip, &empty, &full));
            }
            drop(full_sender);
            for (disk, piece, buffer, read) in full {
                let count = (piece.labels.end - piece.labels.start) as usize;
                if sink(&piece, read.map(|()| &buffer[..count])).is_break() {
                    break;
                }
                let _ = senders[disk].send(buffer);
            }
            // Without their senders and receivers the threads end.
        });
    }

    fn read_disk(
        &self,
        (disk, files): (usize, &[u32]),
        wanted: &Ranges,
        at_a_time: usize,
        skip: &(dyn Fn(&Range<u64>) -> bool + Sync),
        empty: &mpsc::Receiver<Buffer>,
        full: &mpsc::Sender<Message>,
    ) {
        for &file in files {
            for range in wanted.within(&self.layout.file_labels(file)) {
                let mut at = range.start;
                while at < range.end {
                    let end = range.end.min(at.saturating_add(at_a_time as u64));
                    let Some(piece) = self.layout.pieces(at..end).next() else { return };
                    at = end;
                    if skip(&piece.labels) {
                        continue;
                    }
                    let Ok(mut buffer) = empty.recv() else { return };
                    let part = &mut buffer[..(piece.labels.end - piece.labels.start) as usize];
                    let read = self.drives[self.place[&file]].read_at(file, piece.offset, part.as_flattened_mut());
                    if full.send((disk, piece, buffer, read)).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn at_a_time(wanted: usize, disks: usize) -> usize {
    wanted.max(READ_LABELS).min(MAX_BUFFERED / BUFFERS / LABEL_BYTES / disks.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::MemoryDrive;

    #[test]
    fn all_that_is_wanted_is_read_once_and_faults_are_told() {
        let layout = Layout::new(1, 1000, 1600).unwrap();
        let drives: Vec<MemoryDrive> = (0..3).map(|_| MemoryDrive::default()).collect();
        let label = |index: u64| u128::from(index).to_le_bytes();
        let mut place = BTreeMap::new();
        for file in 0..layout.num_files() {
            let mut labels: Vec<_> = layout.file_labels(file).map(label).collect();
            // The last file is too short: reading its end fails.
            labels.truncate(if file == 9 { 50 } else { 100 });
            drives[file as usize % 3].set_file(file, labels.as_flattened().to_vec());
            place.insert(file, file as usize % 3);
        }
        // One file is not there at all.
        place.remove(&4);
        let drives: Vec<Box<dyn Drive>> = drives.into_iter().map(|drive| Box::new(drive) as Box<dyn Drive>).collect();
        let reader = Reader { layout, drives: &drives, place: &place };
        let wanted: Ranges = [5..333, 395..1000].into_iter().collect();
        let (mut seen, mut failed) = (Ranges::default(), Ranges::default());
        reader.read(&wanted, 7, &|range| range.start >= 600 && range.end <= 700, &mut |piece, read| {
            match read {
                Ok(labels) => {
                    for (index, got) in piece.labels.clone().zip(labels) {
                        assert!(*got == label(index) && !seen.contains(index), "{index}");
                    }
                    assert_eq!(labels.len() as u64, piece.labels.end - piece.labels.start);
                    seen.insert(piece.labels.clone());
                }
                Err(_) => failed.insert(piece.labels.clone()),
            }
            ControlFlow::Continue(())
        });
        assert_eq!(seen.iter().collect::<Vec<_>>(), [5..333, 395..400, 500..600, 700..949]);
        assert!(failed.iter().eq(std::iter::once(949..1000)));
        let mut calls = 0;
        reader.read(&wanted, 7, &|_| false, &mut |_, _| {
            calls += 1;
            if calls < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!(calls, 3);
    }

    #[test]
    fn buffers_suit_the_device_within_bounds() {
        assert_eq!(at_a_time(1, 1), READ_LABELS);
        assert_eq!(at_a_time(READ_LABELS + 7, 2), READ_LABELS + 7);
        for disks in [1, 2, 7, 100] {
            let bytes = at_a_time(usize::MAX, disks) * LABEL_BYTES * BUFFERS * disks;
            assert!(bytes <= MAX_BUFFERED && bytes > MAX_BUFFERED / 2);
        }
    }
}
