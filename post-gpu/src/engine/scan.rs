//! A scan in pieces: while one runs, the labels of the next one go up.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use post_core::backend::checked::any_of;
use post_core::cipher::NONCES_PER_GROUP;
use post_core::difficulty::Difficulty;
use post_core::label::Label;
use post_core::scan::{Hit, NonceGroup, ScanJob, reference};

use super::thread::Answer;
use super::{Arc, Failure, GpuBackend, Timing};
use crate::budget::MAX_PIECE;
use crate::device::Trouble;

/// Hits of a piece that there is room for. All that one label can have fit many times over, and mostly there are none.
const HITS: usize = 1 << 14;

/// What the device holds keys and memory for.
pub(super) struct PreparedScan {
    groups: Vec<(u32, u64, [u8; 16])>,
    difficulty: Difficulty,
    /// Labels of a piece that there is room for.
    room: usize,
    /// No piece has run yet: some devices compile during the first.
    fresh: bool,
}

/// One piece on its way: its place in the labels.
struct Piece {
    place: Range<usize>,
    slot: usize,
    submitted: Answer<Instant>,
    hits: Option<Answer<Found>>,
}

/// Hits of a piece as the device tells them.
struct Found {
    count: u32,
    hits: Vec<(u32, u32)>,
    done: Instant,
}

/// What is to be scanned and what is on its way.
struct Flight<'a, 'b> {
    job: &'a ScanJob<'b>,
    first: u64,
    labels: &'a [Label],
    todo: VecDeque<Range<usize>>,
    pieces: VecDeque<Piece>,
    sent: usize,
}

impl GpuBackend {
    /// Appends the hits of `labels` in the order of the contract.
    pub(super) fn run_scan(
        &mut self,
        job: &ScanJob<'_>,
        first: u64,
        labels: &[Label],
        hits: &mut Vec<Hit>,
    ) -> Result<(), Failure> {
        let room = self.prepare_scan(job)?;
        // At least two pieces, so that one goes up while the other is scanned, unless they would be tiny.
        let size =
            self.rates.piece_labels(job.groups.len()).min(labels.len().div_ceil(2)).max(crate::budget::MIN_PIECE);
        let size = size.min(room);
        let todo = (0..labels.len()).step_by(size).map(|at| at..(at + size).min(labels.len())).collect();
        let mut flight = Flight { job, first, labels, todo, pieces: VecDeque::new(), sent: 0 };
        let mut found = Vec::new();
        let done = self.scan_pieces(&mut flight, &mut found);
        let lost = matches!(done, Err(Failure::Trouble(Trouble::Lost { .. })));
        for piece in flight.pieces.drain(..).filter(|_| !lost) {
            // Nothing of a job stays in the device; a failed one can't tell more than it did.
            let expected = self.rates.piece_time(job.groups.len(), piece.place.len());
            let _ = self.land_piece(piece, expected);
        }
        done?;
        found.sort_unstable();
        hits.append(&mut found);
        Ok(())
    }

    /// Keys and memory, unless the device has them. Returns how many labels a piece may have.
    fn prepare_scan(&mut self, job: &ScanJob<'_>) -> Result<usize, Failure> {
        let groups: Vec<_> = job.groups.iter().map(|group| (group.group, group.pow, *group.cipher.key())).collect();
        if let Some(scan) = &self.scan
            && scan.groups == groups
            && scan.difficulty == job.difficulty
        {
            return Ok(scan.room);
        }
        self.scan = None;
        let owned: Arc<[NonceGroup]> = job.groups.iter().map(|group| (*group).clone()).collect();
        let difficulty = job.difficulty;
        let mut room = MAX_PIECE;
        loop {
            let owned = Arc::clone(&owned);
            let prepared = self.thread.call(self.limits.compile, move |device| {
                let groups: Vec<_> = owned.iter().collect();
                device.prepare_scan(&ScanJob { groups: &groups, difficulty }, room, HITS)
            });
            match prepared {
                Err(Trouble::OutOfMemory { .. }) if room > 1 => room /= 2,
                Err(trouble) => return Err(trouble.into()),
                Ok(()) => break,
            }
        }
        self.scan = Some(PreparedScan { groups, difficulty, room, fresh: true });
        Ok(room)
    }

