//! What a devnet shows while it runs: bars that stay in place for people, a line a change for programs.

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::network::Answer;
use crate::cmd::tell;

/// The live view.
pub(super) struct Live {
    json: bool,
    shown: Vec<String>,
    bars: MultiProgress,
    lines: Vec<ProgressBar>,
}

impl Live {
    pub(super) fn new(json: bool) -> Self {
        Self { json, shown: Vec::new(), bars: MultiProgress::new(), lines: Vec::new() }
    }

    /// Shows what changed.
    pub(super) fn show(&mut self, answers: &[Answer]) -> Result<()> {
        let now: Vec<String> = answers.iter().enumerate().map(|(i, answer)| self.line(i, answer)).collect();
        for (i, line) in now.iter().enumerate() {
            if self.shown.get(i) != Some(line) {
                self.tell(i, line)?;
            }
        }
        self.shown = now;
        Ok(())
    }

    fn tell(&mut self, i: usize, line: &str) -> Result<()> {
        if self.json {
            return tell(line);
        }
        while self.lines.len() <= i {
            let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            self.lines.push(self.bars.add(ProgressBar::no_length().with_style(style)));
        }
        self.lines[i].set_message(line.to_string());
        Ok(())
    }

    fn line(&self, i: usize, answer: &Answer) -> String {
        let atxs: Vec<_> = answer.epochs.iter().map(|atxs| atxs.as_ref().map(Vec::len)).collect();
        let status = answer.status.as_ref();
        let (epoch, layer) = (status.and_then(|status| status.epoch), status.and_then(|status| status.layer));
        let phase = status.and_then(|status| status.smeshing.first()).map(|miner| &miner.phase);
        let peers = status.map(|status| status.peers);
        if self.json {
            // Layers change all the time and say little here.
            return serde_json::json!({ "node": i, "epoch": epoch, "peers": peers, "phase": phase, "atxs": atxs })
                .to_string();
        }
        let Some(status) = status else { return format!("node {i:<3} does not answer") };
        let number = |value: Option<u32>| value.map_or("-".into(), |value| value.to_string());
        let atxs: Vec<String> = atxs.iter().map(|n| n.map_or("-".into(), |n| n.to_string())).collect();
        let phase = phase.map_or("", String::as_str);
        let (epoch, layer) = (number(epoch), number(layer));
        let peers = status.peers;
        format!("node {i:<3} epoch {epoch:<3} layer {layer:<5} peers {peers:<3} ATXs {:<12} {phase}", atxs.join(" "))
    }

    pub(super) fn finish(&self) {
        self.lines.iter().for_each(ProgressBar::finish);
    }
}
