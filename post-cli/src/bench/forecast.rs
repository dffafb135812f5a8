//! What a set will cost on this machine, from measurements of a few seconds with the devices that would do the work.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use post_core::params::NetworkParams;
use post_core::pow::Mode;
use post_core::scan::ScanJob;

use super::backend::{label_rate, scan_rate};
use super::drive::read_rate;
use super::scan::{GIB, Subject};
use super::summary::ProofTime;
use crate::args::Compute;
use crate::devices::Work;
use crate::report::Reporter;
use crate::{devices, machine};

/// How long labels and scan are measured, and RandomX, of which a hash takes long.
const TIME: Duration = Duration::from_millis(500);
const POW_TIME: Duration = Duration::from_secs(1);

/// What is read of a disk at most, and for how long.
const READ_BYTES: u64 = 256 << 20;
const READ_TIME: Duration = Duration::from_secs(1);

/// A file shorter than this tells nothing about its disk.
const READ_LEAST: u64 = 16 << 20;

/// What is to be made and proven.
pub(crate) struct Job<'a> {
    pub(crate) params: &'a NetworkParams,
    pub(crate) units: u32,
    pub(crate) num_labels: u64,
    /// Labels that are still to be made.
    pub(crate) missing: u64,
    /// Nonces of a pass, a multiple of 16.
    pub(crate) nonces: u32,
    pub(crate) disks: BTreeMap<u64, Disk>,
}

/// One physical disk.
#[derive(Default)]
pub(crate) struct Disk {
    /// Bytes of the set that it will hold.
    pub(crate) bytes: u64,
    /// The longest data file that is there, and its bytes.
    pub(crate) longest: Option<(u64, PathBuf)>,
    /// Directories on it, for messages.
    pub(crate) names: Vec<String>,
}

impl Disk {
    fn sample(&self) -> Option<&PathBuf> {
        self.longest.as_ref().filter(|(bytes, _)| *bytes >= READ_LEAST).map(|(_, path)| path)
    }
}

/// What was measured, and what follows.
pub(crate) struct Forecast {
    pub(crate) labels_per_s: f64,
    pub(crate) scan_gib_per_s: f64,
    pub(crate) hashes_per_s: f64,
    /// GiB/s of each disk that has something to read.
    pub(crate) reads: BTreeMap<u64, f64>,
    pub(crate) fill_s: f64,
    pub(crate) proof: ProofTime,
}

/// Measures. `reporter` hears how it is done.
pub(crate) fn measure(
    job: &Job<'_>,
    compute: &Compute,
    randomx: Option<Mode>,
    reporter: &Arc<Reporter>,
) -> Result<Forecast> {
    let NetworkParams { scrypt, k1, .. } = *job.params;
    // One after the other: a device's memory is free again before it is opened for the next thing.
    let mut labelling = devices::open(compute, Work::Labels(scrypt, job.missing), reporter)?;
    let labels_per_s = label_rate(&mut *labelling.backend, scrypt, TIME)?;
    labelling.labels_with().iter().for_each(|line| reporter.note(line));
    drop(labelling);
    let mut scanning = devices::open(compute, Work::Scan(job.num_labels), reporter)?;
    let groups = job.nonces / 16;
    let subject = Subject::of(k1, job.num_labels, groups, scanning.backend.info().scan_batch)?;
    let scan_job = ScanJob { groups: &subject.groups(groups as usize), difficulty: subject.difficulty };
    let scan_gib_per_s = scan_rate(&mut *scanning.backend, &scan_job, &subject.labels, TIME)?;
    scanning.scans_with().iter().for_each(|line| reporter.note(line));
    drop(scanning);
    let (randomx, how) = machine::randomx(randomx, machine::threads(compute));
    reporter.note(&how);
    let hashes_per_s = randomx.measure(POW_TIME, true, &**reporter)?.hashes_per_s;
    let reads = read_disks(&job.disks)?;

    let pass_s = pass_seconds(job.num_labels, scan_gib_per_s, &job.disks, &reads);
    Ok(Forecast {
        labels_per_s,
        scan_gib_per_s,
        hashes_per_s,
        reads,
        fill_s: job.missing as f64 / labels_per_s,
        proof: ProofTime::new(job.params, job.units, groups, hashes_per_s, pass_s),
    })
}

/// All disks at once, as a proof reads them.
fn read_disks(disks: &BTreeMap<u64, Disk>) -> Result<BTreeMap<u64, f64>> {
    let samples = disks.iter().filter_map(|(disk, about)| Some((*disk, about.sample()?)));
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            samples.map(|(disk, path)| (disk, scope.spawn(move || read_rate(path, READ_BYTES, READ_TIME)))).collect();
        let rate = |(disk, reader): (u64, std::thread::ScopedJoinHandle<'_, Result<f64>>)| match reader.join() {
            Ok(rate) => Ok((disk, rate?)),
            Err(_) => bail!("a disk could not be measured; this is a defect, please report it"),
        };
        readers.into_iter().map(rate).collect()
    })
}

/// A pass scans while it reads all disks at once: the slowest of them decides. A disk of unknown speed is not counted.
fn pass_seconds(num_labels: u64, scan: f64, disks: &BTreeMap<u64, Disk>, reads: &BTreeMap<u64, f64>) -> f64 {
    let scanning = num_labels as f64 * 16.0 / GIB / scan;
    let reading = reads.iter().filter_map(|(disk, rate)| Some(disks.get(disk)?.bytes as f64 / GIB / rate));
    reading.fold(scanning, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_part_decides_about_a_pass() {
        let disk = |gib: u64| Disk { bytes: gib << 30, ..Disk::default() };
        let disks = BTreeMap::from([(1, disk(3)), (2, disk(5)), (3, disk(100))]);
        let labels = 8 << 26;
        let pass = |scan, reads: &[(u64, f64)]| pass_seconds(labels, scan, &disks, &reads.iter().copied().collect());
        assert!((pass(2.0, &[]) - 4.0).abs() < 1e-9);
        assert!((pass(2.0, &[(1, 1.0), (2, 1.0)]) - 5.0).abs() < 1e-9);
        assert!((pass(2.0, &[(1, 0.5), (2, 1.0)]) - 6.0).abs() < 1e-9);
        assert!((pass(1.0, &[(1, 0.5), (2, 1.0)]) - 8.0).abs() < 1e-9);
    }

    #[test]
    fn short_files_are_no_sample() {
        let disk = |bytes| Disk { longest: Some((bytes, "a".into())), ..Disk::default() };
        assert!(disk(READ_LEAST).sample().is_some() && disk(READ_LEAST - 1).sample().is_none());
        assert!(Disk::default().sample().is_none());
    }
}
