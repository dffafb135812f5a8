//! A simulated node's disk: what was written and not yet flushed is gone after a crash.

use crate::archive::{Memory, Write};

/// A disk.
#[derive(Default)]
pub(super) struct Disk {
    /// What the node reads.
    seen: Memory,
    /// What survives a crash; none where no crash is planned, which saves the copy.
    safe: Option<Memory>,
    unflushed: Vec<Write>,
}

impl Disk {
    /// An empty one.
    pub(super) fn new(crashes: bool) -> Self {
        Self { safe: crashes.then(Memory::default), ..Self::default() }
    }

    /// What the node reads.
    pub(super) fn archive(&self) -> &Memory {
        &self.seen
    }

    /// The writes of one step.
    pub(super) fn write(&mut self, writes: Vec<Write>) {
        for write in writes {
            if self.safe.is_some() {
                self.unflushed.push(write.clone());
            }
            self.seen.write(write);
        }
    }

    /// Everything written so far survives a crash from now on.
    pub(super) fn flush(&mut self) {
        if let Some(safe) = &mut self.safe {
            self.unflushed.drain(..).for_each(|write| safe.write(write));
        }
    }

    /// The node dies.
    pub(super) fn crash(&mut self) {
        self.unflushed.clear();
        if let Some(safe) = &self.safe {
            self.seen = safe.clone();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::archive::Archive;
    use crate::ids::Layer;

    #[test]
    fn what_was_not_flushed_is_lost() {
        let mut disk = Disk::new(true);
        disk.write(vec![Write::Speaks { layer: Layer(1) }]);
        disk.flush();
        disk.write(vec![Write::Speaks { layer: Layer(2) }]);
        assert_eq!(disk.archive().spoke().unwrap(), Some(Layer(2)));
        disk.crash();
        assert_eq!(disk.archive().spoke().unwrap(), Some(Layer(1)));
    }
}
