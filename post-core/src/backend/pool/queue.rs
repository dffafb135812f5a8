//! Who computes what next. Pure: callers tell the time, in seconds since the job began.
//!
//! Positions are handed out from the front in pieces. While there is much to do, a piece is many batches, so that a device
//! seldom runs dry between two; towards the end pieces shrink, so that all devices are through at the same time. Nobody
//! gets a piece that lies more than a window behind what was delivered: what is done out of turn has to be kept.

use std::ops::Range;

use crate::ranges::Ranges;

/// Batches of all devices together that a window holds at least: then a piece may be several batches.
const WINDOW_BATCHES: u64 = 16;

/// Labels that a window holds at least.
const MIN_WINDOW: u64 = 1 << 16;

/// Labels that a window holds at most, 256 MiB of them.
const MAX_WINDOW: u64 = 1 << 24;

/// One device in this job.
pub(super) struct Lane {
    /// Labels it computes in one go.
    pub(super) batch: u64,
    /// So many labels at once tell how fast it is; a device may take as long for fewer.
    pub(super) telling: u64,
    /// Labels a second: a guess, then as measured.
    pub(super) rate: f64,
    /// Whether `rate` was measured in this job.
    pub(super) measured: bool,
    doing: Doing,
    /// When it was last heard of.
    heard: f64,
}

#[derive(Clone, PartialEq)]
enum Doing {
    /// Its thread did not ask for work yet.
    Starting,
    /// Waits for work.
    Nothing,
    /// Computes what is left of a piece.
    Piece { left: Range<u64> },
    /// Was given up.
    Out,
}

impl Lane {
    pub(super) fn new(batch: u64, telling: u64, rate: f64) -> Self {
        let rate = rate.max(f64::MIN_POSITIVE);
        Self { batch: batch.max(1), telling, rate, measured: false, doing: Doing::Starting, heard: 0.0 }
    }

    fn batch_seconds(&self) -> f64 {
        self.batch as f64 / self.rate
    }

    /// How fast it is, from what it just did. Times are averaged, not rates: slowness shows at once.
    fn learn(&mut self, labels: u64, seconds: f64) {
        if labels >= self.telling && seconds > 0.0 && seconds.is_finite() {
            let each = seconds / labels as f64;
            let each = if self.measured { (1.0 / self.rate + each) / 2.0 } else { each };
            (self.rate, self.measured) = (1.0 / each, true);
        }
    }

    /// When it is through with its piece.
    fn free_at(&self, now: f64) -> f64 {
        match &self.doing {
            Doing::Piece { left } => (self.heard.min(now) + (left.end - left.start) as f64 / self.rate).max(now),
            _ => now,
        }
    }
}

/// What a device is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Compute these.
    Piece(Range<u64>),
    /// Ask again when something has changed.
    Wait,
    /// Go home.
    Over,
}

/// The positions of a job and who is at work on them.
pub(super) struct Queue {
    pub(super) lanes: Vec<Lane>,
    /// Handed out once, but not computed: the device failed.
    returned: Ranges,
    /// Not handed out yet.
    fresh: Range<u64>,
    /// All positions before this one were handed on; `None` where order doesn't matter.
    delivered: Option<u64>,
    /// No piece is smaller, the last one apart.
    grain: u64,
    over: bool,
}

impl Queue {
    /// Pieces are to be delivered in order, and none is done long before its turn.
    pub(super) fn in_order(positions: Range<u64>, lanes: Vec<Lane>) -> Self {
        let delivered = Some(positions.start);
        Self { lanes, returned: Ranges::default(), fresh: positions, delivered, grain: 1, over: false }
    }

    /// Pieces may be done in any order, and are at least `grain` long.
    pub(super) fn in_any_order(positions: Range<u64>, lanes: Vec<Lane>, grain: u64) -> Self {
        Self { lanes, returned: Ranges::default(), fresh: positions, delivered: None, grain, over: false }
    }

    /// The next piece for a device, which has done its last one.
    pub(super) fn take(&mut self, lane: usize, now: f64) -> Next {
        if self.over || self.lanes[lane].doing == Doing::Out {
            return Next::Over;
        }
        self.lanes[lane].doing = Doing::Nothing;
        let Some(piece) = self.cut_waiting(lane, now).or_else(|| self.steal(lane, now)) else {
            // What another one computes may come back, if that one fails.
            let at_work = self.lanes.iter().any(|lane| matches!(lane.doing, Doing::Piece { .. }));
            return if at_work || self.waiting() > 0 { Next::Wait } else { Next::Over };
        };
        let lane = &mut self.lanes[lane];
        lane.heard = now;
        lane.doing = Doing::Piece { left: piece.clone() };
        Next::Piece(piece)
    }

