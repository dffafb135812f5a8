//! The work that a server may ask for with a registration:
//! `ripemd256(its challenge ‖ node id ‖ PoET challenge ‖ LE64 nonce)` with so many leading zero bits.

use ripemd::{Digest, Ripemd256};

use crate::ids::{NodeId, PoetChallenge};

/// More than this is refused: some minutes of one core.
pub(super) const MAX_DIFFICULTY: u32 = 30;

/// What the work is over, all but the nonce.
pub(super) struct Work(Ripemd256);

impl Work {
    pub(super) fn new(pow_challenge: &[u8], node_id: NodeId, challenge: PoetChallenge) -> Self {
        let hasher = Ripemd256::new_with_prefix(pow_challenge);
        Self(hasher.chain_update(node_id.0).chain_update(challenge.0))
    }

    pub(super) fn is_done(&self, nonce: u64, difficulty: u32) -> bool {
        let hash = self.0.clone().chain_update(nonce.to_le_bytes()).finalize();
        let zeros = hash.iter().position(|byte| *byte != 0).map_or(256, |i| 8 * i as u32 + hash[i].leading_zeros());
        zeros >= difficulty
    }

    /// The first nonce that will do.
    pub(super) fn search(&self, difficulty: u32) -> Option<u64> {
        (0..=u64::MAX).find(|&nonce| self.is_done(nonce, difficulty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash function's published vector, and a nonce found by another implementation of all of it.
    #[test]
    fn work_is_what_another_implementation_says() {
        let abc = "afbd6e228b9d8cbbcef5ca2d03e6dba10ac0bc7dcbe4680e1e42d2e975459b65";
        assert_eq!(hex::encode(Ripemd256::digest(b"abc")), abc);
        let work = Work::new(b"pow challenge", NodeId([1; 32]), PoetChallenge([2; 32]));
        assert_eq!(work.search(10), Some(984));
        assert!(work.is_done(984, 11) && !work.is_done(984, 12), "it begins with 00 13");
    }

    #[test]
    fn the_nonce_found_is_the_first_that_will_do() {
        let work = Work::new(b"pow challenge", NodeId([1; 32]), PoetChallenge([2; 32]));
        let nonce = work.search(10).unwrap();
        assert!(work.is_done(nonce, 10) && (0..nonce).all(|earlier| !work.is_done(earlier, 10)));
        assert_eq!(work.search(0), Some(0));
        for other in [
            Work::new(b"other", NodeId([1; 32]), PoetChallenge([2; 32])),
            Work::new(b"pow challenge", NodeId([3; 32]), PoetChallenge([2; 32])),
            Work::new(b"pow challenge", NodeId([1; 32]), PoetChallenge([3; 32])),
        ] {
            assert_ne!(other.search(16), work.search(16));
        }
    }
}
