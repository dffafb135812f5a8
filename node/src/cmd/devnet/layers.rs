//! A devnet that agrees on layers: what is to happen to it, and watching until all have the same.

mod judge;
mod live;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anyhow::Result;
use node::ids::Layer;
use node::issuance::Issuance;
use node::params::{NodeParams, Timing};
use node::status::{LayerStatus, Status};
use node::time::Time;

pub(super) use self::live::Live;
use super::mishaps::{Kill, Partition, kills};
use super::network::{Network, now_ms};

/// Nodes are asked so often.
const POLL: Duration = Duration::from_millis(300);
/// So many layers after the last one it must be final: where nearly a third is lost it takes long.
const PATIENCE: u32 = 40;

/// What is to happen.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) layers: u32,
    pub(super) nodes: u32,
    pub(super) kill: u32,
    pub(super) partition: Option<Partition>,
    pub(super) late: bool,
    /// What the last nodes say two things about.
    pub(super) lies: Vec<String>,
    pub(super) seed: u64,
}

impl Story {
    /// Whether it can be.
    ///
    /// # Errors
    /// The reason why it can't.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(Partition { first, second, layers }) = &self.partition {
            anyhow::ensure!(
                first + second == self.nodes,
                "--partition divides {} nodes, and there are {}",
                first + second,
                self.nodes
            );
            anyhow::ensure!(layers.end <= self.layers, "--partition ends after the last of {} layers", self.layers);
        }
        Course::new(self.clone(), &NodeParams::devnet(Time(0))).map(drop)
    }
}

/// What is known of a node.
#[derive(Default)]
struct Track {
    killed: bool,
    late: bool,
    /// What it says two things about.
    lie: Option<String>,
    /// Its last answer; none where it did not give one.
    status: Option<Status>,
    layers: BTreeMap<u32, Final>,
    /// What ATXs of liars weigh for it that should weigh nothing.
    liars_weight: u64,
}

/// A node's final layer.
struct Final {
    block: Option<String>,
    root: String,
    /// From the layer's start until the node was seen to have it.
    after_ms: u64,
}

/// The story as it goes on.
pub(super) struct Course {
    params: NodeParams,
    curve: Issuance,
    layers: std::ops::Range<Layer>,
    story: Story,
    tracks: Vec<Track>,
    kills: VecDeque<Kill>,
    killed: Vec<(usize, u32)>,
    /// When the late node comes; none when it is there, or is not to come.
    late: Option<Layer>,
}

impl Course {
    /// # Errors
    /// When the story can't be.
    pub(super) fn new(story: Story, params: &NodeParams) -> Result<Self> {
        let first = params.effective_genesis().next();
        let layers = first..first.after(story.layers);
        let honest = story.nodes.saturating_sub(story.lies.len() as u32);
        let kills = kills(story.seed, story.kill, honest, story.nodes, &params.timing, layers.clone())?.into();
        let lies = (0..honest).map(|_| None).chain(story.lies.iter().cloned().map(Some));
        let tracks = lies.map(|lie| Track { lie, ..Track::default() }).collect();
        // A late one is in none of two parts, so it comes when they are one again.
        let joined = story.partition.as_ref().map_or(0, |partition| partition.layers.end);
        let late = story.late.then(|| first.after(joined.max(story.layers / 2)));
        let (params, curve) = (params.clone(), Issuance::new(&params.rewards));
        Ok(Self { params, curve, layers, story, tracks, kills, killed: Vec::new(), late })
    }

    /// Follows the network until all have the layers, or should have.
    pub(super) fn watch(&mut self, network: &mut Network, live: &mut Live) -> Result<()> {
        let deadline = self.timing().layer_starts(self.layers.end.after(PATIENCE)).0;
        loop {
            std::thread::sleep(POLL);
            self.act(network)?;
            network.tend()?;
            for i in 0..self.tracks.len() {
                self.ask(network, i, live)?;
            }
            live.show(self)?;
            if self.is_done() || now_ms() > deadline {
                break;
            }
        }
        self.ask_of_liars(network);
        Ok(())
    }

    /// What is due.
    fn act(&mut self, network: &mut Network) -> Result<()> {
        let now = now_ms();
        while let Some(kill) = self.kills.pop_front_if(|kill| kill.at_ms <= now) {
            network.kill(kill.node)?;
            self.tracks[kill.node].killed = true;
            self.killed.push((kill.node, self.timing().layer_at(Time(now)).map_or(0, |layer| layer.0)));
        }
        if self.late.take_if(|layer| self.params.timing.layer_starts(*layer).0 <= now).is_some() {
            network.add_late_node()?;
            self.tracks.push(Track { late: true, ..Track::default() });
        }
        Ok(())
    }

    fn ask(&mut self, network: &Network, i: usize, live: &mut Live) -> Result<()> {
        let track = &mut self.tracks[i];
        let next = track.layers.last_key_value().map_or(self.layers.start, |(layer, _)| Layer(*layer).next());
        let Some((status, layers)) = network.ask_layers(i, next) else { return Ok(()) };
        track.status = status;
        let now = now_ms();
        for LayerStatus { layer, block, root, .. } in layers {
            if layer < self.layers.end.0 {
                live.became_final(i, layer, block.as_deref(), &root)?;
                let after_ms = now.saturating_sub(self.params.timing.layer_starts(Layer(layer)).0);
                track.layers.insert(layer, Final { block, root, after_ms });
            }
        }
        Ok(())
    }

    /// What ATXs weigh that liars have published since they lied.
    fn ask_of_liars(&mut self, network: &Network) {
        let epochs = [self.layers.start, self.layers.end].map(|layer| self.timing().epoch_of(layer).0);
        let lies = self.tracks.iter().zip(network.miners());
        let liars: Vec<_> = lies.filter_map(|(track, miner)| Some((miner, track.lie.clone()?))).collect();
        for (i, track) in self.tracks.iter_mut().enumerate() {
            for (liar, lie) in &liars {
                let first = epochs[0] - u32::from(lie == "atx");
                let atxs = (first..=epochs[1]).filter_map(|epoch| network.ask_atxs(i, epoch)).flatten();
                track.liars_weight += atxs.filter(|atx| atx.smesher == *liar).map(|atx| atx.weight).sum::<u64>();
            }
        }
    }

    /// The nodes that must have all layers in the end.
    fn wanted(&self) -> impl Iterator<Item = (usize, &Track)> {
        self.tracks.iter().enumerate().filter(|(_, track)| !track.killed && track.lie.is_none())
    }

    fn is_done(&self) -> bool {
        let has_all = |track: &Track| {
            let last = track.layers.last_key_value().map_or(0, |(layer, _)| *layer);
            track.status.is_some() && last + 1 >= self.layers.end.0
        };
        self.late.is_none() && self.kills.is_empty() && self.wanted().all(|(_, track)| has_all(track))
    }

    /// The subsidy of a layer, in smidge.
    fn subsidy(&self, layer: u32) -> u64 {
        self.curve.subsidy(Layer(layer).since(self.params.effective_genesis()).into())
    }

    fn timing(&self) -> &Timing {
        &self.params.timing
    }
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
