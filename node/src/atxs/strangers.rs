//! Fraud proofs of miners of whom no ATX is known.
//!
//! Anybody can make keys, and two ATXs of one key that contradict each other, at no cost: they need no space. Such proofs
//! are neither kept on disk nor handed on. A few are remembered until the first ATX of the miner is accepted; what gave way
//! comes again by sync.

use std::collections::{BTreeSet, VecDeque};

use crate::fraud::Suspect;
use crate::ids::{AtxId, NodeId};
use crate::time::Time;

/// At most so many proofs.
const MAX_PROOFS: usize = 1024;
/// At most so many bytes of them.
const MAX_BYTES: usize = 4 << 20;
/// What is kept of a proof beside its bytes.
const OVERHEAD: usize = 512;

/// A fraud proof that proves something, up to one label.
#[derive(Debug)]
pub(super) struct Stranger {
    /// The hash of its bytes.
    pub(super) name: AtxId,
    pub(super) culprit: NodeId,
    pub(super) bytes: Vec<u8>,
    /// When it came.
    pub(super) at: Time,
    /// The proof of space of which a label should miss.
    pub(super) suspect: Option<Suspect>,
}

impl Stranger {
    /// A suspect proof of space is a part of the bytes.
    fn cost(&self) -> usize {
        2 * self.bytes.len() + OVERHEAD
    }
}

/// All of them, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    proofs: VecDeque<Stranger>,
    bytes: usize,
}

impl Strangers {
    pub(super) fn has(&self, name: AtxId) -> bool {
        self.proofs.iter().any(|proof| proof.name == name)
    }

    /// Remembers one; the oldest give way.
    pub(super) fn put(&mut self, proof: Stranger) {
        self.bytes += proof.cost();
        self.proofs.push_back(proof);
        while self.proofs.len() > MAX_PROOFS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.proofs.pop_front() else { return };
            self.bytes -= oldest.cost();
        }
    }

    /// Takes out those of `miners`.
    pub(super) fn take(&mut self, miners: &BTreeSet<NodeId>) -> Vec<Stranger> {
        if !self.proofs.iter().any(|proof| miners.contains(&proof.culprit)) {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.proofs).into_iter();
        let (taken, left): (Vec<_>, Vec<_>) = all.partition(|proof| miners.contains(&proof.culprit));
        self.bytes -= taken.iter().map(Stranger::cost).sum::<usize>();
        self.proofs = left.into();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(number: u32, len: usize) -> Stranger {
        let name: [u8; 32] = blake3::hash(&number.to_le_bytes()).into();
        Stranger { name: AtxId(name), culprit: NodeId(name), bytes: vec![0; len], at: Time(0), suspect: None }
    }

    #[test]
    fn few_are_remembered_and_the_latest_stay() {
        for (len, most) in [(100, MAX_PROOFS), (1 << 20, 1)] {
            let mut strangers = Strangers::default();
            for number in 0..3000 {
                strangers.put(proof(number, len));
                assert!(strangers.proofs.len() <= most && strangers.bytes <= MAX_BYTES);
            }
            let last = proof(2999, len);
            assert!(strangers.has(last.name) && !strangers.has(proof(0, len).name));
            let taken = strangers.take(&BTreeSet::from([last.culprit]));
            assert_eq!(taken.iter().map(|proof| proof.name).collect::<Vec<_>>(), [last.name]);
            let rest = strangers.proofs.iter().map(|proof| proof.culprit).collect();
            assert_eq!(strangers.take(&rest).len(), most - 1);
            assert_eq!(strangers.bytes, 0);
        }
    }
}
