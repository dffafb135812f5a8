//! Fraud proofs: that a miner did what no honest miner does, to be checked by anybody who knows nothing else
//! (NODE.md section 3).
//!
//! Evidence is what the culprit signed, in whole. What makes somebody answer for an ATX is always its own signature: on
//! the ATX, or on the certificate of the marriage in whose name another member signed.
//!
//! A proof names one culprit. Those who are married with it answer for it as well, which follows from the ATXs they
//! married in and isn't proven again.

mod check;
mod codec;
mod evidence;
mod statement;

pub use check::{Guilt, NotProven, Suspect};
pub use evidence::{Participation, SharedMarriage};
pub use statement::Statement;

use crate::atx::{Atx, MAX_ATX_BYTES};
use crate::ids::{Epoch, NodeId};
use crate::params::Timing;

/// No proof is longer: four ATXs and a few numbers; two ballots are shorter.
pub const MAX_FRAUD_BYTES: usize = 4 * MAX_ATX_BYTES + 256;

/// That a miner is a fraud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FraudProof {
    /// Who.
    pub culprit: NodeId,
    /// What it did.
    pub fraud: Fraud,
}

/// What no honest miner does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fraud {
    /// It took part in two ATXs of one epoch.
    SameEpoch(Box<[Participation; 2]>),
    /// It took part in two ATXs that succeed the same one, or in two first ones.
    SamePrevious(Box<[Participation; 2]>),
    /// It married two signers, or signed two ATXs in which miners marry.
    DoubleMarriage(Box<[Wedding; 2]>),
    /// It signed an ATX with a proof of space of which one label misses.
    InvalidPost(Box<InvalidPost>),
    /// It said two things that contradict each other while blocks and beacons were agreed on.
    Contradiction(Box<[Statement; 2]>),
}

/// That a miner married.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wedding {
    /// The ATX with the marriages.
    pub atx: Atx,
    /// Which of them is the miner's.
    pub index: u32,
}

/// A label that misses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPost {
    /// The ATX, signed by the culprit.
    pub atx: Atx,
    /// The post, among those of all NiPoSTs; `None` for the initial one.
    pub post: Option<u32>,
    /// The label's position in it.
    pub position: u32,
    /// Whose post it is.
    pub miner: NodeId,
    /// In a merged ATX, the one its miners married in.
    pub marriage: Option<Atx>,
    /// The miner's first ATX, which shows what its data is bound to; `None` when `atx` is that.
    pub initial: Option<Atx>,
}

impl FraudProof {
    /// The latest epoch of what it shows: it can't have been known before.
    #[must_use]
    pub fn epoch(&self, timing: &Timing) -> Epoch {
        match &self.fraud {
            Fraud::SameEpoch(both) | Fraud::SamePrevious(both) => {
                let [first, second] = &**both;
                first.atx.publish_epoch.max(second.atx.publish_epoch)
            }
            Fraud::DoubleMarriage(both) => {
                let [first, second] = &**both;
                first.atx.publish_epoch.max(second.atx.publish_epoch)
            }
            Fraud::InvalidPost(post) => post.atx.publish_epoch,
            Fraud::Contradiction(both) => {
                let [first, second] = &**both;
                first.epoch(timing).max(second.epoch(timing))
            }
        }
    }
}
