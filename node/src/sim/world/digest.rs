//! What goes into a world's digest: enough of what nodes do that two different stories differ.

use crate::archive::Write;
use crate::node::Effect;
use crate::source::Source;
use crate::time::Time;

/// Over all that was done.
#[derive(Default)]
pub(super) struct Digest(blake3::Hasher);

impl Digest {
    pub(super) fn value(&self) -> [u8; 32] {
        self.0.finalize().into()
    }

    fn add(&mut self, kind: u8, parts: &[&[u8]]) {
        self.0.update(&[kind]);
        parts.iter().for_each(|part| {
            self.0.update(part);
        });
    }

    /// A node has started.
    pub(super) fn start(&mut self, now: Time, i: usize) {
        self.add(0, &[&now.0.to_le_bytes(), &(i as u32).to_le_bytes()]);
    }

    /// A node wants something done.
    pub(super) fn effect(&mut self, now: Time, i: usize, effect: &Effect) {
        self.0.update(&now.0.to_le_bytes()).update(&(i as u32).to_le_bytes());
        match effect {
            Effect::Persist(writes) => writes.iter().for_each(|write| self.write(write)),
            Effect::Verdict { source: Source::Gossip { message, .. }, verdict, .. } => {
                self.add(1, &[&message.0[..8], &[*verdict as u8]]);
            }
            Effect::Gossip { topic, bytes } => self.add(2, &[&[*topic as u8], bytes]),
            Effect::Judge(dear) => self.add(3, &[&dear.id.0]),
            Effect::Check { bytes, .. } => self.add(4, &[bytes]),
            other => self.add(5, &[format!("{other:?}").as_bytes()]),
        }
    }

    fn write(&mut self, write: &Write) {
        match write {
            // Its name says it all.
            Write::Atx { id, received, .. } => self.add(6, &[&id.0, &received.0.to_le_bytes()]),
            Write::Poet { id, .. } => self.add(7, &[&id.0]),
            Write::Fraud { node_id, bytes, .. } => self.add(8, &[&node_id.0, bytes]),
            Write::Smeshing { node_id, bytes } => self.add(9, &[&node_id.0, bytes]),
            Write::Ballot { id, .. } => self.add(10, &[&id.0]),
            Write::Content { id, .. } => self.add(11, &[&id.0]),
            Write::Block { id, .. } => self.add(12, &[&id.0]),
            Write::Transaction { id, .. } => self.add(13, &[&id.0]),
            Write::Ledger { key, value } => self.add(14, &[key, value.as_deref().unwrap_or_default()]),
            Write::Opinion { opinion, bytes, .. } => self.add(16, &[&opinion.0, bytes]),
            other => self.add(15, &[format!("{other:?}").as_bytes()]),
        }
    }
}