    /// Positions that nobody is at.
    fn waiting(&self) -> u64 {
        self.returned.len() + (self.fresh.end - self.fresh.start)
    }

    fn cut_waiting(&mut self, lane: usize, now: f64) -> Option<Range<u64>> {
        let waiting = self.waiting();
        if waiting == 0 {
            return None;
        }
        let wanted = self.wanted(lane, waiting, now).max(self.grain);
        self.cut_returned(wanted).or_else(|| self.cut_fresh(lane, wanted))
    }

    /// Rates change, and a piece may turn out to be too long for its device. Who would have to wait takes the end of it: of
    /// all but the batch that the device is at.
    fn steal(&mut self, thief: usize, now: f64) -> Option<Range<u64>> {
        // A scan computes its piece in one go.
        self.delivered?;
        let Lane { rate, batch, .. } = self.lanes[thief];
        let loose = |lane: &Lane| match &lane.doing {
            Doing::Piece { left } => (left.end - left.start).saturating_sub(lane.batch),
            _ => 0,
        };
        let victims = self.lanes.iter_mut().filter(|lane| loose(lane) > 0);
        let victim = victims.max_by(|a, b| a.free_at(now).total_cmp(&b.free_at(now)))?;
        if victim.free_at(now) - now <= batch as f64 / rate {
            return None;
        }
        let part = (loose(victim) as f64 * rate / (rate + victim.rate)) as u64;
        let part = whole_batches(part, batch).clamp(1, loose(victim));
        let Doing::Piece { left } = &mut victim.doing else { return None };
        left.end -= part;
        Some(left.end..left.end + part)
    }

    /// The first of what came back: others may wait for it.
    fn cut_returned(&mut self, wanted: u64) -> Option<Range<u64>> {
        let first = self.returned.iter().next()?;
        let piece = first.start..first.end.min(first.start.saturating_add(wanted));
        self.returned.remove(piece.clone());
        Some(piece)
    }

    /// The first of what was not handed out yet, if the window allows enough of it.
    fn cut_fresh(&mut self, lane: usize, wanted: u64) -> Option<Range<u64>> {
        let batch = self.lanes[lane].batch;
        let wanted = wanted.min(self.fresh.end - self.fresh.start);
        let room = match self.delivered {
            // The only device delivers as it goes: its pieces need no window, see `made`.
            Some(delivered) if !self.alone() => {
                let window = self.window();
                let room = delivered.saturating_add(window).saturating_sub(self.fresh.start);
                // Part of a batch takes some devices as long as a whole one: better to wait for room.
                if room < wanted.min(batch).min(window) {
                    return None;
                }
                whole_batches(room, batch)
            }
            _ => u64::MAX,
        };
        let start = self.fresh.start;
        self.fresh.start = self.fresh.end.min(start.saturating_add(wanted.min(room)));
        Some(start..self.fresh.start)
    }

    fn alone(&self) -> bool {
        self.lanes.iter().filter(|lane| lane.doing != Doing::Out).count() <= 1
    }

    fn live(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(|lane| lane.doing != Doing::Out)
    }

    fn total_rate(&self) -> f64 {
        self.live().map(|lane| lane.rate).sum()
    }

    /// A batch of each device.
    fn batches(&self) -> u64 {
        self.live().fold(0, |sum, lane| sum.saturating_add(lane.batch))
    }

    /// Positions that may be under way: twice what all devices do while the slowest one computes a batch, so that nobody
    /// has to wait for it.
    fn window(&self) -> u64 {
        let slowest = self.live().map(Lane::batch_seconds).fold(0.0, f64::max);
        let needed = (2.0 * slowest * self.total_rate()) as u64;
        needed.max(self.batches().saturating_mul(WINDOW_BATCHES)).clamp(MIN_WINDOW, MAX_WINDOW)
    }

    /// How many labels to give to a device.
    fn wanted(&self, lane: usize, waiting: u64, now: f64) -> u64 {
        if self.alone() {
            return waiting;
        }
        let share = self.share(lane, waiting, now);
        let Lane { batch, telling, rate, measured, .. } = self.lanes[lane];
        let wanted = match share / 2 {
            // There is enough to see first how fast it is.
            _ if !measured && waiting >= self.batches() => batch,
            // Half of its share: rates change.
            half if measured && half >= batch => half,
            // The last batch's worth is all its share. Less than this would not tell how fast it is, and may take it as long
            // as a whole batch.
            _ => share.clamp(telling.min(batch), batch),
        };
        // In the time of a piece the others don't come to the end of the window.
        let most = match self.delivered {
            Some(_) => (self.window() as f64 * rate / self.total_rate() / 2.0) as u64,
            None => u64::MAX,
        };
        whole_batches(wanted.min(most), batch).max(1)
    }

