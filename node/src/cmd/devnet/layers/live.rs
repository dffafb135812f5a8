//! What is shown meanwhile. For people: a line a layer once all have it, and below a line a node that stays in place. For
//! programs: a line for every node and layer.

use std::collections::BTreeMap;

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Course, Track, short};
use crate::cmd::tell;

/// The live view.
pub(in super::super) struct Live {
    json: bool,
    bars: MultiProgress,
    lines: Vec<ProgressBar>,
    /// Layers told to people.
    told: usize,
}

impl Live {
    pub(in super::super) fn new(json: bool) -> Self {
        Self { json, bars: MultiProgress::new(), lines: Vec::new(), told: 0 }
    }

    /// A node has one more final layer.
    pub(super) fn became_final(&self, node: usize, layer: u32, block: Option<&str>, root: &str) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        tell(&json!({ "node": node, "layer": layer, "block": block, "root": root }).to_string())
    }

    /// Shows how all are.
    pub(super) fn show(&mut self, course: &Course) -> Result<()> {
        if self.json {
            return Ok(());
        }
        for layer in (course.layers.start.0..course.layers.end.0).skip(self.told) {
            // A late one has its own time.
            if !course.wanted().all(|(_, track)| track.late || track.layers.contains_key(&layer)) {
                break;
            }
            self.told += 1;
            self.bars.suspend(|| tell(&of_layer(course, layer)))?;
        }
        for (i, track) in course.tracks.iter().enumerate() {
            if self.lines.len() <= i {
                let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
                self.lines.push(self.bars.add(ProgressBar::no_length().with_style(style)));
            }
            self.lines[i].set_message(of_node(i, track));
        }
        Ok(())
    }

    pub(in super::super) fn finish(&self) {
        self.lines.iter().for_each(ProgressBar::finish);
    }
}

fn of_layer(course: &Course, layer: u32) -> String {
    let mut views = BTreeMap::new();
    for final_layer in course.tracks.iter().filter_map(|track| track.layers.get(&layer)) {
        *views.entry((&final_layer.block, &final_layer.root)).or_insert(0usize) += 1;
    }
    let nodes: usize = views.values().sum();
    let Some((view, agree)) = views.into_iter().max_by_key(|(_, count)| *count) else { return String::new() };
    let smh = |smidge: u64| format!("{}.{:03} SMH", smidge / 1_000_000_000, smidge / 1_000_000 % 1000);
    let (block, paid) = match view.0 {
        Some(block) => (short(block), smh(course.subsidy(layer))),
        None => ("empty", "nothing".into()),
    };
    format!("layer {layer:<5} {block:<8} state {} {agree} of {nodes} nodes agree, {paid} paid", short(view.1))
}

fn of_node(i: usize, track: &Track) -> String {
    if track.killed {
        return format!("node {i:<3} was killed");
    }
    let Some(status) = &track.status else { return format!("node {i:<3} does not answer") };
    let number = |value: Option<u32>| value.map_or("-".into(), |value| value.to_string());
    let last = number(status.agreement.last.as_ref().map(|last| last.layer));
    let phase = status.smeshing.first().map_or("no miner", |miner| miner.phase.as_str());
    let (layer, peers) = (number(status.layer), status.peers);
    format!("node {i:<3} layer {layer:<5} final {last:<5} peers {peers:<3} {phase}")
}
