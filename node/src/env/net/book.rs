//! Addresses of other nodes, remembered over restarts.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::place::makes_sense;
use crate::source::Peer;
use crate::wire::{MAX_ADDRESSES, PeerAddress};

/// The file's name.
const FILE_NAME: &str = "peers.json";
/// So many addresses are remembered, and so many of them that never led to a connection.
const MAX_KNOWN: usize = 1024;
const MAX_UNTRIED: usize = 256;
/// A file with all of them is shorter.
const MAX_FILE: u64 = 1 << 20;
/// After the first failure an address is tried again so much later, each time twice as much, up to an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Those to begin with are tried at least so often.
const LONGEST_BOOTSTRAP_PAUSE: Duration = Duration::from_secs(30);
/// After so many failures an address is forgotten: at once when it never worked.
const MAX_FAILURES: u32 = 12;
const MAX_FAILURES_UNTRIED: u32 = 2;

/// What is known of an address.
#[derive(Clone, Debug)]
struct Entry {
    /// Who was there, or is said to be.
    peer: Option<Peer>,
    /// When a connection to it was last there, in seconds since 1970; 0 for never.
    seen: u64,
    /// Since the last success.
    failures: u32,
    /// Not to be tried before.
    pause: Option<Instant>,
    /// Given by the operator: never forgotten.
    bootstrap: bool,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    peer: String,
    address: SocketAddr,
    seen: u64,
}

/// The addresses.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    entries: BTreeMap<SocketAddr, Entry>,
    changed: bool,
}

impl Book {
    /// What the file in a folder says, and where to begin. A file that can't be read is as good as none.
    pub(super) fn open(directory: &Path, bootstrap: &[SocketAddr]) -> Self {
        let path = directory.join(FILE_NAME);
        let mut entries = BTreeMap::new();
        for Line { peer, address, seen } in read(&path).unwrap_or_default().into_iter().take(MAX_KNOWN) {
            let mut bytes = [0; 32];
            if hex::decode_to_slice(&peer, &mut bytes).is_ok() {
                let peer = Some(Peer(bytes));
                entries.insert(address, Entry { peer, seen, failures: 0, pause: None, bootstrap: false });
            }
        }
        for address in bootstrap {
            let new = Entry { peer: None, seen: 0, failures: 0, pause: None, bootstrap: true };
            entries.entry(*address).or_insert(new).bootstrap = true;
        }
        Self { path, entries, changed: false }
    }

    /// Addresses to try now, in random order but those that failed less first, without those of `connected` peers.
    pub(super) fn due(&self, now: Instant, connected: impl Fn(Peer) -> bool) -> Vec<SocketAddr> {
        let random = RandomState::new();
        let free = |entry: &Entry| entry.pause.is_none_or(|pause| pause <= now) && !entry.peer.is_some_and(&connected);
        let mut due: Vec<_> = self.entries.iter().filter(|(_, entry)| free(entry)).collect();
        due.sort_by_cached_key(|(address, entry)| (entry.failures, random.hash_one(address)));
        due.into_iter().map(|(address, _)| *address).collect()
    }

    /// A connection to an address was made, at so many seconds since 1970.
    pub(super) fn connected(&mut self, address: SocketAddr, peer: Peer, seen: u64) {
        let new = Entry { peer: None, seen: 0, failures: 0, pause: None, bootstrap: false };
        let entry = self.entries.entry(address).or_insert(new);
        (entry.peer, entry.seen, entry.failures, entry.pause) = (Some(peer), seen, 0, None);
        self.changed = true;
        self.shrink();
    }

    /// A connection could not be made, or broke.
    pub(super) fn failed(&mut self, now: Instant, address: SocketAddr) {
        let Some(entry) = self.entries.get_mut(&address) else { return };
        entry.failures = entry.failures.saturating_add(1);
        let longest = if entry.bootstrap { LONGEST_BOOTSTRAP_PAUSE } else { LONGEST_PAUSE };
        let pause = FIRST_PAUSE.saturating_mul(1 << entry.failures.saturating_sub(1).min(20)).min(longest);
        entry.pause = Some(now + pause);
        let patience = if entry.seen == 0 { MAX_FAILURES_UNTRIED } else { MAX_FAILURES };
        if entry.failures >= patience && !entry.bootstrap {
            self.entries.remove(&address);
            self.changed = true;
        }
    }

    /// There is nobody at an address whom to connect to: this node itself, or another network.
    pub(super) fn useless(&mut self, now: Instant, address: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.pause = Some(now + LONGEST_PAUSE);
            if !entry.bootstrap {
                self.entries.remove(&address);
                self.changed = true;
            }
        }
    }

    /// Somebody at `from` says where nodes are.
    pub(super) fn learn(&mut self, from: IpAddr, own: Peer, addresses: &[PeerAddress]) {
        for PeerAddress { peer, address } in addresses.iter().take(MAX_ADDRESSES) {
            let untried = self.entries.values().filter(|entry| entry.seen == 0).count();
            if untried < MAX_UNTRIED && *peer != own && makes_sense(*address, from) {
                let new = Entry { peer: Some(*peer), seen: 0, failures: 0, pause: None, bootstrap: false };
                self.entries.entry(*address).or_insert(new);
            }
        }
        self.shrink();
    }

    /// What to tell somebody at `to`: some of the addresses that worked last time.
    pub(super) fn share(&self, to: IpAddr) -> Vec<PeerAddress> {
        let random = RandomState::new();
        let works = |(address, entry): (&SocketAddr, &Entry)| {
            let peer = entry.peer.filter(|_| entry.seen > 0 && entry.failures == 0 && makes_sense(*address, to))?;
            Some(PeerAddress { peer, address: *address })
        };
        let mut known: Vec<_> = self.entries.iter().filter_map(works).collect();
        known.sort_by_cached_key(|known| random.hash_one(known.address));
        known.truncate(MAX_ADDRESSES);
        known
    }

    /// Forgets the worst when there are too many.
    fn shrink(&mut self) {
        while self.entries.len() > MAX_KNOWN {
            let forgettable = self.entries.iter().filter(|(_, entry)| !entry.bootstrap);
            let worst = forgettable.max_by_key(|(_, entry)| (entry.failures, u64::MAX - entry.seen));
            let Some(worst) = worst.map(|(address, _)| *address) else { return };
            self.entries.remove(&worst);
        }
    }

    /// What to write where, if anything changed since it was asked for last.
    pub(super) fn unsaved(&mut self) -> Option<Saved> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let line = |(address, entry): (&SocketAddr, &Entry)| {
            let peer = entry.peer.filter(|_| entry.seen > 0)?;
            Some(Line { peer: peer.to_string(), address: *address, seen: entry.seen })
        };
        let lines: Vec<Line> = self.entries.iter().filter_map(line).collect();
        Some(Saved { path: self.path.clone(), text: serde_json::to_vec_pretty(&lines).ok()? })
    }
}

/// The file's new text.
pub(super) struct Saved {
    path: PathBuf,
    text: Vec<u8>,
}

impl Saved {
    /// Writes a copy and renames it: a crash leaves the old file or the new one.
    ///
    /// # Errors
    /// The system's.
    #[expect(clippy::disallowed_methods, reason = "the address book is replaced by its own copy")]
    pub(super) fn write(&self) -> io::Result<()> {
        let copy = self.path.with_extension("json.new");
        let mut file = File::create(&copy)?;
        file.write_all(&self.text)?;
        file.sync_all()?;
        std::fs::rename(&copy, &self.path)
    }
}

fn read(path: &Path) -> Option<Vec<Line>> {
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text)).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests;
