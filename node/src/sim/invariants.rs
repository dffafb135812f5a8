//! What must hold whatever happens, as long as less than a third of the weight is bad. It is judged from what honest nodes
//! keep, after every layer and at the end:
//!
//! - **Agreement.** Two honest nodes that hold a layer for final hold the same block and the same accounts for it, and
//!   what was final once stays so.
//! - **Validity.** A final block names only ATXs that its node knows, each once, and transactions that it keeps; who is paid for a proposal is the coinbase of
//!   somebody's ATX.
//! - **Liveness.** An honest node that has been up and whole with the network for long enough, and with more than two thirds
//!   of the weight honest and up (with less no layer need ever become final; just above it that may take longer, which was
//!   not seen yet), is no more than [`MAX_LAG`] layers behind: at first Hare's word makes a layer final within a few layers; where it failed, the tortoise waits
//!   for `hdist` layers and needs some more. After a partition or a start it has [`MAX_HEALING`] layers for it: what was
//!   missed is fetched, and votes for both sides' layers have to outweigh each other. A node that was away for longer
//!   catches up by [`CATCHING_UP`] layers in two.
//! - **Voice.** An honest miner that has been up and whole with the network for [`EPOCHS_TO_SPEAK`] epochs has an ATX and a
//!   ballot in the last epoch that is over.
//! - **Justice.** Whoever was seen by honest nodes to say two things where it may say one is known as a fraud to all of them in
//!   the end; an honest miner never is.
//! - **Peace.** No honest node rejects what an honest node said, or punishes it for an answer.
//! - **Membership.** Honest nodes know the same ATXs of past epochs.
//! - **Issuance.** What the curve has issued is held, claimable, burned or carried, to the smallest unit.
//! - **Durability.** A node starts with whatever its disk has kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::liars::Guilt;
use super::member::Member;
use super::plan::Plan;
use crate::archive::{Applied, Archive};
use crate::atx::Atx;
use crate::ballot::Ballot;
use crate::block::Block;
use crate::codec::decode;
use crate::ids::{Address, AtxId, Epoch, Layer, NodeId};
use crate::params::NodeParams;
use crate::time::Time;

/// Hare fails (`zdist`), the layer leaves `hdist`, and the votes of a few more layers settle it.
const MAX_LAG: u32 = 15;
/// Twice as many layers as a partition may last, after its end.
const MAX_HEALING: u32 = 24;
/// Fetching what is missing takes a request a layer, and more for what is in it; blocks come many at once.
const CATCHING_UP: u32 = 16;
/// What was said is known everywhere after so many layers: gossip takes one, sync a few.
const MAX_NEWS: u32 = 9;
/// A miner that begins anew registers with the PoET in one epoch, publishes in the next, and has weight in the one after.
const EPOCHS_TO_SPEAK: u64 = 4;
/// No more is told of one rule.
const MOST_TOLD: usize = 5;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// See the module.
    Agreement,
    /// See the module.
    Validity,
    /// See the module.
    Liveness,
    /// See the module.
    Voice,
    /// See the module.
    Justice,
    /// See the module.
    Peace,
    /// See the module.
    Membership,
    /// See the module.
    Issuance,
    /// See the module.
    Durability,
}

/// That a rule does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// When it was seen.
    pub layer: Layer,
    /// At which node.
    pub node: usize,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in layer {} at node {}: {}", self.rule, self.layer, self.node, self.what)
    }
}

/// What the judge has seen, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Summary {
    pub(super) final_layers: u32,
    pub(super) empty_layers: u32,
    pub(super) worst_lag: u32,
    pub(super) judged: u64,
    pub(super) voices: usize,
    pub(super) transfers: u64,
    pub(super) convicted: usize,
}

/// Sees whether all holds.
pub(super) struct Judge {
    params: NodeParams,
    honest: BTreeSet<NodeId>,
    /// What is final, by the word of the honest node that said so first.
    applied: BTreeMap<Layer, (usize, Applied)>,
    /// Up to where each node's layers were looked at.
    seen: Vec<Layer>,
    /// The same a layer ago.
    seen_before: Vec<Layer>,
    /// Who equivocated how, and when for the first time.
    guilty: BTreeMap<(NodeId, Guilt), Time>,
    miners: Vec<Option<NodeId>>,
    parted: bool,
    /// When less honest weight was up than is needed for layers to become final.
    weak: Time,
    now: Time,
    summary: Summary,
    broken: Vec<Broken>,
}

