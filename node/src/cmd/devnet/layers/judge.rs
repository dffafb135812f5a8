//! Whether all nodes have the same final layers, and the same was paid.

use std::collections::BTreeMap;
use std::time::Duration;

use node::ids::Layer;
use node::status::EpochStatus;
use serde::Serialize;

use super::{Course, Track, short};

/// The outcome, for programs: the last line of `--json`.
#[derive(Debug, Serialize)]
pub(in super::super) struct Summary {
    /// Whether all nodes that were not killed answered, and have the same layers.
    pub(in super::super) ok: bool,
    /// What is missing or differs.
    problems: Vec<String>,
    elapsed_s: u64,
    /// Of nodes and provers, each at its largest; none where the system does not say.
    peak_memory_mib: Option<u64>,
    first_layer: u32,
    layers: u32,
    /// Layers with a block.
    blocks: usize,
    /// Layers without one.
    empty: Vec<u32>,
    /// From a layer's start until a node had it final: half of the times are shorter.
    finality_ms_median: Option<u64>,
    finality_ms_max: Option<u64>,
    /// What a node says about the last epochs: one whose prover had no time for a proof has no ATX in it.
    epochs: Vec<EpochStatus>,
    nodes: Vec<NodeSummary>,
}

#[derive(Debug, Serialize)]
struct NodeSummary {
    node: usize,
    /// The layer in which it was killed.
    killed_in: Option<u32>,
    late: bool,
    /// What it says two things about.
    lie: Option<String>,
    /// Its last final layer among those that count.
    last_final: Option<u32>,
    peers: Option<usize>,
    frauds: Option<usize>,
}

impl Course {
    pub(in super::super) fn summary(
        &self,
        failure: Option<String>,
        elapsed: Duration,
        peak_memory: Option<u64>,
    ) -> Summary {
        let mut problems: Vec<String> = failure.into_iter().collect();
        problems.extend(self.problems());
        let empty: Vec<u32> =
            (self.layers.start.0..self.layers.end.0).filter(|layer| self.block(*layer).is_none()).collect();
        let mut times: Vec<u64> =
            self.tracks.iter().filter(|track| !track.late && track.lie.is_none()).flat_map(times).collect();
        times.sort_unstable();
        let of_node = |(node, track): (usize, &Track)| NodeSummary {
            node,
            killed_in: self.killed.iter().find(|(killed, _)| *killed == node).map(|(_, layer)| *layer),
            late: track.late,
            lie: track.lie.clone(),
            last_final: track.layers.last_key_value().map(|(layer, _)| *layer),
            peers: track.status.as_ref().filter(|_| !track.killed).map(|status| status.peers),
            frauds: track.status.as_ref().filter(|_| !track.killed).map(|status| status.frauds),
        };
        Summary {
            ok: problems.is_empty(),
            problems,
            elapsed_s: elapsed.as_secs(),
            peak_memory_mib: peak_memory.map(|bytes| bytes >> 20),
            first_layer: self.layers.start.0,
            layers: self.story.layers,
            blocks: self.story.layers as usize - empty.len(),
            empty,
            finality_ms_median: times.get(times.len() / 2).copied(),
            finality_ms_max: times.last().copied(),
            epochs: self
                .wanted()
                .find_map(|(_, track)| Some(track.status.as_ref()?.epochs.clone()))
                .unwrap_or_default(),
            nodes: self.tracks.iter().enumerate().map(of_node).collect(),
        }
    }

    /// The block of a layer, by any node that has to be right.
    fn block(&self, layer: u32) -> Option<&String> {
        self.wanted().find_map(|(_, track)| track.layers.get(&layer)?.block.as_ref())
    }

