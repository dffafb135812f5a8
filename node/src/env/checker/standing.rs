//! Whose signatures are checked together with those of others.
//!
//! One wrong signature makes a whole batch be checked once more. So a peer's go into the common batch only after it has
//! sent some right ones in a row: whoever wants to spoil a batch pays with these, each of them an ATX that was signed.

use std::collections::HashMap;

use crate::source::Peer;

/// Right signatures in a row that earn trust.
const ENOUGH: u8 = 16;

/// Peers that are remembered. When there are more, all begin anew: that costs some time and nobody's message.
const REMEMBERED: usize = 4096;

/// The right signatures in a row of each peer.
#[derive(Default)]
pub(super) struct Standings(HashMap<Option<Peer>, u8>);

impl Standings {
    /// Whether a peer's signatures may go with those of others; this node itself is like a peer.
    pub(super) fn trusted(&self, peer: Option<Peer>) -> bool {
        self.0.get(&peer).is_some_and(|row| *row >= ENOUGH)
    }

    /// A signature of a peer was checked.
    pub(super) fn note(&mut self, peer: Option<Peer>, right: bool) {
        if !right {
            self.0.remove(&peer);
            return;
        }
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&peer) {
            self.0.clear();
        }
        let row = self.0.entry(peer).or_default();
        *row = row.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_earned_slowly_and_lost_at_once() {
        let (mut standings, peer) = (Standings::default(), Some(Peer([1; 32])));
        for _ in 0..2 {
            for _ in 0..ENOUGH {
                assert!(!standings.trusted(peer));
                standings.note(peer, true);
            }
            assert!(standings.trusted(peer));
            assert!(!standings.trusted(None));
            standings.note(peer, false);
        }
        assert!(!standings.trusted(peer));
    }

    #[test]
    fn many_peers_do_not_fill_the_memory() {
        let mut standings = Standings::default();
        for number in 0..3 * REMEMBERED as u64 {
            standings.note(Some(Peer(*blake3::hash(&number.to_le_bytes()).as_bytes())), true);
            assert!(standings.0.len() <= REMEMBERED);
        }
    }
}
