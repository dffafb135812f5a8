//! Finds the VRF nonce of a whole set once more: for data of other tools, and for metadata that lost it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::backend::{self, Backend};
use crate::difficulty::vrf_threshold;
use crate::drive::{Drive, DriveError, Role};
use crate::label::{LABEL_BYTES, Label, reference, stored};
use crate::metadata::Metadata;
use crate::params::{NetworkParams, ParamsError};
use crate::ranges::Ranges;
use crate::set::{DataSet, SetError};
use crate::vrf::{VrfError, VrfNonce, VrfSearch, search_past_end};
use crate::watch::{Event, Watch};

/// Files of which a label is looked at, at most, until a right one is found.
const SPOT_CHECKED_FILES: u32 = 128;

/// Wrong labels that are told and gone past. Each costs a label of the CPU, and a set with so many has other worries.
const MAX_WRONG: u64 = 1000;

/// How often the position of a search past the end is noted.
const POSITION_EVERY: Duration = Duration::from_secs(10);

/// Why there is no nonce.
#[derive(Debug, thiserror::Error)]
pub enum NonceError {
    /// The network's parameters are not usable.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// What is on the drives can't be used, or not be read.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The data was made for another network.
    #[error("the data has {there} labels per unit, the network {wanted}; give the --network the data was made for")]
    OtherNetwork {
        /// Of the data.
        there: u64,
        /// Of the network.
        wanted: u64,
    },
    /// No label is what it should be.
    #[error(
        "none of the labels looked at is one of this set; give the --network the data was made for, or see what is wrong with post check"
    )]
    OtherData,
    /// The smallest label can't be told from the wrong ones.
    #[error("more than {MAX_WRONG} labels are wrong; run post check --all --repair first")]
    TooManyWrong,
    /// No labels past the end of the set.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// Someone asked to stop.
    #[error("stopped before the nonce was found; the same command starts again")]
    Stopped,
}

impl From<DriveError> for NonceError {
    fn from(error: DriveError) -> Self {
        Self::Set(error.into())
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The smallest label of the set, or the first one past its end that is below the threshold.
    pub nonce: VrfNonce,
    /// Wrong labels met on the way. Others may be hidden behind labels that are too large.
    pub wrong: u64,
    /// Whether the metadata of all drives says so now.
    pub written: bool,
}

/// Reads all labels of `set` for the smallest one, and notes it in the metadata of every drive unless it is a `dry_run`. A
/// set without a label below the threshold is searched on past its end with `backend`. `wrong` hears of every wrong label
/// that is met, by index.
///
/// # Errors
/// Every [`NonceError`].
pub fn find(
    set: &DataSet,
    params: &NetworkParams,
    dry_run: bool,
    backend: &mut dyn Backend,
    watch: &dyn Watch,
    wrong: &mut dyn FnMut(u64),
) -> Result<Outcome, NonceError> {
    params.check()?;
    let (there, wanted) = (set.metadata().labels_per_unit, params.labels_per_unit);
    if there != wanted {
        return Err(NonceError::OtherNetwork { there, wanted });
    }
    let mut finder = Finder { set, params, dry_run, watch, metadata: set.metadata().clone(), wrong: 0 };
    finder.find_a_right_label()?;
    if !dry_run {
        finder.drives().iter().try_for_each(|drive| drive.claim(Role::Writer))?;
    }
    let nonce = match finder.smallest(wrong)? {
        Some(nonce) => nonce,
        None => finder.past_end(backend)?,
    };
    finder.metadata.set_nonce(&nonce);
    finder.write()?;
    Ok(Outcome { nonce, wrong: finder.wrong, written: !dry_run })
}

struct Finder<'a> {
    set: &'a DataSet,
    params: &'a NetworkParams,
    dry_run: bool,
    watch: &'a dyn Watch,
    /// As it is to be.
    metadata: Metadata,
    wrong: u64,
}