    /// The part of what is waiting that a device gets when all are to be through at the same time. Those at work join in
    /// when they are through with their pieces.
    fn share(&self, lane: usize, waiting: u64, now: f64) -> u64 {
        let others = self.lanes.iter().enumerate().filter(|(i, other)| *i != lane && other.doing != Doing::Out);
        let mut others: Vec<(f64, f64)> = others.map(|(_, other)| (other.free_at(now), other.rate)).collect();
        others.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut rate, mut left, mut time) = (self.lanes[lane].rate, waiting as f64, now);
        for (free_at, other_rate) in others {
            let done = rate * (free_at - time);
            if done >= left {
                break;
            }
            (rate, left, time) = (rate + other_rate, left - done, free_at);
        }
        let end = time + left / rate;
        (self.lanes[lane].rate * (end - now)).ceil() as u64
    }

    /// Notes that a device made `positions`, the next of its piece. Returns what of them is still wanted from it, and
    /// whether anything behind them is.
    pub(super) fn made(&mut self, lane: usize, positions: Range<u64>, now: f64) -> (Range<u64>, bool) {
        let over = self.over;
        let lane = &mut self.lanes[lane];
        match &mut lane.doing {
            Doing::Piece { left } if !over => {
                left.start = positions.end.min(left.end);
                let made = (positions.start..left.start, !left.is_empty());
                lane.learn(positions.end - positions.start, now - lane.heard);
                lane.heard = now;
                made
            }
            _ => (positions.start..positions.start, false),
        }
    }

    /// Whether labels from `start` on have to wait until more was delivered: a piece of the only device may be longer than
    /// the window. Never while something came back: nothing is delivered before somebody is free to make it.
    pub(super) fn too_early(&mut self, lane: usize, start: u64) -> bool {
        let early = !self.over
            && self.lanes[lane].doing != Doing::Out
            && self.returned.is_empty()
            && self.delivered.is_some_and(|delivered| start > delivered.saturating_add(self.window()));
        if early {
            // It waits for us, not we for it.
            self.lanes[lane].heard = f64::INFINITY;
        }
        early
    }

    /// A device is through with its piece. False when labels of it are missing.
    pub(super) fn finish(&mut self, lane: usize) -> bool {
        let lane = &mut self.lanes[lane];
        let Doing::Piece { left } = &lane.doing else { return false };
        if !left.is_empty() {
            return false;
        }
        lane.doing = Doing::Nothing;
        true
    }

    /// What a device has not done of its piece goes back.
    pub(super) fn give_back(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        if let Doing::Piece { left } = &lane.doing {
            self.returned.insert(left.clone());
            lane.doing = Doing::Nothing;
        }
    }

    /// The same, and the device gets nothing more.
    pub(super) fn give_up(&mut self, lane: usize) {
        self.give_back(lane);
        self.lanes[lane].doing = Doing::Out;
    }

    /// Devices that were not heard of for `patience` seconds, and for twenty times as long as a batch of theirs takes.
    pub(super) fn silent(&self, patience: f64, now: f64) -> Vec<usize> {
        let silent = |lane: &Lane| {
            let expected = matches!(lane.doing, Doing::Starting | Doing::Piece { .. });
            let usual = if lane.measured { 20.0 * lane.batch_seconds() } else { 0.0 };
            expected && now - lane.heard > patience.max(usual)
        };
        (0..self.lanes.len()).filter(|lane| silent(&self.lanes[*lane])).collect()
    }

    /// For so many seconds before `now` nobody could be heard of, because the process stood still: they don't count.
    pub(super) fn excuse(&mut self, seconds: f64, now: f64) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.heard < now) {
            lane.heard = (lane.heard + seconds).min(now);
        }
    }

    /// All positions before `position` were handed on.
    pub(super) fn deliver(&mut self, position: u64) {
        self.delivered = Some(position);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Nobody is to do any more.
    pub(super) fn end(&mut self) {
        self.over = true;
    }
}

/// As many labels, or a little fewer if that makes whole batches.
fn whole_batches(labels: u64, batch: u64) -> u64 {
    if labels < batch { labels } else { labels / batch * batch }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
