//! Goes through the files: reads, compares, and goes on past what can't be read.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use super::compare::Oracle;
use super::{Bad, Cause, CheckError, Depth, Found, Run};
use crate::drive::Drive;
use crate::label::{LABEL_BYTES, Label};
use crate::plan::Piece;
use crate::ranges::Ranges;
use crate::reader::{Read, Reader};
use crate::sums::{BLOCK_LABELS, Sums};
use crate::watch::Event;

/// Stretches that are asked for at a time: reading is started anew for each lot.
const LOT: usize = 1 << 18;

/// Batches of a device that are read at a time, so that it is seldom without work.
const BATCHES: u64 = 4;

/// Labels that a disk can tell to be readable or not, 4 KiB of them.
const SECTOR: u64 = 256;

/// How long a throttled check sleeps before it looks whether it is to stop.
const NAP: Duration = Duration::from_millis(50);

/// What was looked at of one piece.
struct Looked {
    file: u32,
    /// Behind its end nothing was looked at yet.
    labels: Range<u64>,
    /// How many labels of these.
    count: u64,
    /// What can't be read.
    lost: Ranges,
}

/// Picked labels on their way to the device: those of many pieces make a batch.
#[derive(Default)]
struct Queue {
    labels: Vec<(u64, Label)>,
    looked: VecDeque<Looked>,
}

/// Labels of a piece that could be read: the first one's index, and the labels.
type Part<'a> = (u64, &'a [Label]);

