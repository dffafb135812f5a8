//! Scanning: labels go up, a count and a few hits come down.

use std::rc::Rc;

use ocl::core::{Kernel, Mem};
use post_core::cipher::{NONCES_PER_GROUP, RoundKeys, S_BOX};
use post_core::difficulty::Difficulty;
use post_core::label::{LABEL_BYTES, Label};
use post_core::scan::ScanJob;
use shaders::opencl::SCAN;

use super::queue::{Arg, Pending, Pinned, Queue};
use crate::device::Trouble;

/// A label's offset and a nonce; the count at the front takes as much.
const HIT_BYTES: usize = 8;

/// Hits that are fetched with the count. There are nearly always fewer; the others take another trip.
const FETCHED: usize = 8192;

/// The most times that a workgroup takes its number of labels.
const MAX_ROUNDS: u32 = 64;

/// Workgroups that each compute unit should get, so that none is idle for long at the end.
const GROUPS_PER_UNIT: u32 = 16;

/// A device that was prepared for one job.
pub(super) struct Scan {
    queue: Rc<Queue>,
    kernel: Kernel,
    /// Work items of a workgroup.
    group: u32,
    keys: Mem,
    nonces: Mem,
    groups: u32,
    difficulty: Difficulty,
    column_table: Mem,
    slots: [Slot; 2],
}

/// What one batch has for itself.
struct Slot {
    labels: Pinned,
    labels_on_device: Mem,
    /// The count, one word unused, then hits.
    found_on_device: Mem,
    found: Pinned,
    /// Hits there is room for.
    room: usize,
    pending: Option<Pending>,
}

impl Scan {
    /// Takes the memory for two slots of `labels` labels and `hits` hits, builds the kernel, uploads what it needs.
    pub(super) fn new(queue: &Rc<Queue>, job: &ScanJob<'_>, labels: usize, hits: usize) -> Result<Self, Trouble> {
        let (group, copies) = tuning(queue);
        let kernel = queue.kernel(SCAN, &format!("-D GROUP={group} -D COPIES={copies}"), "scan")?;
        let words = |words: &mut dyn Iterator<Item = u32>| words.flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        let keys: Vec<u8> = job
            .groups
            .iter()
            .flat_map(|group| [group.cipher.round_keys()].into_iter().chain(&group.lazy_keys))
            .flat_map(|keys: &RoundKeys| keys.as_flattened())
            .copied()
            .collect();
        let nonces = words(&mut job.groups.iter().map(|group| group.group * NONCES_PER_GROUP));
        Ok(Self {
            queue: queue.clone(),
            kernel,
            group,
            keys: upload(queue, &keys)?,
            nonces: upload(queue, &nonces)?,
            groups: u32::try_from(job.groups.len()).map_err(|_| super::unprepared())?,
            difficulty: job.difficulty,
            column_table: upload(queue, &words(&mut COLUMN_TABLE.into_iter()))?,
            slots: [Slot::new(queue, labels, hits)?, Slot::new(queue, labels, hits)?],
        })
    }

    /// Queues a batch.
    pub(super) fn submit(&mut self, slot: usize, labels: &[Label]) -> Result<(), Trouble> {
        let at = slot;
        let slot = self.slots.get_mut(at).ok_or_else(super::unprepared)?;
        if let Some(earlier) = slot.pending.take() {
            earlier.wait()?;
        }
        let bytes = labels.as_flattened();
        slot.labels.bytes_mut().get_mut(..bytes.len()).ok_or_else(super::unprepared)?.copy_from_slice(bytes);
        let count = u32::try_from(labels.len()).map_err(|_| super::unprepared())?;
        self.enqueue(at, count).inspect_err(|_| self.queue.finish())
    }

