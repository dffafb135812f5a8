//! All identities of this process, and the directories that can't be served (yet).

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::sync::mpsc;

use super::ending::Ending;
use super::engine::Engine;
use super::lock::lock;
use super::prover::Prover;
use super::sets::{Broken, SetDirs, group, places};
use crate::report::{chain, plain, say};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// All identities, and the directories that can't be served.
pub(crate) struct Served {
    engine: Arc<Engine>,
    provers: Mutex<Vec<Arc<Prover>>>,
    broken: Mutex<Vec<Broken>>,
}

impl Served {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine: Arc::new(engine), provers: Mutex::default(), broken: Mutex::default() }
    }

    pub(crate) fn provers(&self) -> Vec<Arc<Prover>> {
        lock(&self.provers).clone()
    }

    pub(crate) fn broken(&self) -> Vec<Broken> {
        lock(&self.broken).clone()
    }

    /// Opens the sets in `dirs`, and returns those that can be served now. Of the others each reason is told when it is news.
    pub(crate) fn look(&self, dirs: &[PathBuf]) -> Vec<Arc<Prover>> {
        let (sets, mut broken) = group(dirs);
        let mut fresh = Vec::new();
        for set in sets {
            let dirs = set.dirs.clone();
            match self.open(set) {
                Ok(prover) => fresh.push(prover),
                Err(error) => broken.push(Broken { dirs, reason: chain(&*error) }),
            }
        }
        let before = std::mem::replace(&mut *lock(&self.broken), broken.clone());
        for broken in broken.iter().filter(|broken| !before.contains(broken)) {
            say(&plain(format!("{} can't be served: {}", places(&broken.dirs), broken.reason)));
        }
        fresh
    }

    fn open(&self, set: SetDirs) -> Result<Arc<Prover>> {
        let other = self.provers().into_iter().find(|prover| prover.dirs().node_id == set.node_id);
        if let Some(other) = other {
            // A node knows an identity by its id, and asks it for one proof.
            bail!(
                "it is of the identity that {} is of; give all directories of one set before the start, and only one set of an identity",
                other.dirs().places()
            );
        }
        let prover = Arc::new(Prover::new(set, Arc::clone(&self.engine))?);
        prover.note(&format!("{} units in {}", prover.last_metadata().num_units, prover.dirs().places()));
        lock(&self.provers).push(Arc::clone(&prover));
        Ok(prover)
    }
}

/// Looks at what can't be served, again and again, until everything is.
pub(crate) fn look_again(served: &Served, pause: Duration, found: &mpsc::UnboundedSender<Arc<Prover>>) {
    loop {
        let broken = served.broken();
        if broken.is_empty() || !wait(&served.engine.ending, pause) {
            return;
        }
        let dirs: Vec<PathBuf> = broken.into_iter().flat_map(|broken| broken.dirs).collect();
        for prover in served.look(&dirs) {
            if found.send(prover).is_err() {
                return;
            }
        }
    }
}

/// False when all is to end.
fn wait(ending: &Ending, pause: Duration) -> bool {
    let started = Instant::now();
    while started.elapsed() < pause && !ending.requested() {
        std::thread::sleep(LOOK_EVERY.min(pause));
    }
    !ending.requested()
}