    fn scan_pieces(&mut self, flight: &mut Flight<'_, '_>, hits: &mut Vec<Hit>) -> Result<(), Failure> {
        let mut before = None;
        loop {
            self.send_pieces(flight);
            let Some(piece) = flight.pieces.pop_front() else { return Ok(()) };
            let place = piece.place.clone();
            let expected = self.rates.piece_time(flight.job.groups.len(), place.len());
            let (found, timing) = self.land_piece(piece, expected)?;
            self.note_scan(timing.taken(before), place.len() * flight.job.groups.len());
            before = Some(timing.done);
            self.send_pieces(flight);
            if found.count as usize <= HITS {
                hits.extend(flight.accept(&place, &found)?);
            } else {
                flight.halve(&place)?;
            }
        }
    }

    fn send_pieces(&self, flight: &mut Flight<'_, '_>) {
        while flight.pieces.len() < 2
            && let Some(place) = flight.todo.pop_front()
        {
            let (labels, slot) = (flight.labels[place.clone()].to_vec(), flight.sent % 2);
            let submitted = self.thread.begin(move |device| {
                let begun = Instant::now();
                device.submit_scan(slot, &labels).map(|()| begun)
            });
            flight.sent += 1;
            flight.pieces.push_back(Piece { place, slot, submitted, hits: None });
        }
        if let Some(oldest) = flight.pieces.front_mut() {
            let slot = oldest.slot;
            oldest.hits.get_or_insert_with(|| self.ask_hits(slot));
        }
    }

    fn ask_hits(&self, slot: usize) -> Answer<Found> {
        self.thread.begin(move |device| {
            let mut hits = Vec::new();
            let count = device.collect_scan(slot, &mut hits)?;
            Ok(Found { count, hits, done: Instant::now() })
        })
    }

    fn land_piece(&mut self, piece: Piece, expected: Duration) -> Result<(Found, Timing), Trouble> {
        let mut left = self.patience(expected);
        if let Some(scan) = &mut self.scan
            && std::mem::take(&mut scan.fresh)
        {
            left += self.limits.compile;
        }
        let begun = self.thread.wait(piece.submitted, &mut left)?;
        let hits = piece.hits.unwrap_or_else(|| self.ask_hits(piece.slot));
        let found = self.thread.wait(hits, &mut left)?;
        let done = found.done;
        Ok((found, Timing { begun, done }))
    }

    fn note_scan(&mut self, taken: Duration, encryptions: usize) {
        if encryptions >= crate::budget::MIN_PIECE && !taken.is_zero() {
            self.rates.scan = encryptions as f64 / taken.as_secs_f64();
        }
    }
}

impl Flight<'_, '_> {
    /// The hits of a piece, if they are possible at all and right for one label of it.
    fn accept(&self, place: &Range<usize>, found: &Found) -> Result<Vec<Hit>, Failure> {
        let first = self.first + place.start as u64;
        let hits: Option<Vec<_>> = found
            .hits
            .iter()
            .map(|&(offset, nonce)| {
                let known = self.job.groups.iter().any(|group| group.group == nonce / NONCES_PER_GROUP);
                let hit = Hit { index: first + u64::from(offset), nonce };
                (known && (offset as usize) < place.len()).then_some(hit)
            })
            .collect();
        let hits = hits.filter(|hits| hits.len() == found.count as usize).ok_or(Failure::Wrong(first))?;

        let at = any_of(place.len());
        let index = first + at as u64;
        let mut expected = Vec::new();
        reference::scan(self.job, index, &self.labels[place.start + at..=place.start + at], &mut expected);
        let mut same: Vec<_> = hits.iter().copied().filter(|hit| hit.index == index).collect();
        same.sort_unstable();
        if same == expected { Ok(hits) } else { Err(Failure::Wrong(index)) }
    }

    /// There was no room for the hits of this piece: its halves are scanned on their own.
    fn halve(&mut self, place: &Range<usize>) -> Result<(), Failure> {
        if place.len() < 2 {
            return Err(Failure::Wrong(self.first + place.start as u64));
        }
        let middle = place.start + place.len() / 2;
        self.todo.push_front(middle..place.end);
        self.todo.push_front(place.start..middle);
        Ok(())
    }
}
