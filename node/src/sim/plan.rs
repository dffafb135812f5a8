//! What a seed means: who there is, what will go wrong and when. It is all drawn before the world begins, so that a seed
//! can be read as a story.

use super::network::{Latency, Partition};
use super::rng::Rng;
use super::settings::{Fault, Settings};
use crate::ids::{Address, GenesisId, Layer};
use crate::params::{ConsensusParams, NodeParams, Timing};
use crate::time::Time;

/// When simulated networks begin.
const GENESIS: Time = Time(1_700_000_000_000);
/// One node in so many has no miner.
const IDLE: u64 = 12;
/// The most space a miner has.
const MAX_UNITS: u64 = 1000;
/// Clocks are off by this at most, either way: less than half of one of Hare's rounds, or the grades of messages between
/// two honest nodes would drop by more than one.
const MAX_SKEW_MS: u64 = 300;
/// Parts of the network find each other again after so many layers at most.
const MAX_PARTITION_LAYERS: u64 = 12;

/// A node's part in the story.
#[derive(Clone, Debug)]
pub(super) struct NodePlan {
    /// What its miner's key is made of.
    pub(super) key: [u8; 32],
    /// Its miner's space; none without a miner.
    pub(super) units: Option<u32>,
    /// Who is paid.
    pub(super) coinbase: Address,
    /// Its clock shows this more than the true time.
    pub(super) skew_ms: i64,
    /// When it starts.
    pub(super) starts: Time,
    /// When it goes for good.
    pub(super) stops: Option<Time>,
    /// When it crashes, and how long it is down.
    pub(super) crashes: Vec<(Time, u64)>,
    /// Whether its miner lies.
    pub(super) liar: bool,
    /// How long its disk takes to flush.
    pub(super) flush_ms: u64,
}

impl NodePlan {
    /// What its clock shows.
    pub(super) fn clock(&self, now: Time) -> Time {
        if self.skew_ms < 0 { now.before(self.skew_ms.unsigned_abs()) } else { now.after(self.skew_ms.unsigned_abs()) }
    }
}

/// The whole story.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Where it comes from.
    pub(super) seed: u64,
    /// The network.
    pub(super) params: NodeParams,
    /// Everybody.
    pub(super) nodes: Vec<NodePlan>,
    /// How long messages take.
    pub(super) latency: Latency,
    /// How many in a thousand are lost.
    pub(super) loss_permille: u32,
    /// When the network is in two parts.
    pub(super) partitions: Vec<Partition>,
    /// When all ends.
    pub(super) end: Time,
}

impl Plan {
    /// The story of a seed.
    pub(super) fn new(settings: &Settings, seed: u64) -> Self {
        let params = params(settings, seed);
        let timing = &params.timing;
        let last = params.effective_genesis().after(settings.layers);
        let mut plan = Self {
            seed,
            nodes: nodes(settings, seed),
            latency: Latency::Uniform { min: 20, max: 200 },
            loss_permille: 0,
            partitions: Vec::new(),
            end: timing.layer_starts(last.next()),
            params,
        };
        let has = |fault| settings.faults.has(fault);
        plan.choose_bad(settings, has(Fault::Stop) && !settings.twins);
        if settings.twins {
            plan.add_twins();
        }
        if has(Fault::Latency) {
            plan.latency = latency(&mut Rng::new(seed, "latency", 0));
        }
        if has(Fault::Loss) {
            plan.loss_permille = Rng::new(seed, "loss", 0).between(1, 20) as u32;
        }
        if has(Fault::Skew) {
            plan.skew();
        }
        if has(Fault::Partition) && !settings.twins {
            plan.part(settings.layers);
        }
        if has(Fault::Late) {
            plan.delay(settings.layers);
        }
        if has(Fault::Crash) {
            plan.crash(settings.layers);
        }
        plan
    }

    /// The story for people, a line for whoever or whatever it is about.
    pub(super) fn story(&self) -> Vec<String> {
        let timing = &self.params.timing;
        let when = |at: Time| {
            let ms = at.since(timing.genesis);
            format!("{}.{:03}", ms / timing.layer_ms, ms % timing.layer_ms * 1000 / timing.layer_ms)
        };
        let mut lines =
            vec![format!("latency {:?}, lost {} of 1000; times are layers", self.latency, self.loss_permille)];
        for Partition { from, to, sides } in &self.partitions {
            let others: Vec<usize> = (0..sides.len()).filter(|i| sides[*i]).collect();
            lines.push(format!("from {} to {} without {others:?}", when(*from), when(*to)));
        }
        for (i, node) in self.nodes.iter().enumerate() {
            let mut line = format!("node {i}: {} units, clock {:+} ms", node.units.unwrap_or(0), node.skew_ms);
            if node.liar {
                line += ", lies";
            }
            if node.starts >= timing.layer_starts(Layer(1)) {
                line += &format!(", comes at {}", when(node.starts));
            }
            for (at, down_ms) in &node.crashes {
                line += &format!(", down from {} to {}", when(*at), when(at.after(*down_ms)));
            }
            line += &node.stops.map_or(String::new(), |at| format!(", goes at {}", when(at)));
            lines.push(line);
        }
        lines
    }

