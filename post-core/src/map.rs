//! Which drive of a set holds which file: on every drive the same, so that each alone tells of all the others.
//!
//! A drive is known by a random id that lies on it, not by its path: order and mount points may change. The path where it was
//! last is kept for messages, and to notice that a drive is not mounted. What a drive really holds always counts more than
//! what a map says.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::drive::{Drive, DriveError, Record};
use crate::identity::Commitment;
use crate::plan::Layout;
use crate::sealed::{seal, unseal};

const MAGIC: &str = "post-map-1";

/// A drive of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Where it was last.
    pub(crate) place: String,
    /// The files it holds or is to hold, in runs: first, last.
    files: Vec<(u32, u32)>,
    /// Counts the changes of the map: of two accounts of one drive the later one counts.
    change: u64,
}

impl Member {
    pub(crate) fn files(&self) -> impl Iterator<Item = u32> + '_ {
        self.files.iter().flat_map(|(first, last)| *first..=*last)
    }
}

/// The map of a set as one drive has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    #[serde(with = "hex::serde")]
    commitment: [u8; 32],
    num_labels: u64,
    /// The id of the drive it lies on.
    this: String,
    members: BTreeMap<String, Member>,
}

impl Document {
    fn of(drive: &dyn Drive, commitment: &Commitment, layout: &Layout) -> Result<Option<Self>, DriveError> {
        let document = drive.record(Record::Map)?.as_deref().and_then(|bytes| unseal::<Self>(MAGIC, bytes));
        Ok(document.filter(|map| map.commitment == commitment.0 && map.num_labels == layout.num_labels()))
    }
}

/// What all drives at hand say together.
#[derive(Clone, Debug, Default)]
pub(crate) struct SetMap {
    /// The ids of the drives at hand; `None` for one that was never part of the set.
    ids: Vec<Option<String>>,
    /// Drives at hand that got their id just now and have no map yet.
    fresh: BTreeSet<usize>,
    members: BTreeMap<String, Member>,
}

impl SetMap {
    /// Reads the maps of all drives. A damaged one counts as none.
    pub(crate) fn of(drives: &[Box<dyn Drive>], commitment: &Commitment, layout: &Layout) -> Result<Self, DriveError> {
        let mut map = Self::default();
        for drive in drives {
            let document = Document::of(&**drive, commitment, layout)?;
            map.ids.push(document.as_ref().map(|document| document.this.clone()));
            for (id, member) in document.into_iter().flat_map(|document| document.members) {
                match map.members.get(&id) {
                    Some(known) if known.change >= member.change => {}
                    _ => _ = map.members.insert(id, member),
                }
            }
        }
        Ok(map)
    }

    /// Drives of the set that are not at hand.
    pub(crate) fn absent(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|(id, _)| !self.ids.iter().flatten().any(|own| own == *id)).map(|(_, member)| member)
    }

    /// The files that a drive at hand was to hold.
    pub(crate) fn planned(&self, drive: usize) -> BTreeSet<u32> {
        let member = self.ids[drive].as_ref().and_then(|id| self.members.get(id));
        member.map(|member| member.files().collect()).unwrap_or_default()
    }

    /// The drives at hand hold, or are to hold, these files now. Files of theirs are nobody else's any more.
    pub(crate) fn update(
        &mut self,
        drives: &[Box<dyn Drive>],
        files: &[BTreeSet<u32>],
    ) -> Result<(), getrandom::Error> {
        let change = self.members.values().map(|member| member.change).max().unwrap_or(0) + 1;
        let at_hand: BTreeSet<u32> = files.iter().flatten().copied().collect();
        for (index, ((id, drive), files)) in self.ids.iter_mut().zip(drives).zip(files).enumerate() {
            if id.is_none() && files.is_empty() {
                continue;
            }
            let id = match id {
                Some(id) => id,
                None => {
                    let mut fresh = [0; 16];
                    getrandom::fill(&mut fresh)?;
                    self.fresh.insert(index);
                    id.insert(hex::encode(fresh))
                }
            };
            let (place, files) = (drive.place(), runs(files.iter().copied()));
            let known = self.members.get(id).is_some_and(|known| known.place == place && known.files == files);
            if !known {
                self.members.insert(id.clone(), Member { place, files, change });
            }
        }
        let own: BTreeSet<&String> = self.ids.iter().flatten().collect();
        for (_, member) in self.members.iter_mut().filter(|(id, _)| !own.contains(id)) {
            let left = runs(member.files().filter(|file| !at_hand.contains(file)));
            if left != member.files {
                (member.files, member.change) = (left, change);
            }
        }
        Ok(())
    }

    /// Writes a map of nobody but itself to a drive that has none. Only then may others tell of it: a drive that they tell of
    /// and that has no map is taken for one that is not mounted. One that can't be written to is not told of.
    pub(crate) fn join(
        &mut self,
        drive: usize,
        on: &dyn Drive,
        commitment: &Commitment,
        layout: &Layout,
    ) -> Result<(), DriveError> {
        let Some(this) = self.ids[drive].clone().filter(|_| self.fresh.remove(&drive)) else { return Ok(()) };
        let own = self.members.iter().filter(|(id, _)| **id == this).map(|(id, member)| (id.clone(), member.clone()));
        let joined = self.write(&this, own.collect(), on, commitment, layout);
        if joined.is_err() {
            self.ids[drive] = None;
            self.members.remove(&this);
        }
        joined
    }

    /// Writes the map to a drive at hand, if it is part of the set and says something else so far.
    pub(crate) fn store(
        &self,
        drive: usize,
        on: &dyn Drive,
        commitment: &Commitment,
        layout: &Layout,
    ) -> Result<(), DriveError> {
        let Some(this) = &self.ids[drive] else { return Ok(()) };
        let there = Document::of(on, commitment, layout)?;
        match there.is_some_and(|there| there.this == *this && there.members == self.members) {
            true => Ok(()),
            false => self.write(this, self.members.clone(), on, commitment, layout),
        }
    }

    fn write(
        &self,
        this: &str,
        members: BTreeMap<String, Member>,
        on: &dyn Drive,
        commitment: &Commitment,
        layout: &Layout,
    ) -> Result<(), DriveError> {
        let (commitment, num_labels) = (commitment.0, layout.num_labels());
        let bytes = seal(MAGIC, &Document { commitment, num_labels, this: this.into(), members });
        let bytes = bytes.map_err(|e| DriveError::Malformed { place: on.name(), reason: e.to_string() })?;
        on.replace_record(Record::Map, &bytes)
    }
}