impl Run<'_> {
    /// Looks at all that is not done yet.
    pub(super) fn walk(&mut self, oracle: &mut Oracle<'_>) -> Result<(), CheckError> {
        let mut pace = Pace::new(self.request.limit);
        let mut queue = Queue::default();
        let mut files = VecDeque::from(self.order());
        while !files.is_empty() {
            let mut lot = BTreeMap::new();
            let mut stretches = 0;
            while let Some(file) = files.pop_front_if(|_| stretches < LOT) {
                let wanted = self.wanted(file);
                stretches += wanted.len();
                lot.insert(file, wanted);
            }
            let wanted = lot.into_values().flatten().collect();
            self.read(&wanted, &mut queue, &mut pace, oracle)?;
        }
        self.flush(&mut queue, oracle)
    }

    /// All files, so that the first ones of all drives come first: their disks are then busy together.
    fn order(&self) -> Vec<u32> {
        let mut on_drive: BTreeMap<usize, u32> = BTreeMap::new();
        let rank = |(file, state): (&u32, &super::File)| {
            let rank = on_drive.entry(state.drive).or_default();
            *rank += 1;
            (*rank, *file)
        };
        let mut order: Vec<_> = self.files.iter().map(rank).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, file)| file).collect()
    }

    /// The indices that are to be read of a file.
    fn wanted(&mut self, file: u32) -> Vec<Range<u64>> {
        let indices = self.indices(file);
        // Of each file what is done is a stretch from its beginning.
        let done = self.done.within(&indices).last().map_or(indices.start, |done| done.end);
        let left = done..indices.end;
        let wanted: Ranges = match self.request.depth {
            Depth::Fraction(fraction) if !self.picks(fraction).is_dense() => {
                self.picked(file, fraction, &left).into_iter().map(|index| index..index + 1).collect()
            }
            Depth::All | Depth::Fraction(_) => std::iter::once(left).collect(),
            Depth::Quick => {
                let covered: Ranges = self.covered(file).collect();
                covered.within(&left).collect()
            }
        };
        wanted.iter().collect()
    }

    /// The indices of a file that a fraction picks, of those in `within`.
    fn picked(&self, file: u32, fraction: f64, within: &Range<u64>) -> Vec<u64> {
        let indices = self.indices(file);
        let offsets = within.start - indices.start..within.end - indices.start;
        let picks = self.picks(fraction).of(indices.start, indices.end - indices.start, &offsets);
        picks.into_iter().map(|offset| indices.start + offset).collect()
    }

    /// The blocks of a file that have a checksum and are all there, as indices.
    pub(super) fn covered(&mut self, file: u32) -> impl Iterator<Item = Range<u64>> + use<> {
        let indices = self.indices(file);
        let blocks: Vec<_> = self.sums(file).sums.blocks().map(|(block, _)| block).collect();
        // Many files have many sums; they are cheap to load again.
        self.sums.retain(|_, sums| sums.is_new);
        let there = indices.end - indices.start;
        let there = blocks.into_iter().filter(move |block| block.end <= there);
        there.map(move |block| indices.start + block.start..indices.start + block.end)
    }

    fn read(
        &mut self,
        wanted: &Ranges,
        queue: &mut Queue,
        pace: &mut Pace,
        oracle: &mut Oracle<'_>,
    ) -> Result<(), CheckError> {
        let place = self.files.iter().map(|(file, state)| (*file, state.drive)).collect();
        let reader = Reader { layout: self.layout, drives: self.drives, place: &place };
        let batches = usize::try_from(oracle.device.info().batch.saturating_mul(BATCHES)).unwrap_or(usize::MAX);
        // Whole blocks: then a checksum is compared with what was read anyway.
        let blocks = (reader.at_a_time(batches) as u64 / BLOCK_LABELS).max(1);
        let mut result = Ok(());
        reader.read(wanted, (blocks * BLOCK_LABELS) as usize, &|_| false, &mut |piece, read| {
            pace.wait((piece.labels.end - piece.labels.start) * LABEL_BYTES as u64, oracle.watch);
            result = self.take(piece, read, queue, oracle);
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        result
    }

    /// Looks at one piece that was read, or couldn't be.
    fn take(
        &mut self,
        piece: &Piece,
        read: Read<'_>,
        queue: &mut Queue,
        oracle: &mut Oracle<'_>,
    ) -> Result<(), CheckError> {
        if self.watch.stop() {
            return Err(CheckError::stopped());
        }
        let (file, labels) = (piece.file, piece.labels.clone());
        let (mut saved, mut lost) = (Vec::new(), Ranges::default());
        let parts: Vec<Part<'_>> = match read {
            Ok(labels) => vec![(piece.labels.start, labels)],
            Err(_) => {
                let first = self.layout.file_labels(file).start;
                salvage(self.drive_of(file), file, first, labels.clone(), &mut saved, &mut lost);
                saved.iter().map(|(first, labels)| (*first, &**labels)).collect()
            }
        };
        let count = labels.end - labels.start;
        let mut looked = Looked { file, labels, count, lost };
        match self.request.depth {
            Depth::All => {
                let mut wrong = Vec::new();
                for (first, labels) in &parts {
                    wrong.extend(oracle.wrong_in_range(*first, labels)?);
                }
                let left = self.conclude(file, &wrong, &looked.lost, oracle)?;
                self.vouch(file, &looked.labels, &parts, &wrong, &left);
            }
            Depth::Quick => self.compare_sums(&looked, &parts, oracle)?,
            Depth::Fraction(fraction) => {
                let picked = if self.picks(fraction).is_dense() {
                    self.picked(file, fraction, &looked.labels)
                } else {
                    looked.labels.clone().collect()
                };
                looked.count = picked.len() as u64;
                looked.lost = self.whole_sectors(file, &looked.lost);
                let found = |index: u64| parts.iter().find_map(|part| Some((index, label_at(part, index)?)));
                queue.labels.extend(picked.into_iter().filter_map(found));
                queue.looked.push_back(looked);
                let full = oracle.device.info().batch.saturating_mul(BATCHES);
                return if queue.labels.len() as u64 >= full { self.flush(queue, oracle) } else { Ok(()) };
            }
        }
        self.finish(looked);
        Ok(())
    }

    /// The sectors that lost labels lie in: where one label can't be read its neighbours can't either, and a system that is to
    /// write a part of a sector would have to read the rest.
    fn whole_sectors(&self, file: u32, lost: &Ranges) -> Ranges {
        let Range { start: first, end } = self.indices(file);
        let widened = |range: Range<u64>| {
            let start = first + (range.start - first) / SECTOR * SECTOR;
            start..(first + (range.end - first).next_multiple_of(SECTOR)).min(end)
        };
        lost.iter().map(widened).collect()
    }

    /// Has the queued labels compared.
    fn flush(&mut self, queue: &mut Queue, oracle: &mut Oracle<'_>) -> Result<(), CheckError> {
        let wrong: BTreeMap<u64, Label> = oracle.wrong_in_list(&queue.labels)?.into_iter().collect();
        queue.labels.clear();
        while let Some(looked) = queue.looked.pop_front() {
            let here: Vec<_> = wrong.range(looked.labels.clone()).map(|(index, label)| (*index, *label)).collect();
            self.conclude(looked.file, &here, &looked.lost, oracle)?;
            self.finish(looked);
        }
        Ok(())
    }

    /// Compares the checksums of a piece's blocks. Where labels are to be repaired, those of a bad block are looked at.
    fn compare_sums(&mut self, looked: &Looked, parts: &[Part<'_>], oracle: &mut Oracle<'_>) -> Result<(), CheckError> {
        let file = looked.file;
        let first = self.layout.file_labels(file).start;
        let mut bad_blocks = Vec::new();
        let mut at = looked.labels.start;
        while at < looked.labels.end {
            let Some((block, sum)) = self.sums(file).sums.block_of(at - first) else { break };
            let block = first + block.start..first + block.end;
            at = block.end;
            if stretch(parts, &block).is_none_or(|labels| Sums::sum(labels) != sum) {
                bad_blocks.push(block);
            }
        }
        if !self.request.repair {
            self.conclude(file, &[], &looked.lost, oracle)?;
            for block in bad_blocks {
                // A block that could not be read is told already.
                if looked.lost.within(&block).next().is_none() {
                    self.note_bad(file, block, Cause::ChangedOnDisk, false);
                }
            }
            return Ok(());
        }
        let mut wrong = Vec::new();
        for block in &bad_blocks {
            for (first, labels) in parts.iter().filter_map(|part| within(part, block)) {
                wrong.extend(oracle.wrong_in_range(first, labels)?);
            }
        }
        let left = self.conclude(file, &wrong, &looked.lost, oracle)?;
        for block in &bad_blocks {
            self.vouch(file, block, parts, &wrong, &left);
        }
        Ok(())
    }

    /// What was looked at is done.
    fn finish(&mut self, looked: Looked) {
        let Looked { file, labels, count, .. } = looked;
        let indices = self.indices(file);
        self.done.insert(indices.start..labels.end);
        self.kept.meet(file, self.stamps.get(&file).copied());
        self.kept.count(file, count);
        // What comes next can't make this stretch longer.
        let is_over = |bad: &Bad| bad.labels.end < labels.end || labels.end == indices.end;
        if self.open.get(&file).is_some_and(is_over)
            && let Some(bad) = self.open.remove(&file)
        {
            (self.found)(Found::Bad(bad));
        }
        self.watch.event(Event::Checked { labels: self.kept.checked });
        self.save_if_due();
    }

    /// Notes bad labels, and tells them unless more may follow that belong to them.
    pub(super) fn note_bad(&mut self, file: u32, labels: Range<u64>, cause: Cause, repaired: bool) {
        self.kept.meet(file, self.stamps.get(&file).copied());
        self.kept.note(file, &labels, cause, repaired);
        match self.open.get_mut(&file) {
            Some(open) if (open.labels.end, open.cause, open.repaired) == (labels.start, cause, repaired) => {
                open.labels.end = labels.end;
            }
            _ => {
                let drive = self.drive_of(file).name();
                let ended = self.open.insert(file, Bad { file, drive, labels, cause, repaired });
                ended.into_iter().for_each(|bad| (self.found)(Found::Bad(bad)));
            }
        }
    }
}

fn label_at(part: &Part<'_>, index: u64) -> Option<Label> {
    part.1.get(usize::try_from(index.checked_sub(part.0)?).ok()?).copied()
}

/// The labels of a stretch, if one part has all of them.
pub(super) fn stretch<'a>(parts: &[Part<'a>], indices: &Range<u64>) -> Option<&'a [Label]> {
    let whole = |part: &Part<'a>| {
        within(part, indices).filter(|(_, labels)| labels.len() as u64 == indices.end - indices.start)
    };
    parts.iter().find_map(whole).map(|(_, labels)| labels)
}