    /// A moment in one of the layers in which somebody has weight, so many from the end kept free.
    fn moment(&self, rng: &mut Rng, layers: u32, free: u32) -> Time {
        let first = self.params.effective_genesis().next();
        let ms = self.params.timing.layer_ms * u64::from(layers.saturating_sub(free).max(1));
        self.params.timing.layer_starts(first).after(rng.below(ms))
    }

    /// Liars, and those who will stop: together they have no more than the share that may be bad.
    fn choose_bad(&mut self, settings: &Settings, some_stop: bool) {
        let mut rng = Rng::new(self.seed, "bad", 0);
        let weight = |node: &NodePlan| u64::from(node.units.unwrap_or(0));
        let total: u64 = self.nodes.iter().map(weight).sum();
        let mut room = total * u64::from(settings.dishonest) / 100;
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        rng.shuffle(&mut order);
        for i in order {
            let weight = weight(&self.nodes[i]);
            if weight == 0 || weight > room {
                continue;
            }
            room -= weight;
            if some_stop && rng.chance(300) {
                self.nodes[i].stops = Some(self.moment(&mut rng, settings.layers, 0));
            } else {
                self.nodes[i].liar = true;
            }
        }
    }

    /// A second node for each liar, in the other part of the network; honest weight is divided as evenly as it can be.
    fn add_twins(&mut self) {
        let first = self.params.effective_genesis().next();
        let from = self.params.timing.layer_starts(first).before(self.params.timing.delta_ms);
        let to = self.params.timing.layer_starts(first.after(MAX_PARTITION_LAYERS as u32));
        let mut order: Vec<usize> = (0..self.nodes.len()).filter(|i| !self.nodes[*i].liar).collect();
        order.sort_by_key(|i| std::cmp::Reverse(self.nodes[*i].units));
        let (mut sides, mut weights) = (vec![false; self.nodes.len()], [0u64; 2]);
        for i in order {
            sides[i] = weights[1] < weights[0];
            weights[usize::from(sides[i])] += u64::from(self.nodes[i].units.unwrap_or(0));
        }
        for i in 0..sides.len() {
            if self.nodes[i].liar {
                // Time to learn what the others know; nobody has anything to say yet.
                let starts = from.before(4 * self.params.timing.layer_ms);
                self.nodes.push(NodePlan { starts, ..self.nodes[i].clone() });
                sides.push(true);
            }
        }
        self.partitions.push(Partition { from, to, sides });
    }

    fn skew(&mut self) {
        let mut rng = Rng::new(self.seed, "skew", 0);
        for node in &mut self.nodes {
            node.skew_ms = rng.below(2 * MAX_SKEW_MS + 1) as i64 - MAX_SKEW_MS as i64;
        }
    }

    /// One partition or two, one after the other.
    fn part(&mut self, layers: u32) {
        let mut rng = Rng::new(self.seed, "partition", 0);
        let layer_ms = self.params.timing.layer_ms;
        let mut from = self.moment(&mut rng, layers / 4, 0);
        for _ in 0..rng.between(1, 2) {
            let to = from.after(rng.between(layer_ms, MAX_PARTITION_LAYERS * layer_ms));
            let share = rng.between(100, 500) as u32;
            let sides = self.nodes.iter().map(|_| rng.chance(share)).collect();
            self.partitions.push(Partition { from, to, sides });
            from = to.after(rng.between(3 * layer_ms, 10 * layer_ms));
        }
    }

    /// Some start late.
    fn delay(&mut self, layers: u32) {
        let mut rng = Rng::new(self.seed, "late", 0);
        for i in 0..self.nodes.len() {
            if i >= 4 && rng.chance(100) {
                self.nodes[i].starts = self.moment(&mut rng, layers, 10);
            }
        }
    }

