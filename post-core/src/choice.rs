//! Which positions of a proof a verifier looks at when it looks at some only (POST.md section 6, last paragraph).

/// Positions 0 … n−1 in an order drawn from a seed: a Fisher–Yates shuffle with u16 draws from BLAKE3's output stream.
pub(crate) struct Choice {
    stream: blake3::OutputReader,
    positions: Vec<u16>,
    taken: usize,
}

impl Choice {
    /// `seed_parts` are hashed one after the other.
    pub(crate) fn new(n: u16, seed_parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in seed_parts {
            hasher.update(part);
        }
        Self { stream: hasher.finalize_xof(), positions: (0..n).collect(), taken: 0 }
    }

    fn draw(&mut self) -> u16 {
        let mut bytes = [0; 2];
        self.stream.fill(&mut bytes);
        u16::from_le_bytes(bytes)
    }
}

impl Iterator for Choice {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let remaining = u16::try_from(self.positions.len() - self.taken).ok().filter(|left| *left > 0)?;
        // Draws at or above the largest multiple of `remaining` would favour the first positions.
        let limit = u16::MAX - u16::MAX % remaining;
        let mut draw = self.draw();
        while draw >= limit {
            draw = self.draw();
        }
        self.positions.swap(self.taken, self.taken + usize::from(draw % remaining));
        self.taken += 1;
        Some(self.positions[self.taken - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        let vectors = fixtures::choices();
        assert_eq!(vectors.len(), 11);
        for v in vectors {
            let parts: Vec<&[u8]> = v.seed_parts.iter().map(|part| part.0.as_slice()).collect();
            let all: Vec<u16> = Choice::new(v.n, &parts).collect();
            assert_eq!(all[..v.taken], v.values);
            let mut hasher = blake3::Hasher::new();
            for value in &all {
                hasher.update(&u32::from(*value).to_le_bytes());
            }
            assert_eq!(hasher.finalize().as_bytes(), &v.all_values_u32le_blake3.array());
        }
    }
}
