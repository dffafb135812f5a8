//! What needs a look into the records: causes, suspects, the smallest label.

use super::*;
use crate::backend::Cpu;
use crate::drive::{MemoryDrive, Record};
use crate::identity::{AtxId, NodeId};
use crate::init::{self, init};
use crate::journal::Journal;
use crate::params::ScryptParams;
use crate::sums::Summing;
use crate::watch::Silent;

/// 600 labels in files of 300.
fn set() -> init::Request {
    let scrypt = ScryptParams { n: 2, r: 1, p: 1 };
    init::Request {
        params: NetworkParams { labels_per_unit: 600, scrypt, min_units: 1, ..NetworkParams::devnet() },
        node_id: NodeId([1; 32]),
        commitment_atx_id: AtxId([2; 32]),
        units: 1,
        max_file_size: 4800,
        files: None,
        broken: Vec::new(),
        checkpoint_every: Duration::ZERO,
    }
}

fn made() -> MemoryDrive {
    let drive = MemoryDrive::default();
    init(&set(), &[Box::new(drive.clone())], &[], &mut Cpu::new(1).unwrap(), &Silent).unwrap();
    drive
}

/// As a device that is wrong there would have written it: the sums are those of what it wrote.
fn write_wrong(drive: &MemoryDrive, file: u32, label: usize) {
    change(drive, file, label);
    let mut summing = Summing::after(Sums::default(), 0);
    summing.add(drive.files()[&file].as_chunks().0);
    summing.sums().store(drive, file).unwrap();
}

fn change(drive: &MemoryDrive, file: u32, label: usize) {
    let mut bytes = drive.files()[&file].clone();
    bytes[label * 16] ^= 4;
    drive.set_file(file, bytes);
}

fn run(depth: Depth, repair: bool, drive: &MemoryDrive) -> (Outcome, Vec<(Range<u64>, Cause)>) {
    let request = Request { repair, ..Request::new(set().params, depth) };
    let (mut device, mut judge) = (Cpu::new(1).unwrap(), Cpu::new(1).unwrap());
    let mut bad = Vec::new();
    let outcome = check(&request, &[Box::new(drive.clone())], &mut device, &mut judge, &Silent, &mut |found| {
        if let Found::Bad(found) = found {
            bad.push((found.labels, found.cause));
        }
    });
    (outcome.unwrap(), bad)
}

#[test]
fn what_was_written_wrong_is_told_from_what_changed() {
    for depth in [Depth::All, Depth::Fraction(1.0)] {
        let drive = made();
        let whole = drive.files();
        write_wrong(&drive, 0, 0);
        write_wrong(&drive, 0, 299);
        write_wrong(&drive, 1, 7);
        change(&drive, 1, 9);
        let expected =
            [(0..1, Cause::WrongWhenWritten), (299..300, Cause::WrongWhenWritten), (307..308, Cause::ChangedOnDisk)];
        // Not repaired, the cause can be told as often as one looks.
        for repair in [false, false, true] {
            let (_, bad) = run(depth, repair, &drive);
            assert_eq!(bad[..3], expected);
            assert_eq!(bad[3..], [(309..310, Cause::ChangedOnDisk)]);
        }
        assert_eq!(drive.files(), whole);
        // The checksums know of the first file's true labels now; whether they know of the second's depends on whether all
        // of its labels were looked at, and a stale one is mended as soon as they are.
        assert!(run(Depth::Quick, true, &drive).0.is_sound());
        assert!(run(Depth::Quick, false, &drive).0.is_sound());
    }
}

#[test]
fn repaired_labels_are_no_suspects_and_may_be_the_smallest() {
    let drive = made();
    let nonce = drive.metadata().unwrap().unwrap().nonce.unwrap();
    let (file, label) = ((nonce / 300) as u32, nonce % 300);
    let mut journal = Journal::of(&drive).unwrap().unwrap();
    let smallest = journal.files[&file].vrf;
    assert_eq!(smallest.unwrap().index, nonce);
    let progress = journal.files.get_mut(&file).unwrap();
    progress.vrf = None;
    let other = if label < 100 { 200 } else { 10 };
    progress.suspect = vec![(label, label + 1), (other, other + 2)];
    drive.replace_record(Record::Journal, &journal.to_bytes().unwrap()).unwrap();
    change(&drive, file, label as usize);
    let (outcome, bad) = run(Depth::All, true, &drive);
    assert_eq!((outcome.repaired, bad.len()), (1, 1));
    let progress = Journal::of(&drive).unwrap().unwrap().files[&file].clone();
    assert_eq!(progress.vrf, smallest);
    assert_eq!(progress.suspect, [(other, other + 2)], "only what the CPU made anew is cleared");
}
