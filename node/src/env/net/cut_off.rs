//! For tests: peers that are out of reach for a while, as if a cable were cut.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::source::Peer;

/// Who can't be reached when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CutOff {
    /// Who.
    pub peers: BTreeSet<Peer>,
    /// From this moment, in milliseconds since 1970,
    pub from_ms: u64,
    /// and before this one.
    pub to_ms: u64,
}

impl CutOff {
    /// Whether a peer is out of reach at a moment.
    #[must_use]
    pub fn parts(&self, now_ms: u64, peer: Peer) -> bool {
        (self.from_ms..self.to_ms).contains(&now_ms) && self.peers.contains(&peer)
    }

    /// Whether a peer is out of reach now.
    pub(super) fn parts_now(&self, peer: Peer) -> bool {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        !self.peers.is_empty() && self.parts(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), peer)
    }
}

/// `PEER,…:FROM_MS..TO_MS`, peers as hex.
impl FromStr for CutOff {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "PEER,…:FROM_MS..TO_MS is wanted".to_string();
        let (peers, time) = text.split_once(':').ok_or_else(wrong)?;
        let (from, to) = time.split_once("..").ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
        let peer = |text: &str| {
            let mut peer = Peer([0; 32]);
            hex::decode_to_slice(text, &mut peer.0).map_err(|error| format!("a peer is 64 hex digits: {error}"))?;
            Ok::<_, String>(peer)
        };
        let peers = peers.split(',').map(peer).collect::<Result<_, _>>()?;
        Ok(Self { peers, from_ms: number(from)?, to_ms: number(to)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_peers_and_only_then() {
        let (cut, other) = (Peer([1; 32]), Peer([2; 32]));
        let cut_off: CutOff = format!("{cut},{}:10..20", Peer([3; 32])).parse().unwrap();
        assert_eq!(cut_off.peers.len(), 2);
        assert!(cut_off.parts(10, cut) && cut_off.parts(19, cut));
        assert!(!cut_off.parts(9, cut) && !cut_off.parts(20, cut));
        assert!(!cut_off.parts(15, other));
        assert!(!CutOff::default().parts_now(cut));
        for wrong in ["", "10..20", ":10..20", "aa:1..2", &format!("{cut}:1"), &format!("{cut}:1..x")] {
            assert!(wrong.parse::<CutOff>().is_err(), "{wrong}");
        }
    }
}
