//! A drive in memory, for tests. It forgets what real ones forget: what was not synced when the power goes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Drive, DriveError, Record, Role};
use crate::metadata::Metadata;
use crate::plan::Layout;

/// A disk writes whole sectors, each when it likes.
const SECTOR: usize = 512;

/// Clones share their content, so a clone kept by the test survives whoever used the drive.
#[derive(Clone, Default)]
pub struct MemoryDrive(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    files: BTreeMap<u32, Cached>,
    /// Bytes that the files may have together.
    capacity: Option<u64>,
    metadata: Option<Metadata>,
    records: BTreeMap<Record, Vec<u8>>,
}

/// A file: what reads see, and what of it is on the disk.
#[derive(Default)]
struct Cached {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that the next sync writes. One that neither is dirty nor equals the disk's was lost by a failed sync.
    dirty: BTreeSet<usize>,
    /// Whether its name is on the disk.
    named: bool,
}

impl MemoryDrive {
    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of all data files.
    #[must_use]
    pub fn files(&self) -> BTreeMap<u32, Vec<u8>> {
        self.content().files.iter().map(|(file, cached)| (*file, cached.seen.clone())).collect()
    }

    /// Puts a whole data file there.
    pub fn set_file(&self, file: u32, bytes: Vec<u8>) {
        let cached = Cached { seen: bytes.clone(), durable: bytes, dirty: BTreeSet::new(), named: true };
        self.content().files.insert(file, cached);
    }

    /// A power cut: of what was not synced only the length of the files is left. Metadata and records are durable as soon
    /// as they are replaced.
    pub fn crash(&self) {
        for cached in self.content().files.values_mut() {
            let length = cached.seen.len();
            cached.restart(|_| 0..0, length);
        }
    }

    /// A power cut as disks have it: each sector that was not synced is there, is not there, or is there in part, whatever
    /// became of its neighbours; a file that grew has any length between the synced one and its last; a new name may be
    /// gone. The same seed does the same.
    pub fn crash_torn(&self, seed: u64) {
        let mut random = Random(seed);
        self.content().files.retain(|_, cached| {
            let length = cached.durable.len() + random.below(cached.seen.len() - cached.durable.len() + 1);
            cached.restart(|sector| random.part(sector), length);
            cached.named || random.below(2) == 0
        });
    }

    /// A sync that fails, as page caches have it: each sector was written, or is lost at once, or is lost when the power
    /// goes. No later sync writes it.
    pub(super) fn fail_sync(&self, file: u32, random: &mut Random) {
        let mut content = self.content();
        let Some(cached) = content.files.get_mut(&file) else { return };
        for sector in std::mem::take(&mut cached.dirty) {
            let bytes = cached.bytes_of(sector);
            match random.below(3) {
                0 => cached.persist(bytes),
                1 => cached.forget(bytes),
                _ => {}
            }
        }
    }

    /// From now on there is no room for another byte.
    pub fn fill_up(&self) {
        let mut content = self.content();
        content.capacity = Some(content.used());
    }

    /// There is room again.
    pub fn make_room(&self) {
        self.content().capacity = None;
    }

    /// Forgets the journal, as if another tool had made the data.
    pub fn drop_journal(&self) {
        self.content().records.remove(&Record::Journal);
    }
}

impl Content {
    fn used(&self) -> u64 {
        self.files.values().map(|cached| cached.seen.len() as u64).sum()
    }

    fn room(&self) -> u64 {
        self.capacity.map_or(1 << 50, |capacity| capacity.saturating_sub(self.used()))
    }