/// Where the drives of the set that a drive belongs to were last, itself among them; whatever set that is.
pub(crate) fn places(drive: &dyn Drive) -> Result<Vec<String>, DriveError> {
    let document = drive.record(Record::Map)?.as_deref().and_then(|bytes| unseal::<Document>(MAGIC, bytes));
    Ok(document.into_iter().flat_map(|map| map.members).map(|(_, member)| member.place).collect())
}

/// Ascending numbers as runs: first, last.
fn runs(files: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for file in files {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(file) => *last = file,
            _ => runs.push((file, file)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::MemoryDrive;

    const SET: Commitment = Commitment([3; 32]);

    fn drives(count: usize) -> Vec<Box<dyn Drive>> {
        (0..count).map(|_| Box::new(MemoryDrive::default()) as Box<dyn Drive>).collect()
    }

    #[test]
    fn each_drive_tells_of_all_others() {
        let layout = Layout::new(1, 100, 160).unwrap();
        let mut all = drives(3);
        let mut map = SetMap::of(&all, &SET, &layout).unwrap();
        let files = [BTreeSet::from([0, 1, 2, 7]), BTreeSet::from([3, 4]), BTreeSet::new()];
        map.update(&all, &files).unwrap();
        (0..3).for_each(|drive| map.store(drive, &*all[drive], &SET, &layout).unwrap());
        assert!(all[2].record(Record::Map).unwrap().is_none(), "it holds nothing and is no part of the set");

        // In another order, and one is missing.
        all.swap(0, 1);
        let first = all.remove(0);
        let map = SetMap::of(&all, &SET, &layout).unwrap();
        assert_eq!(map.planned(0), files[0]);
        assert!(map.planned(1).is_empty());
        let absent: Vec<_> = map.absent().flat_map(Member::files).collect();
        assert_eq!(absent, [3, 4]);

        // A file of the absent one is made again: then that is where it is, whatever the absent one's map says.
        let mut map = map;
        map.update(&all, &[BTreeSet::from([0, 1, 2, 3, 7]), BTreeSet::new()]).unwrap();
        map.store(0, &*all[0], &SET, &layout).unwrap();
        all.push(first);
        let map = SetMap::of(&all, &SET, &layout).unwrap();
        assert_eq!(map.planned(0), BTreeSet::from([0, 1, 2, 3, 7]));
        assert_eq!(map.planned(2), BTreeSet::from([4]));
        assert_eq!(map.absent().count(), 0);
    }

    #[test]
    fn maps_of_other_sets_and_damaged_ones_count_for_nothing() {
        let layout = Layout::new(1, 100, 160).unwrap();
        let all = drives(1);
        let mut map = SetMap::of(&all, &SET, &layout).unwrap();
        map.update(&all, &[BTreeSet::from([1])]).unwrap();
        map.store(0, &*all[0], &SET, &layout).unwrap();
        let planned =
            |commitment: Commitment, layout: &Layout| SetMap::of(&all, &commitment, layout).unwrap().planned(0);
        assert_eq!(planned(SET, &layout), BTreeSet::from([1]));
        assert!(planned(Commitment([4; 32]), &layout).is_empty());
        assert!(planned(SET, &Layout::new(2, 100, 160).unwrap()).is_empty());
        let mut bytes = all[0].record(Record::Map).unwrap().unwrap();
        bytes[100] ^= 1;
        all[0].replace_record(Record::Map, &bytes).unwrap();
        assert!(planned(SET, &layout).is_empty());
    }
}
