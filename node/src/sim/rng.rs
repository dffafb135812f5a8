//! All that is left to chance in a simulated world: BLAKE3 of the seed and what the chance is for.

/// Bytes made at once.
const BUFFER: usize = 1024;

/// Numbers that follow from a seed and a label.
pub(super) struct Rng {
    stream: blake3::OutputReader,
    buffer: [u8; BUFFER],
    used: usize,
}

impl Rng {
    /// Other numbers for each label and index.
    pub(super) fn new(seed: u64, label: &str, index: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(&index.to_le_bytes()).update(label.as_bytes());
        Self { stream: hasher.finalize_xof(), buffer: [0; BUFFER], used: BUFFER }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > BUFFER {
            self.stream.fill(&mut self.buffer);
            self.used = 0;
        }
        let mut out = [0; N];
        out.copy_from_slice(&self.buffer[self.used..self.used + N]);
        self.used += N;
        out
    }

    /// 32 bytes.
    pub(super) fn bytes(&mut self) -> [u8; 32] {
        self.take()
    }

    /// Any number.
    pub(super) fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// One of 0 … `end` − 1; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // Below 2^64, since the product is below 2^64 · `end`.
        ((u128::from(self.number()) * u128::from(end)) >> 64) as u64
    }

    /// One of `first` … `last`.
    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// True so often in a thousand.
    pub(super) fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < u64::from(permille)
    }

    /// With an exponential tail: half of them are below `half`, a quarter between that and twice as much, and so on.
    pub(super) fn tailed(&mut self, half: u64) -> u64 {
        let doublings = u64::from(self.number().leading_zeros());
        doublings * half + self.below(half)
    }

    /// Any order.
    pub(super) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            all.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_from_seed_and_label() {
        let first = |seed, label, index| Rng::new(seed, label, index).number();
        assert_eq!(first(1, "a", 0), first(1, "a", 0));
        assert_ne!(first(1, "a", 0), first(2, "a", 0));
        assert_ne!(first(1, "a", 0), first(1, "b", 0));
        assert_ne!(first(1, "a", 0), first(1, "a", 1));
    }

    #[test]
    fn numbers_lie_where_they_should_and_everywhere() {
        let mut rng = Rng::new(7, "test", 0);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[rng.below(10) as usize] += 1;
            assert!((5..=9).contains(&rng.between(5, 9)));
        }
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
        let tail: Vec<u64> = (0..10_000).map(|_| rng.tailed(100)).collect();
        let below = tail.iter().filter(|ms| **ms < 100).count();
        assert!((4700..5300).contains(&below) && tail.iter().any(|ms| *ms > 800), "{below}");
        let mut order: Vec<u64> = (0..50).collect();
        rng.shuffle(&mut order);
        assert!(order.windows(2).any(|pair| pair[0] > pair[1]));
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