    /// Records and metadata are replaced by a copy, which needs room.
    fn check_room(&self, place: &str) -> Result<(), DriveError> {
        if self.room() == 0 { Err(refused("write", place, ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl Cached {
    /// The bytes of a sector, as far as the file has them.
    fn bytes_of(&self, sector: usize) -> Range<usize> {
        sector * SECTOR..((sector + 1) * SECTOR).min(self.seen.len())
    }

    fn write(&mut self, from: usize, data: &[u8]) {
        let to = from + data.len();
        if self.seen.len() < to {
            self.seen.resize(to, 0);
        }
        self.seen[from..to].copy_from_slice(data);
        self.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            self.persist(self.bytes_of(sector));
        }
        self.durable.resize(self.seen.len(), 0);
        self.named = true;
    }

    fn persist(&mut self, bytes: Range<usize>) {
        if self.durable.len() < bytes.end {
            self.durable.resize(bytes.end, 0);
        }
        self.durable[bytes.clone()].copy_from_slice(&self.seen[bytes]);
    }

    /// Reads see again what is on the disk.
    fn forget(&mut self, bytes: Range<usize>) {
        for at in bytes {
            self.seen[at] = self.durable.get(at).copied().unwrap_or(0);
        }
    }

    /// After a power cut: what is on the disk, the given parts of dirty sectors, cut at `length` bytes.
    fn restart(&mut self, mut arrived: impl FnMut(Range<usize>) -> Range<usize>, length: usize) {
        self.durable.resize(self.seen.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let part = arrived(self.bytes_of(sector));
            self.persist(part);
        }
        self.durable.truncate(length);
        self.seen.clone_from(&self.durable);
    }
}

impl Drive for MemoryDrive {
    fn name(&self) -> String {
        "memory".into()
    }

    fn check_writable(&self) -> Result<(), DriveError> {
        Ok(())
    }

    fn claim(&self, _role: Role) -> Result<(), DriveError> {
        Ok(())
    }

    fn held(&self) -> Result<BTreeMap<u32, u64>, DriveError> {
        Ok(self.content().files.iter().map(|(file, cached)| (*file, cached.seen.len() as u64)).collect())
    }

    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<(), DriveError> {
        let content = self.content();
        let from = offset as usize;
        let part = content.files.get(&file).and_then(|cached| cached.seen.get(from..from + buffer.len()));
        buffer
            .copy_from_slice(part.ok_or_else(|| refused("read", &Layout::file_name(file), ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn preallocate(&self, file: u32, bytes: u64) -> Result<(), DriveError> {
        let content = self.content();
        let there = content.files.get(&file).map_or(0, |cached| cached.seen.len() as u64);
        if bytes.saturating_sub(there) > content.room() {
            return Err(refused("set space aside for", &Layout::file_name(file), ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn write_at(&self, file: u32, offset: u64, data: &[u8]) -> Result<(), DriveError> {
        let mut content = self.content();
        let room = content.room();
        let cached = content.files.entry(file).or_default();
        let most = cached.seen.len() as u64 + room;
        let fits = usize::try_from(most.saturating_sub(offset)).unwrap_or(usize::MAX).min(data.len());
        cached.write(offset as usize, &data[..fits]);
        if fits < data.len() {
            return Err(refused("write", &Layout::file_name(file), ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn sync(&self, file: u32) -> Result<(), DriveError> {
        if let Some(cached) = self.content().files.get_mut(&file) {
            cached.sync();
        }
        Ok(())
    }

    fn metadata(&self) -> Result<Option<Metadata>, DriveError> {
        Ok(self.content().metadata.clone())
    }

    fn replace_metadata(&self, metadata: &Metadata) -> Result<(), DriveError> {
        let mut content = self.content();
        content.check_room(Metadata::FILE_NAME)?;
        content.metadata = Some(metadata.clone());
        Ok(())
    }

    fn record(&self, record: Record) -> Result<Option<Vec<u8>>, DriveError> {
        Ok(self.content().records.get(&record).cloned())
    }

    fn replace_record(&self, record: Record, bytes: &[u8]) -> Result<(), DriveError> {
        let mut content = self.content();
        content.check_room("a record")?;
        content.records.insert(record, bytes.to_vec());
        Ok(())
    }

    fn forget_record(&self, record: Record) -> Result<(), DriveError> {
        self.content().records.remove(&record);
        Ok(())
    }

    fn free_space(&self) -> Result<(u64, u64), DriveError> {
        Ok((self.content().room(), Arc::as_ptr(&self.0) as u64))
    }

    fn disk(&self) -> Result<u64, DriveError> {
        Ok(Arc::as_ptr(&self.0) as u64)
    }
}

fn refused(action: &'static str, place: &str, kind: ErrorKind) -> DriveError {
    DriveError::Io { action, place: place.into(), source: kind.into() }
}

/// A small generator (splitmix64), so that a schedule of faults can be repeated.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z >> 33) % limit as u64) as usize
    }

    /// What arrived of a stretch: all, nothing, its beginning or its end.
    fn part(&mut self, bytes: Range<usize>) -> Range<usize> {
        let cut = bytes.start + self.below(bytes.len() + 1);
        match self.below(4) {
            0 => bytes,
            1 => bytes.start..bytes.start,
            2 => bytes.start..cut,
            _ => cut..bytes.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive() -> MemoryDrive {
        let drive = MemoryDrive::default();
        drive.write_at(0, 0, &[1; 2 * SECTOR]).unwrap();
        drive.sync(0).unwrap();
        drive.write_at(0, 1000, &[2; 4 * SECTOR]).unwrap();
        drive
    }

    #[test]
    fn a_crash_takes_what_was_not_synced_sector_by_sector() {
        let (mut lengths, mut torn) = (BTreeSet::new(), 0);
        for seed in 0..200 {
            let drive = drive();
            drive.crash_torn(seed);
            let after = drive.files().remove(&0).unwrap();
            assert!(after[..1000] == [1; 1000], "synced, and not written since");
            assert!(after.len() >= 2 * SECTOR && after.len() <= 1000 + 4 * SECTOR);
            assert!(after[1000..].iter().enumerate().all(|(i, byte)| [if i < 24 { 1 } else { 0 }, 2].contains(byte)));
            lengths.insert(after.len());
            torn +=
                usize::from(after[2 * SECTOR..].chunks(SECTOR).any(|sector| sector.iter().any(|b| *b != sector[0])));
            drive.crash_torn(seed + 1);
            assert_eq!(drive.files()[&0], after, "what survived one crash survives the next");
        }
        assert!(lengths.len() > 100 && torn > 100, "{} lengths, {torn} torn", lengths.len());
        let drive = drive();
        drive.sync(0).unwrap();
        let before = drive.files();
        drive.crash_torn(7);
        assert_eq!(drive.files(), before, "synced");
    }

    #[test]
    fn what_a_failed_sync_lost_no_later_one_saves() {
        let mut lost = 0;
        for seed in 0..50 {
            let drive = drive();
            drive.fail_sync(0, &mut Random(seed));
            drive.sync(0).unwrap();
            drive.crash();
            lost += usize::from(drive.files()[&0][2 * SECTOR..3 * SECTOR] != [2; SECTOR]);
            // Written once more it is there.
            drive.write_at(0, 1000, &[2; 4 * SECTOR]).unwrap();
            drive.sync(0).unwrap();
            drive.crash();
            assert_eq!(drive.files()[&0][1000..], [2; 4 * SECTOR]);
        }
        assert!((10..50).contains(&lost), "{lost}");
    }

    #[test]
    fn a_full_drive_takes_what_fits_until_there_is_room() {
        let drive = drive();
        drive.fill_up();
        drive.write_at(0, 0, &[3; SECTOR]).unwrap();
        assert!(drive.write_at(0, 1000 + 3 * SECTOR as u64, &[3; 2 * SECTOR]).is_err());
        assert_eq!(drive.files()[&0].len(), 1000 + 4 * SECTOR);
        assert_eq!(drive.files()[&0].last(), Some(&3));
        assert!(drive.replace_record(Record::Journal, b"x").is_err() && drive.preallocate(1, 1).is_err());
        drive.make_room();
        drive.replace_record(Record::Journal, b"x").unwrap();
    }
}
