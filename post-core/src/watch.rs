//! Progress out, stop in: how a long job talks to the program around it. The bars live there, not here.

use std::ops::Range;

use crate::identity::NodeId;

/// Something worth telling a person or a program.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The drives are claimed and what is to be done is settled.
    InitPlanned {
        /// The miner.
        node_id: NodeId,
        /// Space units of the set.
        units: u32,
        /// Bytes of the set.
        bytes: u64,
        /// Files of this run.
        files: usize,
        /// Files of the set.
        set_files: u32,
        /// Drives that hold a file of the set or will.
        drives: usize,
    },
    /// A drive failed in the middle; the work goes on without it.
    DriveOut {
        /// Its name.
        drive: String,
        /// What is wrong, and the cure.
        reason: String,
        /// Numbers of the files that wait for it.
        files: Vec<u32>,
    },
    /// Initialization begins: `done` of `total` labels were on disk already.
    InitStarted {
        /// Labels this run is responsible for.
        total: u64,
        /// Labels of these that an earlier run left.
        done: u64,
    },
    /// `done` labels (earlier runs included) are written; `durable` says that they would survive a power cut.
    Labels {
        /// Labels on disk.
        done: u64,
        /// Whether a checkpoint has just been made.
        durable: bool,
    },
    /// Labels that were there before, and that nobody vouches for, are read for the VRF nonce.
    VrfRescanStarted {
        /// Labels to read.
        labels: u64,
    },
    /// Labels of these read so far.
    VrfRescan {
        /// Since the rescan began.
        labels: u64,
    },
    /// No label of the set is below the threshold; the search goes on past its end, from this index.
    VrfSearchPastEnd {
        /// First index past the end.
        from: u64,
    },
    /// A proof goes on where an earlier run ended.
    ProofContinued {
        /// The pass at hand: 0, 1, …
        pass: u32,
        /// Labels that this pass has scanned.
        done: u64,
        /// Labels it scans at most.
        labels: u64,
        /// k2pows that are known already.
        pows: usize,
    },
    /// No drive lets the progress of a proof be kept, or none does any more. The work goes on.
    ProgressNotKept {
        /// Why the first drive refuses.
        reason: String,
    },
    /// Labels on disk are about to be looked at; an earlier run looked at `done` of them.
    CheckStarted {
        /// Labels to look at, those of the earlier run included.
        labels: u64,
        /// Labels of these that are done.
        done: u64,
    },
    /// Labels looked at so far.
    Checked {
        /// Those of an earlier run included.
        labels: u64,
    },
    /// Work on the k2pow of some nonce groups begins.
    PowStarted {
        /// The groups of this pass whose k2pow is not known yet.
        groups: Range<u32>,
        /// Hashes one group takes on average.
        expected_hashes: f64,
    },
    /// RandomX's full-memory dataset is about to be built; this takes most of a minute.
    DatasetStarted,
    /// Hashes tried for the group at hand.
    PowHashes {
        /// Since the group began.
        hashes: u64,
    },
    /// The k2pow of one group is found.
    PowFound {
        /// The group.
        group: u32,
        /// The smallest valid pow.
        pow: u64,
    },
    /// A pass over the data begins.
    PassStarted {
        /// 0, 1, …
        pass: u32,
        /// The nonces it tries.
        nonces: Range<u32>,
        /// Labels it reads at most.
        labels: u64,
        /// Labels of these that an earlier run has scanned.
        done: u64,
    },
    /// Labels scanned so far in this pass.
    Scanned {
        /// Since the pass began, by earlier runs too.
        labels: u64,
    },
    /// Labels can't be read. The pass goes on: if what lies before them is enough for a proof, they were not needed.
    ReadFailed {
        /// The first of them.
        from: u64,
        /// What the drive says.
        reason: String,
    },
}

/// Receives events and may ask for a stop; both from any thread.
pub trait Watch: Sync {
    /// Called often, so keep it short.
    fn event(&self, event: Event);

    /// Once true it must stay true; the job ends soon after with a typed error and leaves durable state behind.
    fn stop(&self) -> bool {
        false
    }
}

/// Listens to nothing, never stops.
pub struct Silent;

impl Watch for Silent {
    fn event(&self, _event: Event) {}
}