/// What a part has of a stretch.
fn within<'a>(part: &Part<'a>, indices: &Range<u64>) -> Option<Part<'a>> {
    let (first, labels) = *part;
    let from = indices.start.max(first);
    let to = indices.end.min(first + labels.len() as u64);
    (from < to).then(|| (from, &labels[(from - first) as usize..(to - first) as usize]))
}

/// Reads what can be read of a stretch of a file whose first label has index `first`: halves what fails, down to sectors.
/// A stretch of which neither end can be read is given up: where a whole disk is gone, sectors are not tried one by one.
fn salvage(
    drive: &dyn Drive,
    file: u32,
    first: u64,
    labels: Range<u64>,
    saved: &mut Vec<(u64, Vec<Label>)>,
    lost: &mut Ranges,
) {
    let read = |labels: &Range<u64>| {
        let mut buffer = vec![[0; LABEL_BYTES]; (labels.end - labels.start) as usize];
        let offset = (labels.start - first) * LABEL_BYTES as u64;
        drive.read_at(file, offset, buffer.as_flattened_mut()).ok().map(|()| buffer)
    };
    if let Some(buffer) = read(&labels) {
        saved.push((labels.start, buffer));
        return;
    }
    let ends = [
        labels.start..labels.end.min(labels.start + SECTOR),
        labels.start.max(labels.end.saturating_sub(SECTOR))..labels.end,
    ];
    if labels.end - labels.start <= SECTOR || ends.iter().all(|end| read(end).is_none()) {
        lost.insert(labels);
        return;
    }
    // Halves that begin where a sector of the file does.
    let half = (labels.start + (labels.end - labels.start) / 2 - first).next_multiple_of(SECTOR) + first;
    let half = if half < labels.end { half } else { labels.end - 1 };
    salvage(drive, file, first, labels.start..half, saved, lost);
    salvage(drive, file, first, half..labels.end, saved, lost);
}

/// Keeps reading below a limit.
struct Pace {
    limit: Option<u64>,
    started: Instant,
    bytes: u64,
}

impl Pace {
    fn new(limit: Option<u64>) -> Self {
        Self { limit, started: Instant::now(), bytes: 0 }
    }

    /// Waits until so many more bytes may have been read, or someone asks to stop.
    fn wait(&mut self, bytes: u64, watch: &dyn crate::watch::Watch) {
        self.bytes += bytes;
        let Some(limit) = self.limit else { return };
        let due = self.bytes as f64 / limit as f64;
        loop {
            let left = due - self.started.elapsed().as_secs_f64();
            if left <= 0.0 || watch.stop() {
                return;
            }
            std::thread::sleep(NAP.min(Duration::from_secs_f64(left)));
        }
    }
}