    fn crash(&mut self, layers: u32) {
        let mut rng = Rng::new(self.seed, "crash", 0);
        let genesis = self.params.timing.genesis;
        for i in 0..self.nodes.len() {
            if !rng.chance(150) {
                continue;
            }
            // Anywhere: in the middle of the first ATXs as well.
            let end = self.moment(&mut rng, layers, 5).since(genesis);
            let mut at = genesis.after(rng.below(end));
            for _ in 0..rng.between(1, 3) {
                let down = rng.between(2_000, 40_000);
                self.nodes[i].crashes.push((at, down));
                at = at.after(down + rng.between(5_000, 100_000));
            }
        }
    }
}

/// Layers of 10 s, ten an epoch; everything in proportion.
fn params(settings: &Settings, seed: u64) -> NodeParams {
    let mut genesis_id = GenesisId([0; 20]);
    genesis_id.0.copy_from_slice(&Rng::new(seed, "genesis", 0).bytes()[..20]);
    let mut params = NodeParams {
        genesis_id,
        timing: Timing {
            genesis: GENESIS,
            layer_ms: 10_000,
            layers_per_epoch: 10,
            poet_phase_shift_ms: 50_000,
            poet_cycle_gap_ms: 40_000,
            delta_ms: 2_000,
        },
        tick_size: 2,
        consensus: ConsensusParams {
            proposals_per_layer: 50,
            min_weight: 1,
            committee: 200,
            preround_ms: 1500,
            round_ms: 800,
            iterations: 4,
            hdist: 10,
            zdist: 2,
            beacon_proposals_ms: 10_000,
            beacon_round_ms: 6_000,
            beacon_rounds: 8,
            beacon_candidates: 100,
        },
        ..NodeParams::devnet(GENESIS)
    };
    params.rewards.rule = settings.rule;
    let NodeParams { timing, consensus, .. } = &mut params;
    let times = [
        &mut timing.layer_ms,
        &mut timing.poet_phase_shift_ms,
        &mut timing.poet_cycle_gap_ms,
        &mut timing.delta_ms,
        &mut consensus.preround_ms,
        &mut consensus.round_ms,
        &mut consensus.beacon_proposals_ms,
        &mut consensus.beacon_round_ms,
    ];
    for ms in times {
        *ms = *ms * u64::from(settings.layer_s) / 10;
    }
    params
}

/// Most miners are small, and a few have most of the space; who drew more than a sixth of all that was drawn is cut to that.
/// Of what is left it may be a quarter.
fn nodes(settings: &Settings, seed: u64) -> Vec<NodePlan> {
    let mut rng = Rng::new(seed, "nodes", 0);
    let mut nodes: Vec<NodePlan> = (0..settings.nodes)
        .map(|i| {
            let key = rng.bytes();
            let mut coinbase = Address([0; 24]);
            coinbase.0.copy_from_slice(&rng.bytes()[..24]);
            let units = MAX_UNITS / rng.between(1, MAX_UNITS);
            let idle = i >= 4 && rng.below(IDLE) == 0;
            NodePlan {
                key,
                units: (!idle).then_some(units as u32),
                coinbase,
                skew_ms: 0,
                starts: GENESIS.after(rng.below(1000)),
                stops: None,
                crashes: Vec::new(),
                liar: false,
                flush_ms: rng.between(1, 20),
            }
        })
        .collect();
    let total: u32 = nodes.iter().filter_map(|node| node.units).sum();
    nodes.iter_mut().filter_map(|node| node.units.as_mut()).for_each(|units| *units = (*units).min(total / 6).max(1));
    nodes
}

fn latency(rng: &mut Rng) -> Latency {
    match rng.below(3) {
        0 => Latency::Uniform { min: rng.between(5, 50), max: rng.between(100, 600) },
        1 => Latency::Tailed { min: rng.between(5, 50), half: rng.between(30, 120) },
        _ => Latency::Clusters { near: rng.between(5, 40), far: rng.between(100, 350) },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sim::settings::Faults;

    #[test]
    fn stories_can_be_told() {
        for seed in 0..50 {
            let settings = Settings { nodes: 30, faults: Faults::all(), dishonest: 33, ..Settings::default() };
            let plan = Plan::new(&settings, seed);
            plan.params.check().unwrap();
            let weight = |bad: bool| -> u32 {
                let of = plan.nodes.iter().filter(|node| !bad || node.liar || node.stops.is_some());
                of.filter_map(|node| node.units).sum()
            };
            assert!(3 * weight(true) < weight(false), "seed {seed}");
            assert!(plan.nodes.iter().all(|node| node.skew_ms.unsigned_abs() <= MAX_SKEW_MS && node.starts < plan.end));
            assert!(plan.partitions.iter().all(|partition| partition.from < partition.to));
        }
    }
}