impl Judge {
    pub(super) fn new(plan: &Plan, members: &[Member]) -> Self {
        let id = |member: &Member| member.signer.as_ref().map(crate::signature::Signer::node_id);
        Self {
            params: plan.params.clone(),
            honest: members.iter().filter(|member| member.is_honest()).filter_map(id).collect(),
            applied: BTreeMap::new(),
            seen: vec![plan.params.effective_genesis(); members.len()],
            seen_before: vec![plan.params.effective_genesis(); members.len()],
            guilty: BTreeMap::new(),
            miners: members.iter().map(id).collect(),
            parted: false,
            weak: plan.params.timing.genesis,
            now: plan.params.timing.genesis,
            summary: Summary::default(),
            broken: Vec::new(),
        }
    }

    /// Over all that became final.
    pub(super) fn decisions(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (layer, (_, Applied { block, root, opinion })) in &self.applied {
            hasher.update(&layer.0.to_le_bytes()).update(&block.map_or([0; 20], |block| block.0));
            hasher.update(&root.0).update(&opinion.0);
        }
        hasher.finalize().into()
    }

    pub(super) fn summary(&self) -> Summary {
        self.summary
    }

    pub(super) fn broken(self) -> Vec<Broken> {
        self.broken
    }

    fn layer(&self) -> Layer {
        self.params.timing.layer_at(self.now).unwrap_or(Layer(0))
    }

    fn breaks(&mut self, rule: Rule, node: usize, what: String) {
        if self.broken.iter().filter(|broken| broken.rule == rule).count() < MOST_TOLD {
            let layer = self.layer();
            self.broken.push(Broken { rule, layer, node, what });
        }
    }

    /// A node can't start, or can't go on.
    pub(super) fn no_restart(&mut self, now: Time, i: usize, why: &str) {
        self.now = now;
        self.breaks(Rule::Durability, i, why.into());
    }

    /// What a node had not flushed is gone, and with it what it held for final last.
    pub(super) fn died(&mut self, i: usize, member: &Member) {
        let kept = member.disk.archive().last_applied().ok().flatten();
        let first = self.params.effective_genesis();
        self.seen[i] = self.seen[i].min(kept.unwrap_or(first).max(first));
    }

    /// The network falls apart, or is one again.
    pub(super) fn parted(&mut self, parted: bool) {
        self.parted = parted;
    }

    /// A node rejects what another one said, or punishes it.
    pub(super) fn blamed(&mut self, now: Time, members: &[Member], i: usize, whom: usize, why: &str) {
        self.now = now;
        if members[i].is_honest() && members[whom].is_honest() {
            self.breaks(Rule::Peace, i, format!("it blames honest node {whom}: {why}"));
        }
    }

    /// A liar said two things, each to honest nodes.
    pub(super) fn equivocated(&mut self, now: Time, i: usize, guilt: Guilt) {
        if let Some(node_id) = self.miners[i] {
            self.guilty.entry((node_id, guilt)).or_insert(now);
        }
    }

    /// Looks at all honest nodes.
    pub(super) fn after_layer(&mut self, now: Time, layer: Layer, members: &[Member]) {
        self.now = now;
        if !is_strong(members) {
            self.weak = now;
        }
        for (i, member) in members.iter().enumerate().filter(|(_, member)| member.is_honest()) {
            // Two layers ago: it was kept a layer ago, before that layer's look.
            let before = std::mem::replace(&mut self.seen_before[i], self.seen[i]);
            self.look(i, member.disk.archive());
            let Some(node) = &member.node else { continue };
            let totals = node.ledger_totals();
            if !totals.add_up() {
                self.breaks(Rule::Issuance, i, format!("{totals:?}"));
            }
            if self.seen[i].since(before) < CATCHING_UP {
                self.lag(i, member, layer);
            }
        }
    }

    /// The layers that a node holds for final since the last time.
    fn look(&mut self, i: usize, archive: &dyn Archive) {
        let Ok(Some(last)) = archive.last_applied() else { return };
        while self.seen[i] < last {
            let layer = self.seen[i].next();
            self.seen[i] = layer;
            match archive.applied(layer) {
                Ok(Some(applied)) => self.final_layer(i, archive, layer, applied),
                _ => self.breaks(Rule::Agreement, i, format!("layer {layer} is not final, but {last} is")),
            }
        }
    }

    fn final_layer(&mut self, i: usize, archive: &dyn Archive, layer: Layer, applied: Applied) {
        let Some((first, theirs)) = self.applied.get(&layer).copied() else {
            self.applied.insert(layer, (i, applied));
            self.summary.final_layers += 1;
            self.summary.empty_layers += u32::from(applied.block.is_none());
            self.valid(i, archive, layer, applied);
            return;
        };
        if theirs != applied {
            let what = format!("layer {layer} is {applied:?}, but {theirs:?} at node {first}");
            self.breaks(Rule::Agreement, i, what);
        }
    }

