//! What was found of the last messages, by their hash.

use std::collections::{HashMap, VecDeque};

/// Messages that are remembered; 2 MiB.
const REMEMBERED: usize = 1 << 14;

/// BLAKE3 of a message's bytes.
pub(super) type Hash = [u8; 32];

/// Whether the signatures of recent messages were right.
#[derive(Default)]
pub(super) struct Recent {
    right: HashMap<Hash, bool>,
    /// In the order in which they came.
    order: VecDeque<Hash>,
}

impl Recent {
    /// What was found of a message.
    pub(super) fn get(&self, hash: &Hash) -> Option<bool> {
        self.right.get(hash).copied()
    }

    /// Remembers it; the oldest is forgotten.
    pub(super) fn put(&mut self, hash: Hash, right: bool) {
        if self.right.insert(hash, right).is_some() {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.right.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let hash = |number: usize| *blake3::hash(&number.to_le_bytes()).as_bytes();
        let mut recent = Recent::default();
        for number in 0..REMEMBERED + 10 {
            recent.put(hash(number), number % 3 == 0);
            recent.put(hash(number), number % 2 == 0);
        }
        for number in 0..REMEMBERED + 10 {
            assert_eq!(recent.get(&hash(number)), (number >= 10).then_some(number % 2 == 0));
        }
        assert_eq!((recent.right.len(), recent.order.len()), (REMEMBERED, REMEMBERED));
    }
}
