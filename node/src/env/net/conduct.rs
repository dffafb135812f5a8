//! How peers behave: offences, and who is banned for them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::source::Peer;

/// So many offenders, and so many banned, are remembered.
const MAX_REMEMBERED: usize = 4096;
/// An offence is forgiven after so long.
const FORGIVEN: Duration = Duration::from_secs(60);

/// What a peer did, in hundredths of an offence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight(u32);

impl Weight {
    /// A message that its sender could know to be bad.
    pub(super) const BAD_MESSAGE: Self = Self(100);
    /// An answer that contradicts itself, or nonsense on a stream.
    pub(super) const LIE: Self = Self(400);
    /// A request that never came to its end.
    pub(super) const SLOW: Self = Self(100);
    /// A message more than a peer may send.
    pub(super) const EXCESS: Self = Self(1);
    /// Enough for any limit.
    pub(super) const UNBEARABLE: Self = Self(u32::MAX);
}

/// Offences and bans.
#[derive(Debug)]
pub(super) struct Conduct {
    limit: u64,
    ban: Duration,
    offences: BTreeMap<Peer, (u64, Instant)>,
    banned: BTreeMap<Peer, Instant>,
}

impl Conduct {
    /// So many offences have a peer banned for so long.
    pub(super) fn new(limit: u32, ban: Duration) -> Self {
        Self { limit: u64::from(limit) * 100, ban, offences: BTreeMap::new(), banned: BTreeMap::new() }
    }

    /// Notes an offence; true when the peer is banned for it now.
    pub(super) fn offend(&mut self, now: Instant, peer: Peer, weight: Weight) -> bool {
        if self.is_banned(now, peer) {
            return false;
        }
        let so_far = self.offences.remove(&peer).map_or(0, |(points, since)| left(now, points, since));
        let points = so_far + u64::from(weight.0);
        if points < self.limit {
            make_room(&mut self.offences, |(points, since)| left(now, *points, *since));
            self.offences.insert(peer, (points, now));
            return false;
        }
        make_room(&mut self.banned, |until| *until);
        self.banned.insert(peer, now + self.ban);
        true
    }

    /// Whether no connection is wanted with a peer.
    pub(super) fn is_banned(&self, now: Instant, peer: Peer) -> bool {
        self.banned.get(&peer).is_some_and(|until| *until > now)
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self, now: Instant) {
        self.offences.retain(|_, (points, since)| left(now, *points, *since) > 0);
        self.banned.retain(|_, until| *until > now);
    }
}

/// What is left of offences after a while.
fn left(now: Instant, points: u64, since: Instant) -> u64 {
    let forgiven = now.saturating_duration_since(since).as_millis() * 100 / FORGIVEN.as_millis();
    points.saturating_sub(u64::try_from(forgiven).unwrap_or(u64::MAX))
}

/// Drops the one that matters least when there are too many.
fn make_room<V, K: Ord>(all: &mut BTreeMap<Peer, V>, matters: impl Fn(&V) -> K) {
    if all.len() >= MAX_REMEMBERED
        && let Some(least) = all.iter().min_by_key(|(_, value)| matters(value)).map(|(peer, _)| *peer)
    {
        all.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(i: u32) -> Peer {
        let mut peer = Peer([0; 32]);
        peer.0[..4].copy_from_slice(&i.to_be_bytes());
        peer
    }

    #[test]
    fn the_last_straw_bans_for_a_while() {
        let now = Instant::now();
        let mut conduct = Conduct::new(3, Duration::from_secs(100));
        let mut offend = |seconds, weight| conduct.offend(now + Duration::from_secs(seconds), peer(1), weight);
        assert!(!offend(0, Weight::BAD_MESSAGE));
        assert!(!offend(0, Weight::BAD_MESSAGE));
        // Two minutes forgive two.
        assert!(!offend(120, Weight::BAD_MESSAGE));
        assert!(!offend(120, Weight::BAD_MESSAGE));
        assert!(offend(120, Weight::BAD_MESSAGE));
        // Once is enough.
        assert!(!offend(121, Weight::LIE));
        let banned = |seconds| conduct.is_banned(now + Duration::from_secs(seconds), peer(1));
        assert!(banned(121) && banned(219) && !banned(220));
        assert!(!conduct.is_banned(now, peer(2)));
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_worst() {
        let now = Instant::now();
        let mut conduct = Conduct::new(10, Duration::from_secs(100));
        for _ in 0..9 {
            conduct.offend(now, peer(0), Weight::BAD_MESSAGE);
        }
        for i in 1..3 * MAX_REMEMBERED as u32 {
            conduct.offend(now, peer(i), Weight::EXCESS);
        }
        assert_eq!(conduct.offences.len(), MAX_REMEMBERED);
        assert!(conduct.offend(now, peer(0), Weight::BAD_MESSAGE));
        for i in 1..3 * MAX_REMEMBERED as u32 {
            assert!(conduct.offend(now, peer(i), Weight::UNBEARABLE));
        }
        assert_eq!(conduct.banned.len(), MAX_REMEMBERED);
        conduct.forget(now + Duration::from_secs(1000));
        assert!(conduct.banned.is_empty() && conduct.offences.is_empty());
    }
}
