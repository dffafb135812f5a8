//! A simulated node: the real machine, its disk, and what waits for the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::disk::Disk;
use super::liars::Liar;
use super::plan::NodePlan;
use super::spending::account_of;
use crate::archive::ArchiveError;
use crate::crypto::Crypto;
use crate::ids::{Address, Challenge};
use crate::node::{Config, Effect, Input, Node};
use crate::params::NodeParams;
use crate::restore::{RestoreError, restore};
use crate::signature::{Signer, Verifier};
use crate::source::Peer;
use crate::sync;
use crate::time::Time;

/// A node.
pub(super) struct Member {
    pub(super) plan: NodePlan,
    pub(super) peer: Peer,
    /// The key of its miner.
    pub(super) signer: Option<Signer>,
    /// `None` while it is down.
    pub(super) node: Option<Node>,
    /// Goes up at every start: what was meant for the node before a crash doesn't reach the one after it.
    pub(super) life: u32,
    pub(super) disk: Disk,
    /// Whether the disk is flushing.
    pub(super) flushing: bool,
    /// What is done once it has flushed, in order.
    pub(super) waiting: VecDeque<Effect>,
    /// What its miner's prover is to prove.
    pub(super) wanted: Option<Challenge>,
    /// How it lies.
    pub(super) liar: Option<Liar>,
    /// Since when it is up, with all of the network to talk to.
    pub(super) steady_since: Time,
}

impl Member {
    pub(super) fn new(plan: NodePlan, peer: Peer, params: &NodeParams, crypto: &dyn Crypto, lies: Option<u64>) -> Self {
        let signer = plan.units.map(|_| Signer::with(crypto, params.genesis_id, &plan.key));
        let liar = lies.and_then(|seed| Some(Liar::new(seed, signer.clone().filter(|_| plan.liar)?)));
        Self {
            disk: Disk::new(!plan.crashes.is_empty()),
            steady_since: plan.starts,
            plan,
            peer,
            signer,
            node: None,
            life: 0,
            flushing: false,
            waiting: VecDeque::new(),
            wanted: None,
            liar,
        }
    }

    /// Where it is paid: the account of its miner's key.
    pub(super) fn coinbase(&self) -> Address {
        self.signer.as_ref().map_or(self.plan.coinbase, account_of)
    }

    /// Whether it does as it should, as long as it is there.
    pub(super) fn is_honest(&self) -> bool {
        !self.plan.liar
    }

    /// Starts with what its disk holds.
    pub(super) fn start(&mut self, params: &NodeParams, crypto: &Arc<dyn Crypto>) -> Result<(), RestoreError> {
        let mut node = Node::new(Config {
            params: params.clone(),
            verifier: Verifier::with(Arc::clone(crypto), params.genesis_id),
            peer: self.peer,
            coinbase: self.coinbase(),
            signers: self.signer.iter().cloned().collect(),
            sync: sync::Config::new(params.timing.clone(), self.peer.0),
        });
        restore(&mut node, self.disk.archive())?;
        self.node = Some(node);
        self.life += 1;
        Ok(())
    }

    /// Ends, with all that was not flushed.
    pub(super) fn die(&mut self) {
        self.node = None;
        self.flushing = false;
        self.waiting.clear();
        self.wanted = None;
        self.disk.crash();
    }

    /// Takes a step, by its own clock. What it writes is written; all else is in `out`.
    pub(super) fn step(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) -> Result<bool, ArchiveError> {
        let Some(node) = &mut self.node else { return Ok(false) };
        node.step(self.plan.clock(now), self.disk.archive(), input, out)?;
        Ok(true)
    }
}