    /// Who agrees with the first one has the same block, so it is looked at once.
    fn valid(&mut self, i: usize, archive: &dyn Archive, layer: Layer, applied: Applied) {
        let Some(id) = applied.block else { return };
        let block = archive.block(id).ok().flatten().and_then(|bytes| decode::<Block>(&bytes).ok());
        let Some(block) = block.filter(|block| block.id() == id && block.layer == layer) else {
            return self.breaks(Rule::Validity, i, format!("block {id} of layer {layer} is not there"));
        };
        let named: Vec<&AtxId> = block.atxs.iter().chain(&block.revoked).collect();
        if named.iter().collect::<BTreeSet<_>>().len() < named.len() {
            self.breaks(Rule::Validity, i, format!("block {id} of layer {layer} names an ATX twice"));
        }
        let unknown = |id: &&AtxId| !matches!(archive.atx(**id), Ok(Some(_)));
        if let Some(unknown) = block.atxs.iter().chain(&block.revoked).find(unknown) {
            self.breaks(
                Rule::Validity,
                i,
                format!("block {id} of layer {layer} names ATX {unknown}, which is not there"),
            );
        }
        let published = self.params.timing.epoch_of(layer).previous().unwrap_or(Epoch(0));
        let paid: BTreeSet<Address> = atxs(archive, published).map(|(_, atx)| atx.coinbase).collect();
        if let Some(reward) = block.rewards.iter().find(|reward| !paid.contains(&reward.coinbase)) {
            self.breaks(Rule::Validity, i, format!("block {id} of layer {layer} pays {}", reward.coinbase));
        }
    }

    /// How far behind a node is that should not be.
    fn lag(&mut self, i: usize, member: &Member, layer: Layer) {
        let calm = self.now.since(member.steady_since.max(self.weak)) / self.params.timing.layer_ms.max(1);
        // Before, there is nothing to be behind of.
        let young = layer.since(self.params.effective_genesis()) <= MAX_LAG;
        if young || self.parted || calm < u64::from(MAX_HEALING) {
            return;
        }
        let lag = layer.since(self.seen[i]);
        self.summary.worst_lag = self.summary.worst_lag.max(lag);
        self.summary.judged += 1;
        if lag > MAX_LAG {
            self.breaks(Rule::Liveness, i, format!("{lag} layers are not final, where {MAX_LAG} may be"));
        }
    }

    /// What takes its time must have come true.
    pub(super) fn at_the_end(&mut self, now: Time, members: &[Member]) {
        self.now = now;
        let long = u64::from(MAX_NEWS) * self.params.timing.layer_ms;
        let settled = |member: &Member| {
            member.is_honest() && member.node.is_some() && now.since(member.steady_since) >= long && !self.parted
        };
        let settled: Vec<usize> = (0..members.len()).filter(|i| settled(&members[*i])).collect();
        for (i, member) in members.iter().enumerate().filter(|(_, member)| member.is_honest()) {
            self.stays(i, member.disk.archive());
            self.whole(i, member.disk.archive());
            self.just(i, member.disk.archive(), settled.contains(&i), now.before(long));
            self.speaks(i, member);
        }
        self.same_atxs(&settled, members);
        let sent = |member: &Member| {
            let node = member.node.as_ref().filter(|_| member.is_honest())?;
            Some(members.iter().map(|of| node.account(of.coinbase()).nonce).sum())
        };
        self.summary.transfers = members.iter().filter_map(sent).max().unwrap_or(0);
    }

    /// A miner that had time to is in the last epoch that is over.
    fn speaks(&mut self, i: usize, member: &Member) {
        let timing = &self.params.timing;
        let epoch_ms = timing.layer_ms * u64::from(timing.layers_per_epoch);
        let up = self.now.since(member.steady_since);
        let epoch = timing.epoch_at(self.now).and_then(Epoch::previous);
        let (Some(id), Some(epoch)) = (self.miners[i], epoch) else { return };
        if member.node.is_none() || self.parted || up < EPOCHS_TO_SPEAK * epoch_ms {
            return;
        }
        let archive = member.disk.archive();
        let layers = timing.first_layer(epoch).0..timing.first_layer(epoch.next()).0;
        let ballots = layers.flat_map(|layer| archive.ballots(Layer(layer)).unwrap_or_default());
        let ballots = ballots.filter_map(|id| decode::<Ballot>(&archive.ballot(id).ok().flatten()?).ok());
        let published = atxs(archive, epoch).filter(|(_, atx)| atx.smesher == id).count();
        let voted = ballots.filter(|ballot| ballot.smesher == id).count();
        self.summary.voices += 1;
        if published == 0 || voted == 0 {
            let what = format!("of epoch {epoch} it has {published} ATXs and {voted} ballots of its own");
            self.breaks(Rule::Voice, i, what);
        }
    }