    /// Queues all commands of a batch whose labels are in the slot.
    fn enqueue(&mut self, slot: usize, count: u32) -> Result<(), Trouble> {
        let slot = self.slots.get_mut(slot).ok_or_else(super::unprepared)?;
        let queue = &self.queue;
        let per_round = self.group * queue.compute_units.saturating_mul(GROUPS_PER_UNIT).clamp(1, 1 << 20);
        let rounds = count.div_ceil(per_round).clamp(1, MAX_ROUNDS);
        let workgroups = count.div_ceil(rounds * self.group);
        let args = [
            Arg::Buffer(&slot.labels_on_device),
            Arg::U32(count),
            Arg::U32(rounds),
            Arg::Buffer(&self.keys),
            Arg::Buffer(&self.nonces),
            Arg::U32(self.groups),
            Arg::U32(self.difficulty.msb.into()),
            Arg::U64(self.difficulty.lsb),
            Arg::Buffer(&self.column_table),
            Arg::Buffer(&slot.found_on_device),
            Arg::U32(u32::try_from(slot.room).unwrap_or(u32::MAX)),
        ];
        // SAFETY: this slot's memory isn't touched before its batch was waited for, and all of it is dropped only when
        // nothing is queued. The kernel reads labels below `count` only, and lists no more hits than there is room for.
        unsafe {
            queue.upload(&slot.labels, &slot.labels_on_device, count as usize * LABEL_BYTES)?;
            queue.clear(&slot.found_on_device, HIT_BYTES)?;
            if workgroups > 0 {
                queue.run(&self.kernel, &args, (workgroups * self.group) as usize, self.group as usize)?;
            }
            let fetched = (1 + slot.room.min(FETCHED)) * HIT_BYTES;
            slot.pending = Some(queue.download(&slot.found_on_device, &mut slot.found, fetched)?);
        }
        Ok(())
    }

    /// Waits for a batch.
    pub(super) fn collect(&mut self, slot: usize, found: &mut Vec<(u32, u32)>) -> Result<u32, Trouble> {
        let slot = self.slots.get_mut(slot).ok_or_else(super::unprepared)?;
        slot.pending.take().ok_or_else(super::unprepared)?.wait()?;
        let (count, _) = slot.pair(0).ok_or_else(super::unprepared)?;
        let hits = count as usize;
        if hits > slot.room {
            return Ok(count);
        }
        if hits > FETCHED {
            // SAFETY: it is waited for at once.
            unsafe { self.queue.download(&slot.found_on_device, &mut slot.found, (1 + hits) * HIT_BYTES)? }.wait()?;
        }
        found.extend((1..=hits).filter_map(|place| slot.pair(place)));
        Ok(count)
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.queue.finish();
    }
}

impl Slot {
    fn new(queue: &Rc<Queue>, labels: usize, hits: usize) -> Result<Self, Trouble> {
        let labels = labels as u64 * LABEL_BYTES as u64;
        let found = (1 + hits as u64) * HIT_BYTES as u64;
        Ok(Self {
            labels: queue.pinned(labels)?,
            labels_on_device: queue.buffer(labels)?,
            found_on_device: queue.buffer(found)?,
            found: queue.pinned(found)?,
            room: hits,
            pending: None,
        })
    }

    /// Two words of what came down.
    fn pair(&self, place: usize) -> Option<(u32, u32)> {
        let [a, b, c, d, e, f, g, h] = *self.found.bytes().as_chunks::<HIT_BYTES>().0.get(place)?;
        Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }
}

/// A buffer with these bytes. Waits for them: jobs are rare.
fn upload(queue: &Rc<Queue>, bytes: &[u8]) -> Result<Mem, Trouble> {
    let buffer = queue.buffer(bytes.len() as u64)?;
    let mut pinned = queue.pinned(bytes.len() as u64)?;
    pinned.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
    // SAFETY: the memory is dropped after nothing is queued any more.
    unsafe { queue.upload(&pinned, &buffer, bytes.len())? };
    queue.finish();
    Ok(buffer)
}

/// Work items of a workgroup, and copies of the table in its memory. On a GPU a copy for each of 32 banks, if that leaves
/// room for more than one workgroup; a processor has no banks.
fn tuning(queue: &Queue) -> (u32, u32) {
    const KIB: u64 = 1 << 10;
    let group = if queue.software || queue.largest_group < 256 { 64 } else { 256 };
    let copies = match queue.local_bytes {
        _ if queue.software => 1,
        bytes if bytes >= 48 * KIB => 32,
        bytes if bytes >= 32 * KIB => 16,
        _ => 4,
    };
    (group, copies)
}

/// What a byte does to its column in a round of AES, if it is in the column's first row: S-box, then its column of
/// MixColumns, (2, 1, 1, 3) from the lowest byte up. The other rows' are the same, rotated (FIPS 197, section 5.1).
const COLUMN_TABLE: [u32; 256] = column_table();

const fn column_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let once = S_BOX[byte];
        let twice = (once << 1) ^ ((once >> 7) * 0x1b);
        table[byte] = u32::from_le_bytes([twice, once, once, twice ^ once]);
        byte += 1;
    }
    table
}