    /// All that is wrong.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.wanted().next().is_none() || self.layers.is_empty() {
            problems.push("there is nobody to agree on anything".into());
        }
        if self.late.is_some() || !self.kills.is_empty() {
            problems.push("not all that was to happen has happened".into());
        }
        self.missing(&mut problems);
        self.differing(&mut problems);
        self.emptiness(&mut problems);
        self.money(&mut problems);
        self.frauds(&mut problems);
        problems
    }

    fn missing(&self, problems: &mut Vec<String>) {
        let last = self.layers.end.before(1).0;
        for (i, track) in self.wanted() {
            if track.status.is_none() {
                problems.push(format!("node {i} does not answer"));
            }
            match track.layers.last_key_value() {
                Some((layer, _)) if *layer >= last => {}
                Some((layer, _)) => problems.push(format!("node {i}: layer {layer} is its last final one, not {last}")),
                None => problems.push(format!("node {i}: no layer is final")),
            }
        }
    }

    /// What was final for those that were killed must have stayed so.
    fn differing(&self, problems: &mut Vec<String>) {
        let mut differ = Vec::new();
        for layer in self.layers.start.0..self.layers.end.0 {
            let mut views = BTreeMap::<_, Vec<String>>::new();
            for (i, track) in self.tracks.iter().enumerate().filter(|(_, track)| track.lie.is_none()) {
                if let Some(known) = track.layers.get(&layer) {
                    views.entry((&known.block, &known.root)).or_default().push(i.to_string());
                }
            }
            if views.len() > 1 {
                differ.push((layer, views));
            }
        }
        let Some((layer, views)) = differ.first() else { return };
        let show = |((block, root), nodes): (&(&Option<String>, &String), &Vec<String>)| {
            let block = block.as_ref().map_or("no block", |block| short(block));
            format!("{block}, state {} on {}", short(root), nodes.join(" "))
        };
        let views: Vec<String> = views.iter().map(show).collect();
        let count = differ.len();
        problems.push(format!("the nodes differ in {count} layers, first in layer {layer}: {}", views.join("; ")));
    }

    fn emptiness(&self, problems: &mut Vec<String>) {
        let layers = self.layers.start.0..self.layers.end.0;
        let blocks = layers.filter(|layer| self.block(*layer).is_some()).count() as u32;
        let is_disturbed = self.story.kill > 0 || self.story.partition.is_some();
        if blocks == 0 {
            problems.push("all layers are empty".into());
        } else if !is_disturbed && 3 * blocks < 2 * self.story.layers {
            problems.push(format!("only {blocks} of {} layers have a block", self.story.layers));
        }
    }

    /// What was issued is what the curve says, and somewhere; and the same everywhere.
    fn money(&self, problems: &mut Vec<String>) {
        let mut seen = BTreeMap::new();
        for (i, track) in self.wanted() {
            let Some(agreement) = track.status.as_ref().map(|status| &status.agreement) else { continue };
            let Some(last) = &agreement.last else { continue };
            let totals = [agreement.issued, agreement.held, agreement.claimable, agreement.burned, agreement.carried];
            if totals[1..].iter().map(|part| u128::from(*part)).sum::<u128>() != u128::from(totals[0]) {
                problems.push(format!("node {i}: the rewards do not add up: {totals:?}"));
            }
            if agreement.issued != self.curve.issued(Layer(last.layer).since(self.params.effective_genesis()).into()) {
                problems.push(format!("node {i}: {} smidge were issued up to layer {}", agreement.issued, last.layer));
            }
            if *seen.entry(last.layer).or_insert(totals) != totals {
                problems.push(format!("the nodes paid differently up to layer {}", last.layer));
            }
        }
    }

    fn frauds(&self, problems: &mut Vec<String>) {
        let guilty = self.story.lies.len();
        for (i, track) in self.wanted() {
            let frauds = track.status.as_ref().map_or(guilty, |status| status.frauds);
            if frauds != guilty {
                problems.push(format!("node {i} knows {frauds} frauds of {guilty}"));
            }
            if track.liars_weight > 0 {
                problems.push(format!("node {i}: the liars' ATXs still weigh {}", track.liars_weight));
            }
        }
    }
}

fn times(track: &Track) -> impl Iterator<Item = u64> {
    track.layers.values().map(|known| known.after_ms)
}

impl Summary {
    /// For people.
    pub(in super::super) fn table(&self) -> String {
        let mut lines = Vec::new();
        let empty: Vec<String> = self.empty.iter().map(u32::to_string).collect();
        let empty = if empty.is_empty() { String::new() } else { format!("; empty: {}", empty.join(" ")) };
        lines.push(format!("{} of {} layers have a block{empty}", self.blocks, self.layers));
        if let (Some(median), Some(max)) = (self.finality_ms_median, self.finality_ms_max) {
            lines.push(format!("final {median} ms after a layer's start (median), {max} ms at most"));
        }
        for EpochStatus { epoch, atxs, weight } in &self.epochs {
            lines.push(format!("epoch {epoch}: {atxs} ATXs, weight {weight}"));
        }
        for NodeSummary { node, killed_in, .. } in &self.nodes {
            lines.extend(killed_in.map(|layer| format!("node {node} was killed in layer {layer}")));
        }
        lines.extend(self.problems.iter().cloned());
        let verdict = if self.ok { "all nodes agree" } else { "the nodes do not agree" };
        let memory = self.peak_memory_mib.map_or(String::new(), |mib| format!(", {mib} MiB"));
        lines.push(format!("{verdict} ({} s{memory})", self.elapsed_s));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests;