impl<'a> Finder<'a> {
    fn drives(&self) -> &'a [Box<dyn Drive>] {
        self.set.reader().drives
    }

    fn search(&self) -> VrfSearch {
        let threshold = vrf_threshold(self.set.layout().num_labels());
        VrfSearch::new(self.metadata.commitment(), self.params.scrypt, threshold, None)
    }

    /// With the parameters of another network every candidate would be wrong, and its true label no nonce of this set.
    fn find_a_right_label(&self) -> Result<(), NonceError> {
        let layout = self.set.layout();
        let step = layout.num_files().div_ceil(SPOT_CHECKED_FILES).max(1);
        for file in (0..layout.num_files()).step_by(step as usize) {
            let index = layout.file_labels(file).start;
            let mut found = [[0; LABEL_BYTES]];
            self.set.read(index, &mut found)?;
            let commitment = self.metadata.commitment();
            if found[0] == stored(&reference::full_label(&commitment, index, self.params.scrypt)?) {
                return Ok(());
            }
        }
        Err(NonceError::OtherData)
    }

    /// The smallest label of the set that is below the threshold. All disks are read at once: the order doesn't matter.
    fn smallest(&mut self, wrong: &mut dyn FnMut(u64)) -> Result<Option<VrfNonce>, NonceError> {
        let labels = self.set.layout().num_labels();
        self.watch.event(Event::CheckStarted { labels, done: 0 });
        let (mut search, mut read, mut result) = (self.search(), 0, Ok(()));
        let reader = self.set.reader();
        let all: Ranges = std::iter::once(0..labels).collect();
        reader.read(&all, reader.at_a_time(0), &|_| false, &mut |piece, labels| {
            result = match labels {
                _ if self.watch.stop() => Err(NonceError::Stopped),
                Ok(labels) => self.observe(&mut search, piece.labels.start, labels, wrong),
                Err(error) => Err(error.into()),
            };
            read += piece.labels.end - piece.labels.start;
            self.watch.event(Event::Checked { labels: read });
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        result?;
        Ok(search.best())
    }

    /// Has the search look at labels, and go on past those that are wrong. What should be in their place it has seen.
    fn observe(
        &mut self,
        search: &mut VrfSearch,
        mut first: u64,
        mut labels: &[Label],
        wrong: &mut dyn FnMut(u64),
    ) -> Result<(), NonceError> {
        loop {
            match search.observe(first, labels) {
                Ok(()) => return Ok(()),
                Err(VrfError::Params(error)) => return Err(error.into()),
                Err(VrfError::Wrong { index }) => {
                    self.wrong += 1;
                    if self.wrong > MAX_WRONG {
                        return Err(NonceError::TooManyWrong);
                    }
                    wrong(index);
                    labels = &labels[(index + 1 - first) as usize..];
                    first = index + 1;
                }
            }
        }
    }

    /// What stands in for a label that no set of this size has to have.
    fn past_end(&mut self, backend: &mut dyn Backend) -> Result<VrfNonce, NonceError> {
        let num_labels = self.set.layout().num_labels();
        if let Some(index) = self.metadata.nonce.filter(|index| *index >= num_labels) {
            let mut search = self.search();
            search.candidate(index)?;
            if let Some(nonce) = search.best() {
                return Ok(nonce);
            }
        }
        // A position so large that nothing is left behind it was not written by us.
        let noted_position = self.metadata.last_position.filter(|position| *position < u64::MAX / 2);
        let from = noted_position.unwrap_or(0).max(num_labels);
        self.watch.event(Event::VrfSearchPastEnd { from });
        let (mut noted, mut result) = (Instant::now(), Ok(()));
        let found = search_past_end(self.search(), from, backend, &mut |end| {
            let stop = self.watch.stop();
            if stop || noted.elapsed() >= POSITION_EVERY {
                self.metadata.last_position = Some(end);
                result = self.write();
                noted = Instant::now();
            }
            if stop && result.is_ok() {
                result = Err(NonceError::Stopped);
            }
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if let Err(backend::Error::Wrong { .. }) = found {
            // What it went past may have been the nonce.
            self.metadata.last_position = noted_position;
            self.write()?;
        }
        let found = found?;
        result?;
        found.ok_or(NonceError::Stopped)
    }

    /// The same nonce and position on every drive; all else stays as it is there.
    fn write(&self) -> Result<(), NonceError> {
        if self.dry_run {
            return Ok(());
        }
        for drive in self.drives() {
            let Some(there) = drive.metadata()? else { continue };
            let Metadata { nonce, nonce_value, last_position, .. } = self.metadata.clone();
            let wanted = Metadata { nonce, nonce_value, last_position, ..there.clone() };
            if wanted != there {
                drive.replace_metadata(&wanted)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;
    use crate::drive::MemoryDrive;
    use crate::identity::{AtxId, NodeId};
    use crate::init::{self, init};
    use crate::params::ScryptParams;
    use crate::watch::Silent;

    fn request(node: u8, labels: u64) -> init::Request {
        let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
        init::Request {
            params: NetworkParams { labels_per_unit: labels, scrypt, min_units: 1, ..NetworkParams::devnet() },
            node_id: NodeId([node; 32]),
            commitment_atx_id: AtxId([2; 32]),
            units: 1,
            max_file_size: 1600,
            files: None,
            broken: Vec::new(),
            checkpoint_every: Duration::ZERO,
        }
    }

    fn cpu() -> Cpu {
        Cpu::new(1).unwrap()
    }

    /// A set whose metadata has no nonce but a stranger's key, and what it was.
    fn made(request: &init::Request) -> (MemoryDrive, u64) {
        let drive = MemoryDrive::default();
        init(request, &[Box::new(drive.clone())], &[], &mut cpu(), &Silent).unwrap();
        let mut metadata = drive.metadata().unwrap().unwrap();
        let nonce = metadata.nonce.take().unwrap();
        metadata.nonce_value = None;
        metadata.other.insert("Foreign".into(), 7.into());
        drive.replace_metadata(&metadata).unwrap();
        (drive, nonce)
    }

    fn run(request: &init::Request, drive: &MemoryDrive, dry_run: bool) -> (Result<Outcome, NonceError>, Vec<u64>) {
        let set = DataSet::open(vec![Box::new(drive.clone())]).unwrap();
        let mut wrong = Vec::new();
        let found = find(&set, &request.params, dry_run, &mut cpu(), &Silent, &mut |index| wrong.push(index));
        (found, wrong)
    }

    #[test]
    fn what_init_found_is_found_again() {
        for node in 1..6 {
            let request = request(node, 2000);
            let (drive, nonce) = made(&request);
            let before = drive.metadata().unwrap();
            let (dry, _) = run(&request, &drive, true);
            assert_eq!((dry.unwrap().nonce.index, drive.metadata().unwrap()), (nonce, before));
            let (found, wrong) = run(&request, &drive, false);
            let found = found.unwrap();
            assert!(found.written && wrong.is_empty() && found.nonce.index == nonce);
            let metadata = drive.metadata().unwrap().unwrap();
            assert_eq!(
                (metadata.nonce, metadata.nonce_value),
                (Some(nonce), Some(hex::encode(&found.nonce.label[..16])))
            );
            assert_eq!(metadata.other["Foreign"], 7);
        }
    }

    #[test]
    fn a_wrong_label_is_told_and_gone_past() {
        let request = request(1, 2000);
        let (drive, nonce) = made(&request);
        for index in [nonce, nonce / 2, 1999] {
            let mut bytes = drive.files()[&((index / 100) as u32)].clone();
            let at = (index % 100 * 16) as usize;
            bytes[at..at + 16].fill(0);
            drive.set_file((index / 100) as u32, bytes);
        }
        let (found, mut wrong) = run(&request, &drive, false);
        wrong.sort_unstable();
        assert_eq!(wrong, [nonce / 2, nonce, 1999]);
        // What should be there is the smallest nevertheless.
        assert_eq!(found.unwrap().nonce.index, nonce);

        for file in 0..20 {
            drive.set_file(file, vec![0; 1600]);
        }
        assert!(matches!(run(&request, &drive, false).0, Err(NonceError::OtherData)));
        let first = reference::full_label(&drive.metadata().unwrap().unwrap().commitment(), 0, request.params.scrypt);
        let mut bytes = vec![0; 1600];
        bytes[..16].copy_from_slice(&stored(&first.unwrap()));
        drive.set_file(0, bytes);
        assert!(matches!(run(&request, &drive, false).0, Err(NonceError::TooManyWrong)));
    }

    /// Sets without a label below the threshold are rare, so many small ones are tried.
    #[test]
    fn a_set_without_a_small_label_is_searched_on() {
        let mut requests = (0..10_000_u64).map(|number| {
            let mut request = request(1, 50);
            (request.params.k1, request.params.k2) = (1, 1);
            request.commitment_atx_id.0[..8].copy_from_slice(&number.to_le_bytes());
            request
        });
        let found = requests.find_map(|request| {
            let commitment = request.metadata().commitment();
            let threshold = vrf_threshold(50);
            let scrypt = request.params.scrypt;
            let is_small = |index| reference::full_label(&commitment, index, scrypt).unwrap() < threshold;
            (0..50).all(|index| !is_small(index)).then(|| ((50..).find(|index| is_small(*index)).unwrap(), request))
        });
        let (expected, request) = found.unwrap();
        let (drive, nonce) = made(&request);
        assert_eq!(nonce, expected);
        let (found, _) = run(&request, &drive, false);
        assert_eq!(found.unwrap().nonce.index, expected);
    }

    #[test]
    fn another_network_is_refused() {
        let request = request(1, 2000);
        let (drive, _) = made(&request);
        let mut other = request.clone();
        other.params.scrypt.n = 4;
        let before = drive.metadata().unwrap();
        assert!(matches!(run(&other, &drive, false).0, Err(NonceError::OtherData)));
        assert_eq!(drive.metadata().unwrap(), before);
        other.params.labels_per_unit = 4000;
        assert!(matches!(run(&other, &drive, false).0, Err(NonceError::OtherNetwork { there: 2000, wanted: 4000 })));
    }
}
