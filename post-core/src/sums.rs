//! Checksums of data files, kept beside them: they tell labels that a disk has changed from labels that were wrong when they
//! were written.
//!
//! A file is cut into blocks of [`BLOCK_LABELS`] labels, the last one shorter; each has 16 B of its BLAKE3 hash. One record a
//! file: a line with version and counts, then the sums, all under a checksum of their own.

use std::ops::Range;

use crate::drive::{Drive, DriveError, Record};
use crate::label::Label;

/// Labels under one sum, 1 MiB of them.
pub(crate) const BLOCK_LABELS: u64 = 1 << 16;

const MAGIC: &[u8; 8] = b"postsum1";

/// The leading 16 B of a block's BLAKE3 hash.
pub(crate) type Sum = [u8; 16];

/// In place of a sum that nobody could vouch for.
const UNKNOWN: Sum = [0; 16];

/// The sums of a file's first labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Labels covered, from the file's beginning. The last block may be covered in part.
    labels: u64,
    blocks: Vec<Sum>,
}

impl Sums {
    /// The sums that a drive has of a file; `None` when there are none, or damaged ones.
    pub(crate) fn of(drive: &dyn Drive, file: u32) -> Result<Option<Self>, DriveError> {
        Ok(drive.record(Record::Sums(file))?.as_deref().and_then(Self::from_bytes))
    }

    pub(crate) fn store(&self, drive: &dyn Drive, file: u32) -> Result<(), DriveError> {
        drive.replace_record(Record::Sums(file), &self.to_bytes())
    }

    /// Labels covered.
    #[cfg(test)]
    pub(crate) fn labels(&self) -> u64 {
        self.labels
    }

    /// Which labels of the file a block covers, and its sum; blocks whose sum is not known are left out.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (Range<u64>, Sum)> + '_ {
        let all = self.blocks.iter().enumerate().map(|(block, sum)| (self.covered(block as u64), *sum));
        all.filter(|(_, sum)| *sum != UNKNOWN)
    }

    /// The block that covers a label, and its sum, if that is known.
    pub(crate) fn block_of(&self, label: u64) -> Option<(Range<u64>, Sum)> {
        let block = label / BLOCK_LABELS;
        let sum = self.blocks.get(block as usize).filter(|sum| **sum != UNKNOWN)?;
        Some((self.covered(block), *sum)).filter(|(covered, _)| covered.contains(&label))
    }

    /// Notes the sum of the block that begins at `first` and has `labels` labels, whether or not it was covered before.
    /// Blocks before it that nobody noted stay unknown. Returns whether that was news.
    pub(crate) fn put(&mut self, first: u64, labels: u64, sum: Sum) -> bool {
        if self.at(first, labels) == Some(sum) {
            return false;
        }
        let block = (first / BLOCK_LABELS) as usize;
        // What a block that was covered in part had as its sum says nothing of the whole.
        if let Some(last) = self.blocks.last_mut().filter(|_| first + labels > self.labels)
            && !self.labels.is_multiple_of(BLOCK_LABELS)
        {
            *last = UNKNOWN;
        }
        if self.blocks.len() <= block {
            self.blocks.resize(block + 1, UNKNOWN);
        }
        self.blocks[block] = sum;
        self.labels = self.labels.max(first + labels);
        true
    }

    /// The sum of the block that begins at a label, if it covers exactly `labels` labels.
    pub(crate) fn at(&self, first: u64, labels: u64) -> Option<Sum> {
        let block = first / BLOCK_LABELS;
        let covered = self.covered(block);
        let whole = covered == (first..first + labels) && labels > 0;
        self.blocks.get(block as usize).copied().filter(|sum| whole && *sum != UNKNOWN)
    }

    /// Puts a block's sum in place of the one there was.
    pub(crate) fn replace(&mut self, first: u64, sum: Sum) {
        if let Some(old) = self.blocks.get_mut((first / BLOCK_LABELS) as usize) {
            *old = sum;
        }
    }

    fn covered(&self, block: u64) -> Range<u64> {
        block * BLOCK_LABELS..((block + 1) * BLOCK_LABELS).min(self.labels)
    }

    /// The sum of a block of labels.
    pub(crate) fn sum(labels: &[Label]) -> Sum {
        let mut sum = Sum::default();
        sum.copy_from_slice(&blake3::hash(labels.as_flattened()).as_bytes()[..16]);
        sum
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.labels.to_le_bytes());
        bytes.extend_from_slice(self.blocks.as_flattened());
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<32>()?;
        if blake3::hash(body).as_bytes() != checksum {
            return None;
        }
        let (labels, blocks) = body.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let labels = u64::from_le_bytes(*labels);
        let (blocks, rest) = blocks.as_chunks::<16>();
        (rest.is_empty() && blocks.len() as u64 == labels.div_ceil(BLOCK_LABELS))
            .then(|| Self { labels, blocks: blocks.to_vec() })
    }
}

/// Makes the sums of labels that come in order.
pub(crate) struct Summing {
    sums: Sums,
    /// Of the block that is not full yet.
    open: blake3::Hasher,
}