    /// What was final once is final still.
    fn stays(&mut self, i: usize, archive: &dyn Archive) {
        let first = self.params.effective_genesis().next();
        let looked_at: Vec<(Layer, (usize, Applied))> =
            self.applied.range(first..=self.seen[i].max(first)).map(|(layer, said)| (*layer, *said)).collect();
        for (layer, (_, said)) in looked_at {
            if layer <= self.seen[i] && archive.applied(layer) != Ok(Some(said)) {
                self.breaks(Rule::Agreement, i, format!("layer {layer} is not what it was"));
            }
        }
    }

    /// Fresh nodes can get all that final blocks name.
    fn whole(&mut self, i: usize, archive: &dyn Archive) {
        let first = self.params.effective_genesis().next();
        let blocks = (first.0..=self.seen[i].0).filter_map(|layer| archive.applied(Layer(layer)).ok().flatten()?.block);
        for id in blocks.collect::<Vec<_>>() {
            let block = archive.block(id).ok().flatten().and_then(|bytes| decode::<Block>(&bytes).ok());
            let txs = block.iter().flat_map(|block| &block.txs);
            let gone = txs.copied().find(|tx| !matches!(archive.transaction(*tx), Ok(Some(_))));
            if let Some(gone) = gone {
                self.breaks(Rule::Validity, i, format!("transaction {gone} of final block {id} is gone"));
            }
            if block.is_none() {
                self.breaks(Rule::Validity, i, format!("final block {id} is gone"));
            }
        }
    }

    fn just(&mut self, i: usize, archive: &dyn Archive, settled: bool, before: Time) {
        let convicted: BTreeSet<NodeId> = archive.frauds(None, usize::MAX).unwrap_or_default().into_iter().collect();
        self.summary.convicted = self.summary.convicted.max(convicted.len());
        if let Some(innocent) = convicted.intersection(&self.honest).next() {
            self.breaks(Rule::Justice, i, format!("honest miner {innocent} is a fraud"));
        }
        let escaped =
            self.guilty.iter().find(|((node_id, _), at)| settled && **at < before && !convicted.contains(node_id));
        if let Some(((node_id, guilt), _)) = escaped {
            let what = format!("{node_id} is no fraud there, in spite of {guilt:?}");
            self.breaks(Rule::Justice, i, what);
        }
    }

    /// ATXs of epochs that are over.
    fn same_atxs(&mut self, settled: &[usize], members: &[Member]) {
        let Some((first, rest)) = settled.split_first() else { return };
        let running = self.params.timing.epoch_at(self.now).unwrap_or(Epoch(0));
        for epoch in (0..running.0).map(Epoch) {
            let theirs = self.honest_atxs(members[*first].disk.archive(), epoch);
            for i in rest {
                let ours = self.honest_atxs(members[*i].disk.archive(), epoch);
                if ours != theirs {
                    let (ours, theirs) = (ours.len(), theirs.len());
                    let what = format!("of epoch {epoch} it has {ours} ATXs, where node {first} has {theirs} others");
                    self.breaks(Rule::Membership, *i, what);
                }
            }
        }
    }

    /// Those of honest miners: a liar's second ATX is kept or not, as it came.
    fn honest_atxs(&self, archive: &dyn Archive, epoch: Epoch) -> Vec<AtxId> {
        let is_honest = |atx: &Atx| self.honest.contains(&atx.smesher);
        atxs(archive, epoch).filter(|(_, atx)| is_honest(atx)).map(|(id, _)| id).collect()
    }
}

/// Whether more than two thirds of the weight are honest and up. With less no layer need become final.
fn is_strong(members: &[Member]) -> bool {
    let weight = |wanted: &dyn Fn(&&Member) -> bool| -> u64 {
        members.iter().filter(wanted).filter_map(|member| member.plan.units).map(u64::from).sum()
    };
    let up = weight(&|member| member.is_honest() && member.node.is_some());
    3 * up > 2 * weight(&|_| true)
}

/// All ATXs of an epoch.
fn atxs(archive: &dyn Archive, epoch: Epoch) -> impl Iterator<Item = (AtxId, Atx)> {
    let ids = archive.atx_ids(epoch, AtxId([0; 32]), AtxId([0xff; 32]), usize::MAX).unwrap_or_default();
    ids.into_iter().filter_map(|id| {
        let kept = archive.atx(id).ok().flatten()?;
        Some((id, decode(&kept.bytes).ok()?))
    })
}