impl Summing {
    /// Goes on behind the whole blocks of `sums` that lie within the first `labels` labels. Labels from [`Self::next`] on
    /// are to be added.
    pub(crate) fn after(mut sums: Sums, labels: u64) -> Self {
        let labels = labels.min(sums.labels);
        sums.labels = labels - labels % BLOCK_LABELS;
        sums.blocks.truncate((sums.labels / BLOCK_LABELS) as usize);
        Self { sums, open: blake3::Hasher::new() }
    }

    /// The label that comes next.
    pub(crate) fn next(&self) -> u64 {
        self.sums.labels
    }

    /// Adds the labels that come next.
    pub(crate) fn add(&mut self, mut labels: &[Label]) {
        while !labels.is_empty() {
            let room = (BLOCK_LABELS - self.sums.labels % BLOCK_LABELS) as usize;
            let (now, later) = labels.split_at(room.min(labels.len()));
            self.open.update(now.as_flattened());
            self.sums.labels += now.len() as u64;
            if self.sums.labels.is_multiple_of(BLOCK_LABELS) {
                self.sums.blocks.push(finish(&self.open));
                self.open.reset();
            }
            labels = later;
        }
    }

    /// Whole blocks so far.
    pub(crate) fn whole(&self) -> u64 {
        self.sums.labels / BLOCK_LABELS
    }

    /// Puts the sum of a whole block in place of the one there was.
    pub(crate) fn replace(&mut self, first: u64, sum: Sum) {
        self.sums.replace(first, sum);
    }

    /// The sums of all that was added, the last block as far as it is.
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = self.sums.clone();
        if !sums.labels.is_multiple_of(BLOCK_LABELS) {
            sums.blocks.push(finish(&self.open));
        }
        sums
    }
}

fn finish(hasher: &blake3::Hasher) -> Sum {
    let mut sum = Sum::default();
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(count: u64) -> Vec<Label> {
        (0..count)
            .map(|i| (u128::from(i) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes())
            .collect()
    }

    #[test]
    fn what_comes_in_parts_has_the_sums_of_its_blocks() {
        let labels = labels(2 * BLOCK_LABELS + 777);
        for part in [1000, 65_536, 65_537, 200_000] {
            let mut summing = Summing::after(Sums::default(), 0);
            for (i, part) in labels.chunks(part).enumerate() {
                summing.add(part);
                if i == 1 {
                    // Interrupted: the open block is added again.
                    let next = Summing::after(summing.sums(), u64::MAX).next() as usize;
                    let end = summing.next() as usize;
                    summing = Summing::after(summing.sums(), u64::MAX);
                    summing.add(&labels[next..end]);
                }
            }
            let sums = summing.sums();
            assert_eq!(sums.labels(), labels.len() as u64);
            let blocks: Vec<_> = labels.chunks(BLOCK_LABELS as usize).map(Sums::sum).collect();
            assert_eq!(sums.blocks().map(|(_, sum)| sum).collect::<Vec<_>>(), blocks, "{part}");
            assert_eq!(sums.at(2 * BLOCK_LABELS, 777), Some(blocks[2]));
            assert_eq!(sums.at(2 * BLOCK_LABELS, 776), None);
            assert_eq!(sums.at(3 * BLOCK_LABELS, 1), None);
        }
    }

    #[test]
    fn blocks_may_be_noted_in_any_order() {
        let labels = labels(2 * BLOCK_LABELS + 777);
        let mut whole = Summing::after(Sums::default(), 0);
        whole.add(&labels);
        let blocks: Vec<_> = whole.sums().blocks().collect();
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let mut sums = Sums::default();
            for at in order {
                let (block, sum) = blocks[at].clone();
                assert_eq!(sums.block_of(block.start), None);
                assert!(sums.put(block.start, block.end - block.start, sum));
                assert!(!sums.put(block.start, block.end - block.start, sum), "the same is no news");
                assert_eq!(sums.block_of(block.end - 1), Some((block, sum)));
            }
            assert_eq!(sums, whole.sums());
            assert_eq!(sums.block_of(2 * BLOCK_LABELS + 777), None);
        }
        // A file that was shorter once.
        let mut short = Summing::after(Sums::default(), 0);
        short.add(&labels[..100]);
        let mut sums = short.sums();
        let (block, sum) = blocks[1].clone();
        assert!(sums.put(block.start, block.end - block.start, sum));
        assert_eq!(sums.block_of(50), None);
        assert_eq!(sums.blocks().collect::<Vec<_>>(), [(block, sum)]);
    }

    #[test]
    fn damaged_sums_are_not_believed() {
        let mut summing = Summing::after(Sums::default(), 0);
        summing.add(&labels(BLOCK_LABELS + 5));
        let bytes = summing.sums().to_bytes();
        assert_eq!(Sums::from_bytes(&bytes), Some(summing.sums()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Sums::from_bytes(&damaged), None, "byte {at}");
            assert_eq!(Sums::from_bytes(&bytes[..at]), None, "cut at {at}");
        }
    }
}
